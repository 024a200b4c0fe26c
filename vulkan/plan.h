/* How a coding of a resident matrix becomes a kernel: its shader, its specialization constants and
 * the layout of its rows on the device; and the refusal of what no kernel computes. Knows no
 * device. */
#ifndef INGOT_VULKAN_PLAN_H
#define INGOT_VULKAN_PLAN_H

#include "runtime/backend.h"
#include "vulkan/pipeline.h"

/* The matrix-vector kernel over a dense coding. */
struct vk_gemv_plan {
    struct vk_kernel kernel;
    uint32_t group_rows;  /* rows that one workgroup computes */
    uint32_t row_steps;   /* 16-byte steps in a row of codes */
    uint64_t code_bytes;  /* of a row, as the resident plane holds them */
    uint64_t table_row;   /* scales in a row of the table; 0: there is none */
    uint64_t scale_bytes; /* of one entry of the table */
    float scale;          /* of every weight, where there is no table */
};

/* The kernel over a bitmap mask and its packed values. */
struct vk_sparse_plan {
    struct vk_kernel kernel;
    uint32_t group_rows;
    uint32_t row_words;   /* mask words in a row */
    uint32_t row_blocks;  /* blocks of SPARSE_BLOCK_WORDS mask words in a row */
    uint64_t value_bytes; /* of one kept value */
};

/* INGOT_UNSUPPORTED, naming `what` and the reason, when no kernel computes it. adds: the result is
 * added to what earlier parts gave. n_rows and n_cols are below 2^31. */
ingot_status ingot_vk_gemv_plan_make(const struct resident_dense *dense, bool adds,
                                     const char *what, struct vk_gemv_plan *plan,
                                     ingot_error *error);
ingot_status ingot_vk_sparse_plan_make(const struct resident_sparse *sparse, uint64_t n_cols,
                                       bool adds, const char *what, struct vk_sparse_plan *plan,
                                       ingot_error *error);

#endif

/* A matrix on a device: a list of passes, each one kernel over one piece of one part. */
#ifndef INGOT_VULKAN_MATRIX_H
#define INGOT_VULKAN_MATRIX_H

#include "runtime/backend.h"
#include "vulkan/memory.h"
#include "vulkan/pipeline.h"

struct vk_trial;

/* The products of a coding, by how many vectors their kernel takes. */
enum vk_shape {
    SHAPE_ONE,  /* matrix-vector, one at a time */
    SHAPE_FEW,  /* up to 4 */
    SHAPE_SOME, /* up to 8; on matrix units a narrow grid */
    SHAPE_MANY, /* matrix-matrix */
    N_SHAPES
};

enum { N_VARIANTS = N_RUNGS * N_SHAPES };
#define VARIANT(rung, shape) ((uint32_t)(rung)*N_SHAPES + (uint32_t)(shape))

enum vk_pass_kind {
    PASS_PRODUCT, /* rows of codes, or of kept values under a mask, times the vectors */
    PASS_LIST,    /* a list of kept values times the vectors */
    PASS_GATHER,  /* another order of columns, and factors */
    PASS_SCATTER, /* results to their rows, and factors */
    PASS_CLEAR,   /* zeros to all of the output */
    N_PASS_KINDS
};

/* output rows [first_output, first_output + n_rows) = or += kernel(input). */
struct vk_pass {
    enum vk_pass_kind kind;
    struct vk_region region; /* the pass's own weights */
    struct vk_push push;     /* base, list, factors and multiplier */
    char map[24];            /* PASS_PRODUCT, PASS_LIST: as modules are named */
    uint32_t specs[N_SPECS]; /* PASS_PRODUCT: those of map and tables; SPEC_ADD of all */
    enum vk_vector input;
    enum vk_vector output;
    uint32_t first_output;
    uint32_t n_rows;
    uint32_t row_steps;     /* units of work of a row */
    uint32_t n_blocks;      /* PASS_PRODUCT: of STEP_COLS columns */
    uint64_t row_weights;   /* weights that one row of one vector visits */
    struct vk_trial *trial; /* PASS_PRODUCT: the device's; NULL: not tried */
    char label[48];         /* "part 0 dense" */
    struct vk_pass *next;
};

struct vk_matrix {
    uint64_t n_rows;
    uint64_t n_cols;
    uint64_t floats[N_VECTORS]; /* that one vector of each kind takes; 0 when unused */
    uint64_t resident_bytes;
    uint64_t generation;    /* of the device that it is on */
    uint32_t rungs;         /* 1 << RUNG_... of those that its products may take */
    struct vk_pass *passes; /* in the order of execution */
    struct vk_pass *last;
};

/* Copies a matrix to the device, and sees to it that the device has room for its vectors. */
ingot_status ingot_vk_matrix_upload(struct vk_device *device, const struct resident_matrix *from,
                                    struct vk_matrix **matrix, ingot_error *error);
/* Takes NULL. */
void ingot_vk_matrix_release(struct vk_device *device, struct vk_matrix *matrix);

/* y (n x n_rows) = x (n x n_cols) * W^T, both in host memory. */
ingot_status ingot_vk_matmul(struct vk_device *device, const struct vk_matrix *matrix,
                             const float *x, uint64_t n, float *y, ingot_error *error);

#endif

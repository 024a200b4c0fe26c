/* Putting a matrix together on a device: what vulkan/matrix.c makes of parts, vulkan/build_codes.c
 * of codings, and vulkan/build.c of the passes that both need. */
#ifndef INGOT_VULKAN_BUILD_H
#define INGOT_VULKAN_BUILD_H

#include "vulkan/layout.h"
#include "vulkan/matrix.h"

/* Where a part is put together. */
struct vk_builder {
    struct vk_device *device;
    struct vk_matrix *matrix;
    const struct resident_part *part;
    ingot_error *error;
};

/* Where the result of a coding goes, and what surrounds it. */
struct vk_target {
    enum vk_vector input;
    enum vk_vector output;
    bool adds;
    float multiplier;
    uint64_t n_rows; /* of the output */
    uint64_t n_cols; /* of the input */
    const float *row_factors;
    const float *column_factors;
    char label[32];
};

/* Where rows are some of the output's, or have factors: the target's output becomes a vector
 * between, which a pass behind it scatters. */
struct vk_scatter {
    bool is_needed;
    struct vk_target target;
    const uint32_t *rows;
    uint64_t n_rows;
};

/* Vectors of the matrix have room for n floats. */
void ingot_vk_build_floats(struct vk_builder *build, enum vk_vector vector, uint64_t n);
/* A pass at the end of the matrix's list, which owns it. */
ingot_status ingot_vk_build_pass(struct vk_builder *build, enum vk_pass_kind kind,
                                 const struct vk_target *target, struct vk_pass **pass);
/* Device memory of the pass. */
ingot_status ingot_vk_build_region(struct vk_builder *build, struct vk_pass *pass,
                                   uint64_t n_bytes);
/* Zeros to the output, before what fills only some of it. */
ingot_status ingot_vk_build_clear(struct vk_builder *build, const struct vk_target *target);
/* Where a layout does not take x as it is, the target's input becomes x in another order. */
ingot_status ingot_vk_build_gather(struct vk_builder *build, const struct vk_layout *layout,
                                   struct vk_target *target);
/* Before the passes whose n_rows results go to these rows (NULL: to all), and after them. */
struct vk_scatter ingot_vk_build_scatter(struct vk_builder *build, const uint32_t *rows,
                                         uint64_t n_rows, struct vk_target *target);
ingot_status ingot_vk_build_scatter_end(struct vk_builder *build, struct vk_scatter *scatter);

/* Rows of a layout that fit one region. */
ingot_status ingot_vk_build_piece(struct vk_builder *build, const struct vk_layout *layout,
                                  const struct vk_target *target, uint64_t first_row,
                                  uint64_t n_rows);
/* *read is `dense` with the codes of its first n_rows rows, which are read where they are unread,
 * into *memory, which is the caller's, also after a failure. */
ingot_status ingot_vk_build_read(const struct vk_builder *build, const struct resident_dense *dense,
                                 uint64_t n_rows, struct resident_dense *read, uint8_t **memory);
/* Sees to it that the kernels of a layout have a trial. *is_right: that of one vector, at least,
 * gives right products. What is not finite, has factors of x that the codes lack, or keeps no
 * values in its first rows, tells nothing.
 */
ingot_status ingot_vk_build_try(struct vk_builder *build, const struct vk_layout *layout,
                                bool has_factors, bool *is_right);

/* A coding over the target, or kept values of it; the target is changed on the way. */
ingot_status ingot_vk_build_dense(struct vk_builder *build, const struct resident_dense *dense,
                                  struct vk_target *target);
ingot_status ingot_vk_build_sparse(struct vk_builder *build, const struct resident_sparse *sparse,
                                   struct vk_target *target);

#endif

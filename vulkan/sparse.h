/* How kept values and their places lie on a device: under a bitmap, or as a list. */
#ifndef INGOT_VULKAN_SPARSE_H
#define INGOT_VULKAN_SPARSE_H

#include "vulkan/layout.h"

struct vk_sparse {
    const struct resident_sparse *sparse;
    uint64_t n_rows;
    uint64_t n_cols;
    struct vk_layout layout; /* of the values */
    char map[24];            /* as modules are named */
};

/* Like ingot_vk_layout_make. */
ingot_status ingot_vk_sparse_make(const struct resident_sparse *sparse,
                                  const struct vk_layout_from *from, const char *what,
                                  const ingot_allocator *allocator, struct vk_sparse *made,
                                  ingot_error *error);
void ingot_vk_sparse_close(struct vk_sparse *sparse, const ingot_allocator *allocator);

/* Like ingot_vk_layout_place and ingot_vk_layout_write. INGOT_INVALID when the mask of a row and
 * its offsets disagree: kernels trust them. */
uint64_t ingot_vk_sparse_place(const struct vk_sparse *sparse, uint64_t first_row, uint64_t n_rows,
                               struct vk_header *header);
ingot_status ingot_vk_sparse_write(const struct vk_sparse *sparse, uint64_t first_row,
                                   uint64_t n_rows, const ingot_allocator *allocator,
                                   struct vk_stream *stream, ingot_error *error);

#endif

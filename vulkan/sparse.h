/* Layouts whose weights are kept under a bitmap or as a list: what vulkan/layout_write.c leaves to
 * vulkan/sparse.c. */
#ifndef INGOT_VULKAN_SPARSE_H
#define INGOT_VULKAN_SPARSE_H

#include "vulkan/layout.h"

uint64_t ingot_vk_sparse_place(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                               struct vk_header *header);
void ingot_vk_sparse_write(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                           struct vk_stream *stream);
/* The weights of a row as the reference decodes them, to n_cols floats that are zero before. */
ingot_status ingot_vk_sparse_decode(const struct vk_layout *layout, uint64_t row,
                                    const ingot_allocator *allocator, float *weights,
                                    ingot_error *error);

#endif

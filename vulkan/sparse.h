/* Layouts whose weights are kept under a bitmap or as a list: what vulkan/layout_write.c leaves to
 * vulkan/sparse.c. */
#ifndef INGOT_VULKAN_SPARSE_H
#define INGOT_VULKAN_SPARSE_H

#include "vulkan/layout.h"

uint64_t ingot_vk_sparse_place(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                               struct vk_header *header);
void ingot_vk_sparse_write(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                           struct vk_stream *stream);

#endif

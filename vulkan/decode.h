/* Weights of a matrix on a device, decoded there. */
#ifndef INGOT_VULKAN_DECODE_H
#define INGOT_VULKAN_DECODE_H

#include "vulkan/matrix.h"

/* Rows [first_row, first_row + n_rows) of the weights of a PASS_PRODUCT, in its own order of
 * columns, to n_rows rows of ingot_vk_decode_stride f32 or, if `half`, f16. dst is the caller's. */
ingot_status ingot_vk_decode(struct vk_device *device, const struct vk_pass *pass,
                             uint64_t first_row, uint64_t n_rows, bool half, void *dst,
                             ingot_error *error);
uint64_t ingot_vk_decode_stride(const struct vk_pass *pass);

#endif

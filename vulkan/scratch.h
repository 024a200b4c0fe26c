/* Vectors that a matmul keeps on the device, and their copies on the host's side; shared by all
 * matrices of a device. Knows no matrix. */
#ifndef INGOT_VULKAN_SCRATCH_H
#define INGOT_VULKAN_SCRATCH_H

#include "vulkan/memory.h"

/* Sees to it that there is room for n vectors of each kind, of floats[kind] floats. On failure what
 * was there is there. */
ingot_status ingot_vk_scratch_reserve(struct vk_device *device, const uint64_t floats[N_VECTORS],
                                      uint64_t n, ingot_error *error);
/* How many of at most n vectors there is room for; at least one after a reserve. */
uint64_t ingot_vk_scratch_room(const struct vk_device *device, const uint64_t floats[N_VECTORS],
                               uint64_t n);
void ingot_vk_scratch_close(struct vk_device *device);

#endif

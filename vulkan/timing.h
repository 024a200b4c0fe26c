/* How long a device takes, by its own clock. For measurements alone. */
#ifndef INGOT_VULKAN_TIMING_H
#define INGOT_VULKAN_TIMING_H

#include "vulkan/matrix.h"

enum { MAX_TIMED_ROUNDS = 64 };

/* The median, of n_rounds rounds after one that does not count, of the seconds that a round takes
 * per matrix. A round multiplies n vectors, of whatever the scratch holds, by each matrix in turn;
 * all have the same shape. INGOT_UNSUPPORTED where the device has no clock. */
ingot_status ingot_vk_time_products(struct vk_device *device, struct vk_matrix *const *matrices,
                                    uint32_t n_matrices, uint64_t n, uint32_t n_rounds,
                                    double *seconds, ingot_error *error);
/* The same for n_dispatches of a kernel, each behind the one before. */
ingot_status ingot_vk_time_kernel(struct vk_device *device, const struct vk_kernel *kernel,
                                  const struct vk_push *push, uint32_t n_groups,
                                  uint32_t n_dispatches, uint32_t n_rounds, double *seconds,
                                  ingot_error *error);
/* The same for copying n_bytes from one block to another. */
ingot_status ingot_vk_time_copy(struct vk_device *device, const struct vk_block *from,
                                const struct vk_block *to, uint64_t n_bytes, uint32_t n_rounds,
                                double *seconds, ingot_error *error);

#endif

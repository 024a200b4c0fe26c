/* What kernels on f16 and on integers need beforehand: weights brought to the range of f16, and
 * inputs rounded. */
#ifndef INGOT_VULKAN_NARROW_H
#define INGOT_VULKAN_NARROW_H

#include "vulkan/product.h"
#include "vulkan/run.h"

/* Sets the unit of a pass: a power of two, by which its largest weight becomes a large f16. To be
 * called while nothing is recorded. */
ingot_status ingot_vk_narrow_measure(struct vk_device *device, struct vk_pass *pass,
                                     ingot_error *error);

#endif

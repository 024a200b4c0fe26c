/* The push constants and the specialization constants of the kernels as C sees them; the facts
 * are in the two files that the shaders include too. */
#ifndef INGOT_VULKAN_PUSH_H
#define INGOT_VULKAN_PUSH_H

#include "vulkan/api.h"
#include "vulkan/shaders/constants.glsl"

#define ADDRESS(type) VkDeviceAddress
#define UINT uint32_t
#define FLOAT float
struct vk_push {
#include "vulkan/shaders/push.glsl"
};
#undef ADDRESS
#undef UINT
#undef FLOAT

/* Every device offers this many bytes of push constants. */
_Static_assert(sizeof(struct vk_push) <= 128, "push constants fit every device");
_Static_assert(GROUP_THREADS <= 128, "a workgroup fits every device");

#endif

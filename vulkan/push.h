/* The push constants, the header of weights and the specialization constants of the kernels as C
 * sees them; the facts are in the files that the shaders include too. */
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
struct vk_table {
#include "vulkan/shaders/table.glsl"
};
#define TABLE struct vk_table
struct vk_header {
#include "vulkan/shaders/header.glsl"
};
#undef ADDRESS
#undef UINT
#undef FLOAT
#undef TABLE

/* Every device offers this many bytes of push constants. */
_Static_assert(sizeof(struct vk_push) <= 128, "push constants fit every device");
_Static_assert(sizeof(struct vk_header) % 16 == 0, "what follows a header is aligned");
_Static_assert(GEMV_THREADS <= 128 && GEMM_THREADS <= 128, "a workgroup fits every device");
_Static_assert(SPEC_TABLES + N_TABLES * SPECS_OF_TABLE <= N_SPECS, "each constant has a number");

#endif

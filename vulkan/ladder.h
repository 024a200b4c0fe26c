/* The rungs of a device: ways to multiply, from f32 arithmetic, which every device has, to matrix
 * units. Knows no kernel. */
#ifndef INGOT_VULKAN_LADDER_H
#define INGOT_VULKAN_LADDER_H

#include "vulkan/features.h"
#include "vulkan/instance.h"

/* In the order of preference, the last first. */
enum vk_rung {
    RUNG_F32,
    RUNG_HALF,   /* pairs of f16 */
    RUNG_DOT,    /* dot products of four 8-bit integers */
    RUNG_MATRIX, /* f16 through VK_KHR_cooperative_matrix, sums in f32 */
    N_RUNGS
};

struct vk_ladder {
    uint32_t has;   /* 1 << RUNG_...: what the device can */
    uint32_t takes; /* of these, what it is fast at, or what vk_options.rungs asks for */
    uint32_t subgroup_size;
    uint32_t shared_bytes;           /* of a workgroup */
    uint32_t tile_m, tile_n, tile_k; /* RUNG_MATRIX: a multiplication of the units */
};

/* What a device that offers Vulkan 1.3 has, and, without what is to be avoided (enum vk_avoid),
 * takes. A device that cannot be asked has RUNG_F32. */
void ingot_vk_ladder_read(const struct vk_instance *instance, VkPhysicalDevice handle,
                          uint32_t avoids, const ingot_allocator *allocator,
                          struct vk_ladder *ladder);
/* Turns on the features of the rungs that the device takes. */
void ingot_vk_ladder_require(const struct vk_ladder *ladder, struct vk_features *features);
/* The device's extensions for them. Returns their number, at most 1. */
uint32_t ingot_vk_ladder_extensions(const struct vk_ladder *ladder, const char **names);
/* "matrix-matrix on matrix units 16x16x16, ...": what the device takes, best first. */
void ingot_vk_ladder_describe(const struct vk_ladder *ladder, char *text, size_t capacity);

#endif

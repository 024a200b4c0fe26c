/* The maps that kernels exist for: one row for each, chosen by a coding's parameters. */
#ifndef INGOT_VULKAN_MAPS_H
#define INGOT_VULKAN_MAPS_H

#include "format/coding.h"

struct vk_map {
    uint8_t map; /* enum coding_map */
    uint8_t bits;
    uint8_t format;     /* MAP_FLOAT: an ingot_dtype, else 0 */
    uint32_t flip;      /* exclusive-or that makes a code unsigned, and that much larger */
    const char *gemv;   /* name of the shader */
    const char *sparse; /* name of the shader, or NULL when there is none */
};

/* The row for a coding's map, or NULL when no kernel decodes it. Says nothing of its slots. */
const struct vk_map *ingot_vk_map_find(const struct ingot_coding *coding);

#endif

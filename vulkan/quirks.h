/* What drivers are known to get wrong, and is avoided there though they offer it. */
#ifndef INGOT_VULKAN_QUIRKS_H
#define INGOT_VULKAN_QUIRKS_H

#include <stddef.h>
#include <stdint.h>

#include "vulkan/api.h"

enum vk_avoid {
    AVOID_MATRIX_UNITS = 1 << 0,
    AVOID_INTEGER_DOTS = 1 << 1,
    AVOID_LONG_STARTS = 1 << 2, /* the first submissions are shorter than elsewhere */
};

/* By what a row of the table is found. */
struct vk_identity {
    uint32_t vendor; /* of PCI, or of Khronos's registry */
    VkDriverId driver;
    uint32_t least_lanes; /* of a subgroup: tells generations of one vendor */
};

/* The enum vk_avoid of every row that the device is in. `text`, if capacity is not 0, tells each
 * with its reason; "" where there are none. */
uint32_t ingot_vk_quirks_find(const struct vk_identity *device, char *text, size_t capacity);

#endif

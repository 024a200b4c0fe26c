/* Which memory of a device is for what, and how much of it there is. Opens nothing and takes
 * nothing. */
#ifndef INGOT_VULKAN_HEAPS_H
#define INGOT_VULKAN_HEAPS_H

#include "format/ingot.h"
#include "vulkan/api.h"

enum vk_memory_kind {
    MEMORY_DEVICE, /* read and written by kernels */
    MEMORY_SPILL,  /* the same in the host's memory, where the device's is full */
    MEMORY_HOST,   /* mapped; copied from and to */
    N_MEMORY_KINDS
};

/* Whether uploads can be written straight to the memory that weights lie in: `shares`, the device's
 * memory is the host's; or all of the largest heap can be mapped. A window into a part of it does
 * not count. */
bool ingot_vk_heaps_map(const VkPhysicalDeviceMemoryProperties *memory, bool shares);
/* The memory types among type_bits for a kind, the best first, one a heap; those of MEMORY_DEVICE
 * by the size of their heaps, without heaps of less than an eighth of the largest. `maps`: types
 * that can be mapped are better. Returns how many there are. */
uint32_t ingot_vk_heaps_rank(const VkPhysicalDeviceMemoryProperties *memory,
                             enum vk_memory_kind kind, bool maps, uint32_t type_bits,
                             uint32_t types[VK_MAX_MEMORY_TYPES]);
/* What may be taken of a heap besides used_bytes, some being left for others. budget_bytes is what
 * the driver thinks it has for us, 0 when it tells nothing: a heap's four fifths then. */
uint64_t ingot_vk_heaps_room(uint64_t heap_bytes, uint64_t budget_bytes, uint64_t used_bytes);

#endif

/* Device memory: blocks of it, and regions of shared blocks that hold weights. A block is one
 * allocation with one buffer over it; many small regions share a block, because devices allow
 * only some thousand allocations. Knows no matrix. */
#ifndef INGOT_VULKAN_MEMORY_H
#define INGOT_VULKAN_MEMORY_H

#include "vulkan/device.h"

struct vk_block {
    VkBuffer buffer;
    VkDeviceMemory memory;
    enum vk_memory_kind kind;
    uint32_t type;
    uint64_t allocated_bytes;
    VkDeviceAddress address; /* 0: MEMORY_HOST */
    uint8_t *mapped;         /* NULL when the memory cannot be mapped */
    bool cached;             /* what is mapped is read as fast as it is written */
    uint64_t n_bytes;
    uint64_t used_bytes; /* of a shared block; regions come one behind the other */
    uint64_t n_regions;  /* the block is closed when its last region is released */
    struct vk_block *next;
};

struct vk_region {
    struct vk_block *block; /* NULL: holds nothing */
    uint64_t offset;
    uint64_t n_bytes;
};

/* A block that belongs to the caller. `what` names it in failures. */
ingot_status ingot_vk_block_open(struct vk_device *device, enum vk_memory_kind kind,
                                 uint64_t n_bytes, const char *what, struct vk_block **block,
                                 ingot_error *error);
/* A block for kernels: of the device's memory, or else of the host's. INGOT_NO_MEMORY tells what is
 * taken. */
ingot_status ingot_vk_block_open_spilling(struct vk_device *device, uint64_t n_bytes,
                                          const char *what, struct vk_block **block,
                                          ingot_error *error);
/* Takes NULL. The device must be done with it. */
void ingot_vk_block_close(struct vk_device *device, struct vk_block *block);

/* A region of n_bytes > 0 bytes that kernels reach, at a multiple of 256 bytes. */
ingot_status ingot_vk_region_take(struct vk_device *device, uint64_t n_bytes, const char *what,
                                  struct vk_region *region, ingot_error *error);
/* Leaves *region holding nothing; takes one that holds nothing. */
void ingot_vk_region_release(struct vk_device *device, struct vk_region *region);

/* Gives the memory of all regions back, whose contents are lost; they are still to be released. */
void ingot_vk_regions_drop(struct vk_device *device);

VkDeviceAddress ingot_vk_region_address(const struct vk_region *region);

#endif

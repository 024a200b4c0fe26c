/* Which Vulkan devices there are, what they lack, and which is best. Opens none. */
#ifndef INGOT_VULKAN_CHOOSE_H
#define INGOT_VULKAN_CHOOSE_H

#include "vulkan/instance.h"
#include "vulkan/queues.h"
#include "vulkan/quirks.h"

struct vk_candidate {
    VkPhysicalDevice handle;
    struct vk_queue_choice queues; /* valid when info.usable */
    uint32_t avoids;               /* enum vk_avoid */
    bool has_budget;               /* VK_EXT_memory_budget */
    uint32_t rank;                 /* of the kind of device: more is better */
    ingot_device_info info;        /* every field but `index` */
};

/* Lists the devices of an instance, best first: usable ones, then by kind, then by memory, else in
 * the driver's order. *candidates is released with ingot_release; it is NULL when *n is 0. */
ingot_status ingot_vk_candidates_list(const struct vk_instance *instance,
                                      const ingot_allocator *allocator,
                                      struct vk_candidate **candidates, uint32_t *n,
                                      ingot_error *error);

#endif

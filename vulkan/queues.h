/* The queues of a device: one that computes, and one that brings uploads. Knows no kernel. */
#ifndef INGOT_VULKAN_QUEUES_H
#define INGOT_VULKAN_QUEUES_H

#include "format/ingot.h"
#include "vulkan/api.h"

struct vk_device;

/* Families of queues, and which of its queues brings uploads. */
struct vk_queue_choice {
    uint32_t compute_family;
    uint32_t moving_family;
    uint32_t moving_index; /* 0 in the family that computes: they share its first queue */
};

/* A queue, and the timeline of what was submitted to it. */
struct vk_queue {
    VkQueue handle;
    VkPipelineStageFlags2 stages; /* that its commands have */
    VkCommandPool pool;
    VkSemaphore timeline;
    uint64_t n_submitted; /* the timeline's value when all is done */
};

/* A command buffer and the timeline value that its last submission reaches; 0: none yet. */
struct vk_commands {
    struct vk_queue *queue;
    VkCommandBuffer buffer;
    uint64_t value;
};

/* The first family that computes and does not draw, else the first that computes; for uploads a
 * family that does nothing else, which is an engine of its own, else a second queue, else the same.
 * False when none computes. */
bool ingot_vk_queues_choose(const VkQueueFamilyProperties *families, uint32_t n,
                            struct vk_queue_choice *choice);
/* Fills infos[2], which point to priorities[2]; returns how many families there are. */
uint32_t ingot_vk_queues_describe(const struct vk_queue_choice *choice, const float priorities[2],
                                  VkDeviceQueueCreateInfo infos[2]);
/* The device's queues with their command buffers. What was made before a failure is closed too. */
VkResult ingot_vk_queues_open(struct vk_device *device);
void ingot_vk_queues_close(struct vk_device *device);
/* Waits until all uploads have arrived. */
ingot_status ingot_vk_queues_settle(struct vk_device *device, ingot_error *error);

#endif

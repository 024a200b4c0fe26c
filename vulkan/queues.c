/* The queues of a device: one that computes, and one that brings uploads. Knows no kernel. */
#include "vulkan/queues.h"

#include "vulkan/commands.h"

static bool only_moves(VkQueueFlags flags)
{
    return (flags & VK_QUEUE_TRANSFER_BIT) &&
           !(flags & (VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT));
}

bool ingot_vk_queues_choose(const VkQueueFamilyProperties *families, uint32_t n,
                            struct vk_queue_choice *choice)
{
    bool found = false, draws = true;
    struct vk_queue_choice made = {0, 0, 0};
    for (uint32_t i = 0; i < n; i++) {
        const VkQueueFlags flags = families[i].queueFlags;
        const bool this_draws = (flags & VK_QUEUE_GRAPHICS_BIT) != 0;
        if (families[i].queueCount == 0 || !(flags & VK_QUEUE_COMPUTE_BIT)) continue;
        if (found && (this_draws || !draws)) continue;
        made.compute_family = i;
        found = true;
        draws = this_draws;
    }
    if (!found) return false;
    made.moving_family = made.compute_family;
    made.moving_index = families[made.compute_family].queueCount > 1 ? 1 : 0;
    for (uint32_t i = n; i-- > 0;) {
        if (families[i].queueCount == 0 || !only_moves(families[i].queueFlags)) continue;
        made.moving_family = i;
        made.moving_index = 0;
    }
    *choice = made;
    return true;
}

uint32_t ingot_vk_queues_describe(const struct vk_queue_choice *choice, const float priorities[2],
                                  VkDeviceQueueCreateInfo infos[2])
{
    const bool is_one_family = choice->moving_family == choice->compute_family;
    infos[0] = (VkDeviceQueueCreateInfo){.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                         .queueFamilyIndex = choice->compute_family,
                                         .queueCount = is_one_family ? choice->moving_index + 1 : 1,
                                         .pQueuePriorities = priorities};
    infos[1] = infos[0];
    infos[1].queueFamilyIndex = choice->moving_family;
    infos[1].queueCount = 1;
    return is_one_family ? 1 : 2;
}

/* The timeline and n command buffers of a queue. */
static VkResult open_queue(struct vk_device *device, uint32_t family, uint32_t n,
                           VkCommandBuffer *buffers, struct vk_queue *queue)
{
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                             .pNext = &type};
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                          .queueFamilyIndex = family};
    VkResult result =
        device->api.CreateSemaphore(device->handle, &semaphore, NULL, &queue->timeline);
    if (result != VK_SUCCESS) return result;
    result = device->api.CreateCommandPool(device->handle, &pool, NULL, &queue->pool);
    if (result != VK_SUCCESS) return result;
    const VkCommandBufferAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = queue->pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = n};
    return device->api.AllocateCommandBuffers(device->handle, &info, buffers);
}

VkResult ingot_vk_queues_open(struct vk_device *device)
{
    const struct vk_queue_choice *const choice = &device->queues;
    VkCommandBuffer buffers[N_SLOTS_UPLOAD];
    device->api.GetDeviceQueue(device->handle, choice->compute_family, 0,
                               &device->computing.handle);
    device->api.GetDeviceQueue(device->handle, choice->moving_family, choice->moving_index,
                               &device->moving.handle);
    device->computing.stages =
        VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
    device->moving.stages = VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
    VkResult result =
        open_queue(device, choice->compute_family, 1, &device->compute.buffer, &device->computing);
    if (result != VK_SUCCESS) return result;
    device->compute.queue = &device->computing;
    result = open_queue(device, choice->moving_family, N_SLOTS_UPLOAD, buffers, &device->moving);
    if (result != VK_SUCCESS) return result;
    for (uint32_t i = 0; i < N_SLOTS_UPLOAD; i++) {
        device->slots[i].commands.buffer = buffers[i];
        device->slots[i].commands.queue = &device->moving;
    }
    return VK_SUCCESS;
}

void ingot_vk_queues_close(struct vk_device *device)
{
    struct vk_queue *const queues[] = {&device->computing, &device->moving};
    for (uint32_t i = 0; i < 2; i++) {
        device->api.DestroySemaphore(device->handle, queues[i]->timeline, NULL);
        device->api.DestroyCommandPool(device->handle, queues[i]->pool, NULL);
        *queues[i] = (struct vk_queue){.handle = VK_NULL_HANDLE};
    }
}

ingot_status ingot_vk_queues_settle(struct vk_device *device, ingot_error *error)
{
    const struct vk_commands last = {&device->moving, VK_NULL_HANDLE, device->moving.n_submitted};
    return ingot_vk_commands_wait(device, &last, error);
}

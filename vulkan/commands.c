/* Recording, submitting and waiting on a device's queue. Knows no kernel. */
#include "vulkan/commands.h"

static void barrier(struct vk_device *device, const struct vk_commands *commands,
                    VkPipelineStageFlags2 stages, VkAccessFlags2 accesses)
{
    const VkMemoryBarrier2 memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                     .srcStageMask = commands->queue->stages,
                                     .srcAccessMask = VK_ACCESS_2_MEMORY_WRITE_BIT,
                                     .dstStageMask = stages,
                                     .dstAccessMask = accesses};
    const VkDependencyInfo info = {.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO,
                                   .memoryBarrierCount = 1,
                                   .pMemoryBarriers = &memory};
    device->api.CmdPipelineBarrier2(commands->buffer, &info);
}

void ingot_vk_commands_barrier(struct vk_device *device, const struct vk_commands *commands)
{
    barrier(device, commands, commands->queue->stages,
            VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT);
}

ingot_status ingot_vk_commands_begin(struct vk_device *device, struct vk_commands *commands,
                                     ingot_error *error)
{
    const ingot_status status = ingot_vk_commands_wait(device, commands, error);
    if (status != INGOT_OK) return status;
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                           .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    /* A recording that a failure cut off is dropped here. */
    VkResult result = device->api.ResetCommandBuffer(commands->buffer, 0);
    if (result == VK_SUCCESS) result = device->api.BeginCommandBuffer(commands->buffer, &info);
    if (result != VK_SUCCESS) return ingot_vk_device_fail(device, result, "recording", error);
    ingot_vk_commands_barrier(device, commands);
    return INGOT_OK;
}

ingot_status ingot_vk_commands_submit(struct vk_device *device, struct vk_commands *commands,
                                      ingot_error *error)
{
    barrier(device, commands, VK_PIPELINE_STAGE_2_HOST_BIT, VK_ACCESS_2_HOST_READ_BIT);
    VkResult result = device->api.EndCommandBuffer(commands->buffer);
    if (result != VK_SUCCESS) return ingot_vk_device_fail(device, result, "recording", error);

    struct vk_queue *const queue = commands->queue;
    const VkSemaphoreSubmitInfo wait = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
                                        .semaphore = device->moving.timeline,
                                        .value = device->moving.n_submitted,
                                        .stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT};
    const VkSemaphoreSubmitInfo signal = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
                                          .semaphore = queue->timeline,
                                          .value = queue->n_submitted + 1,
                                          .stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT};
    const VkCommandBufferSubmitInfo buffer = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
                                              .commandBuffer = commands->buffer};
    const VkSubmitInfo2 info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
                                .waitSemaphoreInfoCount = queue == &device->computing,
                                .pWaitSemaphoreInfos = &wait,
                                .commandBufferInfoCount = 1,
                                .pCommandBufferInfos = &buffer,
                                .signalSemaphoreInfoCount = 1,
                                .pSignalSemaphoreInfos = &signal};
    result = device->api.QueueSubmit2(queue->handle, 1, &info, VK_NULL_HANDLE);
    if (result != VK_SUCCESS) return ingot_vk_device_fail(device, result, "submission", error);
    queue->n_submitted++;
    commands->value = queue->n_submitted;
    return INGOT_OK;
}

/* There is no time limit: every kernel's loops end, and the driver resets a device that hangs,
 * which ends the wait. Giving up earlier would leave memory in use that cannot be released. */
ingot_status ingot_vk_commands_wait(struct vk_device *device, const struct vk_commands *commands,
                                    ingot_error *error)
{
    const ingot_status status = ingot_vk_device_check(device, error);
    if (status != INGOT_OK || commands->value == 0) return status;
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &commands->queue->timeline,
                                      .pValues = &commands->value};
    const VkResult result = device->api.WaitSemaphores(device->handle, &info, UINT64_MAX);
    if (result == VK_SUCCESS) return INGOT_OK;
    /* The caller goes on to release memory, which nothing may be using then. */
    if (result != VK_ERROR_DEVICE_LOST) device->api.DeviceWaitIdle(device->handle);
    return ingot_vk_device_fail(device, result, "waiting", error);
}

/* Recording, submitting and waiting on a device's queue. Knows no kernel. */
#ifndef INGOT_VULKAN_COMMANDS_H
#define INGOT_VULKAN_COMMANDS_H

#include "vulkan/device.h"

/* Waits for the last submission of these commands and starts recording anew. What is recorded sees
 * everything that was submitted to their queue before, and what computes every upload. */
ingot_status ingot_vk_commands_begin(struct vk_device *device, struct vk_commands *commands,
                                     ingot_error *error);
/* Copies and dispatches recorded after it see what those before it wrote. */
void ingot_vk_commands_barrier(struct vk_device *device, const struct vk_commands *commands);
/* Ends the recording and submits it. What the device wrote to mapped memory is seen by the host
 * after a wait. */
ingot_status ingot_vk_commands_submit(struct vk_device *device, struct vk_commands *commands,
                                      ingot_error *error);
/* Waits until the device is done with these commands; returns at once when never submitted. */
ingot_status ingot_vk_commands_wait(struct vk_device *device, const struct vk_commands *commands,
                                    ingot_error *error);

#endif

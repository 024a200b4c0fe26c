/* Devices opened under the validation layer, with its messages counted. */
#ifndef INGOT_TESTS_VULKAN_LAYERS_H
#define INGOT_TESTS_VULKAN_LAYERS_H

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/commands.h"
#include "vulkan/memory.h"

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

struct messages {
    uint32_t n;
    bool quiet; /* the test provokes messages and does not want them shown */
};

static inline void count_message(void *context, const char *text)
{
    struct messages *const messages = context;
    messages->n++;
    if (!messages->quiet) fprintf(stderr, "Vulkan message: %s\n", text);
}

/* Whether the loader lists the validation layer. */
static inline bool validation_is_installed(void)
{
    bool found = false;
    VkLayerProperties *layers = NULL;
    PFN_vkGetInstanceProcAddr get = NULL;
    void *const library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return false;
    void *const symbol = dlsym(library, "vkGetInstanceProcAddr");
    memcpy(&get, &symbol, sizeof get);
    const PFN_vkEnumerateInstanceLayerProperties list =
        (PFN_vkEnumerateInstanceLayerProperties)get(NULL, "vkEnumerateInstanceLayerProperties");
    uint32_t n = 0;
    if (list && list(&n, NULL) == VK_SUCCESS) layers = calloc(n + 1, sizeof *layers);
    if (layers && list(&n, layers) != VK_SUCCESS) n = 0;
    for (uint32_t i = 0; layers && i < n; i++) {
        if (strcmp(layers[i].layerName, VALIDATION_LAYER) == 0) found = true;
    }
    free(layers);
    dlclose(library);
    return found;
}

/* Turns the layer on for every instance that this process opens from now on. */
static inline bool turn_validation_on(void)
{
    if (!validation_is_installed()) {
        printf("note: skipped: validation layer not installed\n");
        return false;
    }
    return setenv("VK_INSTANCE_LAYERS", VALIDATION_LAYER, 1) == 0;
}

/* Has the layer watch for accesses that nothing orders, too; before it is turned on. */
static inline void turn_synchronization_on(void)
{
    setenv("VK_LAYER_ENABLES", "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT", 1);
}

/* Breaks a rule of Vulkan on purpose. Returns how many messages that gave: none would mean that
 * the layer is not there, and that silence proves nothing. */
static inline uint32_t provoke_message(struct vk_device *device, struct messages *messages)
{
    const uint32_t n_before = messages->n;
    const VkBufferCreateInfo empty = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                      .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    VkBuffer buffer = VK_NULL_HANDLE;
    messages->quiet = true;
    if (device->api.CreateBuffer(device->handle, &empty, NULL, &buffer) == VK_SUCCESS) {
        device->api.DestroyBuffer(device->handle, buffer, NULL);
    }
    messages->quiet = false;
    const uint32_t n_provoked = messages->n - n_before;
    messages->n = n_before;
    return n_provoked;
}

/* The same of a rule of synchronization: two copies to one place with nothing between them. */
static inline uint32_t provoke_hazard(struct vk_device *device, struct messages *messages)
{
    const uint32_t n_before = messages->n;
    const VkBufferCopy region = {.size = 16};
    struct vk_block *from = NULL, *to = NULL;
    if (ingot_vk_block_open(device, MEMORY_HOST, 64, "from", &from, NULL) != INGOT_OK) return 0;
    if (ingot_vk_block_open(device, MEMORY_HOST, 64, "to", &to, NULL) != INGOT_OK) return 0;
    messages->quiet = true;
    (void)ingot_vk_commands_begin(device, &device->compute, NULL);
    for (int i = 0; i < 2; i++) {
        device->api.CmdCopyBuffer(device->compute.buffer, from->buffer, to->buffer, 1, &region);
    }
    (void)ingot_vk_commands_submit(device, &device->compute, NULL);
    (void)ingot_vk_commands_wait(device, &device->compute, NULL);
    messages->quiet = false;
    ingot_vk_block_close(device, to);
    ingot_vk_block_close(device, from);
    const uint32_t n_provoked = messages->n - n_before;
    messages->n = n_before;
    return n_provoked;
}

#endif

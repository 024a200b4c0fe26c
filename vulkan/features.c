/* The device features that the backend uses: one table, for asking and for turning on. */
#include "vulkan/features.h"

#include <stdio.h>

static const struct {
    const char *name;
    size_t offset;
} needed[] = {
    /* Memory is reached by addresses in the push constants; there are no descriptors. */
    {"bufferDeviceAddress", offsetof(struct vk_features, v12.bufferDeviceAddress)},
    {"timelineSemaphore", offsetof(struct vk_features, v12.timelineSemaphore)},
    {"synchronization2", offsetof(struct vk_features, v13.synchronization2)},
    /* The compiler writes the workgroup's size as LocalSizeId. */
    {"maintenance4", offsetof(struct vk_features, v13.maintenance4)},
};

void ingot_vk_features_link(struct vk_features *features)
{
    *features = (struct vk_features){
        .first = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &features->v12},
        .v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                .pNext = &features->v13},
        .v13 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES},
        .matrix = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR}};
}

const char *ingot_vk_features_missing(const struct vk_features *features)
{
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        const VkBool32 *on = (const VkBool32 *)((const char *)features + needed[i].offset);
        if (!*on) return needed[i].name;
    }
    return NULL;
}

void ingot_vk_features_names(char *names, size_t capacity)
{
    size_t n = 0;
    names[0] = '\0';
    for (size_t i = 0; i < sizeof needed / sizeof *needed && n < capacity; i++) {
        n += (size_t)snprintf(names + n, capacity - n, "%s%s", i ? " " : "", needed[i].name);
    }
}

void ingot_vk_features_require(struct vk_features *features)
{
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        *(VkBool32 *)((char *)features + needed[i].offset) = VK_TRUE;
    }
}

/* The device features that the backend uses: one table, for asking and for turning on. */
#ifndef INGOT_VULKAN_FEATURES_H
#define INGOT_VULKAN_FEATURES_H

#include <stddef.h>

#include "vulkan/cooperative.h"

struct vk_features {
    VkPhysicalDeviceFeatures2 first; /* what Vulkan is handed; the others hang on it */
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceVulkan13Features v13;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix; /* on the chain where it is turned on */
};

/* Clears *features and chains its structs. It must not move afterwards. */
void ingot_vk_features_link(struct vk_features *features);
/* The name of the first needed feature that is off, or NULL. */
const char *ingot_vk_features_missing(const struct vk_features *features);
/* Writes the names of the needed features, with spaces between. */
void ingot_vk_features_names(char *names, size_t capacity);
/* Turns exactly the needed features on. */
void ingot_vk_features_require(struct vk_features *features);

#endif

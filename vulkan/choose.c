/* Which Vulkan devices there are, what they lack, and which is best. Opens none. */
#include "vulkan/choose.h"

#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "vulkan/features.h"
#include "vulkan/ladder.h"

static const struct {
    VkPhysicalDeviceType type;
    const char *kind;
    uint32_t rank;
} kinds[] = {
    {VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, "discrete", 4},
    {VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, "integrated", 3},
    {VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU, "virtual", 2},
    {VK_PHYSICAL_DEVICE_TYPE_CPU, "software", 1},
};

static void set_kind(struct vk_candidate *candidate, VkPhysicalDeviceType type)
{
    /* A type that the table lacks is a device behind some layer. */
    const char *kind = "virtual";
    candidate->rank = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].type != type) continue;
        kind = kinds[i].kind;
        candidate->rank = kinds[i].rank;
    }
    snprintf(candidate->info.kind, sizeof candidate->info.kind, "%s", kind);
}

static void refuse(struct vk_candidate *candidate, const char *why)
{
    candidate->info.usable = false;
    snprintf(candidate->info.why_not, sizeof candidate->info.why_not, "%s", why);
}

static uint64_t largest_heap(const struct vk_instance *instance, VkPhysicalDevice handle)
{
    VkPhysicalDeviceMemoryProperties memory;
    instance->api.GetPhysicalDeviceMemoryProperties(handle, &memory);
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &memory.memoryHeaps[i];
        const bool local = (heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
        if (local && heap->size > n_bytes) n_bytes = heap->size;
    }
    return n_bytes;
}

static ingot_status find_queue(const struct vk_instance *instance, const ingot_allocator *allocator,
                               struct vk_candidate *candidate, ingot_error *error)
{
    uint32_t n = 0;
    instance->api.GetPhysicalDeviceQueueFamilyProperties(candidate->handle, &n, NULL);
    VkQueueFamilyProperties *families = ingot_allocate_zeroed(allocator, n, sizeof *families);
    if (!families) return ingot_fail_memory(error, n * sizeof *families, "Vulkan queue families");
    instance->api.GetPhysicalDeviceQueueFamilyProperties(candidate->handle, &n, families);
    const bool found = ingot_vk_queues_choose(families, n, &candidate->queues);
    if (!found) refuse(candidate, "no queue that computes");
    ingot_release(allocator, families);
    return INGOT_OK;
}

static ingot_status find_extensions(const struct vk_instance *instance,
                                    const ingot_allocator *allocator,
                                    struct vk_candidate *candidate, ingot_error *error)
{
    uint32_t n = 0;
    const struct vk_instance_api *const api = &instance->api;
    VkResult result = api->EnumerateDeviceExtensionProperties(candidate->handle, NULL, &n, NULL);
    if (result != VK_SUCCESS) return ingot_vk_fail(result, "Vulkan extensions", error);
    VkExtensionProperties *list = ingot_allocate_zeroed(allocator, n, sizeof *list);
    if (!list) return ingot_fail_memory(error, n * sizeof *list, "Vulkan extensions");
    result = api->EnumerateDeviceExtensionProperties(candidate->handle, NULL, &n, list);
    for (uint32_t i = 0; i < n && result >= VK_SUCCESS; i++) {
        if (strcmp(list[i].extensionName, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) == 0) {
            candidate->has_budget = true;
        }
    }
    ingot_release(allocator, list);
    return result < VK_SUCCESS ? ingot_vk_fail(result, "Vulkan extensions", error) : INGOT_OK;
}

static void set_uuid(ingot_device_info *info, const uint8_t uuid[VK_UUID_SIZE])
{
    char *at = info->uuid;
    for (uint32_t i = 0; i < VK_UUID_SIZE; i++) {
        const bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        at += snprintf(at, 4, "%s%02x", dash ? "-" : "", uuid[i]);
    }
}

static void check_features(const struct vk_instance *instance, struct vk_candidate *candidate)
{
    struct vk_features features;
    ingot_vk_features_link(&features);
    instance->api.GetPhysicalDeviceFeatures2(candidate->handle, &features.first);
    const char *const missing = ingot_vk_features_missing(&features);
    if (!missing) return;
    char why[sizeof candidate->info.why_not];
    snprintf(why, sizeof why, "the feature %s is missing", missing);
    refuse(candidate, why);
}

static ingot_status examine(const struct vk_instance *instance, const ingot_allocator *allocator,
                            struct vk_candidate *candidate, ingot_error *error)
{
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    ingot_device_info *info = &candidate->info;

    /* The version comes first: what a device may be asked depends on it. */
    instance->api.GetPhysicalDeviceProperties2(candidate->handle, &properties);
    const uint32_t version = properties.properties.apiVersion;
    set_kind(candidate, properties.properties.deviceType);
    snprintf(info->name, sizeof info->name, "%s", properties.properties.deviceName);
    info->memory_bytes = largest_heap(instance, candidate->handle);
    info->usable = true;
    if (version < VK_API_VERSION_1_3) {
        char why[sizeof info->why_not];
        snprintf(why, sizeof why, "offers Vulkan %u.%u, 1.3 is needed",
                 VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
        snprintf(info->driver, sizeof info->driver, "version %#x",
                 properties.properties.driverVersion);
        refuse(candidate, why);
        return INGOT_OK;
    }
    VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
    VkPhysicalDeviceSubgroupSizeControlProperties lanes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    id.pNext = &lanes;
    driver.pNext = &id;
    properties.pNext = &driver;
    instance->api.GetPhysicalDeviceProperties2(candidate->handle, &properties);
    snprintf(info->driver, sizeof info->driver, "%.120s %.120s", driver.driverName,
             driver.driverInfo);
    set_uuid(info, id.deviceUUID);
    const struct vk_identity identity = {properties.properties.vendorID, driver.driverID,
                                         lanes.minSubgroupSize};
    candidate->avoids = ingot_vk_quirks_find(&identity, info->avoids, sizeof info->avoids);
    struct vk_ladder ladder;
    ingot_vk_ladder_read(instance, candidate->handle, candidate->avoids, allocator, &ladder);
    ingot_vk_ladder_describe(&ladder, info->kernels, sizeof info->kernels);
    ingot_vk_features_names(info->features, sizeof info->features);
    check_features(instance, candidate);
    const ingot_status status = find_extensions(instance, allocator, candidate, error);
    if (status != INGOT_OK) return status;
    return find_queue(instance, allocator, candidate, error);
}

static bool better(const struct vk_candidate *a, const struct vk_candidate *b)
{
    if (a->info.usable != b->info.usable) return a->info.usable;
    if (a->rank != b->rank) return a->rank > b->rank;
    return a->info.memory_bytes > b->info.memory_bytes;
}

/* By insertion: stable, and there are few. */
static void sort(struct vk_candidate *candidates, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        const struct vk_candidate moved = candidates[i];
        uint32_t at = i;
        for (; at > 0 && better(&moved, &candidates[at - 1]); at--) {
            candidates[at] = candidates[at - 1];
        }
        candidates[at] = moved;
    }
}

ingot_status ingot_vk_candidates_list(const struct vk_instance *instance,
                                      const ingot_allocator *allocator,
                                      struct vk_candidate **candidates, uint32_t *n,
                                      ingot_error *error)
{
    ingot_status status = INGOT_OK;
    struct vk_candidate *list = NULL;
    VkPhysicalDevice *handles = NULL;
    uint32_t n_found = 0;

    VkResult result = instance->api.EnumeratePhysicalDevices(instance->handle, &n_found, NULL);
    if (result == VK_ERROR_INITIALIZATION_FAILED)
        n_found = 0; /* drivers, but no device */
    else if (result != VK_SUCCESS)
        return ingot_vk_fail(result, "Vulkan devices", error);
    if (n_found == 0) goto done;

    handles = ingot_allocate_zeroed(allocator, n_found, sizeof *handles);
    list = ingot_allocate_zeroed(allocator, n_found, sizeof *list);
    if (!handles || !list) {
        status = ingot_fail_memory(error, n_found * sizeof *list, "Vulkan devices");
        goto done;
    }
    /* VK_INCOMPLETE: a device came since they were counted; it is seen the next time. */
    result = instance->api.EnumeratePhysicalDevices(instance->handle, &n_found, handles);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        status = ingot_vk_fail(result, "Vulkan devices", error);
        goto done;
    }
    for (uint32_t i = 0; i < n_found; i++) {
        list[i].handle = handles[i];
        status = examine(instance, allocator, &list[i], error);
        if (status != INGOT_OK) goto done;
    }
    sort(list, n_found);
done:
    ingot_release(allocator, handles);
    if (status == INGOT_OK) {
        *candidates = list;
        *n = n_found;
    } else {
        ingot_release(allocator, list);
    }
    return status;
}

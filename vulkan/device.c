/* One open Vulkan device: its queue, its limits, and what is shared by all matrices on it.
 * Knows no matrix. */
#include "vulkan/device.h"

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/log.h"
#include "vulkan/choose.h"
#include "vulkan/features.h"
#include "vulkan/memory.h"
#include "vulkan/pipeline.h"
#include "vulkan/push.h"
#include "vulkan/scratch.h"
#include "vulkan/trial.h"

/* One allocation holds at most this: every index that a kernel computes within it fits 31 bits. */
static const uint64_t max_allocation_bytes = UINT64_C(1) << 30;
/* For the first submission: 10 ms on a device that visits 6e9 weights a second, or 1e8. */
static const uint64_t first_submit_weights = UINT64_C(1) << 26;
static const uint64_t first_short_submit_weights = UINT64_C(1) << 20;

ingot_status ingot_vk_device_fail(struct vk_device *device, VkResult result, const char *what,
                                  ingot_error *error)
{
    if (result != VK_ERROR_DEVICE_LOST) return ingot_vk_fail(result, what, error);
    /* Returns soon on a lost device; what is released from now on is in nobody's use. */
    if (!device->lost && device->api.DeviceWaitIdle) device->api.DeviceWaitIdle(device->handle);
    device->lost = true;
    return ingot_vk_device_check(device, error);
}

ingot_status ingot_vk_device_check(const struct vk_device *device, ingot_error *error)
{
    if (!device->lost) return INGOT_OK;
    return ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "Vulkan device",
                      "%.80s was lost; last dispatch: %s", device->info.name,
                      device->label[0] ? device->label : "none");
}

/* Sets everything that the physical device tells. */
static void read_limits(struct vk_device *device, const struct vk_candidate *candidate)
{
    const struct vk_instance_api *api = &device->instance.api;
    const struct vk_options *options = &device->instance.options;
    VkPhysicalDeviceMaintenance4Properties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES};
    VkPhysicalDeviceMaintenance3Properties allocations = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, .pNext = &sizes};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &allocations};
    api->GetPhysicalDeviceProperties2(candidate->handle, &properties);
    api->GetPhysicalDeviceMemoryProperties(candidate->handle, &device->memory);
    ingot_vk_ladder_read(&device->instance, candidate->handle, candidate->avoids, device->allocator,
                         &device->ladder);

    const VkPhysicalDeviceType type = properties.properties.deviceType;
    device->shares_memory =
        type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    device->maps_uploads =
        ingot_vk_heaps_map(&device->memory, device->shares_memory) && !options->stage_uploads;

    device->allocation_bytes = min_u64(
        min_u64(allocations.maxMemoryAllocationSize, sizes.maxBufferSize), max_allocation_bytes);
    if (options->allocation_bytes) {
        device->allocation_bytes = min_u64(device->allocation_bytes, options->allocation_bytes);
    }
    device->slab_bytes = options->slab_bytes
                             ? min_u64(options->slab_bytes, device->allocation_bytes)
                             : device->allocation_bytes;
    device->submit_weights = options->submit_weights                 ? options->submit_weights
                             : candidate->avoids & AVOID_LONG_STARTS ? first_short_submit_weights
                                                                     : first_submit_weights;
    device->submit_adapts = options->submit_weights == 0;
    const VkPhysicalDeviceLimits *limits = &properties.properties.limits;
    device->max_allocations = limits->maxMemoryAllocationCount;
    device->tick_nanoseconds = limits->timestampComputeAndGraphics ? limits->timestampPeriod : 0.0f;
    const uint32_t *groups = limits->maxComputeWorkGroupCount;
    device->max_groups = groups[0] < groups[1] ? groups[0] : groups[1];
    if (options->max_groups && options->max_groups < device->max_groups) {
        device->max_groups = options->max_groups;
    }
}

/* Finds the device and creates its handle and functions. */
static ingot_status create_handle(struct vk_device *device, const struct vk_candidate *candidate,
                                  ingot_error *error)
{
    const struct vk_instance_api *api = &device->instance.api;
    struct vk_features features;
    ingot_vk_features_link(&features);
    ingot_vk_features_require(&features);
    const float priorities[2] = {1.0f, 1.0f};
    VkDeviceQueueCreateInfo queues[2];
    const uint32_t n_families = ingot_vk_queues_describe(&device->queues, priorities, queues);
    ingot_vk_ladder_require(&device->ladder, &features);
    const char *extensions[2];
    uint32_t n_extensions = ingot_vk_ladder_extensions(&device->ladder, extensions);
    if (device->has_budget) extensions[n_extensions++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &features.first,
                                     .queueCreateInfoCount = n_families,
                                     .pQueueCreateInfos = queues,
                                     .enabledExtensionCount = n_extensions,
                                     .ppEnabledExtensionNames = extensions};
    const VkResult result = api->CreateDevice(candidate->handle, &info, NULL, &device->handle);
    if (result != VK_SUCCESS) {
        device->handle = VK_NULL_HANDLE;
        return ingot_vk_fail(result, "opening the Vulkan device", error);
    }
#define LOAD(name)                                                                         \
    device->api.name = (PFN_vk##name)api->GetDeviceProcAddr(device->handle, "vk" #name);   \
    if (!device->api.name || ingot_vk_is_lacking(&device->instance.options, "vk" #name)) { \
        return ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "Vulkan driver",           \
                          "has no function %s", "vk" #name);                               \
    }
    INGOT_VK_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    return INGOT_OK;
}

static VkResult create_layout(struct vk_device *device)
{
    const VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                       .size = sizeof(struct vk_push)};
    const VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                             .pushConstantRangeCount = 1,
                                             .pPushConstantRanges = &range};
    return device->api.CreatePipelineLayout(device->handle, &info, NULL, &device->layout);
}

/* Everything that follows from a candidate; what was made is closed with the device. */
static ingot_status open_candidate(struct vk_device *device, const struct vk_candidate *candidate,
                                   ingot_error *error)
{
    device->info = candidate->info;
    if (!candidate->info.usable) {
        return ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "Vulkan device",
                          "%.80s is not usable: %s", candidate->info.name, candidate->info.why_not);
    }
    device->queues = candidate->queues;
    device->physical = candidate->handle;
    device->has_budget = candidate->has_budget;
    device->avoids = candidate->avoids;
    read_limits(device, candidate);
    const ingot_status status = create_handle(device, candidate, error);
    if (status != INGOT_OK) return status;
    VkResult result = ingot_vk_queues_open(device);
    if (result == VK_SUCCESS) result = create_layout(device);
    if (result == VK_SUCCESS) return INGOT_OK;
    return ingot_vk_device_fail(device, result, "opening the Vulkan device", error);
}

ingot_status ingot_vk_device_open(uint32_t index, const struct vk_options *options,
                                  const ingot_allocator *allocator, struct vk_device **device,
                                  ingot_error *error)
{
    struct vk_candidate *candidates = NULL;
    uint32_t n = 0;
    struct vk_device *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    if (!made) return ingot_fail_memory(error, sizeof *made, "Vulkan device");
    made->allocator = allocator;

    ingot_status status = ingot_vk_instance_open(options, &made->instance, error);
    if (status == INGOT_OK) {
        status = ingot_vk_candidates_list(&made->instance, allocator, &candidates, &n, error);
    }
    if (status == INGOT_NOT_FOUND || (status == INGOT_OK && index >= n)) {
        status = ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "Vulkan device",
                            "there is no device %u, this machine has %u", index, n);
    }
    if (status != INGOT_OK) goto done;
    status = open_candidate(made, &candidates[index], error);
done:
    ingot_release(allocator, candidates);
    if (status == INGOT_OK) {
        *device = made;
    } else {
        ingot_vk_device_close(made);
    }
    return status;
}

/* Destroys what needs the device's functions. The destroying functions take null handles. */
static void close_objects(struct vk_device *device)
{
    const struct vk_device_api *api = &device->api;
    api->DeviceWaitIdle(device->handle);
    ingot_vk_trials_close(device);
    ingot_vk_pipelines_close(device);
    ingot_vk_scratch_close(device);
    for (uint32_t i = 0; i < N_SLOTS_UPLOAD; i++) {
        ingot_vk_block_close(device, device->slots[i].memory);
        device->slots[i] = (struct vk_slot){.memory = NULL};
    }
    ingot_vk_regions_drop(device);
    api->DestroyPipelineLayout(device->handle, device->layout, NULL);
    ingot_vk_queues_close(device);
    api->DestroyDevice(device->handle, NULL);
}

static void close_handle(struct vk_device *device)
{
    /* The last function of the list is there only when all are. */
    if (device->api.DeviceWaitIdle) {
        close_objects(device);
    } else if (device->api.DestroyDevice) {
        device->api.DestroyDevice(device->handle, NULL);
    }
    device->api = (struct vk_device_api){0};
    device->handle = VK_NULL_HANDLE;
    device->layout = VK_NULL_HANDLE;
    device->compute = (struct vk_commands){0};
}

ingot_status ingot_vk_device_renew(struct vk_device *device, ingot_error *error)
{
    const struct vk_candidate candidate = {.handle = device->physical,
                                           .queues = device->queues,
                                           .has_budget = device->has_budget,
                                           .avoids = device->avoids,
                                           .info = device->info};
    const uint64_t submit_weights = device->submit_weights;
    close_handle(device);
    device->next_slot = 0;
    device->generation++;
    device->lost = false;
    device->label[0] = '\0';
    const ingot_status status = open_candidate(device, &candidate, error);
    device->submit_weights = min_u64(device->submit_weights, max_u64(submit_weights / 2, 1));
    if (status == INGOT_OK) {
        ingot_log(device->allocator, INGOT_LOG_WARNING, "%s was lost and is opened anew",
                  device->info.name);
        return INGOT_OK;
    }
    close_handle(device);
    device->lost = true;
    return status;
}

void ingot_vk_device_close(struct vk_device *device)
{
    if (!device) return;
    close_handle(device);
    ingot_vk_instance_close(&device->instance);
    ingot_release(device->allocator, device);
}

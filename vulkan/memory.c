/* Device memory: blocks of it, and regions of shared blocks that hold weights. Knows no matrix. */
#include "vulkan/memory.h"

#include <assert.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/log.h"

static const uint64_t region_align = 256;
static const uint64_t least_shared_bytes = UINT64_C(64) << 20;

static const VkBufferUsageFlags usages[N_MEMORY_KINDS] = {
    [MEMORY_DEVICE] = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                      VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                      VK_BUFFER_USAGE_TRANSFER_DST_BIT,
    [MEMORY_SPILL] = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                     VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                     VK_BUFFER_USAGE_TRANSFER_DST_BIT,
    [MEMORY_HOST] = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
};

/* ------------------------------------------------------------------ what there is room for */

/* Within what a test allows, and what the heap has left. */
static bool has_room(const struct vk_device *device, enum vk_memory_kind kind, uint32_t type,
                     uint64_t n_bytes)
{
    const uint64_t allowed = device->instance.options.memory_bytes[kind];
    const uint64_t held = device->held_bytes[kind];
    if (allowed && (held >= allowed || n_bytes > allowed - held)) return false;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 now = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
    const uint32_t heap = device->memory.memoryTypes[type].heapIndex;
    if (device->has_budget) {
        device->instance.api.GetPhysicalDeviceMemoryProperties2(device->physical, &now);
    } else {
        budget.heapUsage[heap] = device->heap_bytes[heap];
    }
    return n_bytes <= ingot_vk_heaps_room(device->memory.memoryHeaps[heap].size,
                                          budget.heapBudget[heap], budget.heapUsage[heap]);
}

static VkResult allocate(struct vk_device *device, enum vk_memory_kind kind,
                         const VkMemoryRequirements *needs, struct vk_block *block)
{
    const VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                             .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    uint32_t types[VK_MAX_MEMORY_TYPES];
    const uint32_t n = ingot_vk_heaps_rank(&device->memory, kind, device->maps_uploads,
                                           needs->memoryTypeBits, types);
    VkResult result = n ? VK_ERROR_OUT_OF_DEVICE_MEMORY : VK_ERROR_FEATURE_NOT_PRESENT;
    if (device->n_allocations >= device->max_allocations) return VK_ERROR_TOO_MANY_OBJECTS;
    for (uint32_t i = 0; i < n; i++) {
        if (!has_room(device, kind, types[i], needs->size)) continue;
        const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                           .pNext = kind == MEMORY_HOST ? NULL : &flags,
                                           .allocationSize = needs->size,
                                           .memoryTypeIndex = types[i]};
        result = device->api.AllocateMemory(device->handle, &info, NULL, &block->memory);
        if (result == VK_SUCCESS) {
            block->type = types[i];
            block->allocated_bytes = needs->size;
            device->n_allocations++;
            device->held_bytes[kind] += needs->size;
            device->heap_bytes[device->memory.memoryTypes[types[i]].heapIndex] += needs->size;
            return VK_SUCCESS;
        }
        block->memory = VK_NULL_HANDLE;
        if (!ingot_vk_is_out_of_memory(result)) break;
    }
    return result;
}

/* ------------------------------------------------------------------ blocks */

static VkResult create_buffer(struct vk_device *device, enum vk_memory_kind kind,
                              struct vk_block *block)
{
    /* Weights come by one family and are read by the other: no owner changes hands. */
    const uint32_t families[2] = {device->queues.compute_family, device->queues.moving_family};
    const bool shared = kind != MEMORY_HOST && families[0] != families[1];
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                     .size = block->n_bytes,
                                     .usage = usages[kind],
                                     .sharingMode = shared ? VK_SHARING_MODE_CONCURRENT
                                                           : VK_SHARING_MODE_EXCLUSIVE,
                                     .queueFamilyIndexCount = shared ? 2 : 0,
                                     .pQueueFamilyIndices = families};
    return device->api.CreateBuffer(device->handle, &info, NULL, &block->buffer);
}

/* Memory behind the block's buffer, mapped when its type can be. */
static VkResult create_memory(struct vk_device *device, enum vk_memory_kind kind,
                              struct vk_block *block)
{
    VkMemoryRequirements needs;
    device->api.GetBufferMemoryRequirements(device->handle, block->buffer, &needs);
    VkResult result = allocate(device, kind, &needs, block);
    if (result != VK_SUCCESS) return result;
    result = device->api.BindBufferMemory(device->handle, block->buffer, block->memory, 0);
    if (result != VK_SUCCESS) return result;

    const VkMemoryPropertyFlags mappable =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags has = device->memory.memoryTypes[block->type].propertyFlags;
    const bool maps = kind == MEMORY_HOST || device->maps_uploads;
    if (maps && (has & mappable) == mappable) {
        void *mapped = NULL;
        result = device->api.MapMemory(device->handle, block->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
        if (result != VK_SUCCESS) return result;
        block->mapped = mapped;
        block->cached = (has & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
    }
    if (kind != MEMORY_HOST) {
        const VkBufferDeviceAddressInfo of = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                              .buffer = block->buffer};
        block->address = device->api.GetBufferDeviceAddress(device->handle, &of);
    }
    return VK_SUCCESS;
}

static ingot_status fail_block(struct vk_device *device, VkResult result, uint64_t n_bytes,
                               const char *what, ingot_error *error)
{
    if (result == VK_ERROR_DEVICE_LOST) return ingot_vk_device_fail(device, result, what, error);
    const bool memory = ingot_vk_is_out_of_memory(result);
    return ingot_fail(
        error, memory ? INGOT_NO_MEMORY : INGOT_DEVICE, INGOT_NO_OFFSET, what,
        "%llu bytes wanted; %llu are taken on the device, whose largest heap has "
        "%llu, and %llu in host memory: %s",
        (unsigned long long)n_bytes, (unsigned long long)device->held_bytes[MEMORY_DEVICE],
        (unsigned long long)device->info.memory_bytes,
        (unsigned long long)device->held_bytes[MEMORY_SPILL], ingot_vk_result_name(result));
}

ingot_status ingot_vk_block_open(struct vk_device *device, enum vk_memory_kind kind,
                                 uint64_t n_bytes, const char *what, struct vk_block **block,
                                 ingot_error *error)
{
    if (n_bytes > device->allocation_bytes) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, what,
                          "%llu bytes wanted in one piece, the device gives at most %llu",
                          (unsigned long long)n_bytes,
                          (unsigned long long)device->allocation_bytes);
    }
    struct vk_block *made = ingot_allocate_zeroed(device->allocator, 1, sizeof *made);
    if (!made) return ingot_fail_memory(error, sizeof *made, what);
    made->n_bytes = n_bytes;
    made->kind = kind;
    VkResult result = create_buffer(device, kind, made);
    if (result == VK_SUCCESS) result = create_memory(device, kind, made);
    if (result != VK_SUCCESS) {
        ingot_vk_block_close(device, made);
        return fail_block(device, result, n_bytes, what, error);
    }
    *block = made;
    return INGOT_OK;
}

/* What is gone from the device; its owner is still to close the block. */
static void drop(struct vk_device *device, struct vk_block *block)
{
    device->api.DestroyBuffer(device->handle, block->buffer, NULL);
    block->buffer = VK_NULL_HANDLE;
    if (!block->memory) return;
    device->api.FreeMemory(device->handle, block->memory, NULL); /* unmaps too */
    block->memory = VK_NULL_HANDLE;
    block->mapped = NULL;
    device->n_allocations--;
    device->held_bytes[block->kind] -= block->allocated_bytes;
    device->heap_bytes[device->memory.memoryTypes[block->type].heapIndex] -= block->allocated_bytes;
}

void ingot_vk_block_close(struct vk_device *device, struct vk_block *block)
{
    if (!block) return;
    if (block->buffer) drop(device, block);
    ingot_release(device->allocator, block);
}

ingot_status ingot_vk_block_open_spilling(struct vk_device *device, uint64_t n_bytes,
                                          const char *what, struct vk_block **block,
                                          ingot_error *error)
{
    ingot_status status = ingot_vk_block_open(device, MEMORY_DEVICE, n_bytes, what, block, error);
    if (status != INGOT_NO_MEMORY) return status;
    status = ingot_vk_block_open(device, MEMORY_SPILL, n_bytes, what, block, error);
    if (status == INGOT_OK && !device->has_spilled) {
        device->has_spilled = true;
        ingot_log(
            device->allocator, INGOT_LOG_WARNING,
            "%s: its memory is full with %llu bytes; more goes to host memory, which is slower",
            device->info.name, (unsigned long long)device->held_bytes[MEMORY_DEVICE]);
    }
    return status;
}

/* ------------------------------------------------------------------ regions */

/* The bytes of a region that starts behind what the block holds, or false. */
static bool place(const struct vk_block *block, uint64_t n_bytes, uint64_t *offset)
{
    uint64_t at = 0;
    if (!round_up_u64(block->used_bytes, region_align, &at)) return false;
    if (!range_within(at, n_bytes, block->n_bytes)) return false;
    *offset = at;
    return true;
}

/* Blocks grow with what is held, so that even a device full of small matrices has few. */
static uint64_t shared_bytes(const struct vk_device *device)
{
    const uint64_t held = device->held_bytes[MEMORY_DEVICE] / 8;
    return min_u64(max_u64(least_shared_bytes, held), device->allocation_bytes);
}

/* A large region gets a block of its own: sharing would waste what is left over. Where there is no
 * room for a shared block, there may be for the region. */
static ingot_status open_for_region(struct vk_device *device, uint64_t n_bytes, const char *what,
                                    struct vk_block **block, ingot_error *error)
{
    const uint64_t shared = shared_bytes(device);
    if (n_bytes <= shared / 4) {
        const ingot_status status =
            ingot_vk_block_open(device, MEMORY_DEVICE, shared, what, block, NULL);
        if (status == INGOT_OK) return INGOT_OK;
    }
    return ingot_vk_block_open_spilling(device, n_bytes, what, block, error);
}

ingot_status ingot_vk_region_take(struct vk_device *device, uint64_t n_bytes, const char *what,
                                  struct vk_region *region, ingot_error *error)
{
    uint64_t offset = 0;
    struct vk_block *block = device->blocks;
    while (block && !place(block, n_bytes, &offset)) block = block->next;
    if (!block) {
        const ingot_status status = open_for_region(device, n_bytes, what, &block, error);
        if (status != INGOT_OK) return status;
        block->next = device->blocks;
        device->blocks = block;
        offset = 0;
    }
    block->used_bytes = offset + n_bytes;
    block->n_regions++;
    *region = (struct vk_region){block, offset, n_bytes};
    return INGOT_OK;
}

void ingot_vk_region_release(struct vk_device *device, struct vk_region *region)
{
    struct vk_block *const block = region->block;
    *region = (struct vk_region){0};
    if (!block || --block->n_regions > 0) return;
    struct vk_block **link = &device->blocks;
    while (*link != block) link = &(*link)->next;
    *link = block->next;
    ingot_vk_block_close(device, block);
}

void ingot_vk_regions_drop(struct vk_device *device)
{
    for (struct vk_block *block = device->blocks; block; block = block->next) {
        drop(device, block);
        block->n_bytes = 0; /* nothing finds room in it */
    }
}

VkDeviceAddress ingot_vk_region_address(const struct vk_region *region)
{
    assert(region->block);
    return region->block->address + region->offset;
}

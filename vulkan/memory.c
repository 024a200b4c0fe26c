/* Device memory: blocks of it, and regions of shared blocks that hold weights. Knows no matrix. */
#include "vulkan/memory.h"

#include <assert.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

static const uint64_t region_align = 256;
static const uint64_t shared_block_bytes = UINT64_C(64) << 20;

static const struct {
    VkBufferUsageFlags usage;
    VkMemoryPropertyFlags required;
    VkMemoryPropertyFlags wanted;        /* the more of these the better */
    VkMemoryPropertyFlags wanted_shared; /* also, where the device's memory is the host's */
    bool largest_heap_first;             /* else the wanted flags decide first */
} kinds[N_MEMORY_KINDS] = {
    [MEMORY_DEVICE] = {.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                                VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                       .required = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                       .wanted_shared = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                       .largest_heap_first = true},
    /* Cached, because results are read from it; every device has a coherent type. */
    [MEMORY_HOST] = {.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                     .required =
                         VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                     .wanted = VK_MEMORY_PROPERTY_HOST_CACHED_BIT},
};

static uint32_t count_flags(VkMemoryPropertyFlags flags)
{
    uint32_t n = 0;
    for (; flags; flags &= flags - 1) n++;
    return n;
}

/* The best memory type among type_bits for a kind, or UINT32_MAX; the driver's order decides
 * between equals. */
static uint32_t choose_type(const struct vk_device *device, enum vk_memory_kind kind,
                            uint32_t type_bits)
{
    const VkMemoryPropertyFlags wanted =
        kinds[kind].wanted | (device->shares_memory ? kinds[kind].wanted_shared : 0);
    uint32_t best = UINT32_MAX;
    uint32_t best_wanted = 0;
    uint64_t best_heap = 0;
    for (uint32_t i = 0; i < device->memory.memoryTypeCount; i++) {
        const VkMemoryType *type = &device->memory.memoryTypes[i];
        const bool fits = (type_bits >> i & 1) != 0;
        if (!fits || (type->propertyFlags & kinds[kind].required) != kinds[kind].required) continue;
        const uint64_t heap = device->memory.memoryHeaps[type->heapIndex].size;
        const uint32_t n_wanted = count_flags(type->propertyFlags & wanted);
        const bool larger = heap > best_heap;
        const bool same_heap = heap == best_heap;
        const bool more = n_wanted > best_wanted;
        const bool same_wanted = n_wanted == best_wanted;
        const bool better = kinds[kind].largest_heap_first ? larger || (same_heap && more)
                                                           : more || (same_wanted && larger);
        if (best != UINT32_MAX && !better) continue;
        best = i;
        best_wanted = n_wanted;
        best_heap = heap;
    }
    return best;
}

static VkResult create_buffer(struct vk_device *device, enum vk_memory_kind kind,
                              struct vk_block *block)
{
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                     .size = block->n_bytes,
                                     .usage = kinds[kind].usage,
                                     .sharingMode = VK_SHARING_MODE_EXCLUSIVE};
    return device->api.CreateBuffer(device->handle, &info, NULL, &block->buffer);
}

/* Memory behind the block's buffer, mapped when its type can be. */
static VkResult create_memory(struct vk_device *device, enum vk_memory_kind kind,
                              struct vk_block *block)
{
    VkMemoryRequirements needs;
    device->api.GetBufferMemoryRequirements(device->handle, block->buffer, &needs);
    const uint32_t type = choose_type(device, kind, needs.memoryTypeBits);
    if (type == UINT32_MAX) return VK_ERROR_FEATURE_NOT_PRESENT;

    const bool addressed = (kinds[kind].usage & VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT) != 0;
    const VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                             .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                       .pNext = addressed ? &flags : NULL,
                                       .allocationSize = needs.size,
                                       .memoryTypeIndex = type};
    VkResult result = device->api.AllocateMemory(device->handle, &info, NULL, &block->memory);
    if (result != VK_SUCCESS) return result;
    result = device->api.BindBufferMemory(device->handle, block->buffer, block->memory, 0);
    if (result != VK_SUCCESS) return result;

    const VkMemoryPropertyFlags mappable =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags has = device->memory.memoryTypes[type].propertyFlags;
    const bool maps = kind == MEMORY_HOST || device->maps_uploads;
    if (maps && (has & mappable) == mappable) {
        void *mapped = NULL;
        result = device->api.MapMemory(device->handle, block->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
        if (result != VK_SUCCESS) return result;
        block->mapped = mapped;
    }
    if (addressed) {
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
    const bool memory =
        result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return ingot_fail(error, memory ? INGOT_NO_MEMORY : INGOT_DEVICE, INGOT_NO_OFFSET, what,
                      "%llu bytes wanted, the largest device-local heap has %llu: %s",
                      (unsigned long long)n_bytes, (unsigned long long)device->info.memory_bytes,
                      ingot_vk_result_name(result));
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
    VkResult result = create_buffer(device, kind, made);
    if (result == VK_SUCCESS) result = create_memory(device, kind, made);
    if (result != VK_SUCCESS) {
        ingot_vk_block_close(device, made);
        return fail_block(device, result, n_bytes, what, error);
    }
    *block = made;
    return INGOT_OK;
}

void ingot_vk_block_close(struct vk_device *device, struct vk_block *block)
{
    if (!block) return;
    device->api.DestroyBuffer(device->handle, block->buffer, NULL);
    device->api.FreeMemory(device->handle, block->memory, NULL); /* unmaps too */
    ingot_release(device->allocator, block);
}

/* The bytes of a region that starts behind what the block holds, or false. */
static bool place(const struct vk_block *block, uint64_t n_bytes, uint64_t *offset)
{
    uint64_t at = 0;
    if (!round_up_u64(block->used_bytes, region_align, &at)) return false;
    if (!range_within(at, n_bytes, block->n_bytes)) return false;
    *offset = at;
    return true;
}

ingot_status ingot_vk_region_take(struct vk_device *device, uint64_t n_bytes, const char *what,
                                  struct vk_region *region, ingot_error *error)
{
    uint64_t offset = 0;
    struct vk_block *block = device->blocks;
    while (block && !place(block, n_bytes, &offset)) block = block->next;
    if (!block) {
        /* A large region gets a block of its own: sharing would waste what is left over. */
        const uint64_t shared_bytes = min_u64(shared_block_bytes, device->allocation_bytes);
        const uint64_t block_bytes = n_bytes > shared_bytes / 4 ? n_bytes : shared_bytes;
        const ingot_status status =
            ingot_vk_block_open(device, MEMORY_DEVICE, block_bytes, what, &block, error);
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

VkDeviceAddress ingot_vk_region_address(const struct vk_region *region)
{
    assert(region->block);
    return region->block->address + region->offset;
}

/* Which memory of a device is for what, and how much of it there is. */
#include "vulkan/heaps.h"

#include "format/bytes.h"

static const uint64_t most_reserve_bytes = UINT64_C(256) << 20;
static const VkMemoryPropertyFlags mapped =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

static const struct {
    VkMemoryPropertyFlags required;
    VkMemoryPropertyFlags wanted;        /* the more of these the better */
    VkMemoryPropertyFlags wanted_mapped; /* also, where uploads are written straight to it */
    VkMemoryPropertyFlags unwanted;
    bool largest_heap_first; /* else the flags decide first */
} kinds[N_MEMORY_KINDS] = {
    [MEMORY_DEVICE] = {.required = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                       .wanted_mapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                       .largest_heap_first = true},
    [MEMORY_SPILL] = {.required = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                  VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                      .unwanted = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT},
    /* Cached, because results are read from it; every device has a coherent type. */
    [MEMORY_HOST] = {.required =
                         VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                     .wanted = VK_MEMORY_PROPERTY_HOST_CACHED_BIT},
};

static uint64_t largest_local_heap(const VkPhysicalDeviceMemoryProperties *memory)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++) {
        if (!(memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)) continue;
        n_bytes = max_u64(n_bytes, memory->memoryHeaps[i].size);
    }
    return n_bytes;
}

bool ingot_vk_heaps_map(const VkPhysicalDeviceMemoryProperties *memory, bool shares)
{
    const uint64_t largest = largest_local_heap(memory);
    const VkMemoryPropertyFlags both = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | mapped;
    for (uint32_t i = 0; i < memory->memoryTypeCount && !shares; i++) {
        const VkMemoryType *const type = &memory->memoryTypes[i];
        if ((type->propertyFlags & both) != both) continue;
        shares = memory->memoryHeaps[type->heapIndex].size == largest;
    }
    return shares;
}

static int32_t count_flags(VkMemoryPropertyFlags flags)
{
    int32_t n = 0;
    for (; flags; flags &= flags - 1) n++;
    return n;
}

struct ranked {
    uint32_t type;
    uint32_t heap;
    int32_t flags; /* wanted less unwanted ones */
    uint64_t heap_bytes;
};

static bool better(const struct ranked *a, const struct ranked *b, bool largest_heap_first)
{
    const bool by_heap = a->heap_bytes != b->heap_bytes;
    const bool by_flags = a->flags != b->flags;
    if (by_heap && (largest_heap_first || !by_flags)) return a->heap_bytes > b->heap_bytes;
    return by_flags && a->flags > b->flags; /* else the driver's order decides */
}

/* By insertion, behind what is as good. */
static void insert(struct ranked *list, uint32_t n, const struct ranked *one, bool heap_first)
{
    for (; n > 0 && better(one, &list[n - 1], heap_first); n--) list[n] = list[n - 1];
    list[n] = *one;
}

uint32_t ingot_vk_heaps_rank(const VkPhysicalDeviceMemoryProperties *memory,
                             enum vk_memory_kind kind, bool maps, uint32_t type_bits,
                             uint32_t types[VK_MAX_MEMORY_TYPES])
{
    struct ranked list[VK_MAX_MEMORY_TYPES];
    const VkMemoryPropertyFlags wanted =
        kinds[kind].wanted | (maps ? kinds[kind].wanted_mapped : 0);
    const uint64_t least = kinds[kind].largest_heap_first ? largest_local_heap(memory) / 8 : 0;
    uint32_t n = 0, n_heaps = 0;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        const VkMemoryType *const type = &memory->memoryTypes[i];
        const uint64_t heap_bytes = memory->memoryHeaps[type->heapIndex].size;
        const VkMemoryPropertyFlags has = type->propertyFlags;
        if (!(type_bits >> i & 1) || heap_bytes < least) continue;
        if ((has & kinds[kind].required) != kinds[kind].required) continue;
        const struct ranked one = {
            i, type->heapIndex, count_flags(has & wanted) - count_flags(has & kinds[kind].unwanted),
            heap_bytes};
        insert(list, n++, &one, kinds[kind].largest_heap_first);
    }
    uint32_t seen = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (seen >> list[i].heap & 1) continue;
        seen |= 1u << list[i].heap;
        types[n_heaps++] = list[i].type;
    }
    return n_heaps;
}

uint64_t ingot_vk_heaps_room(uint64_t heap_bytes, uint64_t budget_bytes, uint64_t used_bytes)
{
    const uint64_t budget =
        budget_bytes ? min_u64(budget_bytes, heap_bytes) : heap_bytes - heap_bytes / 5;
    const uint64_t taken = used_bytes + min_u64(heap_bytes / 20, most_reserve_bytes);
    return budget > taken ? budget - taken : 0;
}

/* The rungs of a device: ways to multiply, from f32 arithmetic to matrix units. */
#include "vulkan/ladder.h"

#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "vulkan/quirks.h"
#include "vulkan/shaders/constants.glsl"

static const char *const matrix_extension = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;

static bool has_extension(const struct vk_instance *instance, VkPhysicalDevice handle,
                          const ingot_allocator *allocator, const char *name)
{
    uint32_t n = 0;
    bool found = false;
    if (instance->api.EnumerateDeviceExtensionProperties(handle, NULL, &n, NULL) != VK_SUCCESS) {
        return false;
    }
    VkExtensionProperties *list = ingot_allocate_zeroed(allocator, (uint64_t)n + 1, sizeof *list);
    if (list &&
        instance->api.EnumerateDeviceExtensionProperties(handle, NULL, &n, list) >= VK_SUCCESS) {
        for (uint32_t i = 0; i < n; i++) found = found || strcmp(list[i].extensionName, name) == 0;
    }
    ingot_release(allocator, list);
    return found;
}

/* f16 times f16 to f32 by a subgroup, in tiles that the blocks of the kernel are whole numbers of.
 */
static bool is_usable(const VkCooperativeMatrixPropertiesKHR *p)
{
    return p->scope == VK_SCOPE_SUBGROUP_KHR && p->AType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
           p->BType == VK_COMPONENT_TYPE_FLOAT16_KHR && p->CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
           p->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR && !p->saturatingAccumulation &&
           p->KSize >= 8 && MATRIX_COLS % p->KSize == 0 && p->MSize % 8 == 0 && p->MSize <= 16 &&
           p->NSize % 8 == 0 && p->NSize <= 16;
}

/* The usable tile of most products. */
static void read_tiles(const struct vk_instance *instance, VkPhysicalDevice handle,
                       const ingot_allocator *allocator, struct vk_ladder *ladder)
{
    uint32_t n = 0;
    const PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)instance->get(
            instance->handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    if (!get || get(handle, &n, NULL) != VK_SUCCESS) return;
    VkCooperativeMatrixPropertiesKHR *list =
        ingot_allocate_zeroed(allocator, (uint64_t)n + 1, sizeof *list);
    if (!list) return;
    for (uint32_t i = 0; i < n; i++) {
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    }
    if (get(handle, &n, list) < VK_SUCCESS) n = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t size = list[i].MSize * list[i].NSize * list[i].KSize;
        if (!is_usable(&list[i]) || size <= ladder->tile_m * ladder->tile_n * ladder->tile_k) {
            continue;
        }
        ladder->tile_m = list[i].MSize;
        ladder->tile_n = list[i].NSize;
        ladder->tile_k = list[i].KSize;
    }
    ingot_release(allocator, list);
}

struct answers {
    struct vk_features features;
    VkPhysicalDeviceSubgroupSizeControlProperties sizes;
    VkPhysicalDeviceShaderIntegerDotProductProperties dots;
    VkPhysicalDeviceSubgroupProperties subgroups;
    VkPhysicalDeviceProperties2 all;
};

static void ask(const struct vk_instance *instance, VkPhysicalDevice handle, struct answers *a)
{
    ingot_vk_features_link(&a->features);
    instance->api.GetPhysicalDeviceFeatures2(handle, &a->features.first);
    a->sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES;
    a->dots.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES;
    a->subgroups.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
    a->all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    a->dots.pNext = &a->sizes;
    a->subgroups.pNext = &a->dots;
    a->all.pNext = &a->subgroups;
    instance->api.GetPhysicalDeviceProperties2(handle, &a->all);
}

/* Whether kernels can have subgroups of the device's usual size, all of them full. */
static bool has_full_subgroups(const struct answers *a)
{
    const uint32_t n = a->subgroups.subgroupSize;
    return a->features.v13.subgroupSizeControl && a->features.v13.computeFullSubgroups &&
           a->features.v12.vulkanMemoryModel && a->features.v12.vulkanMemoryModelDeviceScope &&
           (a->sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
           n >= a->sizes.minSubgroupSize && n <= a->sizes.maxSubgroupSize && n >= 4 && n <= 64;
}

void ingot_vk_ladder_read(const struct vk_instance *instance, VkPhysicalDevice handle,
                          uint32_t avoids, const ingot_allocator *allocator,
                          struct vk_ladder *ladder)
{
    struct answers a = {.all = {0}};
    ask(instance, handle, &a);
    const VkPhysicalDeviceProperties *properties = &a.all.properties;
    const bool is_software = properties->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    *ladder = (struct vk_ladder){.has = 1u << RUNG_F32,
                                 .subgroup_size = a.subgroups.subgroupSize,
                                 .shared_bytes = properties->limits.maxComputeSharedMemorySize};
    uint32_t fast = 1u << RUNG_F32;
    if (a.features.v12.shaderFloat16) {
        ladder->has |= 1u << RUNG_HALF;
        /* There is nothing to ask for its speed; a CPU has to convert. */
        if (!is_software) fast |= 1u << RUNG_HALF;
    }
    if (a.features.v13.shaderIntegerDotProduct) {
        ladder->has |= 1u << RUNG_DOT;
        if (a.dots.integerDotProduct4x8BitPackedSignedAccelerated) fast |= 1u << RUNG_DOT;
    }
    if (a.features.v12.shaderFloat16 && has_full_subgroups(&a) &&
        properties->limits.maxComputeWorkGroupInvocations >= 8 * ladder->subgroup_size &&
        has_extension(instance, handle, allocator, matrix_extension)) {
        read_tiles(instance, handle, allocator, ladder);
        if (ladder->tile_k > 0) ladder->has |= 1u << RUNG_MATRIX;
        if (ladder->tile_k > 0 && !is_software) fast |= 1u << RUNG_MATRIX;
    }
    if (avoids & AVOID_INTEGER_DOTS) fast &= ~(1u << RUNG_DOT);
    if (avoids & AVOID_MATRIX_UNITS) fast &= ~(1u << RUNG_MATRIX);
    const uint32_t asked = instance->options.rungs;
    ladder->takes = ladder->has & (asked ? asked | 1u << RUNG_F32 : fast);
}

void ingot_vk_ladder_require(const struct vk_ladder *ladder, struct vk_features *features)
{
    const bool matrix = ladder->takes >> RUNG_MATRIX & 1;
    if (matrix || ladder->takes >> RUNG_HALF & 1) features->v12.shaderFloat16 = VK_TRUE;
    if (ladder->takes >> RUNG_DOT & 1) features->v13.shaderIntegerDotProduct = VK_TRUE;
    if (!matrix) return;
    features->v12.vulkanMemoryModel = VK_TRUE;
    features->v12.vulkanMemoryModelDeviceScope = VK_TRUE;
    features->v13.subgroupSizeControl = VK_TRUE;
    features->v13.computeFullSubgroups = VK_TRUE;
    features->matrix.cooperativeMatrix = VK_TRUE;
    features->v13.pNext = &features->matrix;
}

uint32_t ingot_vk_ladder_extensions(const struct vk_ladder *ladder, const char **names)
{
    if (!(ladder->takes >> RUNG_MATRIX & 1)) return 0;
    *names = matrix_extension;
    return 1;
}

void ingot_vk_ladder_describe(const struct vk_ladder *ladder, char *text, size_t capacity)
{
    static const char *const names[N_RUNGS] = {
        [RUNG_F32] = "f32",
        [RUNG_HALF] = "packed f16",
        [RUNG_DOT] = "8-bit integer dot products",
        [RUNG_MATRIX] = "matrix units",
    };
    size_t n = 0;
    text[0] = '\0';
    for (uint32_t i = N_RUNGS; i-- > 0;) {
        if (!(ladder->takes >> i & 1) || n >= capacity) continue;
        n += (size_t)snprintf(text + n, capacity - n, "%s%s", n ? ", " : "", names[i]);
        if (i != RUNG_MATRIX || n >= capacity) continue;
        n += (size_t)snprintf(text + n, capacity - n, " %ux%ux%u", ladder->tile_m, ladder->tile_n,
                              ladder->tile_k);
    }
}

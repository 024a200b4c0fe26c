/* A device whose kernels reach memory through descriptors, as vulkan/shaders/memory.glsl has them
 * with BY_DESCRIPTORS: synchronization validation sees what they read and write, which it does not
 * see of addresses. Passes, submissions and barriers are the library's: some functions of Vulkan
 * are replaced below it. */
#ifndef INGOT_TESTS_VULKAN_DESCRIPTORS_H
#define INGOT_TESTS_VULKAN_DESCRIPTORS_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "vulkan/memory.h"
#include "vulkan/push.h"
#include "vulkan/shaders.h"

/* The kernels that the build made with BY_DESCRIPTORS. */
extern const struct vk_shader descriptor_shaders[];
extern const uint32_t n_descriptor_shaders;

enum { N_ADDRESSES = 5, MAX_SETS = 1024, MAX_KERNELS = 128 };
_Static_assert(offsetof(struct vk_push, factors) == (N_ADDRESSES - 1) * sizeof(VkDeviceAddress),
               "push constants begin with the addresses");

/* Functions of Vulkan that only this needs. */
#define DESCRIPTOR_FUNCTIONS(X)   \
    X(CreateDescriptorSetLayout)  \
    X(DestroyDescriptorSetLayout) \
    X(CreateDescriptorPool)       \
    X(DestroyDescriptorPool)      \
    X(ResetDescriptorPool)        \
    X(AllocateDescriptorSets)     \
    X(UpdateDescriptorSets)       \
    X(CmdBindDescriptorSets)

/* Of the one device at a time: functions of Vulkan are given no context. */
struct descriptors {
    struct vk_device *device;
    struct vk_device_api real;
#define MEMBER(name) PFN_vk##name name;
    DESCRIPTOR_FUNCTIONS(MEMBER)
#undef MEMBER
    VkDescriptorSetLayout layout;
    VkDescriptorPool pool;
    VkResult result;           /* the first failure of what has no result to return */
    uint32_t n_barriers;       /* recorded since `left_out` was set */
    uint32_t left_out;         /* the barrier that is not recorded, counted from 1; 0: none */
    bool is_used[MAX_KERNELS]; /* by number of descriptor_shaders */
};
static struct descriptors descriptors;

static inline void descriptors_note(VkResult result)
{
    if (descriptors.result == VK_SUCCESS) descriptors.result = result;
}

/* ------------------------------------------------------------------ what is replaced */

static VKAPI_ATTR VkResult VKAPI_CALL
descriptors_create_module(VkDevice handle, const VkShaderModuleCreateInfo *info,
                          const VkAllocationCallbacks *allocation, VkShaderModule *module)
{
    VkShaderModuleCreateInfo replaced = *info;
    const char *name = "";
    for (uint32_t i = 0; i < ingot_vk_n_shaders; i++) {
        if (ingot_vk_shaders[i].words == info->pCode) name = ingot_vk_shaders[i].name;
    }
    for (uint32_t i = 0; i < n_descriptor_shaders; i++) {
        const struct vk_shader *const shader = &descriptor_shaders[i];
        if (strcmp(shader->name, name) != 0) continue;
        replaced.pCode = shader->words;
        replaced.codeSize = shader->n_bytes;
        descriptors.is_used[i] = true;
        return descriptors.real.CreateShaderModule(handle, &replaced, allocation, module);
    }
    return VK_ERROR_FEATURE_NOT_PRESENT;
}

/* The block that an address lies in. */
static inline const struct vk_block *descriptors_find(VkDeviceAddress address)
{
    const struct vk_device *const device = descriptors.device;
    for (const struct vk_block *block = device->blocks; block; block = block->next) {
        if (address - block->address < block->n_bytes) return block;
    }
    for (uint32_t v = 0; v < N_VECTORS; v++) {
        const struct vk_block *const block = device->scratch.vectors[v];
        if (block && address - block->address < block->n_bytes) return block;
    }
    return NULL;
}

/* From a multiple of 256 bytes on, as every device allows, and within what a descriptor may reach
 * on every device; results end where those of a pass do, so that passes beside each other are not
 * taken for passes over each other. *address becomes how many bytes of the range lie before it. */
static inline VkDescriptorBufferInfo descriptors_range(const struct vk_push *push, uint32_t i,
                                                       VkDeviceAddress *address)
{
    const struct vk_block *const block = descriptors_find(*address);
    const uint64_t most = UINT64_C(1) << 27;
    if (!block) {
        descriptors_note(VK_ERROR_UNKNOWN);
        return (VkDescriptorBufferInfo){.buffer = VK_NULL_HANDLE};
    }
    const uint64_t offset = *address - block->address;
    const uint64_t first = offset / 256 * 256;
    const uint64_t n_floats = max_u64((uint64_t)push->n_vectors * push->y_stride,
                                      (uint64_t)push->n_slices * push->slice_stride);
    uint64_t end = block->n_bytes;
    if (i == offsetof(struct vk_push, y) / sizeof *address && n_floats > 0) {
        end = min_u64(end, offset + n_floats * sizeof(float));
    }
    *address = offset - first;
    return (VkDescriptorBufferInfo){block->buffer, first, min_u64(end - first, most)};
}

static inline void descriptors_bind(VkCommandBuffer buffer, VkPipelineLayout layout,
                                    VkDeviceAddress addresses[N_ADDRESSES],
                                    const struct vk_push *push)
{
    VkDescriptorSet set = VK_NULL_HANDLE;
    const VkDescriptorSetAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                              .descriptorPool = descriptors.pool,
                                              .descriptorSetCount = 1,
                                              .pSetLayouts = &descriptors.layout};
    const VkDevice handle = descriptors.device->handle;
    const VkResult result = descriptors.AllocateDescriptorSets(handle, &info, &set);
    descriptors_note(result);
    if (result != VK_SUCCESS) return;
    for (uint32_t i = 0; i < N_ADDRESSES; i++) {
        if (addresses[i] == 0) continue;
        const VkDescriptorBufferInfo range = descriptors_range(push, i, &addresses[i]);
        const VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                            .dstSet = set,
                                            .dstBinding = i,
                                            .descriptorCount = 1,
                                            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                            .pBufferInfo = &range};
        if (range.buffer) descriptors.UpdateDescriptorSets(handle, 1, &write, 0, NULL);
    }
    descriptors.CmdBindDescriptorSets(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0,
                                      NULL);
}

static VKAPI_ATTR void VKAPI_CALL descriptors_push(VkCommandBuffer buffer, VkPipelineLayout layout,
                                                   VkShaderStageFlags stages, uint32_t offset,
                                                   uint32_t n_bytes, const void *values)
{
    struct vk_push push;
    VkDeviceAddress addresses[N_ADDRESSES];
    memcpy(&push, values, sizeof push);
    memcpy(addresses, values, sizeof addresses);
    descriptors_bind(buffer, layout, addresses, &push);
    memcpy(&push, addresses, sizeof addresses);
    descriptors.real.CmdPushConstants(buffer, layout, stages, offset, n_bytes, &push);
}

/* The library waits for what it recorded before it begins anew. */
static VKAPI_ATTR VkResult VKAPI_CALL descriptors_begin(VkCommandBuffer buffer,
                                                        const VkCommandBufferBeginInfo *info)
{
    const struct vk_device *const device = descriptors.device;
    if (buffer == device->compute.buffer) {
        descriptors_note(descriptors.ResetDescriptorPool(device->handle, descriptors.pool, 0));
    }
    return descriptors.real.BeginCommandBuffer(buffer, info);
}

static VKAPI_ATTR void VKAPI_CALL descriptors_barrier(VkCommandBuffer buffer,
                                                      const VkDependencyInfo *info)
{
    if (++descriptors.n_barriers == descriptors.left_out) return;
    descriptors.real.CmdPipelineBarrier2(buffer, info);
}

/* ------------------------------------------------------------------ opening and closing */

static inline VkResult descriptors_create(struct vk_device *device)
{
    VkDescriptorSetLayoutBinding bindings[N_ADDRESSES];
    for (uint32_t i = 0; i < N_ADDRESSES; i++) {
        bindings[i] =
            (VkDescriptorSetLayoutBinding){.binding = i,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .descriptorCount = 1,
                                           .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    }
    const VkDescriptorSetLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = N_ADDRESSES,
        .pBindings = bindings};
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, MAX_SETS * N_ADDRESSES};
    const VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                             .maxSets = MAX_SETS,
                                             .poolSizeCount = 1,
                                             .pPoolSizes = &size};
    VkResult result =
        descriptors.CreateDescriptorSetLayout(device->handle, &layout, NULL, &descriptors.layout);
    if (result != VK_SUCCESS) return result;
    result = descriptors.CreateDescriptorPool(device->handle, &pool, NULL, &descriptors.pool);
    if (result != VK_SUCCESS) return result;
    const VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                       .size = sizeof(struct vk_push)};
    const VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                             .setLayoutCount = 1,
                                             .pSetLayouts = &descriptors.layout,
                                             .pushConstantRangeCount = 1,
                                             .pPushConstantRanges = &range};
    device->api.DestroyPipelineLayout(device->handle, device->layout, NULL);
    device->layout = VK_NULL_HANDLE;
    return device->api.CreatePipelineLayout(device->handle, &info, NULL, &device->layout);
}

/* Of a device that was just opened. Closed with descriptors_close alone, also after a failure. */
static inline VkResult descriptors_open(struct vk_device *device)
{
    descriptors = (struct descriptors){.device = device, .real = device->api};
    if (n_descriptor_shaders > MAX_KERNELS) return VK_ERROR_TOO_MANY_OBJECTS;
#define LOAD(name)                                                                        \
    descriptors.name =                                                                    \
        (PFN_vk##name)device->instance.api.GetDeviceProcAddr(device->handle, "vk" #name); \
    if (!descriptors.name) return VK_ERROR_EXTENSION_NOT_PRESENT;
    DESCRIPTOR_FUNCTIONS(LOAD)
#undef LOAD
    device->api.CreateShaderModule = descriptors_create_module;
    device->api.CmdPushConstants = descriptors_push;
    device->api.BeginCommandBuffer = descriptors_begin;
    device->api.CmdPipelineBarrier2 = descriptors_barrier;
    return descriptors_create(device);
}

/* Closes the device, too. */
static inline void descriptors_close(void)
{
    struct vk_device *const device = descriptors.device;
    device->api.DeviceWaitIdle(device->handle);
    descriptors.DestroyDescriptorPool(device->handle, descriptors.pool, NULL);
    descriptors.DestroyDescriptorSetLayout(device->handle, descriptors.layout, NULL);
    ingot_vk_device_close(device);
}

#endif

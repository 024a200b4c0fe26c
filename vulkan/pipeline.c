/* Compute pipelines, made when first asked for and kept until the device is closed. */
#include "vulkan/pipeline.h"

#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "vulkan/shaders.h"

struct vk_pipeline {
    struct vk_kernel kernel;
    VkPipeline handle;
    struct vk_pipeline *next;
};

static const struct vk_shader *find_shader(const char *name)
{
    for (uint32_t i = 0; i < ingot_vk_n_shaders; i++) {
        if (strcmp(ingot_vk_shaders[i].name, name) == 0) return &ingot_vk_shaders[i];
    }
    return NULL;
}

static bool same_kernel(const struct vk_kernel *a, const struct vk_kernel *b)
{
    return strcmp(a->shader, b->shader) == 0 && a->subgroup_size == b->subgroup_size &&
           memcmp(a->specs, b->specs, sizeof a->specs) == 0;
}

bool ingot_vk_pipeline_exists(const struct vk_kernel *kernel)
{
    return find_shader(kernel->shader) != NULL;
}

static VkResult create(struct vk_device *device, const struct vk_kernel *kernel,
                       const struct vk_shader *shader, VkPipeline *pipeline)
{
    VkSpecializationMapEntry entries[N_SPECS];
    for (uint32_t i = 0; i < N_SPECS; i++) {
        entries[i] =
            (VkSpecializationMapEntry){i, i * (uint32_t)sizeof(uint32_t), sizeof(uint32_t)};
    }
    const VkSpecializationInfo specialization = {.mapEntryCount = N_SPECS,
                                                 .pMapEntries = entries,
                                                 .dataSize = sizeof kernel->specs,
                                                 .pData = kernel->specs};
    const VkShaderModuleCreateInfo module_info = {.sType =
                                                      VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                                  .codeSize = shader->n_bytes,
                                                  .pCode = shader->words};
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = device->api.CreateShaderModule(device->handle, &module_info, NULL, &module);
    if (result != VK_SUCCESS) return result;
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroups = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = kernel->subgroup_size};
    const bool is_sized = kernel->subgroup_size != 0;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = is_sized ? &subgroups : NULL,
                  .flags =
                      is_sized ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &specialization},
        .layout = device->layout,
        .basePipelineIndex = -1};
    result = device->api.CreateComputePipelines(device->handle, VK_NULL_HANDLE, 1, &info, NULL,
                                                pipeline);
    device->api.DestroyShaderModule(device->handle, module, NULL);
    return result;
}

ingot_status ingot_vk_pipeline_find(struct vk_device *device, const struct vk_kernel *kernel,
                                    VkPipeline *pipeline, ingot_error *error)
{
    for (const struct vk_pipeline *p = device->pipelines; p; p = p->next) {
        if (!same_kernel(&p->kernel, kernel)) continue;
        *pipeline = p->handle;
        return INGOT_OK;
    }
    const struct vk_shader *const shader = find_shader(kernel->shader);
    if (!shader) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "Vulkan kernel",
                          "this build has no shader %s", kernel->shader);
    }
    struct vk_pipeline *made = ingot_allocate_zeroed(device->allocator, 1, sizeof *made);
    if (!made) return ingot_fail_memory(error, sizeof *made, "Vulkan pipeline");
    made->kernel = *kernel;
    const VkResult result = create(device, kernel, shader, &made->handle);
    if (result != VK_SUCCESS) {
        ingot_release(device->allocator, made);
        return ingot_vk_device_fail(device, result, kernel->shader, error);
    }
    made->next = device->pipelines;
    device->pipelines = made;
    *pipeline = made->handle;
    return INGOT_OK;
}

void ingot_vk_pipelines_close(struct vk_device *device)
{
    while (device->pipelines) {
        struct vk_pipeline *const first = device->pipelines;
        device->pipelines = first->next;
        device->api.DestroyPipeline(device->handle, first->handle, NULL);
        ingot_release(device->allocator, first);
    }
}

/* Compute pipelines, made when first asked for and kept until the device is closed. Knows kernels
 * by the names of their shaders only. */
#ifndef INGOT_VULKAN_PIPELINE_H
#define INGOT_VULKAN_PIPELINE_H

#include "vulkan/device.h"
#include "vulkan/push.h"

/* A kernel: a shader and its specialization constants as 32-bit words, by SPEC_... number. */
struct vk_kernel {
    char shader[40];
    uint32_t specs[N_SPECS];
    uint32_t subgroup_size; /* of full subgroups; 0: as the device likes */
};

/* *pipeline belongs to the device. */
ingot_status ingot_vk_pipeline_find(struct vk_device *device, const struct vk_kernel *kernel,
                                    VkPipeline *pipeline, ingot_error *error);
/* Whether this build has the shader. */
bool ingot_vk_pipeline_exists(const struct vk_kernel *kernel);
/* Destroys all pipelines of the device. */
void ingot_vk_pipelines_close(struct vk_device *device);

#endif

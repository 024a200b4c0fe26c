/* The SPIR-V modules that the build embeds: one for each vulkan/shaders/NAME.comp, written to a C
 * file by vulkan/embed_spirv.sh. Knows no kernel. */
#ifndef INGOT_VULKAN_SHADERS_H
#define INGOT_VULKAN_SHADERS_H

#include <stddef.h>
#include <stdint.h>

struct vk_shader {
    const char *name; /* "gemv_f32" */
    const uint32_t *words;
    size_t n_bytes;
};

extern const struct vk_shader ingot_vk_shaders[];
extern const uint32_t ingot_vk_n_shaders;

#endif

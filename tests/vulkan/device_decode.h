/* Weights of a matrix on a device, decoded there by the modules that narrowing runs. */
#ifndef INGOT_TESTS_VULKAN_DEVICE_DECODE_H
#define INGOT_TESTS_VULKAN_DEVICE_DECODE_H

#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "vulkan/commands.h"
#include "vulkan/matrix.h"
#include "vulkan/scratch.h"

static inline uint64_t device_decode_stride(const struct vk_pass *pass)
{
    return (uint64_t)pass->n_blocks * STEP_COLS;
}

/* Decodes rows of which the scratch has room for all. */
static inline ingot_status decode_rows(struct vk_device *device, const struct vk_pass *pass,
                                       VkPipeline pipeline, uint64_t first_row, uint64_t n_rows,
                                       uint64_t n_bytes, ingot_error *error)
{
    struct vk_commands *const commands = &device->compute;
    const struct vk_scratch *const scratch = &device->scratch;
    struct vk_push push = pass->push;
    push.y = scratch->vectors[VECTOR_Y]->address;
    push.y_stride = (uint32_t)device_decode_stride(pass);
    push.first_row = (uint32_t)first_row;
    push.end_row = (uint32_t)(first_row + n_rows);
    ingot_status status = ingot_vk_commands_begin(device, commands, error);
    if (status != INGOT_OK) return status;
    snprintf(device->label, sizeof device->label, "%s, decoding", pass->label);
    /* Steps behind the end of a row are not written. */
    device->api.CmdFillBuffer(commands->buffer, scratch->vectors[VECTOR_Y]->buffer, 0, n_bytes, 0);
    ingot_vk_commands_barrier(device, commands);
    device->api.CmdBindPipeline(commands->buffer, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    device->api.CmdPushConstants(commands->buffer, device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                 sizeof push, &push);
    device->api.CmdDispatch(commands->buffer,
                            (uint32_t)ceil_div(push.y_stride, QUARTER_COLS * SIMPLE_THREADS),
                            (uint32_t)n_rows, 1);
    ingot_vk_commands_barrier(device, commands);
    const VkBufferCopy region = {.size = n_bytes};
    device->api.CmdCopyBuffer(commands->buffer, scratch->vectors[VECTOR_Y]->buffer,
                              scratch->host_y->buffer, 1, &region);
    status = ingot_vk_commands_submit(device, commands, error);
    if (status == INGOT_OK) status = ingot_vk_commands_wait(device, commands, error);
    return status;
}

/* Rows [first_row, first_row + n_rows) of the weights of a PASS_PRODUCT, in its own order of
 * columns, to n_rows rows of device_decode_stride f32 or, if `half`, f16. dst is the caller's. */
static inline ingot_status device_decode(struct vk_device *device, const struct vk_pass *pass,
                                         uint64_t first_row, uint64_t n_rows, bool half, void *dst,
                                         ingot_error *error)
{
    const uint64_t row_bytes = device_decode_stride(pass) * (half ? 2 : 4);
    const uint64_t floats[N_VECTORS] = {[VECTOR_X] = 1, [VECTOR_Y] = row_bytes / 4};
    struct vk_kernel kernel = {.shader = ""};
    VkPipeline pipeline = VK_NULL_HANDLE;
    memcpy(kernel.specs, pass->specs, sizeof kernel.specs);
    kernel.specs[SPEC_RESULT] = half ? RESULT_F16 : RESULT_F32;
    snprintf(kernel.shader, sizeof kernel.shader, "dequant_%s", pass->map);
    ingot_status status = ingot_vk_device_check(device, error);
    if (status == INGOT_OK) status = ingot_vk_pipeline_find(device, &kernel, &pipeline, error);
    if (status == INGOT_OK) status = ingot_vk_scratch_reserve(device, floats, 1, error);
    if (status != INGOT_OK) return status;
    const uint64_t room = ingot_vk_scratch_room(device, floats, device->max_groups);
    for (uint64_t row = 0; row < n_rows && status == INGOT_OK; row += room) {
        const uint64_t n = min_u64(room, n_rows - row);
        status = decode_rows(device, pass, pipeline, first_row + row, n, n * row_bytes, error);
        if (status != INGOT_OK) break;
        memcpy((uint8_t *)dst + row * row_bytes, device->scratch.host_y->mapped, n * row_bytes);
    }
    return status;
}

#endif

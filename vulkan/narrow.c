/* What kernels on f16 need beforehand: weights brought to the range of f16. */
#include "vulkan/narrow.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "format/floats.h"
#include "vulkan/commands.h"
#include "vulkan/scratch.h"

/* As the shaders have it. */
#define uint uint32_t
#define SHARED_FUNCTION static
#define TO_INT(v) ((int32_t)(v))
#define TO_UINT(v) ((uint32_t)(v))
#define uintBitsToFloat f32_from_bits
#include "vulkan/shaders/narrow.glsl"

/* Raises the word at the beginning of y to the bits of the largest magnitude of some rows. */
static ingot_status record_rows(struct vk_device *device, const struct vk_pass *pass,
                                VkPipeline pipeline, uint64_t first_row, uint64_t n_rows)
{
    const VkCommandBuffer buffer = device->compute.buffer;
    struct vk_push push = pass->push;
    push.y = device->scratch.vectors[VECTOR_Y]->address;
    push.y_stride = pass->n_blocks * STEP_COLS;
    push.first_row = (uint32_t)first_row;
    push.end_row = (uint32_t)(first_row + n_rows);
    device->api.CmdBindPipeline(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    device->api.CmdPushConstants(buffer, device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                 sizeof push, &push);
    device->api.CmdDispatch(buffer,
                            (uint32_t)ceil_div(push.y_stride, QUARTER_COLS * SIMPLE_THREADS),
                            (uint32_t)n_rows, 1);
    return INGOT_OK;
}

static ingot_status measure_rows(struct vk_device *device, const struct vk_pass *pass,
                                 VkPipeline pipeline, uint64_t first_row, uint64_t n_rows,
                                 uint32_t *largest, ingot_error *error)
{
    struct vk_commands *const commands = &device->compute;
    const struct vk_scratch *const scratch = &device->scratch;
    const VkBufferCopy region = {.size = sizeof *largest};
    ingot_status status = ingot_vk_commands_begin(device, commands, error);
    if (status != INGOT_OK) return status;
    snprintf(device->label, sizeof device->label, "%s, largest weight", pass->label);
    device->api.CmdFillBuffer(commands->buffer, scratch->vectors[VECTOR_Y]->buffer, 0,
                              sizeof *largest, *largest);
    ingot_vk_commands_barrier(device, commands);
    status = record_rows(device, pass, pipeline, first_row, n_rows);
    if (status != INGOT_OK) return status;
    ingot_vk_commands_barrier(device, commands);
    device->api.CmdCopyBuffer(commands->buffer, scratch->vectors[VECTOR_Y]->buffer,
                              scratch->host_y->buffer, 1, &region);
    status = ingot_vk_commands_submit(device, commands, error);
    if (status == INGOT_OK) status = ingot_vk_commands_wait(device, commands, error);
    if (status == INGOT_OK) memcpy(largest, scratch->host_y->mapped, sizeof *largest);
    return status;
}

ingot_status ingot_vk_narrow_measure(struct vk_device *device, struct vk_pass *pass,
                                     ingot_error *error)
{
    const uint64_t floats[N_VECTORS] = {[VECTOR_X] = 1, [VECTOR_Y] = 1};
    struct vk_kernel kernel = {.shader = ""};
    VkPipeline pipeline = VK_NULL_HANDLE;
    uint32_t largest = 0;
    memcpy(kernel.specs, pass->specs, sizeof kernel.specs);
    kernel.specs[SPEC_ADD] = 0;
    kernel.specs[SPEC_RESULT] = RESULT_LARGEST;
    snprintf(kernel.shader, sizeof kernel.shader, "dequant_%s", pass->map);
    ingot_status status = ingot_vk_pipeline_find(device, &kernel, &pipeline, error);
    if (status == INGOT_OK) status = ingot_vk_scratch_reserve(device, floats, 1, error);
    const uint64_t rows = device->submit_weights / max_u64(pass->row_weights, 1);
    const uint64_t at_once = min_u64(max_u64(rows, 1), device->max_groups);
    for (uint64_t row = 0; row < pass->n_rows && status == INGOT_OK; row += at_once) {
        status = measure_rows(device, pass, pipeline, row, min_u64(at_once, pass->n_rows - row),
                              &largest, error);
    }
    if (status == INGOT_OK) pass->push.unit = narrow_unit(largest, NARROW_W_EXPONENT);
    return status;
}

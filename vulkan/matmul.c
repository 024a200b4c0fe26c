/* Running a matrix: vectors in, its passes one behind the other, vectors out. Work is cut into
 * submissions that end well before a driver takes the device for hung. */
#include "vulkan/matrix.h"

#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "vulkan/commands.h"

/* One batch of vectors under way. */
struct run {
    struct vk_device *device;
    const struct vk_matrix *matrix;
    uint64_t n_vectors;
    uint64_t spent; /* weights visited by what is recorded */
    ingot_error *error;
};

static uint64_t vector_bytes(const struct run *run, enum vk_vector vector)
{
    return run->n_vectors * run->matrix->floats[vector] * sizeof(float);
}

/* How many vectors go in one batch: as many as the scratch holds and one submission computes. */
static uint64_t batch_vectors(const struct vk_device *device, const struct vk_matrix *matrix,
                              uint64_t n)
{
    const struct vk_scratch *const scratch = &device->scratch;
    const uint64_t x_bytes = matrix->floats[VECTOR_X] * sizeof(float);
    const uint64_t y_bytes = matrix->floats[VECTOR_Y] * sizeof(float);
    uint64_t at_most = n;
    at_most = min_u64(at_most, scratch->host_x->n_bytes / x_bytes);
    at_most = min_u64(at_most, scratch->host_y->n_bytes / y_bytes);
    for (uint32_t v = 0; v < N_VECTORS; v++) {
        if (matrix->floats[v] == 0) continue;
        const uint64_t room = scratch->vectors[v]->n_bytes;
        at_most = min_u64(at_most, room / (matrix->floats[v] * sizeof(float)));
    }
    uint64_t weights = 1;
    for (const struct vk_pass *pass = matrix->passes; pass; pass = pass->next) {
        weights += pass->n_rows * pass->row_weights;
    }
    return min_u64(at_most, max_u64(device->submit_weights / weights, 1));
}

static void copy(const struct run *run, const struct vk_block *from, const struct vk_block *to,
                 uint64_t n_bytes)
{
    const VkBufferCopy region = {.size = n_bytes};
    run->device->api.CmdCopyBuffer(run->device->compute.buffer, from->buffer, to->buffer, 1,
                                   &region);
}

/* Submits what is recorded, waits for it, and goes on recording. */
static ingot_status cut(struct run *run)
{
    struct vk_commands *const commands = &run->device->compute;
    const ingot_status status = ingot_vk_commands_submit(run->device, commands, run->error);
    run->spent = 0;
    return status != INGOT_OK ? status : ingot_vk_commands_begin(run->device, commands, run->error);
}

/* Rows that one dispatch of a pass computes: whole workgroups, within the submission's budget and
 * the device's largest grid. */
static uint64_t dispatch_rows(const struct run *run, const struct vk_pass *pass)
{
    const struct vk_device *const device = run->device;
    const uint64_t row_weights = max_u64(pass->row_weights * run->n_vectors, 1);
    const uint64_t n_groups = device->submit_weights / row_weights / pass->group_rows;
    const uint64_t largest_grid = (uint64_t)device->max_groups * device->max_groups;
    return min_u64(max_u64(n_groups, 1), largest_grid) * pass->group_rows;
}

static void dispatch(struct run *run, const struct vk_pass *pass, uint64_t first_row,
                     uint64_t n_rows)
{
    struct vk_device *const device = run->device;
    const VkCommandBuffer buffer = device->compute.buffer;
    const struct vk_block *const output = device->scratch.vectors[pass->output];
    struct vk_push push = pass->push;
    push.x = device->scratch.vectors[pass->input]->address;
    push.y = output->address + pass->first_output * sizeof(float);
    push.first_row = (uint32_t)first_row;
    push.end_row = (uint32_t)(first_row + n_rows);
    push.n_vectors = (uint32_t)run->n_vectors;

    /* As square as needed: x alone while that is enough. */
    const uint64_t n_groups = ceil_div(n_rows, pass->group_rows);
    const uint32_t n_y = (uint32_t)ceil_div(n_groups, device->max_groups);
    const uint32_t n_x = (uint32_t)ceil_div(n_groups, n_y);
    snprintf(device->label, sizeof device->label, "%s, rows %llu to %llu", pass->label,
             (unsigned long long)(pass->first_output + first_row),
             (unsigned long long)(pass->first_output + first_row + n_rows));
    device->api.CmdBindPipeline(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, pass->pipeline);
    device->api.CmdPushConstants(buffer, device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                 sizeof push, &push);
    device->api.CmdDispatch(buffer, n_x, n_y, 1);
}

static ingot_status record_pass(struct run *run, const struct vk_pass *pass)
{
    struct vk_device *const device = run->device;
    if (pass->clears_output) {
        device->api.CmdFillBuffer(device->compute.buffer,
                                  device->scratch.vectors[pass->output]->buffer, 0,
                                  vector_bytes(run, pass->output), 0);
        ingot_vk_commands_barrier(device, &device->compute);
    }
    const uint64_t at_most = dispatch_rows(run, pass);
    for (uint64_t row = 0; row < pass->n_rows; row += at_most) {
        const uint64_t n_rows = min_u64(at_most, pass->n_rows - row);
        const uint64_t weights = n_rows * pass->row_weights * run->n_vectors;
        if (run->spent > 0 && run->spent + weights > device->submit_weights) {
            const ingot_status status = cut(run);
            if (status != INGOT_OK) return status;
        }
        dispatch(run, pass, row, n_rows);
        run->spent += weights;
    }
    ingot_vk_commands_barrier(device, &device->compute);
    return INGOT_OK;
}

/* Rows of x in the host's copy, each filled up with zeros: the kernels read whole steps. */
static void place_x(const struct run *run, const float *x)
{
    const struct vk_matrix *const matrix = run->matrix;
    const uint64_t n_used = matrix->n_cols * sizeof(float);
    const uint64_t n_stride = matrix->floats[VECTOR_X] * sizeof(float);
    for (uint64_t i = 0; i < run->n_vectors; i++) {
        uint8_t *const to = run->device->scratch.host_x->mapped + i * n_stride;
        memcpy(to, x + i * matrix->n_cols, n_used);
        memset(to + n_used, 0, n_stride - n_used);
    }
}

static ingot_status run_batch(struct run *run, const float *x, float *y)
{
    struct vk_device *const device = run->device;
    const struct vk_scratch *const scratch = &device->scratch;
    struct vk_commands *const commands = &device->compute;
    ingot_status status = ingot_vk_commands_begin(device, commands, run->error);
    if (status != INGOT_OK) return status;
    place_x(run, x);
    copy(run, scratch->host_x, scratch->vectors[VECTOR_X], vector_bytes(run, VECTOR_X));
    ingot_vk_commands_barrier(device, commands);
    for (const struct vk_pass *pass = run->matrix->passes; pass; pass = pass->next) {
        status = record_pass(run, pass);
        if (status != INGOT_OK) return status;
    }
    copy(run, scratch->vectors[VECTOR_Y], scratch->host_y, vector_bytes(run, VECTOR_Y));
    status = ingot_vk_commands_submit(device, commands, run->error);
    if (status != INGOT_OK) return status;
    status = ingot_vk_commands_wait(device, commands, run->error);
    if (status != INGOT_OK) return status;
    memcpy(y, scratch->host_y->mapped, vector_bytes(run, VECTOR_Y));
    return INGOT_OK;
}

ingot_status ingot_vk_matmul(struct vk_device *device, const struct vk_matrix *matrix,
                             const float *x, uint64_t n, float *y, ingot_error *error)
{
    ingot_status status = ingot_vk_device_check(device, error);
    if (status != INGOT_OK || n == 0 || matrix->n_rows == 0) return status;
    if (!matrix->passes) { /* the sum of no parts */
        memset(y, 0, n * matrix->n_rows * sizeof *y);
        return INGOT_OK;
    }
    const uint64_t at_most = batch_vectors(device, matrix, n);
    for (uint64_t i = 0; i < n && status == INGOT_OK; i += at_most) {
        struct run run = {device, matrix, min_u64(at_most, n - i), 0, error};
        status = run_batch(&run, x + i * matrix->n_cols, y + i * matrix->n_rows);
    }
    return status;
}

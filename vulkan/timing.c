/* How long a device takes, by its own clock. */
#include "vulkan/timing.h"

#include <assert.h>
#include <stdlib.h>

#include "format/bytes.h"
#include "format/fail.h"
#include "vulkan/commands.h"
#include "vulkan/run.h"
#include "vulkan/scratch.h"

/* What a round records. */
struct timed {
    struct vk_device *device;
    ingot_status (*record)(struct timed *timed);
    ingot_error *error;
    struct vk_matrix *const *matrices;
    uint32_t n; /* of matrices, dispatches or copies */
    struct vk_run run;
    VkPipeline pipeline;
    const struct vk_push *push;
    uint32_t n_groups;
    const struct vk_block *from;
    const struct vk_block *to;
    uint64_t n_bytes;
};

static ingot_status record_products(struct timed *timed)
{
    for (uint32_t i = 0; i < timed->n; i++) {
        struct vk_run run = timed->run;
        run.matrix = timed->matrices[i];
        const ingot_status status = ingot_vk_run_passes(&run);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

static ingot_status record_kernel(struct timed *timed)
{
    struct vk_device *const device = timed->device;
    const VkCommandBuffer buffer = device->compute.buffer;
    device->api.CmdBindPipeline(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, timed->pipeline);
    device->api.CmdPushConstants(buffer, device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                 sizeof *timed->push, timed->push);
    for (uint32_t i = 0; i < timed->n; i++) {
        device->api.CmdDispatch(buffer, timed->n_groups, 1, 1);
        ingot_vk_commands_barrier(device, &device->compute);
    }
    return INGOT_OK;
}

static ingot_status record_copy(struct timed *timed)
{
    struct vk_device *const device = timed->device;
    const VkBufferCopy region = {.size = timed->n_bytes};
    device->api.CmdCopyBuffer(device->compute.buffer, timed->from->buffer, timed->to->buffer, 1,
                              &region);
    ingot_vk_commands_barrier(device, &device->compute);
    return INGOT_OK;
}

/* One round, and what it took by the device's clock. */
static ingot_status time_round(struct timed *timed, VkQueryPool queries, double *seconds)
{
    struct vk_device *const device = timed->device;
    struct vk_commands *const commands = &device->compute;
    uint64_t ticks[2] = {0};
    ingot_status status = ingot_vk_commands_begin(device, commands, timed->error);
    if (status != INGOT_OK) return status;
    device->api.CmdResetQueryPool(commands->buffer, queries, 0, 2);
    device->api.CmdWriteTimestamp2(commands->buffer, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries,
                                   0);
    status = timed->record(timed);
    if (status != INGOT_OK) return status;
    device->api.CmdWriteTimestamp2(commands->buffer, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries,
                                   1);
    status = ingot_vk_commands_submit(device, commands, timed->error);
    if (status == INGOT_OK) status = ingot_vk_commands_wait(device, commands, timed->error);
    if (status != INGOT_OK) return status;
    const VkResult result = device->api.GetQueryPoolResults(
        device->handle, queries, 0, 2, sizeof ticks, ticks, sizeof *ticks, VK_QUERY_RESULT_64_BIT);
    if (result != VK_SUCCESS) return ingot_vk_device_fail(device, result, "timing", timed->error);
    *seconds = (double)(ticks[1] - ticks[0]) * (double)device->tick_nanoseconds * 1e-9;
    return INGOT_OK;
}

static int compare_seconds(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ingot_status time_rounds(struct timed *timed, uint32_t n_rounds, double *seconds)
{
    struct vk_device *const device = timed->device;
    double rounds[MAX_TIMED_ROUNDS] = {0};
    VkQueryPool queries = VK_NULL_HANDLE;
    const VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                        .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                        .queryCount = 2};
    assert(n_rounds > 0 && n_rounds <= MAX_TIMED_ROUNDS);
    if (device->tick_nanoseconds <= 0.0f) {
        return ingot_fail(timed->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "timing",
                          "the device's queue has no clock");
    }
    const VkResult result = device->api.CreateQueryPool(device->handle, &info, NULL, &queries);
    if (result != VK_SUCCESS) return ingot_vk_device_fail(device, result, "timing", timed->error);
    /* A round is one submission. */
    const uint64_t submit_weights = device->submit_weights;
    const bool adapts = device->submit_adapts;
    device->submit_weights = UINT64_MAX;
    device->submit_adapts = false;
    double warm = 0;
    ingot_status status = time_round(timed, queries, &warm);
    for (uint32_t i = 0; i < n_rounds && status == INGOT_OK; i++) {
        status = time_round(timed, queries, &rounds[i]);
    }
    device->submit_weights = submit_weights;
    device->submit_adapts = adapts;
    if (!device->lost) device->api.DeviceWaitIdle(device->handle);
    device->api.DestroyQueryPool(device->handle, queries, NULL);
    qsort(rounds, n_rounds, sizeof *rounds, compare_seconds);
    if (status == INGOT_OK) *seconds = rounds[n_rounds / 2] / timed->n;
    return status;
}

ingot_status ingot_vk_time_products(struct vk_device *device, struct vk_matrix *const *matrices,
                                    uint32_t n_matrices, uint64_t n, uint32_t n_rounds,
                                    double *seconds, ingot_error *error)
{
    struct timed timed = {.device = device,
                          .record = record_products,
                          .error = error,
                          .matrices = matrices,
                          .n = n_matrices,
                          .run = {.device = device, .n_vectors = n, .error = error}};
    ingot_status status = ingot_vk_device_check(device, error);
    if (status == INGOT_OK) {
        status = ingot_vk_scratch_reserve(device, matrices[0]->floats, n, error);
    }
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < n_matrices && status == INGOT_OK; i++) {
        timed.run.matrix = matrices[i];
        status = ingot_vk_run_ready(&timed.run);
    }
    if (status != INGOT_OK) return status;
    return time_rounds(&timed, n_rounds, seconds);
}

ingot_status ingot_vk_time_kernel(struct vk_device *device, const struct vk_kernel *kernel,
                                  const struct vk_push *push, uint32_t n_groups,
                                  uint32_t n_dispatches, uint32_t n_rounds, double *seconds,
                                  ingot_error *error)
{
    struct timed timed = {.device = device,
                          .record = record_kernel,
                          .error = error,
                          .n = n_dispatches,
                          .push = push,
                          .n_groups = n_groups};
    const ingot_status status = ingot_vk_pipeline_find(device, kernel, &timed.pipeline, error);
    return status == INGOT_OK ? time_rounds(&timed, n_rounds, seconds) : status;
}

ingot_status ingot_vk_time_copy(struct vk_device *device, const struct vk_block *from,
                                const struct vk_block *to, uint64_t n_bytes, uint32_t n_rounds,
                                double *seconds, ingot_error *error)
{
    struct timed timed = {.device = device,
                          .record = record_copy,
                          .error = error,
                          .n = 1,
                          .from = from,
                          .to = to,
                          .n_bytes = n_bytes};
    return time_rounds(&timed, n_rounds, seconds);
}

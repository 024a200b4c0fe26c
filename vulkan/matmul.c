/* Running a matrix: vectors in, its passes one behind the other, vectors out. Work is cut into
 * submissions that end well before a driver takes the device for hung. */
#include "vulkan/run.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format/bytes.h"
#include "format/fail.h"
#include "vulkan/commands.h"
#include "vulkan/narrow.h"
#include "vulkan/pace.h"
#include "vulkan/scratch.h"
#include "vulkan/trial.h"

enum {
    GOOD_GROUPS = 256, /* workgroups below which a product is split into slices */
    MAX_SLICES = 8,
    MIN_SLICE_BLOCKS = 16
};
/* Of vectors of one kind that are on the device at a time. */
static const uint64_t batch_bytes = UINT64_C(64) << 20;

/* Visits to weights by the workgroups of a matrix-matrix product that share rows, which no
 * submission can be cut below: more vectors make another batch, on every device. */
static const uint64_t most_group_visits = UINT64_C(1) << 33;

/* ------------------------------------------------------------------ submissions */

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Submits what is recorded and waits for it. */
static ingot_status finish(struct vk_run *run)
{
    struct vk_device *const device = run->device;
    const double begin = now();
    ingot_status status = ingot_vk_commands_submit(device, &device->compute, run->error);
    if (status == INGOT_OK) status = ingot_vk_commands_wait(device, &device->compute, run->error);
    if (status == INGOT_OK && device->submit_adapts) {
        device->submit_weights =
            ingot_vk_pace_next(device->submit_weights, run->spent, now() - begin);
    }
    run->spent = 0;
    return status;
}

/* Makes room for so many weights in the submission under way. */
static ingot_status spend(struct vk_run *run, uint64_t n_weights)
{
    struct vk_device *const device = run->device;
    if (run->spent > 0 && run->spent + n_weights > device->submit_weights) {
        ingot_status status = finish(run);
        if (status == INGOT_OK) {
            status = ingot_vk_commands_begin(device, &device->compute, run->error);
        }
        if (status != INGOT_OK) return status;
    }
    run->spent += n_weights;
    return INGOT_OK;
}

/* ------------------------------------------------------------------ dispatches */

static uint64_t vector_bytes(const struct vk_run *run, enum vk_vector vector)
{
    return run->n_vectors * run->matrix->floats[vector] * sizeof(float);
}

static VkDeviceAddress vector_address(const struct vk_run *run, enum vk_vector vector)
{
    return run->device->scratch.vectors[vector]->address;
}

/* The push constants of vectors [first, first + n) of a pass. */
static struct vk_push push_vectors(const struct vk_run *run, const struct vk_pass *pass,
                                   uint64_t first, uint64_t n)
{
    struct vk_push push = pass->push;
    push.x_stride = (uint32_t)run->matrix->floats[pass->input];
    push.y_stride = (uint32_t)run->matrix->floats[pass->output];
    push.x = vector_address(run, pass->input) + first * push.x_stride * sizeof(float);
    push.y = vector_address(run, pass->output) + first * push.y_stride * sizeof(float) +
             pass->first_output * sizeof(float);
    push.n_vectors = (uint32_t)n;
    push.end_row = pass->n_rows;
    return push;
}

static void label(struct vk_device *device, const struct vk_pass *pass, const struct vk_push *push)
{
    snprintf(device->label, sizeof device->label, "%s, rows %llu to %llu", pass->label,
             (unsigned long long)pass->first_output + push->first_row,
             (unsigned long long)pass->first_output + push->end_row);
}

static ingot_status dispatch(struct vk_run *run, const struct vk_pass *pass,
                             const struct vk_kernel *kernel, const struct vk_push *push,
                             const uint32_t groups[3])
{
    struct vk_device *const device = run->device;
    const VkCommandBuffer buffer = device->compute.buffer;
    VkPipeline pipeline = VK_NULL_HANDLE;
    const ingot_status status = ingot_vk_pipeline_find(device, kernel, &pipeline, run->error);
    if (status != INGOT_OK) return status;
    label(device, pass, push);
    device->api.CmdBindPipeline(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    device->api.CmdPushConstants(buffer, device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                 sizeof *push, push);
    device->api.CmdDispatch(buffer, groups[0], groups[1], groups[2]);
    return INGOT_OK;
}

static struct vk_kernel kernel_of(const struct vk_pass *pass, const char *name)
{
    struct vk_kernel kernel = {.shader = ""};
    memcpy(kernel.specs, pass->specs, sizeof kernel.specs);
    snprintf(kernel.shader, sizeof kernel.shader, "%s%s%s", name, pass->map[0] ? "_" : "",
             pass->map);
    return kernel;
}

/* Rows that one dispatch computes: whole workgroups, within the submission's budget and so many
 * workgroups. */
static uint64_t rows_at_once(const struct vk_run *run, const struct vk_pass *pass,
                             uint64_t n_vectors, uint64_t group_rows, uint64_t max_groups)
{
    const uint64_t row_weights = max_u64(pass->row_weights * n_vectors, 1);
    const uint64_t n_groups = run->device->submit_weights / row_weights / group_rows;
    return min_u64(max_u64(n_groups, 1), max_groups) * group_rows;
}

/* Dispatches all rows of a pass, n_rows at a time at most; group_rows to a workgroup along x, and
 * along y what the largest grid asks for or `groups_y`, if that is not 0. */
static ingot_status dispatch_rows(struct vk_run *run, const struct vk_pass *pass,
                                  const struct vk_kernel *kernel, struct vk_push *push,
                                  uint64_t group_rows, uint32_t groups_y)
{
    const uint64_t side = run->device->max_groups;
    const uint64_t at_most =
        rows_at_once(run, pass, push->n_vectors, group_rows, groups_y ? side : side * side);
    ingot_status status = INGOT_OK;
    for (uint64_t row = 0; row < pass->n_rows && status == INGOT_OK; row += at_most) {
        const uint64_t n_rows = min_u64(at_most, pass->n_rows - row);
        const uint64_t n_groups = ceil_div(n_rows, group_rows);
        /* As square as needed: x alone while that is enough. */
        const uint32_t n_y = groups_y ? groups_y : (uint32_t)ceil_div(n_groups, side);
        const uint32_t n_x = groups_y ? (uint32_t)n_groups : (uint32_t)ceil_div(n_groups, n_y);
        const uint32_t groups[3] = {n_x, n_y, push->n_slices ? push->n_slices : 1};
        push->first_row = (uint32_t)row;
        push->end_row = (uint32_t)(row + n_rows);
        status = spend(run, n_rows * pass->row_weights * push->n_vectors);
        if (status == INGOT_OK) status = dispatch(run, pass, kernel, push, groups);
    }
    return status;
}

/* ------------------------------------------------------------------ products */

/* Slices of the columns: with few workgroups as many as there is work for. */
static uint32_t choose_slices(const struct vk_pass *pass, const struct vk_product *product,
                              uint64_t n_vectors)
{
    const uint64_t n_groups =
        ceil_div(pass->n_rows, product->group_rows) * ceil_div(n_vectors, product->group_vectors);
    const uint64_t wanted = min_u64(ceil_div(GOOD_GROUPS, n_groups), MAX_SLICES);
    return (uint32_t)max_u64(min_u64(wanted, pass->n_blocks / MIN_SLICE_BLOCKS), 1);
}

/* Room for the results of slices; where there is none, products are not split. */
static bool reserve_slices(const struct vk_run *run)
{
    uint64_t n_floats = 0;
    for (const struct vk_pass *pass = run->matrix->passes; pass; pass = pass->next) {
        struct vk_product product;
        if (pass->kind != PASS_PRODUCT) continue;
        ingot_vk_product_choose(run->device, pass, run->rungs, run->n_vectors, &product);
        if (!product.has_slices) continue;
        const uint64_t n = choose_slices(pass, &product, run->n_vectors);
        n_floats = max_u64(n_floats, n * pass->n_rows);
    }
    if (n_floats == 0) return false;
    const uint64_t floats[N_VECTORS] = {[VECTOR_X] = 1, [VECTOR_P] = n_floats, [VECTOR_Y] = 1};
    return ingot_vk_scratch_reserve(run->device, floats, run->n_vectors, NULL) == INGOT_OK;
}

static ingot_status add_slices(struct vk_run *run, const struct vk_pass *pass,
                               const struct vk_push *sliced)
{
    struct vk_kernel kernel = {.shader = "reduce"};
    struct vk_push push = push_vectors(run, pass, 0, run->n_vectors);
    kernel.specs[SPEC_ADD] = pass->specs[SPEC_ADD];
    push.x = vector_address(run, VECTOR_P);
    push.x_stride = pass->n_rows;
    push.n_slices = sliced->n_slices;
    push.slice_stride = sliced->slice_stride;
    ingot_vk_commands_barrier(run->device, &run->device->compute);
    const uint32_t groups[3] = {(uint32_t)ceil_div(pass->n_rows, SIMPLE_THREADS), push.n_vectors,
                                1};
    return dispatch(run, pass, &kernel, &push, groups);
}

static ingot_status record_gemm(struct vk_run *run, const struct vk_pass *pass,
                                const struct vk_product *product, struct vk_push *push)
{
    push->n_slices = run->can_slice ? choose_slices(pass, product, run->n_vectors) : 1;
    push->slice_blocks =
        (uint32_t)ceil_div(ceil_div(pass->n_blocks, product->group_blocks), push->n_slices);
    if (push->n_slices > 1) {
        push->y = vector_address(run, VECTOR_P);
        push->y_stride = pass->n_rows;
        push->slice_stride = pass->n_rows * push->n_vectors;
    }
    const ingot_status status =
        dispatch_rows(run, pass, &product->kernel, push, product->group_rows,
                      (uint32_t)ceil_div(run->n_vectors, product->group_vectors));
    return status == INGOT_OK && push->n_slices > 1 ? add_slices(run, pass, push) : status;
}

/* Sees to it that VECTOR_N is the pass's input in a form. */
static ingot_status round_input(struct vk_run *run, const struct vk_pass *pass,
                                const struct vk_product *product)
{
    static const char *const shaders[N_FORMS] = {
        [FORM_NARROW] = "narrow",
        [FORM_PAIRED] = "pair",
        [FORM_ROUNDED] = "round",
    };
    if (run->form == product->form && run->order == product->order && run->rounded == pass->input) {
        return INGOT_OK;
    }
    struct vk_kernel kernel = {.shader = ""};
    struct vk_push push = push_vectors(run, pass, 0, run->n_vectors);
    snprintf(kernel.shader, sizeof kernel.shader, "%s", shaders[product->form]);
    kernel.specs[SPEC_BITS] = product->order;
    push.y = vector_address(run, VECTOR_N);
    push.y_stride = (uint32_t)ingot_vk_form_words(product->form, push.x_stride);
    run->form = product->form;
    run->order = product->order;
    run->rounded = pass->input;
    const uint32_t n_steps = (uint32_t)ceil_div(push.x_stride, STEP_COLS);
    const uint32_t by_vectors[3] = {push.n_vectors, 1, 1};
    const uint32_t by_steps[3] = {(uint32_t)ceil_div(n_steps, SIMPLE_THREADS), push.n_vectors, 1};
    ingot_vk_commands_barrier(run->device, &run->device->compute);
    const ingot_status status =
        dispatch(run, pass, &kernel, &push, product->form == FORM_NARROW ? by_vectors : by_steps);
    ingot_vk_commands_barrier(run->device, &run->device->compute);
    return status;
}

static ingot_status record_product(struct vk_run *run, const struct vk_pass *pass)
{
    ingot_status status = INGOT_OK;
    for (uint64_t v = 0; v < run->n_vectors && status == INGOT_OK;) {
        struct vk_product product;
        ingot_vk_product_choose(run->device, pass, run->rungs, run->n_vectors - v, &product);
        const uint64_t n = min_u64(product.n_vectors, run->n_vectors - v);
        struct vk_push push = push_vectors(run, pass, v, n);
        product.kernel.specs[SPEC_ADD] = pass->specs[SPEC_ADD];
        if (product.form != FORM_F32) {
            status = round_input(run, pass, &product);
            if (status != INGOT_OK) return status;
            push.x_stride = (uint32_t)ingot_vk_form_words(product.form, push.x_stride);
            push.x = vector_address(run, VECTOR_N) + v * push.x_stride * 4;
        }
        status = product.has_slices
                     ? record_gemm(run, pass, &product, &push)
                     : dispatch_rows(run, pass, &product.kernel, &push, product.group_rows, 0);
        v += n;
    }
    return status;
}

/* Tries the kernels that a batch is about to use first, and measures the weights that they round.
 */
static ingot_status ready_pass(struct vk_run *run, struct vk_pass *pass)
{
    ingot_status status = INGOT_OK;
    for (uint64_t v = 0; v < run->n_vectors && status == INGOT_OK;) {
        struct vk_product product;
        ingot_vk_product_choose(run->device, pass, run->rungs, run->n_vectors - v, &product);
        if (pass->trial && !pass->trial->tried[product.variant]) {
            status = ingot_vk_trial_run(run->device, pass->trial, product.variant, run->error);
            continue;
        }
        if (product.form == FORM_NARROW && pass->push.unit == 0) {
            status = ingot_vk_narrow_measure(run->device, pass, run->error);
        }
        v += product.n_vectors;
    }
    return status;
}

ingot_status ingot_vk_run_ready(struct vk_run *run)
{
    const struct vk_matrix *const matrix = run->matrix;
    uint64_t widest = 1;
    run->rungs = matrix->rungs & run->device->ladder.takes;
    run->rounded = N_VECTORS;
    for (uint32_t v = 0; v < VECTOR_N; v++) widest = max_u64(widest, matrix->floats[v]);
    if (run->rungs >> RUNG_F32 != 1) {
        uint64_t floats[N_VECTORS] = {[VECTOR_X] = 1, [VECTOR_Y] = 1};
        for (enum vk_form form = FORM_F32; form < N_FORMS; form++) {
            floats[VECTOR_N] = max_u64(floats[VECTOR_N], ingot_vk_form_words(form, widest));
        }
        /* Without room for inputs that are rounded, they stay as they are. */
        if (ingot_vk_scratch_reserve(run->device, floats, run->n_vectors, NULL) != INGOT_OK) {
            run->rungs = 1u << RUNG_F32;
        }
    }
    for (struct vk_pass *pass = matrix->passes; pass; pass = pass->next) {
        if (pass->kind != PASS_PRODUCT) continue;
        const ingot_status status = ready_pass(run, pass);
        if (status != INGOT_OK) return status;
    }
    run->can_slice = reserve_slices(run);
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the other passes */

static ingot_status record_list(struct vk_run *run, const struct vk_pass *pass)
{
    struct vk_kernel kernel = kernel_of(pass, "list");
    struct vk_push push = push_vectors(run, pass, 0, run->n_vectors);
    kernel.specs[SPEC_LANES] = ingot_vk_product_lanes(pass->row_steps);
    return dispatch_rows(run, pass, &kernel, &push, GEMV_THREADS / kernel.specs[SPEC_LANES], 0);
}

static ingot_status record_gather(struct vk_run *run, const struct vk_pass *pass)
{
    const struct vk_kernel kernel = kernel_of(pass, "gather");
    const struct vk_push push = push_vectors(run, pass, 0, run->n_vectors);
    const uint32_t groups[3] = {(uint32_t)ceil_div(push.y_stride, SIMPLE_THREADS), push.n_vectors,
                                1};
    return dispatch(run, pass, &kernel, &push, groups);
}

static ingot_status record_scatter(struct vk_run *run, const struct vk_pass *pass)
{
    const struct vk_kernel kernel = kernel_of(pass, "scatter");
    struct vk_push push = push_vectors(run, pass, 0, run->n_vectors);
    return dispatch_rows(run, pass, &kernel, &push, SIMPLE_THREADS, push.n_vectors);
}

static ingot_status record_clear(struct vk_run *run, const struct vk_pass *pass)
{
    run->device->api.CmdFillBuffer(run->device->compute.buffer,
                                   run->device->scratch.vectors[pass->output]->buffer, 0,
                                   vector_bytes(run, pass->output), 0);
    return INGOT_OK;
}

static ingot_status (*const recorders[N_PASS_KINDS])(struct vk_run *run,
                                                     const struct vk_pass *pass) = {
    [PASS_PRODUCT] = record_product, [PASS_LIST] = record_list,   [PASS_GATHER] = record_gather,
    [PASS_SCATTER] = record_scatter, [PASS_CLEAR] = record_clear,
};

/* Pieces of one part, whose rows are not the same, need not wait for each other. */
static bool are_independent(const struct vk_pass *pass, const struct vk_pass *next)
{
    return next && pass->kind == PASS_PRODUCT && next->kind == PASS_PRODUCT &&
           pass->input == next->input && pass->output == next->output &&
           next->first_output == pass->first_output + pass->n_rows;
}

ingot_status ingot_vk_run_passes(struct vk_run *run)
{
    for (const struct vk_pass *pass = run->matrix->passes; pass; pass = pass->next) {
        const ingot_status status = recorders[pass->kind](run, pass);
        if (status != INGOT_OK) return status;
        if (pass->output == run->rounded) run->rounded = N_VECTORS;
        if (are_independent(pass, pass->next)) continue;
        ingot_vk_commands_barrier(run->device, &run->device->compute);
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ vectors in and out */

static void copy(const struct vk_run *run, const struct vk_block *from, const struct vk_block *to,
                 uint64_t n_bytes)
{
    const VkBufferCopy region = {.size = n_bytes};
    run->device->api.CmdCopyBuffer(run->device->compute.buffer, from->buffer, to->buffer, 1,
                                   &region);
}

/* Rows of x in the host's copy, each filled up with zeros: the kernels read whole steps. */
static void place_x(const struct vk_run *run, const float *x)
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

static ingot_status run_batch(struct vk_run *run, const float *x, float *y)
{
    struct vk_device *const device = run->device;
    const struct vk_scratch *const scratch = &device->scratch;
    struct vk_commands *const commands = &device->compute;
    ingot_status status = ingot_vk_run_ready(run);
    if (status != INGOT_OK) return status;
    status = ingot_vk_commands_begin(device, commands, run->error);
    if (status != INGOT_OK) return status;
    place_x(run, x);
    copy(run, scratch->host_x, scratch->vectors[VECTOR_X], vector_bytes(run, VECTOR_X));
    ingot_vk_commands_barrier(device, commands);
    status = ingot_vk_run_passes(run);
    if (status != INGOT_OK) return status;
    copy(run, scratch->vectors[VECTOR_Y], scratch->host_y, vector_bytes(run, VECTOR_Y));
    status = finish(run);
    if (status == INGOT_OK) memcpy(y, scratch->host_y->mapped, vector_bytes(run, VECTOR_Y));
    return status;
}

/* How many vectors go in one batch: as many as there is, or can be made, room for. */
static uint64_t batch_vectors(struct vk_device *device, const struct vk_matrix *matrix, uint64_t n)
{
    uint64_t largest = 1;
    for (uint32_t v = 0; v < N_VECTORS; v++) largest = max_u64(largest, matrix->floats[v]);
    const uint64_t in_room = max_u64(batch_bytes / (largest * sizeof(float)), 1);
    const uint64_t in_time =
        max_u64(most_group_visits / (GEMM_ROWS * matrix->n_cols), GEMM_VECTORS);
    const uint64_t wanted = min_u64(n, min_u64(in_room, in_time));
    /* Without it there is the room that the upload has seen to. */
    (void)ingot_vk_scratch_reserve(device, matrix->floats, wanted, NULL);
    return min_u64(ingot_vk_scratch_room(device, matrix->floats, wanted), device->max_groups);
}

ingot_status ingot_vk_matmul(struct vk_device *device, const struct vk_matrix *matrix,
                             const float *x, uint64_t n, float *y, ingot_error *error)
{
    ingot_status status = ingot_vk_device_check(device, error);
    if (status != INGOT_OK || n == 0 || matrix->n_rows == 0) return status;
    if (matrix->generation != device->generation) {
        return ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "matrix",
                          "it was lost with %.80s, which was opened anew since", device->info.name);
    }
    if (!matrix->passes) { /* the sum of no parts */
        memset(y, 0, n * matrix->n_rows * sizeof *y);
        return INGOT_OK;
    }
    const uint64_t at_most = batch_vectors(device, matrix, n);
    for (uint64_t i = 0; i < n && status == INGOT_OK; i += at_most) {
        struct vk_run run = {.device = device,
                             .matrix = matrix,
                             .n_vectors = min_u64(at_most, n - i),
                             .error = error};
        status = run_batch(&run, x + i * matrix->n_cols, y + i * matrix->n_rows);
    }
    return status;
}

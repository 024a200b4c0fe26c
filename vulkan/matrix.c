/* Bringing a matrix to a device: its parts are cut into pieces that fit one allocation, and each
 * piece becomes a pass. Runs nothing. */
#include "vulkan/matrix.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "vulkan/scratch.h"
#include "vulkan/sparse.h"
#include "vulkan/stream.h"
#include "vulkan/trial.h"

/* Where a part is put together. */
struct builder {
    struct vk_device *device;
    struct vk_matrix *matrix;
    const struct resident_part *part;
    ingot_error *error;
};

/* Where the result of a coding goes, and what surrounds it. */
struct target {
    enum vk_vector input;
    enum vk_vector output;
    bool adds;
    float multiplier;
    uint64_t n_rows; /* of the output */
    uint64_t n_cols; /* of the input */
    const float *row_factors;
    const float *column_factors;
    char label[32];
};

static uint64_t vector_floats(uint64_t n)
{
    return ceil_div(max_u64(n, 1), VECTOR_ALIGN) * VECTOR_ALIGN;
}

static void need_floats(struct builder *build, enum vk_vector vector, uint64_t n)
{
    uint64_t *const floats = &build->matrix->floats[vector];
    *floats = max_u64(*floats, vector_floats(n));
}

/* ------------------------------------------------------------------ passes */

/* A pass at the end of the matrix's list, which owns it. */
static ingot_status add_pass(struct builder *build, enum vk_pass_kind kind,
                             const struct target *target, struct vk_pass **pass)
{
    struct vk_pass *made = ingot_allocate_zeroed(build->device->allocator, 1, sizeof *made);
    if (!made) return ingot_fail_memory(build->error, sizeof *made, target->label);
    if (build->matrix->last)
        build->matrix->last->next = made;
    else
        build->matrix->passes = made;
    build->matrix->last = made;
    made->kind = kind;
    made->input = target->input;
    made->output = target->output;
    made->specs[SPEC_ADD] = target->adds;
    made->push.multiplier = target->multiplier;
    snprintf(made->label, sizeof made->label, "%s", target->label);
    *pass = made;
    return INGOT_OK;
}

static ingot_status take_region(struct builder *build, struct vk_pass *pass, uint64_t n_bytes)
{
    build->matrix->resident_bytes += n_bytes;
    const ingot_status status = ingot_vk_region_take(build->device, max_u64(n_bytes, 16),
                                                     pass->label, &pass->region, build->error);
    if (status == INGOT_OK) pass->push.base = ingot_vk_region_address(&pass->region);
    return status;
}

/* A list of n numbers and as many factors; numbers NULL: each its own; factors NULL: ones. */
static ingot_status fill_list(struct builder *build, struct vk_pass *pass, const uint32_t *numbers,
                              const float *factors, uint64_t n)
{
    const ingot_status status = take_region(build, pass, n * 8);
    if (status != INGOT_OK) return status;
    struct vk_stream stream = ingot_vk_stream_begin(build->device, &pass->region, build->error);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t number = numbers ? numbers[i] : i;
        ingot_vk_stream_write(&stream, &number, sizeof number);
    }
    for (uint32_t i = 0; i < n; i++) {
        const float factor = factors ? factors[numbers ? numbers[i] : i] : 1.0f;
        ingot_vk_stream_write(&stream, &factor, sizeof factor);
    }
    ingot_vk_stream_write_zeros(&stream, pass->region.n_bytes - stream.n_written);
    pass->push.list = pass->push.base;
    pass->push.factors = pass->push.base + n * 4;
    pass->n_rows = (uint32_t)n;
    pass->row_weights = 1;
    return ingot_vk_stream_end(&stream);
}

/* Where x is not taken as it is, the target's input becomes x in another order. */
static ingot_status add_gather(struct builder *build, const struct vk_layout *layout,
                               struct target *target)
{
    struct target gather = *target;
    struct vk_pass *pass = NULL;
    if (!layout->order) return INGOT_OK;
    gather.output = VECTOR_G;
    gather.adds = false;
    need_floats(build, VECTOR_G, layout->n_cols);
    ingot_status status = add_pass(build, PASS_GATHER, &gather, &pass);
    if (status != INGOT_OK) return status;
    status = take_region(build, pass, layout->n_cols * 8);
    if (status != INGOT_OK) return status;
    struct vk_stream stream = ingot_vk_stream_begin(build->device, &pass->region, build->error);
    ingot_vk_stream_write(&stream, layout->order, layout->n_cols * 4);
    ingot_vk_stream_write(&stream, layout->factors, layout->n_cols * 4);
    ingot_vk_stream_write_zeros(&stream, pass->region.n_bytes - stream.n_written);
    pass->push.list = pass->push.base;
    pass->push.factors = pass->push.base + layout->n_cols * 4;
    pass->n_rows = (uint32_t)layout->n_cols;
    pass->row_weights = 1;
    target->input = VECTOR_G;
    return ingot_vk_stream_end(&stream);
}

/* Zeros to the output, before what fills only some of it. */
static ingot_status add_clear(struct builder *build, const struct target *target)
{
    struct vk_pass *pass = NULL;
    return add_pass(build, PASS_CLEAR, target, &pass);
}

/* Where rows are some of the output's, or have factors: the target's output becomes a vector
 * between, which a pass behind it scatters. */
struct scatter {
    bool is_needed;
    struct target target;
    const uint32_t *rows;
    uint64_t n_rows;
};

static struct scatter begin_scatter(struct builder *build, const uint32_t *rows, uint64_t n_rows,
                                    struct target *target)
{
    const struct scatter scatter = {rows || target->row_factors, *target, rows, n_rows};
    if (!scatter.is_needed) return scatter;
    need_floats(build, VECTOR_U, n_rows);
    target->output = VECTOR_U;
    target->adds = false;
    target->multiplier = 1.0f;
    return scatter;
}

static ingot_status end_scatter(struct builder *build, struct scatter *scatter)
{
    struct vk_pass *pass = NULL;
    ingot_status status = INGOT_OK;
    if (!scatter->is_needed) return INGOT_OK;
    if (!scatter->target.adds && scatter->rows) {
        status = add_clear(build, &scatter->target);
        scatter->target.adds = true;
    }
    scatter->target.input = VECTOR_U;
    if (status == INGOT_OK) status = add_pass(build, PASS_SCATTER, &scatter->target, &pass);
    if (status != INGOT_OK) return status;
    return fill_list(build, pass, scatter->rows, scatter->target.row_factors, scatter->n_rows);
}

/* ------------------------------------------------------------------ dense codings */

static ingot_status add_dense_piece(struct builder *build, const struct vk_layout *layout,
                                    const struct target *target, uint64_t first_row,
                                    uint64_t n_rows)
{
    struct vk_header header;
    struct vk_pass *pass = NULL;
    const uint64_t n_bytes = ingot_vk_layout_place(layout, first_row, n_rows, &header) * 4;
    ingot_status status = add_pass(build, PASS_PRODUCT, target, &pass);
    if (status != INGOT_OK) return status;
    status = take_region(build, pass, n_bytes);
    if (status != INGOT_OK) return status;
    snprintf(pass->map, sizeof pass->map, "%s", layout->map);
    memcpy(pass->specs, layout->specs, sizeof pass->specs);
    pass->specs[SPEC_ADD] = target->adds;
    pass->first_output = (uint32_t)first_row;
    pass->n_rows = (uint32_t)n_rows;
    pass->row_steps = layout->row_steps;
    pass->n_blocks = (uint32_t)ceil_div(layout->row_steps, STEP_COLS / layout->step_cols);
    pass->row_weights = layout->n_cols;
    struct vk_stream stream = ingot_vk_stream_begin(build->device, &pass->region, build->error);
    status = ingot_vk_layout_write(layout, first_row, n_rows, build->device->allocator, &stream,
                                   build->error);
    if (status != INGOT_OK) stream.status = status;
    if (stream.status == INGOT_OK) {
        ingot_vk_stream_write_zeros(&stream, pass->region.n_bytes - stream.n_written);
    }
    return ingot_vk_stream_end(&stream);
}

static ingot_status add_pieces(struct builder *build, const struct vk_layout *layout,
                               const struct target *target)
{
    ingot_status status = INGOT_OK;
    const uint64_t at_most = ingot_vk_layout_rows(layout, build->device->slab_bytes);
    const uint64_t n_rows = layout->dense->n_rows;
    for (uint64_t row = 0; row < n_rows && status == INGOT_OK; row += at_most) {
        status = add_dense_piece(build, layout, target, row, min_u64(at_most, n_rows - row));
        if (status != INGOT_OK) break;
        build->matrix->last->trial = ingot_vk_trial_find(build->device, layout->map, layout->specs);
    }
    return status;
}

/* The first rows as a matrix of their own, with one vector and what it makes of them. Rows whose
 * sums are no numbers say nothing. */
static ingot_status fill_trial(struct builder *build, const struct vk_layout *layout,
                               struct vk_trial *trial)
{
    const struct resident_dense *const dense = layout->dense;
    struct builder of_trial = {build->device, trial->matrix, NULL, build->error};
    const struct target target = {VECTOR_X, VECTOR_Y, false, 1.0f, 0, 0, NULL, NULL, "trial"};
    uint64_t random = 1;
    float *row = ingot_allocate_zeroed(build->device->allocator, dense->n_cols + 8, sizeof *row);
    trial->x = ingot_allocate_zeroed(build->device->allocator, layout->n_cols, sizeof *trial->x);
    if (!row || !trial->x) {
        ingot_release(build->device->allocator, row);
        return ingot_fail_memory(build->error, dense->n_cols * sizeof *row, "trial of a kernel");
    }
    for (uint64_t r = 0; r < trial->matrix->n_rows; r++) {
        resident_decode(dense, r, 0, dense->n_cols, row);
        random = 1;
        for (uint64_t i = 0; i < layout->n_cols; i++) {
            const bool is_column = !layout->reordered || layout->order[i] != INGOT_NONE;
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const float x = is_column ? (float)(int32_t)(random >> 32) * 0x1p-31f : 0.0f;
            const double w = is_column ? (double)row[layout->reordered ? layout->order[i] : i] : 0;
            trial->x[i] = layout->factors ? x * layout->factors[i] : x;
            trial->sums[r] += w * (double)x;
            trial->magnitudes[r] += fabs(w * (double)x);
        }
    }
    ingot_release(build->device->allocator, row);
    need_floats(&of_trial, VECTOR_X, layout->n_cols);
    trial->matrix->floats[VECTOR_Y] = trial->matrix->n_rows;
    const ingot_status status =
        ingot_vk_scratch_reserve(build->device, trial->matrix->floats, 1, build->error);
    if (status != INGOT_OK) return status;
    return add_dense_piece(&of_trial, layout, &target, 0, trial->matrix->n_rows);
}

static ingot_status make_trial(struct builder *build, const struct vk_layout *layout,
                               struct vk_trial **trial)
{
    const ingot_allocator *const allocator = build->device->allocator;
    struct vk_trial *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    ingot_status status = INGOT_OK;
    if (!made) return ingot_fail_memory(build->error, sizeof *made, "trial of a kernel");
    made->matrix = ingot_allocate_zeroed(allocator, 1, sizeof *made->matrix);
    if (!made->matrix) {
        status = ingot_fail_memory(build->error, sizeof *made->matrix, "trial of a kernel");
        goto done;
    }
    snprintf(made->map, sizeof made->map, "%s", layout->map);
    memcpy(made->specs, layout->specs, sizeof made->specs);
    made->matrix->n_rows = min_u64(layout->dense->n_rows, TRIAL_ROWS);
    made->matrix->n_cols = layout->n_cols;
    status = fill_trial(build, layout, made);
    if (status == INGOT_OK) {
        *trial = made;
        made = NULL;
    }
done:
    ingot_vk_trial_release(build->device, made);
    return status;
}

/* Sees to it that the kernels of a layout have a trial. *is_right: that of one vector, at least,
 * gives right products. What is not finite, or has factors of x that the codes lack, tells nothing.
 */
static ingot_status try_layout(struct builder *build, const struct vk_layout *layout,
                               bool has_factors, bool *is_right)
{
    struct vk_trial *trial = ingot_vk_trial_find(build->device, layout->map, layout->specs);
    *is_right = true;
    if (!trial && (has_factors || layout->dense->n_rows == 0 || layout->n_cols == 0)) {
        return INGOT_OK;
    }
    if (!trial) {
        ingot_status status = make_trial(build, layout, &trial);
        if (status != INGOT_OK) return status;
        bool finite = true;
        for (uint32_t r = 0; r < TRIAL_ROWS; r++) finite = finite && isfinite(trial->sums[r]);
        if (finite)
            status = ingot_vk_trial_run(build->device, trial, VARIANT(RUNG_F32, SHAPE_ONE),
                                        build->error);
        if (status != INGOT_OK || !finite) {
            ingot_vk_trial_release(build->device, trial);
            return status;
        }
        trial->next = build->device->trials;
        build->device->trials = trial;
    }
    *is_right = !trial->wrong[VARIANT(RUNG_F32, SHAPE_ONE)];
    return INGOT_OK;
}

static ingot_status add_laid_out(struct builder *build, const struct vk_layout *layout,
                                 struct target *target)
{
    const struct resident_dense *const dense = layout->dense;
    struct scatter scatter = begin_scatter(build, dense->rows, dense->n_rows, target);
    ingot_status status = add_gather(build, layout, target);
    if (status == INGOT_OK) status = add_pieces(build, layout, target);
    if (status == INGOT_OK) status = end_scatter(build, &scatter);
    return status;
}

static ingot_status add_dense(struct builder *build, const struct resident_dense *dense,
                              struct target *target)
{
    const ingot_allocator *const allocator = build->device->allocator;
    struct vk_layout layout;
    struct vk_layout_from from = {.n_rows = target->n_rows,
                                  .n_cols = target->n_cols,
                                  .column_factors = target->column_factors};
    for (;;) {
        bool is_right = true;
        ingot_status status =
            ingot_vk_layout_make(dense, &from, target->label, allocator, &layout, build->error);
        if (status != INGOT_OK) return status;
        status = try_layout(build, &layout, target->column_factors != NULL, &is_right);
        if (status == INGOT_OK && is_right) status = add_laid_out(build, &layout, target);
        if (status == INGOT_OK && !is_right && from.decodes) {
            status = ingot_fail(build->error, INGOT_DEVICE, INGOT_NO_OFFSET, target->label,
                                "%.80s multiplies wrongly: kernel gemv_%s",
                                build->device->info.name, layout.map);
        }
        ingot_vk_layout_close(&layout, allocator);
        if (status != INGOT_OK || is_right) return status;
        from.decodes = true; /* slower, and needs the simplest of kernels only */
    }
}

/* ------------------------------------------------------------------ kept values */

static ingot_status add_sparse_piece(struct builder *build, const struct vk_sparse *sparse,
                                     const struct target *target, uint64_t first_row,
                                     uint64_t n_rows)
{
    struct vk_header header;
    struct vk_pass *pass = NULL;
    const bool is_list = sparse->sparse->columns != NULL;
    const uint32_t *const offsets = sparse->sparse->row_offsets;
    const uint64_t n_kept = offsets[first_row + n_rows] - offsets[first_row];
    const uint64_t n_bytes = ingot_vk_sparse_place(sparse, first_row, n_rows, &header) * 4;
    ingot_status status = add_pass(build, is_list ? PASS_LIST : PASS_PRODUCT, target, &pass);
    if (status != INGOT_OK) return status;
    status = take_region(build, pass, n_bytes);
    if (status != INGOT_OK) return status;
    snprintf(pass->map, sizeof pass->map, "%s", sparse->map);
    memcpy(pass->specs, sparse->layout.specs, sizeof pass->specs);
    pass->specs[SPEC_ADD] = target->adds;
    pass->first_output = (uint32_t)first_row;
    pass->n_rows = (uint32_t)n_rows;
    pass->n_blocks = header.row_steps;
    pass->row_steps = is_list ? (uint32_t)(n_kept / n_rows) : header.row_steps;
    pass->row_weights = is_list ? n_kept / n_rows + 1 : sparse->n_cols;
    struct vk_stream stream = ingot_vk_stream_begin(build->device, &pass->region, build->error);
    status = ingot_vk_sparse_write(sparse, first_row, n_rows, build->device->allocator, &stream,
                                   build->error);
    if (status != INGOT_OK) stream.status = status;
    if (stream.status == INGOT_OK) {
        ingot_vk_stream_write_zeros(&stream, pass->region.n_bytes - stream.n_written);
    }
    return ingot_vk_stream_end(&stream);
}

/* Rows from `row` on that fit a piece: at least one, which is refused when taken if it does not. */
static uint64_t sparse_rows(const struct builder *build, const struct vk_sparse *sparse,
                            uint64_t row)
{
    struct vk_header header;
    uint64_t low = 1, high = sparse->n_rows - row;
    while (low < high) {
        const uint64_t n = low + (high - low + 1) / 2;
        const uint64_t n_bytes = ingot_vk_sparse_place(sparse, row, n, &header) * 4;
        if (n_bytes <= build->device->slab_bytes)
            low = n;
        else
            high = n - 1;
    }
    return low;
}

static ingot_status add_sparse(struct builder *build, const struct resident_sparse *kept,
                               struct target *target)
{
    struct vk_sparse sparse;
    const struct vk_layout_from from = {.n_rows = target->n_rows,
                                        .n_cols = target->n_cols,
                                        .column_factors = target->column_factors,
                                        .is_kept = true,
                                        .is_list = kept->columns != NULL};
    ingot_status status = ingot_vk_sparse_make(kept, &from, target->label, build->device->allocator,
                                               &sparse, build->error);
    if (status != INGOT_OK) return status;
    struct scatter scatter = begin_scatter(build, NULL, target->n_rows, target);
    status = add_gather(build, &sparse.layout, target);
    for (uint64_t row = 0; row < target->n_rows && status == INGOT_OK;) {
        const uint64_t n = sparse_rows(build, &sparse, row);
        status = add_sparse_piece(build, &sparse, target, row, n);
        row += n;
    }
    if (status == INGOT_OK) status = end_scatter(build, &scatter);
    ingot_vk_sparse_close(&sparse, build->device->allocator);
    return status;
}

/* ------------------------------------------------------------------ parts, one function a kind */

static struct target part_target(const struct builder *build, uint32_t index, const char *kind)
{
    struct target target = {.input = VECTOR_X,
                            .output = VECTOR_Y,
                            .adds = index > 0,
                            .multiplier = 1.0f,
                            .n_rows = build->matrix->n_rows,
                            .n_cols = build->matrix->n_cols,
                            .row_factors = build->part->row_factors,
                            .column_factors = build->part->column_factors};
    snprintf(target.label, sizeof target.label, "part %u %s", index, kind);
    return target;
}

static ingot_status upload_dense(struct builder *build, uint32_t index)
{
    struct target target = part_target(build, index, "dense");
    return add_dense(build, &build->part->dense, &target);
}

static ingot_status upload_sparse(struct builder *build, uint32_t index)
{
    struct target target = part_target(build, index, "sparse");
    return add_sparse(build, &build->part->sparse, &target);
}

/* t = A x, then y += multiplier * B t. */
static ingot_status upload_lowrank(struct builder *build, uint32_t index)
{
    const struct resident_lowrank *const lowrank = &build->part->lowrank;
    const uint64_t rank = lowrank->a.n_rows;
    struct target a = part_target(build, index, "lowrank a");
    struct target b = part_target(build, index, "lowrank b");
    assert(rank == lowrank->b.n_cols);
    need_floats(build, VECTOR_T, rank);
    a.output = VECTOR_T;
    a.adds = false;
    a.n_rows = rank;
    a.row_factors = NULL;
    b.input = VECTOR_T;
    b.multiplier = lowrank->multiplier;
    b.n_cols = rank;
    b.column_factors = NULL;
    /* B reads t up to a multiple of VECTOR_ALIGN, and an earlier t may have left anything there. */
    ingot_status status = add_clear(build, &a);
    if (status == INGOT_OK) status = add_dense(build, &lowrank->a, &a);
    if (status == INGOT_OK) status = add_dense(build, &lowrank->b, &b);
    return status;
}

static ingot_status (*const uploaders[N_RESIDENT_KINDS])(struct builder *, uint32_t) = {
    [RESIDENT_DENSE] = upload_dense,
    [RESIDENT_SPARSE] = upload_sparse,
    [RESIDENT_LOWRANK] = upload_lowrank,
};

/* ------------------------------------------------------------------ the matrix */

/* Refuses sizes that 32-bit indices do not reach. */
static ingot_status check_size(const struct resident_matrix *from, ingot_error *error)
{
    uint64_t largest = max_u64(from->n_rows, from->n_cols);
    for (uint32_t i = 0; i < from->n_parts; i++) {
        if (from->parts[i].kind != RESIDENT_LOWRANK) continue;
        largest = max_u64(largest, from->parts[i].lowrank.a.n_rows);
    }
    if (largest <= INT32_MAX - VECTOR_ALIGN) return INGOT_OK;
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "matrix",
                      "%llu x %llu is more than the Vulkan backend computes",
                      (unsigned long long)from->n_rows, (unsigned long long)from->n_cols);
}

/* What x may be rounded to, by ingot_activations. */
static const uint32_t rungs_of[] = {
    [INGOT_ACTIVATIONS_F32] = 1u << RUNG_F32,
    [INGOT_ACTIVATIONS_BF16] = 1u << RUNG_F32 | 1u << RUNG_HALF | 1u << RUNG_MATRIX,
    [INGOT_ACTIVATIONS_I8] = 1u << RUNG_F32 | 1u << RUNG_HALF | 1u << RUNG_DOT | 1u << RUNG_MATRIX,
};

static ingot_status build_matrix(struct builder *build, const struct resident_matrix *from)
{
    ingot_status status = check_size(from, build->error);
    build->matrix->n_rows = from->n_rows;
    build->matrix->n_cols = from->n_cols;
    build->matrix->rungs = rungs_of[from->activations];
    need_floats(build, VECTOR_X, from->n_cols);
    build->matrix->floats[VECTOR_Y] = max_u64(from->n_rows, 1);
    /* Sizes of vectors are refused before weights are written. */
    if (status == INGOT_OK) {
        status = ingot_vk_scratch_reserve(build->device, build->matrix->floats, 1, build->error);
    }
    if (status != INGOT_OK || from->n_rows == 0 || from->n_cols == 0) return status;
    for (uint32_t i = 0; i < from->n_parts && status == INGOT_OK; i++) {
        build->part = &from->parts[i];
        assert(build->part->kind < N_RESIDENT_KINDS);
        status = uploaders[build->part->kind](build, i);
    }
    if (status != INGOT_OK) return status;
    return ingot_vk_scratch_reserve(build->device, build->matrix->floats, 1, build->error);
}

ingot_status ingot_vk_matrix_upload(struct vk_device *device, const struct resident_matrix *from,
                                    struct vk_matrix **matrix, ingot_error *error)
{
    assert(from->n_parts <= RESIDENT_MAX_PARTS);
    ingot_status status = ingot_vk_device_check(device, error);
    if (status != INGOT_OK) return status;
    struct vk_matrix *made = ingot_allocate_zeroed(device->allocator, 1, sizeof *made);
    if (!made) return ingot_fail_memory(error, sizeof *made, "matrix");
    struct builder build = {device, made, NULL, error};
    status = build_matrix(&build, from);
    if (status == INGOT_OK) {
        *matrix = made;
    } else {
        ingot_vk_matrix_release(device, made);
    }
    return status;
}

void ingot_vk_matrix_release(struct vk_device *device, struct vk_matrix *matrix)
{
    if (!matrix) return;
    while (matrix->passes) {
        struct vk_pass *const first = matrix->passes;
        matrix->passes = first->next;
        ingot_vk_region_release(device, &first->region);
        ingot_release(device->allocator, first);
    }
    ingot_release(device->allocator, matrix);
}

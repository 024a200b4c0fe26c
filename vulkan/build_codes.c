/* Codings on a device: cut into pieces that fit one region, each a pass; with kernels that are
 * tried before they are trusted. */
#include "vulkan/build.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "vulkan/scratch.h"
#include "vulkan/stream.h"
#include "vulkan/trial.h"

/* ------------------------------------------------------------------ pieces */

/* What a row of the piece costs. */
static void set_work(const struct vk_layout *layout, const struct vk_header *header,
                     uint64_t first_row, uint64_t n_rows, struct vk_pass *pass)
{
    pass->first_output = (uint32_t)first_row;
    pass->n_rows = (uint32_t)n_rows;
    pass->row_steps = header->row_steps;
    pass->n_blocks = (uint32_t)ceil_div(header->row_steps, STEP_COLS / layout->step_cols);
    pass->row_weights = layout->n_cols;
    if (!layout->sparse) return;
    pass->n_blocks = header->row_steps;
    if (!layout->sparse->columns) return;
    const uint32_t *const offsets = layout->sparse->row_offsets + first_row;
    pass->row_steps = (offsets[n_rows] - offsets[0]) / (uint32_t)n_rows;
    pass->row_weights = pass->row_steps + UINT64_C(1);
}

/* Rows of a layout that fit one region. */
static ingot_status add_piece(struct vk_builder *build, const struct vk_layout *layout,
                              const struct vk_target *target, uint64_t first_row, uint64_t n_rows)
{
    struct vk_header header;
    struct vk_pass *pass = NULL;
    const bool is_list = layout->sparse && layout->sparse->columns;
    const uint64_t n_bytes = ingot_vk_layout_place(layout, first_row, n_rows, &header) * 4;
    ingot_status status =
        ingot_vk_build_pass(build, is_list ? PASS_LIST : PASS_PRODUCT, target, &pass);
    if (status != INGOT_OK) return status;
    status = ingot_vk_build_region(build, pass, n_bytes);
    if (status != INGOT_OK) return status;
    snprintf(pass->map, sizeof pass->map, "%s", layout->module);
    memcpy(pass->specs, layout->specs, sizeof pass->specs);
    pass->specs[SPEC_ADD] = target->adds;
    set_work(layout, &header, first_row, n_rows, pass);
    struct vk_stream stream = ingot_vk_stream_begin(build->device, &pass->region, build->error);
    ingot_vk_layout_write(layout, first_row, n_rows, &stream);
    if (stream.status == INGOT_OK) {
        ingot_vk_stream_write_zeros(&stream, pass->region.n_bytes - stream.n_written);
    }
    return ingot_vk_stream_end(&stream);
}

static ingot_status add_pieces(struct vk_builder *build, const struct vk_layout *layout,
                               const struct vk_target *target)
{
    ingot_status status = INGOT_OK;
    for (uint64_t row = 0; row < layout->n_rows && status == INGOT_OK;) {
        const uint64_t n = ingot_vk_layout_rows(layout, row, build->device->slab_bytes);
        status = add_piece(build, layout, target, row, n);
        if (status != INGOT_OK) break;
        if (!layout->sparse) {
            build->matrix->last->trial =
                ingot_vk_trial_find(build->device, layout->map, layout->specs);
        }
        row += n;
    }
    return status;
}

static ingot_status add_laid_out(struct vk_builder *build, const struct vk_layout *layout,
                                 const uint32_t *rows, struct vk_target *target)
{
    struct vk_scatter scatter = ingot_vk_build_scatter(build, rows, layout->n_rows, target);
    ingot_status status = ingot_vk_build_gather(build, layout, target);
    if (status == INGOT_OK) status = add_pieces(build, layout, target);
    if (status == INGOT_OK) status = ingot_vk_build_scatter_end(build, &scatter);
    return status;
}

/* ------------------------------------------------------------------ trials */

/* The first rows as a matrix of their own, with one vector and what it makes of them. Rows whose
 * sums are no numbers say nothing. */
static ingot_status fill_trial(struct vk_builder *build, const struct vk_layout *layout,
                               struct vk_trial *trial)
{
    const struct resident_dense *const dense = layout->dense;
    struct vk_builder of_trial = {build->device, trial->matrix, NULL, build->error};
    const struct vk_target target = {VECTOR_X, VECTOR_Y, false, 1.0f, 0, 0, NULL, NULL, "trial"};
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
    ingot_vk_build_floats(&of_trial, VECTOR_X, layout->n_cols);
    trial->matrix->floats[VECTOR_Y] = trial->matrix->n_rows;
    const ingot_status status =
        ingot_vk_scratch_reserve(build->device, trial->matrix->floats, 1, build->error);
    if (status != INGOT_OK) return status;
    return add_piece(&of_trial, layout, &target, 0, trial->matrix->n_rows);
}

static ingot_status make_trial(struct vk_builder *build, const struct vk_layout *layout,
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
static ingot_status try_layout(struct vk_builder *build, const struct vk_layout *layout,
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

/* ------------------------------------------------------------------ codings */

ingot_status ingot_vk_build_dense(struct vk_builder *build, const struct resident_dense *dense,
                                  struct vk_target *target)
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
        if (status == INGOT_OK && is_right)
            status = add_laid_out(build, &layout, dense->rows, target);
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

ingot_status ingot_vk_build_sparse(struct vk_builder *build, const struct resident_sparse *sparse,
                                   struct vk_target *target)
{
    const ingot_allocator *const allocator = build->device->allocator;
    struct vk_layout layout;
    const struct vk_layout_from from = {.n_rows = target->n_rows,
                                        .n_cols = target->n_cols,
                                        .column_factors = target->column_factors,
                                        .sparse = sparse};
    ingot_status status = ingot_vk_layout_make(&sparse->values, &from, target->label, allocator,
                                               &layout, build->error);
    if (status != INGOT_OK) return status;
    status = add_laid_out(build, &layout, NULL, target);
    ingot_vk_layout_close(&layout, allocator);
    return status;
}

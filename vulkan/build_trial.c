/* Trials of kernels, made of the first matrix that asks for one. */
#include "vulkan/build.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "vulkan/scratch.h"
#include "vulkan/sparse.h"
#include "vulkan/trial.h"

/* The first rows as a matrix of their own, with one vector and what it makes of them. Rows whose
 * sums are no numbers say nothing. */
static ingot_status fill_trial(struct vk_builder *build, const struct vk_layout *layout,
                               struct vk_trial *trial)
{
    const ingot_allocator *const allocator = build->device->allocator;
    struct resident_dense dense;
    uint8_t *codes = NULL;
    struct vk_builder of_trial = {build->device, trial->matrix, NULL, build->error};
    const struct vk_target target = {VECTOR_X, VECTOR_Y, false, 1.0f, 0, 0, NULL, NULL, "trial"};
    uint64_t random = 1;
    float *row = NULL;
    const uint64_t row_cols = layout->sparse ? layout->n_cols : layout->dense->n_cols;
    ingot_status status =
        layout->sparse
            ? INGOT_OK
            : ingot_vk_build_read(build, layout->dense, trial->matrix->n_rows, &dense, &codes);
    if (status != INGOT_OK) goto done;
    row = ingot_allocate_zeroed(allocator, row_cols + 8, sizeof *row);
    trial->x = ingot_allocate_zeroed(allocator, layout->n_cols, sizeof *trial->x);
    if (!row || !trial->x) {
        status = ingot_fail_memory(build->error, row_cols * sizeof *row, "trial of a kernel");
        goto done;
    }
    for (uint64_t r = 0; r < trial->matrix->n_rows; r++) {
        if (layout->sparse) {
            memset(row, 0, row_cols * sizeof *row);
            status = ingot_vk_sparse_decode(layout, r, allocator, row, build->error);
            if (status != INGOT_OK) goto done;
        } else {
            resident_decode(&dense, r, 0, dense.n_cols, row);
        }
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
    ingot_vk_build_floats(&of_trial, VECTOR_X, layout->n_cols);
    trial->matrix->floats[VECTOR_Y] = trial->matrix->n_rows;
    status = ingot_vk_scratch_reserve(build->device, trial->matrix->floats, 1, build->error);
    if (status == INGOT_OK) {
        status = ingot_vk_build_piece(&of_trial, layout, &target, 0, trial->matrix->n_rows);
    }
done:
    ingot_release(allocator, row);
    ingot_release(allocator, codes);
    return status;
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
    snprintf(made->map, sizeof made->map, "%s", layout->module);
    made->is_list = layout->sparse && layout->sparse->columns;
    memcpy(made->specs, layout->specs, sizeof made->specs);
    made->matrix->generation = build->device->generation;
    made->matrix->n_rows = min_u64(layout->n_rows, TRIAL_ROWS);
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

ingot_status ingot_vk_build_try(struct vk_builder *build, const struct vk_layout *layout,
                                bool has_factors, bool *is_right)
{
    const bool is_list = layout->sparse && layout->sparse->columns;
    struct vk_trial *trial =
        ingot_vk_trial_find(build->device, layout->module, is_list, layout->specs);
    *is_right = true;
    if (!trial && (has_factors || layout->n_rows == 0 || layout->n_cols == 0)) {
        return INGOT_OK;
    }
    if (!trial) {
        ingot_status status = make_trial(build, layout, &trial);
        if (status != INGOT_OK) return status;
        bool finite = true;
        double magnitude = 0;
        for (uint32_t r = 0; r < TRIAL_ROWS; r++) {
            finite = finite && isfinite(trial->sums[r]);
            magnitude += trial->magnitudes[r];
        }
        /* Kept values may all be in other rows. */
        finite = finite && (magnitude > 0 || !layout->sparse);
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

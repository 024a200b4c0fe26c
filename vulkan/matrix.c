/* Bringing a matrix to a device: one function a kind of part. Runs nothing. */
#include "vulkan/matrix.h"

#include <assert.h>
#include <stdio.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "vulkan/build.h"
#include "vulkan/scratch.h"

static struct vk_target part_target(const struct vk_builder *build, uint32_t index,
                                    const char *kind)
{
    struct vk_target target = {.input = VECTOR_X,
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

static ingot_status upload_dense(struct vk_builder *build, uint32_t index)
{
    struct vk_target target = part_target(build, index, "dense");
    return ingot_vk_build_dense(build, &build->part->dense, &target);
}

static ingot_status upload_sparse(struct vk_builder *build, uint32_t index)
{
    struct vk_target target = part_target(build, index, "sparse");
    return ingot_vk_build_sparse(build, &build->part->sparse, &target);
}

/* t = A x, then y += multiplier * B t. */
static ingot_status upload_lowrank(struct vk_builder *build, uint32_t index)
{
    const struct resident_lowrank *const lowrank = &build->part->lowrank;
    const uint64_t rank = lowrank->a.n_rows;
    struct vk_target a = part_target(build, index, "lowrank a");
    struct vk_target b = part_target(build, index, "lowrank b");
    assert(rank == lowrank->b.n_cols);
    ingot_vk_build_floats(build, VECTOR_T, rank);
    a.output = VECTOR_T;
    a.adds = false;
    a.n_rows = rank;
    a.row_factors = NULL;
    b.input = VECTOR_T;
    b.multiplier = lowrank->multiplier;
    b.n_cols = rank;
    b.column_factors = NULL;
    /* B reads t up to a multiple of VECTOR_ALIGN, and an earlier t may have left anything there. */
    ingot_status status = ingot_vk_build_clear(build, &a);
    if (status == INGOT_OK) status = ingot_vk_build_dense(build, &lowrank->a, &a);
    if (status == INGOT_OK) status = ingot_vk_build_dense(build, &lowrank->b, &b);
    return status;
}

static ingot_status (*const uploaders[N_RESIDENT_KINDS])(struct vk_builder *, uint32_t) = {
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

static ingot_status build_matrix(struct vk_builder *build, const struct resident_matrix *from)
{
    ingot_status status = check_size(from, build->error);
    build->matrix->generation = build->device->generation;
    build->matrix->n_rows = from->n_rows;
    build->matrix->n_cols = from->n_cols;
    build->matrix->rungs = rungs_of[from->activations];
    ingot_vk_build_floats(build, VECTOR_X, from->n_cols);
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
    struct vk_builder build = {device, made, NULL, error};
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
    (void)ingot_vk_queues_settle(device, NULL); /* an upload may be on its way still */
    while (matrix->passes) {
        struct vk_pass *const first = matrix->passes;
        matrix->passes = first->next;
        ingot_vk_region_release(device, &first->region);
        ingot_release(device->allocator, first);
    }
    ingot_release(device->allocator, matrix);
}

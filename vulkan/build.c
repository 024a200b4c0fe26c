/* Passes of a matrix, put together one behind the other. Knows no coding. */
#include "vulkan/build.h"

#include <stdio.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "vulkan/stream.h"

static uint64_t vector_floats(uint64_t n)
{
    return ceil_div(max_u64(n, 1), VECTOR_ALIGN) * VECTOR_ALIGN;
}

void ingot_vk_build_floats(struct vk_builder *build, enum vk_vector vector, uint64_t n)
{
    uint64_t *const floats = &build->matrix->floats[vector];
    *floats = max_u64(*floats, vector_floats(n));
}

/* ------------------------------------------------------------------ passes */

ingot_status ingot_vk_build_pass(struct vk_builder *build, enum vk_pass_kind kind,
                                 const struct vk_target *target, struct vk_pass **pass)
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

ingot_status ingot_vk_build_region(struct vk_builder *build, struct vk_pass *pass, uint64_t n_bytes)
{
    build->matrix->resident_bytes += n_bytes;
    const ingot_status status = ingot_vk_region_take(build->device, max_u64(n_bytes, 16),
                                                     pass->label, &pass->region, build->error);
    if (status == INGOT_OK) pass->push.base = ingot_vk_region_address(&pass->region);
    return status;
}

/* A list of n numbers and as many factors; numbers NULL: each its own; factors NULL: ones. */
static ingot_status fill_list(struct vk_builder *build, struct vk_pass *pass,
                              const uint32_t *numbers, const float *factors, uint64_t n)
{
    const ingot_status status = ingot_vk_build_region(build, pass, n * 8);
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

ingot_status ingot_vk_build_gather(struct vk_builder *build, const struct vk_layout *layout,
                                   struct vk_target *target)
{
    struct vk_target gather = *target;
    struct vk_pass *pass = NULL;
    if (!layout->order) return INGOT_OK;
    gather.output = VECTOR_G;
    gather.adds = false;
    ingot_vk_build_floats(build, VECTOR_G, layout->n_cols);
    ingot_status status = ingot_vk_build_pass(build, PASS_GATHER, &gather, &pass);
    if (status != INGOT_OK) return status;
    status = ingot_vk_build_region(build, pass, layout->n_cols * 8);
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

ingot_status ingot_vk_build_clear(struct vk_builder *build, const struct vk_target *target)
{
    struct vk_pass *pass = NULL;
    return ingot_vk_build_pass(build, PASS_CLEAR, target, &pass);
}

struct vk_scatter ingot_vk_build_scatter(struct vk_builder *build, const uint32_t *rows,
                                         uint64_t n_rows, struct vk_target *target)
{
    const struct vk_scatter scatter = {rows || target->row_factors, *target, rows, n_rows};
    if (!scatter.is_needed) return scatter;
    ingot_vk_build_floats(build, VECTOR_U, n_rows);
    target->output = VECTOR_U;
    target->adds = false;
    target->multiplier = 1.0f;
    return scatter;
}

ingot_status ingot_vk_build_scatter_end(struct vk_builder *build, struct vk_scatter *scatter)
{
    struct vk_pass *pass = NULL;
    ingot_status status = INGOT_OK;
    if (!scatter->is_needed) return INGOT_OK;
    if (!scatter->target.adds && scatter->rows) {
        status = ingot_vk_build_clear(build, &scatter->target);
        scatter->target.adds = true;
    }
    scatter->target.input = VECTOR_U;
    if (status == INGOT_OK)
        status = ingot_vk_build_pass(build, PASS_SCATTER, &scatter->target, &pass);
    if (status != INGOT_OK) return status;
    return fill_list(build, pass, scatter->rows, scatter->target.row_factors, scatter->n_rows);
}

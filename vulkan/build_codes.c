/* Codings on a device, cut into pieces that fit one region, each a pass. */
#include "vulkan/build.h"

#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
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

ingot_status ingot_vk_build_piece(struct vk_builder *build, const struct vk_layout *layout,
                                  const struct vk_target *target, uint64_t first_row,
                                  uint64_t n_rows)
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
        status = ingot_vk_build_piece(build, layout, target, row, n);
        if (status != INGOT_OK) break;
        if (build->matrix->last->kind == PASS_PRODUCT) {
            build->matrix->last->trial =
                ingot_vk_trial_find(build->device, layout->module, false, layout->specs);
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

/* ------------------------------------------------------------------ codings */

ingot_status ingot_vk_build_read(const struct vk_builder *build, const struct resident_dense *dense,
                                 uint64_t n_rows, struct resident_dense *read, uint8_t **memory)
{
    uint8_t *places[CODING_MAX_PLANES];
    uint64_t n_bytes = RESIDENT_SLACK_BYTES;
    struct resident_plane *const sets[] = {read->planes, read->signs};
    *read = *dense;
    *memory = NULL;
    if (!dense->unread) return INGOT_OK;
    const uint32_t n_planes[] = {dense->n_planes, dense->n_sign_planes};
    ingot_status status = INGOT_OK;
    for (uint32_t s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < n_planes[s]; i++) {
            n_bytes += ceil_div(n_rows * sets[s][i].row_bytes, 16) * 16;
        }
    }
    uint8_t *at = *memory = ingot_allocate(build->device->allocator, n_bytes);
    if (!at) return ingot_fail_memory(build->error, n_bytes, "codes");
    for (uint32_t s = 0; s < 2 && status == INGOT_OK; s++) {
        for (uint32_t i = 0; i < n_planes[s]; i++) {
            sets[s][i].data = places[i] = at;
            at += ceil_div(n_rows * sets[s][i].row_bytes, 16) * 16;
        }
        status = dense->unread->read(dense->unread, 0, n_rows, s == 1, places, build->error);
    }
    read->n_rows = n_rows;
    read->unread = NULL;
    return status;
}

/* The simplest kernel is wrong too. */
static ingot_status fail_wrong(const struct vk_builder *build, const struct vk_layout *layout,
                               const struct vk_target *target)
{
    const bool is_list = layout->sparse && layout->sparse->columns;
    return ingot_fail(build->error, INGOT_DEVICE, INGOT_NO_OFFSET, target->label,
                      "%.80s multiplies wrongly: kernel %s_%s", build->device->info.name,
                      is_list ? "list" : "gemv", layout->module);
}

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
        struct resident_dense read = *dense;
        uint8_t *codes = NULL;
        layout.dense = &read;
        if (layout.decoded) {
            status = ingot_vk_build_read(build, dense, dense->n_rows, &read, &codes);
        }
        if (status == INGOT_OK) {
            status = ingot_vk_build_try(build, &layout, target->column_factors != NULL, &is_right);
        }
        if (status == INGOT_OK && is_right) {
            status = add_laid_out(build, &layout, dense->rows, target);
        }
        if (status == INGOT_OK && !is_right && from.decodes) {
            status = fail_wrong(build, &layout, target);
        }
        ingot_release(allocator, codes);
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
    struct vk_layout_from from = {.n_rows = target->n_rows,
                                  .n_cols = target->n_cols,
                                  .column_factors = target->column_factors,
                                  .sparse = sparse};
    for (;;) {
        bool is_right = true;
        ingot_status status = ingot_vk_layout_make(&sparse->values, &from, target->label, allocator,
                                                   &layout, build->error);
        if (status != INGOT_OK) return status;
        status = ingot_vk_build_try(build, &layout, target->column_factors != NULL, &is_right);
        if (status == INGOT_OK && is_right) status = add_laid_out(build, &layout, NULL, target);
        if (status == INGOT_OK && !is_right && from.decodes) {
            status = fail_wrong(build, &layout, target);
        }
        ingot_vk_layout_close(&layout, allocator);
        if (status != INGOT_OK || is_right) return status;
        from.decodes = true;
    }
}

/* Products with dense codings. Leaves codes and instruction sets to the level, tasks to the matrix.
 */
#include "runtime/cpu_dense.h"

#include <assert.h>

#include "format/bytes.h"
#include "format/fail.h"

enum { DOT_BATCH = 2 /* up to so many, multiplying from the codes beats decoding them first */ };

/* ------------------------------------------------------------------ blocks */

static void add_block(const struct slice *s, const struct block *block)
{
    const struct cpu_product product = {
        .w = block->w,
        .w_stride = CPU_STRIDE,
        .n_rows = block->n_rows,
        .x = s->x + block->first_col,
        .x_stride = s->x_stride,
        .n_x = s->n_x,
        .n_cols = block->n_cols,
        .y = s->y + (block->first_row - s->first_row),
        .y_stride = s->y_stride,
    };
    s->level->multiply(&product);
}

void slice_add_blocks(const struct slice *s, uint64_t n_cols,
                      void (*decode)(void *context, struct block *block), void *context)
{
    struct block block;
    for (uint64_t col = 0; col < n_cols; col += CPU_COLS) {
        block.first_col = col;
        block.n_cols = min_u64(CPU_COLS, n_cols - col);
        for (uint32_t row = 0; row < s->n_rows; row += CPU_ROWS) {
            block.first_row = s->first_row + row;
            block.n_rows = (uint32_t)min_u64(CPU_ROWS, s->n_rows - row);
            decode(context, &block);
            add_block(s, &block);
        }
    }
}

static void decode_block(void *context, struct block *block)
{
    const struct cpu_dense *dense = context;
    for (uint32_t i = 0; i < block->n_rows; i++) {
        dense->kernel->decode(dense->resident, block->first_row + i, block->first_col,
                              block->n_cols, block->w + i * CPU_STRIDE);
    }
}

static void add_dots(const struct cpu_dense *dense, const struct slice *s)
{
    for (uint32_t i = 0; i < s->n_rows; i += CPU_ROWS) {
        const uint64_t row = s->first_row + i;
        const uint32_t n_rows = (uint32_t)min_u64(CPU_ROWS, s->n_rows - i);
        for (uint64_t j = 0; j < s->n_x; j++) {
            dense->kernel->dot(dense->resident, row, n_rows, s->x + j * s->x_stride,
                               s->y + j * s->y_stride + i);
        }
    }
}

/* ------------------------------------------------------------------ the form */

static uint64_t planes_bytes(const struct resident_plane *planes, uint32_t n, uint64_t n_rows)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < n; i++) n_bytes += n_rows * planes[i].row_bytes;
    return n_bytes;
}

static uint64_t dense_bytes(const struct resident_dense *dense)
{
    const struct ingot_coding *coding = dense->coding;
    uint64_t n_bytes =
        dense->in_place ? 0 : planes_bytes(dense->planes, dense->n_planes, dense->n_rows);
    n_bytes += planes_bytes(dense->signs, dense->n_sign_planes, dense->n_rows);
    if (dense->codebook != NULL) {
        n_bytes += sizeof(float) * coding->n_entries * max_u64(coding->vector_length, 1);
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct resident_table *table = &dense->tables[i];
        if (!coding->slots[i].has_table) continue;
        n_bytes += table->nested != NULL
                       ? dense_bytes(table->nested)
                       : table->n_rows * table->n_cols * ingot_dtype_bits(table->format) / 8;
    }
    return n_bytes;
}

ingot_status cpu_dense_choose(const struct cpu_level *level, const struct resident_dense *resident,
                              struct cpu_dense *dense, uint64_t *resident_bytes, ingot_error *error)
{
    const char *why;
    if (!cpu_plain_supports(resident, &why)) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "matrix",
                          "the CPU backend cannot multiply by this coding: %s", why);
    }
    *dense = (struct cpu_dense){.resident = resident};
    dense->kernel = cpu_level_kernel(level, resident);
    *resident_bytes += dense_bytes(resident);
    return INGOT_OK;
}

ingot_status cpu_dense_make(const struct cpu_level *level, const struct resident_dense *resident,
                            struct ingot_pool *pool, const ingot_allocator *allocator,
                            struct cpu_dense *dense, uint64_t *resident_bytes, ingot_error *error)
{
    uint64_t n_bytes = 0;
    ingot_status status = cpu_dense_choose(level, resident, dense, &n_bytes, error);
    if (status == INGOT_OK && level->panels != NULL && !resident->in_place) {
        status = panels_make(resident, pool, allocator, &dense->panels, error);
    }
    if (status != INGOT_OK) return status;
    *resident_bytes += dense->panels != NULL ? dense->panels->n_bytes : n_bytes;
    return INGOT_OK;
}

void cpu_dense_release(struct cpu_dense *dense, const ingot_allocator *allocator)
{
    panels_release(dense->panels, allocator);
}

/* ------------------------------------------------------------------ multiplying */

static enum panel_mode mode_of(const struct cpu_dense *dense, enum panel_mode mode)
{
    return panels_have(dense->panels, mode) ? mode : PANEL_MODE_BF16;
}

uint64_t cpu_dense_x_bytes(const struct cpu_dense *dense, const struct cpu_level *level,
                           enum panel_mode mode, uint64_t n_x)
{
    if (dense->panels == NULL) return 0;
    return level->panels->x_bytes(dense->panels, mode_of(dense, mode), n_x);
}

struct x_job {
    const struct cpu_dense *dense;
    const struct cpu_level *level;
    enum panel_mode mode;
    const float *x;
    uint64_t x_stride;
    uint64_t n_x;
    void *ready;
};

static void prepare_row(void *context, uint64_t j)
{
    const struct x_job *job = context;
    job->level->panels->x_prepare(job->dense->panels, job->mode, job->x, job->x_stride, job->n_x, j,
                                  1, job->ready);
}

void cpu_dense_x_prepare(const struct cpu_dense *dense, const struct cpu_level *level,
                         struct ingot_pool *pool, enum panel_mode mode, const float *x,
                         uint64_t x_stride, uint64_t n_x, void *ready)
{
    if (dense->panels == NULL) return;
    struct x_job job = {dense, level, mode_of(dense, mode), x, x_stride, n_x, ready};
    ingot_pool_run(pool, n_x, prepare_row, &job);
}

void cpu_dense_add(const struct cpu_dense *dense, enum panel_mode mode, const void *ready,
                   const struct slice *slice)
{
    if (dense->panels != NULL) {
        assert(slice->first_row % PANEL_ROWS == 0);
        slice->level->panels->multiply(
            dense->panels, mode_of(dense, mode), ready, slice->n_x, slice->first_row / PANEL_ROWS,
            ceil_div(slice->n_rows, PANEL_ROWS), slice->y, slice->y_stride);
    } else if (dense->kernel->dot != NULL && slice->n_x <= DOT_BATCH) {
        add_dots(dense, slice);
    } else {
        struct cpu_dense own = *dense;
        slice_add_blocks(slice, dense->resident->n_cols, decode_block, &own);
    }
}

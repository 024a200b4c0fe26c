/* Groups of many rows: blocks of a matrix, or the whole tensor, each with one scale. Rows of a
 * group lie side by side in the lanes. Scales below that which clips nothing are tried, an octave
 * at a time, and the one with the least error taken. */
#include <math.h>

#include "convert/encode.h"
#include "convert/planes.h"
#include "format/alloc.h"
#include "format/fail.h"

enum { N_SCALES = 2 * CANDIDATES, MAX_OCTAVES = 4 };

/* Rows [first_row, first_row + n_rows) of the stack, columns [first_col, first_col + n_cols). */
struct block {
    uint64_t first_row, n_rows;
    uint64_t first_col, n_cols;
};

/* Rows from `row` of the block on, in lanes. Returns how many there are: what follows repeats the
 * last. */
static uint32_t load_rows(const struct grid_work *w, const struct block *block, uint64_t row,
                          struct grid_batch *b)
{
    const uint64_t n = min_u64(LANES, block->n_rows - row);
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t at = block->first_row + row + min_u64(k, n - 1);
        b->sizes[k] = (uint32_t)block->n_cols;
        b->begins[k] = at * w->n_cols + block->first_col;
    }
    grid_load_batch(w, b);
    return (uint32_t)n;
}

/* 2^(-j / N_SCALES), of a scale that clips nothing. */
static float candidate(float scale, uint32_t j)
{
    static const float shares[N_SCALES] = {1.0f,        0.91700404f, 0.84089642f, 0.77110541f,
                                           0.70710678f, 0.64841978f, 0.59460356f, 0.54525387f};
    return scale * shares[j];
}

/* What the threads make of the rows of a block, in ranges that depend on the shape alone. */
enum { RANGE_ROWS = 512 };

struct block_ranges {
    const struct block *block;
    float scale;
    double (*sums)[N_SCALES]; /* of each range: the errors of the candidates */
};

static struct block rows_of(const struct block *block, uint64_t first, uint64_t n)
{
    return (struct block){block->first_row + first, n, block->first_col, block->n_cols};
}

static void sum_errors(const struct grid_work *w, const struct block *block, float largest,
                       double sums[N_SCALES])
{
    for (uint64_t row = 0; row < block->n_rows; row += LANES) {
        struct grid_batch b;
        const uint32_t n = load_rows(w, block, row, &b);
        for (uint32_t j = 0; j < N_SCALES; j += CANDIDATES) {
            float scale[CANDIDATES][LANES];
            float bias[CANDIDATES][LANES];
            float error[CANDIDATES][LANES];
            for (uint32_t c = 0; c < CANDIDATES; c++) {
                for (uint32_t k = 0; k < LANES; k++) {
                    scale[c][k] = candidate(largest, j + c);
                    bias[c][k] = -0.0f;
                }
            }
            w->fit.kernels->error(&b.lanes, &w->fit.levels, scale, bias, error);
            for (uint32_t c = 0; c < CANDIDATES; c++) {
                for (uint32_t k = 0; k < n; k++) sums[j + c] += (double)error[c][k];
            }
        }
    }
}

static ingot_status sum_range(void *context, const struct grid_work *w, uint64_t first, uint64_t n)
{
    const struct block_ranges *r = context;
    for (uint64_t row = first; row < first + n; row += RANGE_ROWS) {
        const struct block part = rows_of(r->block, row, min_u64(RANGE_ROWS, first + n - row));
        sum_errors(w, &part, r->scale, r->sums[row / RANGE_ROWS]);
    }
    return INGOT_OK;
}

/* The number of the best candidate. */
static ingot_status best_candidate(const struct grid_work *w, const struct block *block,
                                   float largest, uint32_t *best)
{
    const uint64_t n = ceil_div(block->n_rows, RANGE_ROWS);
    struct block_ranges ranges = {block, largest, NULL};
    ranges.sums = ingot_allocate_zeroed(NULL, n, sizeof *ranges.sums);
    if (ranges.sums == NULL) return ingot_fail_memory(w->error, n * sizeof *ranges.sums, "sums");
    const ingot_status status = grid_run(w, block->n_rows, RANGE_ROWS, sum_range, &ranges);
    for (uint64_t i = 1; i < n; i++) {
        for (uint32_t j = 0; j < N_SCALES; j++) ranges.sums[0][j] += ranges.sums[i][j];
    }
    *best = 0;
    for (uint32_t j = 1; j < N_SCALES; j++) {
        if (ranges.sums[0][j] < ranges.sums[0][*best]) *best = j;
    }
    ingot_release(NULL, ranges.sums);
    return status;
}

/* Codes of few bits clip much: where the least scale of an octave is best, the next is tried. */
static ingot_status best_scale(const struct grid_work *w, const struct block *block, float *scale)
{
    uint32_t best = 0;
    ingot_status status = best_candidate(w, block, *scale, &best);
    for (uint32_t i = 1; i < MAX_OCTAVES && best == N_SCALES - 1 && status == INGOT_OK; i++) {
        *scale = candidate(*scale, best);
        status = best_candidate(w, block, *scale, &best);
    }
    *scale = candidate(*scale, best);
    return status;
}

/* The scale that clips nothing, and where the largest weight is. */
static float widest_scale(const struct grid_work *w, const struct block *block, uint64_t *largest)
{
    const float *values = w->input->values;
    const float outermost = fmaxf(-w->fit.levels.low, w->fit.levels.high);
    float most = 0.0f;
    *largest = 0;
    for (uint64_t r = block->first_row; r < block->first_row + block->n_rows; r++) {
        const uint64_t begin = r * w->n_cols + block->first_col;
        for (uint64_t i = begin; i < begin + block->n_cols; i++) {
            if (fabsf(values[i]) <= most) continue;
            most = fabsf(values[i]);
            *largest = i;
        }
    }
    return most / outermost;
}

static ingot_status encode_range(void *context, const struct grid_work *w, uint64_t first,
                                 uint64_t n)
{
    const struct block_ranges *r = context;
    const struct block part = rows_of(r->block, first, n);
    ingot_status status = INGOT_OK;
    for (uint64_t row = 0; row < n && status == INGOT_OK; row += LANES) {
        struct grid_batch b;
        float scale[LANES];
        float bias[LANES];
        load_rows(w, &part, row, &b);
        for (uint32_t k = 0; k < LANES; k++) {
            scale[k] = r->scale;
            bias[k] = -0.0f;
        }
        status = grid_encode(w, &b, scale, bias);
    }
    return status;
}

static ingot_status encode_block(const struct grid_work *w, const struct block *block,
                                 uint64_t index, uint8_t *scales)
{
    uint64_t largest;
    ingot_status status = INGOT_OK;
    float one = widest_scale(w, block, &largest);
    if (w->fit.effort != EFFORT_ABSMAX && one > 0.0f) status = best_scale(w, block, &one);
    if (status != INGOT_OK) return status;
    one = grid_scale_in_range(w, one);
    if (!grid_put_entry(w->grid->scale, &one, scales, index)) {
        return encode_refuse(w->input, largest, "has scales that cannot reach it", w->error);
    }
    struct block_ranges ranges = {block, one, NULL};
    return grid_run(w, block->n_rows, RANGE_ROWS, encode_range, &ranges);
}

/* Blocks of block_rows x block_cols in each of the matrices, of n_rows rows: rows of blocks are for
 * the threads. */
struct block_matrix {
    uint64_t n_block_rows;
    uint64_t n_rows;
    uint64_t block_rows, block_cols;
    uint8_t *scales;
};

static ingot_status encode_block_rows(void *context, const struct grid_work *w, uint64_t first,
                                      uint64_t n)
{
    const struct block_matrix *g = context;
    const uint64_t rows = ceil_div(g->n_rows, g->block_rows);
    const uint64_t cols = ceil_div(w->n_cols, g->block_cols);
    const struct encode_input *input = w->input;
    struct encode_input alone = *input;
    struct grid_work own = *w;
    ingot_status status = INGOT_OK;
    /* On a thread of the pool a block is no further work for it. */
    if (g->n_block_rows > 1) alone.pool = NULL;
    own.input = &alone;
    for (uint64_t i = first; i < first + n && status == INGOT_OK; i++) {
        const uint64_t row = i % rows * g->block_rows;
        for (uint64_t c = 0; c < cols && status == INGOT_OK; c++) {
            const uint64_t col = c * g->block_cols;
            const struct block block = {i / rows * g->n_rows + row,
                                        min_u64(g->block_rows, g->n_rows - row), col,
                                        min_u64(g->block_cols, w->n_cols - col)};
            status = encode_block(&own, &block, i * cols + c, g->scales);
        }
    }
    return status;
}

ingot_status encode_blocks(const struct encode_input *input, uint8_t *const *streams,
                           ingot_error *error)
{
    const struct grid *grid = &input->plan->preset->grid;
    const struct stack_shape shape = input->shape;
    const uint64_t n_rows = shape.n_matrices * shape.n_rows;
    uint8_t widths[CODING_MAX_PLANES];
    uint8_t *scales = streams[plane_widths(grid->bits, widths)];
    struct grid_work w;
    ingot_status status = encode_check_finite(input, error);
    if (status != INGOT_OK) return status;
    status = grid_open(&w, input, error);
    if (status == INGOT_OK && w.n_groups) {
        struct block_matrix blocks = {1, n_rows, n_rows, w.n_cols, scales};
        if (!grid->tensor) {
            const uint64_t n = shape.n_matrices * ceil_div(shape.n_rows, grid->block);
            blocks = (struct block_matrix){n, shape.n_rows, grid->block, grid->block, scales};
        }
        status = grid_run(&w, blocks.n_block_rows, 1, encode_block_rows, &blocks);
        planes_put(grid->bits, shape, w.codes, streams);
    }
    grid_close(&w);
    return status;
}

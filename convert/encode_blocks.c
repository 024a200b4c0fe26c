/* Groups of many rows: blocks of a matrix, or the whole tensor, each with one scale. Rows of a
 * group lie side by side in the lanes. Scales below that which clips nothing are tried, an octave
 * at a time, and the one with the least error taken. */
#include <math.h>

#include "convert/encode.h"
#include "convert/planes.h"

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

/* The number of the best candidate. */
static uint32_t best_candidate(const struct grid_work *w, const struct block *block, float largest)
{
    double sums[N_SCALES] = {0};
    uint32_t best = 0;
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
    for (uint32_t j = 1; j < N_SCALES; j++) {
        if (sums[j] < sums[best]) best = j;
    }
    return best;
}

/* Codes of few bits clip much: where the least scale of an octave is best, the next is tried. */
static float best_scale(const struct grid_work *w, const struct block *block, float largest)
{
    uint32_t best = best_candidate(w, block, largest);
    for (uint32_t i = 1; i < MAX_OCTAVES && best == N_SCALES - 1; i++) {
        largest = candidate(largest, best);
        best = best_candidate(w, block, largest);
    }
    return candidate(largest, best);
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

static ingot_status encode_block(const struct grid_work *w, const struct block *block,
                                 uint64_t index, uint8_t *scales)
{
    uint64_t largest;
    float one = widest_scale(w, block, &largest);
    if (w->fit.effort != EFFORT_ABSMAX && one > 0.0f) one = best_scale(w, block, one);
    one = grid_scale_in_range(w, one);
    if (!grid_put_entry(w->grid->scale, &one, scales, index)) {
        return encode_refuse(w->input, largest, "has scales that cannot reach it", w->error);
    }
    for (uint64_t row = 0; row < block->n_rows; row += LANES) {
        struct grid_batch b;
        float scale[LANES];
        float bias[LANES];
        load_rows(w, block, row, &b);
        for (uint32_t k = 0; k < LANES; k++) {
            scale[k] = one;
            bias[k] = -0.0f;
        }
        const ingot_status status = grid_encode(w, &b, scale, bias);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

/* Blocks of block_rows x block_cols in each of n_matrices matrices of n_rows rows. */
static ingot_status encode_all(const struct grid_work *w, uint64_t n_matrices, uint64_t n_rows,
                               uint64_t block_rows, uint64_t block_cols, uint8_t *scales)
{
    uint64_t index = 0;
    for (uint64_t m = 0; m < n_matrices; m++) {
        for (uint64_t r = 0; r < n_rows; r += block_rows) {
            for (uint64_t c = 0; c < w->n_cols; c += block_cols) {
                const struct block block = {m * n_rows + r, min_u64(block_rows, n_rows - r), c,
                                            min_u64(block_cols, w->n_cols - c)};
                const ingot_status status = encode_block(w, &block, index++, scales);
                if (status != INGOT_OK) return status;
            }
        }
    }
    return INGOT_OK;
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
        status = grid->tensor ? encode_all(&w, 1, n_rows, n_rows, w.n_cols, scales)
                              : encode_all(&w, shape.n_matrices, shape.n_rows, grid->block,
                                           grid->block, scales);
        planes_put(grid->bits, shape, w.codes, streams);
    }
    grid_close(&w);
    return status;
}

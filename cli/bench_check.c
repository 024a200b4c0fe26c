/* Whether a product is right: against the decoded weights in double precision, with the bound that
 * ingot.h promises. Knows nothing of devices. */
#include "cli/bench_matrix.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "format/bytes.h"

enum { BLOCK_WEIGHTS = 1 << 18 };

/* Rows of one matrix, cut into blocks that are decoded and checked apart. */
struct check {
    const struct bench_setup *setup;
    uint32_t tensor;
    uint64_t first_row; /* of the matrix, in the stack */
    uint64_t n_rows;
    uint64_t n_cols;
    uint64_t block_rows;
    uint64_t first_block; /* of this wave; task i has block first_block + i */
    const float *x;
    const float *y;
    float *weights;              /* a block for each task of a wave */
    struct task_result *results; /* likewise */
};

struct task_result {
    double bound_share;
    ingot_status status;
    ingot_error error;
};

/* |y - exact| <= 2 * K * 2^-24 * sum |w x|, as a share of the right side. */
static double share_of_bound(const float *weights, const float *x, uint64_t n_cols, double y)
{
    double exact = 0;
    double magnitude = 0;
    for (uint64_t c = 0; c < n_cols; c++) {
        const double product = (double)weights[c] * (double)x[c];
        exact += product;
        magnitude += fabs(product);
    }
    /* Where weights are infinite or no numbers, or the sum is past f32, so must the product be. */
    const bool exact_is_finite = isfinite(exact) && fabs(exact) <= (double)FLT_MAX;
    if (!exact_is_finite || !isfinite(y)) return exact_is_finite == isfinite(y) ? 0 : INFINITY;
    const double bound = 2 * (double)n_cols * 0x1p-24 * magnitude;
    const double difference = fabs(y - exact);
    if (difference == 0) return 0;
    return bound > 0 ? difference / bound : INFINITY;
}

static void check_block(void *context, uint64_t task)
{
    const struct check *c = context;
    const struct bench_setup *s = c->setup;
    struct task_result *result = &c->results[task];
    const uint64_t first = (c->first_block + task) * c->block_rows;
    const uint64_t n_rows = min_u64(c->block_rows, c->n_rows - first);
    float *weights = c->weights + task * c->block_rows * c->n_cols;
    result->status = ingot_file_decode_f32(s->file, c->tensor, c->first_row + first, n_rows,
                                           weights, &result->error);
    if (result->status != INGOT_OK) return;
    for (uint64_t i = 0; i < n_rows * s->n_x_rows; i++) {
        const uint64_t row = i / s->n_x_rows;
        const uint64_t x_row = i % s->n_x_rows;
        const double y = (double)c->y[x_row * c->n_rows + first + row];
        const double share =
            share_of_bound(weights + row * c->n_cols, c->x + x_row * c->n_cols, c->n_cols, y);
        if (share > result->bound_share) result->bound_share = share;
    }
}

static ingot_status run_waves(struct check *c, uint64_t wave_blocks, double *bound_share,
                              ingot_error *error)
{
    const uint64_t n_blocks = ceil_div(c->n_rows, c->block_rows);
    double largest = 0;
    for (c->first_block = 0; c->first_block < n_blocks; c->first_block += wave_blocks) {
        const uint64_t n = min_u64(wave_blocks, n_blocks - c->first_block);
        for (uint64_t i = 0; i < n; i++) c->results[i] = (struct task_result){.bound_share = 0};
        ingot_pool_run(c->setup->pool, n, check_block, c);
        for (uint64_t i = 0; i < n; i++) {
            if (c->results[i].status != INGOT_OK) {
                *error = c->results[i].error;
                return c->results[i].status;
            }
            if (c->results[i].bound_share > largest) largest = c->results[i].bound_share;
        }
    }
    *bound_share = largest;
    return INGOT_OK;
}

ingot_status bench_check(const struct bench_setup *setup, uint32_t tensor, uint64_t matrix,
                         const float *x, const float *y, double *bound_share, ingot_error *error)
{
    ingot_tensor facts;
    ingot_file_tensor(setup->file, tensor, &facts);
    const uint64_t wave_blocks = ingot_pool_n_threads(setup->pool);
    struct check c = {
        .setup = setup,
        .tensor = tensor,
        .first_row = matrix * facts.n_rows,
        .n_rows = facts.n_rows,
        .n_cols = facts.n_cols,
        .block_rows = min_u64(max_u64(BLOCK_WEIGHTS / max_u64(facts.n_cols, 1), 1), facts.n_rows),
        .x = x,
        .y = y,
    };
    ingot_status status = INGOT_OK;
    c.weights = calloc(wave_blocks, c.block_rows * c.n_cols * sizeof *c.weights);
    c.results = calloc(wave_blocks, sizeof *c.results);
    if (c.weights && c.results) {
        status = run_waves(&c, wave_blocks, bound_share, error);
    } else {
        *error = (ingot_error){.status = INGOT_NO_MEMORY, .offset = INGOT_NO_OFFSET};
        status = INGOT_NO_MEMORY;
    }
    free(c.results);
    free(c.weights);
    return status;
}

/* One matrix on one device: loaded, run, checked and timed. Prints nothing. */
#include "cli/bench_matrix.h"

#include <stdlib.h>

#include "cli/progress.h"

/* Without a number of runs: MIN_RUNS at least, then until either is spent. */
enum { MIN_RUNS = 3, ENOUGH_RUNS = 20, MAX_RUNS = 1000 };
static const double enough_seconds = 0.02; /* with ENOUGH_RUNS */
static const double budget_seconds = 0.2;

/* Numbers from -1 to 1 that are the same on every machine (splitmix64). */
static void fill(float *x, uint64_t n)
{
    uint64_t state = 0;
    for (uint64_t i = 0; i < n; i++) {
        state += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = state;
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        x[i] = (float)(z >> 40) * 0x1p-23f - 1.0f;
    }
}

static bool is_enough(uint32_t wanted, uint32_t n_runs, double elapsed)
{
    if (wanted > 0) return n_runs >= wanted;
    if (n_runs < MIN_RUNS) return false;
    return n_runs >= MAX_RUNS || elapsed >= budget_seconds ||
           (n_runs >= ENOUGH_RUNS && elapsed >= enough_seconds);
}

static int compare_seconds(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Copies of one matrix that are multiplied in turn. */
enum { MAX_COPIES = 16 };
static const uint64_t cold_bytes = UINT64_C(1) << 28;
struct copies {
    ingot_matrix *at[MAX_COPIES];
    uint32_t n;
};

static ingot_status time_runs(const struct bench_setup *setup, const struct copies *copies,
                              const float *x, float *y, struct bench_result *result,
                              ingot_error *error)
{
    const uint32_t capacity = setup->n_runs > 0 ? setup->n_runs : MAX_RUNS;
    double *seconds = calloc(capacity, sizeof *seconds);
    ingot_status status = INGOT_OK;
    if (!seconds) {
        *error = (ingot_error){.status = INGOT_NO_MEMORY, .offset = INGOT_NO_OFFSET};
        return INGOT_NO_MEMORY;
    }
    const double begin = seconds_now();
    double now = begin;
    uint32_t n = 0;
    while (status == INGOT_OK && !is_enough(setup->n_runs, n, now - begin)) {
        const double before = now;
        status = ingot_matmul(copies->at[n % copies->n], INGOT_F32, x, setup->n_x_rows, y, error);
        now = seconds_now();
        seconds[n++] = now - before;
    }
    if (status == INGOT_OK) {
        qsort(seconds, n, sizeof *seconds, compare_seconds);
        result->n_runs = n;
        result->min_seconds = seconds[0];
        result->median_seconds = n % 2 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2;
        result->max_seconds = seconds[n - 1];
    }
    free(seconds);
    return status;
}

static ingot_status run_copies(const struct bench_setup *setup, uint32_t tensor, uint64_t index,
                               const struct copies *copies, struct bench_result *result,
                               ingot_error *error)
{
    ingot_matrix *matrix = copies->at[0];
    struct bench_result r = {
        .n_rows = ingot_matrix_rows(matrix),
        .n_cols = ingot_matrix_cols(matrix),
        .resident_bytes = ingot_matrix_resident_bytes(matrix),
    };
    r.n_flops = 2 * r.n_rows * r.n_cols * setup->n_x_rows;
    float *x = calloc(setup->n_x_rows, r.n_cols * sizeof *x);
    float *y = calloc(setup->n_x_rows, r.n_rows * sizeof *y);
    ingot_status status = INGOT_OK;
    if (!x || !y) {
        *error = (ingot_error){.status = INGOT_NO_MEMORY, .offset = INGOT_NO_OFFSET};
        status = INGOT_NO_MEMORY;
        goto done;
    }
    fill(x, setup->n_x_rows * r.n_cols);
    /* The first run also warms up: it is checked, not timed. */
    status = ingot_matmul(matrix, INGOT_F32, x, setup->n_x_rows, y, error);
    if (status == INGOT_OK && setup->pool) {
        status = bench_check(setup, tensor, index, x, y, &r.bound_share, error);
    }
    if (status == INGOT_OK) status = time_runs(setup, copies, x, y, &r, error);
    if (status == INGOT_OK) *result = r;
done:
    free(y);
    free(x);
    return status;
}

ingot_status bench_matrix(const struct bench_setup *setup, uint32_t tensor, uint64_t matrix,
                          struct bench_result *result, ingot_error *error)
{
    const ingot_matrix_options options = {.activations = setup->activations};
    struct copies copies = {.n = 0};
    uint64_t n_bytes = 0;
    ingot_status status = INGOT_OK;
    do {
        ingot_matrix **copy = &copies.at[copies.n];
        status = ingot_matrix_open_with(setup->device, setup->file, tensor, matrix, &options, copy,
                                        error);
        if (status != INGOT_OK) break;
        n_bytes += ingot_matrix_resident_bytes(*copy);
        copies.n++;
    } while (setup->cold && copies.n < MAX_COPIES && n_bytes < cold_bytes);
    if (status == INGOT_OK) status = run_copies(setup, tensor, matrix, &copies, result, error);
    while (copies.n > 0) ingot_matrix_close(copies.at[--copies.n]);
    return status;
}

/* One matrix on one device: timed, and checked against the decoded weights. */
#ifndef CLI_BENCH_MATRIX_H
#define CLI_BENCH_MATRIX_H

#include "format/ingot.h"
#include "format/pool.h"

struct bench_setup {
    const ingot_file *file;
    ingot_device *device;
    struct ingot_pool *pool; /* for the reference; NULL: no check */
    uint32_t n_x_rows;
    uint32_t n_runs; /* 0: as many as fit the budget */
    ingot_activations activations;
    bool cold; /* so many copies are multiplied in turn that no cache holds one */
};

struct bench_result {
    uint64_t n_rows;
    uint64_t n_cols;
    uint64_t resident_bytes;
    uint64_t n_flops;
    uint32_t n_runs;
    double min_seconds;
    double median_seconds;
    double max_seconds;
    /* Largest |y - exact| as a share of the documented bound; over 1 is a failure. Infinity when
     * only one of the two is finite. 0 without a check. */
    double bound_share;
};

/* Whether an error is a failure: rounded activations promise none of the bound but a number. */
static inline bool bench_is_wrong(const struct bench_setup *setup, const struct bench_result *r)
{
    const bool promised = setup->activations == INGOT_ACTIVATIONS_F32;
    return promised ? r->bound_share > 1 : r->bound_share > 1e30;
}

/* Loads, runs, checks and times matrix `matrix` of a tensor's stack. */
ingot_status bench_matrix(const struct bench_setup *setup, uint32_t tensor, uint64_t matrix,
                          struct bench_result *result, ingot_error *error);

/* The check by itself: y = x * W^T of that matrix. */
ingot_status bench_check(const struct bench_setup *setup, uint32_t tensor, uint64_t matrix,
                         const float *x, const float *y, double *bound_share, ingot_error *error);

#endif

/* What products of each rung may differ from those in exact arithmetic: the roundings of f32, and
 * what the rung rounds of inputs and weights before it multiplies. Knows no device. */
#ifndef INGOT_TESTS_VULKAN_RUNG_BOUND_H
#define INGOT_TESTS_VULKAN_RUNG_BOUND_H

#include "vulkan/ladder.h"

#include "tests/runtime/made.h"

/* RUNG_MATRIX: weights and inputs round to f16, up or down as the device likes: 2^-10 each of |w
 * x|. What is smaller than the least normal f16 loses up to 2^-24 of its own; scaled so that the
 * largest is at least 2^4 or 2^12, that is 2^-28 of the largest input and 2^-36 of the largest
 * weight. */
static inline double rung_bound_matrix(const struct exact *y, double terms, double weights,
                                       double inputs, double largest_x, double largest_w)
{
    return (0x1p-9 + 2 * terms * 0x1p-23) * y->magnitude + 0x1p-27 * largest_x * weights +
           0x1p-35 * largest_w * inputs;
}

/* RUNG_DOT: an input is rounded to half a 127th of the largest of its 32 columns, weights are as
 * they are: 2^-8 of |w| times that largest, a little more than 1/254; and what is below 10^-30 is
 * lost. */
static inline double rung_bound_dot(const struct exact *largest, double magnitude, double terms)
{
    return 0x1.04p-8 * largest->magnitude + 2 * terms * 0x1p-23 * (largest->magnitude + magnitude);
}

/* RUNG_HALF: as RUNG_MATRIX, and of each sum of eight products in f16, 2^-10 for each of them.
 * Where a zero or an offset comes in afterwards, what is added up in f16 is up to twice the largest
 * weight. */
static inline double rung_bound_half(const struct exact *y, double terms, double weights,
                                     double inputs, double largest_x, double largest_w)
{
    return 0x1.8p-7 * y->magnitude + 2 * terms * 0x1p-23 * y->magnitude +
           0x1p-27 * largest_x * weights + (0x1p-8 + 0x1p-27) * largest_w * inputs;
}

/* What the relative error of a vector of results may be, in the L2 norm: tighter than the bounds
 * for each of them, as roundings go both ways. */
static const double rung_bound_l2[N_RUNGS] = {0x1p-16, 0x1p-8, 0.01, 0x1p-10};

/* Each element of x as the largest of its 32 columns. */
static inline void rung_bound_largest(const float *x, uint64_t n_cols, struct exact *wide)
{
    for (uint64_t c = 0; c < n_cols; c++) {
        double largest = 1e-30;
        for (uint64_t i = c / 32 * 32; i < n_cols && i < c / 32 * 32 + 32; i++) {
            largest = fmax(largest, fabs((double)x[i]));
        }
        wide[c] = (struct exact){largest, largest};
    }
}

/* How many results of a matrix of one dense part are beyond their bound; *worst is the largest
 * error as a part of its bound. */
static inline uint64_t rung_bound_count_wrong(const struct resident_matrix *matrix,
                                              enum vk_rung rung, const float *x, uint64_t n,
                                              const float *y, double *worst)
{
    struct reference reference = reference_make(matrix);
    const uint64_t n_cols = matrix->n_cols, n_rows = matrix->n_rows;
    struct exact *wide = calloc((size_t)n_cols + 1, sizeof *wide);
    struct exact *exact = calloc((size_t)n_rows + 1, sizeof *exact);
    struct exact *sums = calloc((size_t)n_rows + 1, sizeof *sums);
    float *row = calloc((size_t)n_cols + 64, sizeof *row);
    uint64_t n_wrong = 0;
    double largest_w = 0;
    if (!wide || !exact || !sums || !row) abort();
    *worst = 0;
    for (uint64_t c = 0; c < n_cols; c++) wide[c] = (struct exact){1, 1};
    exact_multiply(&reference, matrix, wide, sums);
    for (uint64_t r = 0; r < n_rows; r++) {
        resident_decode(&matrix->parts[0].dense, r, 0, matrix->parts[0].dense.n_cols, row);
        for (uint64_t c = 0; c < matrix->parts[0].dense.n_cols; c++) {
            largest_w = fmax(largest_w, fabs((double)row[c]));
        }
    }
    for (uint64_t j = 0; j < n; j++) {
        double largest_x = 0, inputs = 0, errors = 0, squares = 0;
        for (uint64_t c = 0; c < n_cols; c++) {
            const double v = (double)x[j * n_cols + c];
            wide[c] = (struct exact){v, fabs(v)};
            largest_x = fmax(largest_x, fabs(v));
            inputs += fabs(v);
        }
        exact_multiply(&reference, matrix, wide, exact);
        rung_bound_largest(x + j * n_cols, n_cols, wide);
        if (rung == RUNG_DOT) exact_multiply(&reference, matrix, wide, sums);
        for (uint64_t r = 0; r < n_rows; r++) {
            const double terms = made_bound_terms(matrix);
            double bound = 2 * terms * 0x1p-24 * exact[r].magnitude;
            if (rung == RUNG_MATRIX) {
                bound = rung_bound_matrix(&exact[r], terms, sums[r].magnitude, inputs, largest_x,
                                          largest_w);
            }
            if (rung == RUNG_DOT) bound = rung_bound_dot(&sums[r], exact[r].magnitude, terms);
            if (rung == RUNG_HALF) {
                bound = rung_bound_half(&exact[r], terms, sums[r].magnitude, inputs, largest_x,
                                        largest_w);
            }
            const double error = fabs((double)y[j * n_rows + r] - exact[r].sum);
            const double part = bound == 0 && error == 0 ? 0 : error / bound;
            if (!(part <= *worst)) *worst = part;
            if (!(part <= 1)) n_wrong++;
            errors += error * error;
            squares += fmax(exact[r].sum * exact[r].sum,
                            exact[r].magnitude * exact[r].magnitude / (double)n_cols);
        }
        if (!(errors <= rung_bound_l2[rung] * rung_bound_l2[rung] * squares)) n_wrong++;
    }
    free(row);
    free(sums);
    free(exact);
    free(wide);
    reference_release(&reference);
    return n_wrong;
}

#endif

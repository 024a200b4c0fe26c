/* Products of made matrices against a reference in double. */
#ifndef INGOT_TESTS_RUNTIME_PRODUCTS_H
#define INGOT_TESTS_RUNTIME_PRODUCTS_H

#include "tests/support/unit.h"

#include "tests/runtime/made.h"

/* n rows of x, the caller's. */
static inline float *made_x(struct made *m, uint64_t n)
{
    float *x = malloc((size_t)(n * m->matrix.n_cols) * sizeof *x + 1);
    assert_non_null(x);
    for (uint64_t i = 0; i < n * m->matrix.n_cols; i++) x[i] = made_unit(m) * 4.0f;
    return x;
}

/* Bound: 2 K 2^-24 sum |w x|, of which `share` is allowed. */
static inline void check_bound(const char *name, const char *level,
                               const struct resident_matrix *matrix,
                               const struct reference *reference, const float *x, uint64_t n,
                               const float *y, double share)
{
    const double k = made_bound_terms(matrix) * share;
    struct exact *wide = calloc((size_t)matrix->n_cols + 1, sizeof *wide);
    struct exact *exact = calloc((size_t)matrix->n_rows + 1, sizeof *exact);
    assert_non_null(wide);
    assert_non_null(exact);
    for (uint64_t j = 0; j < n; j++) {
        for (uint64_t c = 0; c < matrix->n_cols; c++) {
            const double v = (double)x[j * matrix->n_cols + c];
            wide[c] = (struct exact){v, fabs(v)};
        }
        exact_multiply(reference, matrix, wide, exact);
        for (uint64_t r = 0; r < matrix->n_rows; r++) {
            const double found = (double)y[j * matrix->n_rows + r];
            const double bound = 2 * k * 0x1p-24 * exact[r].magnitude;
            if (fabs(found - exact[r].sum) <= bound) continue;
            fail_msg("%s, %s, %llu x %llu, n = %llu: y[%llu][%llu] is %.9g, not %.9g +- %.3g", name,
                     level, (unsigned long long)matrix->n_rows, (unsigned long long)matrix->n_cols,
                     (unsigned long long)n, (unsigned long long)j, (unsigned long long)r, found,
                     exact[r].sum, bound);
        }
    }
    free(exact);
    free(wide);
}

#endif

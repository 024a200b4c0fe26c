/* A file of one matrix whose products are exact, whatever the order of their sums. */
#ifndef INGOT_TESTS_VULKAN_EXACT_FILE_H
#define INGOT_TESTS_VULKAN_EXACT_FILE_H

#include "tests/support/unit.h"

#include <stdlib.h>

#include "tests/support/stream_source.h"

/* A multiple of 1/8. */
static inline float exact_weight(uint64_t i)
{
    return (float)((int)(i * 2654435761u % 63) - 31) / 8;
}

/* Tensor "weights", n_rows x n_cols of f32; *w is released after the file is closed. */
static inline ingot_file *exact_file(struct written *w, uint64_t n_rows, uint64_t n_cols,
                                     ingot_compression compression)
{
    const uint64_t dims[2] = {n_rows, n_cols};
    ingot_file *file = NULL;
    float *weights = malloc((size_t)(n_rows * n_cols) * sizeof *weights);
    assert_non_null(weights);
    for (uint64_t i = 0; i < n_rows * n_cols; i++) weights[i] = exact_weight(i);
    written_begin(w, compression);
    assert_int_equal(ingot_writer_add(w->writer, "weights", INGOT_F32, 2, dims, weights, NULL),
                     INGOT_OK);
    written_end(w);
    free(weights);
    assert_int_equal(ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, NULL, &file, NULL),
                     INGOT_OK);
    return file;
}

/* Multiplies one vector. INGOT_OK only with the right products: wrong ones end the program, from
 * whichever thread. */
static inline ingot_status exact_multiply_file(ingot_matrix *matrix, ingot_error *error)
{
    const uint64_t n_rows = ingot_matrix_rows(matrix), n_cols = ingot_matrix_cols(matrix);
    float *x = malloc((size_t)n_cols * sizeof *x), *y = malloc((size_t)n_rows * sizeof *y);
    if (x == NULL || y == NULL) abort();
    for (uint64_t c = 0; c < n_cols; c++) x[c] = (float)((int)(c * 7 % 17) - 8) / 4;
    const ingot_status status = ingot_matmul(matrix, INGOT_F32, x, 1, y, error);
    for (uint64_t r = 0; r < n_rows && status == INGOT_OK; r++) {
        double sum = 0;
        for (uint64_t c = 0; c < n_cols; c++) {
            sum += (double)exact_weight(r * n_cols + c) * (double)x[c];
        }
        if ((double)y[r] != sum) abort();
    }
    free(y);
    free(x);
    return status;
}

#endif

/* A file whose tensors have optional terms: adapters of every kind of effect. All values are
 * multiples of 1/8 in [-1, 1), so that sums of products are exact. */
#ifndef INGOT_TESTS_SUPPORT_ADAPTER_FILE_H
#define INGOT_TESTS_SUPPORT_ADAPTER_FILE_H

#include "tests/support/stream_source.h"

enum { ADAPTER_ROWS = 5, ADAPTER_COLS = 7, ADAPTER_SET_ROW = 1 };
enum adapter_tensor {
    ADAPTER_PLAIN,    /* dense */
    ADAPTER_BOTH,     /* and low-rank terms of "french" and "german" */
    ADAPTER_FRENCH,   /* dense, low-rank "french" */
    ADAPTER_UNDER,    /* dense, low-rank "french", low-rank that is always on */
    ADAPTER_DORA,     /* dense, low-rank "m1" and "m2", both with magnitudes */
    ADAPTER_PATCH,    /* dense, a row that "patch" replaces */
    ADAPTER_REPLACED, /* dense, low-rank "french", a row that is always replaced */
    N_ADAPTER_TENSORS
};

/* A file in memory; released with written_release. */
void adapter_file_make(struct written *w);

/* Element i of an array of term `term` of a tensor: of its codes, or of A (0) and B (1). */
float adapter_value(uint32_t tensor, uint32_t term, uint32_t array, uint64_t i);
/* What a low-rank term adds to a weight. */
double adapter_product(uint32_t tensor, uint32_t term, uint64_t row, uint64_t col);

#endif

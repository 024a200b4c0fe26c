/* A task's part of a product, for the files that multiply by dense and sparse codings. */
#ifndef INGOT_CPU_SLICE_H
#define INGOT_CPU_SLICE_H

#include "runtime/cpu_level.h"

enum { TASK_MAX_ROWS = 128 /* a multiple of CPU_ROWS and PANEL_ROWS */ };

/* Rows [first_row, first_row + n_rows) of a product, n_rows <= TASK_MAX_ROWS: y[j * y_stride + i]
 * is row first_row + i of row j of the result. */
struct slice {
    const struct cpu_level *level;
    uint64_t first_row;
    uint32_t n_rows;
    const float *x;
    uint64_t x_stride;
    uint64_t n_x;
    float *y;
    uint64_t y_stride;
};

/* Some decoded rows and columns: n_rows <= CPU_ROWS, n_cols <= CPU_COLS. */
struct block {
    uint64_t first_row;
    uint32_t n_rows;
    uint64_t first_col;
    uint64_t n_cols;
    float w[CPU_ROWS * CPU_STRIDE];
};

/* Adds w x to the slice's y, block by block: all rows of some columns, so that those of x stay in
 * the cache, before the next columns. */
void slice_add_blocks(const struct slice *s, uint64_t n_cols,
                      void (*decode)(void *context, struct block *block), void *context);

#endif

/* Rows of the sum of resident parts, as the specification adds them up [7.2]. */
#ifndef INGOT_RESIDENT_ROWS_H
#define INGOT_RESIDENT_ROWS_H

#include "runtime/backend.h"
#include "runtime/store.h"

/* What decoding rows needs at hand; belongs to the store. */
struct resident_rows {
    const struct resident_part *parts;
    uint32_t n_parts;
    uint64_t n_cols;
    float *factors[RESIDENT_MAX_PARTS]; /* lowrank: A, decoded */
    float *term;                        /* one row */
};

ingot_status resident_rows_begin(const struct resident_part *parts, uint32_t n_parts,
                                 uint64_t n_cols, struct store *store, struct resident_rows *rows,
                                 ingot_error *error);
/* n_cols floats. */
void resident_row(const struct resident_rows *rows, uint64_t row, float *dst);

#endif

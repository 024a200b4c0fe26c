/* What every backend knows of resident matrices, and what only some do. */
#include "runtime/backend.h"

#include <stddef.h>

static bool dense_is_basic(const struct resident_dense *dense, const char **why)
{
    *why = "a codebook";
    if (dense->codebook != NULL) return false;
    *why = "codes of some rows or columns only";
    if (dense->rows != NULL || dense->columns != NULL) return false;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct resident_table *table = &dense->tables[i];
        *why = "a table in a table";
        if (table->nested != NULL) return false;
        *why = "a column index";
        if (table->index != NULL) return false;
        *why = "groups that are not blocks of rows and columns";
        if (table->run_cols != 0) return false;
    }
    return true;
}

bool resident_is_basic(const struct resident_matrix *matrix, const char **why)
{
    *why = "activations other than f32";
    if (matrix->activations != INGOT_ACTIVATIONS_F32) return false;
    for (uint32_t i = 0; i < matrix->n_parts; i++) {
        const struct resident_part *part = &matrix->parts[i];
        *why = "a factor per row";
        if (part->row_factors != NULL) return false;
        *why = "replaced columns";
        if (part->column_factors != NULL) return false;
        *why = "a sparse term whose mask is not a bitmap";
        if (part->sparse.columns != NULL) return false;
        if (!dense_is_basic(&part->dense, why)) return false;
        if (!dense_is_basic(&part->sparse.values, why)) return false;
        if (!dense_is_basic(&part->lowrank.a, why)) return false;
        if (!dense_is_basic(&part->lowrank.b, why)) return false;
    }
    *why = NULL;
    return true;
}

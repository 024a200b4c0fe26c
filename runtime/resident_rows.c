/* Rows of the sum of resident parts, by the reference decoder: one function a kind of part. */
#include "runtime/resident_rows.h"

#include "format/bytes.h"
#include "runtime/cpu_level.h"

ingot_status resident_rows_begin(const struct resident_part *parts, uint32_t n_parts,
                                 uint64_t n_cols, struct store *store, struct resident_rows *rows,
                                 ingot_error *error)
{
    struct resident_rows made = {.parts = parts, .n_parts = n_parts, .n_cols = n_cols};
    void *memory;
    ingot_status status = store_take_array(store, n_cols, sizeof(float), "row", &memory, error);
    if (status != INGOT_OK) return status;
    made.term = memory;
    for (uint32_t i = 0; i < n_parts; i++) {
        if (parts[i].kind != RESIDENT_LOWRANK) continue;
        const struct resident_dense *a = &parts[i].lowrank.a;
        status = store_take_array(store, a->n_rows * n_cols, sizeof(float), "low-rank factor",
                                  &memory, error);
        if (status != INGOT_OK) return status;
        made.factors[i] = memory;
        for (uint64_t r = 0; r < a->n_rows; r++) {
            cpu_plain_kernel.decode(a, r, 0, n_cols, made.factors[i] + r * n_cols);
        }
    }
    *rows = made;
    return INGOT_OK;
}

/* Puts value i at cols[i], and +0 elsewhere; cols ascend, so going down nothing is overwritten that
 * is still needed. */
static void spread(float *row, uint64_t n_cols, const uint32_t *cols, uint64_t n)
{
    uint64_t end = n_cols;
    for (uint64_t i = n; i-- > 0;) {
        const float v = row[i];
        for (uint64_t c = cols[i]; c < end; c++) row[c] = 0.0f;
        row[cols[i]] = v;
        end = cols[i];
    }
    for (uint64_t c = 0; c < end; c++) row[c] = 0.0f;
}

static void dense_row(const struct resident_rows *rows, uint32_t i, uint64_t row, float *dst)
{
    const struct resident_dense *dense = &rows->parts[i].dense;
    uint64_t code_row = row;
    if (dense->rows != NULL) {
        for (code_row = 0; code_row < dense->n_rows && dense->rows[code_row] != row;) code_row++;
    }
    if (code_row == dense->n_rows) {
        memset(dst, 0, (size_t)rows->n_cols * sizeof *dst);
        return;
    }
    cpu_plain_kernel.decode(dense, code_row, 0, dense->n_cols, dst);
    if (dense->columns != NULL) spread(dst, rows->n_cols, dense->columns, dense->n_cols);
}

static void sparse_row(const struct resident_rows *rows, uint32_t i, uint64_t row, float *dst)
{
    const struct resident_sparse *sparse = &rows->parts[i].sparse;
    const uint8_t *mask = sparse->mask.data + row * sparse->mask.row_bytes;
    uint32_t at = sparse->row_offsets[row];
    const uint32_t end = sparse->row_offsets[row + 1];
    memset(dst, 0, (size_t)rows->n_cols * sizeof *dst);
    for (uint32_t c = 0; at < end; c++) {
        const bool listed = sparse->columns != NULL;
        if (!listed && !(mask[c / 8] >> c % 8 & 1)) continue;
        const uint32_t col = listed ? sparse->columns[at] : c;
        cpu_plain_decode_kept(&sparse->values, at, row, &col, 1, dst + col);
        at++;
    }
}

static void lowrank_row(const struct resident_rows *rows, uint32_t i, uint64_t row, float *dst)
{
    const struct resident_lowrank *lowrank = &rows->parts[i].lowrank;
    for (uint64_t c = 0; c < rows->n_cols; c++) dst[c] = 0.0f;
    for (uint64_t k = 0; k < lowrank->a.n_rows; k++) {
        const float *a = rows->factors[i] + k * rows->n_cols;
        float b;
        cpu_plain_kernel.decode(&lowrank->b, row, k, 1, &b);
        for (uint64_t c = 0; c < rows->n_cols; c++) {
            const float product = b * a[c];
            dst[c] = dst[c] + product;
        }
    }
    for (uint64_t c = 0; c < rows->n_cols; c++) dst[c] = lowrank->multiplier * dst[c];
}

static void (*const part_rows[N_RESIDENT_KINDS])(const struct resident_rows *rows, uint32_t i,
                                                 uint64_t row, float *dst) = {
    [RESIDENT_DENSE] = dense_row,
    [RESIDENT_SPARSE] = sparse_row,
    [RESIDENT_LOWRANK] = lowrank_row,
};

void resident_row(const struct resident_rows *rows, uint64_t row, float *dst)
{
    for (uint32_t i = 0; i < rows->n_parts; i++) {
        const float *factors = rows->parts[i].row_factors;
        float *v = i == 0 ? dst : rows->term;
        part_rows[rows->parts[i].kind](rows, i, row, v);
        const float *of_cols = rows->parts[i].column_factors;
        for (uint64_t c = 0; of_cols != NULL && c < rows->n_cols; c++) v[c] = v[c] * of_cols[c];
        for (uint64_t c = 0; factors != NULL && c < rows->n_cols; c++) v[c] = v[c] * factors[row];
        for (uint64_t c = 0; i > 0 && c < rows->n_cols; c++) dst[c] = dst[c] + v[c];
    }
}

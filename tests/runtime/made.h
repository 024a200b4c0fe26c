/* Matrices made up for the runtime's tests: random codes and tables of any coding that the plain
 * level takes, and their values by a decoder of its own, which goes bit by bit. */
#ifndef INGOT_TESTS_RUNTIME_MADE_H
#define INGOT_TESTS_RUNTIME_MADE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "format/floats.h"
#include "runtime/backend.h"
#include "tests/support/random.h"

enum { MADE_MAX_BUFFERS = 96, MADE_MAX_CODINGS = 48 };

struct made {
    struct resident_matrix matrix;
    struct ingot_coding codings[MADE_MAX_CODINGS];
    void *buffers[MADE_MAX_BUFFERS];
    uint32_t n_codings;
    uint32_t n_buffers;
    struct random random;
};

static inline uint64_t made_random(struct made *m)
{
    return random_bits(&m->random);
}

/* In [-1, 1). */
static inline float made_unit(struct made *m)
{
    return (float)(int32_t)(made_random(m) >> 32) * 0x1p-31f;
}

/* Zeros; a read past the slack is a read past the allocation. */
static inline void *made_buffer(struct made *m, uint64_t n_bytes)
{
    if (m->n_buffers == MADE_MAX_BUFFERS) abort();
    void *buffer = calloc(1, n_bytes + RESIDENT_SLACK_BYTES);
    if (buffer == NULL) abort();
    m->buffers[m->n_buffers++] = buffer;
    return buffer;
}

static inline void made_release(struct made *m)
{
    for (uint32_t i = 0; i < m->n_buffers; i++) free(m->buffers[i]);
    m->n_buffers = 0;
}

/* ------------------------------------------------------------------ making */

/* A code whose value is finite; of the wide formats also neither tiny nor huge. */
static inline uint32_t made_code(struct made *m, const struct ingot_coding *coding)
{
    const uint64_t all = coding->bits == 32 ? UINT32_MAX : (UINT64_C(1) << coding->bits) - 1;
    if (coding->n_entries > 0) return (uint32_t)(made_random(m) % coding->n_entries);
    if (coding->map != MAP_FLOAT) return (uint32_t)(made_random(m) & all);
    const float v = made_unit(m);
    if (coding->format == INGOT_F32) return f32_bits(v);
    if (coding->format == INGOT_F16) return f16_from_f32(v);
    if (coding->format == INGOT_BF16) return bf16_from_f32(v);
    uint32_t code;
    do {
        code = (uint32_t)(made_random(m) & all);
        if (coding->format == INGOT_F8_E8M0) code = 120 + code % 16;
    } while (!isfinite(ingot_float_decode((ingot_dtype)coding->format, code)));
    return code;
}

static inline void made_put(const struct resident_dense *dense, uint64_t row, uint64_t col,
                            uint32_t code)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < dense->n_planes; i++) {
        const struct resident_plane *plane = &dense->planes[i];
        uint8_t *bytes = (uint8_t *)(uintptr_t)plane->data + row * plane->row_bytes;
        for (uint32_t k = 0; k < plane->bits; k++, rank++) {
            const uint64_t bit = col * plane->bits + k;
            const uint8_t one = (uint8_t)(1u << bit % 8);
            bytes[bit / 8] =
                (uint8_t)(code >> rank & 1 ? bytes[bit / 8] | one : bytes[bit / 8] & ~one);
        }
    }
}

static inline void made_dense(struct made *m, const struct ingot_coding *coding, uint64_t n_rows,
                              uint64_t n_cols, struct resident_dense *dense);

/* Entries as they are: f16 or f32. */
static inline void made_flat(struct made *m, struct resident_table *table)
{
    const uint64_t n = table->n_rows * table->n_cols;
    const uint64_t entry_bytes = table->format == INGOT_F16 ? 2 : 4;
    /* No slack: tables have none. */
    uint8_t *data = made_buffer(m, n * entry_bytes);
    data = realloc(data, n > 0 ? n * entry_bytes : 1);
    if (data == NULL) abort();
    m->buffers[m->n_buffers - 1] = data;
    for (uint64_t i = 0; i < n; i++) {
        const float entry = copysignf(0.25f + fabsf(made_unit(m)), made_unit(m));
        if (table->format == INGOT_F16)
            store_u16(data + 2 * i, f16_from_f32(entry));
        else
            store_f32(data + 4 * i, entry);
    }
    table->data = data;
}

/* Planes of zeros. */
static inline uint32_t made_planes(struct made *m, uint8_t bits, uint64_t n_rows, uint64_t n_cols,
                                   struct resident_plane *planes)
{
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n_planes = plane_widths(bits, widths);
    for (uint32_t i = 0; i < n_planes; i++) {
        const uint8_t w = widths[i];
        const uint64_t row_bytes = w < 8 ? ceil_div(n_cols * w, 32) * 4 : n_cols * (w / 8);
        planes[i] = (struct resident_plane){made_buffer(m, n_rows * row_bytes), row_bytes, w};
    }
    return n_planes;
}

/* Which group each column is in: uneven ones, in no order. */
static inline const uint32_t *made_index(struct made *m, uint64_t n_cols, uint64_t n_groups)
{
    uint32_t *index = made_buffer(m, n_cols * sizeof *index);
    for (uint64_t c = 0; c < n_cols; c++) index[c] = (uint32_t)(made_random(m) % n_groups);
    return index;
}

static inline void made_table(struct made *m, const struct coding_slot *slot,
                              struct resident_dense *dense, struct resident_table *table)
{
    const struct ingot_coding *coding = slot->table;
    table->format = (ingot_dtype)coding->format;
    table->group_rows = slot->group_rows ? slot->group_rows : max_u64(dense->n_rows, 1);
    table->group_cols = slot->group_cols ? slot->group_cols : max_u64(dense->n_cols, 1);
    table->n_rows = ceil_div(dense->n_rows, table->group_rows);
    table->n_cols = ceil_div(dense->n_cols, table->group_cols);
    if (slot->group == GROUP_RUN) {
        table->run_cols = dense->n_cols;
        table->n_rows = 1;
        table->n_cols = ceil_div(dense->n_rows * dense->n_cols, table->group_cols);
    }
    if (slot->group == GROUP_COLUMN_INDEX) {
        table->n_cols = slot->group_cols;
        table->index = dense->tables[SLOT_ZERO].index; /* all slots share it */
        if (table->index == NULL) table->index = made_index(m, dense->n_cols, slot->group_cols);
        table->group_cols = 1;
    }
    const bool is_float = coding->format == INGOT_F16 || coding->format == INGOT_F32;
    if (coding->map == MAP_FLOAT && is_float && coding_is_raw(coding)) {
        made_flat(m, table);
        return;
    }
    struct resident_dense *nested = made_buffer(m, sizeof *nested);
    made_dense(m, coding, table->n_rows, table->n_cols, nested);
    table->nested = nested;
}

static inline void made_dense(struct made *m, const struct ingot_coding *coding, uint64_t n_rows,
                              uint64_t n_cols, struct resident_dense *dense)
{
    if (m->n_codings == MADE_MAX_CODINGS) abort();
    struct ingot_coding *copy = &m->codings[m->n_codings++];
    *copy = *coding;
    *dense = (struct resident_dense){.coding = copy, .n_rows = n_rows, .n_cols = n_cols};
    const bool is_vector = coding->map == MAP_VECTOR;
    if (coding->map == MAP_CODEBOOK || is_vector) {
        const uint32_t n = coding->n_entries * (is_vector ? coding->vector_length : 1);
        float *codebook = made_buffer(m, n * sizeof *codebook);
        for (uint32_t i = 0; i < n; i++) {
            codebook[i] = is_vector ? (float)(made_random(m) % 11) * 5 - 10 : made_unit(m);
        }
        dense->codebook = codebook;
    }
    const uint64_t n_codes = is_vector ? ceil_div(n_cols, coding->vector_length) : n_cols;
    dense->n_planes = made_planes(m, coding->bits, n_rows, n_codes, dense->planes);
    for (uint64_t r = 0; r < n_rows; r++) {
        for (uint64_t c = 0; c < n_codes; c++) made_put(dense, r, c, made_code(m, coding));
    }
    dense->n_sign_planes = made_planes(m, coding->signs, n_rows, ceil_div(n_cols, 8), dense->signs);
    for (uint32_t i = 0; i < dense->n_sign_planes; i++) {
        uint8_t *bytes = (uint8_t *)(uintptr_t)dense->signs[i].data;
        for (uint64_t k = 0; k < n_rows * dense->signs[i].row_bytes; k++) {
            bytes[k] = (uint8_t)made_random(m);
        }
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (!coding->slots[i].has_table) continue;
        made_table(m, &coding->slots[i], dense, &dense->tables[i]);
        copy->slots[i].table = NULL; /* backends get none */
    }
}

/* Keeps about `kept` of 8 weights, and every row differs: some are empty, some full. */
static inline void made_sparse(struct made *m, const struct ingot_coding *coding, uint64_t n_rows,
                               uint64_t n_cols, uint32_t kept, struct resident_sparse *sparse)
{
    const uint64_t row_bytes = ceil_div(n_cols, 32) * 4;
    uint8_t *mask = made_buffer(m, n_rows * row_bytes);
    uint32_t *offsets = made_buffer(m, (n_rows + 1) * sizeof *offsets);
    uint32_t n_kept = 0;
    for (uint64_t r = 0; r < n_rows; r++) {
        const uint32_t of_row = r % 11 == 3 ? 0 : r % 11 == 7 ? 8 : kept;
        offsets[r] = n_kept;
        for (uint64_t c = 0; c < n_cols; c++) {
            if (made_random(m) % 8 >= of_row) continue;
            mask[r * row_bytes + c / 8] |= (uint8_t)(1u << c % 8);
            n_kept++;
        }
    }
    offsets[n_rows] = n_kept;
    sparse->mask = (struct resident_plane){mask, row_bytes, 1};
    sparse->row_offsets = offsets;
    made_dense(m, coding, 1, n_kept, &sparse->values);
    struct resident_dense whole = {.n_rows = n_rows, .n_cols = n_cols};
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (!coding->slots[i].has_table) continue;
        made_table(m, &coding->slots[i], &whole, &sparse->values.tables[i]);
    }
}

/* ------------------------------------------------------------------ decoding, bit by bit */

static inline float made_map(const struct ingot_coding *coding, uint32_t code)
{
    if (coding->map == MAP_FLOAT) return ingot_float_decode((ingot_dtype)coding->format, code);
    if (coding->map == MAP_UINT) return (float)code;
    const bool negative = code >> (coding->bits - 1) & 1;
    return (float)((int64_t)code - (negative ? INT64_C(1) << coding->bits : 0));
}

/* One step of a slot; volatile keeps each an f32. */
static inline float made_step(uint32_t slot, bool inverse, float v, float operand)
{
    volatile float result = v;
    if (slot == SLOT_ZERO) result = v - operand;
    if (slot == SLOT_BIAS) result = inverse ? v - operand : v + operand;
    if (slot == SLOT_SCALE || slot == SLOT_POST) result = inverse ? v / operand : v * operand;
    return result;
}

static inline uint32_t made_gather(const struct resident_plane *planes, uint32_t n_planes,
                                   uint64_t row, uint64_t col)
{
    uint32_t code = 0, rank = 0;
    for (uint32_t i = 0; i < n_planes; i++) {
        const uint8_t *bytes = planes[i].data + row * planes[i].row_bytes;
        for (uint32_t k = 0; k < planes[i].bits; k++) {
            const uint64_t bit = col * planes[i].bits + k;
            code |= (uint32_t)(bytes[bit / 8] >> bit % 8 & 1) << rank++;
        }
    }
    return code;
}

static inline float made_weight(const struct resident_dense *dense, uint64_t row, uint64_t col);

static inline float made_entry(const struct resident_table *table, uint64_t row, uint64_t col)
{
    uint64_t r = row / table->group_rows, c = col / table->group_cols;
    if (table->index != NULL) c = table->index[col];
    if (table->run_cols != 0) {
        r = 0;
        c = (row * table->run_cols + col) / table->group_cols;
    }
    if (table->nested != NULL) return made_weight(table->nested, r, c);
    const uint64_t at = r * table->n_cols + c;
    const uint8_t *data = table->data;
    return table->format == INGOT_F16 ? f32_from_f16(load_u16(data + 2 * at))
                                      : load_f32(data + 4 * at);
}

/* That of weight (row, col) whose code is number `at` of a row of codes. */
static inline float made_weight_of(const struct resident_dense *dense, uint64_t code_row,
                                   uint64_t at, uint64_t row, uint64_t col)
{
    const struct ingot_coding *coding = dense->coding;
    const uint64_t length = coding->map == MAP_VECTOR ? coding->vector_length : 1;
    const uint32_t code = made_gather(dense->planes, dense->n_planes, code_row, at / length);
    float v = dense->codebook != NULL ? dense->codebook[code * length + col % length]
                                      : made_map(coding, code);
    if (coding->signs != 0) {
        const uint32_t signs = made_gather(dense->signs, dense->n_sign_planes, row, col / 8);
        bool negative = signs >> col % 8 & 1;
        if (col % 8 >= coding->signs) { /* as many bits are set as makes an even number */
            for (uint32_t k = 0; k < 7; k++) negative ^= signs >> k & 1;
        }
        v = negative ? -v : v;
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (slot->has_table) {
            const float entry = made_entry(&dense->tables[i], row, col);
            v = made_step(i, slot->inverse_table, v, entry);
        }
        if (slot->has_constant) v = made_step(i, slot->inverse_constant, v, slot->constant);
    }
    return v;
}

static inline float made_weight(const struct resident_dense *dense, uint64_t row, uint64_t col)
{
    return made_weight_of(dense, row, col, row, col);
}

/* ------------------------------------------------------------------ multiplying in double */

/* All weights of a matrix, decoded once. */
struct reference {
    double *w[RESIDENT_MAX_PARTS]; /* of the whole matrix; of low-rank parts multiplier * B */
    double *a[RESIDENT_MAX_PARTS]; /* of low-rank parts */
};

static inline double *reference_zeros(uint64_t n)
{
    double *weights = calloc((size_t)n + 1, sizeof *weights);
    if (weights == NULL) abort();
    return weights;
}

static inline double *reference_dense(const struct resident_dense *dense, double factor)
{
    double *w = reference_zeros(dense->n_rows * dense->n_cols);
    for (uint64_t r = 0; r < dense->n_rows; r++) {
        for (uint64_t c = 0; c < dense->n_cols; c++) {
            w[r * dense->n_cols + c] = factor * (double)made_weight(dense, r, c);
        }
    }
    return w;
}

static inline double *reference_sparse(const struct resident_sparse *sparse, uint64_t n_rows,
                                       uint64_t n_cols)
{
    double *w = reference_zeros(n_rows * n_cols);
    for (uint64_t r = 0; r < n_rows; r++) {
        const uint8_t *mask = sparse->mask.data + r * sparse->mask.row_bytes;
        uint64_t at = sparse->row_offsets[r];
        for (uint64_t c = 0; c < n_cols; c++) {
            if (!(mask[c / 8] >> c % 8 & 1)) continue;
            w[r * n_cols + c] = (double)made_weight_of(&sparse->values, 0, at++, r, c);
        }
    }
    return w;
}

static inline struct reference reference_make(const struct resident_matrix *matrix)
{
    struct reference reference = {{NULL}, {NULL}};
    for (uint32_t i = 0; i < matrix->n_parts; i++) {
        const struct resident_part *part = &matrix->parts[i];
        if (part->kind == RESIDENT_DENSE) {
            reference.w[i] = reference_dense(&part->dense, 1.0);
        } else if (part->kind == RESIDENT_SPARSE) {
            reference.w[i] = reference_sparse(&part->sparse, matrix->n_rows, matrix->n_cols);
        } else {
            reference.w[i] = reference_dense(&part->lowrank.b, (double)part->lowrank.multiplier);
            reference.a[i] = reference_dense(&part->lowrank.a, 1.0);
        }
    }
    return reference;
}

static inline void reference_release(struct reference *reference)
{
    for (uint32_t i = 0; i < RESIDENT_MAX_PARTS; i++) {
        free(reference->w[i]);
        free(reference->a[i]);
    }
}

/* A sum of products, and the sum of their magnitudes. */
struct exact {
    double sum;
    double magnitude;
};

/* y += w x for n_rows x n_cols weights. */
static inline void exact_add(const double *w, uint64_t n_rows, uint64_t n_cols,
                             const struct exact *x, struct exact *y)
{
    for (uint64_t r = 0; r < n_rows; r++) {
        for (uint64_t c = 0; c < n_cols; c++) {
            y[r].sum += w[r * n_cols + c] * x[c].sum;
            y[r].magnitude += fabs(w[r * n_cols + c]) * x[c].magnitude;
        }
    }
}

/* y = W x of one vector x. */
static inline void exact_multiply(const struct reference *reference,
                                  const struct resident_matrix *matrix, const struct exact *x,
                                  struct exact *y)
{
    for (uint64_t r = 0; r < matrix->n_rows; r++) y[r] = (struct exact){0, 0};
    for (uint32_t i = 0; i < matrix->n_parts; i++) {
        if (reference->a[i] == NULL) {
            exact_add(reference->w[i], matrix->n_rows, matrix->n_cols, x, y);
            continue;
        }
        const uint64_t rank = matrix->parts[i].lowrank.a.n_rows;
        struct exact *t = calloc((size_t)rank, sizeof *t);
        if (t == NULL) abort();
        exact_add(reference->a[i], rank, matrix->n_cols, x, t);
        exact_add(reference->w[i], matrix->n_rows, rank, t, y);
        free(t);
    }
}

/* The bound's K: the columns, and for sums the ranks and the parts, which are roundings too. */
static inline double made_bound_terms(const struct resident_matrix *matrix)
{
    double k = (double)matrix->n_cols + (matrix->n_parts > 1 ? matrix->n_parts : 0);
    for (uint32_t i = 0; i < matrix->n_parts; i++) {
        if (matrix->parts[i].kind != RESIDENT_LOWRANK) continue;
        k += (double)matrix->parts[i].lowrank.a.n_rows + 1;
    }
    return k;
}

#endif

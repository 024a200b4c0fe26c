/* Matrices made up for the tests of the Vulkan backend: random codes and tables of every kind that
 * it takes, and what they multiply to in double. Knows the runtime's form of a matrix, no device.
 */
#ifndef INGOT_TESTS_VULKAN_SYNTHETIC_H
#define INGOT_TESTS_VULKAN_SYNTHETIC_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "format/floats.h"
#include "runtime/backend.h"

enum { MAX_SYNTHETIC_BUFFERS = 64, MAX_SYNTHETIC_CODINGS = 16 };

/* A coding to make up. All zeros but the map is a raw coding. */
struct made_coding {
    uint8_t map;
    uint8_t bits;
    uint8_t format;       /* MAP_FLOAT */
    uint8_t scale_format; /* INGOT_F16, INGOT_F32, or 0: no table */
    float zero;           /* 0: none */
    float scale;          /* a constant instead of a table; 0: none */
    uint32_t group_cols;  /* of the table; 0: whole rows; UINT32_MAX: one for the matrix */
};

/* A part to make up. */
struct made_part {
    enum resident_kind kind;
    struct made_coding coding; /* of the codes, of the kept values, or of both a and b */
    uint32_t rank;             /* RESIDENT_LOWRANK */
    uint32_t kept;             /* RESIDENT_SPARSE: so many weights of 8 are kept */
};

struct synthetic {
    struct resident_matrix matrix;
    struct ingot_coding codings[MAX_SYNTHETIC_CODINGS];
    uint32_t n_codings;
    void *buffers[MAX_SYNTHETIC_BUFFERS];
    uint32_t n_buffers;
    uint64_t random;
};

/* splitmix64: the same on every machine. */
static inline uint64_t random_u64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* In [-1, 1). */
static inline float random_unit(uint64_t *state)
{
    return (float)(int32_t)(random_u64(state) >> 32) * 0x1p-31f;
}

static inline uint8_t *synthetic_buffer(struct synthetic *s, uint64_t n_bytes)
{
    if (s->n_buffers == MAX_SYNTHETIC_BUFFERS) abort();
    uint8_t *const buffer = calloc(n_bytes + RESIDENT_SLACK_BYTES, 1);
    if (!buffer) abort();
    s->buffers[s->n_buffers++] = buffer;
    return buffer;
}

static inline void synthetic_release(struct synthetic *s)
{
    for (uint32_t i = 0; i < s->n_buffers; i++) free(s->buffers[i]);
}

/* One code of a made-up plane, as its low bits. */
static inline uint32_t random_code(struct synthetic *s, const struct made_coding *made)
{
    const uint64_t bits = random_u64(&s->random);
    if (made->map != MAP_FLOAT) return (uint32_t)bits & ((1u << made->bits) - 1);
    const float value = random_unit(&s->random);
    if (made->format == INGOT_F16) return f16_from_f32(value);
    if (made->format == INGOT_BF16) return bf16_from_f32(value);
    return f32_bits(value);
}

static inline void put_code(uint8_t *row, uint64_t column, uint32_t bits, uint32_t code)
{
    if (bits < 8) {
        row[column * bits / 8] |= (uint8_t)(code << (column * bits % 8));
    } else {
        memcpy(row + column * (bits / 8), &code, bits / 8);
    }
}

static inline void make_scales(struct synthetic *s, const struct made_coding *made,
                               struct resident_dense *dense)
{
    struct resident_table *const table = &dense->tables[SLOT_SCALE];
    const bool single = made->group_cols == UINT32_MAX;
    table->format = (ingot_dtype)made->scale_format;
    table->group_rows = single ? dense->n_rows : 1;
    table->group_cols = single || made->group_cols == 0 ? dense->n_cols : made->group_cols;
    table->n_rows = ceil_div(dense->n_rows, table->group_rows);
    table->n_cols = ceil_div(dense->n_cols, table->group_cols);
    const uint64_t n = table->n_rows * table->n_cols;
    const uint64_t entry_bytes = table->format == INGOT_F16 ? 2 : 4;
    uint8_t *const data = synthetic_buffer(s, n * entry_bytes);
    for (uint64_t i = 0; i < n; i++) {
        const float scale = random_unit(&s->random) * 0.1f;
        if (table->format == INGOT_F16)
            store_u16(data + i * 2, f16_from_f32(scale));
        else
            store_f32(data + i * 4, scale);
    }
    table->data = data;
}

static inline void make_dense(struct synthetic *s, const struct made_coding *made, uint64_t n_rows,
                              uint64_t n_cols, struct resident_dense *dense)
{
    if (s->n_codings == MAX_SYNTHETIC_CODINGS) abort();
    struct ingot_coding *const coding = &s->codings[s->n_codings++];
    coding->map = made->map;
    coding->bits = made->bits;
    coding->format = made->format;
    coding->codebook_stream = INGOT_NONE;
    coding->slots[SLOT_ZERO].has_constant = made->zero != 0;
    coding->slots[SLOT_ZERO].constant = made->zero;
    coding->slots[SLOT_SCALE].has_constant = made->scale != 0;
    coding->slots[SLOT_SCALE].constant = made->scale;
    coding->slots[SLOT_SCALE].has_table = made->scale_format != 0;

    const uint64_t code_bytes = ceil_div(n_cols * made->bits, 8);
    const uint64_t row_bytes = made->bits < 8 ? ceil_div(code_bytes, 4) * 4 : code_bytes;
    uint8_t *const data = synthetic_buffer(s, n_rows * row_bytes);
    for (uint64_t r = 0; r < n_rows; r++) {
        for (uint64_t c = 0; c < n_cols; c++) {
            put_code(data + r * row_bytes, c, made->bits, random_code(s, made));
        }
    }
    dense->coding = coding;
    dense->n_rows = n_rows;
    dense->n_cols = n_cols;
    dense->n_planes = 1;
    dense->planes[0] = (struct resident_plane){data, row_bytes, made->bits};
    if (made->scale_format) make_scales(s, made, dense);
}

static inline void make_sparse(struct synthetic *s, const struct made_part *made, uint64_t n_rows,
                               uint64_t n_cols, struct resident_sparse *sparse)
{
    const uint64_t row_bytes = ceil_div(n_cols, 32) * 4;
    uint8_t *const mask = synthetic_buffer(s, n_rows * row_bytes);
    uint32_t *const offsets = (void *)synthetic_buffer(s, (n_rows + 1) * sizeof *offsets);
    uint32_t n_kept = 0;
    for (uint64_t r = 0; r < n_rows; r++) {
        offsets[r] = n_kept;
        for (uint64_t c = 0; c < n_cols; c++) {
            if (random_u64(&s->random) % 8 >= made->kept) continue;
            mask[r * row_bytes + c / 8] |= (uint8_t)(1u << c % 8);
            n_kept++;
        }
    }
    offsets[n_rows] = n_kept;
    sparse->mask = (struct resident_plane){mask, row_bytes, 1};
    sparse->row_offsets = offsets;
    make_dense(s, &made->coding, 1, n_kept, &sparse->values);
}

/* Fills *s, which is released with synthetic_release. */
static inline void make_matrix(struct synthetic *s, uint64_t seed, uint64_t n_rows, uint64_t n_cols,
                               const struct made_part *parts, uint32_t n_parts)
{
    *s = (struct synthetic){.random = seed};
    s->matrix = (struct resident_matrix){.n_rows = n_rows, .n_cols = n_cols, .n_parts = n_parts};
    for (uint32_t i = 0; i < n_parts; i++) {
        struct resident_part *const part = &s->matrix.parts[i];
        const struct made_part *const made = &parts[i];
        part->kind = made->kind;
        if (made->kind == RESIDENT_DENSE) {
            make_dense(s, &made->coding, n_rows, n_cols, &part->dense);
        } else if (made->kind == RESIDENT_SPARSE) {
            make_sparse(s, made, n_rows, n_cols, &part->sparse);
        } else {
            part->lowrank.multiplier = 0.75f;
            make_dense(s, &made->coding, made->rank, n_cols, &part->lowrank.a);
            make_dense(s, &made->coding, n_rows, made->rank, &part->lowrank.b);
        }
    }
}

/* ------------------------------------------------------------------ the reference */

/* Weight (row, column), every step rounded to f32. */
static inline float dense_weight(const struct resident_dense *dense, uint64_t row, uint64_t column)
{
    const struct ingot_coding *const coding = dense->coding;
    const struct resident_table *const table = &dense->tables[SLOT_SCALE];
    const uint8_t *const codes = dense->planes[0].data + row * dense->planes[0].row_bytes;
    uint32_t code = 0;
    if (coding->bits < 8) {
        const uint64_t bit = column * coding->bits;
        code = (uint32_t)codes[bit / 8] >> bit % 8 & ((1u << coding->bits) - 1);
    } else {
        memcpy(&code, codes + column * (coding->bits / 8), coding->bits / 8);
    }
    float value = 0.0f;
    if (coding->map == MAP_FLOAT) {
        value = ingot_float_decode((ingot_dtype)coding->format, code);
    } else {
        const uint32_t half = 1u << (coding->bits - 1);
        value =
            coding->map == MAP_INT ? (float)((int32_t)(code ^ half) - (int32_t)half) : (float)code;
    }
    if (coding->slots[SLOT_ZERO].has_constant) value -= coding->slots[SLOT_ZERO].constant;
    if (table->data) {
        const uint64_t at = row / table->group_rows * table->n_cols + column / table->group_cols;
        const uint8_t *const data = table->data;
        value *= table->format == INGOT_F16 ? f32_from_f16(load_u16(data + at * 2))
                                            : load_f32(data + at * 4);
    }
    if (coding->slots[SLOT_SCALE].has_constant) value *= coding->slots[SLOT_SCALE].constant;
    return value;
}

/* A sum and the sum of its terms' magnitudes. */
struct exact {
    double sum;
    double magnitude;
};

static inline struct exact dense_row(const struct resident_dense *dense, uint64_t row,
                                     const struct exact *x)
{
    struct exact y = {0.0, 0.0};
    for (uint64_t c = 0; c < dense->n_cols; c++) {
        const double weight = (double)dense_weight(dense, row, c);
        y.sum += weight * x[c].sum;
        y.magnitude += fabs(weight) * x[c].magnitude;
    }
    return y;
}

static inline struct exact sparse_row(const struct resident_sparse *sparse, uint64_t row,
                                      uint64_t n_cols, const struct exact *x)
{
    struct exact y = {0.0, 0.0};
    uint32_t at = sparse->row_offsets[row];
    const uint8_t *const mask = sparse->mask.data + row * sparse->mask.row_bytes;
    for (uint64_t c = 0; c < n_cols; c++) {
        if (!(mask[c / 8] >> c % 8 & 1)) continue;
        const double weight = (double)dense_weight(&sparse->values, 0, at++);
        y.sum += weight * x[c].sum;
        y.magnitude += fabs(weight) * x[c].magnitude;
    }
    return y;
}

/* y = W x for one vector; y[row].magnitude is sum |w x|. */
static inline void multiply_exactly(const struct resident_matrix *matrix, const float *x,
                                    struct exact *y)
{
    struct exact *const wide = calloc(matrix->n_cols, sizeof *wide);
    struct exact *const t = calloc(1024, sizeof *t);
    if (!wide || !t) abort();
    for (uint64_t c = 0; c < matrix->n_cols; c++) {
        wide[c] = (struct exact){(double)x[c], fabs((double)x[c])};
    }
    memset(y, 0, matrix->n_rows * sizeof *y);
    for (uint32_t i = 0; i < matrix->n_parts; i++) {
        const struct resident_part *const part = &matrix->parts[i];
        const bool lowrank = part->kind == RESIDENT_LOWRANK;
        for (uint64_t j = 0; lowrank && j < part->lowrank.a.n_rows; j++) {
            t[j] = dense_row(&part->lowrank.a, j, wide);
        }
        for (uint64_t r = 0; r < matrix->n_rows; r++) {
            struct exact row = {0.0, 0.0};
            double multiplier = 1.0;
            if (part->kind == RESIDENT_DENSE) row = dense_row(&part->dense, r, wide);
            if (part->kind == RESIDENT_SPARSE) {
                row = sparse_row(&part->sparse, r, matrix->n_cols, wide);
            }
            if (lowrank) {
                row = dense_row(&part->lowrank.b, r, t);
                multiplier = (double)part->lowrank.multiplier;
            }
            y[r].sum += multiplier * row.sum;
            y[r].magnitude += fabs(multiplier) * row.magnitude;
        }
    }
    free(wide);
    free(t);
}

/* Roundings that the bound counts: the columns; and for a sum of parts, the ranks and the parts. */
static inline double bound_terms(const struct resident_matrix *matrix)
{
    double terms = (double)matrix->n_cols;
    for (uint32_t i = 0; i < matrix->n_parts; i++) {
        if (matrix->parts[i].kind != RESIDENT_LOWRANK) continue;
        terms += (double)matrix->parts[i].lowrank.a.n_rows;
    }
    return matrix->n_parts > 1 ? terms + (double)matrix->n_parts : terms;
}

#endif

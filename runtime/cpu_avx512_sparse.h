/* What the files that multiply kept values with AVX-512 share: a few rows that are spread out
 * together, and what is fetched meanwhile. */
#ifndef INGOT_CPU_AVX512_SPARSE_H
#define INGOT_CPU_AVX512_SPARSE_H

#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

#include "runtime/cpu_level.h"

enum {
    KEPT_ROWS = 4,   /* multiplied at a time, so that x is loaded once for all */
    KEPT_STEP = 64,  /* columns spread out at a time */
    KEPT_STEPS = 4,  /* of a block */
    KEPT_BLOCK = 256 /* columns */
};

/* How a row of x that was made ready is multiplied: the u32 that it begins with. */
enum kept_way { KEPT_FLOATS, KEPT_READY };

/* Rows in hand. At the end of a matrix they may all be one. */
struct kept_rows {
    const uint8_t *mask; /* of the first one */
    uint64_t mask_row_bytes;
    const uint8_t *at[KEPT_ROWS]; /* the next value of each */
};

/* The rows after those in hand, fetched into the second cache step by step: reading flows then as
 * if the values of all rows were one. Of what is kept at most three quarters, every line is
 * fetched; of more, lines at equal distances. */
enum { KEPT_LINES = KEPT_ROWS * KEPT_STEP * 3 / 4 / 64 /* of each byte of values, at a step */ };
struct kept_ahead {
    const uint8_t *values;
    const uint8_t *mask;
    uint64_t value_bytes; /* from one line that is fetched to the next */
    uint64_t mask_bytes;
};

static inline uint64_t kept_blocks(uint64_t n_cols)
{
    return ceil_div(n_cols, KEPT_BLOCK);
}

/* The columns of a step that there are, as bits. */
static inline uint64_t kept_columns(uint64_t n_cols, uint64_t step)
{
    const uint64_t n = n_cols - step * KEPT_STEP;
    return n < KEPT_STEP ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

static inline struct kept_rows kept_rows_from(const struct cpu_kept *kept, uint64_t row,
                                              uint64_t n_rows, uint64_t value_bytes)
{
    struct kept_rows rows = {.mask = kept->mask + row * kept->mask_row_bytes,
                             .mask_row_bytes = n_rows > 1 ? kept->mask_row_bytes : 0};
    for (uint64_t i = 0; i < KEPT_ROWS; i++) {
        const uint64_t from = n_rows > 1 ? row + i : row;
        rows.at[i] = kept->values + value_bytes * kept->row_offsets[from];
    }
    return rows;
}

AVX512 static inline struct kept_ahead kept_ahead_from(const struct cpu_kept *kept, uint64_t row,
                                                       uint64_t value_bytes)
{
    const uint64_t begin = min_u64(row, kept->n_rows);
    const uint64_t end = min_u64(row + KEPT_ROWS, kept->n_rows);
    const uint64_t n_values = kept->row_offsets[end] - kept->row_offsets[begin];
    const uint64_t n_steps = max_u64(ceil_div(kept->n_cols, KEPT_STEP), 1);
    _mm_prefetch((const char *)(kept->row_offsets + end) + 64, _MM_HINT_T0);
    return (struct kept_ahead){
        .values = kept->values + value_bytes * kept->row_offsets[begin],
        .mask = kept->mask + begin * kept->mask_row_bytes,
        .value_bytes = ceil_div(n_values, n_steps * KEPT_LINES),
        .mask_bytes = ceil_div((end - begin) * kept->mask_row_bytes, n_steps),
    };
}

INGOT_TEMPLATE AVX512 void kept_fetch(struct kept_ahead *ahead, const uint64_t value_bytes)
{
    INGOT_UNROLL
    for (uint64_t i = 0; i < KEPT_LINES * value_bytes; i++) {
        _mm_prefetch((const char *)ahead->values, _MM_HINT_T1);
        ahead->values += ahead->value_bytes;
    }
    _mm_prefetch((const char *)ahead->mask, _MM_HINT_T1);
    ahead->mask += ahead->mask_bytes;
}

/* 64 bytes or 32 words, spread out from those at `at`; zeros where there are none. */
INGOT_TEMPLATE AVX512 __m512i spread_bytes(__mmask64 held, const uint8_t *at)
{
    __m512i packed = load_512(at);
    INGOT_IN_REGISTER(packed);
    return _mm512_maskz_expand_epi8(held, packed);
}

INGOT_TEMPLATE AVX512 __m512i spread_words(__mmask32 held, const uint8_t *at)
{
    __m512i packed = load_512(at);
    INGOT_IN_REGISTER(packed);
    return _mm512_maskz_expand_epi16(held, packed);
}

/* Products of the rows in hand with x as it was made ready. */
typedef void kept_function(const struct cpu_kept *kept, uint64_t row, struct kept_rows *rows,
                           struct kept_ahead *ahead, const uint8_t *ready, float y[KEPT_ROWS]);

/* Signed bytes: x as 8-bit digits. */
uint64_t avx512_kept_digits_part_bytes(uint64_t n_cols);
void avx512_kept_digits_make(const struct cpu_kept *kept, uint64_t part, uint8_t *own);
uint64_t avx512_kept_digits_x_bytes(uint64_t n_cols);
void avx512_kept_digits_x(uint64_t n_cols, const float *x, uint8_t *ready);
kept_function avx512_kept_digits;

/* bf16: x as two bf16. */
uint64_t avx512_kept_pairs_part_bytes(uint64_t n_cols);
void avx512_kept_pairs_make(const struct cpu_kept *kept, uint64_t part, uint8_t *own);
uint64_t avx512_kept_pairs_x_bytes(uint64_t n_cols);
void avx512_kept_pairs_x(uint64_t n_cols, const float *x, uint8_t *ready);
bool avx512_kept_pairs_fit(const struct cpu_kept *kept, uint64_t row);
kept_function avx512_kept_pairs;

#endif
#endif

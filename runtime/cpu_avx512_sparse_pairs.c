/* Kept bf16 times a row of x with AVX-512: x is two bf16, and what is spread out is multiplied as
 * it is. */
#include "runtime/cpu_avx512_sparse.h"

#ifdef INGOT_X86_64

enum {
    STEP_BYTES = 4 * KEPT_STEP, /* of x: the first parts of all columns, then the second ones */
    STEP_FLOAT_BYTES = 4 * KEPT_STEP,
    AT_PAIRS = 64
};

/* ------------------------------------------------------------------ weights */

/* Products of bf16 take subnormals for zeros: rows are multiplied so if no weight is that small or
 * large. Of each part a byte says whether. */
enum { LEAST = (127 - 40) << 7, MOST = (127 + 60) << 7 };

uint64_t avx512_kept_pairs_part_bytes(uint64_t n_cols)
{
    (void)n_cols;
    return 1;
}

void avx512_kept_pairs_make(const struct cpu_kept *kept, uint64_t part, uint8_t *own)
{
    const uint64_t row = part * KEPT_PART_ROWS;
    const uint64_t end = kept->row_offsets[min_u64(row + KEPT_PART_ROWS, kept->n_rows)];
    uint32_t others = 0;
    for (uint64_t i = kept->row_offsets[row]; i < end; i++) {
        const uint32_t magnitude = load_u16(kept->values + 2 * i) & 0x7fff;
        others |= (magnitude != 0) & (magnitude - LEAST > MOST - LEAST);
    }
    *own = others == 0;
}

bool avx512_kept_pairs_fit(const struct cpu_kept *kept, uint64_t row)
{
    return kept->own[row / KEPT_PART_ROWS];
}

/* ------------------------------------------------------------------ x */

/* After the way the factor, an f32; then the pairs; then x in f32. */
uint64_t avx512_kept_pairs_x_bytes(uint64_t n_cols)
{
    return AT_PAIRS + ceil_div(n_cols, KEPT_STEP) * (STEP_BYTES + STEP_FLOAT_BYTES);
}

AVX512 void avx512_kept_pairs_x(uint64_t n_cols, const float *x, uint8_t *ready)
{
    const uint64_t n_steps = ceil_div(n_cols, KEPT_STEP);
    float *floats = (float *)(void *)(ready + AT_PAIRS + n_steps * STEP_BYTES);
    memcpy(floats, x, (size_t)n_cols * sizeof *x);
    for (uint64_t c = n_cols; c < n_steps * KEPT_STEP; c++) floats[c] = 0;
    bool is_exact;
    store_f32(ready + 4, avx512_bring_near(floats, n_steps * KEPT_STEP, &is_exact));
    const float least = avx512_extent(floats, n_steps * KEPT_STEP).least;
    const bool fits = n_cols >= KEPT_BLOCK && is_exact && !(least < 0x1p-70f);
    store_u32(ready, fits ? KEPT_READY : KEPT_FLOATS);
    for (uint64_t c = 0; fits && c < n_steps * KEPT_STEP; c += 16) {
        const __m512 all = _mm512_loadu_ps(floats + c);
        const __m256bh first = _mm512_cvtneps_pbh(all);
        const __m256bh second = _mm512_cvtneps_pbh(bf16_rest(all, first));
        uint8_t *dst = ready + AT_PAIRS + c / KEPT_STEP * STEP_BYTES + 2 * (c % KEPT_STEP);
        _mm256_storeu_si256((__m256i *)(void *)dst, (__m256i)first);
        _mm256_storeu_si256((__m256i *)(void *)(dst + 2 * KEPT_STEP), (__m256i)second);
    }
}

/* ------------------------------------------------------------------ products */

struct pair_sums {
    __m512 v[KEPT_ROWS][2]; /* by part of x */
};

/* A step of columns. Moves the rows on. */
INGOT_TEMPLATE AVX512 void add_step(struct pair_sums *sums, struct kept_rows *rows,
                                    const uint8_t *mask, uint64_t columns, const uint8_t *pairs)
{
    INGOT_UNROLL
    for (uint64_t i = 0; i < KEPT_ROWS; i++) {
        const uint64_t bits = load_u64(mask + i * rows->mask_row_bytes) & columns;
        const uint8_t *at = rows->at[i];
        const __mmask64 held = bits;
        const __mmask32 lower = (__mmask32)held, upper = (__mmask32)_kshiftri_mask64(held, 32);
        const __m512i w[2] = {spread_words(lower, at),
                              spread_words(upper, at + 2 * _mm_popcnt_u32((uint32_t)bits))};
        rows->at[i] += 2 * _mm_popcnt_u64(bits);
        INGOT_UNROLL
        for (int k = 0; k < 4; k++) { /* w[0] with both parts, then w[1] */
            const __m512i x = load_512(pairs + 64 * (2 * (k % 2) + k / 2));
            sums->v[i][k % 2] = bf16_product(sums->v[i][k % 2], w[k / 2], x);
        }
    }
}

AVX512 void avx512_kept_pairs(const struct cpu_kept *kept, uint64_t row, struct kept_rows *rows,
                              struct kept_ahead *ahead, const uint8_t *ready, float y[KEPT_ROWS])
{
    const uint64_t n_cols = kept->n_cols, n_whole = n_cols / KEPT_STEP;
    const uint8_t *pairs = ready + AT_PAIRS;
    struct kept_rows own = *rows; /* in registers */
    struct kept_ahead next = *ahead;
    struct pair_sums sums;
    (void)row;
    INGOT_UNROLL
    for (int i = 0; i < KEPT_ROWS; i++) sums.v[i][0] = sums.v[i][1] = _mm512_setzero_ps();
    for (uint64_t step = 0; step < n_whole; step++, pairs += STEP_BYTES) {
        kept_fetch(&next, 2);
        add_step(&sums, &own, own.mask + 8 * step, UINT64_MAX, pairs);
    }
    if (n_cols % KEPT_STEP != 0) {
        add_step(&sums, &own, own.mask + 8 * n_whole, kept_columns(n_cols, n_whole), pairs);
    }
    INGOT_UNROLL
    for (int i = 0; i < KEPT_ROWS; i++) {
        y[i] =
            load_f32(ready + 4) * _mm512_reduce_add_ps(_mm512_add_ps(sums.v[i][0], sums.v[i][1]));
    }
}

#endif

/* Kept values times a row of x with AVX-512: values are spread out in registers where the mask has
 * ones. Multiplies them as floats, or leaves that to a way that x and the values allow. */
#include "runtime/cpu_avx512_sparse.h"

#ifdef INGOT_X86_64

/* 16 values from `at` on, those past the n that there are unspecified: planes have slack. */
typedef __m512 load16_function(const uint8_t *at);

INGOT_TEMPLATE AVX512 __m512 load16_f32(const uint8_t *at)
{
    return _mm512_loadu_ps((const float *)(const void *)at);
}

INGOT_TEMPLATE AVX512 __m512 load16_f16(const uint8_t *at)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

INGOT_TEMPLATE AVX512 __m512 load16_bf16(const uint8_t *at)
{
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)at);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

INGOT_TEMPLATE AVX512 __m512 load16_s8(const uint8_t *at)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

/* 64 columns of a row from the values at `at`: those that the bits do not hold are zeros. */
typedef void spread64_function(const uint8_t *at, uint64_t bits, __m512 v[4]);

/* 16 at a time, as floats. */
INGOT_TEMPLATE AVX512 void spread64(const uint8_t *at, uint64_t bits, __m512 v[4],
                                    load16_function *load16, const uint64_t value_bytes)
{
    INGOT_UNROLL
    for (int k = 0; k < 4; k++) {
        const __mmask16 held = (__mmask16)(bits >> 16 * k);
        v[k] = _mm512_maskz_expand_ps(held, load16(at));
        at += value_bytes * (uint64_t)_mm_popcnt_u32(held);
    }
}

INGOT_TEMPLATE AVX512 void spread64_f32(const uint8_t *at, uint64_t bits, __m512 v[4])
{
    spread64(at, bits, v, load16_f32, 4);
}

INGOT_TEMPLATE AVX512 void spread64_f16(const uint8_t *at, uint64_t bits, __m512 v[4])
{
    spread64(at, bits, v, load16_f16, 2);
}

/* 32 at a time, each then moved to the upper half of its float. */
INGOT_TEMPLATE AVX512 void spread64_bf16(const uint8_t *at, uint64_t bits, __m512 v[4])
{
    const __mmask32 upper = 0xaaaaaaaa;
    const __m512i low = _mm512_slli_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), 16);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(16 << 16));
    INGOT_UNROLL
    for (int k = 0; k < 2; k++) {
        const __mmask32 held = (__mmask32)(bits >> 32 * k);
        const __m512i words = spread_words(held, at);
        v[2 * k] = _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(upper, low, words));
        v[2 * k + 1] = _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(upper, high, words));
        at += 2 * (uint64_t)_mm_popcnt_u32(held);
    }
}

/* 64 at a time, each then moved to the uppermost byte of an integer: 2^24 times what it is. */
INGOT_TEMPLATE AVX512 void spread64_s8(const uint8_t *at, uint64_t bits, __m512 v[4])
{
    const __mmask64 uppermost = 0x8888888888888888;
    const __m512i bytes = spread_bytes(bits, at);
    const __m512i first = _mm512_slli_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), 24);
    INGOT_UNROLL
    for (int k = 0; k < 4; k++) {
        const __m512i from = _mm512_add_epi32(first, _mm512_set1_epi32(16 * k << 24));
        v[k] = _mm512_cvtepi32_ps(_mm512_maskz_permutexvar_epi8(uppermost, from, bytes));
    }
}

/* What is left of a row at its end: less than 64 columns from c on. */
INGOT_TEMPLATE AVX512 __m512 last_columns(const uint8_t *mask, uint64_t c, uint64_t n_cols,
                                          const uint8_t *at, const float *x,
                                          load16_function *load16, const uint64_t value_bytes)
{
    __m512 sum = _mm512_setzero_ps();
    for (; c < n_cols; c += 16) { /* rows of masks are whole words of 32 bits */
        const uint64_t n = min_u64(16, n_cols - c);
        const __mmask16 held = load_u16(mask + c / 8);
        const __m512 of_x = _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), x + c);
        sum = _mm512_fmadd_ps(_mm512_maskz_expand_ps(held, load16(at)), of_x, sum);
        at += value_bytes * (uint64_t)_mm_popcnt_u32(held);
    }
    return sum;
}

/* `unit` is that of what is spread out 64 at a time. */
INGOT_TEMPLATE AVX512 void masked_dots(const struct cpu_kept *kept, struct kept_rows *rows,
                                       struct kept_ahead *ahead, const float *x, float *y,
                                       load16_function *load16, spread64_function *spread,
                                       const uint64_t value_bytes, const float unit)
{
    const uint64_t n_cols = kept->n_cols;
    __m512 sums[KEPT_ROWS][4];
    uint64_t c = 0;
    INGOT_UNROLL
    for (int i = 0; i < KEPT_ROWS; i++) {
        INGOT_UNROLL
        for (int k = 0; k < 4; k++) sums[i][k] = _mm512_setzero_ps();
    }
    for (; n_cols - c >= KEPT_STEP; c += KEPT_STEP) {
        kept_fetch(ahead, value_bytes);
        INGOT_UNROLL
        for (uint64_t i = 0; i < KEPT_ROWS; i++) {
            const uint64_t bits = load_u64(rows->mask + i * rows->mask_row_bytes + c / 8);
            __m512 v[4];
            spread(rows->at[i], bits, v);
            INGOT_UNROLL
            for (int k = 0; k < 4; k++) {
                sums[i][k] = _mm512_fmadd_ps(v[k], _mm512_loadu_ps(x + c + 16 * k), sums[i][k]);
            }
            rows->at[i] += value_bytes * (uint64_t)_mm_popcnt_u64(bits);
        }
    }
    INGOT_UNROLL
    for (uint64_t i = 0; i < KEPT_ROWS; i++) {
        const __m512 *v = sums[i];
        const __m512 sum = _mm512_add_ps(_mm512_add_ps(v[0], v[1]), _mm512_add_ps(v[2], v[3]));
        const __m512 rest = last_columns(rows->mask + i * rows->mask_row_bytes, c, n_cols,
                                         rows->at[i], x, load16, value_bytes);
        y[i] = _mm512_reduce_add_ps(_mm512_fmadd_ps(sum, _mm512_set1_ps(unit), rest));
    }
}

/* NAME, bytes of a value, unit of those spread out. */
#define KINDS(ROW) ROW(f32, 4, 1.0f) ROW(f16, 2, 1.0f) ROW(bf16, 2, 1.0f) ROW(s8, 1, 0x1p-24f)

#define DEFINE(name, value_bytes, unit)                                                          \
    AVX512 static void floats_##name(const struct cpu_kept *kept, struct kept_rows *rows,        \
                                     struct kept_ahead *ahead, const float *x, float *y)         \
    {                                                                                            \
        masked_dots(kept, rows, ahead, x, y, load16_##name, spread64_##name, value_bytes, unit); \
    }
KINDS(DEFINE)

/* ------------------------------------------------------------------ rows by rows */

typedef void floats_function(const struct cpu_kept *kept, struct kept_rows *rows,
                             struct kept_ahead *ahead, const float *x, float *y);

/* The ways of a kind of values. */
struct ways {
    uint64_t value_bytes;
    floats_function *floats;
    kept_function *readied;                                  /* NULL: x is always as it is */
    bool (*fits)(const struct cpu_kept *kept, uint64_t row); /* NULL: all rows do */
};

/* Rows that are not KEPT_ROWS, at the end of a matrix, are taken one by one. */
static void dot_rows(const struct cpu_kept *kept, uint64_t first_row, uint32_t n_rows,
                     const float *x, const uint8_t *ready, float *sums, const struct ways *ways)
{
    const bool is_ready = ways->readied != NULL && load_u32(ready) == KEPT_READY &&
                          (ways->fits == NULL || ways->fits(kept, first_row));
    for (uint32_t i = 0; i < n_rows;) {
        const uint64_t row = first_row + i, n = n_rows - i >= KEPT_ROWS ? KEPT_ROWS : 1;
        struct kept_rows rows = kept_rows_from(kept, row, n, ways->value_bytes);
        struct kept_ahead ahead = kept_ahead_from(kept, row + KEPT_ROWS, ways->value_bytes);
        float y[KEPT_ROWS];
        if (is_ready) {
            ways->readied(kept, row, &rows, &ahead, ready, y);
        } else {
            ways->floats(kept, &rows, &ahead, x, y);
        }
        memcpy(sums + i, n == 1 ? y + row % KEPT_ROWS : y, n * sizeof *y);
        i += (uint32_t)n;
    }
}

static const struct ways ways_f32 = {.value_bytes = 4, .floats = floats_f32};
static const struct ways ways_f16 = {.value_bytes = 2, .floats = floats_f16};
static const struct ways ways_bf16 = {2, floats_bf16, avx512_kept_pairs, avx512_kept_pairs_fit};
static const struct ways ways_s8 = {1, floats_s8, avx512_kept_digits, NULL};

#define DOT(name, value_bytes, unit)                                                         \
    static void dot_##name(const struct cpu_kept *kept, uint64_t first_row, uint32_t n_rows, \
                           const float *x, const uint8_t *ready, float *sums)                \
    {                                                                                        \
        dot_rows(kept, first_row, n_rows, x, ready, sums, &ways_##name);                     \
    }
KINDS(DOT)

static bool is_raw(const struct ingot_coding *coding, ingot_dtype format)
{
    return coding->map == MAP_FLOAT && coding->format == (uint8_t)format && coding_is_raw(coding);
}

static bool fits_f32(const struct ingot_coding *coding)
{
    return is_raw(coding, INGOT_F32);
}

static bool fits_f16(const struct ingot_coding *coding)
{
    return is_raw(coding, INGOT_F16);
}

static bool fits_bf16(const struct ingot_coding *coding)
{
    return is_raw(coding, INGOT_BF16);
}

/* Signed bytes, times a constant, or one scale a row, or neither. */
static bool fits_s8(const struct ingot_coding *coding)
{
    bool fits = coding->map == MAP_INT && coding->bits == 8;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        const bool is_scale = i == SLOT_SCALE && !(slot->has_table && slot->has_constant);
        const bool by_rows = slot->group == GROUP_BLOCK && slot->group_cols == 0;
        fits = fits && (!slot->has_table || (is_scale && by_rows && !slot->inverse_table));
        fits = fits && (!slot->has_constant || (is_scale && !slot->inverse_constant));
    }
    return fits;
}

const struct cpu_sparse_kernel cpu_avx512_sparse[] = {
    {.name = "f32", .fits = fits_f32, .dot = dot_f32},
    {.name = "f16", .fits = fits_f16, .dot = dot_f16},
    {"bf16", fits_bf16, avx512_kept_pairs_part_bytes, avx512_kept_pairs_make,
     avx512_kept_pairs_x_bytes, avx512_kept_pairs_x, dot_bf16},
    {"s8", fits_s8, avx512_kept_digits_part_bytes, avx512_kept_digits_make,
     avx512_kept_digits_x_bytes, avx512_kept_digits_x, dot_s8},
};
const uint32_t n_cpu_avx512_sparse = sizeof cpu_avx512_sparse / sizeof *cpu_avx512_sparse;

#endif

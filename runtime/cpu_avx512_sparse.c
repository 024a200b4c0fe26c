/* Kept values times a row of x with AVX-512: values are spread out in registers where the mask has
 * ones. */
#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

#include "runtime/cpu_level.h"

enum { FEW_ROWS = 4 /* multiplied at a time */ };

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
        const __m512i words = _mm512_maskz_expand_epi16(held, load_512(at));
        v[2 * k] = _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(upper, low, words));
        v[2 * k + 1] = _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(upper, high, words));
        at += 2 * (uint64_t)_mm_popcnt_u32(held);
    }
}

/* 64 at a time, each then moved to the uppermost byte of an integer: 2^24 times what it is. */
INGOT_TEMPLATE AVX512 void spread64_s8(const uint8_t *at, uint64_t bits, __m512 v[4])
{
    const __mmask64 uppermost = 0x8888888888888888;
    const __m512i bytes = _mm512_maskz_expand_epi8(bits, load_512(at));
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

/* The products of n_rows rows, so that x is loaded once for all; `unit` is that of what is spread
 * out 64 at a time. */
INGOT_TEMPLATE AVX512 void masked_dots(const struct cpu_kept_row *rows, uint64_t n_cols,
                                       const float *x, float *dst, load16_function *load16,
                                       spread64_function *spread, const uint64_t value_bytes,
                                       const float unit, const int n_rows)
{
    __m512 sums[FEW_ROWS][4];
    const uint8_t *at[FEW_ROWS];
    uint64_t c = 0;
    INGOT_UNROLL
    for (int i = 0; i < n_rows; i++) {
        at[i] = rows[i].values + value_bytes * rows[i].first;
        INGOT_UNROLL
        for (int k = 0; k < 4; k++) sums[i][k] = _mm512_setzero_ps();
    }
    for (; n_cols - c >= 64; c += 64) {
        INGOT_UNROLL
        for (int i = 0; i < n_rows; i++) {
            const uint64_t bits = load_u64(rows[i].mask + c / 8);
            __m512 v[4];
            INGOT_UNROLL
            for (uint64_t l = 0; l < value_bytes; l++) { /* the lines that all kept values take */
                _mm_prefetch((const char *)(at[i] + 2048 + 64 * l), _MM_HINT_T0);
            }
            spread(at[i], bits, v);
            INGOT_UNROLL
            for (int k = 0; k < 4; k++) {
                sums[i][k] = _mm512_fmadd_ps(v[k], _mm512_loadu_ps(x + c + 16 * k), sums[i][k]);
            }
            at[i] += value_bytes * (uint64_t)_mm_popcnt_u64(bits);
        }
    }
    INGOT_UNROLL
    for (int i = 0; i < n_rows; i++) {
        const __m512 *v = sums[i];
        const __m512 sum = _mm512_add_ps(_mm512_add_ps(v[0], v[1]), _mm512_add_ps(v[2], v[3]));
        const __m512 rest = last_columns(rows[i].mask, c, n_cols, at[i], x, load16, value_bytes);
        dst[i] = _mm512_reduce_add_ps(_mm512_fmadd_ps(sum, _mm512_set1_ps(unit), rest));
    }
}

/* NAME, bytes of a value, unit of those spread out. */
#define KINDS(ROW) ROW(f32, 4, 1.0f) ROW(f16, 2, 1.0f) ROW(bf16, 2, 1.0f) ROW(s8, 1, 0x1p-24f)

#define DEFINE(name, value_bytes, unit)                                                \
    AVX512 static void dot_##name(const struct cpu_kept_row *rows, uint32_t n_rows,    \
                                  uint64_t n_cols, const float *x, float *sums)        \
    {                                                                                  \
        uint32_t i = 0;                                                                \
        for (; n_rows - i >= FEW_ROWS; i += FEW_ROWS) {                                \
            masked_dots(rows + i, n_cols, x, sums + i, load16_##name, spread64_##name, \
                        value_bytes, unit, FEW_ROWS);                                  \
        }                                                                              \
        for (; i < n_rows; i++) {                                                      \
            masked_dots(rows + i, n_cols, x, sums + i, load16_##name, spread64_##name, \
                        value_bytes, unit, 1);                                         \
        }                                                                              \
    }
KINDS(DEFINE)

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

/* Signed bytes, times a constant or not. */
static bool fits_s8(const struct ingot_coding *coding)
{
    bool fits = coding->map == MAP_INT && coding->bits == 8;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        const bool is_scale = i == SLOT_SCALE && !slot->inverse_constant;
        fits = fits && !slot->has_table && (is_scale || !slot->has_constant);
    }
    return fits;
}

const struct cpu_sparse_kernel cpu_avx512_sparse[] = {
#define ENTRY(name, value_bytes, unit) {#name, fits_##name, dot_##name},
    KINDS(ENTRY)
#undef ENTRY
};
const uint32_t n_cpu_avx512_sparse = sizeof cpu_avx512_sparse / sizeof *cpu_avx512_sparse;

#endif

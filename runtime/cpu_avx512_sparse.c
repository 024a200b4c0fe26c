/* Kept values times a row of x with AVX-512: values are spread out in registers where the mask has
 * ones, 16 columns at a time. */
#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

#include "runtime/cpu_level.h"

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

/* The product of a row: mask bits of n_cols columns, values from `at` on. */
INGOT_TEMPLATE AVX512 float masked_dot(const uint8_t *mask, uint64_t n_cols, const uint8_t *at,
                                       const float *x, load16_function *load16,
                                       const uint64_t value_bytes)
{
    __m512 sums[4];
    INGOT_UNROLL
    for (int k = 0; k < 4; k++) sums[k] = _mm512_setzero_ps();
    uint64_t c = 0;
    for (; n_cols - c >= 64; c += 64) {
        const uint64_t bits = load_u64(mask + c / 8);
        INGOT_UNROLL
        for (uint64_t i = 0; i < value_bytes; i++) { /* as many lines as all kept values take */
            _mm_prefetch((const char *)(at + 2048 + 64 * i), _MM_HINT_T0);
        }
        INGOT_UNROLL
        for (int k = 0; k < 4; k++) {
            const __mmask16 held = (__mmask16)(bits >> 16 * k);
            const __m512 v = _mm512_maskz_expand_ps(held, load16(at));
            sums[k] = _mm512_fmadd_ps(v, _mm512_loadu_ps(x + c + 16 * k), sums[k]);
            at += value_bytes * (uint64_t)_mm_popcnt_u32(held);
        }
    }
    for (; c < n_cols; c += 16) { /* rows of masks are whole words of 32 bits */
        const uint64_t n = min_u64(16, n_cols - c);
        const __mmask16 held = load_u16(mask + c / 8);
        const __m512 of_x = _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), x + c);
        const __m512 v = _mm512_maskz_expand_ps(held, load16(at));
        sums[0] = _mm512_fmadd_ps(v, of_x, sums[0]);
        at += value_bytes * (uint64_t)_mm_popcnt_u32(held);
    }
    const __m512 sum =
        _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
    return _mm512_reduce_add_ps(sum);
}

/* NAME, bytes of a value. */
#define KINDS(ROW) ROW(f32, 4) ROW(f16, 2) ROW(bf16, 2) ROW(s8, 1)

#define DEFINE(name, value_bytes)                                                               \
    AVX512 static float dot_##name(const uint8_t *mask, uint64_t n_cols, const uint8_t *values, \
                                   uint64_t first, const float *x)                              \
    {                                                                                           \
        return masked_dot(mask, n_cols, values + (value_bytes)*first, x, load16_##name,         \
                          value_bytes);                                                         \
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
#define ENTRY(name, value_bytes) {#name, fits_##name, dot_##name},
    KINDS(ENTRY)
#undef ENTRY
};
const uint32_t n_cpu_avx512_sparse = sizeof cpu_avx512_sparse / sizeof *cpu_avx512_sparse;

#endif

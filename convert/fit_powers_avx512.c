/* Scales that are powers of two with AVX-512: sixteen neighbours of a row in a register, each
 * operation that of fit_plain.c. */
#include "convert/fit_avx512.h"

#ifdef INGOT_X86_64

INGOT_TEMPLATE AVX512 __m512 add_squares(const struct snapper *s, __m512 weight, __m512 inverse,
                                         __m512 sums)
{
    const __m512 v = _mm512_mul_ps(weight, inverse);
    const __m512 difference = _mm512_sub_ps(v, snap_float(s, v));
    return _mm512_add_ps(sums, _mm512_mul_ps(difference, difference));
}

INGOT_TEMPLATE AVX512 float fold(__m512 sums)
{
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(sums), _mm512_extractf32x8_ps(sums, 1));
    const __m128 upper = _mm256_extractf128_ps(eight, 1);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), upper);
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INGOT_TEMPLATE AVX512 float peak_of(const float *weights, uint32_t n)
{
    __m512 peak = _mm512_setzero_ps();
    for (uint32_t i = 0; i < n; i += POWER_STEP) {
        peak = _mm512_max_ps(peak, _mm512_abs_ps(_mm512_loadu_ps(weights + i)));
    }
    return _mm512_reduce_max_ps(peak);
}

AVX512 void fit_search_powers_avx512(const struct levels *levels, const struct group_rows *rows,
                                     float scale[LANES])
{
    const struct snapper s = open_levels(levels, LEVELS_FLOAT);
    for (uint32_t k = 0; k < LANES; k++) {
        const float *weights = rows->weights[k];
        const float peak = peak_of(weights, rows->n[k]);
        scale[k] = peak == 0.0f ? 0.0f : -1.0f;
        if (!power_suits(peak)) continue;
        const float power = power_above(peak, levels->high);
        const __m512 inverse = _mm512_set1_ps(power_inverse(power));
        const __m512 twice = _mm512_add_ps(inverse, inverse);
        __m512 whole = _mm512_setzero_ps(), half = whole;
        for (uint32_t i = 0; i < rows->n[k]; i += POWER_STEP) {
            const __m512 weight = _mm512_loadu_ps(weights + i);
            whole = add_squares(&s, weight, inverse, whole);
            half = add_squares(&s, weight, twice, half);
        }
        scale[k] = power_better(power, fold(whole), fold(half));
    }
}

#endif

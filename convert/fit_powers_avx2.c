/* Scales that are powers of two with AVX2: sixteen neighbours of a row in two registers, each
 * operation that of fit_plain.c. */
#include "convert/fit_avx2.h"

#ifdef INGOT_X86_64

struct sixteen {
    __m256 low, high;
};

INGOT_TEMPLATE AVX2 __m256 add_square(const struct snapper *s, __m256 weight, __m256 inverse,
                                      __m256 sum)
{
    const __m256 v = _mm256_mul_ps(weight, inverse);
    const __m256 difference = _mm256_sub_ps(v, snap_float(s, v));
    return _mm256_add_ps(sum, _mm256_mul_ps(difference, difference));
}

INGOT_TEMPLATE AVX2 struct sixteen add_squares(const struct snapper *s, const float *weights,
                                               __m256 inverse, struct sixteen sums)
{
    return (struct sixteen){add_square(s, _mm256_loadu_ps(weights), inverse, sums.low),
                            add_square(s, _mm256_loadu_ps(weights + 8), inverse, sums.high)};
}

INGOT_TEMPLATE AVX2 float fold(struct sixteen sums)
{
    const __m256 eight = _mm256_add_ps(sums.low, sums.high);
    const __m128 upper = _mm256_extractf128_ps(eight, 1);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), upper);
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INGOT_TEMPLATE AVX2 float peak_of(const float *weights, uint32_t n)
{
    __m256 peak = _mm256_setzero_ps();
    for (uint32_t i = 0; i < n; i += 8) {
        const __m256 weight = _mm256_loadu_ps(weights + i);
        peak = _mm256_max_ps(peak, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), weight));
    }
    const __m128 upper = _mm256_extractf128_ps(peak, 1);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(peak), upper);
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

AVX2 void fit_search_powers_avx2(const struct levels *levels, const struct group_rows *rows,
                                 float scale[LANES])
{
    const struct snapper s = open_levels(levels, LEVELS_FLOAT);
    for (uint32_t k = 0; k < LANES; k++) {
        const float *weights = rows->weights[k];
        const float peak = peak_of(weights, rows->n[k]);
        scale[k] = peak == 0.0f ? 0.0f : -1.0f;
        if (!power_suits(peak)) continue;
        const float power = power_above(peak, levels->high);
        const __m256 inverse = _mm256_set1_ps(power_inverse(power));
        const __m256 twice = _mm256_add_ps(inverse, inverse);
        struct sixteen whole = {_mm256_setzero_ps(), _mm256_setzero_ps()}, half = whole;
        for (uint32_t i = 0; i < rows->n[k]; i += POWER_STEP) {
            whole = add_squares(&s, weights + i, inverse, whole);
            half = add_squares(&s, weights + i, twice, half);
        }
        scale[k] = power_better(power, fold(whole), fold(half));
    }
}

#endif

/* What the searches with AVX-512 share: two candidates a register, of eight groups each; and
 * rounding to integers. */
#ifndef INGOT_CONVERT_FIT_AVX512_H
#define INGOT_CONVERT_FIT_AVX512_H

#include "convert/fit_levels.h"

#ifdef INGOT_X86_64

#include <float.h>
#include <immintrin.h>
#include <stddef.h>

#define AVX512 INGOT_TARGET("avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")

INGOT_TEMPLATE AVX512 __m512 twice(const float at[LANES])
{
    return _mm512_broadcast_f32x8(_mm256_loadu_ps(at));
}

/* j in the lower half, j + 1 in the upper. */
INGOT_TEMPLATE AVX512 __m512 candidates(__m512 first, __m512 step, uint32_t j)
{
    const __m256 low = _mm256_set1_ps((float)j);
    const __m256 high = _mm256_set1_ps((float)(j + 1));
    const __m512 number = _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
    return _mm512_add_ps(first, _mm512_mul_ps(step, number));
}

struct range {
    __m512 low, high, magic;
};

INGOT_TEMPLATE AVX512 struct range range_of(const struct levels *levels)
{
    return (struct range){_mm512_set1_ps(levels->low), _mm512_set1_ps(levels->high),
                          _mm512_set1_ps(0x1.8p23f)};
}

INGOT_TEMPLATE AVX512 __m512 snap_uniform(const struct range *r, __m512 v)
{
    const __m512 rounded = _mm512_sub_ps(_mm512_add_ps(v, r->magic), r->magic);
    return _mm512_min_ps(_mm512_max_ps(rounded, r->low), r->high);
}

struct best {
    __m256 gain, scale, bias;
};

/* Takes the two candidates in order. */
INGOT_TEMPLATE AVX512 struct best keep(struct best best, __m512 gain, __m512 scale, __m512 bias)
{
    const __m256 limit = _mm256_set1_ps(FLT_MAX);
    const __m256 gains[2] = {_mm512_castps512_ps256(gain), _mm512_extractf32x8_ps(gain, 1)};
    const __m256 scales[2] = {_mm512_castps512_ps256(scale), _mm512_extractf32x8_ps(scale, 1)};
    const __m256 biases[2] = {_mm512_castps512_ps256(bias), _mm512_extractf32x8_ps(bias, 1)};
    for (uint32_t i = 0; i < 2; i++) {
        const __m256 more = _mm256_and_ps(_mm256_cmp_ps(gains[i], best.gain, _CMP_GT_OQ),
                                          _mm256_cmp_ps(gains[i], limit, _CMP_LE_OQ));
        best.gain = _mm256_blendv_ps(best.gain, gains[i], more);
        best.scale = _mm256_blendv_ps(best.scale, scales[i], more);
        best.bias = _mm256_blendv_ps(best.bias, biases[i], more);
    }
    return best;
}

#endif

#endif

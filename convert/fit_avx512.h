/* What the searches with AVX-512 share: two candidates a register, of eight groups each; and what
 * all kernels with it share: rounding to levels. */
#ifndef INGOT_CONVERT_FIT_AVX512_H
#define INGOT_CONVERT_FIT_AVX512_H

#include "convert/fit_levels.h"

#ifdef INGOT_X86_64

#include <float.h>
#include <immintrin.h>
#include <stddef.h>

#define AVX512 INGOT_TARGET("avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")

/* What the templates for registers of any width are made with. */
#define WIDE_TARGET AVX512
#define WIDE(operation) _mm512_##operation
typedef __m512 wide;
typedef __m512i wide_words;

INGOT_TEMPLATE AVX512 __m512 wide_load(const float at[LANES])
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

/* The parameters of the levels, each in all lanes; of a codebook, its tables, of thresholds by the
 * bits of the number that are known. */
struct snapper {
    __m512 low, high, magic;
    __m512 min_normal, fraction;
    __m512 threshold_8, threshold_4, threshold_2, threshold_1, level;
};

/* Thresholds i + apart, for all i; of what lies beyond the last nothing is asked. */
INGOT_TEMPLATE AVX512 __m512 thresholds_from(const struct levels *levels, uint32_t apart)
{
    return _mm512_maskz_loadu_ps((__mmask16)(0xffffu >> apart), levels->threshold + apart);
}

/* Only what the kind uses. */
INGOT_TEMPLATE AVX512 struct snapper open_levels(const struct levels *levels, enum level_kind kind)
{
    struct snapper s = {0};
    s.low = _mm512_set1_ps(levels->low);
    s.high = _mm512_set1_ps(levels->high);
    s.magic = _mm512_set1_ps(0x1.8p23f);
    if (kind == LEVELS_FLOAT) {
        const uint32_t fraction = (uint32_t)(127 - levels->fraction_bits) << 23;
        s.min_normal = _mm512_set1_ps(levels->min_normal);
        s.fraction = _mm512_set1_ps(f32_from_bits(fraction));
    }
    if (kind == LEVELS_CODEBOOK) {
        s.threshold_8 = _mm512_set1_ps(levels->threshold[7]);
        s.threshold_4 = thresholds_from(levels, 3);
        s.threshold_2 = thresholds_from(levels, 1);
        s.threshold_1 = thresholds_from(levels, 0);
        s.level = _mm512_loadu_ps(levels->level);
    }
    return s;
}

typedef __m512 snap_function(const struct snapper *s, __m512 v);

INGOT_TEMPLATE AVX512 __m512 snap_uniform(const struct snapper *s, __m512 v)
{
    const __m512 rounded = _mm512_sub_ps(_mm512_add_ps(v, s->magic), s->magic);
    return _mm512_min_ps(_mm512_max_ps(rounded, s->low), s->high);
}

INGOT_TEMPLATE AVX512 __m512 snap_float(const struct snapper *s, __m512 v)
{
    const __m512 sign = _mm512_set1_ps(-0.0f);
    const __m512 exponent = _mm512_castsi512_ps(_mm512_set1_epi32(0x7f800000));
    const __m512 size = _mm512_min_ps(_mm512_andnot_ps(sign, v), s->high);
    const __m512 power = _mm512_and_ps(size, exponent);
    const __m512 step = _mm512_mul_ps(_mm512_max_ps(power, s->min_normal), s->fraction);
    const __m512 magic = _mm512_mul_ps(step, s->magic);
    const __m512 rounded = _mm512_sub_ps(_mm512_add_ps(size, magic), magic);
    return _mm512_or_ps(rounded, _mm512_and_ps(v, sign));
}

/* The number of the level, by halving. */
INGOT_TEMPLATE AVX512 __m512i find_level(const struct snapper *s, __m512 v)
{
    __m512i i = _mm512_maskz_set1_epi32(_mm512_cmp_ps_mask(v, s->threshold_8, _CMP_GT_OQ), 8);
    __m512 middle = _mm512_permutexvar_ps(i, s->threshold_4);
    i = _mm512_mask_or_epi32(i, _mm512_cmp_ps_mask(v, middle, _CMP_GT_OQ), i, _mm512_set1_epi32(4));
    middle = _mm512_permutexvar_ps(i, s->threshold_2);
    i = _mm512_mask_or_epi32(i, _mm512_cmp_ps_mask(v, middle, _CMP_GT_OQ), i, _mm512_set1_epi32(2));
    middle = _mm512_permutexvar_ps(i, s->threshold_1);
    return _mm512_mask_or_epi32(i, _mm512_cmp_ps_mask(v, middle, _CMP_GT_OQ), i,
                                _mm512_set1_epi32(1));
}

INGOT_TEMPLATE AVX512 __m512 snap_codebook(const struct snapper *s, __m512 v)
{
    return _mm512_permutexvar_ps(find_level(s, v), s->level);
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

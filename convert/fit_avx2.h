/* What the kernels with AVX2 share: levels in registers, rounding to them, and the best so far. */
#ifndef INGOT_CONVERT_FIT_AVX2_H
#define INGOT_CONVERT_FIT_AVX2_H

#include "convert/fit_levels.h"

#ifdef INGOT_X86_64

#include <float.h>
#include <immintrin.h>
#include <stddef.h>

#define AVX2 INGOT_TARGET("avx2")

/* What the templates for registers of any width are made with. */
#define WIDE_TARGET AVX2
#define WIDE(operation) _mm256_##operation
typedef __m256 wide;
typedef __m256i wide_words;

INGOT_TEMPLATE AVX2 __m256 wide_load(const float at[LANES])
{
    return _mm256_loadu_ps(at);
}

/* The parameters of the levels, each in all lanes; of a codebook, its tables. */
struct snapper {
    __m256 low, high;
    __m256i zero;
    __m256 min_normal, fraction;
    __m256 threshold_8, threshold_4, threshold_2, threshold_1;
    __m256 levels_0, levels_8;
    __m256i codes_0, codes_8;
    __m256i exponent_shift, sign_bits;
    int fraction_bits;
    float fraction_power;
};

INGOT_TEMPLATE AVX2 __m256 gather_thresholds(const struct levels *levels, uint32_t first,
                                             uint32_t step)
{
    float at[8];
    for (uint32_t i = 0; i < 8; i++) at[i] = levels->threshold[(first + i * step) % MAX_LEVELS];
    return _mm256_loadu_ps(at);
}

INGOT_TEMPLATE AVX2 __m256i load_codes(const uint8_t *codes)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)codes));
}

/* Only what the kind uses: a call may be for a few hundred weights. */
INGOT_TEMPLATE AVX2 struct snapper open_levels(const struct levels *levels, enum level_kind kind)
{
    struct snapper s = {0};
    s.low = _mm256_set1_ps(levels->low);
    s.high = _mm256_set1_ps(levels->high);
    s.zero = _mm256_set1_epi32(levels->zero);
    if (kind == LEVELS_FLOAT) {
        const uint32_t fraction = (uint32_t)(127 - levels->fraction_bits) << 23;
        s.min_normal = _mm256_set1_ps(levels->min_normal);
        s.fraction = _mm256_set1_ps(f32_from_bits(fraction));
        s.exponent_shift = _mm256_set1_epi32(levels->exponent_shift << levels->fraction_bits);
        s.sign_bits = _mm256_set1_epi32(levels->sign_bit);
        s.fraction_bits = levels->fraction_bits;
        s.fraction_power = (float)(1u << levels->fraction_bits);
    }
    if (kind == LEVELS_CODEBOOK) {
        s.threshold_8 = _mm256_set1_ps(levels->threshold[7]);
        s.threshold_4 = gather_thresholds(levels, 3, 8);
        s.threshold_2 = gather_thresholds(levels, 1, 4);
        s.threshold_1 = gather_thresholds(levels, 0, 2);
        s.levels_0 = _mm256_loadu_ps(levels->level);
        s.levels_8 = _mm256_loadu_ps(levels->level + 8);
        s.codes_0 = load_codes(levels->code);
        s.codes_8 = load_codes(levels->code + 8);
    }
    return s;
}

INGOT_TEMPLATE AVX2 __m256 round_even(__m256 v)
{
    const __m256 magic = _mm256_set1_ps(0x1.8p23f);
    return _mm256_sub_ps(_mm256_add_ps(v, magic), magic);
}

typedef __m256 snap_function(const struct snapper *s, __m256 v);

INGOT_TEMPLATE AVX2 __m256 snap_uniform(const struct snapper *s, __m256 v)
{
    return _mm256_min_ps(_mm256_max_ps(round_even(v), s->low), s->high);
}

INGOT_TEMPLATE AVX2 __m256 snap_float(const struct snapper *s, __m256 v)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256 exponent = _mm256_castsi256_ps(_mm256_set1_epi32(0x7f800000));
    const __m256 size = _mm256_min_ps(_mm256_andnot_ps(sign, v), s->high);
    const __m256 power = _mm256_and_ps(size, exponent);
    const __m256 step = _mm256_mul_ps(_mm256_max_ps(power, s->min_normal), s->fraction);
    const __m256 magic = _mm256_mul_ps(step, _mm256_set1_ps(0x1.8p23f));
    const __m256 rounded = _mm256_sub_ps(_mm256_add_ps(size, magic), magic);
    return _mm256_or_ps(rounded, _mm256_and_ps(v, sign));
}

/* The number of the level, by halving; *upper has ones where it is 8 or more. */
INGOT_TEMPLATE AVX2 __m256i find_level(const struct snapper *s, __m256 v, __m256 *upper)
{
    *upper = _mm256_cmp_ps(v, s->threshold_8, _CMP_GT_OQ);
    __m256i i = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_castps_si256(*upper));
    __m256 above = _mm256_cmp_ps(v, _mm256_permutevar8x32_ps(s->threshold_4, i), _CMP_GT_OQ);
    i = _mm256_sub_epi32(_mm256_add_epi32(i, i), _mm256_castps_si256(above));
    above = _mm256_cmp_ps(v, _mm256_permutevar8x32_ps(s->threshold_2, i), _CMP_GT_OQ);
    i = _mm256_sub_epi32(_mm256_add_epi32(i, i), _mm256_castps_si256(above));
    above = _mm256_cmp_ps(v, _mm256_permutevar8x32_ps(s->threshold_1, i), _CMP_GT_OQ);
    return _mm256_sub_epi32(_mm256_add_epi32(i, i), _mm256_castps_si256(above));
}

INGOT_TEMPLATE AVX2 __m256 snap_codebook(const struct snapper *s, __m256 v)
{
    __m256 upper;
    const __m256i i = find_level(s, v, &upper);
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(s->levels_0, i),
                            _mm256_permutevar8x32_ps(s->levels_8, i), upper);
}

INGOT_TEMPLATE AVX2 __m256 importance_at(const float *importance, size_t i)
{
    return importance ? _mm256_loadu_ps(importance + i) : _mm256_set1_ps(1.0f);
}

struct line {
    __m256 scale, bias, inverse;
};

INGOT_TEMPLATE AVX2 struct line open_line(const float scale[LANES], const float bias[LANES])
{
    const __m256 s = _mm256_loadu_ps(scale);
    const __m256 none = _mm256_cmp_ps(s, _mm256_setzero_ps(), _CMP_EQ_OQ);
    const __m256 inverse = _mm256_div_ps(_mm256_set1_ps(1.0f), s);
    return (struct line){s, _mm256_loadu_ps(bias), _mm256_andnot_ps(none, inverse)};
}

struct best {
    __m256 gain, scale, bias;
};

/* Where a gain is above the best so far, and finite. */
INGOT_TEMPLATE AVX2 struct best keep(struct best best, __m256 gain, __m256 scale, __m256 bias)
{
    const __m256 finite = _mm256_cmp_ps(gain, _mm256_set1_ps(FLT_MAX), _CMP_LE_OQ);
    const __m256 more = _mm256_and_ps(_mm256_cmp_ps(gain, best.gain, _CMP_GT_OQ), finite);
    return (struct best){_mm256_blendv_ps(best.gain, gain, more),
                         _mm256_blendv_ps(best.scale, scale, more),
                         _mm256_blendv_ps(best.bias, bias, more)};
}

/* first + step * j */
INGOT_TEMPLATE AVX2 __m256 candidate(__m256 first, __m256 step, uint32_t j)
{
    return _mm256_add_ps(first, _mm256_mul_ps(step, _mm256_set1_ps((float)j)));
}

#endif

#endif

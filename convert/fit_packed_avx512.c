/* The searches over packed lanes with AVX-512: a register holds two weights of each of eight groups
 * twice, for two candidates. Sums are of integers, and what is made of them is that of
 * fit_packed.c, in its order. */
#include "convert/fit_avx512.h"
#include "convert/fit_packed_sums.h"

#ifdef INGOT_X86_64

INGOT_TEMPLATE AVX512 __m512i load_pairs(const struct packed *packed, uint32_t i)
{
    const int16_t *at = packed->weights + (size_t)i * 2 * LANES;
    return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

/* Each number twice in its lane. */
INGOT_TEMPLATE AVX512 __m512i to_pairs(__m512 v)
{
    const __m512i fixed = to_fixed(v);
    return _mm512_mask_blend_epi16(0xaaaaaaaau, fixed, _mm512_slli_epi32(fixed, 16));
}

void AVX512 fit_pack_avx512(const struct lanes *lanes, struct packed *packed)
{
    float units[LANES];
    packed_units(packed, units);
    const __m512 middle = wide_load(packed->middle), unit = wide_load(units);
    __m512i sum = _mm512_setzero_si512();
    packed->n = lanes->n;
    for (size_t i = 0; i < (size_t)lanes->n * LANES; i += 2 * LANES) {
        const __m512 weight = _mm512_loadu_ps(lanes->weights + i);
        const __m512i fixed = to_fixed(_mm512_mul_ps(_mm512_sub_ps(weight, middle), unit));
        const __m256i even = _mm512_castsi512_si256(fixed);
        const __m256i odd = _mm256_slli_epi32(_mm512_extracti64x4_epi64(fixed, 1), 16);
        sum = _mm512_add_epi32(sum, fixed);
        _mm256_storeu_si256((__m256i *)(void *)(packed->weights + i),
                            _mm256_blend_epi16(even, odd, 0xaa));
    }
    const __m256i both =
        _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
    const __m256 share = _mm256_set1_ps(1.0f / (float)lanes->n);
    _mm256_storeu_ps(packed->mean, _mm256_mul_ps(_mm256_cvtepi32_ps(both), share));
}

INGOT_TEMPLATE AVX512 __m512i to_levels(const struct fixed_range *r, __m512i v)
{
    const __m512i rounded = _mm512_mulhrs_epi16(v, r->rounding);
    return _mm512_min_epi16(_mm512_max_epi16(rounded, r->low), r->high);
}

INGOT_TEMPLATE AVX512 struct fixed_sums no_sums(void)
{
    const __m512i zero = _mm512_setzero_si512();
    return (struct fixed_sums){zero, zero, zero};
}

INGOT_TEMPLATE AVX512 struct fixed_sums add_pair(const struct fixed_range *r, __m512i weights,
                                                 __m512i multiplier, struct fixed_sums s)
{
    const __m512i levels = to_levels(r, _mm512_mulhrs_epi16(weights, multiplier));
    s.cross = _mm512_dpwssd_epi32(s.cross, levels, weights);
    s.square = _mm512_dpwssd_epi32(s.square, levels, levels);
    return s;
}

INGOT_TEMPLATE AVX512 struct best pair_best(struct fixed_sums s, __m512 size, struct best best)
{
    const __m512 cross = _mm512_cvtepi32_ps(s.cross);
    const __m512 scale = _mm512_div_ps(cross, _mm512_cvtepi32_ps(s.square));
    const __m512 sized = _mm512_mul_ps(scale, size);
    return keep(best, _mm512_mul_ps(scale, cross), sized, sized);
}

AVX512 void fit_search_packed_avx512(const struct packed *packed, const struct levels *levels,
                                     uint32_t n, const float first_of[LANES],
                                     const float step_of[LANES], float gain[LANES],
                                     float scale[LANES])
{
    const struct fixed_levels f = fixed_levels(levels, false);
    const struct fixed_range r = open_range(&f);
    const __m512 first = wide_load(first_of), step = wide_load(step_of);
    const __m512 unit = unit_of(packed, &f), size = wide_load(packed->size);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), _mm256_setzero_ps()};
    for (uint32_t j = 0; j < n; j += CANDIDATES) {
        const __m512i by_0 = to_pairs(_mm512_mul_ps(candidates(first, step, j), unit));
        const __m512i by_2 = to_pairs(_mm512_mul_ps(candidates(first, step, j + 2), unit));
        struct fixed_sums a = no_sums(), b = a;
        for (uint32_t i = 0; i < packed->n / 2; i++) {
            const __m512i weights = load_pairs(packed, i);
            a = add_pair(&r, weights, by_0, a);
            b = add_pair(&r, weights, by_2, b);
        }
        best = pair_best(b, size, pair_best(a, size, best));
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
}

/* ------------------------------------------------------------------ with a bias */

INGOT_TEMPLATE AVX512 struct fixed_sums add_affine(const struct fixed_range *r, __m512i weights,
                                                   __m512i multiplier, __m512i offset,
                                                   struct fixed_sums s)
{
    const __m512i product = _mm512_mulhrs_epi16(weights, multiplier);
    const __m512i levels = to_levels(r, _mm512_adds_epi16(product, offset));
    s.sum = _mm512_dpwssd_epi32(s.sum, levels, r->one);
    s.cross = _mm512_dpwssd_epi32(s.cross, levels, weights);
    s.square = _mm512_dpwssd_epi32(s.square, levels, levels);
    return s;
}

AVX512 void fit_search_packed_affine_avx512(const struct packed *packed,
                                            const struct levels *levels, uint32_t n,
                                            const struct affine_line *line, float gain[LANES],
                                            float scale[LANES], float bias[LANES])
{
    const struct fixed_levels f = fixed_levels(levels, true);
    const struct fixed_range r = open_range(&f);
    const struct packed_lanes p = open_packed(packed, &f);
    const __m512 first = wide_load(line->first), step = wide_load(line->step);
    const __m512 offset_first = wide_load(line->offset_first),
                 offset_step = wide_load(line->offset_step);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), _mm256_loadu_ps(bias)};
    for (uint32_t j = 0; j < n; j += CANDIDATES) {
        const __m512 inverse_0 = candidates(first, step, j);
        const __m512 inverse_2 = candidates(first, step, j + 2);
        const __m512i by_0 = to_pairs(_mm512_mul_ps(inverse_0, p.unit));
        const __m512i by_2 = to_pairs(_mm512_mul_ps(inverse_2, p.unit));
        const __m512i at_0 =
            to_pairs(offsets(&p, inverse_0, candidates(offset_first, offset_step, j)));
        const __m512i at_2 =
            to_pairs(offsets(&p, inverse_2, candidates(offset_first, offset_step, j + 2)));
        struct fixed_sums a = no_sums(), b = a;
        for (uint32_t i = 0; i < packed->n / 2; i++) {
            const __m512i weights = load_pairs(packed, i);
            a = add_affine(&r, weights, by_0, at_0, a);
            b = add_affine(&r, weights, by_2, at_2, b);
        }
        best = affine_best(&p, b, affine_best(&p, a, best));
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
    _mm256_storeu_ps(bias, best.bias);
}

#endif

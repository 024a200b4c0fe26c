/* The searches over packed lanes with AVX2: a register holds two weights of each of eight groups.
 * Sums are of integers, and what is made of them is that of fit_packed.c, in its order. */
#include "convert/fit_avx2.h"
#include "convert/fit_packed_sums.h"

#ifdef INGOT_X86_64

/* Each number twice in its lane. */
INGOT_TEMPLATE AVX2 __m256i to_pairs(__m256 v)
{
    const __m256i fixed = to_fixed(v);
    return _mm256_blend_epi16(fixed, _mm256_slli_epi32(fixed, 16), 0xaa);
}

AVX2 void fit_pack_avx2(const struct lanes *lanes, struct packed *packed)
{
    float units[LANES];
    packed_units(packed, units);
    const __m256 middle = _mm256_loadu_ps(packed->middle), unit = _mm256_loadu_ps(units);
    __m256i sum = _mm256_setzero_si256();
    packed->n = lanes->n;
    for (size_t i = 0; i < (size_t)lanes->n * LANES; i += 2 * LANES) {
        const __m256 weight_0 = _mm256_loadu_ps(lanes->weights + i);
        const __m256 weight_1 = _mm256_loadu_ps(lanes->weights + i + LANES);
        const __m256i even = to_fixed(_mm256_mul_ps(_mm256_sub_ps(weight_0, middle), unit));
        const __m256i odd = to_fixed(_mm256_mul_ps(_mm256_sub_ps(weight_1, middle), unit));
        sum = _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
        _mm256_storeu_si256((__m256i *)(void *)(packed->weights + i),
                            _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xaa));
    }
    const __m256 share = _mm256_set1_ps(1.0f / (float)lanes->n);
    _mm256_storeu_ps(packed->mean, _mm256_mul_ps(_mm256_cvtepi32_ps(sum), share));
}

/* One candidate; the sum of the levels where there is a bias. */
INGOT_TEMPLATE AVX2 struct fixed_sums add_up(const struct packed *packed,
                                             const struct fixed_range *r, bool affine,
                                             __m256i multiplier, __m256i offset)
{
    const __m256i zero = _mm256_setzero_si256();
    struct fixed_sums s = {zero, zero, zero};
    for (size_t i = 0; i < (size_t)packed->n * LANES; i += 2 * LANES) {
        const __m256i weights =
            _mm256_loadu_si256((const __m256i *)(const void *)(packed->weights + i));
        const __m256i product = _mm256_mulhrs_epi16(weights, multiplier);
        const __m256i v = affine ? _mm256_adds_epi16(product, offset) : product;
        const __m256i rounded = _mm256_mulhrs_epi16(v, r->rounding);
        const __m256i levels = _mm256_min_epi16(_mm256_max_epi16(rounded, r->low), r->high);
        if (affine) s.sum = _mm256_add_epi32(s.sum, _mm256_madd_epi16(levels, r->one));
        s.square = _mm256_add_epi32(s.square, _mm256_madd_epi16(levels, levels));
        s.cross = _mm256_add_epi32(s.cross, _mm256_madd_epi16(levels, weights));
    }
    return s;
}

AVX2 void fit_search_packed_avx2(const struct packed *packed, const struct levels *levels,
                                 uint32_t n, const float first_of[LANES],
                                 const float step_of[LANES], float gain[LANES], float scale[LANES])
{
    const struct fixed_levels f = fixed_levels(levels, false);
    const struct fixed_range r = open_range(&f);
    const __m256 first = _mm256_loadu_ps(first_of), step = _mm256_loadu_ps(step_of);
    const __m256 unit = unit_of(packed, &f), size = _mm256_loadu_ps(packed->size);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), first};
    for (uint32_t j = 0; j < n; j++) {
        const __m256i by = to_pairs(_mm256_mul_ps(candidate(first, step, j), unit));
        const struct fixed_sums s = add_up(packed, &r, false, by, by);
        const __m256 cross = _mm256_cvtepi32_ps(s.cross);
        const __m256 own = _mm256_div_ps(cross, _mm256_cvtepi32_ps(s.square));
        best = keep(best, _mm256_mul_ps(own, cross), _mm256_mul_ps(own, size), first);
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
}

/* ------------------------------------------------------------------ with a bias */

AVX2 void fit_search_packed_affine_avx2(const struct packed *packed, const struct levels *levels,
                                        uint32_t n, const struct affine_line *line,
                                        float gain[LANES], float scale[LANES], float bias[LANES])
{
    const struct fixed_levels f = fixed_levels(levels, true);
    const struct fixed_range r = open_range(&f);
    const struct packed_lanes p = open_packed(packed, &f);
    const __m256 first = _mm256_loadu_ps(line->first), step = _mm256_loadu_ps(line->step);
    const __m256 offset_first = _mm256_loadu_ps(line->offset_first);
    const __m256 offset_step = _mm256_loadu_ps(line->offset_step);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), _mm256_loadu_ps(bias)};
    for (uint32_t j = 0; j < n; j++) {
        const __m256 inverse = candidate(first, step, j);
        const __m256i at = to_pairs(offsets(&p, inverse, candidate(offset_first, offset_step, j)));
        const __m256i by = to_pairs(_mm256_mul_ps(inverse, p.unit));
        best = affine_best(&p, add_up(packed, &r, true, by, at), best);
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
    _mm256_storeu_ps(bias, best.bias);
}

#endif

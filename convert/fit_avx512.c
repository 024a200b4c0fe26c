/* The searches with AVX-512: a register holds one weight of each of eight groups
 * twice, for two candidates. The operations of a lane are those of fit_plain.c, in its order. */
#include "convert/fit_avx512.h"
#include "convert/fit_sums.h"

#ifdef INGOT_X86_64

INGOT_TEMPLATE AVX512 void search_as(const struct lanes *lanes, const struct levels *levels,
                                     snap_function *snap, enum level_kind kind, bool weighted,
                                     uint32_t n, const float first_of[LANES],
                                     const float step_of[LANES], float gain[LANES],
                                     float scale[LANES])
{
    const struct snapper s = open_levels(levels, kind);
    const __m512 first = wide_load(first_of);
    const __m512 step = wide_load(step_of);
    const __m512 one = _mm512_set1_ps(1.0f);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), _mm256_setzero_ps()};
    for (uint32_t j = 0; j < n; j += CANDIDATES) {
        const __m512 inverse_0 = candidates(first, step, j);
        const __m512 inverse_2 = candidates(first, step, j + 2);
        struct pair a = pair_zero(), b = a;
        for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
            const __m512 weight = wide_load(lanes->weights + i);
            const __m512 h = weighted ? wide_load(lanes->importance + i) : one;
            a = pair_add(&s, snap, weighted, weight, h, inverse_0, a);
            b = pair_add(&s, snap, weighted, weight, h, inverse_2, b);
        }
        best = pair_best(b, pair_best(a, best));
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
}

void fit_search_avx512(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                       const float first[LANES], const float step[LANES], float gain[LANES],
                       float scale[LANES])
{
    searches[levels->kind][lanes->importance != NULL](lanes, levels, n, first, step, gain, scale);
}

/* ------------------------------------------------------------------ affine groups */

INGOT_TEMPLATE AVX512 void affine_as(const struct lanes *lanes, const struct levels *levels,
                                     bool weighted, uint32_t n, const struct affine_line *line,
                                     float gain[LANES], float scale[LANES], float bias[LANES])
{
    const struct snapper s = open_levels(levels, LEVELS_UNIFORM);
    const __m512 first = wide_load(line->first), step = wide_load(line->step);
    const __m512 offset_first = wide_load(line->offset_first),
                 offset_step = wide_load(line->offset_step);
    const __m512 total = wide_load(line->total), mean = wide_load(line->mean);
    const __m512 one = _mm512_set1_ps(1.0f);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), _mm256_loadu_ps(bias)};
    for (uint32_t j = 0; j < n; j += CANDIDATES) {
        const __m512 inverse_0 = candidates(first, step, j);
        const __m512 inverse_2 = candidates(first, step, j + 2);
        const __m512 offset_0 = candidates(offset_first, offset_step, j);
        const __m512 offset_2 = candidates(offset_first, offset_step, j + 2);
        struct triple a = triple_zero(), b = a;
        for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
            const __m512 weight = wide_load(lanes->weights + i);
            const __m512 h = weighted ? wide_load(lanes->importance + i) : one;
            a = triple_add(&s, weighted, weight, h, inverse_0, offset_0, a);
            b = triple_add(&s, weighted, weight, h, inverse_2, offset_2, b);
        }
        best = triple_best(b, total, mean, triple_best(a, total, mean, best));
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
    _mm256_storeu_ps(bias, best.bias);
}

void fit_search_affine_avx512(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                              const struct affine_line *line, float gain[LANES], float scale[LANES],
                              float bias[LANES])
{
    (lanes->importance ? affine_weighted : affine_plain)(lanes, levels, n, line, gain, scale, bias);
}

#endif

/* The searches with AVX-512: a register holds one weight of each of eight groups
 * twice, for two candidates. The operations of a lane are those of fit_plain.c, in its order. */
#include "convert/fit_avx512.h"

#ifdef INGOT_X86_64

struct pair {
    __m512 cross, square;
};

INGOT_TEMPLATE AVX512 struct pair pair_zero(void)
{
    return (struct pair){_mm512_setzero_ps(), _mm512_setzero_ps()};
}

INGOT_TEMPLATE AVX512 struct pair pair_add(const struct snapper *s, snap_function *snap,
                                           bool weighted, __m512 weight, __m512 importance,
                                           __m512 inverse, struct pair p)
{
    const __m512 level = snap(s, _mm512_mul_ps(weight, inverse));
    const __m512 scaled = weighted ? _mm512_mul_ps(importance, level) : level;
    return (struct pair){_mm512_add_ps(p.cross, _mm512_mul_ps(scaled, weight)),
                         _mm512_add_ps(p.square, _mm512_mul_ps(scaled, level))};
}

INGOT_TEMPLATE AVX512 struct best pair_best(struct pair p, struct best best)
{
    const __m512 scale = _mm512_div_ps(p.cross, p.square);
    return keep(best, _mm512_mul_ps(scale, p.cross), scale, scale);
}

INGOT_TEMPLATE AVX512 void search_as(const struct lanes *lanes, const struct levels *levels,
                                     snap_function *snap, enum level_kind kind, bool weighted,
                                     uint32_t n, const float first_of[LANES],
                                     const float step_of[LANES], float gain[LANES],
                                     float scale[LANES])
{
    const struct snapper s = open_levels(levels, kind);
    const __m512 first = twice(first_of);
    const __m512 step = twice(step_of);
    const __m512 one = _mm512_set1_ps(1.0f);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), _mm256_setzero_ps()};
    for (uint32_t j = 0; j < n; j += CANDIDATES) {
        const __m512 inverse_0 = candidates(first, step, j);
        const __m512 inverse_2 = candidates(first, step, j + 2);
        struct pair a = pair_zero(), b = a;
        for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
            const __m512 weight = twice(lanes->weights + i);
            const __m512 h = weighted ? twice(lanes->importance + i) : one;
            a = pair_add(&s, snap, weighted, weight, h, inverse_0, a);
            b = pair_add(&s, snap, weighted, weight, h, inverse_2, b);
        }
        best = pair_best(b, pair_best(a, best));
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
}

#define SEARCH(name, snap, kind, weighted)                                                        \
    AVX512 static void name(const struct lanes *lanes, const struct levels *levels, uint32_t n,   \
                            const float first[LANES], const float step[LANES], float gain[LANES], \
                            float scale[LANES])                                                   \
    {                                                                                             \
        search_as(lanes, levels, snap, kind, weighted, n, first, step, gain, scale);              \
    }
SEARCH(search_uniform, snap_uniform, LEVELS_UNIFORM, false)
SEARCH(search_uniform_weighted, snap_uniform, LEVELS_UNIFORM, true)
SEARCH(search_float, snap_float, LEVELS_FLOAT, false)
SEARCH(search_float_weighted, snap_float, LEVELS_FLOAT, true)
SEARCH(search_codebook, snap_codebook, LEVELS_CODEBOOK, false)
SEARCH(search_codebook_weighted, snap_codebook, LEVELS_CODEBOOK, true)

void fit_search_avx512(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                       const float first[LANES], const float step[LANES], float gain[LANES],
                       float scale[LANES])
{
    static fit_search_function *const searches[N_LEVEL_KINDS][2] = {
        [LEVELS_UNIFORM] = {search_uniform, search_uniform_weighted},
        [LEVELS_FLOAT] = {search_float, search_float_weighted},
        [LEVELS_CODEBOOK] = {search_codebook, search_codebook_weighted},
    };
    searches[levels->kind][lanes->importance != NULL](lanes, levels, n, first, step, gain, scale);
}

/* ------------------------------------------------------------------ affine groups */

struct triple {
    __m512 sum, square, cross;
};

INGOT_TEMPLATE AVX512 struct triple triple_zero(void)
{
    return (struct triple){_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
}

INGOT_TEMPLATE AVX512 struct triple triple_add(const struct snapper *s, bool weighted,
                                               __m512 weight, __m512 importance, __m512 inverse,
                                               __m512 offset, struct triple t)
{
    const __m512 level = snap_uniform(s, _mm512_add_ps(_mm512_mul_ps(weight, inverse), offset));
    const __m512 scaled = weighted ? _mm512_mul_ps(importance, level) : level;
    return (struct triple){_mm512_add_ps(t.sum, scaled),
                           _mm512_add_ps(t.square, _mm512_mul_ps(scaled, level)),
                           _mm512_add_ps(t.cross, _mm512_mul_ps(scaled, weight))};
}

INGOT_TEMPLATE AVX512 struct best triple_best(struct triple t, __m512 total, __m512 mean,
                                              struct best best)
{
    const __m512 level_mean = _mm512_div_ps(t.sum, total);
    const __m512 spread = _mm512_sub_ps(t.square, _mm512_mul_ps(t.sum, level_mean));
    const __m512 shared = _mm512_sub_ps(t.cross, _mm512_mul_ps(t.sum, mean));
    const __m512 scale = _mm512_div_ps(shared, spread);
    const __m512 bias = _mm512_sub_ps(mean, _mm512_mul_ps(scale, level_mean));
    return keep(best, _mm512_mul_ps(scale, shared), scale, bias);
}

INGOT_TEMPLATE AVX512 void affine_as(const struct lanes *lanes, const struct levels *levels,
                                     bool weighted, uint32_t n, const struct affine_line *line,
                                     float gain[LANES], float scale[LANES], float bias[LANES])
{
    const struct snapper s = open_levels(levels, LEVELS_UNIFORM);
    const __m512 first = twice(line->first), step = twice(line->step);
    const __m512 offset_first = twice(line->offset_first), offset_step = twice(line->offset_step);
    const __m512 total = twice(line->total), mean = twice(line->mean);
    const __m512 one = _mm512_set1_ps(1.0f);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), _mm256_loadu_ps(bias)};
    for (uint32_t j = 0; j < n; j += CANDIDATES) {
        const __m512 inverse_0 = candidates(first, step, j);
        const __m512 inverse_2 = candidates(first, step, j + 2);
        const __m512 offset_0 = candidates(offset_first, offset_step, j);
        const __m512 offset_2 = candidates(offset_first, offset_step, j + 2);
        struct triple a = triple_zero(), b = a;
        for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
            const __m512 weight = twice(lanes->weights + i);
            const __m512 h = weighted ? twice(lanes->importance + i) : one;
            a = triple_add(&s, weighted, weight, h, inverse_0, offset_0, a);
            b = triple_add(&s, weighted, weight, h, inverse_2, offset_2, b);
        }
        best = triple_best(b, total, mean, triple_best(a, total, mean, best));
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
    _mm256_storeu_ps(bias, best.bias);
}

AVX512 static void affine_plain(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                                const struct affine_line *line, float gain[LANES],
                                float scale[LANES], float bias[LANES])
{
    affine_as(lanes, levels, false, n, line, gain, scale, bias);
}

AVX512 static void affine_weighted(const struct lanes *lanes, const struct levels *levels,
                                   uint32_t n, const struct affine_line *line, float gain[LANES],
                                   float scale[LANES], float bias[LANES])
{
    affine_as(lanes, levels, true, n, line, gain, scale, bias);
}

void fit_search_affine_avx512(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                              const struct affine_line *line, float gain[LANES], float scale[LANES],
                              float bias[LANES])
{
    (lanes->importance ? affine_weighted : affine_plain)(lanes, levels, n, line, gain, scale, bias);
}

#endif

/* The searches and the sums of errors with AVX2: a register holds one weight of each of eight
 * groups, and every operation is that of fit_plain.c, in its order. */
#include "convert/fit_avx2.h"
#include "convert/fit_sums.h"

#ifdef INGOT_X86_64

INGOT_TEMPLATE AVX2 void search_as(const struct lanes *lanes, const struct levels *levels,
                                   snap_function *snap, enum level_kind kind, bool weighted,
                                   uint32_t n, const float first_of[LANES],
                                   const float step_of[LANES], float gain[LANES],
                                   float scale[LANES])
{
    const struct snapper s = open_levels(levels, kind);
    const __m256 first = _mm256_loadu_ps(first_of);
    const __m256 step = _mm256_loadu_ps(step_of);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), first};
    for (uint32_t j = 0; j < n; j += CANDIDATES) {
        const __m256 inverse_0 = candidate(first, step, j);
        const __m256 inverse_1 = candidate(first, step, j + 1);
        const __m256 inverse_2 = candidate(first, step, j + 2);
        const __m256 inverse_3 = candidate(first, step, j + 3);
        struct pair a = pair_zero(), b = a, c = a, d = a;
        for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
            const __m256 weight = _mm256_loadu_ps(lanes->weights + i);
            const __m256 h = importance_at(weighted ? lanes->importance : NULL, i);
            a = pair_add(&s, snap, weighted, weight, h, inverse_0, a);
            b = pair_add(&s, snap, weighted, weight, h, inverse_1, b);
            c = pair_add(&s, snap, weighted, weight, h, inverse_2, c);
            d = pair_add(&s, snap, weighted, weight, h, inverse_3, d);
        }
        best = pair_best(d, pair_best(c, pair_best(b, pair_best(a, best))));
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
}

void fit_search_avx2(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                     const float first[LANES], const float step[LANES], float gain[LANES],
                     float scale[LANES])
{
    searches[levels->kind][lanes->importance != NULL](lanes, levels, n, first, step, gain, scale);
}

/* ------------------------------------------------------------------ affine groups */

INGOT_TEMPLATE AVX2 void affine_as(const struct lanes *lanes, const struct levels *levels,
                                   bool weighted, uint32_t n, const struct affine_line *line,
                                   float gain[LANES], float scale[LANES], float bias[LANES])
{
    const struct snapper s = open_levels(levels, LEVELS_UNIFORM);
    const __m256 first = _mm256_loadu_ps(line->first);
    const __m256 step = _mm256_loadu_ps(line->step);
    const __m256 offset_first = _mm256_loadu_ps(line->offset_first);
    const __m256 offset_step = _mm256_loadu_ps(line->offset_step);
    const __m256 total = _mm256_loadu_ps(line->total);
    const __m256 mean = _mm256_loadu_ps(line->mean);
    struct best best = {_mm256_loadu_ps(gain), _mm256_loadu_ps(scale), _mm256_loadu_ps(bias)};
    /* Two candidates at a time: four would not leave registers for their sums. */
    for (uint32_t j = 0; j < n; j += 2) {
        const __m256 inverse_0 = candidate(first, step, j);
        const __m256 inverse_1 = candidate(first, step, j + 1);
        const __m256 offset_0 = candidate(offset_first, offset_step, j);
        const __m256 offset_1 = candidate(offset_first, offset_step, j + 1);
        struct triple a = triple_zero(), b = a;
        for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
            const __m256 weight = _mm256_loadu_ps(lanes->weights + i);
            const __m256 h = importance_at(weighted ? lanes->importance : NULL, i);
            a = triple_add(&s, weighted, weight, h, inverse_0, offset_0, a);
            b = triple_add(&s, weighted, weight, h, inverse_1, offset_1, b);
        }
        best = triple_best(b, total, mean, triple_best(a, total, mean, best));
    }
    _mm256_storeu_ps(gain, best.gain);
    _mm256_storeu_ps(scale, best.scale);
    _mm256_storeu_ps(bias, best.bias);
}

void fit_search_affine_avx2(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                            const struct affine_line *line, float gain[LANES], float scale[LANES],
                            float bias[LANES])
{
    (lanes->importance ? affine_weighted : affine_plain)(lanes, levels, n, line, gain, scale, bias);
}

/* ------------------------------------------------------------------ errors */

INGOT_TEMPLATE AVX2 __m256 error_one(const struct snapper *s, snap_function *snap, bool weighted,
                                     __m256 weight, __m256 importance, const struct line *line,
                                     __m256 sum)
{
    const __m256 level = snap(s, _mm256_mul_ps(_mm256_sub_ps(weight, line->bias), line->inverse));
    const __m256 value = _mm256_add_ps(_mm256_mul_ps(level, line->scale), line->bias);
    const __m256 difference = _mm256_sub_ps(weight, value);
    const __m256 scaled = weighted ? _mm256_mul_ps(importance, difference) : difference;
    return _mm256_add_ps(sum, _mm256_mul_ps(scaled, difference));
}

INGOT_TEMPLATE AVX2 void error_as(const struct lanes *lanes, const struct levels *levels,
                                  snap_function *snap, enum level_kind kind, bool weighted,
                                  const float scale[CANDIDATES][LANES],
                                  const float bias[CANDIDATES][LANES],
                                  float error[CANDIDATES][LANES])
{
    const struct snapper s = open_levels(levels, kind);
    for (uint32_t k = 0; k < CANDIDATES; k += 2) {
        const struct line line_0 = open_line(scale[k], bias[k]);
        const struct line line_1 = open_line(scale[k + 1], bias[k + 1]);
        __m256 a = _mm256_setzero_ps(), b = a;
        for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
            const __m256 weight = _mm256_loadu_ps(lanes->weights + i);
            const __m256 h = importance_at(weighted ? lanes->importance : NULL, i);
            a = error_one(&s, snap, weighted, weight, h, &line_0, a);
            b = error_one(&s, snap, weighted, weight, h, &line_1, b);
        }
        _mm256_storeu_ps(error[k], a);
        _mm256_storeu_ps(error[k + 1], b);
    }
}

typedef void error_function(const struct lanes *lanes, const struct levels *levels,
                            const float scale[CANDIDATES][LANES],
                            const float bias[CANDIDATES][LANES], float error[CANDIDATES][LANES]);

#define ERROR(name, snap, kind, weighted)                                                      \
    AVX2 static void name(const struct lanes *lanes, const struct levels *levels,              \
                          const float scale[CANDIDATES][LANES],                                \
                          const float bias[CANDIDATES][LANES], float error[CANDIDATES][LANES]) \
    {                                                                                          \
        error_as(lanes, levels, snap, kind, weighted, scale, bias, error);                     \
    }
ERROR(error_uniform, snap_uniform, LEVELS_UNIFORM, false)
ERROR(error_uniform_weighted, snap_uniform, LEVELS_UNIFORM, true)
ERROR(error_float, snap_float, LEVELS_FLOAT, false)
ERROR(error_float_weighted, snap_float, LEVELS_FLOAT, true)
ERROR(error_codebook, snap_codebook, LEVELS_CODEBOOK, false)
ERROR(error_codebook_weighted, snap_codebook, LEVELS_CODEBOOK, true)

void fit_error_avx2(const struct lanes *lanes, const struct levels *levels,
                    const float scale[CANDIDATES][LANES], const float bias[CANDIDATES][LANES],
                    float result[CANDIDATES][LANES])
{
    static error_function *const errors[N_LEVEL_KINDS][2] = {
        [LEVELS_UNIFORM] = {error_uniform, error_uniform_weighted},
        [LEVELS_FLOAT] = {error_float, error_float_weighted},
        [LEVELS_CODEBOOK] = {error_codebook, error_codebook_weighted},
    };
    errors[levels->kind][lanes->importance != NULL](lanes, levels, scale, bias, result);
}

#endif

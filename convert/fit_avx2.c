/* The kernels with AVX2: a register holds one weight of each of eight groups, and every operation
 * is that of fit_plain.c, in its order. */
#include "convert/fit_levels.h"

#ifdef INGOT_X86_64

#include <float.h>
#include <immintrin.h>
#include <stddef.h>

#define AVX2 INGOT_TARGET("avx2")

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

/* ------------------------------------------------------------------ codes */

typedef __m256i code_function(const struct snapper *s, __m256 v, __m256 level);

INGOT_TEMPLATE AVX2 __m256i code_uniform(const struct snapper *s, __m256 v, __m256 level)
{
    (void)v;
    return _mm256_add_epi32(_mm256_cvttps_epi32(level), s->zero);
}

INGOT_TEMPLATE AVX2 __m256i code_float(const struct snapper *s, __m256 v, __m256 level)
{
    (void)v;
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256 size = _mm256_andnot_ps(sign, level);
    const __m128i shift = _mm_cvtsi32_si128(23 - s->fraction_bits);
    const __m256i normal =
        _mm256_sub_epi32(_mm256_srl_epi32(_mm256_castps_si256(size), shift), s->exponent_shift);
    const __m256 units = _mm256_mul_ps(size, _mm256_set1_ps(s->fraction_power));
    const __m256i subnormal = _mm256_cvttps_epi32(_mm256_div_ps(units, s->min_normal));
    const __m256 small = _mm256_cmp_ps(size, s->min_normal, _CMP_LT_OQ);
    const __m256i code = _mm256_blendv_epi8(normal, subnormal, _mm256_castps_si256(small));
    const __m256i negative = _mm256_srli_epi32(_mm256_castps_si256(level), 31);
    return _mm256_or_si256(code, _mm256_sllv_epi32(negative, s->sign_bits));
}

INGOT_TEMPLATE AVX2 __m256i code_codebook(const struct snapper *s, __m256 v, __m256 level)
{
    (void)level;
    __m256 upper;
    const __m256i i = find_level(s, v, &upper);
    return _mm256_blendv_epi8(_mm256_permutevar8x32_epi32(s->codes_0, i),
                              _mm256_permutevar8x32_epi32(s->codes_8, i),
                              _mm256_castps_si256(upper));
}

/* ------------------------------------------------------------------ sums */

INGOT_TEMPLATE AVX2 __m256 importance_at(const float *importance, size_t i)
{
    return importance ? _mm256_loadu_ps(importance + i) : _mm256_set1_ps(1.0f);
}

struct pair {
    __m256 cross, square;
};

INGOT_TEMPLATE AVX2 struct pair pair_zero(void)
{
    return (struct pair){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

INGOT_TEMPLATE AVX2 struct pair pair_add(const struct snapper *s, snap_function *snap,
                                         bool weighted, __m256 weight, __m256 importance,
                                         __m256 inverse, struct pair sums)
{
    const __m256 level = snap(s, _mm256_mul_ps(weight, inverse));
    const __m256 scaled = weighted ? _mm256_mul_ps(importance, level) : level;
    return (struct pair){_mm256_add_ps(sums.cross, _mm256_mul_ps(scaled, weight)),
                         _mm256_add_ps(sums.square, _mm256_mul_ps(scaled, level))};
}

struct best {
    __m256 gain, scale, bias;
};

/* Where a gain is above the best so far, and finite. */
INGOT_TEMPLATE AVX2 __m256 is_more(__m256 gain, __m256 best)
{
    const __m256 finite = _mm256_cmp_ps(gain, _mm256_set1_ps(FLT_MAX), _CMP_LE_OQ);
    return _mm256_and_ps(_mm256_cmp_ps(gain, best, _CMP_GT_OQ), finite);
}

INGOT_TEMPLATE AVX2 struct best pair_best(struct pair sums, struct best best)
{
    const __m256 scale = _mm256_div_ps(sums.cross, sums.square);
    const __m256 gain = _mm256_mul_ps(scale, sums.cross);
    const __m256 more = is_more(gain, best.gain);
    return (struct best){_mm256_blendv_ps(best.gain, gain, more),
                         _mm256_blendv_ps(best.scale, scale, more), best.bias};
}

/* first + step * j */
INGOT_TEMPLATE AVX2 __m256 candidate(__m256 first, __m256 step, uint32_t j)
{
    return _mm256_add_ps(first, _mm256_mul_ps(step, _mm256_set1_ps((float)j)));
}

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

typedef void search_function(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                             const float first[LANES], const float step[LANES], float gain[LANES],
                             float scale[LANES]);

#define SEARCH(name, snap, kind, weighted)                                                      \
    AVX2 static void name(const struct lanes *lanes, const struct levels *levels, uint32_t n,   \
                          const float first[LANES], const float step[LANES], float gain[LANES], \
                          float scale[LANES])                                                   \
    {                                                                                           \
        search_as(lanes, levels, snap, kind, weighted, n, first, step, gain, scale);            \
    }
SEARCH(search_uniform, snap_uniform, LEVELS_UNIFORM, false)
SEARCH(search_uniform_weighted, snap_uniform, LEVELS_UNIFORM, true)
SEARCH(search_float, snap_float, LEVELS_FLOAT, false)
SEARCH(search_float_weighted, snap_float, LEVELS_FLOAT, true)
SEARCH(search_codebook, snap_codebook, LEVELS_CODEBOOK, false)
SEARCH(search_codebook_weighted, snap_codebook, LEVELS_CODEBOOK, true)

static void search(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                   const float first[LANES], const float step[LANES], float gain[LANES],
                   float scale[LANES])
{
    static search_function *const searches[N_LEVEL_KINDS][2] = {
        [LEVELS_UNIFORM] = {search_uniform, search_uniform_weighted},
        [LEVELS_FLOAT] = {search_float, search_float_weighted},
        [LEVELS_CODEBOOK] = {search_codebook, search_codebook_weighted},
    };
    searches[levels->kind][lanes->importance != NULL](lanes, levels, n, first, step, gain, scale);
}

/* ------------------------------------------------------------------ affine groups */

struct triple {
    __m256 sum, square, cross;
};

INGOT_TEMPLATE AVX2 struct triple triple_zero(void)
{
    return (struct triple){_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
}

INGOT_TEMPLATE AVX2 struct triple triple_add(const struct snapper *s, bool weighted, __m256 weight,
                                             __m256 importance, __m256 inverse, __m256 offset,
                                             struct triple t)
{
    const __m256 level = snap_uniform(s, _mm256_add_ps(_mm256_mul_ps(weight, inverse), offset));
    const __m256 scaled = weighted ? _mm256_mul_ps(importance, level) : level;
    return (struct triple){_mm256_add_ps(t.sum, scaled),
                           _mm256_add_ps(t.square, _mm256_mul_ps(scaled, level)),
                           _mm256_add_ps(t.cross, _mm256_mul_ps(scaled, weight))};
}

INGOT_TEMPLATE AVX2 struct best triple_best(struct triple t, __m256 total, __m256 mean,
                                            struct best best)
{
    const __m256 level_mean = _mm256_div_ps(t.sum, total);
    const __m256 spread = _mm256_sub_ps(t.square, _mm256_mul_ps(t.sum, level_mean));
    const __m256 shared = _mm256_sub_ps(t.cross, _mm256_mul_ps(t.sum, mean));
    const __m256 scale = _mm256_div_ps(shared, spread);
    const __m256 gain = _mm256_mul_ps(scale, shared);
    const __m256 bias = _mm256_sub_ps(mean, _mm256_mul_ps(scale, level_mean));
    const __m256 more = is_more(gain, best.gain);
    return (struct best){_mm256_blendv_ps(best.gain, gain, more),
                         _mm256_blendv_ps(best.scale, scale, more),
                         _mm256_blendv_ps(best.bias, bias, more)};
}

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

AVX2 static void affine_plain(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                              const struct affine_line *line, float gain[LANES], float scale[LANES],
                              float bias[LANES])
{
    affine_as(lanes, levels, false, n, line, gain, scale, bias);
}

AVX2 static void affine_weighted(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                                 const struct affine_line *line, float gain[LANES],
                                 float scale[LANES], float bias[LANES])
{
    affine_as(lanes, levels, true, n, line, gain, scale, bias);
}

static void search_affine(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                          const struct affine_line *line, float gain[LANES], float scale[LANES],
                          float bias[LANES])
{
    (lanes->importance ? affine_weighted : affine_plain)(lanes, levels, n, line, gain, scale, bias);
}

/* ------------------------------------------------------------------ errors */

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

static void error(const struct lanes *lanes, const struct levels *levels,
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

/* ------------------------------------------------------------------ codes and values */

INGOT_TEMPLATE AVX2 void encode_as(const struct lanes *lanes, const struct levels *levels,
                                   snap_function *snap, code_function *code_of,
                                   enum level_kind kind, const float scale[LANES],
                                   const float bias[LANES], uint8_t *codes, float *values)
{
    const struct snapper s = open_levels(levels, kind);
    const struct line line = open_line(scale, bias);
    const __m256 none = _mm256_cmp_ps(line.scale, _mm256_setzero_ps(), _CMP_EQ_OQ);
    /* The low byte of each lane, four to a half, next to each other. */
    const __m256i low_bytes =
        _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                         -1, 0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1);
    for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
        const __m256 weight = _mm256_loadu_ps(lanes->weights + i);
        const __m256 quotient = _mm256_div_ps(_mm256_sub_ps(weight, line.bias), line.scale);
        const __m256 v = _mm256_andnot_ps(none, quotient);
        const __m256 snapped = snap(&s, v);
        const __m256 level =
            kind == LEVELS_UNIFORM ? _mm256_add_ps(snapped, _mm256_setzero_ps()) : snapped;
        const __m256i bytes = _mm256_shuffle_epi8(code_of(&s, v, level), low_bytes);
        const __m128i both =
            _mm_or_si128(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
        _mm_storel_epi64((__m128i *)(void *)(codes + i), both);
        _mm256_storeu_ps(values + i, _mm256_add_ps(_mm256_mul_ps(level, line.scale), line.bias));
    }
}

AVX2 static void encode_uniform(const struct lanes *lanes, const struct levels *levels,
                                const float scale[LANES], const float bias[LANES], uint8_t *codes,
                                float *values)
{
    encode_as(lanes, levels, snap_uniform, code_uniform, LEVELS_UNIFORM, scale, bias, codes,
              values);
}

AVX2 static void encode_float(const struct lanes *lanes, const struct levels *levels,
                              const float scale[LANES], const float bias[LANES], uint8_t *codes,
                              float *values)
{
    encode_as(lanes, levels, snap_float, code_float, LEVELS_FLOAT, scale, bias, codes, values);
}

AVX2 static void encode_codebook(const struct lanes *lanes, const struct levels *levels,
                                 const float scale[LANES], const float bias[LANES], uint8_t *codes,
                                 float *values)
{
    encode_as(lanes, levels, snap_codebook, code_codebook, LEVELS_CODEBOOK, scale, bias, codes,
              values);
}

static void encode(const struct lanes *lanes, const struct levels *levels, const float scale[LANES],
                   const float bias[LANES], uint8_t *codes, float *values)
{
    static void (*const encodes[N_LEVEL_KINDS])(const struct lanes *, const struct levels *,
                                                const float *, const float *, uint8_t *,
                                                float *) = {
        [LEVELS_UNIFORM] = encode_uniform,
        [LEVELS_FLOAT] = encode_float,
        [LEVELS_CODEBOOK] = encode_codebook,
    };
    encodes[levels->kind](lanes, levels, scale, bias, codes, values);
}

/* ------------------------------------------------------------------ rows to lanes and back */

/* Lane k of register i to lane i of register k. */
INGOT_TEMPLATE AVX2 void transpose(__m256 r[8])
{
    const __m256 a0 = _mm256_unpacklo_ps(r[0], r[1]), a1 = _mm256_unpackhi_ps(r[0], r[1]);
    const __m256 a2 = _mm256_unpacklo_ps(r[2], r[3]), a3 = _mm256_unpackhi_ps(r[2], r[3]);
    const __m256 a4 = _mm256_unpacklo_ps(r[4], r[5]), a5 = _mm256_unpackhi_ps(r[4], r[5]);
    const __m256 a6 = _mm256_unpacklo_ps(r[6], r[7]), a7 = _mm256_unpackhi_ps(r[6], r[7]);
    const __m256 b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xee);
    const __m256 b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xee);
    const __m256 b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xee);
    const __m256 b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xee);
    r[0] = _mm256_permute2f128_ps(b0, b4, 0x20);
    r[1] = _mm256_permute2f128_ps(b1, b5, 0x20);
    r[2] = _mm256_permute2f128_ps(b2, b6, 0x20);
    r[3] = _mm256_permute2f128_ps(b3, b7, 0x20);
    r[4] = _mm256_permute2f128_ps(b0, b4, 0x31);
    r[5] = _mm256_permute2f128_ps(b1, b5, 0x31);
    r[6] = _mm256_permute2f128_ps(b2, b6, 0x31);
    r[7] = _mm256_permute2f128_ps(b3, b7, 0x31);
}

AVX2 static void load(const float *const sources[LANES], uint32_t n, float *weights)
{
    uint32_t i = 0;
    for (; n - i >= 8; i += 8) {
        __m256 r[8];
        for (uint32_t k = 0; k < 8; k++) r[k] = _mm256_loadu_ps(sources[k] + i);
        transpose(r);
        for (uint32_t k = 0; k < 8; k++) {
            _mm256_storeu_ps(weights + ((size_t)i + k) * LANES, r[k]);
        }
    }
    for (; i < n; i++) {
        for (uint32_t k = 0; k < LANES; k++) weights[(size_t)i * LANES + k] = sources[k][i];
    }
}

/* The bytes of an 8 x 8 square, mirrored: rows of two are interleaved three times. */
INGOT_TEMPLATE AVX2 void store_codes(const uint8_t *codes, uint32_t i,
                                     uint8_t *const targets[LANES])
{
    __m128i r[4];
    for (uint32_t k = 0; k < 4; k++) {
        r[k] = _mm_loadu_si128((const __m128i *)(const void *)(codes + 16 * k));
        r[k] = _mm_unpacklo_epi8(r[k], _mm_srli_si128(r[k], 8));
    }
    const __m128i a0 = _mm_unpacklo_epi16(r[0], r[1]), a1 = _mm_unpackhi_epi16(r[0], r[1]);
    const __m128i a2 = _mm_unpacklo_epi16(r[2], r[3]), a3 = _mm_unpackhi_epi16(r[2], r[3]);
    const __m128i out[4] = {_mm_unpacklo_epi32(a0, a2), _mm_unpackhi_epi32(a0, a2),
                            _mm_unpacklo_epi32(a1, a3), _mm_unpackhi_epi32(a1, a3)};
    for (uint32_t k = 0; k < 4; k++) {
        _mm_storel_epi64((__m128i *)(void *)(targets[2 * k] + i), out[k]);
        _mm_storel_epi64((__m128i *)(void *)(targets[2 * k + 1] + i), _mm_srli_si128(out[k], 8));
    }
}

AVX2 static void store(const uint8_t *codes, const float *values, uint32_t n,
                       uint8_t *const targets[LANES], float *const value_targets[LANES])
{
    uint32_t i = 0;
    for (; n - i >= 8; i += 8) {
        __m256 r[8];
        for (uint32_t k = 0; k < 8; k++) {
            r[k] = _mm256_loadu_ps(values + ((size_t)i + k) * LANES);
        }
        transpose(r);
        for (uint32_t k = 0; k < 8; k++) _mm256_storeu_ps(value_targets[k] + i, r[k]);
        store_codes(codes + (size_t)i * LANES, i, targets);
    }
    for (; i < n; i++) {
        for (uint32_t k = 0; k < LANES; k++) {
            targets[k][i] = codes[(size_t)i * LANES + k];
            value_targets[k][i] = values[(size_t)i * LANES + k];
        }
    }
}

/* ------------------------------------------------------------------ before a search */

AVX2 static void survey(const struct lanes *lanes, struct survey *survey)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256 zero = _mm256_setzero_ps();
    __m256 peak = zero, size = zero, low = zero, high = zero;
    __m256 total = zero, sum = zero, square = zero;
    for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
        const __m256 h = importance_at(lanes->importance, i);
        const __m256 counts = _mm256_cmp_ps(h, zero, _CMP_GT_OQ);
        const __m256 weight = _mm256_and_ps(_mm256_loadu_ps(lanes->weights + i), counts);
        const __m256 own_size = _mm256_andnot_ps(sign, weight);
        const __m256 larger = _mm256_cmp_ps(own_size, size, _CMP_GT_OQ);
        const __m256 first = i == 0 ? _mm256_cmp_ps(zero, zero, _CMP_EQ_OQ) : zero;
        const __m256 lower = _mm256_and_ps(counts, _mm256_cmp_ps(weight, low, _CMP_LT_OQ));
        const __m256 higher = _mm256_and_ps(counts, _mm256_cmp_ps(weight, high, _CMP_GT_OQ));
        const __m256 scaled = _mm256_mul_ps(h, weight);
        peak = _mm256_blendv_ps(peak, weight, larger);
        size = _mm256_max_ps(size, own_size);
        low = _mm256_blendv_ps(low, weight, _mm256_or_ps(first, lower));
        high = _mm256_blendv_ps(high, weight, _mm256_or_ps(first, higher));
        total = _mm256_add_ps(total, h);
        sum = _mm256_add_ps(sum, scaled);
        square = _mm256_add_ps(square, _mm256_mul_ps(scaled, weight));
    }
    _mm256_storeu_ps(survey->peak, peak);
    _mm256_storeu_ps(survey->low, low);
    _mm256_storeu_ps(survey->high, high);
    _mm256_storeu_ps(survey->total, total);
    _mm256_storeu_ps(survey->sum, sum);
    _mm256_storeu_ps(survey->square, square);
}

static bool available(void)
{
    return INGOT_CPU_HAS("avx2");
}

const struct fit_kernels fit_avx2 = {"avx2", available,     survey, load,  store,
                                     search, search_affine, error,  encode};

static bool available_avx512(void)
{
    return available() && INGOT_CPU_HAS("avx512f") && INGOT_CPU_HAS("avx512dq");
}

/* The same, but for the searches over integers. */
const struct fit_kernels fit_avx512 = {
    "avx512",          available_avx512,         survey, load,  store,
    fit_search_avx512, fit_search_affine_avx512, error,  encode};

#endif

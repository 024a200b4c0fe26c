/* The kernels with AVX2 beside the searches: a register holds one weight of each of eight groups,
 * and every operation is that of fit_plain.c, in its order. */
#include "convert/fit_avx2.h"
#include "convert/fit_packed.h"

#ifdef INGOT_X86_64

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

const struct fit_kernels fit_avx2 = {
    .name = "avx2",
    .available = available,
    .survey = survey,
    .load = load,
    .store = store,
    .search = fit_search_avx2,
    .search_affine = fit_search_affine_avx2,
    .pack = fit_pack_avx2,
    .search_packed = fit_search_packed_avx2,
    .search_packed_affine = fit_search_packed_affine_avx2,
    .error = fit_error_avx2,
    .encode = encode,
};

static bool available_avx512(void)
{
    return available() && INGOT_CPU_HAS("avx512f") && INGOT_CPU_HAS("avx512dq") &&
           INGOT_CPU_HAS("avx512bw") && INGOT_CPU_HAS("avx512vl") && INGOT_CPU_HAS("avx512vnni");
}

/* The same, but for the searches over integers. */
const struct fit_kernels fit_avx512 = {
    .name = "avx512",
    .available = available_avx512,
    .survey = survey,
    .load = load,
    .store = store,
    .search = fit_search_avx512,
    .search_affine = fit_search_affine_avx512,
    .pack = fit_pack_avx512,
    .search_packed = fit_search_packed_avx512,
    .search_packed_affine = fit_search_packed_affine_avx512,
    .error = fit_error_avx2,
    .encode = encode,
};

#endif

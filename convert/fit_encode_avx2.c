/* Codes and values with AVX2: eight neighbours of a row in a register, each operation that of
 * fit_plain.c. */
#include <string.h>

#include "convert/fit_avx2.h"

#ifdef INGOT_X86_64

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

struct row_line {
    __m256 bias, lift, inverse, scale;
};

INGOT_TEMPLATE AVX2 struct row_line open_row(float scale, float bias)
{
    const struct divisor d = divisor_of(scale);
    return (struct row_line){_mm256_set1_ps(bias), _mm256_set1_ps(d.lift),
                             _mm256_set1_ps(d.inverse), _mm256_set1_ps(scale)};
}

INGOT_TEMPLATE AVX2 void encode_eight(const struct snapper *s, snap_function *snap,
                                      code_function *code_of, enum level_kind kind,
                                      const struct row_line *line, const float *weights,
                                      uint8_t *codes, float *values)
{
    /* The low byte of each lane, four to a half, next to each other. */
    const __m256i low_bytes =
        _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                         -1, 0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256 from_bias = _mm256_sub_ps(_mm256_loadu_ps(weights), line->bias);
    const __m256 v = _mm256_mul_ps(_mm256_mul_ps(from_bias, line->lift), line->inverse);
    const __m256 snapped = snap(s, v);
    const __m256 level =
        kind == LEVELS_UNIFORM ? _mm256_add_ps(snapped, _mm256_setzero_ps()) : snapped;
    const __m256i bytes = _mm256_shuffle_epi8(code_of(s, v, level), low_bytes);
    const __m128i both =
        _mm_or_si128(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
    _mm_storel_epi64((__m128i *)(void *)codes, both);
    _mm256_storeu_ps(values, _mm256_add_ps(_mm256_mul_ps(level, line->scale), line->bias));
}

INGOT_TEMPLATE AVX2 void encode_as(const struct levels *levels, snap_function *snap,
                                   code_function *code_of, enum level_kind kind,
                                   const struct group_rows *rows, const float scale[LANES],
                                   const float bias[LANES])
{
    const struct snapper s = open_levels(levels, kind);
    for (uint32_t k = 0; k < LANES; k++) {
        const struct row_line line = open_row(scale[k], bias[k]);
        uint32_t i = 0;
        for (; rows->n[k] - i >= 8; i += 8) {
            encode_eight(&s, snap, code_of, kind, &line, rows->weights[k] + i, rows->codes[k] + i,
                         rows->values[k] + i);
        }
        const uint32_t n_rest = rows->n[k] - i;
        float weights[8] = {0}, values[8];
        uint8_t codes[8];
        if (n_rest == 0) continue;
        memcpy(weights, rows->weights[k] + i, n_rest * sizeof *weights);
        encode_eight(&s, snap, code_of, kind, &line, weights, codes, values);
        memcpy(rows->codes[k] + i, codes, n_rest);
        memcpy(rows->values[k] + i, values, n_rest * sizeof *values);
    }
}

AVX2 static void encode_uniform(const struct levels *levels, const struct group_rows *rows,
                                const float scale[LANES], const float bias[LANES])
{
    encode_as(levels, snap_uniform, code_uniform, LEVELS_UNIFORM, rows, scale, bias);
}

AVX2 static void encode_float(const struct levels *levels, const struct group_rows *rows,
                              const float scale[LANES], const float bias[LANES])
{
    encode_as(levels, snap_float, code_float, LEVELS_FLOAT, rows, scale, bias);
}

AVX2 static void encode_codebook(const struct levels *levels, const struct group_rows *rows,
                                 const float scale[LANES], const float bias[LANES])
{
    encode_as(levels, snap_codebook, code_codebook, LEVELS_CODEBOOK, rows, scale, bias);
}

void fit_encode_avx2(const struct levels *levels, const struct group_rows *rows,
                     const float scale[LANES], const float bias[LANES])
{
    static fit_encode_function *const encodes[N_LEVEL_KINDS] = {
        [LEVELS_UNIFORM] = encode_uniform,
        [LEVELS_FLOAT] = encode_float,
        [LEVELS_CODEBOOK] = encode_codebook,
    };
    encodes[levels->kind](levels, rows, scale, bias);
}

#endif

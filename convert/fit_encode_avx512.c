/* Codes and values with AVX-512: sixteen neighbours of a row in a register, each operation that of
 * fit_plain.c. */
#include <string.h>

#include "convert/fit_avx512.h"

#ifdef INGOT_X86_64

/* What codes are, beside the levels. */
struct coder {
    struct snapper snapper;
    __m512i zero;
    __m512 per_subnormal; /* float: codes a unit below the smallest normal number */
    __m512i exponent_shift;
    __m128i fraction_shift, sign_shift;
    __m512i codes; /* codebook */
};

INGOT_TEMPLATE AVX512 struct coder open_coder(const struct levels *levels, enum level_kind kind)
{
    struct coder c = {.snapper = open_levels(levels, kind)};
    c.zero = _mm512_set1_epi32(levels->zero);
    if (kind == LEVELS_FLOAT) {
        const float units = (float)(1u << levels->fraction_bits);
        c.per_subnormal = _mm512_set1_ps(units / levels->min_normal);
        c.exponent_shift = _mm512_set1_epi32(levels->exponent_shift << levels->fraction_bits);
        c.fraction_shift = _mm_cvtsi32_si128(23 - levels->fraction_bits);
        c.sign_shift = _mm_cvtsi32_si128(levels->sign_bit);
    }
    if (kind == LEVELS_CODEBOOK) {
        const __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)levels->code);
        c.codes = _mm512_cvtepu8_epi32(codes);
    }
    return c;
}

/* *level is what v is rounded to. */
typedef __m512i code_function(const struct coder *c, __m512 v, __m512 *level);

INGOT_TEMPLATE AVX512 __m512i code_uniform(const struct coder *c, __m512 v, __m512 *level)
{
    *level = _mm512_add_ps(snap_uniform(&c->snapper, v), _mm512_setzero_ps());
    return _mm512_add_epi32(_mm512_cvttps_epi32(*level), c->zero);
}

INGOT_TEMPLATE AVX512 __m512i code_float(const struct coder *c, __m512 v, __m512 *level)
{
    *level = snap_float(&c->snapper, v);
    const __m512 size = _mm512_abs_ps(*level);
    const __m512i normal = _mm512_sub_epi32(
        _mm512_srl_epi32(_mm512_castps_si512(size), c->fraction_shift), c->exponent_shift);
    const __m512i subnormal = _mm512_cvttps_epi32(_mm512_mul_ps(size, c->per_subnormal));
    const __mmask16 small = _mm512_cmp_ps_mask(size, c->snapper.min_normal, _CMP_LT_OQ);
    const __m512i code = _mm512_mask_mov_epi32(normal, small, subnormal);
    const __m512i negative = _mm512_srli_epi32(_mm512_castps_si512(*level), 31);
    return _mm512_or_si512(code, _mm512_sll_epi32(negative, c->sign_shift));
}

INGOT_TEMPLATE AVX512 __m512i code_codebook(const struct coder *c, __m512 v, __m512 *level)
{
    const __m512i i = find_level(&c->snapper, v);
    *level = _mm512_permutexvar_ps(i, c->snapper.level);
    return _mm512_permutexvar_epi32(i, c->codes);
}

struct row_line {
    __m512 bias, lift, inverse, scale;
};

INGOT_TEMPLATE AVX512 void encode_sixteen(const struct coder *c, code_function *code_of,
                                          const struct row_line *line, const float *weights,
                                          uint8_t *codes, float *values)
{
    const __m512 from_bias = _mm512_sub_ps(_mm512_loadu_ps(weights), line->bias);
    const __m512 v = _mm512_mul_ps(_mm512_mul_ps(from_bias, line->lift), line->inverse);
    __m512 level;
    const __m512i code = code_of(c, v, &level);
    _mm_storeu_si128((__m128i *)(void *)codes, _mm512_cvtepi32_epi8(code));
    _mm512_storeu_ps(values, _mm512_add_ps(_mm512_mul_ps(level, line->scale), line->bias));
}

INGOT_TEMPLATE AVX512 void encode_as(const struct levels *levels, code_function *code_of,
                                     enum level_kind kind, const struct group_rows *rows,
                                     const float scale[LANES], const float bias[LANES])
{
    const struct coder c = open_coder(levels, kind);
    for (uint32_t k = 0; k < LANES; k++) {
        const struct divisor d = divisor_of(scale[k]);
        const struct row_line line = {_mm512_set1_ps(bias[k]), _mm512_set1_ps(d.lift),
                                      _mm512_set1_ps(d.inverse), _mm512_set1_ps(scale[k])};
        uint32_t i = 0;
        for (; rows->n[k] - i >= 16; i += 16) {
            encode_sixteen(&c, code_of, &line, rows->weights[k] + i, rows->codes[k] + i,
                           rows->values[k] + i);
        }
        const uint32_t n_rest = rows->n[k] - i;
        float weights[16] = {0}, values[16];
        uint8_t codes[16];
        if (n_rest == 0) continue;
        memcpy(weights, rows->weights[k] + i, n_rest * sizeof *weights);
        encode_sixteen(&c, code_of, &line, weights, codes, values);
        memcpy(rows->codes[k] + i, codes, n_rest);
        memcpy(rows->values[k] + i, values, n_rest * sizeof *values);
    }
}

AVX512 static void encode_uniform(const struct levels *levels, const struct group_rows *rows,
                                  const float scale[LANES], const float bias[LANES])
{
    encode_as(levels, code_uniform, LEVELS_UNIFORM, rows, scale, bias);
}

AVX512 static void encode_float(const struct levels *levels, const struct group_rows *rows,
                                const float scale[LANES], const float bias[LANES])
{
    encode_as(levels, code_float, LEVELS_FLOAT, rows, scale, bias);
}

AVX512 static void encode_codebook(const struct levels *levels, const struct group_rows *rows,
                                   const float scale[LANES], const float bias[LANES])
{
    encode_as(levels, code_codebook, LEVELS_CODEBOOK, rows, scale, bias);
}

void fit_encode_avx512(const struct levels *levels, const struct group_rows *rows,
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

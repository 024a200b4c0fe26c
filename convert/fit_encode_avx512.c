/* Codes and values of integers with AVX-512: sixteen neighbours of a row in a register, each
 * operation that of fit_plain.c. */
#include <string.h>

#include "convert/fit_avx512.h"

#ifdef INGOT_X86_64

struct row_line {
    __m512 bias, lift, inverse, scale;
};

INGOT_TEMPLATE AVX512 void encode_sixteen(const struct range *r, __m512i zero,
                                          const struct row_line *line, const float *weights,
                                          uint8_t *codes, float *values)
{
    const __m512 from_bias = _mm512_sub_ps(_mm512_loadu_ps(weights), line->bias);
    const __m512 v = _mm512_mul_ps(_mm512_mul_ps(from_bias, line->lift), line->inverse);
    const __m512 level = _mm512_add_ps(snap_uniform(r, v), _mm512_setzero_ps());
    const __m512i code = _mm512_add_epi32(_mm512_cvttps_epi32(level), zero);
    _mm_storeu_si128((__m128i *)(void *)codes, _mm512_cvtepi32_epi8(code));
    _mm512_storeu_ps(values, _mm512_add_ps(_mm512_mul_ps(level, line->scale), line->bias));
}

AVX512 static void encode_uniform(const struct levels *levels, const struct group_rows *rows,
                                  const float scale[LANES], const float bias[LANES])
{
    const struct range r = range_of(levels);
    const __m512i zero = _mm512_set1_epi32(levels->zero);
    for (uint32_t k = 0; k < LANES; k++) {
        const struct divisor d = divisor_of(scale[k]);
        const struct row_line line = {_mm512_set1_ps(bias[k]), _mm512_set1_ps(d.lift),
                                      _mm512_set1_ps(d.inverse), _mm512_set1_ps(scale[k])};
        uint32_t i = 0;
        for (; rows->n[k] - i >= 16; i += 16) {
            encode_sixteen(&r, zero, &line, rows->weights[k] + i, rows->codes[k] + i,
                           rows->values[k] + i);
        }
        const uint32_t n_rest = rows->n[k] - i;
        float weights[16] = {0}, values[16];
        uint8_t codes[16];
        if (n_rest == 0) continue;
        memcpy(weights, rows->weights[k] + i, n_rest * sizeof *weights);
        encode_sixteen(&r, zero, &line, weights, codes, values);
        memcpy(rows->codes[k] + i, codes, n_rest);
        memcpy(rows->values[k] + i, values, n_rest * sizeof *values);
    }
}

void fit_encode_avx512(const struct levels *levels, const struct group_rows *rows,
                       const float scale[LANES], const float bias[LANES])
{
    (levels->kind == LEVELS_UNIFORM ? encode_uniform : fit_encode_avx2)(levels, rows, scale, bias);
}

#endif

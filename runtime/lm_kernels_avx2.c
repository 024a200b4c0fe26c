/* The inner loops for AVX2 with FMA and F16C. */
#include "runtime/lm_kernels.h"

#ifdef INGOT_X86_64

#include <immintrin.h>

#define AVX2 INGOT_TARGET("avx2,fma,f16c")

enum { ROWS = 4 };

typedef __m256 load8(const void *b, uint64_t at);

INGOT_TEMPLATE AVX2 __m256 load8_f32(const void *b, uint64_t at)
{
    return _mm256_loadu_ps((const float *)b + at);
}

INGOT_TEMPLATE AVX2 __m256 load8_f16(const void *b, uint64_t at)
{
    return _mm256_cvtph_ps(
        _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)b + at)));
}

/* n_rows rows of a and 16 columns of b, or 8. */
INGOT_TEMPLATE AVX2 void multiply_some(const struct lm_product *p, uint32_t row, uint32_t n_rows,
                                       uint32_t col, uint32_t n_vectors, load8 *load)
{
    __m256 sums[ROWS][2];
    INGOT_UNROLL
    for (uint32_t r = 0; r < n_rows; r++) {
        for (uint32_t v = 0; v < n_vectors; v++) {
            sums[r][v] = _mm256_loadu_ps(p->c + (row + r) * p->c_stride + col + 8 * v);
        }
    }
    for (uint32_t i = 0; i < p->n_inner; i++) {
        __m256 b[2];
        for (uint32_t v = 0; v < n_vectors; v++) {
            b[v] = load(p->b, i * p->b_stride + col + 8 * v);
        }
        INGOT_UNROLL
        for (uint32_t r = 0; r < n_rows; r++) {
            const __m256 a = _mm256_set1_ps(p->a[(row + r) * p->a_stride + i]);
            for (uint32_t v = 0; v < n_vectors; v++) {
                sums[r][v] = _mm256_fmadd_ps(a, b[v], sums[r][v]);
            }
        }
    }
    INGOT_UNROLL
    for (uint32_t r = 0; r < n_rows; r++) {
        for (uint32_t v = 0; v < n_vectors; v++) {
            _mm256_storeu_ps(p->c + (row + r) * p->c_stride + col + 8 * v, sums[r][v]);
        }
    }
}

INGOT_TEMPLATE AVX2 void multiply_rows(const struct lm_product *p, uint32_t row, uint32_t n_rows,
                                       load8 *load)
{
    uint32_t col = 0;
    for (; col + 16 <= p->n_cols; col += 16) multiply_some(p, row, n_rows, col, 2, load);
    if (col < p->n_cols) multiply_some(p, row, n_rows, col, 1, load);
}

INGOT_TEMPLATE AVX2 void multiply(const struct lm_product *p, load8 *load)
{
    uint32_t row = 0;
    for (; row + ROWS <= p->n_rows; row += ROWS) multiply_rows(p, row, ROWS, load);
    for (; row < p->n_rows; row++) multiply_rows(p, row, 1, load);
}

AVX2 static void multiply_f32(const struct lm_product *p)
{
    multiply(p, load8_f32);
}

AVX2 static void multiply_f16(const struct lm_product *p)
{
    multiply(p, load8_f16);
}

/* exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2, ln 2 in two parts so that r is exact;
 * exp(r) by its series to r^7 / 7!, whose rest is below 2^-27. 2^n is made in the exponent, in two
 * steps, so that results below the normal numbers come out right: 0 below -104, infinity above 89.
 */
INGOT_TEMPLATE AVX2 __m256 exp8(__m256 x)
{
    x = _mm256_max_ps(_mm256_min_ps(x, _mm256_set1_ps(89.0f)), _mm256_set1_ps(-104.0f));
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 sum = _mm256_set1_ps(1.0f / 5040);
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0f / 720));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0f / 120));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0f / 24));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0f / 6));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(0.5f));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0f));
    sum = _mm256_fmadd_ps(sum, r, _mm256_set1_ps(1.0f));
    const __m256i power = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(power, 1);
    const __m256i bias = _mm256_set1_epi32(127);
    const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i second =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(power, half), bias), 23);
    sum = _mm256_mul_ps(sum, _mm256_castsi256_ps(first));
    return _mm256_mul_ps(sum, _mm256_castsi256_ps(second));
}

AVX2 static float exponents(float *x, uint64_t n, float most)
{
    const __m256 top = _mm256_set1_ps(most);
    __m256 sums = _mm256_setzero_ps();
    float parts[8], rest[8];
    uint64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256 e = exp8(_mm256_sub_ps(_mm256_loadu_ps(x + i), top));
        _mm256_storeu_ps(x + i, e);
        sums = _mm256_add_ps(sums, e);
    }
    _mm256_storeu_ps(parts, sums);
    float sum = 0;
    for (uint32_t k = 0; k < 8; k++) sum += parts[k];
    if (i < n) {
        for (uint64_t k = 0; k < 8; k++) rest[k] = i + k < n ? x[i + k] - most : 0.0f;
        _mm256_storeu_ps(rest, exp8(_mm256_loadu_ps(rest)));
        for (uint64_t k = 0; i + k < n; k++) {
            x[i + k] = rest[k];
            sum += rest[k];
        }
    }
    return sum;
}

INGOT_TEMPLATE AVX2 __m256 silu8(__m256 gate, __m256 up)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    const __m256 e = exp8(_mm256_sub_ps(_mm256_setzero_ps(), gate));
    return _mm256_mul_ps(_mm256_div_ps(gate, _mm256_add_ps(one, e)), up);
}

AVX2 static void silu_times(float *gate, const float *up, uint64_t n)
{
    float rest[2][8] = {{0}};
    uint64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(gate + i, silu8(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    }
    for (uint64_t k = 0; i + k < n; k++) {
        rest[0][k] = gate[i + k];
        rest[1][k] = up[i + k];
    }
    _mm256_storeu_ps(rest[0], silu8(_mm256_loadu_ps(rest[0]), _mm256_loadu_ps(rest[1])));
    for (uint64_t k = 0; i + k < n; k++) gate[i + k] = rest[0][k];
}

bool lm_kernels_avx2_available(void)
{
    return INGOT_CPU_HAS("avx2") && INGOT_CPU_HAS("fma") && ingot_cpu_has_f16c();
}

const struct lm_kernels lm_kernels_avx2 = {
    .name = "avx2",
    .multiply_f32 = multiply_f32,
    .multiply_f16 = multiply_f16,
    .exponents = exponents,
    .silu_times = silu_times,
};

#endif

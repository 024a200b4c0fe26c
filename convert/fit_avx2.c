/* Weights into lanes and their survey with AVX2: a register holds one weight of each of eight
 * groups, and every operation is that of fit_plain.c, in its order. */
#include "convert/fit_avx2.h"
#include "convert/fit_packed.h"

#ifdef INGOT_X86_64

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
    .search = fit_search_avx2,
    .search_affine = fit_search_affine_avx2,
    .pack = fit_pack_avx2,
    .search_packed = fit_search_packed_avx2,
    .search_packed_affine = fit_search_packed_affine_avx2,
    .error = fit_error_avx2,
    .encode = fit_encode_avx2,
};

static bool available_avx512(void)
{
    return available() && INGOT_CPU_HAS("avx512f") && INGOT_CPU_HAS("avx512dq") &&
           INGOT_CPU_HAS("avx512bw") && INGOT_CPU_HAS("avx512vl") && INGOT_CPU_HAS("avx512vnni");
}

/* The same, but for what is about integers. */
const struct fit_kernels fit_avx512 = {
    .name = "avx512",
    .available = available_avx512,
    .survey = survey,
    .load = load,
    .search = fit_search_avx512,
    .search_affine = fit_search_affine_avx512,
    .pack = fit_pack_avx512,
    .search_packed = fit_search_packed_avx512,
    .search_packed_affine = fit_search_packed_affine_avx512,
    .error = fit_error_avx2,
    .encode = fit_encode_avx512,
};

#endif

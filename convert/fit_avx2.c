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

struct survey_sums {
    __m256 peak, size, low, high, total, sum, square;
};

INGOT_TEMPLATE AVX2 struct survey_sums add_counted(struct survey_sums s, __m256 weight)
{
    const __m256 own_size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), weight);
    const __m256 larger = _mm256_cmp_ps(own_size, s.size, _CMP_GT_OQ);
    s.peak = _mm256_blendv_ps(s.peak, weight, larger);
    s.size = _mm256_max_ps(s.size, own_size);
    return s;
}

/* Weights that all count alike. */
INGOT_TEMPLATE AVX2 struct survey_sums survey_even(const struct lanes *lanes)
{
    const __m256 zero = _mm256_setzero_ps();
    const __m256 first = lanes->n ? _mm256_loadu_ps(lanes->weights) : zero;
    /* Where a sum of ones stays. */
    const float total = lanes->n < 1u << 24 ? (float)lanes->n : 0x1p24f;
    struct survey_sums s = {zero, zero, first, first, _mm256_set1_ps(total), zero, zero};
    for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
        const __m256 weight = _mm256_loadu_ps(lanes->weights + i);
        s = add_counted(s, weight);
        s.low = _mm256_min_ps(weight, s.low);
        s.high = _mm256_max_ps(weight, s.high);
        s.sum = _mm256_add_ps(s.sum, weight);
        s.square = _mm256_add_ps(s.square, _mm256_mul_ps(weight, weight));
    }
    return s;
}

INGOT_TEMPLATE AVX2 struct survey_sums survey_weighted(const struct lanes *lanes)
{
    const __m256 zero = _mm256_setzero_ps();
    struct survey_sums s = {zero, zero, zero, zero, zero, zero, zero};
    for (size_t i = 0; i < (size_t)lanes->n * LANES; i += LANES) {
        const __m256 h = _mm256_loadu_ps(lanes->importance + i);
        const __m256 counts = _mm256_cmp_ps(h, zero, _CMP_GT_OQ);
        const __m256 weight = _mm256_and_ps(_mm256_loadu_ps(lanes->weights + i), counts);
        const __m256 first = i == 0 ? _mm256_cmp_ps(zero, zero, _CMP_EQ_OQ) : zero;
        const __m256 lower = _mm256_and_ps(counts, _mm256_cmp_ps(weight, s.low, _CMP_LT_OQ));
        const __m256 higher = _mm256_and_ps(counts, _mm256_cmp_ps(weight, s.high, _CMP_GT_OQ));
        const __m256 scaled = _mm256_mul_ps(h, weight);
        s = add_counted(s, weight);
        s.low = _mm256_blendv_ps(s.low, weight, _mm256_or_ps(first, lower));
        s.high = _mm256_blendv_ps(s.high, weight, _mm256_or_ps(first, higher));
        s.total = _mm256_add_ps(s.total, h);
        s.sum = _mm256_add_ps(s.sum, scaled);
        s.square = _mm256_add_ps(s.square, _mm256_mul_ps(scaled, weight));
    }
    return s;
}

AVX2 static void survey(const struct lanes *lanes, struct survey *survey)
{
    const struct survey_sums s = lanes->importance ? survey_weighted(lanes) : survey_even(lanes);
    _mm256_storeu_ps(survey->peak, s.peak);
    _mm256_storeu_ps(survey->low, s.low);
    _mm256_storeu_ps(survey->high, s.high);
    _mm256_storeu_ps(survey->total, s.total);
    _mm256_storeu_ps(survey->sum, s.sum);
    _mm256_storeu_ps(survey->square, s.square);
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
    .search_powers = fit_search_powers_avx2,
    .encode = fit_encode_avx2,
};

static bool available_avx512(void)
{
    return available() && INGOT_CPU_HAS("avx512f") && INGOT_CPU_HAS("avx512dq") &&
           INGOT_CPU_HAS("avx512bw") && INGOT_CPU_HAS("avx512vl") && INGOT_CPU_HAS("avx512vnni");
}

/* The same, but for searches, codes and powers of two. */
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
    .search_powers = fit_search_powers_avx512,
    .encode = fit_encode_avx512,
};

#endif

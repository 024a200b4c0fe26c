/* The sums in C alone, with AVX2 and with AVX-512: lane by lane the same operations. */
#include "convert/sums.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "format/bytes.h"
#include "format/compiler.h"

static bool all_finite(const float *values, uint64_t n)
{
    uint32_t largest = 0;
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t size = f32_bits(values[i]) & 0x7fffffffu;
        largest = size > largest ? size : largest;
    }
    return largest < 0x7f800000u;
}

static uint64_t add_errors(struct error_sums *sums, const float *source, const float *values,
                           uint64_t n)
{
    uint64_t n_different = 0;
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t k = i % SUM_LANES;
        const double s = (double)source[i];
        const double size = fabs((double)values[i] - s);
        sums->signal[k] += s * s;
        sums->noise[k] += size * size;
        sums->max_error[k] = size > sums->max_error[k] ? size : sums->max_error[k];
        n_different += source[i] != values[i];
    }
    return n_different;
}

static bool always(void)
{
    return true;
}

static const struct sums_kernels plain = {"plain", always, all_finite, add_errors};

#ifdef INGOT_X86_64
#include <immintrin.h>

#define AVX2 INGOT_TARGET("avx2")

AVX2 static bool all_finite_avx2(const float *values, uint64_t n)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i a = _mm256_setzero_si256(), b = a;
    uint64_t i = 0;
    for (; n - i >= 16; i += 16) {
        const __m256i *at = (const __m256i *)(const void *)(values + i);
        a = _mm256_max_epi32(a, _mm256_and_si256(_mm256_loadu_si256(at), magnitude));
        b = _mm256_max_epi32(b, _mm256_and_si256(_mm256_loadu_si256(at + 1), magnitude));
    }
    const __m256i limit = _mm256_set1_epi32(0x7f7fffff);
    const __m256i over = _mm256_cmpgt_epi32(_mm256_max_epi32(a, b), limit);
    return _mm256_movemask_epi8(over) == 0 && all_finite(values + i, n - i);
}

struct halves {
    __m256d low, high;
};

INGOT_TEMPLATE AVX2 struct halves halves_of(__m256 v)
{
    return (struct halves){_mm256_cvtps_pd(_mm256_castps256_ps128(v)),
                           _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))};
}

INGOT_TEMPLATE AVX2 struct halves load_sums(const double at[SUM_LANES])
{
    return (struct halves){_mm256_loadu_pd(at), _mm256_loadu_pd(at + 4)};
}

INGOT_TEMPLATE AVX2 void store_sums(struct halves h, double at[SUM_LANES])
{
    _mm256_storeu_pd(at, h.low);
    _mm256_storeu_pd(at + 4, h.high);
}

INGOT_TEMPLATE AVX2 struct halves add_squares(struct halves sum, struct halves v)
{
    return (struct halves){_mm256_add_pd(sum.low, _mm256_mul_pd(v.low, v.low)),
                           _mm256_add_pd(sum.high, _mm256_mul_pd(v.high, v.high))};
}

AVX2 static uint64_t add_errors_avx2(struct error_sums *sums, const float *source,
                                     const float *values, uint64_t n)
{
    const __m256d sign = _mm256_set1_pd(-0.0);
    struct halves signal = load_sums(sums->signal);
    struct halves noise = load_sums(sums->noise);
    struct halves most = load_sums(sums->max_error);
    __m256i different = _mm256_setzero_si256();
    int32_t counts[SUM_LANES];
    uint64_t n_different = 0;
    for (uint64_t i = 0; i < n; i += SUM_LANES) {
        const __m256 source_8 = _mm256_loadu_ps(source + i);
        const __m256 values_8 = _mm256_loadu_ps(values + i);
        const struct halves s = halves_of(source_8);
        const struct halves v = halves_of(values_8);
        const struct halves size = {_mm256_andnot_pd(sign, _mm256_sub_pd(v.low, s.low)),
                                    _mm256_andnot_pd(sign, _mm256_sub_pd(v.high, s.high))};
        const __m256 other = _mm256_cmp_ps(source_8, values_8, _CMP_NEQ_UQ);
        signal = add_squares(signal, s);
        noise = add_squares(noise, size);
        most.low = _mm256_max_pd(size.low, most.low);
        most.high = _mm256_max_pd(size.high, most.high);
        different = _mm256_sub_epi32(different, _mm256_castps_si256(other));
    }
    store_sums(signal, sums->signal);
    store_sums(noise, sums->noise);
    store_sums(most, sums->max_error);
    _mm256_storeu_si256((__m256i *)(void *)counts, different);
    for (uint32_t k = 0; k < SUM_LANES; k++) n_different += (uint64_t)counts[k];
    return n_different;
}

static bool has_avx2(void)
{
    return INGOT_CPU_HAS("avx2");
}

static const struct sums_kernels avx2 = {"avx2", has_avx2, all_finite_avx2, add_errors_avx2};

#define AVX512 INGOT_TARGET("avx512f,avx512dq")

AVX512 static uint64_t add_errors_avx512(struct error_sums *sums, const float *source,
                                         const float *values, uint64_t n)
{
    __m512d signal = _mm512_loadu_pd(sums->signal);
    __m512d noise = _mm512_loadu_pd(sums->noise);
    __m512d most = _mm512_loadu_pd(sums->max_error);
    __m256i different = _mm256_setzero_si256();
    int32_t counts[SUM_LANES];
    uint64_t n_different = 0;
    for (uint64_t i = 0; i < n; i += SUM_LANES) {
        const __m256 source_8 = _mm256_loadu_ps(source + i);
        const __m256 values_8 = _mm256_loadu_ps(values + i);
        const __m512d s = _mm512_cvtps_pd(source_8);
        const __m512d size = _mm512_abs_pd(_mm512_sub_pd(_mm512_cvtps_pd(values_8), s));
        const __m256 other = _mm256_cmp_ps(source_8, values_8, _CMP_NEQ_UQ);
        signal = _mm512_add_pd(signal, _mm512_mul_pd(s, s));
        noise = _mm512_add_pd(noise, _mm512_mul_pd(size, size));
        most = _mm512_max_pd(size, most);
        different = _mm256_sub_epi32(different, _mm256_castps_si256(other));
    }
    _mm512_storeu_pd(sums->signal, signal);
    _mm512_storeu_pd(sums->noise, noise);
    _mm512_storeu_pd(sums->max_error, most);
    _mm256_storeu_si256((__m256i *)(void *)counts, different);
    for (uint32_t k = 0; k < SUM_LANES; k++) n_different += (uint64_t)counts[k];
    return n_different;
}

static bool has_avx512(void)
{
    return has_avx2() && INGOT_CPU_HAS("avx512f") && INGOT_CPU_HAS("avx512dq");
}

static const struct sums_kernels avx512 = {"avx512", has_avx512, all_finite_avx2,
                                           add_errors_avx512};
#endif

/* Best first. */
static const struct sums_kernels *const all[] = {
#ifdef INGOT_X86_64
    &avx512,
    &avx2,
#endif
    &plain,
};

const struct sums_kernels *sums_kernels_find(const char *name)
{
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (name != NULL && strcmp(name, all[i]->name) != 0) continue;
        if (all[i]->available()) return all[i];
    }
    return NULL;
}

/* The kernels with AVX2 and AVX-512. A word of 32 bits holds eight codes; it is put into eight
 * lanes, and lane i shifted by 4 * i:
 *
 *     lane 0: hhhhggggffffeeeeddddccccbbbbaaaa    lane 1: ....hhhhggggffffeeeeddddccccbbbb
 *
 * so that the low bits of each lane are its code, and bits above are of no effect on what picks a
 * level. */
#include "format/quick.h"

#ifdef INGOT_X86_64

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#include "format/bytes.h"

#define AVX2 INGOT_TARGET("avx2")
#define AVX512 INGOT_TARGET("avx512f,avx512dq")

enum last_step { LAST_SCALE, LAST_ADD, LAST_SUBTRACT };

/* How many whole steps a row's first n values are, from value `first` on. */
static uint64_t whole(const struct quick_row *row, uint64_t first)
{
    const uint64_t n = min_u64(row->group, row->n - first);
    return n / QUICK_STEP * QUICK_STEP;
}

struct levels_avx2 {
    __m256 low, high; /* 0 to 7, 8 to 15 */
    __m256i shifts;
};

INGOT_TEMPLATE AVX2 __m256 pick_avx2(const struct levels_avx2 *l, const uint8_t *codes)
{
    const __m256i word = _mm256_set1_epi32((int32_t)load_u32(codes));
    const __m256i code = _mm256_srlv_epi32(word, l->shifts);
    const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(code, 28));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(l->low, code),
                            _mm256_permutevar8x32_ps(l->high, code), upper);
}

INGOT_TEMPLATE AVX2 void decode_as_avx2(const struct quick_row *row, enum last_step last,
                                        float *dst)
{
    const struct levels_avx2 levels = {_mm256_loadu_ps(row->levels),
                                       _mm256_loadu_ps(row->levels + 8),
                                       _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28)};
    uint64_t at = 0;
    for (uint64_t g = 0; at < row->n; g++) {
        const uint64_t end = at + whole(row, at);
        const __m256 scale = _mm256_set1_ps(row->scales[g]);
        const __m256 bias = _mm256_set1_ps(last == LAST_SCALE ? 0.0f : row->biases[g]);
        for (; at < end; at += 8) {
            __m256 v = pick_avx2(&levels, row->codes + at / 2);
            v = _mm256_mul_ps(v, scale);
            if (last == LAST_ADD) v = _mm256_add_ps(v, bias);
            if (last == LAST_SUBTRACT) v = _mm256_sub_ps(v, bias);
            _mm256_storeu_ps(dst + at, v);
        }
        if (row->n - at < QUICK_STEP) break;
    }
    quick_decode_rest(row, at, dst);
}

AVX2 static void decode_avx2(const struct quick_row *row, float *dst)
{
    if (row->biases == NULL) {
        decode_as_avx2(row, LAST_SCALE, dst);
    } else if (row->subtract) {
        decode_as_avx2(row, LAST_SUBTRACT, dst);
    } else {
        decode_as_avx2(row, LAST_ADD, dst);
    }
}

static bool has_avx2(void)
{
    return INGOT_CPU_HAS("avx2");
}

const struct quick_kernels quick_kernels_avx2 = {"avx2", has_avx2, decode_avx2};

INGOT_TEMPLATE AVX512 __m512 pick_avx512(__m512 levels, __m512i shifts, const uint8_t *codes)
{
    const __m256i low = _mm256_set1_epi32((int32_t)load_u32(codes));
    const __m256i high = _mm256_set1_epi32((int32_t)load_u32(codes + 4));
    const __m512i words = _mm512_inserti32x8(_mm512_castsi256_si512(low), high, 1);
    return _mm512_permutexvar_ps(_mm512_srlv_epi32(words, shifts), levels);
}

INGOT_TEMPLATE AVX512 void decode_as_avx512(const struct quick_row *row, enum last_step last,
                                            float *dst)
{
    const __m512 levels = _mm512_loadu_ps(row->levels);
    const __m512i shifts =
        _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
    uint64_t at = 0;
    for (uint64_t g = 0; at < row->n; g++) {
        const uint64_t end = at + whole(row, at);
        const __m512 scale = _mm512_set1_ps(row->scales[g]);
        const __m512 bias = _mm512_set1_ps(last == LAST_SCALE ? 0.0f : row->biases[g]);
        for (; at < end; at += QUICK_STEP) {
            __m512 v = pick_avx512(levels, shifts, row->codes + at / 2);
            v = _mm512_mul_ps(v, scale);
            if (last == LAST_ADD) v = _mm512_add_ps(v, bias);
            if (last == LAST_SUBTRACT) v = _mm512_sub_ps(v, bias);
            _mm512_storeu_ps(dst + at, v);
        }
        if (row->n - at < QUICK_STEP) break;
    }
    quick_decode_rest(row, at, dst);
}

AVX512 static void decode_avx512(const struct quick_row *row, float *dst)
{
    if (row->biases == NULL) {
        decode_as_avx512(row, LAST_SCALE, dst);
    } else if (row->subtract) {
        decode_as_avx512(row, LAST_SUBTRACT, dst);
    } else {
        decode_as_avx512(row, LAST_ADD, dst);
    }
}

static bool has_avx512(void)
{
    return INGOT_CPU_HAS("avx512f") && INGOT_CPU_HAS("avx512dq");
}

const struct quick_kernels quick_kernels_avx512 = {"avx512", has_avx512, decode_avx512};

#endif

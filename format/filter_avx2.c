/* The splits with AVX2, for elements of 2 and 4 bytes; 8 bytes and what is left over go through the
 * plain form. */
#include "format/filter.h"

#ifdef INGOT_X86_64

#include <immintrin.h>

#define AVX2 INGOT_TARGET("avx2")

enum { STEP = 32 }; /* elements at once */

INGOT_TEMPLATE AVX2 __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INGOT_TEMPLATE AVX2 void store(uint8_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

/* ---- elements of 2 bytes ---- */

INGOT_TEMPLATE AVX2 __m256i left_16(__m256i v, bool rotate)
{
    return rotate ? _mm256_or_si256(_mm256_slli_epi16(v, 1), _mm256_srli_epi16(v, 15)) : v;
}

INGOT_TEMPLATE AVX2 __m256i right_16(__m256i v, bool rotate)
{
    return rotate ? _mm256_or_si256(_mm256_srli_epi16(v, 1), _mm256_slli_epi16(v, 15)) : v;
}

INGOT_TEMPLATE AVX2 void split_2(bool rotate, const uint8_t *src, uint64_t n, uint64_t n_done,
                                 uint8_t *planes)
{
    const __m256i low = _mm256_set1_epi16(255);
    for (uint64_t i = 0; i < n_done; i += STEP) {
        const __m256i a = left_16(load(src + 2 * i), rotate);
        const __m256i b = left_16(load(src + 2 * i + 32), rotate);
        /* Packing works within halves of 128 bits: the middle quarters change places. */
        const __m256i high = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
        const __m256i rest =
            _mm256_packus_epi16(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
        store(planes + i, _mm256_permute4x64_epi64(high, 0xd8));
        store(planes + n + i, _mm256_permute4x64_epi64(rest, 0xd8));
    }
}

INGOT_TEMPLATE AVX2 void join_2(bool rotate, const uint8_t *planes, uint64_t n, uint64_t n_done,
                                uint8_t *dst)
{
    for (uint64_t i = 0; i < n_done; i += STEP) {
        const __m256i high = load(planes + i), low = load(planes + n + i);
        const __m256i a = right_16(_mm256_unpacklo_epi8(low, high), rotate);
        const __m256i b = right_16(_mm256_unpackhi_epi8(low, high), rotate);
        store(dst + 2 * i, _mm256_permute2x128_si256(a, b, 0x20));
        store(dst + 2 * i + 32, _mm256_permute2x128_si256(a, b, 0x31));
    }
}

/* ---- elements of 4 bytes ---- */

INGOT_TEMPLATE AVX2 __m256i left_32(__m256i v, bool rotate)
{
    return rotate ? _mm256_or_si256(_mm256_slli_epi32(v, 1), _mm256_srli_epi32(v, 31)) : v;
}

INGOT_TEMPLATE AVX2 __m256i right_32(__m256i v, bool rotate)
{
    return rotate ? _mm256_or_si256(_mm256_srli_epi32(v, 1), _mm256_slli_epi32(v, 31)) : v;
}

INGOT_TEMPLATE AVX2 void split_4(bool rotate, const uint8_t *src, uint64_t n, uint64_t n_done,
                                 uint8_t *planes)
{
    /* Four elements to four bytes of each plane, in each half of 128 bits. */
    const __m256i by_plane = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(3, 7, 11, 15, 2, 6, 10, 14, 1, 5, 9, 13, 0, 4, 8, 12));
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (uint64_t i = 0; i < n_done; i += STEP) {
        __m256i v[4], pairs[4];
        for (int k = 0; k < 4; k++) {
            v[k] = _mm256_shuffle_epi8(left_32(load(src + 4 * i + 32 * k), rotate), by_plane);
        }
        pairs[0] = _mm256_unpacklo_epi32(v[0], v[1]);
        pairs[1] = _mm256_unpacklo_epi32(v[2], v[3]);
        pairs[2] = _mm256_unpackhi_epi32(v[0], v[1]);
        pairs[3] = _mm256_unpackhi_epi32(v[2], v[3]);
        for (int k = 0; k < 2; k++) {
            const __m256i first = _mm256_unpacklo_epi64(pairs[2 * k], pairs[2 * k + 1]);
            const __m256i second = _mm256_unpackhi_epi64(pairs[2 * k], pairs[2 * k + 1]);
            uint8_t *plane = planes + (uint64_t)(2 * k) * n + i;
            store(plane, _mm256_permutevar8x32_epi32(first, in_order));
            store(plane + n, _mm256_permutevar8x32_epi32(second, in_order));
        }
    }
}

INGOT_TEMPLATE AVX2 void join_4(bool rotate, const uint8_t *planes, uint64_t n, uint64_t n_done,
                                uint8_t *dst)
{
    for (uint64_t i = 0; i < n_done; i += STEP) {
        const __m256i p3 = load(planes + i), p2 = load(planes + n + i);
        const __m256i p1 = load(planes + 2 * n + i), p0 = load(planes + 3 * n + i);
        const __m256i low_a = _mm256_unpacklo_epi8(p0, p1), low_b = _mm256_unpackhi_epi8(p0, p1);
        const __m256i high_a = _mm256_unpacklo_epi8(p2, p3), high_b = _mm256_unpackhi_epi8(p2, p3);
        const __m256i a = right_32(_mm256_unpacklo_epi16(low_a, high_a), rotate);
        const __m256i b = right_32(_mm256_unpackhi_epi16(low_a, high_a), rotate);
        const __m256i c = right_32(_mm256_unpacklo_epi16(low_b, high_b), rotate);
        const __m256i d = right_32(_mm256_unpackhi_epi16(low_b, high_b), rotate);
        store(dst + 4 * i, _mm256_permute2x128_si256(a, b, 0x20));
        store(dst + 4 * i + 32, _mm256_permute2x128_si256(c, d, 0x20));
        store(dst + 4 * i + 64, _mm256_permute2x128_si256(a, b, 0x31));
        store(dst + 4 * i + 96, _mm256_permute2x128_si256(c, d, 0x31));
    }
}

/* ---- which of them ---- */

AVX2 static void split_2_bytes(const uint8_t *src, uint64_t n, uint64_t n_done, uint8_t *planes)
{
    split_2(false, src, n, n_done, planes);
}

AVX2 static void split_2_float(const uint8_t *src, uint64_t n, uint64_t n_done, uint8_t *planes)
{
    split_2(true, src, n, n_done, planes);
}

AVX2 static void split_4_bytes(const uint8_t *src, uint64_t n, uint64_t n_done, uint8_t *planes)
{
    split_4(false, src, n, n_done, planes);
}

AVX2 static void split_4_float(const uint8_t *src, uint64_t n, uint64_t n_done, uint8_t *planes)
{
    split_4(true, src, n, n_done, planes);
}

AVX2 static void join_2_bytes(const uint8_t *planes, uint64_t n, uint64_t n_done, uint8_t *dst)
{
    join_2(false, planes, n, n_done, dst);
}

AVX2 static void join_2_float(const uint8_t *planes, uint64_t n, uint64_t n_done, uint8_t *dst)
{
    join_2(true, planes, n, n_done, dst);
}

AVX2 static void join_4_bytes(const uint8_t *planes, uint64_t n, uint64_t n_done, uint8_t *dst)
{
    join_4(false, planes, n, n_done, dst);
}

AVX2 static void join_4_float(const uint8_t *planes, uint64_t n, uint64_t n_done, uint8_t *dst)
{
    join_4(true, planes, n, n_done, dst);
}

typedef void move_function(const uint8_t *src, uint64_t n, uint64_t n_done, uint8_t *dst);

/* By element_bytes and rotate. */
static move_function *const splits[][2] = {
    [2] = {split_2_bytes, split_2_float}, [4] = {split_4_bytes, split_4_float}, [8] = {0}};
static move_function *const joins[][2] = {
    [2] = {join_2_bytes, join_2_float}, [4] = {join_4_bytes, join_4_float}, [8] = {0}};

static void avx2_split(uint32_t w, bool rotate, const uint8_t *src, uint64_t n, uint8_t *planes)
{
    move_function *move = splits[w][rotate];
    const uint64_t n_done = move ? n / STEP * STEP : 0;
    if (move) move(src, n, n_done, planes);
    filter_split_rest(w, rotate, src, n, n_done, planes);
}

static void avx2_join(uint32_t w, bool rotate, const uint8_t *planes, uint64_t n, uint8_t *dst)
{
    move_function *move = joins[w][rotate];
    const uint64_t n_done = move ? n / STEP * STEP : 0;
    if (move) move(planes, n, n_done, dst);
    filter_join_rest(w, rotate, planes, n, n_done, dst);
}

static bool avx2_available(void)
{
    return INGOT_CPU_HAS("avx2");
}

const struct filter_kernels filter_kernels_avx2 = {"avx2", avx2_available, avx2_split, avx2_join};

#else
typedef int filter_avx2_is_not_for_this_machine;
#endif

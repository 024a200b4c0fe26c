/* x as a few 8-bit digits, in blocks of 32 columns that share a step, with AVX-512. Multiplies
 * nothing. */
#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

#include <math.h>

uint64_t avx512_digits_bytes(const struct panels *p, uint32_t n_digits)
{
    const uint64_t n_layers = n_digits == ONE_DIGIT ? 1 : DIGIT_LAYERS;
    return p->n_blocks / (uint64_t)digit_span(n_digits) * n_layers * digit_block_bytes(n_digits);
}

/* x of a block, of which n vectors are used. */
struct block_values {
    __m512 x[4];
};

INGOT_TEMPLATE AVX512 struct block_values load_values(const float *x, const int n)
{
    struct block_values v;
    INGOT_UNROLL
    for (int i = 0; i < 4; i++) v.x[i] = i < n ? _mm512_loadu_ps(x + 16 * i) : _mm512_setzero_ps();
    return v;
}

INGOT_TEMPLATE AVX512 float largest_of(const struct block_values *v, const int n)
{
    __m512 most = _mm512_setzero_ps();
    INGOT_UNROLL
    for (int i = 0; i < n; i++) most = _mm512_max_ps(most, _mm512_abs_ps(v->x[i]));
    return _mm512_reduce_max_ps(most);
}

/* The words of q: what is left of a multiple of 4096 is signed. */
INGOT_TEMPLATE AVX512 void put_words(const __m512i q[2], uint8_t *dst)
{
    __m256i high[2], low[2];
    INGOT_UNROLL
    for (int i = 0; i < 2; i++) {
        const __m512i second = _mm512_srai_epi32(_mm512_slli_epi32(q[i], 20), 20);
        low[i] = _mm512_cvtepi32_epi16(second);
        high[i] = _mm512_cvtepi32_epi16(_mm512_srai_epi32(_mm512_sub_epi32(q[i], second), 12));
    }
    _mm512_storeu_si512(dst, pair_up(high[0], high[1]));
    _mm512_storeu_si512(dst + 64, pair_up(low[0], low[1]));
}

/* The digits of q, the lowest being digit n - 1, and what hangs on them. */
INGOT_TEMPLATE AVX512 void put_digits(__m512i q[2], const struct panels *p, uint8_t *dst,
                                      const uint32_t n_digits)
{
    const __m512i ones = _mm512_set1_epi8(1);
    INGOT_UNROLL
    for (uint32_t k = n_digits; k-- > 0;) {
        uint8_t *digits = dst + 32 * k;
        INGOT_UNROLL
        for (int i = 0; i < 2; i++) {
            const __m512i digit = _mm512_srai_epi32(_mm512_slli_epi32(q[i], 24), 24);
            _mm_storeu_si128((__m128i *)(void *)(digits + 16 * i), _mm512_cvtepi32_epi8(digit));
            q[i] = _mm512_srai_epi32(_mm512_sub_epi32(q[i], digit), 8);
        }
    }
    INGOT_UNROLL
    for (uint32_t k = 0; k < n_digits; k++) {
        const __m256i digits = _mm256_loadu_si256((const __m256i *)(const void *)(dst + 32 * k));
        __m256i sums =
            _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm512_castsi512_si256(ones), digits);
        sums = _mm256_add_epi32(sums, _mm256_shuffle_epi32(sums, 0x4e));
        sums = _mm256_add_epi32(sums, _mm256_shuffle_epi32(sums, 0xb1));
        const int32_t second = _mm256_extract_epi32(sums, 4);
        const int32_t first = _mm256_cvtsi256_si32(sums) + (p->halves == 1 ? 0 : second);
        store_u32(dst + 32 * n_digits + 4 * k, (uint32_t)(-p->integers.zero * first));
        store_u32(dst + 32 * n_digits + 4 * (n_digits + k), (uint32_t)(-p->integers.zero * second));
    }
}

/* Vectors of x that a block has. */
INGOT_TEMPLATE int digit_vectors(const uint32_t n_digits)
{
    return 2 * digit_span(n_digits);
}

INGOT_TEMPLATE AVX512 void put_block(const struct block_values *v, float step, float inverse,
                                     const struct panels *p, uint8_t *dst, __m512i q[4],
                                     const uint32_t n_digits)
{
    const bool are_words = digits_are_words(n_digits);
    INGOT_UNROLL
    for (int i = 0; i < digit_vectors(n_digits); i++) {
        q[i] = _mm512_cvtps_epi32(_mm512_mul_ps(v->x[i], _mm512_set1_ps(inverse)));
        if (are_words && i % 2 == 1) put_words(q + i - 1, dst + 64 * (i - 1));
    }
    __m512i rest[2] = {q[0], q[1]};
    if (!are_words) put_digits(rest, p, dst, n_digits);
    store_f32(dst + digit_step_at(n_digits), step * (are_words ? p->words.unit : p->integers.unit));
    store_u32(dst + digit_step_at(n_digits) + 4, 0);
}

/* The power of two in which x takes two words, a sum of products of the first ones and 16-bit
 * integers, of which each is one of 32 columns, being 32 bits: 32767 times the sum of |first word|,
 * rounded up to a half each time, is less than 2^31. */
INGOT_TEMPLATE AVX512 float word_step_of(const struct block_values *v, float largest,
                                         const uint32_t n_digits)
{
    static const float most_of_sum = 65500.0f * 4096, most_of_one = 32766.0f * 4096;
    __m512 all = _mm512_setzero_ps();
    INGOT_UNROLL
    for (int i = 0; i < digit_vectors(n_digits); i++) {
        all = _mm512_add_ps(all, _mm512_abs_ps(v->x[i]));
    }
    const float even = _mm512_mask_reduce_add_ps(0x5555, all);
    const float odd = _mm512_mask_reduce_add_ps(0xaaaa, all);
    const float sum = n_digits == WIDE_WORDS ? fmaxf(even, odd) : even + odd;
    const uint32_t exponent = f32_bits(sum) >> 23 & 255; /* sum < 2^(exponent - 126) */
    float step = f32_from_bits((exponent + 127 - 126 - 28) << 23);
    if (sum > most_of_sum * step) step = 2 * step;
    if (largest > most_of_one * step) step = 2 * step;
    return fmaxf(step, 0x1p-126f);
}

/* Whether what is left of x is within `share` of what it was. */
INGOT_TEMPLATE AVX512 bool is_near(const struct block_values *rest, const struct block_values *x,
                                   float share, const int n)
{
    __mmask16 far = 0;
    INGOT_UNROLL
    for (int i = 0; i < n; i++) {
        const __m512 most = _mm512_mul_ps(_mm512_abs_ps(x->x[i]), _mm512_set1_ps(share));
        far |= _mm512_cmp_ps_mask(_mm512_abs_ps(rest->x[i]), most, _CMP_NLE_UQ);
    }
    return far == 0;
}

/* Every column's x is off by at most K 2^-24 of itself, which is half of what the bound allows:
 * what the digits leave of columns far below the largest of their block goes to a further block.
 */
INGOT_TEMPLATE AVX512 bool make_several(const struct panels *p, const float *x, uint8_t *dst,
                                        float *sums, const uint32_t n_digits)
{
    const int span = digit_span(n_digits), n = digit_vectors(n_digits);
    const uint8_t *end = dst + avx512_digits_bytes(p, n_digits);
    const float share = (float)p->n_cols * 0x1p-24f;
    float sum = 0;
    for (uint64_t b = 0; b < p->n_blocks; b += (uint64_t)span) {
        const struct block_values all = load_values(x + 32 * b, n);
        struct block_values rest = all;
        for (bool more = true; more;) {
            const float largest = largest_of(&rest, n);
            const bool is_zero = largest == 0;
            if (dst == end || !(is_zero || (largest >= 0x1p-100f && largest <= 0x1p100f))) {
                return false;
            }
            float step = 1.0f;
            if (!is_zero) {
                step = digits_are_words(n_digits) ? word_step_of(&rest, largest, n_digits)
                                                  : three_digit_step(largest);
            }
            __m512i q[4];
            put_block(&rest, step, 1 / step, p, dst, q, n_digits);
            INGOT_UNROLL
            for (int i = 0; i < n; i++) {
                rest.x[i] =
                    _mm512_fnmadd_ps(_mm512_cvtepi32_ps(q[i]), _mm512_set1_ps(step), rest.x[i]);
            }
            more = !is_near(&rest, &all, share, n);
            store_u32(dst + digit_step_at(n_digits) + 4, more);
            dst += digit_block_bytes(n_digits);
        }
        if (sums != NULL) sum = avx512_put_sum(p, sums, b, all.x[0], all.x[1], sum);
    }
    return true;
}

/* Each block has a scale of its own, so an outlier harms its block alone. */
AVX512 static bool make_one(const struct panels *p, const float *x, uint8_t *dst, float *sums)
{
    float sum = 0;
    for (uint64_t b = 0; b < p->n_blocks; b++) {
        const struct block_values v = load_values(x + 32 * b, 2);
        const float step = largest_of(&v, 2) / 127.0f;
        __m512i q[4];
        put_block(&v, step, step > 0x1p-120f ? 1.0f / step : 0.0f, p, dst, q, ONE_DIGIT);
        dst += digit_block_bytes(ONE_DIGIT);
        if (sums == NULL) continue;
        const __m512 taken = _mm512_set1_ps(step);
        sum = avx512_put_sum(p, sums, b, _mm512_mul_ps(_mm512_cvtepi32_ps(q[0]), taken),
                             _mm512_mul_ps(_mm512_cvtepi32_ps(q[1]), taken), sum);
    }
    return true;
}

AVX512 static bool make_two(const struct panels *p, const float *x, uint8_t *dst, float *sums)
{
    return make_several(p, x, dst, sums, TWO_WORDS);
}

AVX512 static bool make_wide(const struct panels *p, const float *x, uint8_t *dst, float *sums)
{
    return make_several(p, x, dst, sums, WIDE_WORDS);
}

AVX512 static bool make_three(const struct panels *p, const float *x, uint8_t *dst, float *sums)
{
    return make_several(p, x, dst, sums, THREE_DIGITS);
}

static bool (*const make_functions[])(const struct panels *p, const float *x, uint8_t *dst,
                                      float *sums) = {
    [ONE_DIGIT] = make_one,
    [TWO_WORDS] = make_two,
    [THREE_DIGITS] = make_three,
    [WIDE_WORDS] = make_wide,
};

bool avx512_make_digits(const struct panels *p, const struct ready_row *row, const float *x,
                        uint8_t *ready)
{
    uint8_t *dst = ready + row->digits;
    float *sums = avx512_has_offset(p) ? (float *)(void *)(ready + row->sums) : NULL;
    return make_functions[row->n_digits](p, x, dst, sums);
}

#endif

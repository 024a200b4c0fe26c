/* Panels with AVX2, x in 8-bit integers: sums of products are exact, and are scaled where a group
 * of weights or a block of x ends. */
#include "runtime/cpu_avx2.h"

#ifdef INGOT_X86_64

enum { STEPS = AVX2_STEPS, HALVES = AVX2_HALVES };

/* Of codes of up to 6 bits, the bytes that a table of 64 has for them. */
AVX2 static __m256i look_up(const uint8_t *table, uint8_t bits, __m256i codes)
{
    __m256i found = _mm256_setzero_si256();
    for (int i = 0; i < 1 << bits; i += 16) {
        const __m256i part =
            _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(table + i)));
        const __m256i here = _mm256_cmpeq_epi8(
            _mm256_and_si256(codes, _mm256_set1_epi8((char)0xf0)), _mm256_set1_epi8((char)i));
        found = _mm256_blendv_epi8(found, _mm256_shuffle_epi8(part, codes), here);
    }
    return found;
}

/* ------------------------------------------------------------------ products with integers */

/* Adds the sums times the scales, with what zeros and offsets make of the sum of x. */
AVX2 static void add_scaled(const struct panels *p, const struct avx2_entries *e, float x_scale,
                            float x_sum, const __m256i sums[HALVES], float dst[PANEL_ROWS])
{
    const __m256 scale = _mm256_set1_ps(x_scale * p->integers.unit);
    const __m256 zero = _mm256_set1_ps(panels_integer_zero(p) * p->integers.unit * x_sum);
    const __m256 sum = _mm256_set1_ps(x_sum);
    for (int h = 0; h < HALVES; h++) {
        __m256 v = _mm256_fmsub_ps(_mm256_cvtepi32_ps(sums[h]), scale, zero);
        v = _mm256_fnmadd_ps(e->zero[h], sum, v);
        v = _mm256_fmadd_ps(v, e->scale[h], _mm256_loadu_ps(dst + 8 * h));
        _mm256_storeu_ps(dst + 8 * h, _mm256_fmadd_ps(e->bias[h], sum, v));
    }
}

/* Sums of products of n steps with a row of x, by rows. Pairs of products add up to 16 bits: of
 * signed bytes w, |w| times x with w's sign; of codes of few bits, those of several steps,
 * `at_once`, fit. */
INGOT_TEMPLATE AVX2 void sum_products(const __m256i w[][HALVES], const int8_t *x, const int n,
                                      const int at_once, const bool is_signed, __m256i sums[HALVES])
{
    const __m256i ones = _mm256_set1_epi16(1);
    sums[0] = sums[1] = _mm256_setzero_si256();
    INGOT_UNROLL
    for (int s = 0; s < n; s += at_once) {
        __m256i pairs[HALVES] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        INGOT_UNROLL
        for (int k = s; k < s + at_once; k++) {
            int32_t four;
            memcpy(&four, x + 4 * k, sizeof four);
            const __m256i v = _mm256_set1_epi32(four);
            INGOT_UNROLL
            for (int h = 0; h < HALVES; h++) {
                const __m256i products = is_signed
                                             ? _mm256_maddubs_epi16(_mm256_abs_epi8(w[k][h]),
                                                                    _mm256_sign_epi8(v, w[k][h]))
                                             : _mm256_maddubs_epi16(w[k][h], v);
                pairs[h] = k == s ? products : _mm256_add_epi16(pairs[h], products);
            }
        }
        INGOT_UNROLL
        for (int h = 0; h < HALVES; h++) {
            sums[h] = _mm256_add_epi32(sums[h], _mm256_madd_epi16(pairs[h], ones));
        }
    }
}

/* Adds the products of n steps, which share their entries, with every row of x. */
INGOT_TEMPLATE AVX2 void add_steps(const struct avx2_job *job, const struct avx2_bytes *w,
                                   const struct avx2_entries *e, const struct x_block *x,
                                   const int first, const int n, const int at_once,
                                   const bool is_signed)
{
    const int8_t *const integers = x->integers + 4 * first;
    for (uint64_t j = 0; j < job->n_x; j++) {
        __m256i sums[HALVES];
        const float sum = n < STEPS ? x[j].sums[first / n] : x[j].sums[0] + x[j].sums[1];
        sum_products(w->v + first, integers + j * sizeof *x, n, at_once, is_signed, sums);
        add_scaled(job->p, e, x[j].scale, sum, sums, job->sums[j]);
    }
}

INGOT_TEMPLATE AVX2 void add_integer_block(const struct avx2_job *job, const struct avx2_bytes *w,
                                           uint64_t block, const int at_once, const bool is_signed)
{
    const struct x_block *x = (const struct x_block *)job->ready + block * job->all_x + job->first;
    const int half = at_once < STEPS / 2 ? at_once : STEPS / 2;
    struct avx2_entries e[PANEL_BLOCK_HALVES];
    if (avx2_block_entries(job->p, job->panel, block, e)) {
        add_steps(job, w, &e[0], x, 0, STEPS / 2, half, is_signed);
        add_steps(job, w, &e[1], x, STEPS / 2, STEPS / 2, half, is_signed);
    } else {
        add_steps(job, w, &e[0], x, 0, STEPS, at_once, is_signed);
    }
}

/* As many steps at once as 16 bits hold: 2 * 127 * (2^bits - 1) * steps < 2^15. */
AVX2 static void add_signed(const struct avx2_job *job, const struct avx2_bytes *w, uint64_t block)
{
    add_integer_block(job, w, block, 1, true);
}

AVX2 static void add_4_bits(const struct avx2_job *job, const struct avx2_bytes *w, uint64_t block)
{
    add_integer_block(job, w, block, 8, false);
}

AVX2 static void add_5_bits(const struct avx2_job *job, const struct avx2_bytes *w, uint64_t block)
{
    add_integer_block(job, w, block, 4, false);
}

AVX2 static void add_6_bits(const struct avx2_job *job, const struct avx2_bytes *w, uint64_t block)
{
    add_integer_block(job, w, block, 2, false);
}

AVX2 static void add_7_bits(const struct avx2_job *job, const struct avx2_bytes *w, uint64_t block)
{
    add_integer_block(job, w, block, 1, false);
}

typedef void integers_function(const struct avx2_job *job, const struct avx2_bytes *w,
                               uint64_t block);
static integers_function *integers_of(const struct panels *p)
{
    static integers_function *const by_bits[] = {
        add_4_bits, add_4_bits, add_4_bits, add_4_bits,
        add_4_bits, add_5_bits, add_6_bits, add_7_bits,
    };
    return panels_are_shifted(p) ? add_signed : by_bits[p->bits];
}

AVX2 static void take_integers(const struct panels *p, const uint8_t *at, struct avx2_bytes *w)
{
    const __m256i flip = _mm256_set1_epi8((char)0x80);
    avx2_code_takers[p->bits](at, w);
    if (!panels_are_shifted(p)) return;
    for (int s = 0; s < STEPS; s++) {
        for (int h = 0; h < HALVES; h++) {
            const __m256i v =
                p->integers.is_code ? w->v[s][h] : look_up(p->integers.bytes, p->bits, w->v[s][h]);
            w->v[s][h] = _mm256_xor_si256(v, flip);
        }
    }
}

AVX2 void avx2_add_integers(const struct avx2_job *job)
{
    const struct panels *p = job->p;
    integers_function *const add = integers_of(p);
    for (uint64_t block = 0; block < p->n_blocks; block++) {
        const uint8_t *at = avx2_block(job, block);
        struct avx2_bytes w;
        avx2_fetch(at, p->block_bytes);
        take_integers(p, at, &w);
        add(job, &w, block);
    }
}

#endif

/* Panels of integers times a row of x with AVX-512: x is a few digits, and everything within a
 * block is exact. One template for all widths, groups and entries. */
#ifndef INGOT_CPU_AVX512_DIGITS_H
#define INGOT_CPU_AVX512_DIGITS_H

#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

/* ------------------------------------------------------------------ products */

/* Values of codes: 8-bit integers of codes of up to 6 bits, or 16-bit ones. */
struct integer_table {
    __m512i t[2];
};

INGOT_TEMPLATE AVX512 __m512i integer_codes(const uint8_t *block, const struct integer_table *table,
                                            const int bits, const bool is_code, const int s)
{
    if (is_code) return exact_codes(block, bits, s);
    return _mm512_permutexvar_epi8(loose_codes(block, bits, s), table->t[0]);
}

INGOT_TEMPLATE AVX512 __m512i word_of(__m512i codes, const struct integer_table *table,
                                      const int bits)
{
    if (bits < 6) return _mm512_permutexvar_epi16(codes, table->t[0]);
    return _mm512_permutex2var_epi16(table->t[0], codes, table->t[1]);
}

/* Words of steps s and s + 1, by pairs. */
INGOT_TEMPLATE AVX512 void words_of(const uint8_t *block, const struct integer_table *table,
                                    const int s, const int bits, __m512i v[4])
{
    INGOT_UNROLL
    for (int i = 0; i < 2; i++) {
        v[2 * i] = loose_codes(block, bits, s + i);
        INGOT_IN_REGISTER(v[2 * i]);
    }
    INGOT_UNROLL
    for (int i = 1; i < 4; i += 2) v[i] = _mm512_srli_epi32(v[i - 1], 8);
    INGOT_UNROLL
    for (int i = 0; i < 4; i++) v[i] = word_of(v[i], table, bits);
}

/* Sums of the products of the first words of x and of the second ones, by pairs of a step. */
struct word_sums {
    __m512i high[2];
    __m512i low[2];
};

/* Steps [first, first + n) of a block of 16-bit integers. */
INGOT_TEMPLATE AVX512 void add_words(struct word_sums *sums, const uint8_t *block,
                                     const struct integer_table *table, const uint8_t *x,
                                     const int first, const int n, const int bits)
{
    INGOT_UNROLL
    for (int s = first; s < first + n; s += 2) {
        __m512i v[4];
        words_of(block, table, s, bits, v);
        INGOT_UNROLL
        for (int i = 0; i < 4; i++) {
            const uint8_t *pair = x + 4 * (2 * s + i);
            INGOT_DOT_WORDS(sums->high[i % 2], v[i], pair);
            INGOT_DOT_WORDS(sums->low[i % 2], v[i], pair + 64);
        }
    }
}

/* The same times x, in units of its step; with `wide` of two blocks, each sum being 32 bits. */
INGOT_TEMPLATE AVX512 __m512 word_steps(const uint8_t *block, const struct integer_table *table,
                                        const uint8_t *x, const int first, const int n,
                                        const int bits, const bool wide)
{
    const __m512i zero = _mm512_setzero_si512();
    struct word_sums sums = {{zero, zero}, {zero, zero}};
    __m512 high, low;
    add_words(&sums, block, table, x, first, n, bits);
    if (wide) {
        add_words(&sums, block + 64 * bits, table, x + 128, first, n, bits);
        high = _mm512_add_ps(_mm512_cvtepi32_ps(sums.high[0]), _mm512_cvtepi32_ps(sums.high[1]));
        low = _mm512_add_ps(_mm512_cvtepi32_ps(sums.low[0]), _mm512_cvtepi32_ps(sums.low[1]));
    } else {
        high = _mm512_cvtepi32_ps(_mm512_add_epi32(sums.high[0], sums.high[1]));
        low = _mm512_cvtepi32_ps(_mm512_add_epi32(sums.low[0], sums.low[1]));
    }
    return _mm512_fmadd_ps(high, _mm512_set1_ps(4096.0f), low);
}

/* Steps [first, first + n) of a block times the digits of x, in units of its step. */
INGOT_TEMPLATE AVX512 __m512 digit_steps(const uint8_t *block, const struct integer_table *table,
                                         const uint8_t *x, const int first, const int n,
                                         const int bits, const bool is_code,
                                         const uint32_t n_digits)
{
    if (digits_are_words(n_digits)) {
        return word_steps(block, table, x, first, n, bits, n_digits == WIDE_WORDS);
    }
    const uint8_t *starts = x + 32 * n_digits;
    __m512i sums[3];
    INGOT_UNROLL
    for (uint32_t k = 0; k < n_digits; k++) {
        sums[k] = _mm512_set1_epi32((int)load_u32(starts + 4 * (first == 0 ? k : n_digits + k)));
    }
    INGOT_UNROLL
    for (int s = first; s < first + n; s++) {
        const __m512i codes = integer_codes(block, table, bits, is_code, s);
        INGOT_UNROLL
        for (uint32_t k = 0; k < n_digits; k++) {
            INGOT_DOT_BYTES(sums[k], codes, x + 32 * k + 4 * s);
        }
    }
    if (n_digits == 1) return _mm512_cvtepi32_ps(sums[0]);
    const __m512i upper = _mm512_add_epi32(_mm512_slli_epi32(sums[0], 8), sums[1]);
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(upper), _mm512_set1_ps(256.0f),
                           _mm512_cvtepi32_ps(sums[2]));
}

/* Products of a block and the next block of x, added to `sums`: of the block, or of its halves. */
INGOT_TEMPLATE AVX512 void add_block(const uint8_t *block, const struct integer_table *table,
                                     const uint8_t *x, __m512 sums[2], const int bits,
                                     const bool is_code, const bool half, const uint32_t n_digits)
{
    const __m512 step = _mm512_set1_ps(load_f32(x + digit_step_at(n_digits)));
    const int n = half ? STEPS / 2 : STEPS;
    const __m512 first = digit_steps(block, table, x, 0, n, bits, is_code, n_digits);
    sums[0] = _mm512_fmadd_ps(first, step, sums[0]);
    if (!half) return;
    const __m512 second = digit_steps(block, table, x, n, n, bits, is_code, n_digits);
    sums[1] = _mm512_fmadd_ps(second, step, sums[1]);
}

INGOT_TEMPLATE AVX512 __m512 add_group(__m512 total, __m512 sum, const struct chunk_entries *e,
                                       uint64_t i, const float *x_sum)
{
    total = _mm512_fmadd_ps(sum, _mm512_loadu_ps(e->scale[i]), total);
    if (x_sum == NULL) return total;
    return _mm512_fmadd_ps(_mm512_loadu_ps(e->offset[i]), _mm512_set1_ps(*x_sum), total);
}

/* Far ahead into the second cache. Of 8-bit codes, which the CPU's own prefetching follows, one
 * line of four: all of them took up what it reads with. */
INGOT_TEMPLATE AVX512 void fetch_block(const uint8_t *block, const int bits,
                                       const uint32_t n_digits)
{
    enum { AHEAD_BYTES = 26624 };
    INGOT_UNROLL
    for (int k = 0; k < bits * digit_span(n_digits); k += bits == 8 ? 4 : 1) {
        _mm_prefetch((const char *)(block + AHEAD_BYTES + 64 * k), _MM_HINT_T1);
    }
}

/* Entries come a few bytes a block, so far ahead that their line is there in time. */
static inline void fetch_entries(const uint8_t *entry)
{
    enum { AHEAD_BYTES = 1024 };
    _mm_prefetch((const char *)(entry + AHEAD_BYTES), _MM_HINT_T1);
}

/* The blocks of one group, or the one block of two, and what of x goes with them. */
struct walk {
    const uint8_t *block;
    const uint8_t *x;
    struct integer_table table;
    uint64_t n_blocks;
};

/* A block of weights stays while more blocks of x are for its columns: in one loop, as a loop of
 * its own would have all that depends on the weights alone worked out before it. */
INGOT_TEMPLATE AVX512 void group_sums(struct walk *at, __m512 sums[2], const int bits,
                                      const bool is_code, const bool half, const uint32_t n_digits)
{
    const uint64_t span = (uint64_t)digit_span(n_digits);
    sums[0] = sums[1] = _mm512_setzero_ps();
    for (uint64_t b = 0; b < at->n_blocks;) {
        fetch_block(at->block, bits, n_digits);
        add_block(at->block, &at->table, at->x, sums, bits, is_code, half, n_digits);
        at->x += digit_block_bytes(n_digits);
        const uint64_t n_done = n_digits == ONE_DIGIT || load_u32(at->x - 4) == 0 ? span : 0;
        at->block += 64 * (uint64_t)bits * n_done;
        b += n_done;
    }
}

/* Entries worked out beforehand, some groups at a time. */
INGOT_TEMPLATE AVX512 __m512 by_chunks(const struct panels *p, uint64_t panel, struct walk at,
                                       const float *x_sums, const int bits, const bool is_code,
                                       const bool half, const uint32_t n_digits)
{
    const uint64_t n_groups = n_main_groups(p);
    __m512 total = _mm512_setzero_ps();
    struct chunk_entries e;
    for (uint64_t first = 0; first < n_groups; first += CHUNK) {
        const uint64_t n = min_u64(CHUNK, n_groups - first);
        avx512_entries(p, panel, first, n, &e);
        for (uint64_t i = 0; i < n; i += half ? 2 : 1) {
            __m512 sums[2];
            group_sums(&at, sums, bits, is_code, half, n_digits);
            const float *x_sum = x_sums != NULL ? x_sums + first + i : NULL;
            total = add_group(total, sums[0], &e, i, x_sum);
            if (!half) continue;
            total = add_group(total, sums[1], &e, i + 1, x_sum != NULL ? x_sum + 1 : NULL);
        }
    }
    return total;
}

/* How entries are read: worked out some groups at a time, or each as it is needed. */
enum entry_way { BY_CHUNKS, BY_F16, BY_F32, BY_INTEGERS, BY_EXPONENTS, BY_E4M3, N_ENTRY_WAYS };

INGOT_TEMPLATE AVX512 __m512 entry_of(const uint8_t *entries, uint64_t i, const enum entry_way way)
{
    if (way == BY_F16) {
        const uint8_t *at = entries + 2 * PANEL_ROWS * i;
        return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
    }
    if (way == BY_F32)
        return _mm512_loadu_ps((const float *)(const void *)entries + PANEL_ROWS * i);
    const uint8_t *at = entries + PANEL_ROWS * i;
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    if (way == BY_INTEGERS) return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v));
    if (way == BY_EXPONENTS) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(v), 23));
    }
    return _mm512_cvtph_ps(_mm256_slli_epi16(_mm256_cvtepu8_epi16(v), 7)); /* 2^-8 of it */
}

/* Entries read as they are needed: those of a super, or all if there is none, are summed before
 * they are multiplied by it. */
INGOT_TEMPLATE AVX512 __m512 by_supers(const struct panels *p, uint64_t panel, struct walk at,
                                       const float *x_sums, const int bits, const bool is_code,
                                       const bool half, const uint32_t n_digits,
                                       const enum entry_way way)
{
    const uint64_t n_groups = n_main_groups(p);
    const uint64_t entry_bytes = way == BY_F32 ? 4 : way == BY_F16 ? 2 : 1;
    const uint64_t group_bytes = PANEL_ROWS * entry_bytes;
    const uint64_t n_super = entry_bytes > 1 ? n_groups : p->scale.super_groups;
    const uint8_t *scale = (const uint8_t *)p->scale.entries + panel * n_groups * group_bytes;
    const uint8_t *bias = scale;
    if (x_sums != NULL) bias = (const uint8_t *)p->bias.entries + panel * n_groups * group_bytes;
    __m512 total = _mm512_setzero_ps();
    for (uint64_t first = 0; first < n_groups; first += n_super) {
        const uint64_t end = min_u64(first + n_super, n_groups);
        __m512 sum = _mm512_setzero_ps(), offset = _mm512_setzero_ps();
        for (uint64_t i = first; i < end; i += half ? 2 : 1) {
            __m512 sums[2];
            fetch_entries(scale + i * group_bytes);
            if (x_sums != NULL) fetch_entries(bias + i * group_bytes);
            group_sums(&at, sums, bits, is_code, half, n_digits);
            INGOT_UNROLL
            for (uint64_t k = 0; k < 2; k++) {
                if (k == 1 && !half) continue;
                sum = _mm512_fmadd_ps(sums[k], entry_of(scale, i + k, way), sum);
                if (x_sums == NULL) continue;
                const __m512 x_sum = _mm512_set1_ps(x_sums[i + k]);
                offset = _mm512_fmadd_ps(x_sum, entry_of(bias, i + k, way), offset);
            }
        }
        total = _mm512_fmadd_ps(sum, avx512_super(&p->scale, panel, first), total);
        if (x_sums == NULL) continue;
        total = _mm512_fmadd_ps(offset, avx512_super(&p->bias, panel, first), total);
    }
    return total;
}

INGOT_TEMPLATE AVX512 void digit_panel(const struct panel_job *job, uint64_t panel, const int bits,
                                       const bool is_code, const bool half, const uint32_t n_digits,
                                       const enum entry_way way)
{
    const struct panels *p = job->panels;
    const bool are_words = digits_are_words(n_digits);
    const void *table = are_words ? (const void *)p->words.values : p->integers.bytes;
    const struct walk at = {
        .block = p->codes + panel * p->n_blocks * p->block_bytes,
        .x = ready_part(job->ready, &job->row, 0, job->row.digits),
        .table = {{load_512(table), load_512((const uint8_t *)table + (are_words ? 64 : 0))}},
        .n_blocks = half ? 1 : p->halves / 2,
    };
    const float *x_sums = NULL;
    if (avx512_has_offset(p)) x_sums = ready_part(job->ready, &job->row, 0, job->row.sums);
    const __m512 total = way == BY_CHUNKS
                             ? by_chunks(p, panel, at, x_sums, bits, is_code, half, n_digits)
                             : by_supers(p, panel, at, x_sums, bits, is_code, half, n_digits, way);
    const __mmask16 lanes = panel_lanes(p, panel);
    const float unit = are_words ? p->words.factor : 1.0f;
    const __m512 factor = _mm512_set1_ps(unit * load_f32(ready_part(job->ready, &job->row, 0, 0)));
    float *y = job->y + (panel - job->first_panel) * PANEL_ROWS;
    const __m512 before = _mm512_maskz_loadu_ps(lanes, y);
    _mm512_mask_storeu_ps(y, lanes, _mm512_fmadd_ps(total, factor, before));
}

typedef void digit_function(const struct panel_job *job, uint64_t panel);
/* How entries can be read one by one: those of offsets as those of scales. */
enum entry_way avx512_entry_way(const struct panels *panels);

#endif
#endif

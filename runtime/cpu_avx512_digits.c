/* Panels of integers times a few rows of x with AVX-512: x is a few 8-bit digits, and everything
 * within a block is exact. One template a width. */
#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

/* ------------------------------------------------------------------ products */

INGOT_TEMPLATE AVX512 __m512i integer_codes(const uint8_t *block, __m512i bytes, const int bits,
                                            const bool is_code, const int s)
{
    if (is_code) return exact_codes(block, bits, s);
    return _mm512_permutexvar_epi8(loose_codes(block, bits, s), bytes);
}

/* Steps [first, first + n) of a block times the digits of x, in units of its step. */
INGOT_TEMPLATE AVX512 __m512 digit_steps(const uint8_t *block, __m512i bytes, const uint8_t *x,
                                         const int first, const int n, const int bits,
                                         const bool is_code, const uint32_t n_digits)
{
    const uint8_t *starts = x + 32 * n_digits;
    __m512i sums[3];
    INGOT_UNROLL
    for (uint32_t k = 0; k < n_digits; k++) {
        sums[k] = _mm512_set1_epi32((int)load_u32(starts + 4 * (first == 0 ? k : n_digits + k)));
    }
    INGOT_UNROLL
    for (int s = first; s < first + n; s++) {
        const __m512i codes = integer_codes(block, bytes, bits, is_code, s);
        INGOT_UNROLL
        for (uint32_t k = 0; k < n_digits; k++) {
            const __m512i four = _mm512_set1_epi32((int)load_u32(x + 32 * k + 4 * s));
            sums[k] = _mm512_dpbusd_epi32(sums[k], codes, four);
        }
    }
    if (n_digits == 1) return _mm512_cvtepi32_ps(sums[0]);
    const __m512i upper = _mm512_add_epi32(_mm512_slli_epi32(sums[0], 8), sums[1]);
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(upper), _mm512_set1_ps(256.0f),
                           _mm512_cvtepi32_ps(sums[2]));
}

/* What a panel is multiplied by: the products of the next block of x and of those that follow it
 * for the same columns, added to `sums`: of the block, or of its halves. */
INGOT_TEMPLATE AVX512 const uint8_t *add_block(const uint8_t *block, __m512i bytes,
                                               const uint8_t *x, __m512 sums[2], const int bits,
                                               const bool is_code, const bool half,
                                               const uint32_t n_digits)
{
    bool more;
    do {
        const __m512 step = _mm512_set1_ps(load_f32(x + digit_step_at(n_digits)));
        const int n = half ? STEPS / 2 : STEPS;
        const __m512 first = digit_steps(block, bytes, x, 0, n, bits, is_code, n_digits);
        sums[0] = _mm512_fmadd_ps(first, step, sums[0]);
        if (half) {
            const __m512 second = digit_steps(block, bytes, x, n, n, bits, is_code, n_digits);
            sums[1] = _mm512_fmadd_ps(second, step, sums[1]);
        }
        more = n_digits > 1 && load_u32(x + digit_step_at(n_digits) + 4) != 0;
        x += digit_step_at(n_digits) + 8;
    } while (more);
    return x;
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
INGOT_TEMPLATE AVX512 void fetch_block(const uint8_t *block, const int bits)
{
    enum { AHEAD_BYTES = 26624 };
    INGOT_UNROLL
    for (int k = 0; k < bits; k += bits == 8 ? 4 : 1) {
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
    __m512i bytes;
    uint64_t n_blocks;
};

INGOT_TEMPLATE AVX512 void group_sums(struct walk *at, __m512 sums[2], const int bits,
                                      const bool is_code, const bool half, const uint32_t n_digits)
{
    sums[0] = sums[1] = _mm512_setzero_ps();
    for (uint64_t b = 0; b < at->n_blocks; b++) {
        fetch_block(at->block, bits);
        at->x = add_block(at->block, at->bytes, at->x, sums, bits, is_code, half, n_digits);
        at->block += 64 * bits;
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
enum entry_way { BY_CHUNKS, BY_F16, BY_INTEGERS, BY_EXPONENTS, BY_E4M3, N_ENTRY_WAYS };

INGOT_TEMPLATE AVX512 __m512 entry_of(const uint8_t *entries, uint64_t i, const enum entry_way way)
{
    if (way == BY_F16) {
        const uint8_t *at = entries + 2 * PANEL_ROWS * i;
        return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
    }
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
    const uint64_t entry_bytes = way == BY_F16 ? 2 : 1, group_bytes = PANEL_ROWS * entry_bytes;
    const uint64_t n_super = way == BY_F16 ? n_groups : p->scale.super_groups;
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
    const struct walk at = {
        .block = p->codes + panel * p->n_blocks * p->block_bytes,
        .x = ready_part(job->ready, &job->row, 0, job->row.digits),
        .bytes = load_512(p->integers.bytes),
        .n_blocks = half ? 1 : p->halves / 2,
    };
    const float *x_sums = NULL;
    if (avx512_has_offset(p)) x_sums = ready_part(job->ready, &job->row, 0, job->row.sums);
    const __m512 total = way == BY_CHUNKS
                             ? by_chunks(p, panel, at, x_sums, bits, is_code, half, n_digits)
                             : by_supers(p, panel, at, x_sums, bits, is_code, half, n_digits, way);
    const __mmask16 lanes = panel_lanes(p, panel);
    const __m512 factor = _mm512_set1_ps(load_f32(ready_part(job->ready, &job->row, 0, 0)));
    float *y = job->y + (panel - job->first_panel) * PANEL_ROWS;
    const __m512 before = _mm512_maskz_loadu_ps(lanes, y);
    _mm512_mask_storeu_ps(y, lanes, _mm512_fmadd_ps(total, factor, before));
}

typedef void digit_function(const struct panel_job *job, uint64_t panel);

/* ROW(bits, is_code, way, half, n_digits) */
#define FOUR(ROW, bits, is_code, way) \
    ROW(bits, is_code, way, 0, 1)     \
    ROW(bits, is_code, way, 0, 3)     \
    ROW(bits, is_code, way, 1, 1)     \
    ROW(bits, is_code, way, 1, 3)
#define WAYS(ROW, bits, is_code)        \
    FOUR(ROW, bits, is_code, BY_CHUNKS) \
    FOUR(ROW, bits, is_code, BY_F16)    \
    FOUR(ROW, bits, is_code, BY_INTEGERS)
#define BOTH(ROW, bits) WAYS(ROW, bits, 0) WAYS(ROW, bits, 1)
/* All that is ever asked for, but for entries that may be read by chunks instead. */
#define EACH(ROW)                 \
    BOTH(ROW, 1)                  \
    BOTH(ROW, 2)                  \
    BOTH(ROW, 3)                  \
    BOTH(ROW, 4)                  \
    BOTH(ROW, 5)                  \
    BOTH(ROW, 6)                  \
    WAYS(ROW, 7, 1)               \
    WAYS(ROW, 8, 1)               \
    ROW(4, 0, BY_EXPONENTS, 0, 1) \
    ROW(4, 0, BY_EXPONENTS, 0, 3) \
    ROW(6, 0, BY_EXPONENTS, 0, 3) \
    ROW(4, 0, BY_E4M3, 1, 1)      \
    ROW(4, 0, BY_E4M3, 1, 3)

#define DEFINE(bits, is_code, way, half, n_digits)                        \
    AVX512 static void digits_##bits##_##is_code##_##way##half##n_digits( \
        const struct panel_job *job, uint64_t panel)                      \
    {                                                                     \
        digit_panel(job, panel, bits, is_code, half, n_digits, way);      \
    }
EACH(DEFINE)

#define ENTRY(bits, is_code, way, half, n_digits) \
    [bits][is_code][way][half][n_digits == 3] = digits_##bits##_##is_code##_##way##half##n_digits,
static digit_function *const digit_functions[PANEL_MAX_BITS + 1][2][N_ENTRY_WAYS][2][2] = {
    EACH(ENTRY)};

static enum entry_way table_way(const struct panel_table *t)
{
    if (t->kind == ENTRIES_F16) return BY_F16;
    if (t->kind == ENTRIES_INTEGERS) return BY_INTEGERS;
    if (t->kind == ENTRIES_CODES && t->codes_are == CODES_EXPONENTS) return BY_EXPONENTS;
    return t->kind == ENTRIES_CODES && t->codes_are == CODES_E4M3 ? BY_E4M3 : BY_CHUNKS;
}

/* How entries can be read one by one: those of offsets as those of scales. */
static enum entry_way way_of(const struct panels *p)
{
    const struct panel_table *scale = &p->scale, *bias = &p->bias;
    const enum entry_way way = table_way(scale);
    if (way == BY_CHUNKS || scale->halves != p->halves || scale->add != 0) return BY_CHUNKS;
    if (p->halves == 1 && scale->super_groups % 2 != 0) return BY_CHUNKS;
    if (p->zero.kind != ENTRIES_NONE || p->bias_constant != 0) return BY_CHUNKS;
    if (bias->kind == ENTRIES_NONE) return way;
    const bool alike = table_way(bias) == way && bias->halves == scale->halves &&
                       bias->super_groups == scale->super_groups && bias->add == 0;
    return alike ? way : BY_CHUNKS;
}

void avx512_dot_digits(const struct panel_job *job)
{
    const struct panels *p = job->panels;
    const bool three = job->row.n_digits == 3, half = p->halves == 1;
    const bool is_code = p->integers.is_code;
    digit_function *dot = digit_functions[p->bits][is_code][way_of(p)][half][three];
    if (dot == NULL) dot = digit_functions[p->bits][is_code][BY_CHUNKS][half][three];
    for (uint64_t i = 0; i < job->n_panels; i++) dot(job, job->first_panel + i);
}

#endif

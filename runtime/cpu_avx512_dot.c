/* Panels times a few rows of x with AVX-512: values of codes are looked up as bf16 in registers,
 * and scales multiply the sums of groups. One template a width, for one or two rows of x. */
#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

/* Codes far ahead into the second cache; those of 8 bits nearer, and step by step, as a block's
 * eight lines at once would keep what is read now waiting. Raw floats the CPU fetches by itself. */
enum { PREFETCH_BYTES = 26624, BYTE_PREFETCH_BYTES = 7168 };

/* ------------------------------------------------------------------ codes through bf16 */

/* Sums of the products of a group, so many that none waits for another: for each row of x four, or
 * eight when there is one row, by pair, part of x and step. */
enum { N_SUMS = 8 };
struct sums {
    __m512 v[N_SUMS];
};

/* x of a block, for each row. */
struct block_x {
    const uint8_t *high[2];
    const uint8_t *low[2]; /* NULL: none */
};

INGOT_TEMPLATE AVX512 __m512i pair_of(const uint8_t *pairs, const int i)
{
    return _mm512_set1_epi32((int)load_u32(pairs + 4 * i));
}

/* How the groups of scales lie. */
enum group_span { SPAN_HALF, SPAN_BLOCK, SPAN_BLOCKS };

/* Groups of a block or less follow each other so closely that four sums do. */
static inline bool uses_eight(enum group_span span, int n_x)
{
    return span == SPAN_BLOCKS && n_x == 1;
}

/* Steps [first, first + n) of a block. */
INGOT_TEMPLATE AVX512 void add_steps(struct sums *sums, const uint8_t *block,
                                     const struct lookup *high, const struct lookup *low,
                                     const struct block_x *x, const int first, const int n,
                                     const int bits, const bool has_low, const bool x_low,
                                     const bool shifts, const enum group_span span, const int n_x)
{
    INGOT_UNROLL
    for (int s = first; s < first + n; s++) {
        if (bits >= 8) {
            _mm_prefetch((const char *)(block + BYTE_PREFETCH_BYTES + 64 * s), _MM_HINT_T1);
        }
        const __m512i codes = loose_codes(block, bits, s);
        const struct pairs w =
            shifts ? shifted_pairs(codes, bits) : lookup_pairs(high, codes, bits);
        INGOT_UNROLL
        for (int j = 0; j < n_x; j++) {
            __m512 *sum = sums->v + (uses_eight(span, n_x) ? 4 * (s % 2) : 4 * j);
            const __m512i even = pair_of(x->high[j], 2 * s), odd = pair_of(x->high[j], 2 * s + 1);
            sum[0] = bf16_product(sum[0], w.even, even);
            sum[1] = bf16_product(sum[1], w.odd, odd);
            if (x_low) {
                sum[2] = bf16_product(sum[2], w.even, pair_of(x->low[j], 2 * s));
                sum[3] = bf16_product(sum[3], w.odd, pair_of(x->low[j], 2 * s + 1));
            }
            if (has_low) {
                const struct pairs v = lookup_pairs(low, codes, bits);
                sum[2] = bf16_product(sum[2], v.even, even);
                sum[3] = bf16_product(sum[3], v.odd, odd);
            }
        }
    }
}

INGOT_TEMPLATE AVX512 __m512 sum_of(const struct sums *sums, const int j,
                                    const enum group_span span, const int n_x)
{
    const __m512 *v = sums->v + 4 * j;
    const __m512 four = _mm512_add_ps(_mm512_add_ps(v[0], v[1]), _mm512_add_ps(v[2], v[3]));
    if (!uses_eight(span, n_x)) return four;
    return _mm512_add_ps(four, _mm512_add_ps(_mm512_add_ps(v[4], v[5]), _mm512_add_ps(v[6], v[7])));
}

/* The groups of a chunk: totals += scale * units * sums + offset * sums of x. */
INGOT_TEMPLATE AVX512 void end_group(const struct sums *sums, const struct chunk_entries *e,
                                     uint64_t i, const float *const x_sums[2], uint64_t group,
                                     const float units[2], const bool offset,
                                     const enum group_span span, const int n_x, __m512 totals[2])
{
    const __m512 scale = _mm512_loadu_ps(e->scale[i]);
    INGOT_UNROLL
    for (int j = 0; j < n_x; j++) {
        const __m512 sum = _mm512_mul_ps(sum_of(sums, j, span, n_x), _mm512_set1_ps(units[j]));
        totals[j] = _mm512_fmadd_ps(sum, scale, totals[j]);
        if (!offset) continue;
        totals[j] = _mm512_fmadd_ps(_mm512_loadu_ps(e->offset[i]), _mm512_set1_ps(x_sums[j][group]),
                                    totals[j]);
    }
}

INGOT_TEMPLATE AVX512 void prefetch_block(const uint8_t *block, const int bits)
{
    INGOT_UNROLL
    for (int i = 0; i < bits && bits < 8; i++) {
        _mm_prefetch((const char *)(block + PREFETCH_BYTES + 64 * i), _MM_HINT_T1);
    }
}

INGOT_TEMPLATE AVX512 struct sums no_sums(void)
{
    struct sums sums;
    INGOT_UNROLL
    for (int i = 0; i < N_SUMS; i++) sums.v[i] = _mm512_setzero_ps();
    return sums;
}

/* Steps of a block: those of a plain one, of codes that are floats, by shifts. Others of these are
 * summed by themselves, as their values are in another unit. */
INGOT_TEMPLATE AVX512 void add_any_steps(struct sums *sums, const uint8_t *block,
                                         const struct lookup *high, const struct lookup *low,
                                         const struct block_x *x, const int first, const int n,
                                         const int bits, const bool has_low, const bool x_low,
                                         bool is_plain, float value_scale,
                                         const enum group_span span, const int n_x)
{
    if (!are_floats(bits) || is_plain) {
        add_steps(sums, block, high, low, x, first, n, bits, has_low, x_low, are_floats(bits), span,
                  n_x);
        return;
    }
    struct sums own = no_sums();
    const __m512 inverse = _mm512_set1_ps(1 / value_scale);
    add_steps(&own, block, high, low, x, first, n, bits, has_low, x_low, false, span, n_x);
    INGOT_UNROLL
    for (int i = 0; i < N_SUMS; i++) {
        sums->v[i] = _mm512_fmadd_ps(own.v[i], inverse, sums->v[i]);
    }
}

INGOT_TEMPLATE AVX512 void code_panel(const struct panel_job *job, uint64_t panel, uint64_t row,
                                      const int bits, const bool has_low, const bool x_low,
                                      const enum group_span span, const int n_x)
{
    const struct panels *p = job->panels;
    const bool half = span == SPAN_HALF;
    const bool offset = avx512_has_offset(p);
    const struct lookup high = lookup_make(p->high, bits);
    const struct lookup low = has_low ? lookup_make(p->low, bits) : high;
    const uint64_t n_groups = n_main_groups(p);
    const uint8_t *plain = p->floats.plain + panel * p->n_blocks;
    const float value_scale = are_floats(bits) ? float_scale(p) : 1.0f;
    float units[2];
    const uint8_t *block = p->codes + panel * p->n_blocks * p->block_bytes;
    struct block_x x = {{NULL, NULL}, {NULL, NULL}};
    const float *x_sums[2];
    __m512 totals[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    struct chunk_entries e;
    for (int j = 0; j < n_x; j++) {
        const uint64_t at = row + (uint64_t)j;
        x.high[j] = ready_part(job->ready, &job->row, at, job->row.high);
        x_sums[j] = ready_part(job->ready, &job->row, at, job->row.sums);
        if (x_low) x.low[j] = ready_part(job->ready, &job->row, at, job->row.low);
        units[j] = value_scale / load_f32(ready_part(job->ready, &job->row, at, 8));
    }
    for (uint64_t first = 0; first < n_groups; first += CHUNK) {
        const uint64_t n = min_u64(CHUNK, n_groups - first);
        avx512_entries(p, panel, first, n, &e);
        for (uint64_t i = 0; i < n;) {
            struct sums sums = no_sums();
            const uint64_t n_blocks = span == SPAN_BLOCKS ? p->halves / 2 : 1;
            for (uint64_t b = 0; b < n_blocks; b++) {
                prefetch_block(block, bits);
                const bool is_plain = are_floats(bits) && *plain++;
                add_any_steps(&sums, block, &high, &low, &x, 0, half ? STEPS / 2 : STEPS, bits,
                              has_low, x_low, is_plain, value_scale, span, n_x);
                if (half) {
                    end_group(&sums, &e, i, x_sums, first + i, units, offset, span, n_x, totals);
                    sums = no_sums();
                    i++;
                    add_any_steps(&sums, block, &high, &low, &x, STEPS / 2, STEPS / 2, bits,
                                  has_low, x_low, is_plain, value_scale, span, n_x);
                }
                block += p->block_bytes;
                INGOT_UNROLL
                for (int j = 0; j < n_x; j++) {
                    x.high[j] += BLOCK_PAIRS * 4;
                    if (x_low) x.low[j] += BLOCK_PAIRS * 4;
                }
            }
            end_group(&sums, &e, i, x_sums, first + i, units, offset, span, n_x, totals);
            i++;
        }
    }
    const __mmask16 lanes = panel_lanes(p, panel);
    for (int j = 0; j < n_x; j++) {
        const uint64_t at = row + (uint64_t)j;
        float factor;
        memcpy(&factor, ready_part(job->ready, &job->row, at, 0), sizeof factor);
        float *y = job->y + at * job->y_stride + (panel - job->first_panel) * PANEL_ROWS;
        const __m512 before = _mm512_maskz_loadu_ps(lanes, y);
        _mm512_mask_storeu_ps(y, lanes, _mm512_fmadd_ps(totals[j], _mm512_set1_ps(factor), before));
    }
}

INGOT_TEMPLATE AVX512 void code_panels(const struct panel_job *job, const int bits,
                                       const bool has_low, const bool x_low,
                                       const enum group_span span)
{
    for (uint64_t i = 0; i < job->n_panels; i++) {
        uint64_t j = 0;
        for (; job->n_x - j >= 2; j += 2) {
            code_panel(job, job->first_panel + i, j, bits, has_low, x_low, span, 2);
        }
        if (j < job->n_x) {
            code_panel(job, job->first_panel + i, j, bits, has_low, x_low, span, 1);
        }
    }
}

typedef void dot_function(const struct panel_job *job);

#define CODES(bits, has_low, x_low, span)                                                 \
    AVX512 static void codes_##bits##has_low##x_low##_##span(const struct panel_job *job) \
    {                                                                                     \
        code_panels(job, bits, has_low, x_low, span);                                     \
    }
#define CODES_OF_SPAN(bits, span) \
    CODES(bits, 0, 0, span)       \
    CODES(bits, 0, 1, span)       \
    CODES(bits, 1, 1, span)
#define CODES_OF(bits)              \
    CODES_OF_SPAN(bits, SPAN_HALF)  \
    CODES_OF_SPAN(bits, SPAN_BLOCK) \
    CODES_OF_SPAN(bits, SPAN_BLOCKS)
CODES_OF(1)
CODES_OF(2)
CODES_OF(3)
CODES_OF(4)
CODES_OF(5)
CODES_OF(6)
CODES_OF(7)
CODES_OF(8)
/* Signed codes have no low parts. */
#define SIGNED_OF_SPAN(bits, span) \
    CODES(bits, 0, 0, span)        \
    CODES(bits, 0, 1, span)
#define SIGNED_OF(bits)              \
    SIGNED_OF_SPAN(bits, SPAN_HALF)  \
    SIGNED_OF_SPAN(bits, SPAN_BLOCK) \
    SIGNED_OF_SPAN(bits, SPAN_BLOCKS)
SIGNED_OF(9)
SIGNED_OF(10)
SIGNED_OF(11)

/* By bits or SIGNED_BITS; by span; by what is there: nothing low, that of x, that of
 * values too. What x lacks is left out of the values. */
#define SPAN(bits, span)                                                          \
    {                                                                             \
        codes_##bits##00_##span, codes_##bits##01_##span, codes_##bits##11_##span \
    }
#define SIGNED_SPAN(bits, span)                                \
    {                                                          \
        codes_##bits##00_##span, codes_##bits##01_##span, NULL \
    }
#define SIGNED_ROW(bits)                                                   \
    [bits] = {SIGNED_SPAN(bits, SPAN_HALF), SIGNED_SPAN(bits, SPAN_BLOCK), \
              SIGNED_SPAN(bits, SPAN_BLOCKS)}
#define ROW(bits) [bits] = {SPAN(bits, SPAN_HALF), SPAN(bits, SPAN_BLOCK), SPAN(bits, SPAN_BLOCKS)}
static dot_function *const code_functions[N_CODE_BITS][3][3] = {
    ROW(1), ROW(2), ROW(3),        ROW(4),         ROW(5),         ROW(6),
    ROW(7), ROW(8), SIGNED_ROW(9), SIGNED_ROW(10), SIGNED_ROW(11),
};

static enum group_span span_of(const struct panels *p)
{
    if (p->halves == 1) return SPAN_HALF;
    return p->halves == 2 ? SPAN_BLOCK : SPAN_BLOCKS;
}

static void dot_codes(const struct panel_job *job)
{
    const struct panels *p = job->panels;
    const bool x_low = job->row.low != INGOT_NONE;
    uint32_t bits = p->is_signed ? SIGNED_BITS : p->bits;
    if (p->floats.shift != 0) bits = p->floats.shift == 4 ? FLOAT_BITS_4 : FLOAT_BITS_5;
    code_functions[bits][span_of(p)][x_low ? 1 + p->has_low : 0](job);
}

/* ------------------------------------------------------------------ raw floats */

INGOT_TEMPLATE AVX512 __m512 raw_column(const uint8_t *at, const enum panel_kind kind)
{
    if (kind == PANEL_F32) return _mm512_loadu_ps((const float *)(const void *)at);
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)at);
    if (kind == PANEL_F16) return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

INGOT_TEMPLATE AVX512 void raw_panel(const struct panel_job *job, uint64_t panel, uint64_t j,
                                     const enum panel_kind kind)
{
    enum { SUMS = 8 };
    const struct panels *p = job->panels;
    const uint64_t column_bytes = kind == PANEL_F32 ? 64 : 32;
    const uint8_t *column = p->codes + panel * p->n_blocks * p->block_bytes;
    const float *x = ready_part(job->ready, &job->row, j, job->row.floats);
    __m512 sums[SUMS];
    INGOT_UNROLL
    for (int k = 0; k < SUMS; k++) sums[k] = _mm512_setzero_ps();
    for (uint64_t c = 0; c < p->n_blocks * PANEL_BLOCK; c += SUMS) {
        INGOT_UNROLL
        for (int k = 0; k < SUMS; k++) {
            sums[k] = _mm512_fmadd_ps(raw_column(column, kind), _mm512_set1_ps(x[c + (uint64_t)k]),
                                      sums[k]);
            column += column_bytes;
        }
    }
    INGOT_UNROLL
    for (int k = SUMS / 2; k > 0; k /= 2) {
        for (int i = 0; i < k; i++) sums[i] = _mm512_add_ps(sums[i], sums[i + k]);
    }
    const __mmask16 lanes = panel_lanes(p, panel);
    float *y = job->y + j * job->y_stride + (panel - job->first_panel) * PANEL_ROWS;
    _mm512_mask_storeu_ps(y, lanes, _mm512_add_ps(sums[0], _mm512_maskz_loadu_ps(lanes, y)));
}

#define RAW(name, kind)                                        \
    AVX512 static void name(const struct panel_job *job)       \
    {                                                          \
        for (uint64_t i = 0; i < job->n_panels; i++) {         \
            for (uint64_t j = 0; j < job->n_x; j++) {          \
                raw_panel(job, job->first_panel + i, j, kind); \
            }                                                  \
        }                                                      \
    }
RAW(dot_f32, PANEL_F32)
RAW(dot_f16, PANEL_F16)
RAW(dot_bf16, PANEL_BF16)

static dot_function *const kind_functions[N_PANEL_KINDS] = {
    [PANEL_F32] = dot_f32,
    [PANEL_F16] = dot_f16,
    [PANEL_BF16] = dot_bf16,
};

static dot_function *const way_functions[N_READY_WAYS] = {
    [READY_PAIRS] = dot_codes,
    [READY_DIGITS] = avx512_dot_digits,
    [READY_WORDS] = avx512_dot_words,
    [READY_FLOATS] = avx512_dot_floats,
};

static enum ready_way way_of(const struct panel_job *job, uint64_t j)
{
    return (enum ready_way)load_u32(ready_part(job->ready, &job->row, j, 4));
}

/* Rows of x that follow each other and are multiplied in one way, together. */
void avx512_dot(const struct panel_job *job)
{
    const enum panel_kind kind = job->panels->kind;
    if (kind != PANEL_CODES) {
        kind_functions[kind](job);
        return;
    }
    for (uint64_t j = 0; j < job->n_x;) {
        struct panel_job part = *job;
        const enum ready_way way = way_of(job, j);
        part.ready = ready_part(job->ready, &job->row, j, 0);
        part.y += j * job->y_stride;
        part.n_x = 1;
        while (way == READY_PAIRS && j + part.n_x < job->n_x && way_of(job, j + part.n_x) == way) {
            part.n_x++;
        }
        way_functions[way](&part);
        j += part.n_x;
    }
}

#endif

/* Panels of integers times a few rows of x with AVX-512: x is a few 8-bit digits in blocks of 32
 * columns that share a step, and everything within a block is exact. One template a width. */
#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

#include <math.h>

/* ------------------------------------------------------------------ x as digits
 *
 * A block of n digits of x, for 32 columns:
 *
 *     n * 32 bytes   digits, the highest first: x = step * sum over k of digit k * 256^(n - 1 - k)
 *     2 * n i32      of all columns, or of each half where these are groups: of each digit the
 *                    sum, times less zero
 *     f32            step
 *     u32            1: another block for the same columns follows, whose products are added
 */
static uint64_t step_at(const uint32_t n_digits)
{
    return UINT64_C(32) * n_digits + UINT64_C(8) * n_digits;
}

uint64_t avx512_digit_block_bytes(uint32_t n_digits)
{
    return step_at(n_digits) + 8;
}

struct block_values {
    __m512 x[2];
};

INGOT_TEMPLATE AVX512 float largest_of(const struct block_values *v)
{
    return _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(v->x[0]), _mm512_abs_ps(v->x[1])));
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

INGOT_TEMPLATE AVX512 void put_block(const struct block_values *v, float step, float inverse,
                                     const struct panels *p, uint8_t *dst, __m512i q[2],
                                     const uint32_t n_digits)
{
    INGOT_UNROLL
    for (int i = 0; i < 2; i++) {
        q[i] = _mm512_cvtps_epi32(_mm512_mul_ps(v->x[i], _mm512_set1_ps(inverse)));
    }
    __m512i rest[2] = {q[0], q[1]};
    put_digits(rest, p, dst, n_digits);
    store_f32(dst + step_at(n_digits), step * p->integers.unit);
    store_u32(dst + step_at(n_digits) + 4, 0);
}

/* Three digits hold integers up to this. */
static const float most_of_three = 127.0f * 65536 + 127.0f * 256 + 127.0f;

/* The power of two in which `largest` takes three digits. */
static float step_of(float largest)
{
    const uint32_t exponent = f32_bits(largest) >> 23 & 255; /* largest < 2^(exponent - 126) */
    const float step = f32_from_bits((exponent + 127 - 126 - 23) << 23);
    return largest <= most_of_three * step ? step : 2 * step;
}

/* Whether what is left of x is within `share` of what it was. */
INGOT_TEMPLATE AVX512 bool is_near(const struct block_values *rest, const struct block_values *x,
                                   float share)
{
    __mmask16 far = 0;
    INGOT_UNROLL
    for (int i = 0; i < 2; i++) {
        const __m512 most = _mm512_mul_ps(_mm512_abs_ps(x->x[i]), _mm512_set1_ps(share));
        far |= _mm512_cmp_ps_mask(_mm512_abs_ps(rest->x[i]), most, _CMP_NLE_UQ);
    }
    return far == 0;
}

/* Every column's x is off by at most K 2^-24 of itself, which is half of what the bound allows:
 * what three digits leave of columns far below the largest of their block goes to a further block.
 */
AVX512 static bool make_three(const struct panels *p, const float *x, uint8_t *dst, float *sums)
{
    const uint8_t *end = dst + p->n_blocks * DIGIT_LAYERS * avx512_digit_block_bytes(3);
    const float share = (float)p->n_cols * 0x1p-24f;
    float sum = 0;
    for (uint64_t b = 0; b < p->n_blocks; b++) {
        const struct block_values all = {
            {_mm512_loadu_ps(x + 32 * b), _mm512_loadu_ps(x + 32 * b + 16)}};
        struct block_values rest = all;
        for (bool more = true; more;) {
            const float largest = largest_of(&rest);
            const bool is_zero = largest == 0;
            if (dst == end || !(is_zero || (largest >= 0x1p-100f && largest <= 0x1p100f))) {
                return false;
            }
            const float step = is_zero ? 1.0f : step_of(largest);
            __m512i q[2];
            put_block(&rest, step, 1 / step, p, dst, q, 3);
            INGOT_UNROLL
            for (int i = 0; i < 2; i++) {
                rest.x[i] =
                    _mm512_fnmadd_ps(_mm512_cvtepi32_ps(q[i]), _mm512_set1_ps(step), rest.x[i]);
            }
            more = !is_near(&rest, &all, share);
            store_u32(dst + step_at(3) + 4, more);
            dst += avx512_digit_block_bytes(3);
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
        const struct block_values v = {
            {_mm512_loadu_ps(x + 32 * b), _mm512_loadu_ps(x + 32 * b + 16)}};
        const float step = largest_of(&v) / 127.0f;
        __m512i q[2];
        put_block(&v, step, step > 0x1p-120f ? 1.0f / step : 0.0f, p, dst, q, 1);
        dst += avx512_digit_block_bytes(1);
        if (sums == NULL) continue;
        const __m512 taken = _mm512_set1_ps(step);
        sum = avx512_put_sum(p, sums, b, _mm512_mul_ps(_mm512_cvtepi32_ps(q[0]), taken),
                             _mm512_mul_ps(_mm512_cvtepi32_ps(q[1]), taken), sum);
    }
    return true;
}

bool avx512_make_digits(const struct panels *p, const struct ready_row *row, const float *x,
                        uint8_t *ready)
{
    uint8_t *dst = ready + row->digits;
    float *sums = avx512_has_offset(p) ? (float *)(void *)(ready + row->sums) : NULL;
    return row->n_digits == 1 ? make_one(p, x, dst, sums) : make_three(p, x, dst, sums);
}

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
        const __m512 step = _mm512_set1_ps(load_f32(x + step_at(n_digits)));
        const int n = half ? STEPS / 2 : STEPS;
        const __m512 first = digit_steps(block, bytes, x, 0, n, bits, is_code, n_digits);
        sums[0] = _mm512_fmadd_ps(first, step, sums[0]);
        if (half) {
            const __m512 second = digit_steps(block, bytes, x, n, n, bits, is_code, n_digits);
            sums[1] = _mm512_fmadd_ps(second, step, sums[1]);
        }
        more = n_digits > 1 && load_u32(x + step_at(n_digits) + 4) != 0;
        x += step_at(n_digits) + 8;
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

/* Far ahead into the second cache where computing takes about as long as reading; nearer, into the
 * first, where it does not. */
INGOT_TEMPLATE AVX512 void fetch_block(const uint8_t *block, const int bits)
{
    enum { FAR_BYTES = 16384, NEAR_BYTES = 4096 };
    INGOT_UNROLL
    for (int k = 0; k < bits; k++) {
        if (bits == 8) {
            _mm_prefetch((const char *)(block + NEAR_BYTES + 64 * k), _MM_HINT_T0);
        } else {
            _mm_prefetch((const char *)(block + FAR_BYTES + 64 * k), _MM_HINT_T1);
        }
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

INGOT_TEMPLATE AVX512 __m512 entry_of(const uint8_t *entries, uint64_t i,
                                      const enum panel_entries kind)
{
    if (kind == ENTRIES_F16) {
        const uint8_t *at = entries + 2 * PANEL_ROWS * i;
        return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
    }
    const uint8_t *at = entries + PANEL_ROWS * i;
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v));
}

/* Entries read as they are needed: those of a super, or all if there is none, are summed before
 * they are multiplied by it. */
INGOT_TEMPLATE AVX512 __m512 by_supers(const struct panels *p, uint64_t panel, struct walk at,
                                       const float *x_sums, const int bits, const bool is_code,
                                       const bool half, const uint32_t n_digits,
                                       const enum panel_entries kind)
{
    const uint64_t n_groups = n_main_groups(p);
    const uint64_t entry_bytes = kind == ENTRIES_F16 ? 2 : 1,
                   group_bytes = PANEL_ROWS * entry_bytes;
    const uint64_t n_super = kind == ENTRIES_F16 ? n_groups : p->scale.super_groups;
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
                sum = _mm512_fmadd_ps(sums[k], entry_of(scale, i + k, kind), sum);
                if (x_sums == NULL) continue;
                const __m512 x_sum = _mm512_set1_ps(x_sums[i + k]);
                offset = _mm512_fmadd_ps(x_sum, entry_of(bias, i + k, kind), offset);
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
                                       const enum panel_entries kind)
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
    const __m512 total = kind == ENTRIES_NONE
                             ? by_chunks(p, panel, at, x_sums, bits, is_code, half, n_digits)
                             : by_supers(p, panel, at, x_sums, bits, is_code, half, n_digits, kind);
    const __mmask16 lanes = panel_lanes(p, panel);
    const __m512 factor = _mm512_set1_ps(load_f32(ready_part(job->ready, &job->row, 0, 0)));
    float *y = job->y + (panel - job->first_panel) * PANEL_ROWS;
    const __m512 before = _mm512_maskz_loadu_ps(lanes, y);
    _mm512_mask_storeu_ps(y, lanes, _mm512_fmadd_ps(total, factor, before));
}

typedef void digit_function(const struct panel_job *job, uint64_t panel);

#define DIGITS(bits, is_code, half, n_digits, kind)                                              \
    AVX512 static void digits_##bits##is_code##half##n_digits##kind(const struct panel_job *job, \
                                                                    uint64_t panel)              \
    {                                                                                            \
        digit_panel(job, panel, bits, is_code, half, n_digits, kind);                            \
    }
#define DIGITS_BY(bits, is_code, kind) \
    DIGITS(bits, is_code, 0, 1, kind)  \
    DIGITS(bits, is_code, 0, 3, kind)  \
    DIGITS(bits, is_code, 1, 1, kind)  \
    DIGITS(bits, is_code, 1, 3, kind)
#define DIGITS_OF(bits, is_code)           \
    DIGITS_BY(bits, is_code, ENTRIES_NONE) \
    DIGITS_BY(bits, is_code, ENTRIES_F16) DIGITS_BY(bits, is_code, ENTRIES_INTEGERS)
#define DIGITS_OF_BOTH(bits) DIGITS_OF(bits, 0) DIGITS_OF(bits, 1)
DIGITS_OF_BOTH(1)
DIGITS_OF_BOTH(2)
DIGITS_OF_BOTH(3)
DIGITS_OF_BOTH(4)
DIGITS_OF_BOTH(5)
DIGITS_OF_BOTH(6)
DIGITS_OF(7, 1)
DIGITS_OF(8, 1)

/* By bits; by is_code, as values of more than 6 bits are never looked up; by how entries are read,
 * ENTRIES_NONE being by chunks; by whether halves are groups; by whether there are three digits. */
#define WAYS_BY(bits, is_code, kind)                                          \
    [kind] = {                                                                \
        {digits_##bits##is_code##01##kind, digits_##bits##is_code##03##kind}, \
        {digits_##bits##is_code##11##kind, digits_##bits##is_code##13##kind}, \
    }
#define WAYS(bits, is_code)                                                        \
    {                                                                              \
        WAYS_BY(bits, is_code, ENTRIES_NONE), WAYS_BY(bits, is_code, ENTRIES_F16), \
            WAYS_BY(bits, is_code, ENTRIES_INTEGERS)                               \
    }
#define ROW(bits) [bits] = {WAYS(bits, 0), WAYS(bits, 1)}
static digit_function *const digit_functions[PANEL_MAX_BITS + 1][2][N_PANEL_ENTRIES][2][2] = {
    ROW(1),
    ROW(2),
    ROW(3),
    ROW(4),
    ROW(5),
    ROW(6),
    [7] = {[1] = WAYS(7, 1)},
    [8] = {[1] = WAYS(8, 1)},
};

/* How entries can be read one by one: those of offsets as those of scales. */
static enum panel_entries kind_of(const struct panels *p)
{
    const struct panel_table *scale = &p->scale, *bias = &p->bias;
    const bool is_kind = scale->kind == ENTRIES_F16 || scale->kind == ENTRIES_INTEGERS;
    if (!is_kind || scale->halves != p->halves || scale->add != 0) return ENTRIES_NONE;
    if (p->halves == 1 && scale->super_groups % 2 != 0) return ENTRIES_NONE;
    if (p->zero.kind != ENTRIES_NONE || p->bias_constant != 0) return ENTRIES_NONE;
    if (bias->kind == ENTRIES_NONE) return scale->kind;
    const bool alike = bias->kind == scale->kind && bias->halves == scale->halves &&
                       bias->super_groups == scale->super_groups && bias->add == 0;
    return alike ? scale->kind : ENTRIES_NONE;
}

void avx512_dot_digits(const struct panel_job *job)
{
    const struct panels *p = job->panels;
    const bool three = job->row.n_digits == 3;
    digit_function *const dot =
        digit_functions[p->bits][p->integers.is_code][kind_of(p)][p->halves == 1][three];
    for (uint64_t i = 0; i < job->n_panels; i++) dot(job, job->first_panel + i);
}

#endif

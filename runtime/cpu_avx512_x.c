/* x made ready for panels, and the entries of their slots, with AVX-512. Multiplies nothing. */
#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

#include <float.h>
#include <math.h>

/* ------------------------------------------------------------------ entries of slots */

typedef float entry_rows[PANEL_ROWS];

/* What entry i is multiplied by, before the constants. */
INGOT_TEMPLATE AVX512 __m512 super_of(const struct panel_table *t, uint64_t panel, uint64_t i)
{
    const uint64_t at = (panel * t->n_supers + i / t->super_groups) * PANEL_ROWS;
    const uint8_t *supers = t->supers;
    if (!t->supers_are_f16) return _mm512_loadu_ps((const float *)(const void *)(supers + 4 * at));
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(supers + 2 * at)));
}

/* Byte k of the entries of codes. */
INGOT_TEMPLATE AVX512 __m512i lookup_byte(const struct panel_table *t, const int k, __m512i codes)
{
    const uint8_t *bytes = t->lut_bytes[k];
    const __m512i low = _mm512_permutex2var_epi8(load_512(bytes), codes, load_512(bytes + 64));
    const __m512i high =
        _mm512_permutex2var_epi8(load_512(bytes + 128), codes, load_512(bytes + 192));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high);
}

/* The entries of four groups of codes, all four bytes of them or the two of a bf16. Within each 128
 * bits bytes become floats, four lanes a register; then registers change places with groups. */
INGOT_TEMPLATE AVX512 void lookup_four(const struct panel_table *t, __m512i codes, __m512 v[4],
                                       const bool is_bf16)
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i b0 = is_bf16 ? zero : lookup_byte(t, 0, codes);
    const __m512i b1 = is_bf16 ? zero : lookup_byte(t, 1, codes);
    const __m512i b2 = lookup_byte(t, 2, codes), b3 = lookup_byte(t, 3, codes);
    const __m512i low[2] = {_mm512_unpacklo_epi8(b0, b1), _mm512_unpackhi_epi8(b0, b1)};
    const __m512i high[2] = {_mm512_unpacklo_epi8(b2, b3), _mm512_unpackhi_epi8(b2, b3)};
    __m512i of_groups[4], pairs[4];
    INGOT_UNROLL
    for (int i = 0; i < 2; i++) {
        of_groups[2 * i] = _mm512_unpacklo_epi16(low[i], high[i]);
        of_groups[2 * i + 1] = _mm512_unpackhi_epi16(low[i], high[i]);
    }
    INGOT_UNROLL
    for (int i = 0; i < 2; i++) { /* lanes 8 i to 8 i + 7 of groups 0 and 1, then of 2 and 3 */
        pairs[i] = _mm512_shuffle_i32x4(of_groups[2 * i], of_groups[2 * i + 1], 0x44);
        pairs[2 + i] = _mm512_shuffle_i32x4(of_groups[2 * i], of_groups[2 * i + 1], 0xee);
    }
    INGOT_UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i *both = pairs + 2 * (i / 2);
        v[i] = _mm512_castsi512_ps(i % 2 == 0 ? _mm512_shuffle_i32x4(both[0], both[1], 0x88)
                                              : _mm512_shuffle_i32x4(both[0], both[1], 0xdd));
    }
}

/* Asks for what comes after the n_bytes at `at`, three times as much further on: entries are read
 * in bursts, which the CPU's own prefetching does not see coming. */
static void fetch_ahead(const uint8_t *at, uint64_t n_bytes)
{
    for (uint64_t i = 0; i < n_bytes; i += 64) {
        _mm_prefetch((const char *)(at + 3 * n_bytes + i), _MM_HINT_T1);
    }
}

/* Codes through a table, four groups at a time; may write three more than n. */
INGOT_TEMPLATE AVX512 void looked_up_entries(const struct panel_table *t, uint64_t panel,
                                             uint64_t first, uint64_t n, entry_rows *dst,
                                             const bool is_bf16)
{
    const uint8_t *codes = (const uint8_t *)t->entries + (panel * t->n_groups + first) * PANEL_ROWS;
    const __m512 add = _mm512_set1_ps(t->add * t->factor), factor = _mm512_set1_ps(t->factor);
    uint64_t n_left = 0; /* groups that share the super in hand */
    __m512 super = factor;
    fetch_ahead(codes, n * PANEL_ROWS);
    for (uint64_t i = 0; i < n; i += 4) { /* codes are followed by slack */
        __m512 v[4];
        lookup_four(t, load_512(codes + i * PANEL_ROWS), v, is_bf16);
        INGOT_UNROLL
        for (uint64_t k = 0; k < 4; k++) {
            if (n_left == 0 && i + k < n) {
                super = _mm512_mul_ps(super_of(t, panel, first + i + k), factor);
                n_left = t->super_groups - (first + i + k) % t->super_groups;
            }
            n_left--;
            _mm512_storeu_ps(dst[i + k], _mm512_fmadd_ps(v[k], super, add));
        }
    }
}

AVX512 static void bf16_entries(const struct panel_table *t, uint64_t panel, uint64_t first,
                                uint64_t n, entry_rows *dst)
{
    looked_up_entries(t, panel, first, n, dst, true);
}

AVX512 static void f32_entries(const struct panel_table *t, uint64_t panel, uint64_t first,
                               uint64_t n, entry_rows *dst)
{
    looked_up_entries(t, panel, first, n, dst, false);
}

/* Integers, of which those of super_groups groups share what they are multiplied by. */
AVX512 static void integer_entries(const struct panel_table *t, uint64_t panel, uint64_t first,
                                   uint64_t n, entry_rows *dst)
{
    const uint8_t *entries =
        (const uint8_t *)t->entries + (panel * t->n_groups + first) * PANEL_ROWS;
    const __m512 add = _mm512_set1_ps(t->add * t->factor), factor = _mm512_set1_ps(t->factor);
    fetch_ahead(entries, n * PANEL_ROWS);
    for (uint64_t i = 0; i < n;) {
        const uint64_t end = ((first + i) / t->super_groups + 1) * t->super_groups - first;
        const __m512 super = _mm512_mul_ps(super_of(t, panel, first + i), factor);
        for (; i < n && i < end; i++) {
            const __m128i v =
                _mm_loadu_si128((const __m128i *)(const void *)(entries + i * PANEL_ROWS));
            _mm512_storeu_ps(
                dst[i], _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v)), super, add));
        }
    }
}

AVX512 __m512 avx512_super(const struct panel_table *t, uint64_t panel, uint64_t i)
{
    const float unit = t->codes_are == CODES_ANY ? 1.0f : t->lut_unit;
    const __m512 factor = _mm512_set1_ps(t->factor * unit);
    if (t->kind == ENTRIES_F16 || t->kind == ENTRIES_F32) return factor;
    return _mm512_mul_ps(super_of(t, panel, i), factor);
}

AVX512 static void flat_entries(const struct panel_table *t, uint64_t panel, uint64_t first,
                                uint64_t n, entry_rows *dst)
{
    const uint64_t at = (panel * t->n_groups + first) * PANEL_ROWS;
    const uint8_t *entries = t->entries;
    const __m512 add = _mm512_set1_ps(t->add), factor = _mm512_set1_ps(t->factor);
    const uint64_t bytes = t->kind == ENTRIES_F32 ? 4 : 2;
    fetch_ahead(entries + bytes * at, bytes * n * PANEL_ROWS);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t k = at + i * PANEL_ROWS;
        __m512 v;
        if (t->kind == ENTRIES_F32) {
            v = _mm512_loadu_ps((const float *)(const void *)(entries + 4 * k));
        } else {
            v = _mm512_cvtph_ps(
                _mm256_loadu_si256((const __m256i *)(const void *)(entries + 2 * k)));
        }
        _mm512_storeu_ps(dst[i], _mm512_mul_ps(_mm512_add_ps(v, add), factor));
    }
}

/* Entries of main groups [first, first + n). */
static void table_entries(const struct panels *p, const struct panel_table *t, uint64_t panel,
                          uint64_t first, uint64_t n, entry_rows *dst)
{
    const uint64_t ratio = t->halves / p->halves; /* main groups of an entry */
    const uint64_t begin = first / ratio, n_own = (first + n - 1) / ratio + 1 - begin;
    entry_rows own[CHUNK + 4];
    entry_rows *entries = ratio == 1 ? dst : own;
    if (t->kind == ENTRIES_INTEGERS) {
        integer_entries(t, panel, begin, n_own, entries);
    } else if (t->kind != ENTRIES_CODES) {
        flat_entries(t, panel, begin, n_own, entries);
    } else if (t->lut_is_bf16) {
        bf16_entries(t, panel, begin, n_own, entries);
    } else {
        f32_entries(t, panel, begin, n_own, entries);
    }
    for (uint64_t i = 0; ratio > 1 && i < n; i++) {
        memcpy(dst[i], own[(first + i) / ratio - begin], sizeof *dst);
    }
}

bool avx512_has_offset(const struct panels *p)
{
    return p->zero.kind != ENTRIES_NONE || p->bias.kind != ENTRIES_NONE || p->bias_constant != 0;
}

AVX512 void avx512_entries(const struct panels *p, uint64_t panel, uint64_t first, uint64_t n,
                           struct chunk_entries *e)
{
    entry_rows other[CHUNK + 4];
    if (p->scale.kind != ENTRIES_NONE) {
        table_entries(p, &p->scale, panel, first, n, e->scale);
    } else {
        for (uint64_t i = 0; i < n; i++) {
            _mm512_storeu_ps(e->scale[i], _mm512_set1_ps(p->scale.factor));
        }
    }
    if (!avx512_has_offset(p)) return;
    const bool has_bias = p->bias.kind != ENTRIES_NONE;
    if (has_bias && p->bias_constant == 0) table_entries(p, &p->bias, panel, first, n, e->offset);
    for (uint64_t i = 0; i < n && !(has_bias && p->bias_constant == 0); i++) {
        _mm512_storeu_ps(e->offset[i], _mm512_set1_ps(p->bias_constant));
    }
    if (has_bias && p->bias_constant != 0) {
        table_entries(p, &p->bias, panel, first, n, other);
        for (uint64_t i = 0; i < n; i++) {
            const __m512 sum =
                _mm512_add_ps(_mm512_loadu_ps(e->offset[i]), _mm512_loadu_ps(other[i]));
            _mm512_storeu_ps(e->offset[i], sum);
        }
    }
    if (p->zero.kind != ENTRIES_NONE) {
        table_entries(p, &p->zero, panel, first, n, other);
        for (uint64_t i = 0; i < n; i++) {
            const __m512 sum =
                _mm512_fnmadd_ps(_mm512_loadu_ps(other[i]), _mm512_loadu_ps(e->scale[i]),
                                 _mm512_loadu_ps(e->offset[i]));
            _mm512_storeu_ps(e->offset[i], sum);
        }
    }
}

/* ------------------------------------------------------------------ the parts of a row */

static uint64_t part_after(struct ready_row *row, uint64_t n_bytes)
{
    const uint64_t at = row->n_bytes;
    row->n_bytes += ceil_div(n_bytes, 64) * 64;
    return at;
}

/* Of a few rows of x by codes; 0: they have no integers. */
static uint32_t n_digits_of(const struct panels *p, enum panel_mode mode)
{
    if (p->integers.present) return mode == PANEL_MODE_I8 ? ONE_DIGIT : THREE_DIGITS;
    if (!p->words.present || mode != PANEL_MODE_F32) return 0;
    return p->halves % 4 == 0 ? WIDE_WORDS : TWO_WORDS;
}

struct ready_row avx512_ready_row(const struct panels *p, enum panel_mode mode, uint64_t n_x)
{
    struct ready_row row = {.n_bytes = 64}; /* the factor */
    const uint64_t n_cols = p->n_blocks * PANEL_BLOCK;
    const bool dots = n_x <= DOT_X;
    row.high = row.low = row.bytes = row.scales = row.starts = row.sums = row.digits = INGOT_NONE;
    row.floats = part_after(&row, n_cols * 4);
    if (dots) row.n_digits = n_digits_of(p, mode);
    if (row.n_digits > 0) row.digits = part_after(&row, avx512_digits_bytes(p, row.n_digits));
    if (row.n_digits == ONE_DIGIT) {
        row.sums = part_after(&row, n_main_groups(p) * 4);
        return row;
    }
    if (mode == PANEL_MODE_I8 && p->kind == PANEL_CODES) {
        row.bytes = part_after(&row, n_cols);
        row.scales = part_after(&row, p->n_blocks * 4);
        row.starts = part_after(&row, p->n_blocks * 8);
        row.sums = part_after(&row, n_main_groups(p) * 4);
        return row;
    }
    const bool has_pairs = dots ? p->kind == PANEL_CODES : mode != PANEL_MODE_F32;
    if (has_pairs) row.high = part_after(&row, n_cols * 2);
    if (has_pairs && mode == PANEL_MODE_F32) row.low = part_after(&row, n_cols * 2);
    if (has_pairs && dots) row.sums = part_after(&row, n_main_groups(p) * 4);
    /* Rows that are a power of two apart would share the sets of the first cache. */
    if (row.n_bytes % 4096 == 0) row.n_bytes += 64;
    return row;
}

uint64_t avx512_x_bytes(const struct panels *p, enum panel_mode mode, uint64_t n_x)
{
    return avx512_ready_row(p, mode, n_x).n_bytes * (n_x + (n_x > DOT_X ? X_PADDING : 0));
}

/* ------------------------------------------------------------------ making it ready */

/* Columns in the panels' order, times their factors, zeros where there is none. */
static void take_columns(const struct panels *p, const float *x, float *dst)
{
    const uint64_t n = p->n_blocks * PANEL_BLOCK;
    if (p->order == NULL) {
        memcpy(dst, x, (size_t)p->n_cols * sizeof *dst);
        for (uint64_t i = 0; p->x_factor != 1.0f && i < p->n_cols; i++) dst[i] *= p->x_factor;
        for (uint64_t i = p->n_cols; i < n; i++) dst[i] = 0.0f;
        for (uint64_t i = 0; p->x_factors != NULL && i < p->n_cols; i++) dst[i] *= p->x_factors[i];
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t c = p->order[i];
        dst[i] = c == INGOT_NONE ? 0.0f : x[c] * p->x_factor;
        if (c != INGOT_NONE && p->x_factors != NULL) dst[i] *= p->x_factors[c];
    }
}

AVX512 struct extent avx512_extent(const float *x, uint64_t n)
{
    const __m512 zero = _mm512_setzero_ps();
    __m512 most = zero, least = _mm512_set1_ps(INFINITY);
    for (uint64_t i = 0; i < n; i += 16) {
        const __m512 v = _mm512_abs_ps(_mm512_loadu_ps(x + i));
        most = _mm512_max_ps(most, v);
        least = _mm512_mask_min_ps(least, _mm512_cmp_ps_mask(v, zero, _CMP_GT_OQ), least, v);
    }
    return (struct extent){_mm512_reduce_min_ps(least), _mm512_reduce_max_ps(most)};
}

enum { NEAR = 60 };

AVX512 float avx512_bring_near(float *x, uint64_t n, bool *is_exact)
{
    const struct extent extent = avx512_extent(x, n);
    int exponent;
    *is_exact = true;
    if (!(extent.most > 0) || !isfinite(extent.most)) return 1.0f;
    frexpf(extent.most, &exponent);
    /* No further than that, lest products with huge weights be infinite. */
    exponent = exponent > NEAR ? exponent - NEAR : exponent < -NEAR ? exponent + NEAR : 0;
    *is_exact = exponent <= 0 || ldexpf(extent.least, -exponent) >= FLT_MIN;
    /* In two steps, as their product may be more than an f32 holds. */
    const __m512 first = _mm512_set1_ps(ldexpf(1.0f, -exponent / 2));
    const __m512 second = _mm512_set1_ps(ldexpf(1.0f, -exponent - -exponent / 2));
    for (uint64_t i = 0; exponent != 0 && i < n; i += 16) {
        const __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x + i), first);
        _mm512_storeu_ps(x + i, _mm512_mul_ps(v, second));
    }
    return ldexpf(1.0f, exponent);
}

/* Of x times `lift`, a power of two; the sums are those of x. */
AVX512 static void make_pairs(const struct panels *p, const struct ready_row *row, uint8_t *ready,
                              const float *x, float lift)
{
    const __m512 up = _mm512_set1_ps(lift), down = _mm512_set1_ps(1 / lift);
    const bool has_sums = row->sums != INGOT_NONE, has_low = row->low != INGOT_NONE;
    float *sums = (float *)(void *)(ready + row->sums);
    float sum = 0;
    for (uint64_t b = 0; b < p->n_blocks; b++) {
        const __m512 x0 = _mm512_mul_ps(_mm512_loadu_ps(x + 32 * b), up);
        const __m512 x1 = _mm512_mul_ps(_mm512_loadu_ps(x + 32 * b + 16), up);
        const __m256bh h0 = _mm512_cvtneps_pbh(x0), h1 = _mm512_cvtneps_pbh(x1);
        __m512 s0 = bf16_floats(h0), s1 = bf16_floats(h1);
        _mm512_storeu_si512(ready + row->high + 64 * b, pair_up((__m256i)h0, (__m256i)h1));
        if (has_low) {
            const __m256bh l0 = _mm512_cvtneps_pbh(bf16_rest(x0, h0));
            const __m256bh l1 = _mm512_cvtneps_pbh(bf16_rest(x1, h1));
            _mm512_storeu_si512(ready + row->low + 64 * b, pair_up((__m256i)l0, (__m256i)l1));
            s0 = _mm512_add_ps(s0, bf16_floats(l0));
            s1 = _mm512_add_ps(s1, bf16_floats(l1));
        }
        if (!has_sums) continue;
        s0 = _mm512_mul_ps(s0, down);
        s1 = _mm512_mul_ps(s1, down);
        sum = avx512_put_sum(p, sums, b, s0, s1, sum);
    }
}

/* Each block of 32 has a scale of its own, so an outlier harms its block alone. */
AVX512 static void make_bytes(const struct panels *p, const struct ready_row *row, uint8_t *ready,
                              const float *x)
{
    float *scales = (float *)(void *)(ready + row->scales);
    float *sums = (float *)(void *)(ready + row->sums);
    int32_t *starts = (int32_t *)(void *)(ready + row->starts);
    const int32_t zero = p->integers.zero;
    float sum = 0;
    for (uint64_t b = 0; b < p->n_blocks; b++) {
        const __m512 x0 = _mm512_loadu_ps(x + 32 * b), x1 = _mm512_loadu_ps(x + 32 * b + 16);
        const float most =
            _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(x0), _mm512_abs_ps(x1)));
        const float scale = most / 127.0f;
        const __m512 inverse = _mm512_set1_ps(scale > 0x1p-120f ? 1.0f / scale : 0.0f);
        const __m512i i0 = _mm512_cvtps_epi32(_mm512_mul_ps(x0, inverse));
        const __m512i i1 = _mm512_cvtps_epi32(_mm512_mul_ps(x1, inverse));
        __m128i *bytes = (__m128i *)(void *)(ready + row->bytes + 32 * b);
        _mm_storeu_si128(bytes, _mm512_cvtsepi32_epi8(i0));
        _mm_storeu_si128(bytes + 1, _mm512_cvtsepi32_epi8(i1));
        const int32_t first = _mm512_reduce_add_epi32(i0), second = _mm512_reduce_add_epi32(i1);
        scales[b] = scale;
        if (p->halves == 1) {
            starts[2 * b] = -zero * first;
            starts[2 * b + 1] = -zero * second;
            sums[2 * b] = scale * (float)first;
            sums[2 * b + 1] = scale * (float)second;
            continue;
        }
        starts[2 * b] = -zero * (first + second);
        sum += scale * (float)(first + second);
        if ((2 * b + 2) % p->halves != 0) continue;
        sums[2 * b / p->halves] = sum;
        sum = 0;
    }
}

/* Few rows of x by codes: as digits, else as pairs, else as they are. Products of bf16 take every
 * column unless one is so far below the largest that a part of it is a subnormal. */
static void make_few(const struct panels *p, const struct ready_row *row, const float *x,
                     uint8_t *own)
{
    const uint64_t n = p->n_blocks * PANEL_BLOCK;
    const bool lifts = p->floats.shift != 0;
    float lift = 1.0f;
    float *floats = (float *)(void *)(own + row->floats);
    float factor = 1.0f;
    bool is_exact = true;
    enum ready_way way = READY_FLOATS;
    if (row->n_digits != ONE_DIGIT) factor = avx512_bring_near(floats, n, &is_exact);
    if (is_exact && row->digits != INGOT_NONE && avx512_make_digits(p, row, floats, own)) {
        way = digits_are_words(row->n_digits) ? READY_WORDS : READY_DIGITS;
    } else if (is_exact) {
        const struct extent extent = avx512_extent(floats, n);
        if (lifts) lift = float_lift(extent.most);
        const bool fits = !(extent.least * lift < (lifts ? FLOAT_LEAST : 0x1p-70f));
        way = fits && !(lifts && isinf(extent.most)) ? READY_PAIRS : READY_FLOATS;
    }
    if (way == READY_PAIRS) make_pairs(p, row, own, floats, lift);
    if (way == READY_FLOATS) {
        factor = 1.0f;
        take_columns(p, x, floats);
    }
    store_f32(own, factor);
    store_u32(own + 4, way);
    store_f32(own + 8, lift);
}

static void make_many(const struct panels *p, const struct ready_row *row, uint8_t *own)
{
    float *floats = (float *)(void *)(own + row->floats);
    float factor = 1.0f;
    bool is_exact;
    if (row->high != INGOT_NONE) {
        factor = avx512_bring_near(floats, p->n_blocks * PANEL_BLOCK, &is_exact);
        make_pairs(p, row, own, floats, 1.0f);
    }
    if (row->bytes != INGOT_NONE) make_bytes(p, row, own, floats);
    store_f32(own, factor);
}

void avx512_x_prepare(const struct panels *p, enum panel_mode mode, const float *x,
                      uint64_t x_stride, uint64_t n_x, uint64_t first, uint64_t n, void *ready)
{
    const struct ready_row row = avx512_ready_row(p, mode, n_x);
    for (uint64_t j = first; j < first + n; j++) {
        uint8_t *own = (uint8_t *)ready + j * row.n_bytes;
        float *floats = (float *)(void *)(own + row.floats);
        take_columns(p, x + j * x_stride, floats);
        if (n_x <= DOT_X && p->kind == PANEL_CODES) {
            make_few(p, &row, x + j * x_stride, own);
        } else {
            make_many(p, &row, own);
        }
    }
    if (n_x <= DOT_X || first + n < n_x) return;
    memset((uint8_t *)ready + n_x * row.n_bytes, 0, (size_t)(X_PADDING * row.n_bytes));
}

#endif

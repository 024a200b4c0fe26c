/* Panels with AVX2, x as it is: codes become floats, by counting or from tables, and weights are
 * exactly those of the formula; only where a single row of x meets weights without offsets, the
 * sum of its products is scaled in their place. */
#include "runtime/cpu_avx2.h"

#ifdef INGOT_X86_64

#include <math.h>

#include "format/floats.h"

enum { STEPS = AVX2_STEPS, HALVES = AVX2_HALVES };

enum { X_TILE = 6 /* rows of x that are multiplied at once */ };

/* All weights of a block: half h of column c. */
struct block_weights {
    __m256 v[PANEL_BLOCK][HALVES];
};

/* ------------------------------------------------------------------ weights as floats */

/* What the values of codes are made from. */
struct value_table {
    float values[256];
    __m256 low; /* of up to 4 bits */
    __m256 high;
    __m256 zero;
    __m256i zero_bytes;
    __m128i down; /* of panel_floats */
    __m256i mask;
    __m256 unit;
};

/* Columns 4 s + b of a step from its codes, b being a constant. */
typedef __m256 value_function(const struct value_table *t, __m256i codes, const int b);

INGOT_TEMPLATE AVX2 __m256i byte_of(__m256i bytes, const int b)
{
    const __m256i moved = b > 0 ? _mm256_srli_epi32(bytes, 8 * b) : bytes;
    return b == 3 ? moved : _mm256_and_si256(moved, _mm256_set1_epi32(0xff));
}

/* Integers but for a constant; those of which it leaves a signed byte. */
INGOT_TEMPLATE AVX2 __m256 counted(const struct value_table *t, __m256i codes, const int b)
{
    return _mm256_sub_ps(_mm256_cvtepi32_ps(byte_of(codes, b)), t->zero);
}

INGOT_TEMPLATE AVX2 __m256 counted_byte(const struct value_table *t, __m256i codes, const int b)
{
    const __m256i bytes = _mm256_sub_epi8(codes, t->zero_bytes);
    const __m256i top = b < 3 ? _mm256_slli_epi32(bytes, 24 - 8 * b) : bytes;
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(top, 24));
}

/* Of up to 4 bits: one of eight values each from two tables. */
INGOT_TEMPLATE AVX2 __m256 permuted(const struct value_table *t, __m256i codes, const int b)
{
    const __m256i code = b > 0 ? _mm256_srli_epi32(codes, 8 * b) : codes;
    const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(code, 28));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(t->low, code),
                            _mm256_permutevar8x32_ps(t->high, code), upper);
}

INGOT_TEMPLATE AVX2 __m256 gathered(const struct value_table *t, __m256i codes, const int b)
{
    return _mm256_i32gather_ps(t->values, byte_of(codes, b), 4);
}

/* Plain codes of panel_floats. */
INGOT_TEMPLATE AVX2 __m256 shifted(const struct value_table *t, __m256i codes, const int b)
{
    const __m256i top = b < 3 ? _mm256_slli_epi32(codes, 24 - 8 * b) : codes;
    const __m256i bits = _mm256_and_si256(_mm256_sra_epi32(top, t->down), t->mask);
    return _mm256_mul_ps(_mm256_castsi256_ps(bits), t->unit);
}

INGOT_TEMPLATE AVX2 void take_values(const struct value_table *t, const struct avx2_bytes *codes,
                                     struct block_weights *w, value_function *value)
{
    for (int s = 0; s < STEPS; s++) {
        INGOT_UNROLL
        for (int h = 0; h < HALVES; h++) {
            INGOT_UNROLL
            for (int b = 0; b < 4; b++) w->v[4 * s + b][h] = value(t, codes->v[s][h], b);
        }
    }
}

/* One row of x times the columns of n steps, that share their entries. Without a bias the sum of
 * products is scaled, in place of each weight. */
INGOT_TEMPLATE AVX2 void add_row(const struct value_table *t, const struct avx2_bytes *codes,
                                 const struct avx2_entries *e, const bool has_zeros,
                                 const bool has_bias, const float *x, int first, int n,
                                 float sums[PANEL_ROWS], value_function *value)
{
    const __m256 none = _mm256_setzero_ps();
    __m256 sum[4][HALVES] = {{none, none}, {none, none}, {none, none}, {none, none}};
    for (int s = first; s < first + n; s++) {
        INGOT_UNROLL
        for (int b = 0; b < 4; b++) {
            const __m256 v = _mm256_broadcast_ss(x + 4 * s + b);
            INGOT_UNROLL
            for (int h = 0; h < HALVES; h++) {
                __m256 w = value(t, codes->v[s][h], b);
                if (has_zeros) w = _mm256_sub_ps(w, e->zero[h]);
                if (has_bias) w = _mm256_fmadd_ps(w, e->scale[h], e->bias[h]);
                sum[b][h] = _mm256_fmadd_ps(w, v, sum[b][h]);
            }
        }
    }
    INGOT_UNROLL
    for (int h = 0; h < HALVES; h++) {
        const __m256 all =
            _mm256_add_ps(_mm256_add_ps(sum[0][h], sum[1][h]), _mm256_add_ps(sum[2][h], sum[3][h]));
        const __m256 before = _mm256_loadu_ps(sums + 8 * h);
        _mm256_storeu_ps(sums + 8 * h, has_bias ? _mm256_add_ps(before, all)
                                                : _mm256_fmadd_ps(all, e->scale[h], before));
    }
}

#define EACH_VALUE(ROW) ROW(counted) ROW(counted_byte) ROW(permuted) ROW(gathered) ROW(shifted)
#define DEFINE(value)                                                                              \
    AVX2 static void take_##value(const struct value_table *t, const struct avx2_bytes *codes,     \
                                  struct block_weights *w)                                         \
    {                                                                                              \
        take_values(t, codes, w, value);                                                           \
    }                                                                                              \
    AVX2 static void row_##value(const struct value_table *t, const struct avx2_bytes *codes,      \
                                 const struct avx2_entries *e, bool has_zeros, bool has_bias,      \
                                 const float *x, int first, int n, float sums[PANEL_ROWS])         \
    {                                                                                              \
        if (has_bias && has_zeros) add_row(t, codes, e, true, true, x, first, n, sums, value);     \
        if (has_bias && !has_zeros) add_row(t, codes, e, false, true, x, first, n, sums, value);   \
        if (!has_bias && has_zeros) add_row(t, codes, e, true, false, x, first, n, sums, value);   \
        if (!has_bias && !has_zeros) add_row(t, codes, e, false, false, x, first, n, sums, value); \
    }
EACH_VALUE(DEFINE)
#undef DEFINE

struct value_way {
    void (*take)(const struct value_table *t, const struct avx2_bytes *codes,
                 struct block_weights *w);
    void (*row)(const struct value_table *t, const struct avx2_bytes *codes,
                const struct avx2_entries *e, bool has_zeros, bool has_bias, const float *x,
                int first, int n, float sums[PANEL_ROWS]);
};

/* How a coding's values are made, and from what; `plain`: those of plain blocks of panel_floats. */
AVX2 static struct value_way value_way_of(const struct panels *p, bool plain, struct value_table *t)
{
    enum { COUNTED, COUNTED_BYTE, PERMUTED, GATHERED, SHIFTED };
    static const struct value_way ways[] = {
#define ENTRY(value) {take_##value, row_##value},
        EACH_VALUE(ENTRY)
#undef ENTRY
    };
    const int32_t zero = p->integers.zero, most = (1 << p->bits) - 1;
    if (p->integers.present && p->integers.is_code) {
        t->zero = _mm256_set1_ps((float)zero);
        t->zero_bytes = _mm256_set1_epi8((char)zero);
        return ways[zero >= 0 && zero <= 128 && most - zero <= 127 ? COUNTED_BYTE : COUNTED];
    }
    for (uint32_t i = 0; i < 256; i++) {
        t->values[i] = f32_from_bf16(p->high[i]) + f32_from_bf16(p->low[i]);
    }
    t->low = _mm256_loadu_ps(t->values);
    t->high = _mm256_loadu_ps(t->values + 8);
    if (p->floats.shift != 0) {
        t->down = _mm_cvtsi32_si128(8 - (int)p->floats.shift);
        t->mask = _mm256_set1_epi32((int)(0x80000000u | UINT32_C(127) << (16 + p->floats.shift)));
        t->unit = _mm256_set1_ps(ldexpf(1.0f, p->floats.exponent));
    }
    return ways[plain ? SHIFTED : p->bits <= 4 ? PERMUTED : GATHERED];
}

AVX2 static void take_f32(const uint8_t *block, struct block_weights *w)
{
    memcpy(w, block, sizeof *w);
}

AVX2 static void take_f16(const uint8_t *block, struct block_weights *w)
{
    for (int c = 0; c < PANEL_BLOCK; c++) {
        for (int h = 0; h < HALVES; h++)
            w->v[c][h] = _mm256_cvtph_ps(_mm_loadu_si128((const void *)(block + 32 * c + 16 * h)));
    }
}

AVX2 static void take_bf16(const uint8_t *block, struct block_weights *w)
{
    for (int c = 0; c < PANEL_BLOCK; c++) {
        for (int h = 0; h < HALVES; h++) {
            const __m128i bits = _mm_loadu_si128((const void *)(block + 32 * c + 16 * h));
            w->v[c][h] = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
        }
    }
}

/* By panel_kind; codes have none. */
static void (*const raw_takers[N_PANEL_KINDS])(const uint8_t *block, struct block_weights *w) = {
    [PANEL_F32] = take_f32,
    [PANEL_F16] = take_f16,
    [PANEL_BF16] = take_bf16,
};

/* Values become weights. */
AVX2 static void apply(const struct panels *p, const struct avx2_entries *e, int first, int n,
                       struct block_weights *w)
{
    const bool has_zeros = panels_have_zeros(p), has_bias = panels_have_bias(p);
    for (int c = first; c < first + n; c++) {
        for (int h = 0; h < HALVES; h++) {
            __m256 v = w->v[c][h];
            if (has_zeros) v = _mm256_sub_ps(v, e->zero[h]);
            v = _mm256_mul_ps(v, e->scale[h]);
            if (has_bias) v = _mm256_add_ps(v, e->bias[h]);
            w->v[c][h] = v;
        }
    }
}

/* ------------------------------------------------------------------ products with floats */

/* Adds a block's weights times 32 of n_x rows of x, a constant. */
INGOT_TEMPLATE AVX2 void add_tile(const struct block_weights *w, const float *x, const int n_x,
                                  float (*sums)[PANEL_ROWS])
{
    __m256 s[X_TILE][HALVES];
    INGOT_UNROLL
    for (int j = 0; j < n_x; j++) {
        s[j][0] = _mm256_loadu_ps(sums[j]);
        s[j][1] = _mm256_loadu_ps(sums[j] + 8);
    }
    for (int c = 0; c < PANEL_BLOCK; c++) {
        INGOT_UNROLL
        for (int j = 0; j < n_x; j++) {
            const __m256 v = _mm256_broadcast_ss(x + j * PANEL_BLOCK + c);
            s[j][0] = _mm256_fmadd_ps(w->v[c][0], v, s[j][0]);
            s[j][1] = _mm256_fmadd_ps(w->v[c][1], v, s[j][1]);
        }
    }
    INGOT_UNROLL
    for (int j = 0; j < n_x; j++) {
        _mm256_storeu_ps(sums[j], s[j][0]);
        _mm256_storeu_ps(sums[j] + 8, s[j][1]);
    }
}

/* One row: four sums of each half, as a sum of 32 terms would wait for each of them. */
AVX2 static void add_one(const struct block_weights *w, const float *x, float sums[PANEL_ROWS])
{
    const __m256 none = _mm256_setzero_ps();
    __m256 s[4][HALVES] = {{none, none}, {none, none}, {none, none}, {none, none}};
    for (int c = 0; c < PANEL_BLOCK; c += 4) {
        INGOT_UNROLL
        for (int k = 0; k < 4; k++) {
            const __m256 v = _mm256_broadcast_ss(x + c + k);
            s[k][0] = _mm256_fmadd_ps(w->v[c + k][0], v, s[k][0]);
            s[k][1] = _mm256_fmadd_ps(w->v[c + k][1], v, s[k][1]);
        }
    }
    INGOT_UNROLL
    for (int h = 0; h < HALVES; h++) {
        const __m256 all =
            _mm256_add_ps(_mm256_add_ps(s[0][h], s[1][h]), _mm256_add_ps(s[2][h], s[3][h]));
        _mm256_storeu_ps(sums + 8 * h, _mm256_add_ps(_mm256_loadu_ps(sums + 8 * h), all));
    }
}

AVX2 static void add_rows(const struct block_weights *w, const float *x, uint64_t n_x,
                          float (*sums)[PANEL_ROWS])
{
    uint64_t j = 0;
    for (; n_x - j >= X_TILE; j += X_TILE) add_tile(w, x + j * PANEL_BLOCK, X_TILE, sums + j);
    for (; n_x - j >= 3; j += 3) add_tile(w, x + j * PANEL_BLOCK, 3, sums + j);
    for (; j < n_x; j++) add_one(w, x + j * PANEL_BLOCK, sums[j]);
}

/* Floats that are held as such. */
AVX2 void avx2_add_raw(const struct avx2_job *job)
{
    const struct panels *p = job->p;
    for (uint64_t block = 0; block < p->n_blocks; block++) {
        const uint8_t *at = avx2_block(job, block);
        const float *x = (const float *)job->ready;
        struct block_weights w;
        avx2_fetch(at, p->block_bytes);
        raw_takers[p->kind](at, &w);
        add_rows(&w, x + panels_floats_at(block, job->all_x, job->first), job->n_x, job->sums);
    }
}

/* Adds a panel's products. `scaled_late`, for one row of x: sums of products are scaled, where
 * there is no bias, in place of each weight. */
AVX2 static void add_panel(const struct avx2_job *job, bool scaled_late)
{
    const struct panels *p = job->p;
    const bool has_zeros = panels_have_zeros(p);
    const bool has_bias = panels_have_bias(p);
    struct value_table table;
    const uint8_t *plain = p->floats.plain;
    const struct value_way any_way = value_way_of(p, false, &table);
    const struct value_way plain_way = value_way_of(p, plain != NULL, &table);
    for (uint64_t block = 0; block < p->n_blocks; block++) {
        const uint8_t *at = avx2_block(job, block);
        const float *x =
            (const float *)job->ready + panels_floats_at(block, job->all_x, job->first);
        const bool is_plain = plain != NULL && plain[job->panel * p->n_blocks + block];
        const struct value_way way = is_plain ? plain_way : any_way;
        struct avx2_bytes codes;
        struct block_weights w;
        struct avx2_entries e[PANEL_BLOCK_HALVES];
        avx2_fetch(at, p->block_bytes);
        avx2_code_takers[p->bits](at, &codes);
        const int n = avx2_block_entries(p, job->panel, block, e) ? STEPS / 2 : STEPS;
        if (scaled_late) {
            for (int s = 0; s < STEPS; s += n) {
                way.row(&table, &codes, &e[s / n], has_zeros, has_bias, x, s, n, job->sums[0]);
            }
            continue;
        }
        way.take(&table, &codes, &w);
        for (int s = 0; s < STEPS; s += n) apply(p, &e[s / n], 4 * s, 4 * n, &w);
        add_rows(&w, x, job->n_x, job->sums);
    }
}

static bool all_finite(const float values[PANEL_ROWS])
{
    for (int i = 0; i < PANEL_ROWS; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

/* Products with codes may be infinite where those with weights are not. */
AVX2 void avx2_add_floats(const struct avx2_job *job)
{
    float before[PANEL_ROWS];
    if (job->n_x > 1) {
        add_panel(job, false);
        return;
    }
    memcpy(before, job->sums[0], sizeof before);
    add_panel(job, true);
    if (all_finite(job->sums[0])) return;
    memcpy(job->sums[0], before, sizeof before);
    add_panel(job, false);
}

#endif

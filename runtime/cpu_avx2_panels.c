/* Panels with AVX2: codes of a block as bytes, entries of its slots, and the products of panels,
 * which cpu_avx2_floats.c and cpu_avx2_integers.c add up. */
#include "runtime/cpu_avx2.h"

#ifdef INGOT_X86_64

#include "runtime/cpu_level.h"

enum {
    STEPS = AVX2_STEPS,
    HALVES = AVX2_HALVES,
    MAX_X = 128 /* rows of x whose sums are held at a time */
};

/* ------------------------------------------------------------------ codes */

/* Codes of `bits` bits, a constant; bits above those are zero. */
INGOT_TEMPLATE AVX2 void take_codes(const uint8_t *block, const int bits, struct avx2_bytes *codes)
{
    INGOT_UNROLL
    for (int s = 0; s < STEPS; s++) {
        INGOT_UNROLL
        for (int h = 0; h < HALVES; h++) {
            const uint8_t *plane = block + 32 * h;
            __m256i all = _mm256_setzero_si256();
            int rank = 0;
            INGOT_UNROLL
            for (int w = 8; w >= 1; w /= 2) {
                if (!(bits & w)) continue;
                const __m256i word = _mm256_loadu_si256((const void *)(plane + 64 * (s * w / 8)));
                const __m256i mask = _mm256_set1_epi8((char)((1 << w) - 1));
                const __m256i part = _mm256_and_si256(_mm256_srli_epi32(word, s * w % 8), mask);
                all = _mm256_or_si256(all, _mm256_slli_epi32(part, rank));
                plane += 64 * w;
                rank += w;
            }
            codes->v[s][h] = all;
        }
    }
}

#define EACH_WIDTH(ROW) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5) ROW(6) ROW(7) ROW(8)
#define DEFINE(bits)                                                                   \
    AVX2 static void take_codes_##bits(const uint8_t *block, struct avx2_bytes *codes) \
    {                                                                                  \
        take_codes(block, bits, codes);                                                \
    }
EACH_WIDTH(DEFINE)
#undef DEFINE

avx2_codes_function *const avx2_code_takers[PANEL_MAX_BITS + 1] = {
#define ENTRY(bits) [bits] = take_codes_##bits,
    EACH_WIDTH(ENTRY)
#undef ENTRY
};

/* ------------------------------------------------------------------ entries of slots */

AVX2 static __m256 load_halves(const uint8_t *halves)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)halves));
}

AVX2 static __m256 load_floats(const uint8_t *floats)
{
    return _mm256_loadu_ps((const void *)floats);
}

/* What the table has for a group of columns, of half h of a panel. */
AVX2 static __m256 table_entries(const struct panel_table *t, uint64_t panel, uint64_t group,
                                 uint64_t h)
{
    const uint64_t at = (panel * t->n_groups + group) * PANEL_ROWS + 8 * h;
    const uint8_t *entries = t->entries;
    __m256 v;
    if (t->kind == ENTRIES_F32) {
        v = load_floats(entries + 4 * at);
    } else if (t->kind == ENTRIES_F16) {
        v = load_halves(entries + 2 * at);
    } else {
        const uint64_t super = (panel * t->n_supers + group / t->super_groups) * PANEL_ROWS + 8 * h;
        const uint8_t *supers = t->supers;
        const __m128i bytes = _mm_loadl_epi64((const void *)(entries + at));
        v = t->kind == ENTRIES_INTEGERS
                ? _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
                : _mm256_i32gather_ps(t->lut, _mm256_cvtepu8_epi32(bytes), 4);
        v = _mm256_mul_ps(v, t->supers_are_f16 ? load_halves(supers + 2 * super)
                                               : load_floats(supers + 4 * super));
    }
    return _mm256_mul_ps(_mm256_add_ps(v, _mm256_set1_ps(t->add)), _mm256_set1_ps(t->factor));
}

/* Those of the columns of one half of a block; all of a block share them unless groups are as short
 * as that. */
AVX2 static void take_entries(const struct panels *p, uint64_t panel, uint64_t half,
                              struct avx2_entries *e)
{
    for (uint64_t h = 0; h < HALVES; h++) {
        e->zero[h] = _mm256_setzero_ps();
        e->scale[h] = _mm256_set1_ps(p->scale.factor);
        e->bias[h] = _mm256_set1_ps(p->bias_constant);
        if (p->zero.kind != ENTRIES_NONE) {
            e->zero[h] = table_entries(&p->zero, panel, half / p->zero.halves, h);
        }
        if (p->scale.kind != ENTRIES_NONE) {
            e->scale[h] = table_entries(&p->scale, panel, half / p->scale.halves, h);
        }
        if (p->bias.kind != ENTRIES_NONE) {
            const __m256 bias = table_entries(&p->bias, panel, half / p->bias.halves, h);
            e->bias[h] = _mm256_add_ps(e->bias[h], bias);
        }
    }
}

AVX2 bool avx2_block_entries(const struct panels *p, uint64_t panel, uint64_t block,
                             struct avx2_entries e[PANEL_BLOCK_HALVES])
{
    take_entries(p, panel, block * PANEL_BLOCK_HALVES, &e[0]);
    if (p->halves != 1) return false;
    take_entries(p, panel, block * PANEL_BLOCK_HALVES + 1, &e[1]);
    return true;
}

/* ------------------------------------------------------------------ the operations */

static uint64_t x_bytes(const struct panels *p, enum panel_mode mode, uint64_t n_x)
{
    return mode == PANEL_MODE_I8 ? panels_blocks_bytes(p, n_x) : panels_floats_bytes(p, n_x);
}

static void x_prepare(const struct panels *p, enum panel_mode mode, const float *x,
                      uint64_t x_stride, uint64_t n_x, uint64_t first, uint64_t n, void *ready)
{
    if (mode == PANEL_MODE_I8) {
        panels_blocks_prepare(p, x, x_stride, n_x, first, n, ready);
    } else {
        panels_floats_prepare(p, x, x_stride, n_x, first, n, ready);
    }
}

static void multiply(const struct panels *p, enum panel_mode mode, const void *ready, uint64_t n_x,
                     uint64_t first_panel, uint64_t n_panels, float *y, uint64_t y_stride)
{
    float sums[MAX_X][PANEL_ROWS];
    for (uint64_t k = 0; k < n_panels; k++) {
        const uint64_t panel = first_panel + k;
        const uint64_t n_rows = min_u64(PANEL_ROWS, p->n_rows - panel * PANEL_ROWS);
        for (uint64_t first = 0; first < n_x; first += MAX_X) {
            const uint64_t n = min_u64(MAX_X, n_x - first);
            const struct avx2_job job = {p, panel, ready, n_x, first, n, sums};
            memset(sums, 0, (size_t)n * sizeof *sums);
            if (mode == PANEL_MODE_I8) {
                avx2_add_integers(&job);
            } else if (p->kind == PANEL_CODES) {
                avx2_add_floats(&job);
            } else {
                avx2_add_raw(&job);
            }
            for (uint64_t j = 0; j < n; j++) {
                float *dst = y + (first + j) * y_stride + k * PANEL_ROWS;
                for (uint64_t i = 0; i < n_rows; i++) dst[i] += sums[j][i];
            }
        }
    }
}

const struct panel_ops cpu_avx2_panels = {x_bytes, x_prepare, multiply};

#endif

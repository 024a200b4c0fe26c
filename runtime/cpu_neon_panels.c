/* Panels with NEON: weights of a block are decoded to f32 and multiplied by x as it is; each step
 * of a weight and each product is one f32 rounding. Leaves 8-bit x to cpu_neon_integers.c. */
#include "runtime/cpu_neon.h"

#ifdef INGOT_AARCH64

#include "format/floats.h"

/* ------------------------------------------------------------------ entries of slots */

static float32x4_t load_halves(const uint8_t *halves)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(halves)));
}

static float32x4_t load_floats(const uint8_t *floats)
{
    return vreinterpretq_f32_u8(vld1q_u8(floats));
}

static float32x4_t looked_up(const struct panel_table *t, const uint8_t *codes)
{
    float v[4];
    for (uint32_t i = 0; i < 4; i++) {
        v[i] = t->kind == ENTRIES_INTEGERS ? (float)(int8_t)codes[i] : t->lut[codes[i]];
    }
    return vld1q_f32(v);
}

/* What the table has for a group of columns of four rows. */
static float32x4_t table_quad(const struct panel_table *t, uint64_t panel, uint64_t group,
                              uint64_t q)
{
    const uint64_t at = (panel * t->n_groups + group) * PANEL_ROWS + 4 * q;
    const uint8_t *entries = t->entries;
    float32x4_t v;
    if (t->kind == ENTRIES_F32) {
        v = load_floats(entries + 4 * at);
    } else if (t->kind == ENTRIES_F16) {
        v = load_halves(entries + 2 * at);
    } else {
        const uint64_t super = (panel * t->n_supers + group / t->super_groups) * PANEL_ROWS + 4 * q;
        const uint8_t *supers = t->supers;
        v = vmulq_f32(looked_up(t, entries + at), t->supers_are_f16
                                                      ? load_halves(supers + 2 * super)
                                                      : load_floats(supers + 4 * super));
    }
    return vmulq_n_f32(vaddq_f32(v, vdupq_n_f32(t->add)), t->factor);
}

void neon_entries_at(const struct panels *p, uint64_t panel, uint64_t half,
                     struct neon_entries *entries)
{
    for (uint64_t q = 0; q < NEON_QUADS; q++) {
        entries->zero[q] = vdupq_n_f32(0.0f);
        entries->scale[q] = vdupq_n_f32(p->scale.factor);
        entries->bias[q] = vdupq_n_f32(p->bias_constant);
        if (p->zero.kind != ENTRIES_NONE) {
            entries->zero[q] = table_quad(&p->zero, panel, half / p->zero.halves, q);
        }
        if (p->scale.kind != ENTRIES_NONE) {
            entries->scale[q] = table_quad(&p->scale, panel, half / p->scale.halves, q);
        }
        if (p->bias.kind != ENTRIES_NONE) {
            const float32x4_t bias = table_quad(&p->bias, panel, half / p->bias.halves, q);
            entries->bias[q] = vaddq_f32(entries->bias[q], bias);
        }
    }
}

/* ------------------------------------------------------------------ weights of a block */

/* All weights of a block, the 16 rows of a column after those of the column before. */
typedef float block_weights[PANEL_BLOCK][PANEL_ROWS];

/* Byte b of every lane is the value of a column: `high` and `low` hold the upper bytes of its bf16.
 *
 *     high << 24 - 8b     hhhhhhhh ........ ........ ........
 *     low inserted at 8   hhhhhhhh llllllll ........ ........
 *     cleared             hhhhhhhh llllllll 00000000 00000000
 */
static float32x4_t bf16_of_column(uint8x16_t high, uint8x16_t low, int32_t b)
{
    const int32x4_t shift = vdupq_n_s32(24 - 8 * b);
    const uint32x4_t h = vshlq_u32(vreinterpretq_u32_u8(high), shift);
    const uint32x4_t l = vshlq_u32(vreinterpretq_u32_u8(low), shift);
    const uint32x4_t both = vsriq_n_u32(h, l, 8);
    return vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff0000)));
}

/* The bytes of the bf16 values of codes. */
struct value_bytes {
    uint8_t high_of_high[256];
    uint8_t low_of_high[256];
    uint8_t high_of_low[256];
    uint8_t low_of_low[256];
};

static void split_values(const struct panels *p, struct value_bytes *bytes)
{
    for (uint32_t i = 0; i < 256; i++) {
        bytes->high_of_high[i] = (uint8_t)(p->high[i] >> 8);
        bytes->low_of_high[i] = (uint8_t)p->high[i];
        bytes->high_of_low[i] = (uint8_t)(p->low[i] >> 8);
        bytes->low_of_low[i] = (uint8_t)p->low[i];
    }
}

static void looked_up_quad(const struct panels *p, const struct value_bytes *values,
                           uint8x16_t codes, float32x4_t columns[4])
{
    const uint8x16_t high = neon_lookup(values->high_of_high, p->bits, codes);
    const uint8x16_t low = neon_lookup(values->low_of_high, p->bits, codes);
    for (int32_t b = 0; b < 4; b++) columns[b] = bf16_of_column(high, low, b);
    if (!p->has_low) return;
    const uint8x16_t rest_high = neon_lookup(values->high_of_low, p->bits, codes);
    const uint8x16_t rest_low = neon_lookup(values->low_of_low, p->bits, codes);
    for (int32_t b = 0; b < 4; b++) {
        columns[b] = vaddq_f32(columns[b], bf16_of_column(rest_high, rest_low, b));
    }
}

/* Codes that are integers but for a constant. */
static void counted_quad(const struct panels *p, uint8x16_t codes, float32x4_t columns[4])
{
    const uint32x4_t lanes = vreinterpretq_u32_u8(codes);
    const float32x4_t zero = vdupq_n_f32((float)p->integers.zero);
    for (int32_t b = 0; b < 4; b++) {
        const uint32x4_t code = vandq_u32(vshlq_u32(lanes, vdupq_n_s32(-8 * b)), vdupq_n_u32(0xff));
        columns[b] = vsubq_f32(vcvtq_f32_u32(code), zero);
    }
}

static void decode_codes(const struct panels *p, const struct value_bytes *values,
                         const uint8_t *block, const struct neon_entries entries[], block_weights w)
{
    const bool is_code = p->integers.present && p->integers.is_code;
    const bool has_zero = panels_have_zeros(p), has_bias = panels_have_bias(p);
    for (uint32_t s = 0; s < NEON_STEPS; s++) {
        const struct neon_codes codes = neon_codes(p, block, s);
        const struct neon_entries *e = &entries[s / (NEON_STEPS / PANEL_BLOCK_HALVES)];
        for (uint32_t q = 0; q < NEON_QUADS; q++) {
            float32x4_t columns[4];
            if (is_code) {
                counted_quad(p, codes.quads[q], columns);
            } else {
                looked_up_quad(p, values, codes.quads[q], columns);
            }
            for (uint32_t b = 0; b < 4; b++) {
                float32x4_t v = columns[b];
                if (has_zero) v = vsubq_f32(v, e->zero[q]);
                v = vmulq_f32(v, e->scale[q]);
                if (has_bias) v = vaddq_f32(v, e->bias[q]);
                vst1q_f32(w[4 * s + b] + 4 * q, v);
            }
        }
    }
}

static void decode_f32(const uint8_t *block, block_weights w)
{
    memcpy(w, block, sizeof(block_weights));
}

static void decode_f16(const uint8_t *block, block_weights w)
{
    float *dst = w[0];
    for (uint32_t i = 0; i < PANEL_BLOCK * PANEL_ROWS; i += 4) {
        vst1q_f32(dst + i, load_halves(block + 2 * i));
    }
}

static void decode_bf16(const uint8_t *block, block_weights w)
{
    float *dst = w[0];
    for (uint32_t i = 0; i < PANEL_BLOCK * PANEL_ROWS; i += 4) {
        const uint16x4_t bits = vreinterpret_u16_u8(vld1_u8(block + 2 * i));
        vst1q_f32(dst + i, vreinterpretq_f32_u32(vshll_n_u16(bits, 16)));
    }
}

/* By panel_kind; codes have none. */
static void (*const raw_decoders[N_PANEL_KINDS])(const uint8_t *block, block_weights w) = {
    [PANEL_F32] = decode_f32,
    [PANEL_F16] = decode_f16,
    [PANEL_BF16] = decode_bf16,
};

/* ------------------------------------------------------------------ x and products */

static uint64_t x_bytes(const struct panels *p, enum panel_mode mode, uint64_t n_x)
{
    (void)mode;
    return panels_floats_bytes(p, n_x);
}

static void x_prepare(const struct panels *p, enum panel_mode mode, const float *x,
                      uint64_t x_stride, uint64_t n_x, uint64_t first, uint64_t n, void *ready)
{
    (void)mode;
    panels_floats_prepare(p, x, x_stride, n_x, first, n, ready);
}

/* Adds a block's weights times 32 of x. */
static void add_block(block_weights w, const float *x, float sums[PANEL_ROWS])
{
    float32x4_t s0 = vld1q_f32(sums), s1 = vld1q_f32(sums + 4);
    float32x4_t s2 = vld1q_f32(sums + 8), s3 = vld1q_f32(sums + 12);
    for (uint32_t c = 0; c < PANEL_BLOCK; c++) {
        const float32x4_t v = vld1q_dup_f32(x + c);
        s0 = vfmaq_f32(s0, vld1q_f32(w[c]), v);
        s1 = vfmaq_f32(s1, vld1q_f32(w[c] + 4), v);
        s2 = vfmaq_f32(s2, vld1q_f32(w[c] + 8), v);
        s3 = vfmaq_f32(s3, vld1q_f32(w[c] + 12), v);
    }
    vst1q_f32(sums, s0);
    vst1q_f32(sums + 4, s1);
    vst1q_f32(sums + 8, s2);
    vst1q_f32(sums + 12, s3);
}

static void add_panel(const struct neon_job *job)
{
    const struct panels *p = job->p;
    const uint64_t panel = job->panel;
    struct value_bytes values;
    if (p->kind == PANEL_CODES) split_values(p, &values);
    for (uint64_t block = 0; block < p->n_blocks; block++) {
        const uint8_t *codes = p->codes + (panel * p->n_blocks + block) * p->block_bytes;
        block_weights w;
        if (p->kind == PANEL_CODES) {
            struct neon_entries entries[PANEL_BLOCK_HALVES];
            neon_entries_at(p, panel, block * PANEL_BLOCK_HALVES, &entries[0]);
            entries[1] = entries[0];
            if (neon_entries_by_halves(p)) {
                neon_entries_at(p, panel, block * PANEL_BLOCK_HALVES + 1, &entries[1]);
            }
            decode_codes(p, &values, codes, entries, w);
        } else {
            raw_decoders[p->kind](codes, w);
        }
        const float *x =
            (const float *)job->ready + panels_floats_at(block, job->all_x, job->first);
        for (uint64_t j = 0; j < job->n_x; j++) add_block(w, x + j * PANEL_BLOCK, job->sums[j]);
    }
}

void neon_each_panel(const struct panels *p, const void *ready, uint64_t n_x, uint64_t first_panel,
                     uint64_t n_panels, float *y, uint64_t y_stride, neon_panel_function *add)
{
    float sums[NEON_MAX_X][PANEL_ROWS];
    for (uint64_t k = 0; k < n_panels; k++) {
        const uint64_t panel = first_panel + k;
        const uint64_t n_rows = min_u64(PANEL_ROWS, p->n_rows - panel * PANEL_ROWS);
        for (uint64_t first = 0; first < n_x; first += NEON_MAX_X) {
            const uint64_t n = min_u64(NEON_MAX_X, n_x - first);
            const struct neon_job job = {p, panel, ready, n_x, first, n, sums};
            memset(sums, 0, (size_t)n * sizeof *sums);
            add(&job);
            for (uint64_t j = 0; j < n; j++) {
                float *dst = y + (first + j) * y_stride + k * PANEL_ROWS;
                for (uint64_t i = 0; i < n_rows; i++) dst[i] += sums[j][i];
            }
        }
    }
}

static void multiply(const struct panels *p, enum panel_mode mode, const void *ready, uint64_t n_x,
                     uint64_t first_panel, uint64_t n_panels, float *y, uint64_t y_stride)
{
    (void)mode;
    neon_each_panel(p, ready, n_x, first_panel, n_panels, y, y_stride, add_panel);
}

const struct panel_ops cpu_neon_panels = {x_bytes, x_prepare, multiply};

#endif

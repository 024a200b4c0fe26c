/* Panels with 8-bit x on ARM: sums of products of 8-bit integers are exact, and are scaled where a
 * group of weights or a block of x ends. By dot products of four, or by products of 2 x 8 and 8 x 2
 * matrices. */
#include "runtime/cpu_neon.h"

#ifdef INGOT_AARCH64

enum { HALF_STEPS = NEON_STEPS / PANEL_BLOCK_HALVES };

/* ------------------------------------------------------------------ x */

static uint64_t x_bytes(const struct panels *p, enum panel_mode mode, uint64_t n_x)
{
    if (mode != PANEL_MODE_I8) return cpu_neon_panels.x_bytes(p, mode, n_x);
    return panels_blocks_bytes(p, n_x);
}

static void x_prepare(const struct panels *p, enum panel_mode mode, const float *x,
                      uint64_t x_stride, uint64_t n_x, uint64_t first, uint64_t n, void *ready)
{
    if (mode != PANEL_MODE_I8) {
        cpu_neon_panels.x_prepare(p, mode, x, x_stride, n_x, first, n, ready);
    } else {
        panels_blocks_prepare(p, x, x_stride, n_x, first, n, ready);
    }
}

/* ------------------------------------------------------------------ weights as integers */

/* The integers of a block: those of step s and quad q, byte 4 i + b being row 4 q + i, column b.
 * The weights are those less `zero`, times `unit`, before the entries. */
struct block_integers {
    int8x16_t steps[NEON_STEPS][NEON_QUADS];
};

static void decode(const struct panels *p, const uint8_t *block, struct block_integers *w)
{
    const uint8x16_t flip = vdupq_n_u8(panels_are_shifted(p) ? 0x80 : 0);
    for (uint32_t s = 0; s < NEON_STEPS; s++) {
        const struct neon_codes codes = neon_codes(p, block, s);
        for (uint32_t q = 0; q < NEON_QUADS; q++) {
            const uint8x16_t v = p->integers.is_code
                                     ? codes.quads[q]
                                     : neon_lookup(p->integers.bytes, p->bits, codes.quads[q]);
            w->steps[s][q] = vreinterpretq_s8_u8(veorq_u8(v, flip));
        }
    }
}

/* Adds sum * scale of x, less what zeros take and with what offsets add, to sums of rows. */
static void add_scaled(const struct panels *p, const struct neon_entries *e, float x_scale,
                       float x_sum, const int32x4_t sums[NEON_QUADS], float dst[PANEL_ROWS])
{
    const float zero = panels_integer_zero(p) * p->integers.unit * x_sum;
    for (uint32_t q = 0; q < NEON_QUADS; q++) {
        float32x4_t v = vmulq_n_f32(vcvtq_f32_s32(sums[q]), x_scale * p->integers.unit);
        v = vsubq_f32(v, vdupq_n_f32(zero));
        v = vfmsq_n_f32(v, e->zero[q], x_sum);
        v = vmulq_f32(v, e->scale[q]);
        v = vfmaq_n_f32(v, e->bias[q], x_sum);
        vst1q_f32(dst + 4 * q, vaddq_f32(vld1q_f32(dst + 4 * q), v));
    }
}

/* Products of integers of the steps [first, first + n_steps) with two rows of x. */
typedef void sums_function(const struct block_integers *w, const struct x_block *x[2],
                           uint32_t first, uint32_t n_steps, int32x4_t sums[2][NEON_QUADS]);

INGOT_TEMPLATE void add_block(const struct neon_job *job, uint64_t block, sums_function *multiply)
{
    struct block_integers w;
    struct neon_entries entries[PANEL_BLOCK_HALVES];
    const struct panels *p = job->p;
    const struct x_block *x = (const struct x_block *)job->ready + block * job->all_x + job->first;
    const bool by_halves = neon_entries_by_halves(p);
    const uint32_t n_parts = by_halves ? PANEL_BLOCK_HALVES : 1;
    decode(p, p->codes + (job->panel * p->n_blocks + block) * p->block_bytes, &w);
    for (uint32_t h = 0; h < n_parts; h++) {
        neon_entries_at(p, job->panel, block * PANEL_BLOCK_HALVES + h, &entries[h]);
    }
    for (uint64_t j = 0; j < job->n_x; j += 2) {
        const uint64_t n = min_u64(2, job->n_x - j);
        /* The last again, where there is no other. */
        const struct x_block *rows[2] = {x + j, x + j + (n - 1)};
        for (uint32_t h = 0; h < n_parts; h++) {
            int32x4_t products[2][NEON_QUADS];
            multiply(&w, rows, h * HALF_STEPS, by_halves ? HALF_STEPS : NEON_STEPS, products);
            for (uint64_t k = 0; k < n; k++) {
                const float x_sum =
                    by_halves ? rows[k]->sums[h] : rows[k]->sums[0] + rows[k]->sums[1];
                add_scaled(p, &entries[h], rows[k]->scale, x_sum, products[k], job->sums[j + k]);
            }
        }
    }
}

/* ------------------------------------------------------------------ by dot products */

NEON_DOTPROD static void dot_sums(const struct block_integers *w, const struct x_block *x[2],
                                  uint32_t first, uint32_t n_steps, int32x4_t sums[2][NEON_QUADS])
{
    for (uint32_t k = 0; k < 2; k++) {
        int32x4_t s[NEON_QUADS] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
        for (uint32_t i = first; i < first + n_steps; i++) {
            const int32x4_t four =
                vld1q_dup_s32((const int32_t *)(const void *)(x[k]->integers + 4 * i));
            for (uint32_t q = 0; q < NEON_QUADS; q++) {
                s[q] = vdotq_s32(s[q], w->steps[i][q], vreinterpretq_s8_s32(four));
            }
        }
        for (uint32_t q = 0; q < NEON_QUADS; q++) sums[k][q] = s[q];
        if (x[1] == x[0]) return; /* the other is not asked for */
    }
}

static void dot_panel(const struct neon_job *job)
{
    for (uint64_t block = 0; block < job->p->n_blocks; block++) add_block(job, block, dot_sums);
}

static void dot_multiply(const struct panels *p, enum panel_mode mode, const void *ready,
                         uint64_t n_x, uint64_t first_panel, uint64_t n_panels, float *y,
                         uint64_t y_stride)
{
    if (mode == PANEL_MODE_I8) {
        neon_each_panel(p, ready, n_x, first_panel, n_panels, y, y_stride, dot_panel);
    } else {
        cpu_neon_panels.multiply(p, mode, ready, n_x, first_panel, n_panels, y, y_stride);
    }
}

const struct panel_ops cpu_neon_dotprod_panels = {x_bytes, x_prepare, dot_multiply};

/* ------------------------------------------------------------------ by matrix products */

/* Two steps of four rows become two tiles of 2 rows x 8 columns; two rows of x one of 8 columns x
 * 2:
 *
 *     step s      r0 r1 r2 r3        tile 0    r0 of s, r0 of s + 1, r1 of s, r1 of s + 1
 *     step s + 1  r0 r1 r2 r3        tile 1    r2 of s, r2 of s + 1, r3 of s, r3 of s + 1
 *
 * and the product of a tile is, in its four lanes, the first row of w times both of x, then the
 * second. */
NEON_I8MM static void matrix_sums(const struct block_integers *w, const struct x_block *x[2],
                                  uint32_t first, uint32_t n_steps, int32x4_t sums[2][NEON_QUADS])
{
    for (uint32_t q = 0; q < NEON_QUADS; q++) {
        int32x4_t upper = vdupq_n_s32(0), lower = upper;
        for (uint32_t i = first; i < first + n_steps; i += 2) {
            const int32x4_t a = vreinterpretq_s32_s8(w->steps[i][q]);
            const int32x4_t b = vreinterpretq_s32_s8(w->steps[i + 1][q]);
            const int8x16_t both =
                vcombine_s8(vld1_s8(x[0]->integers + 4 * i), vld1_s8(x[1]->integers + 4 * i));
            upper = vmmlaq_s32(upper, vreinterpretq_s8_s32(vzip1q_s32(a, b)), both);
            lower = vmmlaq_s32(lower, vreinterpretq_s8_s32(vzip2q_s32(a, b)), both);
        }
        sums[0][q] = vuzp1q_s32(upper, lower);
        sums[1][q] = vuzp2q_s32(upper, lower);
    }
}

static void matrix_panel(const struct neon_job *job)
{
    for (uint64_t block = 0; block < job->p->n_blocks; block++) add_block(job, block, matrix_sums);
}

/* A single row of x would leave half of each product unused. */
static void matrix_multiply(const struct panels *p, enum panel_mode mode, const void *ready,
                            uint64_t n_x, uint64_t first_panel, uint64_t n_panels, float *y,
                            uint64_t y_stride)
{
    if (mode == PANEL_MODE_I8 && n_x > 1) {
        neon_each_panel(p, ready, n_x, first_panel, n_panels, y, y_stride, matrix_panel);
    } else {
        dot_multiply(p, mode, ready, n_x, first_panel, n_panels, y, y_stride);
    }
}

const struct panel_ops cpu_neon_i8mm_panels = {x_bytes, x_prepare, matrix_multiply};

#endif

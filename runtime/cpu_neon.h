/* What the files of the NEON levels share: codes of a block, entries of its slots, and what runs
 * over panels. */
#ifndef INGOT_CPU_NEON_H
#define INGOT_CPU_NEON_H

#include "format/compiler.h"

#ifdef INGOT_AARCH64

#include <arm_neon.h>

#include "runtime/panels_x.h"

#define NEON_DOTPROD INGOT_TARGET("arch=armv8.2-a+dotprod")
#define NEON_I8MM INGOT_TARGET("arch=armv8.2-a+dotprod+i8mm")

enum {
    NEON_STEPS = 8,  /* of four columns, in a block */
    NEON_QUADS = 4,  /* vectors of four rows, in a panel */
    NEON_MAX_X = 128 /* rows of x whose sums are held at a time */
};

/* A step's codes, one a byte: byte 4 i + b of quad q is row 4 q + i, column b. */
struct neon_codes {
    uint8x16_t quads[NEON_QUADS];
};

/* Bits above those of the code are zero. */
INGOT_TEMPLATE struct neon_codes neon_codes(const struct panels *p, const uint8_t *block,
                                            uint32_t s)
{
    struct neon_codes codes;
    int8_t rank = 0;
    for (uint32_t q = 0; q < NEON_QUADS; q++) codes.quads[q] = vdupq_n_u8(0);
    for (uint32_t i = 0; i < p->n_planes; i++) {
        const uint32_t w = p->widths[i];
        const int8x16_t down = vdupq_n_s8((int8_t) - (int32_t)(s * w % 8)), up = vdupq_n_s8(rank);
        const uint8x16_t mask = vdupq_n_u8((uint8_t)((1u << w) - 1));
        const uint8_t *word = block + 64 * (s * w / 8);
        for (uint32_t q = 0; q < NEON_QUADS; q++) {
            const uint8x16_t part = vandq_u8(vshlq_u8(vld1q_u8(word + 16 * q), down), mask);
            codes.quads[q] = vorrq_u8(codes.quads[q], vshlq_u8(part, up));
        }
        block += 64 * w;
        rank = (int8_t)(rank + (int8_t)w);
    }
    return codes;
}

/* Of codes of up to `bits` bits, the bytes that a table has for them. */
INGOT_TEMPLATE uint8x16_t neon_lookup(const uint8_t *table, uint8_t bits, uint8x16_t codes)
{
    if (bits <= 4) return vqtbl1q_u8(vld1q_u8(table), codes);
    uint8x16_t found = vqtbl4q_u8(vld1q_u8_x4(table), codes);
    for (uint32_t i = 64; i < 1u << bits; i += 64) {
        const uint8x16_t rest = vsubq_u8(codes, vdupq_n_u8((uint8_t)i));
        found = vqtbx4q_u8(found, vld1q_u8_x4(table + i), rest);
    }
    return found;
}

/* The entries of a panel's rows that hold for some columns: weight = (value - zero) * scale + bias.
 */
struct neon_entries {
    float32x4_t zero[NEON_QUADS];
    float32x4_t scale[NEON_QUADS];
    float32x4_t bias[NEON_QUADS];
};

/* Of the columns of one half, which share them with all of their block unless
 * neon_entries_by_halves. */
void neon_entries_at(const struct panels *p, uint64_t panel, uint64_t half,
                     struct neon_entries *entries);
static inline bool neon_entries_by_halves(const struct panels *p)
{
    return p->halves == 1;
}
/* What a panel's products are made of. */
struct neon_job {
    const struct panels *p;
    uint64_t panel;
    const void *ready;
    uint64_t all_x; /* rows that are made ready */
    uint64_t first; /* of those that are multiplied */
    uint64_t n_x;   /* at most NEON_MAX_X */
    float (*sums)[PANEL_ROWS];
};

/* struct panel_ops's multiply: `add` adds to a job's sums[j] the products of row first + j of x
 * with the 16 rows of the panel. */
typedef void neon_panel_function(const struct neon_job *job);
void neon_each_panel(const struct panels *p, const void *ready, uint64_t n_x, uint64_t first_panel,
                     uint64_t n_panels, float *y, uint64_t y_stride, neon_panel_function *add);

/* x as it is, for every mode of a level without 8-bit products, and for the others where they are
 * not asked for. */
extern const struct panel_ops cpu_neon_panels;
/* x in 8-bit integers where that is asked for. */
extern const struct panel_ops cpu_neon_dotprod_panels;
extern const struct panel_ops cpu_neon_i8mm_panels;

#endif

#endif

/* x made ready for levels that multiply panels block by block: the 32 places of a block of all rows
 * of x, then those of the next block, so that what a block of weights meets lies together. */
#ifndef INGOT_PANELS_X_H
#define INGOT_PANELS_X_H

#include "format/bytes.h"
#include "runtime/panels.h"

enum { PANEL_BLOCK_HALVES = 2 };

/* As floats: those of row j in a block are the PANEL_BLOCK ones from here on. */
static inline uint64_t panels_floats_at(uint64_t block, uint64_t n_x, uint64_t j)
{
    return (block * n_x + j) * PANEL_BLOCK;
}
uint64_t panels_floats_bytes(const struct panels *p, uint64_t n_x);
/* struct panel_ops's x_prepare. */
void panels_floats_prepare(const struct panels *p, const float *x, uint64_t x_stride, uint64_t n_x,
                           uint64_t first, uint64_t n, float *ready);

/* As 8-bit integers: values are integers times the scale; and the sums of the values by halves.
 * What is not finite makes all of its block NaN. That of row j is number block * n_x + j. */
struct x_block {
    int8_t integers[PANEL_BLOCK]; /* -127 to 127 */
    float scale;
    float sums[PANEL_BLOCK_HALVES];
    uint32_t unused;
};
uint64_t panels_blocks_bytes(const struct panels *p, uint64_t n_x);
void panels_blocks_prepare(const struct panels *p, const float *x, uint64_t x_stride, uint64_t n_x,
                           uint64_t first, uint64_t n, struct x_block *ready);

/* Whether zeros differ by group, and whether anything is added to weights. */
static inline bool panels_have_zeros(const struct panels *p)
{
    return p->zero.kind != ENTRIES_NONE;
}

static inline bool panels_have_bias(const struct panels *p)
{
    return p->bias.kind != ENTRIES_NONE || p->bias_constant != 0;
}

/* The 8-bit integers of weights as signed ones: codes of 8 bits, and what tables have, are 128 more
 * than what fits a signed byte; other codes are below 128. Weights are those less the zero, times
 * integers.unit, before the entries. */
static inline bool panels_are_shifted(const struct panels *p)
{
    return !p->integers.is_code || p->bits == PANEL_MAX_BITS;
}

static inline float panels_integer_zero(const struct panels *p)
{
    return (float)(p->integers.zero - (panels_are_shifted(p) ? 128 : 0));
}

#endif

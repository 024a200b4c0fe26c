/* What the files that multiply panels by many rows of x with AVX-512 share: parts of panels in
 * hand, and tiles of y. */
#ifndef INGOT_CPU_AVX512_TILES_H
#define INGOT_CPU_AVX512_TILES_H

#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

enum {
    PAIR = 2,        /* panels multiplied at a time */
    TILE_X = 8,      /* rows of x multiplied at a time at most: with two panels, sixteen sums */
    BYTE_BLOCKS = 16 /* unpacked to bytes at a time: 16 KiB for two panels */
};

/* Columns of one panel of a job, in hand. */
struct part {
    const struct panels *panels;
    uint64_t panel;
    uint64_t first_block;
    uint64_t n_blocks;
};

static inline const uint8_t *part_block(const struct part *part, uint64_t b)
{
    const struct panels *p = part->panels;
    return p->codes + (part->panel * p->n_blocks + part->first_block + b) * p->block_bytes;
}

/* The main group of a half of a block. */
static inline uint64_t group_of(const struct part *part, uint64_t b, uint64_t half)
{
    return (2 * (part->first_block + b) + half) / part->panels->halves;
}

AVX512 static inline void part_entries(const struct part *part, struct chunk_entries *e)
{
    const uint64_t first = group_of(part, 0, 0), last = group_of(part, part->n_blocks - 1, 1);
    avx512_entries(part->panels, part->panel, first, last - first + 1, e);
}

/* ------------------------------------------------------------------ tiles of y */

/* y of two panels and some rows of x, in registers while some columns pass by. */
struct tile {
    __m512 y[TILE_X][PAIR];
};

struct place {
    float *y;
    uint64_t y_stride;
    __mmask16 lanes[PAIR];
    uint64_t n_x; /* rows that there are, from y on; those of x past them are zeros */
};

/* The lanes of row j: none past the last one. */
INGOT_TEMPLATE __mmask16 lanes_of(const struct place *at, const int j, const int panel)
{
    return (uint64_t)j < at->n_x ? at->lanes[panel] : (__mmask16)0;
}

INGOT_TEMPLATE AVX512 void tile_load(struct tile *t, const struct place *at, const int n_x)
{
    INGOT_UNROLL
    for (int j = 0; j < n_x; j++) {
        const float *y = at->y + (uint64_t)j * at->y_stride;
        t->y[j][0] = _mm512_maskz_loadu_ps(lanes_of(at, j, 0), y);
        t->y[j][1] = _mm512_maskz_loadu_ps(lanes_of(at, j, 1), y + PANEL_ROWS);
    }
}

INGOT_TEMPLATE AVX512 void tile_store(const struct tile *t, const struct place *at, const int n_x)
{
    INGOT_UNROLL
    for (int j = 0; j < n_x; j++) {
        float *y = at->y + (uint64_t)j * at->y_stride;
        _mm512_mask_storeu_ps(y, lanes_of(at, j, 0), t->y[j][0]);
        _mm512_mask_storeu_ps(y + PANEL_ROWS, lanes_of(at, j, 1), t->y[j][1]);
    }
}

/* One pair of panels and some blocks; the second panel may be missing, and is the first one again
 * then, whose sums are dropped. */
struct walk {
    const struct panel_job *job;
    struct part parts[PAIR];
    struct place at;
};

/* The place of rows of x from j on. */
static inline struct place place_of(const struct walk *walk, uint64_t j)
{
    struct place at = walk->at;
    at.y += j * at.y_stride;
    at.n_x = walk->job->n_x - j;
    return at;
}

/* One pair of panels times all rows of x, as 8-bit integers. */
void avx512_multiply_bytes(const struct walk *walk);

#endif
#endif

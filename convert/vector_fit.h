/* Fitting the vectors of a grid to weights. Eight weights are held by one entry of eight levels, or
 * two of four, with a sign a weight or with levels that have signs of their own:
 *
 *     value = (sign * level - offset) * scale
 *
 * and what is sought for a scale is the entries and signs of the least sum of
 * importance * (weight - value)^2. What is found is the least there is, not near it. Knows no files
 * and no tables. */
#ifndef INGOT_CONVERT_VECTOR_FIT_H
#define INGOT_CONVERT_VECTOR_FIT_H

#include <stdbool.h>
#include <stdint.h>

#include "convert/block_codings.h"

enum { OCTET = 8, VECTOR_LEVELS = 8, VECTOR_QUARTERS = 16, VECTOR_HALVES = 256 };

/* A grid, its entries in the order of their upper halves. */
struct vector_book {
    uint32_t length;            /* weights of an entry: 4 or 8 */
    uint8_t signs;              /* bits of signs for eight weights: 0, 7 (an even number), 8 */
    float level[VECTOR_LEVELS]; /* ascending by code; what follows the last is that again */
    const uint16_t *packed;     /* of each entry the codes of its levels */
    /* Runs of entries with the same upper half, and blocks of runs with the same upper quarter. */
    uint32_t n_blocks;
    uint16_t block_begin[VECTOR_QUARTERS + 1];
    uint8_t block_upper[VECTOR_QUARTERS];
    uint16_t run_begin[VECTOR_HALVES + 1];
    uint8_t run_upper[VECTOR_HALVES];
};

struct octet {
    uint16_t codes[2]; /* of entries; with vectors of eight the first alone */
    uint8_t signs;     /* bit i: weight i is negative */
    float error;
};

void vector_book_open(struct vector_book *book, enum block_book which, uint8_t signs);
/* sign * level - offset, of the weights of an octet. */
void vector_levels(const struct vector_book *book, const struct octet *octet, float offset,
                   float levels[OCTET]);

/* The best of eight weights. What `best` holds is tried first. */
void vector_octet(const struct vector_book *book, const float weights[OCTET],
                  const float importance[OCTET], float scale, float offset, struct octet *best);

#endif

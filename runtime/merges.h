/* The merges of byte-pair encoding: which two tokens may be joined, to which, and how early. */
#ifndef INGOT_MERGES_H
#define INGOT_MERGES_H

#include "format/ingot.h"

struct merge {
    uint32_t left, right; /* INGOT_NONE: an empty place */
    uint32_t rank;        /* the lowest is joined first */
    uint32_t token;       /* what they become */
};

struct merges {
    const ingot_allocator *allocator;
    struct merge *places;
    uint64_t n_places; /* a power of two, or 0 */
};

/* Makes room for n merges. merges->allocator is set. */
ingot_status merges_begin(struct merges *merges, uint64_t n, ingot_error *error);
/* Adds one; of two of the same pair the first stays. No more than there is room for. */
void merges_add(struct merges *merges, const struct merge *merge);
/* NULL when the two cannot be joined. */
const struct merge *merges_find(const struct merges *merges, uint32_t left, uint32_t right);
void merges_release(struct merges *merges);

#endif

/* Joins neighbouring symbols of a text, the best pair first and of equals the leftmost, until no
 * pair can be joined: the loop of byte-pair encoding, whatever makes one pair better than another.
 * Time is n log n, memory some 70 bytes a symbol. */
#ifndef INGOT_MERGING_H
#define INGOT_MERGING_H

#include "format/ingot.h"

struct symbol {
    uint32_t offset;         /* in the text */
    uint32_t n_bytes;        /* 0: joined to the one before it */
    uint32_t token;          /* or INGOT_NONE */
    uint32_t previous, next; /* INGOT_NONE at the ends */
};

/* What two symbols become. */
struct joint {
    double order; /* the lowest is joined first */
    uint32_t token;
};

struct candidate;
struct merging {
    const ingot_allocator *allocator;
    struct symbol *symbols; /* as they stand in the text: symbols[0], then by `next` */
    uint32_t n_symbols;
    uint32_t capacity;
    struct candidate *heap;
    uint64_t n_heap;
};

/* Empties it and makes room for n symbols; starts as {.allocator = allocator}. */
ingot_status merging_begin(struct merging *merging, uint32_t n, ingot_error *error);
/* Appends a symbol; at most as many as there is room for. */
void merging_symbol(struct merging *merging, uint32_t offset, uint32_t n_bytes, uint32_t token);
/* find says whether two neighbours can be joined, and to what. */
void merging_run(struct merging *merging,
                 bool (*find)(const void *context, const struct symbol *left,
                              const struct symbol *right, struct joint *joint),
                 const void *context);
void merging_release(struct merging *merging);

#endif

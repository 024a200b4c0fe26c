/* Blocks of memory that are released together: what a matrix made for a device stands on. */
#ifndef INGOT_STORE_H
#define INGOT_STORE_H

#include "format/ingot.h"

struct store_block;

/* Starts as {.allocator = allocator}. */
struct store {
    const ingot_allocator *allocator;
    struct store_block *blocks;
    uint32_t group; /* of the blocks that are taken next */
};

/* The groups of part i of a matrix, and of the B of a low-rank one. */
static inline uint32_t store_group(uint32_t part)
{
    return 2 * part;
}

static inline uint32_t store_group_b(uint32_t part)
{
    return 2 * part + 1;
}

/* n_bytes bytes, followed by RESIDENT_SLACK_BYTES of zeros; uninitialised, aligned for any type.
 * They live until the store is released. `what` names them in a failure. */
ingot_status store_take(struct store *store, uint64_t n_bytes, const char *what, void **memory,
                        ingot_error *error);
/* The same for n elements of element_bytes. */
ingot_status store_take_array(struct store *store, uint64_t n, uint64_t element_bytes,
                              const char *what, void **memory, ingot_error *error);
/* Releases the blocks of one group. */
void store_release_group(struct store *store, uint32_t group);
/* Releases all blocks; the store is empty then and can be used again. */
void store_release(struct store *store);

#endif

/* Items made on many threads and taken in order on one. Knows nothing of what they are. */
#ifndef INGOT_ORDERED_H
#define INGOT_ORDERED_H

#include "format/pool.h"

struct ordered_job {
    void *context;
    uint64_t n_items;
    uint32_t n_slots; /* of ordered_slots */
    /* Fills a slot; on any thread. Failures are kept in the slot. */
    void (*make)(void *context, uint64_t i, uint32_t slot);
    /* Called for every item in order, on the calling thread, while the next ones are made. The
     * first failure ends the run. */
    ingot_status (*take)(void *context, uint64_t i, uint32_t slot);
};
/* How many slots of that many bytes are worth having; at least 1. pool may be NULL. */
uint32_t ordered_slots(const struct ingot_pool *pool, uint64_t slot_bytes);
ingot_status ordered_run(struct ingot_pool *pool, const struct ordered_job *job);

#endif

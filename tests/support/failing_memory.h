/* An allocator that fails when it is told to, and counts what was not released. */
#ifndef INGOT_TESTS_SUPPORT_FAILING_MEMORY_H
#define INGOT_TESTS_SUPPORT_FAILING_MEMORY_H

#include "format/ingot.h"

struct failing_memory {
    uint64_t fail_at; /* number of the allocation that fails, from 0 on */
    bool for_good;    /* and so do all after it */
    uint64_t n_calls;
    uint64_t n_live;
    bool has_failed;
};

/* *memory must outlive it. For any number of threads. */
ingot_allocator failing_allocator(struct failing_memory *memory);

/* Calls attempt(context, allocator, error) with the first allocation failing, then the second and
 * so on, until none fails: each time all memory must come back, and the status be INGOT_NO_MEMORY
 * with its error. Does the same with all later allocations failing too. Returns how many
 * allocations the attempt makes. */
uint64_t fail_every_allocation(ingot_status (*attempt)(void *context,
                                                       const ingot_allocator *allocator,
                                                       ingot_error *error),
                               void *context);

#endif

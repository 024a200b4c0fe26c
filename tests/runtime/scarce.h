/* Memory of which the n-th request fails, and which knows what is still held. */
#ifndef INGOT_TESTS_RUNTIME_SCARCE_H
#define INGOT_TESTS_RUNTIME_SCARCE_H

#include <stdlib.h>

#include "format/ingot.h"

struct scarce {
    int n_left; /* requests before the one that fails */
    int n_held;
};

static inline void *scarce_allocate(void *context, size_t n_bytes)
{
    struct scarce *scarce = context;
    if (scarce->n_left-- == 0) return NULL;
    scarce->n_held++;
    return malloc(n_bytes);
}

static inline void scarce_release(void *context, void *memory)
{
    struct scarce *scarce = context;
    if (memory != NULL) scarce->n_held--;
    free(memory);
}

static inline ingot_allocator scarce_allocator(struct scarce *scarce)
{
    return (ingot_allocator){
        .allocate = scarce_allocate, .release = scarce_release, .context = scarce};
}

#endif

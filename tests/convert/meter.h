/* An allocator that gives out a number of pieces and then none, and counts what is held. */
#ifndef INGOT_TESTS_CONVERT_METER_H
#define INGOT_TESTS_CONVERT_METER_H

#include <stdlib.h>

#include "format/ingot.h"

struct meter {
    int left;
    int held;
};

static inline void *meter_allocate(void *context, size_t n_bytes)
{
    struct meter *meter = context;
    if (meter->left-- <= 0) return NULL;
    meter->held++;
    return malloc(n_bytes);
}

static inline void meter_release(void *context, void *memory)
{
    struct meter *meter = context;
    meter->held--;
    free(memory);
}

static inline ingot_allocator meter_allocator(struct meter *meter)
{
    return (ingot_allocator){
        .allocate = meter_allocate, .release = meter_release, .context = meter};
}

#endif

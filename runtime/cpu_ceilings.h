/* The most that this CPU does of what products are made of: the measure of how good a kernel is. */
#ifndef INGOT_CPU_CEILINGS_H
#define INGOT_CPU_CEILINGS_H

#include "format/pool.h"

/* On all threads of a pool together; 0 for what the level has no instruction for. */
struct cpu_ceilings {
    double read_bytes_per_second; /* from memory that no cache holds */
    double fma_per_second;        /* f32 operations, two for each multiply-add */
    double bf16_per_second;       /* the same of bf16 dot products */
    double int8_per_second;       /* the same of 8-bit integer dot products */
};

/* The best of several short runs with the instructions of a level (NULL: the best that this CPU
 * has). INGOT_DEVICE when it lacks the level, INGOT_NO_MEMORY without room for what is read. */
ingot_status cpu_ceilings_measure(const char *level, struct ingot_pool *pool,
                                  const ingot_allocator *allocator, struct cpu_ceilings *ceilings,
                                  ingot_error *error);

#endif

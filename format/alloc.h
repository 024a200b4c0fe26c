/* Memory through the caller's allocator. */
#ifndef INGOT_ALLOC_H
#define INGOT_ALLOC_H

#include "format/ingot.h"

/* Uninitialised memory, or NULL. n_bytes 0 gives a pointer that must be released. */
void *ingot_allocate(const ingot_allocator *allocator, uint64_t n_bytes);
/* n elements of element_bytes each, set to zero; NULL when there is none or the product wraps. */
void *ingot_allocate_zeroed(const ingot_allocator *allocator, uint64_t n, uint64_t element_bytes);
/* Takes NULL. */
void ingot_release(const ingot_allocator *allocator, void *memory);

#endif

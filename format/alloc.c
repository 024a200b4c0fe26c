/* Memory through the caller's allocator; malloc and free when there is none. */
#include "format/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"

void *ingot_allocate(const ingot_allocator *allocator, uint64_t n_bytes)
{
    if (n_bytes > SIZE_MAX / 2) return NULL;
    const size_t n = n_bytes ? (size_t)n_bytes : 1;
    const bool asks = allocator && allocator->allocate;
    return asks ? allocator->allocate(allocator->context, n) : malloc(n);
}

void *ingot_allocate_zeroed(const ingot_allocator *allocator, uint64_t n, uint64_t element_bytes)
{
    uint64_t n_bytes;
    if (!mul_u64(n, element_bytes, &n_bytes)) return NULL;
    void *memory = ingot_allocate(allocator, n_bytes);
    if (memory) memset(memory, 0, (size_t)n_bytes);
    return memory;
}

void ingot_release(const ingot_allocator *allocator, void *memory)
{
    if (memory == NULL) return;
    if (allocator && allocator->release) {
        allocator->release(allocator->context, memory);
    } else {
        free(memory);
    }
}

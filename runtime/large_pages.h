/* Large pages for large memory, where the system has them: fewer misses of the address cache. */
#ifndef INGOT_LARGE_PAGES_H
#define INGOT_LARGE_PAGES_H

#include <stdint.h>
#include <sys/mman.h>

/* To be called before the memory is touched. What cannot be had is gone without. */
static inline void ask_for_large_pages(void *memory, uint64_t n_bytes)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t large = 1 << 21, at = (uintptr_t)memory;
    const uintptr_t begin = (at + large - 1) / large * large, end = (at + n_bytes) / large * large;
    if (end > begin) madvise((uint8_t *)memory + (begin - at), end - begin, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)n_bytes;
#endif
}

#endif

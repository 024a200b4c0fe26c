/* How often each byte occurs, and what a perfect coder of single bytes would need for them. In
 * integers alone, so that what is decided by it is the same on every machine. */
#ifndef INGOT_ENTROPY_H
#define INGOT_ENTROPY_H

#include <stdint.h>

struct byte_counts {
    uint32_t n[256];
};
/* Counts n_bytes more bytes; the sums stay below 2^32. */
void byte_counts_add(const uint8_t *bytes, uint64_t n_bytes, struct byte_counts *counts);
/* Order-0 entropy of all the bytes together, in bytes, rounded up: the sum over every value that
 * occurs c times of n of c * log2(n / c) / 8. */
uint64_t entropy_bytes(const struct byte_counts *counts);

#endif

/* Counting in bitmaps: bit c of a mask is bit c % 8 of byte c / 8. */
#ifndef INGOT_BITMAP_H
#define INGOT_BITMAP_H

#include "format/bytes.h"

/* How many bits are set: sums of 2 bits, of 4, of 8, and then of all bytes at once. */
static inline uint32_t n_ones(uint64_t bits)
{
    bits -= bits >> 1 & 0x5555555555555555u;
    bits = (bits & 0x3333333333333333u) + (bits >> 2 & 0x3333333333333333u);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (uint32_t)(bits * 0x0101010101010101u >> 56);
}

/* How many of the first n_bits bits are set. */
static inline uint64_t bitmap_ones(const uint8_t *mask, uint64_t n_bits)
{
    uint64_t n = 0;
    uint64_t c = 0;
    for (; n_bits - c >= 64; c += 64) n += n_ones(load_u64(mask + c / 8));
    for (; n_bits - c >= 8; c += 8) n += n_ones(mask[c / 8]);
    if (c < n_bits) n += n_ones(mask[c / 8] & ((1u << (n_bits - c)) - 1));
    return n;
}

#endif

/* Codes out of resident planes. Knows nothing of what they mean. */
#ifndef INGOT_RESIDENT_CODES_H
#define INGOT_RESIDENT_CODES_H

#include "runtime/backend.h"

enum { RESIDENT_MAX_CODE_BITS = 32 };

/* One code, as resident_codes gives it. */
static inline uint32_t resident_code(const struct resident_plane *planes, uint32_t n_planes,
                                     uint64_t row, uint64_t col)
{
    uint32_t code;
    resident_codes(planes, n_planes, row, col, 1, &code);
    return code;
}

/* Whether the weight at `position` of eight is negated; of seven bits the eighth is the parity. */
static inline bool resident_is_negated(uint32_t code, uint8_t sign_bits, uint64_t position)
{
    if (position < sign_bits) return code >> position & 1;
    code ^= code >> 4;
    code ^= code >> 2;
    code ^= code >> 1;
    return code & 1;
}

#endif

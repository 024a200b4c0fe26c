/* Elements narrower than a byte in one run of bits. */
#include "format/dense_bits.h"

uint8_t dense_load(const uint8_t *data, uint64_t first_bit, uint8_t bits)
{
    const uint8_t *p = data + first_bit / 8;
    const uint32_t shift = (uint32_t)(first_bit % 8);
    uint32_t word = p[0];
    if (shift + bits > 8) word |= (uint32_t)p[1] << 8;
    return (uint8_t)(word >> shift & ((1u << bits) - 1));
}

void dense_store(uint8_t *data, uint64_t first_bit, uint8_t bits, uint8_t code)
{
    uint8_t *p = data + first_bit / 8;
    const uint32_t shift = (uint32_t)(first_bit % 8);
    const uint32_t word = (uint32_t)code << shift;
    p[0] = (uint8_t)(p[0] | word);
    if (shift + bits > 8) p[1] = (uint8_t)(p[1] | word >> 8);
}

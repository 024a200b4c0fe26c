/* Elements narrower than a byte, as sources pack them: element e of a tensor at bits [e * bits,
 * e * bits + bits) of one run of bytes, low bits first, without regard to rows. */
#ifndef INGOT_DENSE_BITS_H
#define INGOT_DENSE_BITS_H

#include <stdint.h>

/* Element number e of at most 8 bits. Reads one byte past the one it begins in only when it needs
 * to. */
uint8_t dense_load(const uint8_t *data, uint64_t first_bit, uint8_t bits);
/* Sets an element; its bits must be zero before. */
void dense_store(uint8_t *data, uint64_t first_bit, uint8_t bits, uint8_t code);

#endif

/* The filters of the specification's chapter 4.4, digit by digit and bit by bit, to compare the
 * library's with. */
#ifndef INGOT_TESTS_SUPPORT_NAIVE_FILTER_H
#define INGOT_TESTS_SUPPORT_NAIVE_FILTER_H

#include "format/buffer.h"

/* Appends what filter 1 to 7 makes of n_bytes raw bytes. For filter 6 no 2-bit code may be 3. */
void naive_filter(uint8_t filter, const uint8_t *raw, uint64_t n_bytes, struct byte_buffer *out);

#endif

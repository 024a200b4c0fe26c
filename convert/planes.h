/* Codes into planes [spec 6.4]. Knows no tables and no values. */
#ifndef INGOT_CONVERT_PLANES_H
#define INGOT_CONVERT_PLANES_H

#include "format/coding.h"

/* Writes the planes of codes of `bits` bits, at most 8, over a stack: one code a byte, row after
 * row, of which the low `bits` bits count. The streams are zero before. Returns how many there are.
 */
uint32_t planes_put(uint8_t bits, struct stack_shape stack, const uint8_t *codes,
                    uint8_t *const *streams);

#endif

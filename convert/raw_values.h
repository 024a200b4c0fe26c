/* Logical bytes of a type as f32. Knows nothing of files or codings. */
#ifndef INGOT_CONVERT_RAW_VALUES_H
#define INGOT_CONVERT_RAW_VALUES_H

#include "format/ingot.h"

/* Where elements [first, first + n) of a tensor lie in its logical bytes. */
struct raw_extent {
    uint64_t offset;
    uint64_t n_bytes;
    uint32_t first_bit; /* of the first element in the first byte: types narrower than a byte */
};
struct raw_extent raw_extent(ingot_dtype dtype, uint64_t first, uint64_t n);

/* n values of a type that fills whole bytes, as the reference decoder gives them. */
ingot_status raw_values_f32(ingot_dtype dtype, const uint8_t *bytes, uint64_t n, float *dst,
                            ingot_error *error);
/* The same of any type: the first value begins at bit first_bit. c64, which is a pair, is
 * INGOT_UNSUPPORTED. */
ingot_status raw_values_at(ingot_dtype dtype, const uint8_t *bytes, uint32_t first_bit, uint64_t n,
                           float *dst, ingot_error *error);

/* Bytes of one element, or 0 for a type narrower than a byte. */
uint32_t dtype_bytes(ingot_dtype dtype);
bool dtype_is_float(ingot_dtype dtype); /* f64, f32, f16, bf16 */

#endif

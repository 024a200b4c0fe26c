/* Logical bytes of a type as f32. Knows nothing of files or codings. */
#ifndef INGOT_CONVERT_RAW_VALUES_H
#define INGOT_CONVERT_RAW_VALUES_H

#include "format/ingot.h"

/* n values of a type that fills whole bytes, as the reference decoder gives them. Types narrower
 * than a byte and c64, which is a pair, are INGOT_UNSUPPORTED. */
ingot_status raw_values_f32(ingot_dtype dtype, const uint8_t *bytes, uint64_t n, float *dst,
                            ingot_error *error);

/* Bytes of one element, or 0 for a type narrower than a byte. */
uint32_t dtype_bytes(ingot_dtype dtype);
bool dtype_is_float(ingot_dtype dtype); /* f64, f32, f16, bf16 */

#endif

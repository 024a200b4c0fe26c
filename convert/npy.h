/* NumPy's .npy files: the header before the data, which is C order, little-endian. */
#ifndef INGOT_CONVERT_NPY_H
#define INGOT_CONVERT_NPY_H

#include "format/ingot.h"

/* NumPy's name of a type ("<f4"), or NULL when it has none: bf16, and floats of 8 bits and less. */
const char *npy_descr(ingot_dtype dtype);

/* Writes the header of an array of that type, which has a name there, and returns its length. */
enum { NPY_MAX_HEADER_BYTES = 512 };
uint32_t npy_header(ingot_dtype dtype, uint32_t rank, const uint64_t *dims,
                    uint8_t header[NPY_MAX_HEADER_BYTES]);

#endif

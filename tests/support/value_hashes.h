/* One line a tensor, for comparing readers: name, tab, XXH3-128 in hexadecimal of the tensor's
 * logical bytes when it has exact bits, else of its f32 values in little-endian with every NaN as
 * 7FC00000; "-" when it has no values (opaque codes, or a ref whose file is not at hand). */
#ifndef INGOT_TESTS_SUPPORT_VALUE_HASHES_H
#define INGOT_TESTS_SUPPORT_VALUE_HASHES_H

#include "format/buffer.h"

/* Appends the lines of all tensors of an open file. */
void value_hashes(const ingot_file *file, struct byte_buffer *out);

#endif

/* Integers with scales, set down anew as ggml's blocks: for repack.c alone. */
#ifndef INGOT_CONVERT_REPACK_INTEGERS_H
#define INGOT_CONVERT_REPACK_INTEGERS_H

#include "convert/gguf_types.h"
#include "format/blocks.h"
#include "format/reader.h"

/* The type that holds any code of the coding, provided that its scales (and biases) are f16; NULL
 * when there is none: its map is not of integers, groups are not whole blocks, or there are steps
 * that the types do not have. */
const struct gguf_type *repack_integers_type(const struct file_term *term,
                                             struct stack_shape stack);
/* Rows of the stack as blocks of that type. INGOT_REFUSED when a scale or bias is not an f16, or a
 * zero not an integer within range. */
ingot_status repack_integers(const ingot_file *file, const struct file_term *term,
                             struct stack_shape stack, const struct gguf_type *type,
                             uint64_t first_row, uint64_t n_rows, uint8_t *blocks,
                             ingot_error *error);

#endif

/* What a term's streams are: the one list that reader, writer and validator share [6.5, 7.3]. */
#ifndef INGOT_TERM_H
#define INGOT_TERM_H

#include "format/coding.h"
#include "format/reader.h"

enum { TERM_MAX_STREAMS = CODING_MAX_STREAMS };

/* The stack that the kept values' codes of a sparse term form, and whether they follow the tensor's
 * rows. False when n_kept does not fit the mask and shape. */
bool sparse_codes(const struct file_term *term, struct stack_shape stack, struct stack_shape *codes,
                  bool *by_rows);

/* Width of a row offset: 32 bits when n_kept < 2^32, else 64. */
uint8_t row_offset_bits(const struct file_term *term);

/* Lists the streams of a term over the tensor's stack. False when there are too many, a size does
 * not fit, or a sparse term's parameters do not fit the shape. */
bool term_streams(const struct file_term *term, struct stack_shape stack,
                  struct stream_shape streams[TERM_MAX_STREAMS], uint32_t *n_streams);

/* Whether a term is not optional, or belongs to one of these adapters. */
bool term_is_on(const struct file_term *term, const char *const *adapters, uint32_t n_adapters);

/* The first stream (counted within the term) of the coding of a term's values. */
uint32_t term_values_stream(const struct file_term *term);

#endif

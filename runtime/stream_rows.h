/* Reading a piece of a stream into memory of its own, with rows that begin at whole bytes or words,
 * wherever they begin in the stream. */
#ifndef INGOT_STREAM_ROWS_H
#define INGOT_STREAM_ROWS_H

#include "format/coding.h"
#include "format/reader.h"
#include "runtime/store.h"

/* Bytes of a row of n_cols elements as backends take them: whole 32-bit words for elements of fewer
 * than 8 bits. */
uint64_t stream_row_bytes(uint8_t bits, uint64_t n_cols);

/* A stream, and the pool that reads it (NULL: this thread does). */
struct row_source {
    const ingot_file *file;
    uint32_t stream;
    struct ingot_pool *pool;
};

/* Rows [first_row, first_row + n_rows) of a stream of that shape, stream_row_bytes each. Bits that
 * hold no element are zero. */
ingot_status stream_rows_read(struct row_source source, const struct stream_shape *shape,
                              uint64_t first_row, uint64_t n_rows, struct store *store,
                              const uint8_t **rows, ingot_error *error);

/* The same into memory of n_rows * stream_row_bytes; `allocator` for what it takes on the way. */
ingot_status stream_rows_read_to(struct row_source source, const struct stream_shape *shape,
                                 uint64_t first_row, uint64_t n_rows,
                                 const ingot_allocator *allocator, uint8_t *rows,
                                 ingot_error *error);

/* Where the same rows lie in the file; NULL where they do not lie so: compressed, in pieces, or of
 * another alignment than their elements'. Nothing is read. */
const uint8_t *stream_rows_place(struct row_source source, const struct stream_shape *shape,
                                 uint64_t first_row, uint64_t n_rows);
/* Checks rows in their place. */
ingot_status stream_rows_check(struct row_source source, const struct stream_shape *shape,
                               uint64_t first_row, uint64_t n_rows, ingot_error *error);

/* Elements [first, first + n) of a stream of one row of elements of `bits` bits, as one row. */
ingot_status stream_elements_read(struct row_source source, uint8_t bits, uint64_t first,
                                  uint64_t n, struct store *store, const uint8_t **row,
                                  ingot_error *error);

#endif

/* The streams of a tensor's terms in memory, and as the writer pulls them. Knows no encoding. */
#ifndef INGOT_CONVERT_STREAMS_H
#define INGOT_CONVERT_STREAMS_H

#include "format/writer.h"

struct streams {
    const ingot_allocator *allocator; /* of the bytes; may be NULL */
    uint32_t n_streams;
    struct term_stream list[TENSOR_MAX_STREAMS];
    uint8_t *data[TENSOR_MAX_STREAMS]; /* n_bytes each */
};

/* The bytes of a stream that follows the rows, for rows [first_row, first_row + n_rows). */
struct stream_range {
    uint64_t offset;
    uint64_t n_bytes;
};
struct stream_range stream_rows(const struct stream_shape *shape, uint64_t first_row,
                                uint64_t n_rows);

/* Makes room, zeroed, for those streams of a tensor's terms that it does not have yet. Begin with a
 * zeroed struct; release it also after a failure. */
ingot_status streams_add(struct streams *streams, const struct writer_tensor *tensor,
                         ingot_error *error);
void streams_release(struct streams *streams);
/* For the writer. The streams must outlive it. */
struct writer_source streams_source(struct streams *streams);

#endif

/* A writer_source over whole streams in memory, and files written to memory. */
#ifndef INGOT_TESTS_SUPPORT_STREAM_SOURCE_H
#define INGOT_TESTS_SUPPORT_STREAM_SOURCE_H

#include "format/output.h"
#include "format/writer.h"

/* The streams of a tensor as writer_streams lists them, and their bytes; all the caller's. */
struct stream_source {
    const struct term_stream *streams;
    uint32_t n_streams;
    const uint8_t *const *data;
};
/* *source must outlive it. */
struct writer_source stream_source(const struct stream_source *source);

/* A file being written to memory; fails the test when it cannot be made. */
struct written {
    struct byte_buffer bytes;
    ingot_writer *writer;
};
void written_begin(struct written *w, ingot_compression compression);
/* Finishes and closes the writer: w->bytes is the file. */
void written_end(struct written *w);
void written_release(struct written *w);

#endif

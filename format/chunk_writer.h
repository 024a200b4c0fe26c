/* Writing streams as chunks: compression, checksums, alignment, equal chunks once. Keeps the chunk
 * and stream records; knows nothing of tensors. */
#ifndef INGOT_CHUNK_WRITER_H
#define INGOT_CHUNK_WRITER_H

#include "format/intern.h"
#include "format/output.h"
#include "format/packer.h"
#include "format/records.h"

enum { SLAB_BYTES = 1 << 20 };

struct chunk_writer {
    const ingot_allocator *allocator;
    struct output *output;
    ingot_compression compression;
    uint64_t offset; /* of the next byte of the file */
    uint64_t raw_bytes;
    struct byte_buffer chunks;
    struct byte_buffer streams;
    struct intern seen;
    uint8_t *packed; /* room for one compressed chunk */
    uint64_t packed_capacity;
    struct packer *packer; /* NULL: all is stored */
};

/* A stream being written. Its chunks are appended in order; other streams' chunks may come between
 * when all have the same number of chunks and take turns. */
struct stream_writer {
    struct stream_record record;
    void *hash;
    uint64_t done_bytes;
    uint64_t n_chunks;
    uint64_t first_offset;
    bool strided;
    uint8_t element_bits;
};

ingot_status chunks_begin(struct chunk_writer *w, struct output *output,
                          ingot_compression compression, const ingot_allocator *allocator,
                          ingot_error *error);
void chunks_release(struct chunk_writer *w);
/* Writes bytes that belong to no chunk (header, index). */
ingot_status chunks_write(struct chunk_writer *w, const void *bytes, uint64_t n_bytes,
                          ingot_error *error);
/* Writes zeros up to a multiple of alignment. */
ingot_status chunks_align(struct chunk_writer *w, uint64_t alignment, ingot_error *error);

/* element_bits: of what the stream is made of, for compression; 0 when that is not known. */
ingot_status stream_begin(struct chunk_writer *w, struct stream_writer *s, uint64_t n_bytes,
                          uint32_t chunk_bytes, uint32_t chunk_step, uint8_t element_bits,
                          ingot_error *error);
ingot_status stream_put_chunk(struct chunk_writer *w, struct stream_writer *s, const uint8_t *raw,
                              uint64_t n_bytes, ingot_error *error);
/* Appends the stream's record and sets *index to its number. */
ingot_status stream_end(struct chunk_writer *w, struct stream_writer *s, uint32_t *index,
                        ingot_error *error);
/* Frees what stream_begin took; after an end or a failure. */
void stream_release(struct chunk_writer *w, struct stream_writer *s);

#endif

/* Writing streams as chunks: compression, checksums, alignment, equal chunks once. Keeps the chunk
 * and stream records; knows nothing of tensors.
 *
 * With a pool, chunks wait in batches: while one fills, the pool packs the one before it and
 * writes out the one before that, in order. What is written does not depend on that. The bytes of a
 * chunk are made where they wait, in room that is asked for first, and are not copied. */
#ifndef INGOT_CHUNK_WRITER_H
#define INGOT_CHUNK_WRITER_H

#include "format/intern.h"
#include "format/output.h"
#include "format/packer.h"
#include "format/pool.h"
#include "format/records.h"

enum { SLAB_BYTES = 1 << 20 };

struct chunk_queue;

/* Memory that grows and does not keep what is in it. */
struct room {
    uint8_t *bytes;
    uint64_t n_bytes;
};

struct chunk_writer {
    const ingot_allocator *allocator;
    struct output *output;
    ingot_compression compression;
    uint64_t offset; /* of the next byte of the file */
    uint64_t raw_bytes;
    struct byte_buffer chunks; /* records of what is written out */
    struct byte_buffer streams;
    uint32_t n_chunks; /* with those that wait */
    uint32_t n_streams;
    struct intern seen;
    struct packer *packer;     /* NULL: all is stored */
    struct room raw;           /* for the next chunks */
    struct room packed;        /* for one packed chunk */
    struct chunk_queue *queue; /* NULL: nothing waits, and both rooms are its own */
};

/* A stream being written. Its chunks are appended in order; other streams' chunks may come between
 * when all have the same number of chunks and take turns. */
struct stream_writer;

ingot_status chunks_begin(struct chunk_writer *w, struct output *output,
                          ingot_compression compression, const ingot_allocator *allocator,
                          ingot_error *error);
/* From now on the pool packs and writes out; it must outlive the writer. Between calls the pool may
 * be used for other runs. */
ingot_status chunks_use_pool(struct chunk_writer *w, struct ingot_pool *pool, ingot_error *error);
void chunks_release(struct chunk_writer *w);
/* Writes out all that waits. After it the records are complete and `offset` is right. */
ingot_status chunks_flush(struct chunk_writer *w, ingot_error *error);
/* Writes bytes that belong to no chunk (header, index); nothing may wait. */
ingot_status chunks_write(struct chunk_writer *w, const void *bytes, uint64_t n_bytes,
                          ingot_error *error);
/* Writes zeros up to a multiple of alignment. */
ingot_status chunks_align(struct chunk_writer *w, uint64_t alignment, ingot_error *error);

/* element_bits: of what the stream is made of, for compression; 0 when that is not known. */
ingot_status stream_begin(struct chunk_writer *w, uint64_t n_bytes, uint32_t chunk_bytes,
                          uint32_t chunk_step, uint8_t element_bits, struct stream_writer **stream,
                          ingot_error *error);
/* What the raw bytes of a chunk take of a room. */
static inline uint64_t chunk_room_bytes(uint64_t n_bytes)
{
    return ceil_div(n_bytes, DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT;
}
/* Room for the raw bytes of the next n_chunks chunks, which lie one after another, each in its
 * chunk_room_bytes, room_bytes together. It holds no particular bytes, and is the caller's until
 * the last of the chunks is put. */
ingot_status chunks_room(struct chunk_writer *w, uint64_t room_bytes, uint32_t n_chunks,
                         uint8_t **room, ingot_error *error);
/* Puts the next chunk, whose bytes lie in the room. */
ingot_status stream_put_chunk(struct chunk_writer *w, struct stream_writer *s, const uint8_t *raw,
                              uint64_t n_bytes, ingot_error *error);
/* Sets *index to the number of the stream's record, and takes the stream over: also when it fails,
 * it is not to be released. */
ingot_status stream_end(struct chunk_writer *w, struct stream_writer *s, uint32_t *index,
                        ingot_error *error);
/* Gives up a stream that was not ended; the writer can then only be released. Takes NULL. */
void stream_release(struct chunk_writer *w, struct stream_writer *s);

#endif

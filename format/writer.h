/* The writer as the converter uses it: tensors of any terms, pulled slab by slab from whoever
 * makes the streams. One pass, bounded memory. */
#ifndef INGOT_WRITER_H
#define INGOT_WRITER_H

#include "format/reader.h"

struct ingot_pool;

struct writer_term {
    uint8_t kind;    /* enum term_kind */
    uint8_t combine; /* enum term_combine */
    uint8_t mask;    /* enum term_mask */
    bool optional;
    const char *name;                  /* adapter, NULL for none */
    const struct ingot_coding *coding; /* copied; tables are followed; equal codings are shared */
    const struct ingot_coding *coding_b;
    float multiplier;
    uint32_t rank;
    uint32_t block_rows; /* MASK_BLOCKS */
    uint32_t block_cols;
    uint64_t n_kept;
    const struct ingot_coding *magnitude; /* lowrank with DoRA, else NULL */
    uint32_t file;                        /* ref: a number of ingot_writer_base */
    const char *target;                   /* ref: the tensor's name there */
    uint32_t target_bytes;
    uint64_t opaque_bytes; /* of an opaque coding whose blocks are not known, else 0 */
};

struct writer_tensor {
    const char *name;
    uint32_t name_bytes;
    ingot_dtype dtype;
    uint32_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint8_t stack;
    uint8_t split;
    uint32_t n_terms;
    const struct writer_term *terms;
    const struct ingot_coding *rescale; /* one factor a row, or NULL; its streams come last */
};

/* Who makes the bytes. Streams are numbered over all terms of the tensor, in the specification's
 * order [6.5, 7.3]. */
struct writer_source {
    void *context;
    /* Bytes [offset, offset + n_bytes) of a stream that does not follow the rows. */
    ingot_status (*fill)(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                         uint8_t *dst, ingot_error *error);
    /* The parts of all streams that follow the rows, for rows [first_row, first_row + n_rows) of
     * the stack; dst[s] is NULL for the others, and is zeroed. Called with ascending rows. */
    ingot_status (*rows)(void *context, uint64_t first_row, uint64_t n_rows, uint8_t *const *dst,
                         ingot_error *error);
    bool sets_all; /* `rows` writes every byte, so that nothing need be zeroed */
};

/* Adds a tensor, pulling its bytes. The writer cannot be used after a failure, but for closing. */
ingot_status ingot_writer_tensor(ingot_writer *writer, const struct writer_tensor *tensor,
                                 const struct writer_source *source, ingot_error *error);

/* A stream of one term, as the writer will ask for it. */
struct term_stream {
    uint32_t term;             /* n_terms: of the rescale */
    struct stream_shape shape; /* by_rows: through `rows`; else through `fill` */
};
/* Lists the streams of all terms of a tensor. INGOT_INVALID when the shape does not fit the terms.
 */
enum { TENSOR_MAX_STREAMS = 512 };
ingot_status writer_streams(const struct writer_tensor *tensor,
                            struct term_stream streams[TENSOR_MAX_STREAMS], uint32_t *n_streams,
                            ingot_error *error);

/* Adds a tensor held raw, pulled by byte ranges of its logical bytes. */
struct byte_source {
    void *context;
    ingot_status (*read)(void *context, uint64_t offset, uint64_t n_bytes, void *dst,
                         ingot_error *error);
};
ingot_status ingot_writer_raw(ingot_writer *writer, const struct writer_tensor *tensor,
                              const struct byte_source *source, ingot_error *error);

/* Adds a tensor of foreign bytes, pulled by ranges: n_bytes of them, which a coding that knows its
 * blocks fixes. */
ingot_status ingot_writer_opaque(ingot_writer *writer, const struct writer_tensor *tensor,
                                 const struct ingot_coding *coding, uint64_t n_bytes,
                                 const struct byte_source *source, ingot_error *error);

/* Adds a blob, pulled by byte ranges. name and media_type may be NULL. Sets *index when not NULL.
 */
ingot_status ingot_writer_blob(ingot_writer *writer, ingot_blob_kind kind, const char *name,
                               const char *media_type, uint64_t n_bytes,
                               const struct byte_source *source, uint32_t *index,
                               ingot_error *error);
/* Adds a codebook's entries as a stream that codings may name in codebook_stream. Equal entries are
 * one stream. */
ingot_status ingot_writer_codebook(ingot_writer *writer, const void *entries, uint64_t n_bytes,
                                   uint32_t *stream, ingot_error *error);
/* Adds another name for a tensor that was added before (counted from 0). */
ingot_status ingot_writer_alias(ingot_writer *writer, const char *name, uint32_t name_bytes,
                                uint32_t alias_of, ingot_error *error);

/* Names another file that ref terms may refer to, by its content id (algorithm 1) and a safe path
 * beside this file where it may be found. Sets *number; the same file named again has the same. */
ingot_status ingot_writer_base(ingot_writer *writer, const uint8_t content_id[16], const char *name,
                               uint32_t name_bytes, uint32_t *number, ingot_error *error);

/* A byte_source over memory. *span must outlive it. */
struct byte_source memory_bytes(const struct span *span);

/* An opaque coding; blocks of 0 weights and bytes are not known. The name is cut to 31 bytes. */
struct ingot_coding opaque_coding(const char *name, uint32_t block_weights, uint32_t block_bytes);
/* The raw coding of a dtype [5.3]. */
struct ingot_coding raw_coding(ingot_dtype dtype);
/* The stack of a shape [5.2]. False when it is too large. */
bool stack_of(uint32_t rank, const uint64_t *dims, uint8_t stack, uint8_t split,
              struct stack_shape *shape);

/* From now on chunks are compressed on the pool, which must outlive the writer; what is written
 * does not depend on it. Meanwhile the pool may be used for runs of the caller's. */
struct ingot_pool;
ingot_status ingot_writer_use_pool(ingot_writer *writer, struct ingot_pool *pool,
                                   ingot_error *error);

/* Of a new writer: from now on what grows with the number of tensors (records, names, hashes) takes
 * its memory there; the allocator must outlive the writer. */
void ingot_writer_keep_tables(ingot_writer *writer, const ingot_allocator *allocator);
/* The stack and split of a tensor of that rank, as ingot_writer_set_stack says. INGOT_INVALID for a
 * stack past the split. */
ingot_status ingot_writer_layout(const ingot_writer *writer, const char *name, uint32_t rank,
                                 uint8_t *stack, uint8_t *split, ingot_error *error);
/* The threads that encode, as ingot_writer_set_threads says. */
ingot_status ingot_writer_pool(ingot_writer *writer, struct ingot_pool **pool, ingot_error *error);

/* The most bytes that the file may have: with more, ingot_writer_finish is INGOT_REFUSED and leaves
 * no file. 0: no limit. */
void ingot_writer_limit(ingot_writer *writer, uint64_t max_bytes);

/* Of a finished writer: the bytes written, and how many raw bytes they stand for. */
void ingot_writer_sizes(const ingot_writer *writer, uint64_t *stored_bytes, uint64_t *raw_bytes);

#endif

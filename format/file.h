/* The insides of an open file, for the files of format/ alone. */
#ifndef INGOT_FILE_H
#define INGOT_FILE_H

#include <assert.h>

#include "format/decode.h"
#include "format/reader.h"
#include "format/records.h"

struct section {
    const uint8_t *data;
    uint64_t offset; /* in the file, for messages */
    uint32_t n_records;
    uint64_t n_bytes;
};

struct ingot_file {
    const ingot_allocator *allocator;
    struct span bytes;
    void *mapping;  /* to be unmapped, or NULL */
    int descriptor; /* of the file that is mapped; -1: none is */
    char *path;     /* of the mapped file, for messages; else NULL */
    struct header_record header;
    struct trailer_record trailer;
    struct section sections[N_SECTIONS + 1]; /* by kind; [0] is unused */
    struct ingot_coding *codings;            /* one a coding record, tables resolved */
    struct base *bases;                      /* one a file record */
    struct adapter *adapters;                /* the names of optional terms, in order */
    uint32_t n_adapters;
};

/* A file that ref terms name: NULL when it was not found. */
struct base {
    const ingot_file *file;
    ingot_file *owned; /* to be closed with the file that names it, or NULL */
};

/* The longest chain of files that refer to each other. */
enum { MAX_CHAIN = 8 };

/* Finds bases among open files, and beside a path (which may be NULL). */
ingot_status bases_open(struct ingot_file *file, const ingot_file *const *given, uint32_t n_given,
                        const char *path, uint32_t depth, ingot_error *error);
void bases_close(struct ingot_file *file);
/* The file and tensor that a ref term of `tensor` names, of the same shape and dtype. */
ingot_status bases_find(const struct ingot_file *file, uint32_t tensor, uint32_t term,
                        const ingot_file **base, uint32_t *target, ingot_error *error);
/* Lists the adapters of a proved file. */
ingot_status adapters_open(struct ingot_file *file, ingot_error *error);
/* ingot_file_open at a depth of a chain. */
ingot_status file_open_at(const char *path, uint32_t depth, const ingot_allocator *allocator,
                          ingot_file **file, ingot_error *error);

static inline const uint8_t *record_at(const struct ingot_file *file, enum section_kind kind,
                                       uint32_t index)
{
    assert(index < file->sections[kind].n_records);
    return file->sections[kind].data + (uint64_t)index * section_record_bytes[kind];
}

/* Offset in the file of a field of a record, for messages. */
static inline uint64_t record_offset(const struct ingot_file *file, enum section_kind kind,
                                     uint32_t index, uint32_t field)
{
    return file->sections[kind].offset + (uint64_t)index * section_record_bytes[kind] + field;
}

static inline struct stream_record stream_at(const struct ingot_file *file, uint32_t index)
{
    struct stream_record r;
    stream_read(record_at(file, SECTION_STREAMS, index), &r);
    return r;
}

static inline struct chunk_record chunk_at(const struct ingot_file *file, uint32_t index)
{
    struct chunk_record r;
    chunk_read(record_at(file, SECTION_CHUNKS, index), &r);
    return r;
}

static inline struct tensor_record tensor_at(const struct ingot_file *file, uint32_t index)
{
    struct tensor_record r;
    tensor_read(record_at(file, SECTION_TENSORS, index), &r);
    return r;
}

static inline uint64_t stream_n_chunks(const struct stream_record *s)
{
    return s->n_bytes ? ceil_div(s->n_bytes, s->chunk_bytes) : 0;
}

static inline uint64_t stream_chunk_raw_bytes(const struct stream_record *s, uint64_t i)
{
    return min_u64(s->chunk_bytes, s->n_bytes - i * s->chunk_bytes);
}

/* Whether a chunk's stored bytes are its raw bytes. */
static inline bool chunk_is_plain(const struct chunk_record *c)
{
    return c->codec == CODEC_STORED && c->filter == FILTER_NONE;
}

static inline const char *string_at(const struct ingot_file *file, struct string_ref s)
{
    return (const char *)file->sections[SECTION_STRINGS].data + s.offset;
}

/* A term record as a file_term; its references must have been proved. */
void term_at(const struct ingot_file *file, uint32_t index, struct file_term *term);

/* Proofs, in the order they must be made. Each fills its part of the file. */
ingot_status prove_container(struct ingot_file *file, ingot_error *error);
ingot_status prove_chunks(const struct ingot_file *file, ingot_error *error);
ingot_status prove_streams(const struct ingot_file *file, ingot_error *error);
ingot_status prove_codings(struct ingot_file *file, ingot_error *error);
ingot_status prove_tensors(const struct ingot_file *file, ingot_error *error);
ingot_status prove_blobs(const struct ingot_file *file, ingot_error *error);
ingot_status prove_use(const struct ingot_file *file, ingot_error *error);
/* A string record: within the strings, not too long. */
ingot_status prove_string(const struct ingot_file *file, struct string_ref s, uint64_t offset,
                          const char *field, ingot_error *error);

/* Whether it is a file that was mapped, and no memory of the caller's. */
bool file_is_mapped(const struct ingot_file *file);
/* Reads plain chunk k of a stream of a mapped file, of chunks up to `end` that are taken in order.
 */
ingot_status stream_copy_chunk(const struct ingot_file *file, const struct stream_record *stream,
                               uint64_t k, uint64_t end, uint8_t *dst, ingot_error *error);
/* Lets the system read a part of a mapped file, without waiting for it. */
void file_read_ahead(const struct ingot_file *file, uint64_t offset, uint64_t n_bytes);
/* Maps all pages of such a part. */
void file_map(const struct ingot_file *file, uint64_t offset, uint64_t n_bytes);
/* Before chunk k of a stream is taken, of chunks up to `end` that are taken in order: lets the
 * system read it and those that come soon. `asked`: it was called for the chunk before, so that
 * only the last of these is new. */
void stream_read_ahead(const struct ingot_file *file, const struct stream_record *stream,
                       uint64_t k, uint64_t end, bool asked);
/* What decoding a chunk needs besides its bytes; begins with the allocator alone and is used for
 * one chunk after another, by one thread. */
struct chunk_scratch {
    const ingot_allocator *allocator;
    void *decoder;
    uint8_t *filtered;
    uint64_t capacity;
};
void chunk_scratch_release(struct chunk_scratch *scratch);
/* Checks the chunk's stored bytes and gives its raw bytes to dst. `field` names it in errors. */
ingot_status chunk_decode(const struct ingot_file *file, const struct chunk_record *chunk,
                          uint64_t raw_bytes, uint8_t *dst, struct chunk_scratch *scratch,
                          const char *field, ingot_error *error);
ingot_status chunk_verify(const struct ingot_file *file, const struct chunk_record *chunk,
                          const char *field, ingot_error *error);
/* The same where the checksum of its stored bytes was made already. */
ingot_status chunk_compare(const struct chunk_record *chunk, uint64_t checksum, const char *field,
                           ingot_error *error);

/* How many streams the rescale of a tensor has; 0 when there is none. */
uint32_t rescale_n_streams(const struct ingot_file *file, const struct tensor_record *tensor);

/* Which tensor, codebook or blob a stream belongs to, in words, for messages. */
void describe_stream(const struct ingot_file *file, uint32_t stream, char *text, size_t text_bytes);

/* Bytes of a file for the decoder; its buffers live until file_bytes_release. */
struct file_bytes {
    const ingot_file *file;
    struct file_buffer *buffers;
};
struct stream_provider file_provider(struct file_bytes *bytes);
void file_bytes_release(struct file_bytes *bytes);

/* The content id of a proved file [chapter 10]. */
ingot_status content_id_of(const struct ingot_file *file, uint8_t id[HASH_BYTES],
                           ingot_error *error);

#endif

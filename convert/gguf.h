/* The head of a GGUF file: metadata and the list of tensors, proved against the file's length.
 * Works on memory; knows nothing of files. Versions 1 to 3, either byte order. */
#ifndef INGOT_CONVERT_GGUF_H
#define INGOT_CONVERT_GGUF_H

#include "convert/assume.h"
#include "convert/gguf_types.h"
#include "format/buffer.h"
#include "format/bytes.h"
#include "format/source_metadata.h"

enum { GGUF_MAGIC_BYTES = 4 };
#define GGUF_MAX_HEAD_BYTES (UINT64_C(1) << 30)

struct gguf_tensor {
    uint64_t name_offset; /* in names */
    uint32_t name_bytes;
    uint32_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint32_t type_id;
    const struct gguf_type *type; /* NULL: unknown, its bytes are carried */
    uint64_t offset;              /* of its bytes, from data_offset on */
    uint64_t n_bytes;
    uint64_t record; /* where its record begins in the file, for messages */
};

struct gguf_split {
    bool found; /* the file says that it is a part of more than one */
    uint64_t number;
    uint64_t count;
    bool has_tensor_count;
    uint64_t tensor_count; /* of all parts */
};

struct gguf {
    const ingot_allocator *allocator;
    uint32_t version;
    struct gguf_encoding encoding;
    uint64_t alignment;
    uint64_t head_bytes;  /* to the end of the list of tensors */
    uint64_t data_offset; /* of the file; may be past its end when no tensor has bytes */
    uint64_t data_bytes;
    struct gguf_split split;
    struct byte_buffer metadata; /* as a metadata blob [spec 8.1], keys with one value repeated */
    uint32_t n_entries;
    uint64_t *entry_offsets; /* n_entries + 1, in the file: the last is where they end */
    uint32_t n_tensors;
    struct gguf_tensor *tensors; /* in the file's order */
    struct byte_buffer names;    /* of tensors, each ends with a zero byte */
    uint32_t n_ordered;
    uint32_t *by_data; /* the tensors that have bytes, in the order of their bytes */
    /* For notes. */
    bool reordered;
    uint32_t n_repeated; /* metadata entries that are there again, equal */
    uint64_t gap_bytes;  /* between tensors, besides the padding to the alignment */
    uint64_t tail_bytes; /* after the last, likewise */
    uint32_t n_opaque;   /* of unknown types */
    uint32_t n_reused;   /* of types that forks use otherwise */
};

/* Proves the head of a file of file_bytes bytes, of which the first ones are at hand. INGOT_END
 * when these are too few: *wanted is then how many it takes at least. Nothing is allocated before
 * all of the head is proved to be there. On success *out is to be released. */
ingot_status gguf_parse(struct span head, uint64_t file_bytes,
                        const struct assumptions *assumptions, const ingot_allocator *allocator,
                        struct gguf *out, uint64_t *wanted, ingot_error *error);
void gguf_release(struct gguf *gguf);
const char *gguf_name(const struct gguf *gguf, uint32_t tensor);

#endif

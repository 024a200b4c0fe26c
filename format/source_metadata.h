/* Metadata as GGUF writes it [8.2]: a range of entries to the bytes that stand for them in a file.
 * Knows how values are encoded, and nothing else of GGUF. */
#ifndef INGOT_SOURCE_METADATA_H
#define INGOT_SOURCE_METADATA_H

#include "format/bytes.h"
#include "format/ingot.h"

/* Takes bytes in order. */
struct byte_sink {
    void *context;
    ingot_status (*put)(void *context, const void *bytes, uint64_t n_bytes, ingot_error *error);
};

struct gguf_encoding {
    uint8_t length_bytes; /* of lengths and counts: 4 in GGUF version 1, 8 later */
    uint8_t big_endian;   /* 0 or 1 */
};

struct metadata_range {
    uint32_t first_entry;
    uint32_t n_entries; /* at least 1 */
    struct gguf_encoding encoding;
};

/* A metadata blob and where its entries begin. */
struct metadata_list {
    const ingot_allocator *allocator;
    struct span blob;  /* the caller's */
    uint64_t *offsets; /* n_entries + 1: the last is the end */
    uint64_t n_entries;
};

/* Proves the blob. On success *list is to be closed; the blob must outlive it. */
ingot_status metadata_list_open(struct span blob, const ingot_allocator *allocator,
                                struct metadata_list *list, ingot_error *error);
void metadata_list_close(struct metadata_list *list);
/* Gives the entries of the range to the sink as GGUF encodes them. Fails with R-724 when there are
 * no such entries, the encoding is unknown, or a length is past it. */
ingot_status metadata_list_encode(const struct metadata_list *list,
                                  const struct metadata_range *range, const struct byte_sink *sink,
                                  ingot_error *error);

#endif

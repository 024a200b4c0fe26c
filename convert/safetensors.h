/* The safetensors header: JSON bytes in memory to a proved list of tensors, and back. Knows no
 * files. Every rule of the format is checked here; after that nothing about a header can fail. */
#ifndef INGOT_CONVERT_SAFETENSORS_H
#define INGOT_CONVERT_SAFETENSORS_H

#include "format/buffer.h"
#include "format/bytes.h"
#include "format/ingot.h"

enum {
    SAFETENSORS_LENGTH_BYTES = 8, /* the u64 before the header */
    SAFETENSORS_MAX_HEADER_BYTES = 100000000
};

struct safetensors_entry {
    uint64_t name_offset; /* in names */
    uint32_t name_bytes;
    uint8_t dtype; /* ingot_dtype */
    uint8_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint64_t begin; /* in the data that follows the header */
    uint64_t end;
};

struct safetensors {
    const ingot_allocator *allocator;
    uint32_t n_entries;
    struct byte_buffer names;
    struct byte_buffer entries;  /* struct safetensors_entry, in the header's order */
    struct byte_buffer metadata; /* of __metadata__, as a metadata blob */
    uint32_t n_ordered;
    uint32_t *by_data; /* the entries that have bytes, in the order of their bytes */
};

/* Proves a header whose data is data_bytes long. Accepted beyond the format's own reader: gaps
 * between tensors, and any order. Refused like it: overlap, and bytes after the last tensor. On
 * success *out is to be released. */
ingot_status safetensors_parse(struct span header, uint64_t data_bytes,
                               const ingot_allocator *allocator, struct safetensors *out,
                               ingot_error *error);
void safetensors_release(struct safetensors *st);
const struct safetensors_entry *safetensors_entry_at(const struct safetensors *st, uint32_t index);
const char *safetensors_name(const struct safetensors *st, uint32_t index);

/* The format's name of a type ("BF16"), or NULL when it has none. */
const char *safetensors_dtype_name(ingot_dtype dtype);
/* Its place among the format's types, which its writer sorts tensors by, widest first. */
uint8_t safetensors_dtype_order(ingot_dtype dtype);

#endif

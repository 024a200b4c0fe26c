/* The tables of a file being written, and the index and trailer that end it. */
#ifndef INGOT_INDEX_WRITER_H
#define INGOT_INDEX_WRITER_H

#include "format/chunk_writer.h"

struct index_tables {
    const ingot_allocator *allocator;
    struct byte_buffer strings;
    struct byte_buffer codings;
    struct byte_buffer terms;
    struct byte_buffer tensors; /* by_name is filled in write_index */
    struct byte_buffer blobs;
    struct byte_buffer files;
    struct intern blob_names;
};

void tables_begin(struct index_tables *tables, const ingot_allocator *allocator);
void tables_release(struct index_tables *tables);
struct string_ref tables_string(struct index_tables *tables, const char *text, uint32_t n_bytes);
/* Whether any table ran out of memory. */
bool tables_failed(const struct index_tables *tables);
/* Whether a blob of that kind and name may be added. */
ingot_status tables_check_blob(struct index_tables *tables, ingot_blob_kind kind, const char *name,
                               ingot_error *error);

/* Writes index and trailer; the output is not finished yet. */
ingot_status write_index(struct index_tables *tables, struct chunk_writer *chunks,
                         uint64_t header_checksum, ingot_error *error);

#endif

/* The source blob of a container, read into memory and ready to be walked. Knows no foreign format
 * and opens no files. */
#ifndef INGOT_CONVERT_SOURCE_BLOB_H
#define INGOT_CONVERT_SOURCE_BLOB_H

#include "format/ingot.h"
#include "format/source.h"

struct source_blob {
    const ingot_allocator *allocator;
    uint8_t *bytes;
    struct source_walk walk; /* at the first file */
    struct source_rebuild *rebuild;
    uint32_t n_files;
    uint64_t total_bytes; /* of all files */
};

/* INGOT_NOT_FOUND when the container has none. Proves that it can be walked to its end and that the
 * names of its files differ. The pool, which may be NULL, reads ahead. */
ingot_status source_blob_open(const ingot_file *file, struct ingot_pool *pool,
                              const ingot_allocator *allocator, struct source_blob *blob,
                              ingot_error *error);
void source_blob_close(struct source_blob *blob);

#endif

/* Reads source files, each once from its first byte to its last, and writes what the source blob
 * [spec 8.2] says of them: their hashes, those of their tensors and attachments, and the bytes
 * that are neither are all of that one reading. Of files that have passed it reads only what is no
 * tensor's, and proves that it is what has passed. Knows no format. */
#ifndef INGOT_CONVERT_SOURCE_READING_H
#define INGOT_CONVERT_SOURCE_READING_H

#include "convert/hash.h"
#include "convert/input.h"
#include "convert/model.h"
#include "convert/source_passing.h"
#include "format/source_metadata.h"

struct source_reading {
    const ingot_allocator *allocator;
    const struct input *input;  /* the file that is being read */
    struct passed_file *passed; /* what has passed of it; NULL: nothing */
    uint64_t offset;            /* how far */
    struct byte_buffer *out;    /* the blob */
    uint32_t n_segments;        /* of this file */
    ingot_error *error;
    uint64_t record; /* where that of this file begins in the blob */
    uint64_t gap_bytes;
    XXH3_state_t *file_hash; /* of what was read: of a file that has passed, what is no tensor's */
    XXH3_state_t *part_hash;
    uint8_t *piece;
    const struct progress *progress; /* may be NULL */
    uint64_t done_bytes;
    uint64_t total_bytes;
};

/* total_bytes: of all files, for the progress. On success the reading is to be closed. */
ingot_status source_reading_open(const ingot_allocator *allocator, const struct progress *progress,
                                 uint64_t total_bytes, struct byte_buffer *out,
                                 struct source_reading *reading, ingot_error *error);
void source_reading_close(struct source_reading *reading);

/* passed may be NULL. */
void reading_begin_file(struct source_reading *r, const struct input *input,
                        struct passed_file *passed);
/* Completes the file's record with what the reading showed. */
ingot_status reading_end_file(struct source_reading *r);

/* The next n_bytes, as a literal segment. */
ingot_status reading_literal(struct source_reading *r, uint64_t n_bytes, uint8_t hash[16]);
/* The same for bytes between tensors, of which a file may have up to 64 MiB; none is none. */
ingot_status reading_gap(struct source_reading *r, uint64_t n_bytes);
/* The next n_bytes are a tensor's, in elements of element_bytes that are swapped when that is not
 * 1; the hash is that of its own bytes, and is left as it is when they have passed. */
ingot_status reading_tensor(struct source_reading *r, uint64_t n_bytes, uint32_t tensor,
                            uint32_t element_bytes, uint8_t hash[16]);
/* The next n_bytes are metadata as the range gives it, which is proved. */
ingot_status reading_metadata(struct source_reading *r, uint64_t n_bytes,
                              const struct metadata_range *range);
/* The hash of the file up to here, where there was no tensor yet. */
void reading_hash(const struct source_reading *r, uint8_t hash[16]);
/* The whole file is an attachment. */
ingot_status reading_attachment(struct source_reading *r, const struct input *input, uint32_t blob,
                                uint8_t hash[16]);

#endif

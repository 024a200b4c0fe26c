/* Files made by hand, record by record at the offsets of the specification, so that they may be
 * as unusual or as broken as a test likes. The checksums and the content id are worked out when the
 * draft is sealed. Shares no code with the library's writer. */
#ifndef INGOT_TESTS_SUPPORT_DRAFT_H
#define INGOT_TESTS_SUPPORT_DRAFT_H

#include "format/buffer.h"

/* Sections by kind; DRAFT_OTHER is a section of a kind that nobody knows. */
enum draft_kind {
    DRAFT_STRINGS = 1,
    DRAFT_CHUNKS = 2,
    DRAFT_STREAMS = 3,
    DRAFT_CODINGS = 4,
    DRAFT_TERMS = 5,
    DRAFT_TENSORS = 6,
    DRAFT_BLOBS = 7,
    DRAFT_FILES = 8,
    DRAFT_OTHER = 9
};
extern const uint32_t draft_record_bytes[DRAFT_OTHER + 1];

struct draft {
    struct byte_buffer file; /* header and data; sealed: the whole file */
    struct byte_buffer sections[DRAFT_OTHER + 1];
    bool keep_order; /* by_name fields are as they were set */
    uint64_t index_offset;
};

void draft_begin(struct draft *d);
void draft_release(struct draft *d);

/* Sets a field of n_bytes bytes of a record. */
void draft_set(struct draft *d, enum draft_kind kind, uint32_t index, uint32_t offset,
               uint32_t n_bytes, uint64_t value);
uint64_t draft_get(const struct draft *d, enum draft_kind kind, uint32_t index, uint32_t offset,
                   uint32_t n_bytes);

/* Sets a string field: a pair (offset, n_bytes). */
void draft_set_string(struct draft *d, enum draft_kind kind, uint32_t index, uint32_t offset,
                      const char *text, uint32_t n_bytes);

/* Each adds a record and returns its number. */

/* A stream of stored chunks of chunk_bytes. A second one of the same bytes is made of repeats. */
uint32_t draft_stream(struct draft *d, const void *bytes, uint64_t n_bytes, uint32_t chunk_bytes);
/* A stream of one chunk with codec 1: `packed` stands for the raw bytes. */
uint32_t draft_packed_stream(struct draft *d, const void *raw, uint64_t n_bytes, const void *packed,
                             uint32_t n_packed);
/* The same with a codec and a filter. */
uint32_t draft_filtered_stream(struct draft *d, const void *raw, uint64_t n_bytes, uint8_t codec,
                               uint8_t filter, const void *packed, uint32_t n_packed);
/* Without slots and codebook. */
uint32_t draft_coding(struct draft *d, uint8_t map, uint8_t bits, uint8_t format, const char *name);
void draft_codebook(struct draft *d, uint32_t coding, uint32_t n_entries, uint32_t stream);
/* A table (coding number) in slot 0 to 3. */
void draft_table(struct draft *d, uint32_t coding, uint32_t slot, uint32_t table, uint8_t group,
                 uint32_t group_rows, uint64_t group_cols);
void draft_constant(struct draft *d, uint32_t coding, uint32_t slot, float constant);
/* A term over the streams [first_stream, first_stream + n_streams). */
uint32_t draft_term(struct draft *d, uint8_t kind, uint8_t combine, uint32_t coding,
                    uint32_t first_stream, uint32_t n_streams);
/* A tensor of the last n_terms terms; rank 2 or 3, the columns last, the stack before the rows. */
uint32_t draft_tensor(struct draft *d, const char *name, uint8_t dtype, uint32_t n_terms,
                      uint64_t n_matrices, uint64_t n_rows, uint64_t n_cols);
uint32_t draft_blob(struct draft *d, uint32_t kind, const char *name, uint32_t stream);
uint32_t draft_file(struct draft *d, const char *name);

/* Changes bytes of a stream made of stored chunks; its hash and its chunks' checksums follow. */
void draft_edit_stream(struct draft *d, uint32_t stream, uint64_t offset, uint32_t n_bytes,
                       uint64_t value);

/* Writes index and trailer: d->file is the whole file. Call once. */
void draft_seal(struct draft *d);

/* The content id of chapter 10; zeros when a reference leads nowhere. */
void draft_content_id(const struct draft *d, uint8_t id[16]);

/* After sealing. */
void draft_fix_header(struct draft *d);  /* header checksum, in header and trailer */
void draft_fix_index(struct draft *d);   /* index checksum */
void draft_fix_trailer(struct draft *d); /* trailer checksum */

#endif

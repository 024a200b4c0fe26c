/* The fixed-size records of a file, one struct each, with the only functions that turn them into
 * bytes and back. Field by field as the specification lists them; nothing is checked here but that
 * reserved bytes are zero, which each read reports. */
#ifndef INGOT_RECORDS_H
#define INGOT_RECORDS_H

#include "format/bytes.h"
#include "format/filter.h"
#include "format/ingot.h"

enum {
    HEADER_BYTES = 64,
    TRAILER_BYTES = 96,
    SECTION_BYTES = 40,
    DIRECTORY_BYTES = 8,
    CHUNK_BYTES = 24,
    STREAM_BYTES = 48,
    CODING_BYTES = 160,
    SLOT_BYTES = 32,
    TERM_BYTES = 80,
    TENSOR_BYTES = 112,
    BLOB_BYTES = 32,
    FILE_BYTES = 48,
    HASH_BYTES = 16,
    CONTENT_ID_BYTES = 32
};

enum {
    VERSION_MAJOR = 1,
    VERSION_MINOR = 0,
    HEADER_MUST_FLAGS = 0xffff,
    MAX_CHUNK_RAW_BYTES = 1 << 26,
    MAX_STRING_BYTES = 65536,
    MAX_TERMS = 64,
    MAX_LOWRANK = 65536,
    MAX_CODING_NAME_BYTES = 31,
    DEFAULT_ALIGNMENT = 64,
    MAX_ALIGNMENT = 65536
};
#define MAX_TENSOR_ELEMENTS (UINT64_C(1) << 57)

enum section_kind {
    SECTION_STRINGS = 1,
    SECTION_CHUNKS = 2,
    SECTION_STREAMS = 3,
    SECTION_CODINGS = 4,
    SECTION_TERMS = 5,
    SECTION_TENSORS = 6,
    SECTION_BLOBS = 7,
    SECTION_FILES = 8,
    N_SECTIONS = 8,
    SECTION_FIRST_OTHER = 256
};
enum { SECTION_MUST = 1, SECTION_COPY = 2, SECTION_FLAGS = 3 };

extern const uint8_t header_magic[8];
extern const uint8_t trailer_magic[8];
/* Record length of sections 1 to 8; [0] is unused. */
extern const uint32_t section_record_bytes[N_SECTIONS + 1];

struct string_ref {
    uint32_t offset;
    uint32_t n_bytes;
};

struct header_record {
    uint16_t major, minor;
    uint32_t flags;
    uint32_t alignment;
    bool reserved_zero;
    uint64_t checksum; /* as stored; header_write computes it */
};
void header_write(const struct header_record *r, uint8_t out[HEADER_BYTES]);
void header_read(const uint8_t *p, struct header_record *r);

struct trailer_record {
    uint64_t index_offset;
    uint64_t index_bytes;
    uint64_t file_bytes;
    uint64_t index_checksum;
    uint64_t header_checksum;
    uint8_t content_algorithm;
    uint8_t content_id[CONTENT_ID_BYTES];
    bool reserved_zero;
    uint64_t checksum; /* as stored; trailer_write computes it */
};
void trailer_write(const struct trailer_record *r, uint8_t out[TRAILER_BYTES]);
void trailer_read(const uint8_t *p, struct trailer_record *r);

struct section_record {
    uint32_t kind, flags;
    uint64_t offset, n_bytes, n_records;
    uint32_t record_bytes;
    bool reserved_zero;
};
void section_write(const struct section_record *r, uint8_t out[SECTION_BYTES]);
void section_read(const uint8_t *p, struct section_record *r);

enum chunk_codec { CODEC_STORED = 0, CODEC_ZSTD = 1, N_CODECS };
enum { CHUNK_REPEAT = 1 };
struct chunk_record {
    uint64_t offset;
    uint32_t stored_bytes;
    uint8_t codec, filter;
    uint16_t flags;
    uint64_t checksum;
};
void chunk_write(const struct chunk_record *r, uint8_t out[CHUNK_BYTES]);
void chunk_read(const uint8_t *p, struct chunk_record *r);

struct stream_record {
    uint64_t n_bytes;
    uint32_t chunk_bytes, chunk_step, first_chunk;
    uint64_t stride;
    uint8_t raw_hash[HASH_BYTES];
    bool reserved_zero;
};
void stream_write(const struct stream_record *r, uint8_t out[STREAM_BYTES]);
void stream_read(const uint8_t *p, struct stream_record *r);

enum { FORM_CONSTANT = 1, FORM_TABLE = 2, FORM_ALL = 3 };
struct slot_record {
    uint8_t form, inverse, group;
    uint32_t constant_bits;
    uint32_t table;
    uint32_t group_rows;
    uint64_t group_cols;
    bool reserved_zero;
};
struct coding_record {
    uint8_t map, bits, format, vector_length, signs, index_bits;
    uint32_t n_entries;
    uint32_t codebook_stream;
    struct string_ref name;
    uint32_t block_weights, block_bytes;
    struct slot_record slots[4];
    bool reserved_zero;
};
void coding_write(const struct coding_record *r, uint8_t out[CODING_BYTES]);
void coding_read(const uint8_t *p, struct coding_record *r);

enum { TERM_OPTIONAL = 1 };
struct term_record {
    uint8_t kind, combine;
    uint16_t flags;
    uint32_t coding, coding_b;
    uint32_t first_stream, n_streams;
    struct string_ref name;
    uint32_t multiplier_bits;
    uint32_t rank;
    uint8_t mask;
    uint32_t block_rows, block_cols;
    uint64_t n_kept;
    uint32_t magnitude;
    uint32_t file;
    struct string_ref target;
    bool reserved_zero;
};
void term_write(const struct term_record *r, uint8_t out[TERM_BYTES]);
void term_read(const uint8_t *p, struct term_record *r);

struct tensor_record {
    struct string_ref name;
    uint8_t dtype, rank, stack, split;
    uint32_t first_term, n_terms;
    uint32_t alias_of, by_name;
    uint32_t rescale_coding, rescale_stream;
    uint64_t dims[INGOT_MAX_RANK];
    bool reserved_zero;
};
void tensor_write(const struct tensor_record *r, uint8_t out[TENSOR_BYTES]);
void tensor_read(const uint8_t *p, struct tensor_record *r);

enum { BLOB_MUST = 1, BLOB_COPY = 2, BLOB_FLAGS = 3 };
struct blob_record {
    uint32_t kind, flags;
    struct string_ref name, media_type;
    uint32_t stream;
    bool reserved_zero;
};
void blob_write(const struct blob_record *r, uint8_t out[BLOB_BYTES]);
void blob_read(const uint8_t *p, struct blob_record *r);

struct file_record {
    uint8_t content_algorithm;
    uint8_t content_id[CONTENT_ID_BYTES];
    struct string_ref name;
    bool reserved_zero;
};
void file_write(const struct file_record *r, uint8_t out[FILE_BYTES]);
void file_read(const uint8_t *p, struct file_record *r);

/* XXH3-64 of bytes, and XXH3-128 in canonical order. */
uint64_t checksum_of(const void *bytes, uint64_t n_bytes);
void hash_of(const void *bytes, uint64_t n_bytes, uint8_t out[HASH_BYTES]);
/* Both of the same bytes, which are passed over once where that is possible. */
uint64_t checksum_and_hash(const void *bytes, uint64_t n_bytes, uint8_t hash[HASH_BYTES]);

#endif

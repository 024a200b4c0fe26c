/* Records to bytes and back, one pair a record. Knows offsets of fields and nothing else. */
#include "format/records.h"

#include "format/xxh3.h"

const uint8_t header_magic[8] = {0x89, 'I', 'G', 'T', 0x0d, 0x0a, 0x1a, 0x0a};
const uint8_t trailer_magic[8] = {'I', 'N', 'G', 'O', 'T', 'E', 'N', 'D'};
const uint32_t section_record_bytes[N_SECTIONS + 1] = {
    [SECTION_STRINGS] = 1,
    [SECTION_CHUNKS] = CHUNK_BYTES,
    [SECTION_STREAMS] = STREAM_BYTES,
    [SECTION_CODINGS] = CODING_BYTES,
    [SECTION_TERMS] = TERM_BYTES,
    [SECTION_TENSORS] = TENSOR_BYTES,
    [SECTION_BLOBS] = BLOB_BYTES,
    [SECTION_FILES] = FILE_BYTES,
};

uint64_t checksum_of(const void *bytes, uint64_t n_bytes)
{
    return XXH3_64bits(bytes, (size_t)n_bytes);
}

void hash_of(const void *bytes, uint64_t n_bytes, uint8_t out[HASH_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, (size_t)n_bytes));
    memcpy(out, canonical.digest, HASH_BYTES);
}

uint64_t checksum_and_hash(const void *bytes, uint64_t n_bytes, uint8_t hash[HASH_BYTES])
{
    enum { SHORT_BYTES = 240 }; /* the longest input that XXH3 does not hash in stripes */
    hash_of(bytes, n_bytes, hash);
    /* Of longer ones both hashes end in the same accumulators, and XXH3-64 is the low half of
     * XXH3-128, which comes last. */
    if (n_bytes <= SHORT_BYTES) return checksum_of(bytes, n_bytes);
    uint64_t low = 0;
    for (uint32_t i = 8; i < HASH_BYTES; i++) low = low << 8 | hash[i];
    return low;
}

static bool all_zero(const uint8_t *p, size_t n_bytes)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n_bytes; i++) any |= p[i];
    return any == 0;
}

static void string_write(struct string_ref s, uint8_t *p)
{
    store_u32(p, s.offset);
    store_u32(p + 4, s.n_bytes);
}

static struct string_ref string_read(const uint8_t *p)
{
    return (struct string_ref){load_u32(p), load_u32(p + 4)};
}

void header_write(const struct header_record *r, uint8_t out[HEADER_BYTES])
{
    memset(out, 0, HEADER_BYTES);
    memcpy(out, header_magic, 8);
    store_u16(out + 8, r->major);
    store_u16(out + 10, r->minor);
    store_u32(out + 12, r->flags);
    store_u32(out + 16, r->alignment);
    store_u64(out + 56, checksum_of(out, 56));
}

void header_read(const uint8_t *p, struct header_record *r)
{
    r->major = load_u16(p + 8);
    r->minor = load_u16(p + 10);
    r->flags = load_u32(p + 12);
    r->alignment = load_u32(p + 16);
    r->reserved_zero = all_zero(p + 20, 36);
    r->checksum = load_u64(p + 56);
}

void trailer_write(const struct trailer_record *r, uint8_t out[TRAILER_BYTES])
{
    memset(out, 0, TRAILER_BYTES);
    store_u64(out, r->index_offset);
    store_u64(out + 8, r->index_bytes);
    store_u64(out + 16, r->file_bytes);
    store_u64(out + 24, r->index_checksum);
    store_u64(out + 32, r->header_checksum);
    out[40] = r->content_algorithm;
    memcpy(out + 48, r->content_id, CONTENT_ID_BYTES);
    store_u64(out + 80, checksum_of(out, 80));
    memcpy(out + 88, trailer_magic, 8);
}

void trailer_read(const uint8_t *p, struct trailer_record *r)
{
    r->index_offset = load_u64(p);
    r->index_bytes = load_u64(p + 8);
    r->file_bytes = load_u64(p + 16);
    r->index_checksum = load_u64(p + 24);
    r->header_checksum = load_u64(p + 32);
    r->content_algorithm = p[40];
    r->reserved_zero = all_zero(p + 41, 7);
    memcpy(r->content_id, p + 48, CONTENT_ID_BYTES);
    r->checksum = load_u64(p + 80);
}

void section_write(const struct section_record *r, uint8_t out[SECTION_BYTES])
{
    store_u32(out, r->kind);
    store_u32(out + 4, r->flags);
    store_u64(out + 8, r->offset);
    store_u64(out + 16, r->n_bytes);
    store_u64(out + 24, r->n_records);
    store_u32(out + 32, r->record_bytes);
    store_u32(out + 36, 0);
}

void section_read(const uint8_t *p, struct section_record *r)
{
    r->kind = load_u32(p);
    r->flags = load_u32(p + 4);
    r->offset = load_u64(p + 8);
    r->n_bytes = load_u64(p + 16);
    r->n_records = load_u64(p + 24);
    r->record_bytes = load_u32(p + 32);
    r->reserved_zero = load_u32(p + 36) == 0;
}

void chunk_write(const struct chunk_record *r, uint8_t out[CHUNK_BYTES])
{
    store_u64(out, r->offset);
    store_u32(out + 8, r->stored_bytes);
    out[12] = r->codec;
    out[13] = r->filter;
    store_u16(out + 14, r->flags);
    store_u64(out + 16, r->checksum);
}

void chunk_read(const uint8_t *p, struct chunk_record *r)
{
    r->offset = load_u64(p);
    r->stored_bytes = load_u32(p + 8);
    r->codec = p[12];
    r->filter = p[13];
    r->flags = load_u16(p + 14);
    r->checksum = load_u64(p + 16);
}

void stream_write(const struct stream_record *r, uint8_t out[STREAM_BYTES])
{
    store_u64(out, r->n_bytes);
    store_u32(out + 8, r->chunk_bytes);
    store_u32(out + 12, r->chunk_step);
    store_u32(out + 16, r->first_chunk);
    store_u32(out + 20, 0);
    store_u64(out + 24, r->stride);
    memcpy(out + 32, r->raw_hash, HASH_BYTES);
}

void stream_read(const uint8_t *p, struct stream_record *r)
{
    r->n_bytes = load_u64(p);
    r->chunk_bytes = load_u32(p + 8);
    r->chunk_step = load_u32(p + 12);
    r->first_chunk = load_u32(p + 16);
    r->reserved_zero = load_u32(p + 20) == 0;
    r->stride = load_u64(p + 24);
    memcpy(r->raw_hash, p + 32, HASH_BYTES);
}

static void slot_write(const struct slot_record *r, uint8_t out[SLOT_BYTES])
{
    out[0] = r->form;
    out[1] = r->inverse;
    out[2] = r->group;
    out[3] = 0;
    store_u32(out + 4, r->constant_bits);
    store_u32(out + 8, r->table);
    store_u32(out + 12, r->group_rows);
    store_u64(out + 16, r->group_cols);
    store_u64(out + 24, 0);
}

static void slot_read(const uint8_t *p, struct slot_record *r)
{
    r->form = p[0];
    r->inverse = p[1];
    r->group = p[2];
    r->constant_bits = load_u32(p + 4);
    r->table = load_u32(p + 8);
    r->group_rows = load_u32(p + 12);
    r->group_cols = load_u64(p + 16);
    r->reserved_zero = p[3] == 0 && load_u64(p + 24) == 0;
}

void coding_write(const struct coding_record *r, uint8_t out[CODING_BYTES])
{
    out[0] = r->map;
    out[1] = r->bits;
    out[2] = r->format;
    out[3] = r->vector_length;
    out[4] = r->signs;
    out[5] = r->index_bits;
    store_u16(out + 6, 0);
    store_u32(out + 8, r->n_entries);
    store_u32(out + 12, r->codebook_stream);
    string_write(r->name, out + 16);
    store_u32(out + 24, r->block_weights);
    store_u32(out + 28, r->block_bytes);
    for (size_t i = 0; i < 4; i++) slot_write(&r->slots[i], out + 32 + i * SLOT_BYTES);
}

void coding_read(const uint8_t *p, struct coding_record *r)
{
    r->map = p[0];
    r->bits = p[1];
    r->format = p[2];
    r->vector_length = p[3];
    r->signs = p[4];
    r->index_bits = p[5];
    r->reserved_zero = load_u16(p + 6) == 0;
    r->n_entries = load_u32(p + 8);
    r->codebook_stream = load_u32(p + 12);
    r->name = string_read(p + 16);
    r->block_weights = load_u32(p + 24);
    r->block_bytes = load_u32(p + 28);
    for (size_t i = 0; i < 4; i++) slot_read(p + 32 + i * SLOT_BYTES, &r->slots[i]);
}

void term_write(const struct term_record *r, uint8_t out[TERM_BYTES])
{
    memset(out, 0, TERM_BYTES);
    out[0] = r->kind;
    out[1] = r->combine;
    store_u16(out + 2, r->flags);
    store_u32(out + 4, r->coding);
    store_u32(out + 8, r->coding_b);
    store_u32(out + 12, r->first_stream);
    store_u32(out + 16, r->n_streams);
    string_write(r->name, out + 20);
    store_u32(out + 28, r->multiplier_bits);
    store_u32(out + 32, r->rank);
    out[36] = r->mask;
    store_u32(out + 40, r->block_rows);
    store_u32(out + 44, r->block_cols);
    store_u64(out + 48, r->n_kept);
    store_u32(out + 56, r->magnitude);
    store_u32(out + 60, r->file);
    string_write(r->target, out + 64);
}

void term_read(const uint8_t *p, struct term_record *r)
{
    r->kind = p[0];
    r->combine = p[1];
    r->flags = load_u16(p + 2);
    r->coding = load_u32(p + 4);
    r->coding_b = load_u32(p + 8);
    r->first_stream = load_u32(p + 12);
    r->n_streams = load_u32(p + 16);
    r->name = string_read(p + 20);
    r->multiplier_bits = load_u32(p + 28);
    r->rank = load_u32(p + 32);
    r->mask = p[36];
    r->block_rows = load_u32(p + 40);
    r->block_cols = load_u32(p + 44);
    r->n_kept = load_u64(p + 48);
    r->magnitude = load_u32(p + 56);
    r->file = load_u32(p + 60);
    r->target = string_read(p + 64);
    r->reserved_zero = all_zero(p + 37, 3) && all_zero(p + 72, 8);
}

void tensor_write(const struct tensor_record *r, uint8_t out[TENSOR_BYTES])
{
    memset(out, 0, TENSOR_BYTES);
    string_write(r->name, out);
    out[8] = r->dtype;
    out[9] = r->rank;
    out[10] = r->stack;
    out[11] = r->split;
    store_u32(out + 16, r->first_term);
    store_u32(out + 20, r->n_terms);
    store_u32(out + 24, r->alias_of);
    store_u32(out + 28, r->by_name);
    store_u32(out + 32, r->rescale_coding);
    store_u32(out + 36, r->rescale_stream);
    for (size_t i = 0; i < INGOT_MAX_RANK; i++) store_u64(out + 40 + 8 * i, r->dims[i]);
}

void tensor_read(const uint8_t *p, struct tensor_record *r)
{
    r->name = string_read(p);
    r->dtype = p[8];
    r->rank = p[9];
    r->stack = p[10];
    r->split = p[11];
    r->first_term = load_u32(p + 16);
    r->n_terms = load_u32(p + 20);
    r->alias_of = load_u32(p + 24);
    r->by_name = load_u32(p + 28);
    r->rescale_coding = load_u32(p + 32);
    r->rescale_stream = load_u32(p + 36);
    for (size_t i = 0; i < INGOT_MAX_RANK; i++) r->dims[i] = load_u64(p + 40 + 8 * i);
    r->reserved_zero = all_zero(p + 12, 4) && all_zero(p + 104, 8);
}

void blob_write(const struct blob_record *r, uint8_t out[BLOB_BYTES])
{
    store_u32(out, r->kind);
    store_u32(out + 4, r->flags);
    string_write(r->name, out + 8);
    string_write(r->media_type, out + 16);
    store_u32(out + 24, r->stream);
    store_u32(out + 28, 0);
}

void blob_read(const uint8_t *p, struct blob_record *r)
{
    r->kind = load_u32(p);
    r->flags = load_u32(p + 4);
    r->name = string_read(p + 8);
    r->media_type = string_read(p + 16);
    r->stream = load_u32(p + 24);
    r->reserved_zero = load_u32(p + 28) == 0;
}

void file_write(const struct file_record *r, uint8_t out[FILE_BYTES])
{
    memset(out, 0, FILE_BYTES);
    out[0] = r->content_algorithm;
    memcpy(out + 8, r->content_id, CONTENT_ID_BYTES);
    string_write(r->name, out + 40);
}

void file_read(const uint8_t *p, struct file_record *r)
{
    r->content_algorithm = p[0];
    memcpy(r->content_id, p + 8, CONTENT_ID_BYTES);
    r->name = string_read(p + 40);
    r->reserved_zero = all_zero(p + 1, 7);
}

/* Records at the offsets of the specification; nothing of format/ but its buffers. */
#include "tests/support/draft.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "format/bytes.h"

enum { HEADER = 64, ALIGNMENT = 64 };

const uint32_t draft_record_bytes[DRAFT_OTHER + 1] = {0, 1, 24, 48, 160, 80, 112, 32, 48, 1};

static void hash_128(const void *bytes, uint64_t n_bytes, uint8_t hash[16])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, (size_t)n_bytes));
    memcpy(hash, canonical.digest, sizeof canonical.digest);
}

static void put(uint8_t *p, uint32_t n_bytes, uint64_t value)
{
    for (uint32_t i = 0; i < n_bytes; i++) p[i] = (uint8_t)(i < 8 ? value >> 8 * i : 0);
}

void draft_begin(struct draft *d)
{
    static const uint8_t magic[8] = {0x89, 0x49, 0x47, 0x54, 0x0d, 0x0a, 0x1a, 0x0a};
    static const uint8_t zeros[HEADER - 8];
    memset(d, 0, sizeof *d);
    buffer_append(&d->file, magic, sizeof magic);
    buffer_append(&d->file, zeros, sizeof zeros);
    put(d->file.data + 8, 2, 1);
    put(d->file.data + 16, 4, ALIGNMENT);
}

void draft_release(struct draft *d)
{
    buffer_release(&d->file);
    for (int i = 1; i <= DRAFT_OTHER; i++) buffer_release(&d->sections[i]);
}

static uint8_t *record(const struct draft *d, enum draft_kind kind, uint32_t index)
{
    const uint64_t offset = (uint64_t)index * draft_record_bytes[kind];
    assert(offset + draft_record_bytes[kind] <= d->sections[kind].n_bytes);
    return d->sections[kind].data + offset;
}

void draft_set(struct draft *d, enum draft_kind kind, uint32_t index, uint32_t offset,
               uint32_t n_bytes, uint64_t value)
{
    assert(offset + n_bytes <= draft_record_bytes[kind]);
    put(record(d, kind, index) + offset, n_bytes, value);
}

uint64_t draft_get(const struct draft *d, enum draft_kind kind, uint32_t index, uint32_t offset,
                   uint32_t n_bytes)
{
    const uint8_t *p = record(d, kind, index) + offset;
    uint64_t v = 0;
    for (uint32_t i = 0; i < n_bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

void draft_set_string(struct draft *d, enum draft_kind kind, uint32_t index, uint32_t offset,
                      const char *text, uint32_t n_bytes)
{
    draft_set(d, kind, index, offset, 4, n_bytes ? d->sections[DRAFT_STRINGS].n_bytes : 0);
    draft_set(d, kind, index, offset + 4, 4, n_bytes);
    buffer_append(&d->sections[DRAFT_STRINGS], text, n_bytes);
}

static uint32_t add_record(struct draft *d, enum draft_kind kind)
{
    static const uint8_t zeros[160];
    const uint64_t index = d->sections[kind].n_bytes / draft_record_bytes[kind];
    buffer_append(&d->sections[kind], zeros, draft_record_bytes[kind]);
    return (uint32_t)index;
}

/* ---- streams ---- */

/* A chunk record for bytes, which are written unless a chunk like them is there. */
static void add_chunk(struct draft *d, const void *bytes, uint32_t n_bytes, uint8_t codec,
                      uint8_t filter)
{
    const uint64_t checksum = XXH3_64bits(bytes, n_bytes);
    const uint32_t n = (uint32_t)(d->sections[DRAFT_CHUNKS].n_bytes / 24);
    for (uint32_t i = 0; i < n; i++) {
        if (draft_get(d, DRAFT_CHUNKS, i, 16, 8) != checksum) continue;
        const uint32_t repeat = add_record(d, DRAFT_CHUNKS);
        memcpy(record(d, DRAFT_CHUNKS, repeat), record(d, DRAFT_CHUNKS, i), 24);
        draft_set(d, DRAFT_CHUNKS, repeat, 14, 2, 1);
        return;
    }
    if (codec == 0 && filter == 0) buffer_align(&d->file, ALIGNMENT);
    const uint32_t c = add_record(d, DRAFT_CHUNKS);
    draft_set(d, DRAFT_CHUNKS, c, 0, 8, d->file.n_bytes);
    draft_set(d, DRAFT_CHUNKS, c, 8, 4, n_bytes);
    draft_set(d, DRAFT_CHUNKS, c, 12, 1, codec);
    draft_set(d, DRAFT_CHUNKS, c, 13, 1, filter);
    draft_set(d, DRAFT_CHUNKS, c, 16, 8, checksum);
    buffer_append(&d->file, bytes, n_bytes);
}

static uint32_t add_stream(struct draft *d, const void *raw, uint64_t n_bytes, uint32_t chunk_bytes)
{
    const uint32_t s = add_record(d, DRAFT_STREAMS);
    draft_set(d, DRAFT_STREAMS, s, 0, 8, n_bytes);
    if (n_bytes) {
        draft_set(d, DRAFT_STREAMS, s, 8, 4, min_u64(chunk_bytes, n_bytes));
        draft_set(d, DRAFT_STREAMS, s, 12, 4, 1);
        draft_set(d, DRAFT_STREAMS, s, 16, 4, d->sections[DRAFT_CHUNKS].n_bytes / 24);
    }
    hash_128(raw, n_bytes, record(d, DRAFT_STREAMS, s) + 32);
    return s;
}

uint32_t draft_stream(struct draft *d, const void *bytes, uint64_t n_bytes, uint32_t chunk_bytes)
{
    const uint32_t s = add_stream(d, bytes, n_bytes, chunk_bytes);
    for (uint64_t done = 0; done < n_bytes; done += chunk_bytes) {
        add_chunk(d, (const uint8_t *)bytes + done, (uint32_t)min_u64(chunk_bytes, n_bytes - done),
                  0, 0);
    }
    return s;
}

uint32_t draft_filtered_stream(struct draft *d, const void *raw, uint64_t n_bytes, uint8_t codec,
                               uint8_t filter, const void *packed, uint32_t n_packed)
{
    const uint32_t s = add_stream(d, raw, n_bytes, (uint32_t)n_bytes);
    add_chunk(d, packed, n_packed, codec, filter);
    return s;
}

uint32_t draft_packed_stream(struct draft *d, const void *raw, uint64_t n_bytes, const void *packed,
                             uint32_t n_packed)
{
    return draft_filtered_stream(d, raw, n_bytes, 1, 0, packed, n_packed);
}

void draft_edit_stream(struct draft *d, uint32_t stream, uint64_t offset, uint32_t n_bytes,
                       uint64_t value)
{
    struct byte_buffer raw = {0};
    const uint64_t total = draft_get(d, DRAFT_STREAMS, stream, 0, 8);
    const uint64_t chunk_bytes = draft_get(d, DRAFT_STREAMS, stream, 8, 4);
    uint32_t chunk = (uint32_t)draft_get(d, DRAFT_STREAMS, stream, 16, 4);
    assert(offset + n_bytes <= total &&
           offset / chunk_bytes == (offset + n_bytes - 1) / chunk_bytes);
    for (uint64_t done = 0; done < total; done += chunk_bytes, chunk++) {
        uint8_t *p = d->file.data + draft_get(d, DRAFT_CHUNKS, chunk, 0, 8);
        const uint64_t n = draft_get(d, DRAFT_CHUNKS, chunk, 8, 4);
        if (offset >= done && offset < done + n) put(p + (offset - done), n_bytes, value);
        draft_set(d, DRAFT_CHUNKS, chunk, 16, 8, XXH3_64bits(p, n));
        buffer_append(&raw, p, n);
    }
    hash_128(raw.data, raw.n_bytes, record(d, DRAFT_STREAMS, stream) + 32);
    buffer_release(&raw);
}

/* ---- the other records ---- */

uint32_t draft_coding(struct draft *d, uint8_t map, uint8_t bits, uint8_t format, const char *name)
{
    const uint32_t c = add_record(d, DRAFT_CODINGS);
    draft_set(d, DRAFT_CODINGS, c, 0, 1, map);
    draft_set(d, DRAFT_CODINGS, c, 1, 1, bits);
    draft_set(d, DRAFT_CODINGS, c, 2, 1, format);
    draft_set(d, DRAFT_CODINGS, c, 12, 4, UINT32_MAX);
    draft_set_string(d, DRAFT_CODINGS, c, 16, name, (uint32_t)strlen(name));
    for (uint32_t slot = 0; slot < 4; slot++) {
        draft_set(d, DRAFT_CODINGS, c, 32 + 32 * slot + 8, 4, UINT32_MAX);
    }
    return c;
}

void draft_codebook(struct draft *d, uint32_t coding, uint32_t n_entries, uint32_t stream)
{
    draft_set(d, DRAFT_CODINGS, coding, 8, 4, n_entries);
    draft_set(d, DRAFT_CODINGS, coding, 12, 4, stream);
}

void draft_table(struct draft *d, uint32_t coding, uint32_t slot, uint32_t table, uint8_t group,
                 uint32_t group_rows, uint64_t group_cols)
{
    const uint32_t at = 32 + 32 * slot;
    const uint64_t form = draft_get(d, DRAFT_CODINGS, coding, at, 1);
    draft_set(d, DRAFT_CODINGS, coding, at, 1, form | 2);
    draft_set(d, DRAFT_CODINGS, coding, at + 2, 1, group);
    draft_set(d, DRAFT_CODINGS, coding, at + 8, 4, table);
    draft_set(d, DRAFT_CODINGS, coding, at + 12, 4, group_rows);
    draft_set(d, DRAFT_CODINGS, coding, at + 16, 8, group_cols);
}

void draft_constant(struct draft *d, uint32_t coding, uint32_t slot, float constant)
{
    const uint32_t at = 32 + 32 * slot;
    const uint64_t form = draft_get(d, DRAFT_CODINGS, coding, at, 1);
    draft_set(d, DRAFT_CODINGS, coding, at, 1, form | 1);
    draft_set(d, DRAFT_CODINGS, coding, at + 4, 4, f32_bits(constant));
}

uint32_t draft_term(struct draft *d, uint8_t kind, uint8_t combine, uint32_t coding,
                    uint32_t first_stream, uint32_t n_streams)
{
    const uint32_t t = add_record(d, DRAFT_TERMS);
    draft_set(d, DRAFT_TERMS, t, 0, 1, kind);
    draft_set(d, DRAFT_TERMS, t, 1, 1, combine);
    draft_set(d, DRAFT_TERMS, t, 4, 4, coding);
    draft_set(d, DRAFT_TERMS, t, 8, 4, UINT32_MAX);
    draft_set(d, DRAFT_TERMS, t, 12, 4, n_streams ? first_stream : 0);
    draft_set(d, DRAFT_TERMS, t, 16, 4, n_streams);
    draft_set(d, DRAFT_TERMS, t, 56, 4, UINT32_MAX);
    draft_set(d, DRAFT_TERMS, t, 60, 4, UINT32_MAX);
    return t;
}

uint32_t draft_tensor(struct draft *d, const char *name, uint8_t dtype, uint32_t n_terms,
                      uint64_t n_matrices, uint64_t n_rows, uint64_t n_cols)
{
    const uint32_t t = add_record(d, DRAFT_TENSORS);
    const bool stacked = n_matrices != 1;
    const uint64_t n_all_terms = d->sections[DRAFT_TERMS].n_bytes / 80;
    draft_set_string(d, DRAFT_TENSORS, t, 0, name, (uint32_t)strlen(name));
    draft_set(d, DRAFT_TENSORS, t, 8, 1, dtype);
    draft_set(d, DRAFT_TENSORS, t, 9, 1, stacked ? 3 : 2);
    draft_set(d, DRAFT_TENSORS, t, 10, 1, stacked ? 1 : 0);
    draft_set(d, DRAFT_TENSORS, t, 11, 1, stacked ? 2 : 1);
    draft_set(d, DRAFT_TENSORS, t, 16, 4, n_all_terms - n_terms);
    draft_set(d, DRAFT_TENSORS, t, 20, 4, n_terms);
    draft_set(d, DRAFT_TENSORS, t, 24, 4, UINT32_MAX);
    draft_set(d, DRAFT_TENSORS, t, 32, 4, UINT32_MAX);
    draft_set(d, DRAFT_TENSORS, t, 36, 4, UINT32_MAX);
    uint32_t dim = 40;
    if (stacked) draft_set(d, DRAFT_TENSORS, t, dim, 8, n_matrices);
    if (stacked) dim += 8;
    draft_set(d, DRAFT_TENSORS, t, dim, 8, n_rows);
    draft_set(d, DRAFT_TENSORS, t, dim + 8, 8, n_cols);
    return t;
}

uint32_t draft_blob(struct draft *d, uint32_t kind, const char *name, uint32_t stream)
{
    const uint32_t b = add_record(d, DRAFT_BLOBS);
    draft_set(d, DRAFT_BLOBS, b, 0, 4, kind);
    draft_set(d, DRAFT_BLOBS, b, 4, 4, 2);
    draft_set_string(d, DRAFT_BLOBS, b, 8, name, (uint32_t)strlen(name));
    draft_set(d, DRAFT_BLOBS, b, 24, 4, stream);
    return b;
}

uint32_t draft_file(struct draft *d, const char *name)
{
    const uint32_t f = add_record(d, DRAFT_FILES);
    draft_set(d, DRAFT_FILES, f, 0, 1, 1);
    draft_set(d, DRAFT_FILES, f, 8, 8, UINT64_C(0x0123456789abcdef));
    draft_set_string(d, DRAFT_FILES, f, 40, name, (uint32_t)strlen(name));
    return f;
}

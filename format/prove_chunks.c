/* Proof of chunk and stream records: in bounds, in order, without overlap, each used once. */
#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"

/* The chunks that are not repeats, to look repeats up in. */
struct originals {
    uint32_t *indices;
    uint32_t n;
};

static bool find_original(const struct ingot_file *file, const struct originals *o,
                          const struct chunk_record *repeat)
{
    uint32_t low = 0, high = o->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (chunk_at(file, o->indices[middle]).offset < repeat->offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == o->n) return false;
    const struct chunk_record c = chunk_at(file, o->indices[low]);
    return c.offset == repeat->offset && c.stored_bytes == repeat->stored_bytes &&
           c.codec == repeat->codec && c.filter == repeat->filter && c.checksum == repeat->checksum;
}

/* A chunk after one that ended at `end`. */
static ingot_status prove_chunk(const struct ingot_file *file, uint32_t i,
                                const struct chunk_record *c, uint64_t end, ingot_error *error)
{
    const uint64_t at = record_offset(file, SECTION_CHUNKS, i, 0);
    if (c->stored_bytes == 0) {
        return ingot_fail_rule(error, R_304, at + 8, "chunk.stored_bytes", "chunk %u is empty", i);
    }
    if (c->offset < end || !range_within(c->offset, c->stored_bytes, file->trailer.index_offset)) {
        return ingot_fail_rule(error, R_301, at, "chunk.offset",
                               "chunk %u: %u bytes at %llu, after the one that ends at %llu", i,
                               c->stored_bytes, (unsigned long long)c->offset,
                               (unsigned long long)end);
    }
    const uint32_t alignment = file->header.alignment;
    if ((chunk_is_plain(c) && c->offset % alignment != 0) || c->offset - end >= alignment) {
        return ingot_fail_rule(error, R_302, at, "chunk.offset", "chunk %u at %llu", i,
                               (unsigned long long)c->offset);
    }
    return INGOT_OK;
}

static ingot_status prove_chunk_kind(const struct ingot_file *file, uint32_t i,
                                     const struct chunk_record *c, ingot_error *error)
{
    if (c->codec >= N_CODECS || c->filter >= N_FILTERS) {
        return ingot_fail_rule(error, R_303, record_offset(file, SECTION_CHUNKS, i, 12),
                               "chunk.codec", "chunk %u has codec %u and filter %u", i, c->codec,
                               c->filter);
    }
    if (c->flags & ~CHUNK_REPEAT) {
        return ingot_fail_rule(error, R_306, record_offset(file, SECTION_CHUNKS, i, 14),
                               "chunk.flags", "0x%x", c->flags);
    }
    return INGOT_OK;
}

ingot_status prove_chunks(const struct ingot_file *file, ingot_error *error)
{
    const uint32_t n = file->sections[SECTION_CHUNKS].n_records;
    struct originals originals = {ingot_allocate(file->allocator, (uint64_t)n * 4), 0};
    if (originals.indices == NULL) return ingot_fail_memory(error, (uint64_t)n * 4, "chunk list");
    ingot_status status = INGOT_OK;
    uint64_t end = HEADER_BYTES;
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        const struct chunk_record c = chunk_at(file, i);
        status = prove_chunk_kind(file, i, &c, error);
        if (status != INGOT_OK) break;
        if (c.flags & CHUNK_REPEAT) {
            if (!find_original(file, &originals, &c)) {
                status = ingot_fail_rule(error, R_305, record_offset(file, SECTION_CHUNKS, i, 0),
                                         "chunk", "repeat %u equals no earlier chunk", i);
            }
            continue;
        }
        status = prove_chunk(file, i, &c, end, error);
        end = c.offset + c.stored_bytes;
        originals.indices[originals.n++] = i;
    }
    if (status == INGOT_OK && file->trailer.index_offset - end >= file->header.alignment) {
        status = ingot_fail_rule(error, R_302, end, "data",
                                 "%llu bytes between the last chunk and the index",
                                 (unsigned long long)(file->trailer.index_offset - end));
    }
    ingot_release(file->allocator, originals.indices);
    return status;
}

static ingot_status prove_stream_shape(const struct ingot_file *file, uint32_t i,
                                       const struct stream_record *s, ingot_error *error)
{
    const uint64_t at = record_offset(file, SECTION_STREAMS, i, 0);
    const uint32_t n_chunk_records = file->sections[SECTION_CHUNKS].n_records;
    if (!s->reserved_zero ||
        (s->n_bytes == 0 && (s->chunk_bytes || s->chunk_step || s->first_chunk || s->stride))) {
        return ingot_fail_rule(error, R_324, at, "stream", "stream %u", i);
    }
    if (s->n_bytes == 0) return INGOT_OK;
    bool fits = s->chunk_bytes > 0 && s->chunk_bytes <= MAX_CHUNK_RAW_BYTES && s->chunk_step > 0 &&
                s->first_chunk < n_chunk_records;
    if (fits) {
        const uint64_t n = stream_n_chunks(s);
        fits = n - 1 <= (n_chunk_records - 1 - s->first_chunk) / s->chunk_step;
        /* One chunk has one spelling. */
        if (n == 1) {
            fits = fits && s->chunk_bytes == s->n_bytes && s->chunk_step == 1 && s->stride == 0;
        }
    }
    if (!fits) {
        return ingot_fail_rule(error, R_320, at + 8, "stream.chunk_bytes",
                               "stream %u: %llu bytes in chunks of %u from record %u by %u", i,
                               (unsigned long long)s->n_bytes, s->chunk_bytes, s->first_chunk,
                               s->chunk_step);
    }
    return INGOT_OK;
}

/* One chunk of a stream, given the first one. */
static ingot_status prove_stream_chunk(const struct ingot_file *file, uint32_t i,
                                       const struct stream_record *s, uint64_t k,
                                       const struct chunk_record *first, uint8_t *used,
                                       ingot_error *error)
{
    const uint32_t index = (uint32_t)(s->first_chunk + k * s->chunk_step);
    const struct chunk_record c = chunk_at(file, index);
    const uint64_t at = record_offset(file, SECTION_CHUNKS, index, 0);
    const uint64_t raw_bytes = stream_chunk_raw_bytes(s, k);
    if (used[index]) {
        return ingot_fail_rule(error, R_312, at, "chunk", "chunk %u belongs to two streams", index);
    }
    used[index] = 1;
    const bool plain = chunk_is_plain(&c);
    const bool fits = plain ? c.stored_bytes == raw_bytes : c.stored_bytes < raw_bytes;
    const bool exact =
        c.codec != CODEC_STORED || c.stored_bytes == filter_output_bytes(c.filter, raw_bytes);
    if (!fits || !exact) {
        return ingot_fail_rule(error, R_304, at + 8, "chunk.stored_bytes",
                               "chunk %u: %u bytes for %llu raw ones", index, c.stored_bytes,
                               (unsigned long long)raw_bytes);
    }
    uint64_t distance;
    if (s->stride && (!plain || !mul_u64(k, s->stride, &distance) || c.offset < first->offset ||
                      c.offset - first->offset != distance)) {
        return ingot_fail_rule(error, R_321, record_offset(file, SECTION_STREAMS, i, 24),
                               "stream.stride", "chunk %llu of stream %u is elsewhere",
                               (unsigned long long)k, i);
    }
    return INGOT_OK;
}

ingot_status prove_streams(const struct ingot_file *file, ingot_error *error)
{
    const uint32_t n_chunks = file->sections[SECTION_CHUNKS].n_records;
    uint8_t *used = ingot_allocate_zeroed(file->allocator, n_chunks, 1);
    if (used == NULL) return ingot_fail_memory(error, n_chunks, "chunk marks");
    ingot_status status = INGOT_OK;
    uint64_t n_used = 0;
    for (uint32_t i = 0; i < file->sections[SECTION_STREAMS].n_records; i++) {
        const struct stream_record s = stream_at(file, i);
        status = prove_stream_shape(file, i, &s, error);
        if (status != INGOT_OK) goto done;
        if (s.n_bytes == 0) continue;
        const struct chunk_record first = chunk_at(file, s.first_chunk);
        const uint64_t n = stream_n_chunks(&s);
        for (uint64_t k = 0; k < n; k++) {
            status = prove_stream_chunk(file, i, &s, k, &first, used, error);
            if (status != INGOT_OK) goto done;
        }
        n_used += n;
    }
    if (n_used != n_chunks) {
        uint32_t unused = 0;
        while (used[unused]) unused++;
        status = ingot_fail_rule(error, R_312, record_offset(file, SECTION_CHUNKS, unused, 0),
                                 "chunk", "chunk %u belongs to no stream", unused);
    }
done:
    ingot_release(file->allocator, used);
    return status;
}

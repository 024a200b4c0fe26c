/* Streams to chunks. */
#include "format/chunk_writer.h"

#include "format/xxh3.h"
#include "format/alloc.h"
#include "format/fail.h"

ingot_status chunks_begin(struct chunk_writer *w, struct output *output,
                          ingot_compression compression, const ingot_allocator *allocator,
                          ingot_error *error)
{
    *w = (struct chunk_writer){
        .allocator = allocator,
        .output = output,
        .compression = compression,
        .chunks = {.allocator = allocator},
        .streams = {.allocator = allocator},
        .seen = {.allocator = allocator},
    };
    if (compression == INGOT_COMPRESS_NONE) return INGOT_OK;
    return packer_create(compression, allocator, &w->packer, error);
}

void chunks_release(struct chunk_writer *w)
{
    packer_close(w->packer);
    ingot_release(w->allocator, w->packed);
    intern_release(&w->seen);
    buffer_release(&w->streams);
    buffer_release(&w->chunks);
    output_close(w->output);
    w->output = NULL;
}

ingot_status chunks_write(struct chunk_writer *w, const void *bytes, uint64_t n_bytes,
                          ingot_error *error)
{
    const ingot_status status = output_write(w->output, bytes, n_bytes, error);
    if (status == INGOT_OK) w->offset += n_bytes;
    return status;
}

ingot_status chunks_align(struct chunk_writer *w, uint64_t alignment, ingot_error *error)
{
    static const uint8_t zeros[DEFAULT_ALIGNMENT];
    const uint64_t n_bytes = (alignment - w->offset % alignment) % alignment;
    return n_bytes ? chunks_write(w, zeros, n_bytes, error) : INGOT_OK;
}

/* Compresses into w->packed. */
static ingot_status pack(struct chunk_writer *w, uint8_t element_bits, const uint8_t *raw,
                         uint64_t n_bytes, struct packing *packing, ingot_error *error)
{
    *packing = (struct packing){CODEC_STORED, FILTER_NONE, 0};
    if (w->packer == NULL) return INGOT_OK;
    const uint64_t bound = packer_bound(n_bytes);
    if (w->packed_capacity < bound) {
        ingot_release(w->allocator, w->packed);
        w->packed_capacity = 0;
        w->packed = ingot_allocate(w->allocator, bound);
        if (w->packed == NULL) return ingot_fail_memory(error, bound, "compressed chunk");
        w->packed_capacity = bound;
    }
    return packer_pack(w->packer, element_bits, raw, n_bytes, w->packed, packing, error);
}

/* Writes one new chunk. */
static ingot_status put_new(struct chunk_writer *w, uint8_t element_bits, const uint8_t *raw,
                            uint64_t n_bytes, struct chunk_record *c, ingot_error *error)
{
    struct packing p;
    ingot_status status = pack(w, element_bits, raw, n_bytes, &p, error);
    if (status == INGOT_OK && p.n_bytes == 0) status = chunks_align(w, DEFAULT_ALIGNMENT, error);
    if (status != INGOT_OK) return status;
    const uint8_t *stored = p.n_bytes ? w->packed : raw;
    *c = (struct chunk_record){
        .offset = w->offset,
        .stored_bytes = (uint32_t)(p.n_bytes ? p.n_bytes : n_bytes),
        .codec = p.codec,
        .filter = p.filter,
    };
    c->checksum = checksum_of(stored, c->stored_bytes);
    return chunks_write(w, stored, c->stored_bytes, error);
}

static ingot_status put_chunk(struct chunk_writer *w, uint8_t element_bits, const uint8_t *raw,
                              uint64_t n_bytes, struct chunk_record *c, ingot_error *error)
{
    uint32_t index = (uint32_t)(w->chunks.n_bytes / CHUNK_BYTES);
    bool found;
    if (w->chunks.n_bytes / CHUNK_BYTES >= UINT32_MAX - 1) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "chunks", "too many for one file");
    }
    ingot_status status = intern(&w->seen, raw, n_bytes, &index, &found, error);
    if (status != INGOT_OK) return status;
    if (found) {
        chunk_read(w->chunks.data + (uint64_t)index * CHUNK_BYTES, c);
        c->flags |= CHUNK_REPEAT;
    } else {
        status = put_new(w, element_bits, raw, n_bytes, c, error);
        if (status != INGOT_OK) return status;
    }
    uint8_t record[CHUNK_BYTES];
    chunk_write(c, record);
    buffer_append(&w->chunks, record, sizeof record);
    w->raw_bytes += n_bytes;
    return w->chunks.failed ? ingot_fail_memory(error, CHUNK_BYTES, "chunk table") : INGOT_OK;
}

/* ---- streams ---- */

ingot_status stream_begin(struct chunk_writer *w, struct stream_writer *s, uint64_t n_bytes,
                          uint32_t chunk_bytes, uint32_t chunk_step, uint8_t element_bits,
                          ingot_error *error)
{
    (void)w;
    *s = (struct stream_writer){.strided = true, .element_bits = element_bits};
    s->record.n_bytes = n_bytes;
    if (n_bytes) {
        s->record.chunk_bytes = chunk_bytes;
        s->record.chunk_step = chunk_step;
    }
    s->hash = XXH3_createState();
    if (s->hash == NULL) return ingot_fail_memory(error, 0, "hash state");
    XXH3_128bits_reset(s->hash);
    return INGOT_OK;
}

ingot_status stream_put_chunk(struct chunk_writer *w, struct stream_writer *s, const uint8_t *raw,
                              uint64_t n_bytes, ingot_error *error)
{
    struct chunk_record c;
    const uint64_t index = w->chunks.n_bytes / CHUNK_BYTES;
    const ingot_status status = put_chunk(w, s->element_bits, raw, n_bytes, &c, error);
    if (status != INGOT_OK) return status;
    if (s->n_chunks == 0) {
        s->record.first_chunk = (uint32_t)index;
        s->first_offset = c.offset;
    }
    /* The distance between the first two chunks is the stride, if it is that of all. */
    if (s->n_chunks == 1) s->record.stride = c.offset - s->first_offset;
    s->strided = s->strided && c.codec == CODEC_STORED && c.filter == FILTER_NONE &&
                 c.offset >= s->first_offset &&
                 c.offset - s->first_offset == s->n_chunks * s->record.stride;
    s->n_chunks++;
    s->done_bytes += n_bytes;
    XXH3_128bits_update(s->hash, raw, (size_t)n_bytes);
    return INGOT_OK;
}

ingot_status stream_end(struct chunk_writer *w, struct stream_writer *s, uint32_t *index,
                        ingot_error *error)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(s->hash));
    memcpy(s->record.raw_hash, canonical.digest, HASH_BYTES);
    if (!s->strided) s->record.stride = 0;
    if (s->n_chunks == 1) {
        s->record.chunk_bytes = (uint32_t)s->record.n_bytes;
        s->record.chunk_step = 1;
    }
    uint8_t record[STREAM_BYTES];
    stream_write(&s->record, record);
    *index = (uint32_t)(w->streams.n_bytes / STREAM_BYTES);
    buffer_append(&w->streams, record, sizeof record);
    return w->streams.failed ? ingot_fail_memory(error, STREAM_BYTES, "stream table") : INGOT_OK;
}

void stream_release(struct chunk_writer *w, struct stream_writer *s)
{
    (void)w;
    XXH3_freeState(s->hash);
    s->hash = NULL;
}

/* Streams to chunks. */
#include "format/chunk_queue.h"

#include "format/xxh3.h"

#include <string.h>
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

ingot_status room_reserve(const struct chunk_writer *w, struct room *room, uint64_t n_bytes,
                          ingot_error *error)
{
    if (n_bytes <= room->n_bytes) return INGOT_OK;
    room_release(w, room);
    room->bytes = ingot_allocate(w->allocator, n_bytes);
    if (room->bytes == NULL) return ingot_fail_memory(error, n_bytes, "chunks");
    room->n_bytes = n_bytes;
    return INGOT_OK;
}

void room_release(const struct chunk_writer *w, struct room *room)
{
    ingot_release(w->allocator, room->bytes);
    *room = (struct room){0};
}

ingot_status chunks_use_pool(struct chunk_writer *w, struct ingot_pool *pool, ingot_error *error)
{
    if (w->queue || ingot_pool_n_threads(pool) == 1) return INGOT_OK;
    return queue_create(w, pool, &w->queue, error);
}

ingot_status chunks_flush(struct chunk_writer *w, ingot_error *error)
{
    return w->queue ? queue_flush(w->queue, error) : INGOT_OK;
}

void chunks_release(struct chunk_writer *w)
{
    queue_close(w->queue);
    w->queue = NULL;
    packer_close(w->packer);
    room_release(w, &w->packed);
    room_release(w, &w->raw);
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

struct stream_writer {
    const ingot_allocator *allocator;
    struct stream_record record;
    XXH3_state_t *hash;
    uint64_t n_chunks;
    uint64_t first_offset;
    bool strided;
    uint8_t element_bits;
};

/* ---- the way of a chunk ---- */

void item_pack(struct chunk_item *item, struct packer *packer)
{
    item->packing = (struct packing){CODEC_STORED, FILTER_NONE, 0};
    if (packer == NULL || item->ends || item->repeat_of != INGOT_NONE) return;
    item->status = packer_pack(packer, item->stream->element_bits, item->raw, item->n_bytes,
                               item->packed, &item->packing, &item->why);
    if (item->packing.n_bytes) item->checksum = checksum_of(item->packed, item->packing.n_bytes);
}

/* Writes a chunk that is not a repeat. */
static ingot_status write_chunk(struct chunk_writer *w, const struct chunk_item *item,
                                struct chunk_record *c, ingot_error *error)
{
    const bool packed = item->packing.n_bytes > 0;
    const uint64_t n_stored = packed ? item->packing.n_bytes : item->n_bytes;
    const ingot_status status = packed ? INGOT_OK : chunks_align(w, DEFAULT_ALIGNMENT, error);
    if (status != INGOT_OK) return status;
    *c = (struct chunk_record){
        .offset = w->offset,
        .stored_bytes = (uint32_t)n_stored,
        .codec = item->packing.codec,
        .filter = item->packing.filter,
        .checksum = item->checksum,
    };
    return chunks_write(w, packed ? item->packed : item->raw, n_stored, error);
}

/* What the stream's record says of its chunks. */
static void note_chunk(struct stream_writer *s, uint32_t index, const struct chunk_record *c)
{
    if (s->n_chunks == 0) {
        s->record.first_chunk = index;
        s->first_offset = c->offset;
    }
    /* The distance between the first two chunks is the stride, if it is that of all. */
    if (s->n_chunks == 1) s->record.stride = c->offset - s->first_offset;
    s->strided = s->strided && c->codec == CODEC_STORED && c->filter == FILTER_NONE &&
                 c->offset >= s->first_offset &&
                 c->offset - s->first_offset == s->n_chunks * s->record.stride;
    s->n_chunks++;
}

static void stream_free(struct stream_writer *s)
{
    XXH3_freeState(s->hash);
    ingot_release(s->allocator, s);
}

static ingot_status finish_stream(struct chunk_writer *w, struct stream_writer *s,
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
    buffer_append(&w->streams, record, sizeof record);
    stream_free(s);
    return w->streams.failed ? ingot_fail_memory(error, STREAM_BYTES, "stream table") : INGOT_OK;
}

ingot_status item_finish(struct chunk_writer *w, struct chunk_item *item, ingot_error *error)
{
    struct chunk_record c;
    ingot_status status = item->status;
    if (item->ends) return finish_stream(w, item->stream, error);
    const uint32_t index = (uint32_t)(w->chunks.n_bytes / CHUNK_BYTES);
    if (status != INGOT_OK) {
        if (error) *error = item->why;
        return status;
    }
    if (item->repeat_of != INGOT_NONE) {
        chunk_read(w->chunks.data + (uint64_t)item->repeat_of * CHUNK_BYTES, &c);
        c.flags |= CHUNK_REPEAT;
    } else {
        status = write_chunk(w, item, &c, error);
        if (status != INGOT_OK) return status;
    }
    uint8_t record[CHUNK_BYTES];
    chunk_write(&c, record);
    buffer_append(&w->chunks, record, sizeof record);
    w->raw_bytes += item->n_bytes;
    XXH3_128bits_update(item->stream->hash, item->raw, (size_t)item->n_bytes);
    note_chunk(item->stream, index, &c);
    return w->chunks.failed ? ingot_fail_memory(error, CHUNK_BYTES, "chunk table") : INGOT_OK;
}

void item_abandon(struct chunk_item *item)
{
    if (item->ends) stream_free(item->stream);
}

/* An item takes its steps at once, or waits for the pool. */
static ingot_status put(struct chunk_writer *w, struct chunk_item *item, ingot_error *error)
{
    if (w->queue) return queue_put(w->queue, item, error);
    if (w->packer) {
        const ingot_status status = room_reserve(w, &w->packed, packer_bound(item->n_bytes), error);
        if (status != INGOT_OK) return status;
    }
    item->packed = w->packed.bytes;
    item_pack(item, w->packer);
    return item_finish(w, item, error);
}

/* ---- streams ---- */

ingot_status stream_begin(struct chunk_writer *w, uint64_t n_bytes, uint32_t chunk_bytes,
                          uint32_t chunk_step, uint8_t element_bits, struct stream_writer **stream,
                          ingot_error *error)
{
    struct stream_writer *s = ingot_allocate_zeroed(w->allocator, 1, sizeof *s);
    if (s == NULL) return ingot_fail_memory(error, sizeof *s, "stream");
    s->allocator = w->allocator;
    s->strided = true;
    s->element_bits = element_bits;
    s->record.n_bytes = n_bytes;
    if (n_bytes) {
        s->record.chunk_bytes = chunk_bytes;
        s->record.chunk_step = chunk_step;
    }
    s->hash = XXH3_createState();
    if (s->hash == NULL) {
        stream_free(s);
        return ingot_fail_memory(error, 0, "hash state");
    }
    XXH3_128bits_reset(s->hash);
    *stream = s;
    return INGOT_OK;
}

ingot_status chunks_room(struct chunk_writer *w, uint64_t room_bytes, uint32_t n_chunks,
                         uint8_t **room, ingot_error *error)
{
    if (w->queue) return queue_room(w->queue, room_bytes, n_chunks, room, error);
    const ingot_status status = room_reserve(w, &w->raw, room_bytes, error);
    if (status == INGOT_OK) *room = w->raw.bytes;
    return status;
}

ingot_status stream_put_chunk(struct chunk_writer *w, struct stream_writer *s, const uint8_t *raw,
                              uint64_t n_bytes, ingot_error *error)
{
    uint8_t hash[HASH_BYTES];
    struct chunk_item item = {.stream = s, .repeat_of = INGOT_NONE, .raw = raw, .n_bytes = n_bytes};
    uint32_t index = w->n_chunks;
    bool found;
    if (index >= UINT32_MAX - 1) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "chunks", "too many for one file");
    }
    item.checksum = checksum_and_hash(raw, n_bytes, hash);
    const ingot_status status = intern_hash(&w->seen, hash, n_bytes, &index, &found, error);
    if (status != INGOT_OK) return status;
    if (found) item.repeat_of = index;
    w->n_chunks++;
    return put(w, &item, error);
}

ingot_status stream_end(struct chunk_writer *w, struct stream_writer *s, uint32_t *index,
                        ingot_error *error)
{
    struct chunk_item item = {.stream = s, .ends = true, .repeat_of = INGOT_NONE};
    const uint32_t number = w->n_streams++;
    if (w->queue == NULL) {
        *index = number;
        return item_finish(w, &item, error);
    }
    const ingot_status status = queue_put(w->queue, &item, error);
    if (status != INGOT_OK) {
        stream_release(w, s);
        return status;
    }
    *index = number;
    return INGOT_OK;
}

void stream_release(struct chunk_writer *w, struct stream_writer *s)
{
    if (s == NULL) return;
    if (w->queue) queue_abandon(w->queue);
    stream_free(s);
}

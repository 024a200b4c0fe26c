/* Ranges of streams: read, checked or found in the mapping, one chunk after another or many at a
 * time on a pool. Leaves what a chunk holds to chunk.c. */
#include <assert.h>
#include <stdatomic.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/pool.h"

uint64_t ingot_file_stream_bytes(const ingot_file *file, uint32_t stream)
{
    return stream_at(file, stream).n_bytes;
}

uint64_t ingot_file_chunk_bytes(const ingot_file *file, uint32_t stream)
{
    return stream_at(file, stream).chunk_bytes;
}

/* ---- one chunk ---- */

/* Bytes [begin, begin + n_bytes) of the raw bytes of one chunk. */
static ingot_status read_part(const struct ingot_file *file, const struct chunk_record *chunk,
                              uint64_t raw_bytes, uint64_t begin, uint64_t n_bytes, uint8_t *dst,
                              struct chunk_scratch *scratch, ingot_error *error)
{
    if (begin == 0 && n_bytes == raw_bytes) {
        return chunk_decode(file, chunk, raw_bytes, dst, scratch, "chunk", error);
    }
    if (chunk_is_plain(chunk)) {
        const ingot_status status = chunk_verify(file, chunk, "chunk", error);
        if (status == INGOT_OK) {
            memcpy(dst, file->bytes.data + chunk->offset + begin, (size_t)n_bytes);
        }
        return status;
    }
    uint8_t *raw = ingot_allocate(file->allocator, raw_bytes);
    if (raw == NULL) return ingot_fail_memory(error, raw_bytes, "chunk");
    const ingot_status status = chunk_decode(file, chunk, raw_bytes, raw, scratch, "chunk", error);
    if (status == INGOT_OK) memcpy(dst, raw + begin, (size_t)n_bytes);
    ingot_release(file->allocator, raw);
    return status;
}

/* ---- ranges ---- */

enum { MAX_READERS = 64 };

/* What one of the tasks that share a range met first. */
struct failure {
    ingot_status status;
    uint64_t chunk;
    ingot_error why;
};

/* Bytes [offset, offset + n_bytes) of a stream, in chunks [first, end). */
struct range {
    const struct ingot_file *file;
    struct stream_record stream;
    uint64_t offset;
    uint64_t n_bytes;
    uint64_t first;
    uint64_t end;
    uint8_t *dst; /* NULL: they are checked and left where they are */
    atomic_uint_fast64_t next;
    atomic_bool failed;
    struct failure *failures; /* one a task */
};

static ingot_status take_chunk(const struct range *r, uint64_t k, struct chunk_scratch *scratch,
                               ingot_error *error)
{
    const struct stream_record *s = &r->stream;
    const struct chunk_record c = chunk_at(r->file, (uint32_t)(s->first_chunk + k * s->chunk_step));
    const uint64_t raw_bytes = stream_chunk_raw_bytes(s, k), start = k * s->chunk_bytes;
    const uint64_t begin = r->offset > start ? r->offset - start : 0;
    const uint64_t n = min_u64(raw_bytes, r->offset + r->n_bytes - start) - begin;
    uint8_t *dst = r->dst ? r->dst + (start + begin - r->offset) : NULL;
    if (dst && n == raw_bytes && chunk_is_plain(&c) && file_is_mapped(r->file)) {
        const ingot_status status = stream_copy_chunk(r->file, s, k, r->end, dst, error);
        if (status != INGOT_OK) return status;
        return chunk_compare(&c, checksum_of(dst, n), "chunk", error);
    }
    stream_read_ahead(r->file, s, k, r->end, k > r->first);
    file_map(r->file, c.offset, c.stored_bytes);
    if (dst == NULL) return chunk_verify(r->file, &c, "chunk", error);
    return read_part(r->file, &c, raw_bytes, begin, n, dst, scratch, error);
}

/* Chunks are taken in their order, so that all before one that failed have been taken too. */
static void take_chunks(void *context, uint64_t task)
{
    struct range *r = context;
    struct failure *failure = &r->failures[task];
    struct chunk_scratch scratch = {.allocator = r->file->allocator};
    while (!atomic_load(&r->failed)) {
        const uint64_t k = atomic_fetch_add(&r->next, 1);
        if (k >= r->end) break;
        failure->status = take_chunk(r, k, &scratch, &failure->why);
        failure->chunk = k;
        if (failure->status == INGOT_OK) continue;
        atomic_store(&r->failed, true);
        break;
    }
    chunk_scratch_release(&scratch);
}

static const struct failure *first_failure(const struct range *r, uint64_t n_tasks)
{
    const struct failure *first = NULL;
    for (uint64_t i = 0; i < n_tasks; i++) {
        const struct failure *f = &r->failures[i];
        if (f->status == INGOT_OK || (first != NULL && first->chunk < f->chunk)) continue;
        first = f;
    }
    return first;
}

static ingot_status take_range(const ingot_file *file, uint32_t stream, uint64_t offset,
                               uint64_t n_bytes, struct ingot_pool *pool, uint8_t *dst,
                               ingot_error *error)
{
    struct failure failures[MAX_READERS];
    struct range r = {.file = file, .stream = stream_at(file, stream), .offset = offset};
    if (n_bytes == 0) return INGOT_OK;
    r.first = offset / r.stream.chunk_bytes;
    r.end = (offset + n_bytes - 1) / r.stream.chunk_bytes + 1;
    r.n_bytes = n_bytes;
    r.dst = dst;
    atomic_init(&r.next, r.first);
    atomic_init(&r.failed, false);
    uint64_t n_tasks = 1;
    if (pool != NULL) {
        n_tasks = min_u64(min_u64(ingot_pool_n_threads(pool), MAX_READERS), r.end - r.first);
    }
    r.failures = failures;
    for (uint64_t i = 0; i < n_tasks; i++) failures[i].status = INGOT_OK;
    if (n_tasks > 1) {
        ingot_pool_run(pool, n_tasks, take_chunks, &r);
    } else {
        take_chunks(&r, 0);
    }
    const struct failure *failure = first_failure(&r, n_tasks);
    if (failure == NULL) return INGOT_OK;
    if (error) {
        *error = failure->why;
        describe_stream(file, stream, error->field, sizeof error->field);
    }
    return failure->status;
}

ingot_status ingot_file_load_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                    uint64_t n_bytes, struct ingot_pool *pool, void *dst,
                                    ingot_error *error)
{
    if (!range_within(offset, n_bytes, stream_at(file, stream).n_bytes)) {
        return ingot_fail(error, INGOT_INVALID, offset, "stream", "read past the end of stream %u",
                          stream);
    }
    return take_range(file, stream, offset, n_bytes, pool, dst, error);
}

ingot_status ingot_file_read_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                    uint64_t n_bytes, void *dst, ingot_error *error)
{
    return ingot_file_load_stream(file, stream, offset, n_bytes, NULL, dst, error);
}

/* ---- where they lie ---- */

const uint8_t *ingot_file_stream_place(const ingot_file *file, uint32_t stream, uint64_t offset,
                                       uint64_t n_bytes)
{
    const struct stream_record s = stream_at(file, stream);
    if (n_bytes == 0 || !range_within(offset, n_bytes, s.n_bytes)) return NULL;
    const uint64_t first = offset / s.chunk_bytes;
    const uint64_t last = (offset + n_bytes - 1) / s.chunk_bytes;
    if (last > first && s.stride != s.chunk_bytes) return NULL;
    const struct chunk_record c = chunk_at(file, (uint32_t)(s.first_chunk + first * s.chunk_step));
    if (!chunk_is_plain(&c)) return NULL;
    return file->bytes.data + c.offset + (offset - first * s.chunk_bytes);
}

ingot_status ingot_file_check_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                     uint64_t n_bytes, struct ingot_pool *pool, ingot_error *error)
{
    assert(range_within(offset, n_bytes, stream_at(file, stream).n_bytes));
    return take_range(file, stream, offset, n_bytes, pool, NULL, error);
}

void ingot_file_expect(const ingot_file *file, const uint8_t *place, uint64_t n_bytes)
{
    file_read_ahead(file, (uint64_t)(place - file->bytes.data), n_bytes);
}

ingot_status ingot_file_map_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                   uint64_t n_bytes, const uint8_t **data, ingot_error *error)
{
    const uint8_t *place = ingot_file_stream_place(file, stream, offset, n_bytes);
    *data = NULL;
    if (place == NULL) return INGOT_OK;
    const ingot_status status = ingot_file_check_stream(file, stream, offset, n_bytes, NULL, error);
    if (status == INGOT_OK) *data = place;
    return status;
}

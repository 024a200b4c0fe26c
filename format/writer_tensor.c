/* Tensors to streams: slabs of rows, pulled from whoever makes the bytes. */
#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/writer_state.h"

/* How the rows of a tensor are cut. */
struct slabs {
    uint64_t n_rows; /* a slab */
    uint64_t all_rows;
};

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* The least number of rows after which every row stream is at a whole byte and a whole row. */
static uint64_t granule(const struct term_stream *streams, uint32_t n_streams)
{
    uint64_t rows = 1;
    for (uint32_t i = 0; i < n_streams; i++) {
        const struct stream_shape *s = &streams[i].shape;
        if (!s->by_rows) continue;
        const uint64_t bits = s->row_bits ? s->row_bits : 8;
        const uint64_t own = s->tensor_rows * (8 / gcd(bits, 8));
        rows = rows / gcd(rows, own) * own;
    }
    return rows;
}

static struct slabs plan_slabs(struct stack_shape stack, const struct term_stream *streams,
                               uint32_t n_streams)
{
    const uint64_t all_rows = stack.n_matrices * stack.n_rows;
    const uint64_t step = granule(streams, n_streams);
    uint64_t bits = 0, widest = 1;
    for (uint32_t i = 0; i < n_streams; i++) {
        const struct stream_shape *s = &streams[i].shape;
        if (!s->by_rows) continue;
        bits += s->row_bits / s->tensor_rows;
        widest = max_u64(widest, s->row_bits / s->tensor_rows);
    }
    uint64_t rows = max_u64(step, SLAB_BYTES / max_u64(1, bits / 8) / step * step);
    /* Whole multiples of the alignment make the chunks of a lone stored stream one run. */
    const uint64_t unit = step * (DEFAULT_ALIGNMENT / gcd(step * widest / 8, DEFAULT_ALIGNMENT));
    if (rows > unit) rows = rows / unit * unit;
    return (struct slabs){min_u64(rows, max_u64(all_rows, 1)), all_rows};
}

/* The bytes of one row stream for n_rows tensor rows from first_row on. */
static uint64_t slab_bytes(const struct stream_shape *s, uint64_t first_row, uint64_t n_rows)
{
    const uint64_t begin = first_row / s->tensor_rows * s->row_bits / 8;
    const uint64_t end = ceil_div(ceil_div(first_row + n_rows, s->tensor_rows) * s->row_bits, 8);
    return min_u64(end, s->n_bytes) - begin;
}

/* One tensor being written. */
struct job {
    ingot_writer *w;
    const struct writer_tensor *tensor;
    const struct writer_source *source;
    struct term_stream streams[TENSOR_MAX_STREAMS];
    struct stream_writer *writers[TENSOR_MAX_STREAMS];
    uint8_t *parts[TENSOR_MAX_STREAMS]; /* of the slab at hand; NULL: does not follow the rows */
    uint32_t n_streams;
    uint32_t n_row_streams;
    struct slabs slabs;
    ingot_error *error;
};

/* Foreign bytes may be anything; a rescale is of no term. */
static uint8_t element_bits(const struct job *j, const struct term_stream *stream)
{
    const bool opaque = stream->term < j->tensor->n_terms &&
                        j->tensor->terms[stream->term].coding != NULL &&
                        j->tensor->terms[stream->term].coding->map == MAP_OPAQUE;
    return opaque ? 0 : stream->shape.bits;
}

static bool follows_rows(const struct job *j, uint32_t i)
{
    return j->streams[i].shape.by_rows && j->streams[i].shape.n_bytes > 0;
}

static ingot_status begin_streams(struct job *j)
{
    for (uint32_t i = 0; i < j->n_streams; i++) j->n_row_streams += follows_rows(j, i);
    for (uint32_t i = 0; i < j->n_streams; i++) {
        const struct stream_shape *s = &j->streams[i].shape;
        uint64_t chunk_bytes = SLAB_BYTES;
        uint32_t step = 1;
        if (follows_rows(j, i)) {
            chunk_bytes = slab_bytes(s, 0, j->slabs.n_rows);
            step = j->n_row_streams;
            if (chunk_bytes > MAX_CHUNK_RAW_BYTES) {
                return ingot_fail(j->error, INGOT_REFUSED, INGOT_NO_OFFSET, j->tensor->name,
                                  "rows of %llu bytes are too long for this encoding",
                                  (unsigned long long)chunk_bytes);
            }
        }
        const ingot_status status =
            stream_begin(&j->w->chunks, s->n_bytes, (uint32_t)chunk_bytes, step,
                         element_bits(j, &j->streams[i]), &j->writers[i], j->error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

/* A stream that does not follow the rows, chunk by chunk. */
static ingot_status put_whole(struct job *j, uint32_t i)
{
    const uint64_t n_bytes = j->streams[i].shape.n_bytes;
    struct chunk_writer *w = &j->w->chunks;
    ingot_status status = INGOT_OK;
    for (uint64_t done = 0; done < n_bytes && status == INGOT_OK; done += SLAB_BYTES) {
        const uint64_t n = min_u64(SLAB_BYTES, n_bytes - done);
        uint8_t *room;
        status = chunks_room(w, chunk_room_bytes(n), 1, &room, j->error);
        if (status == INGOT_OK) {
            status = j->source->fill(j->source->context, i, done, n, room, j->error);
        }
        if (status == INGOT_OK) status = stream_put_chunk(w, j->writers[i], room, n, j->error);
    }
    return status;
}

static ingot_status put_slab(struct job *j, uint64_t first_row, uint64_t n_rows)
{
    struct chunk_writer *w = &j->w->chunks;
    uint64_t n_bytes[TENSOR_MAX_STREAMS], room_bytes = 0;
    uint8_t *room;
    for (uint32_t i = 0; i < j->n_streams; i++) {
        if (!follows_rows(j, i)) continue;
        n_bytes[i] = slab_bytes(&j->streams[i].shape, first_row, n_rows);
        room_bytes += chunk_room_bytes(n_bytes[i]);
    }
    ingot_status status = chunks_room(w, room_bytes, j->n_row_streams, &room, j->error);
    if (status != INGOT_OK) return status;
    if (!j->source->sets_all) memset(room, 0, (size_t)room_bytes);
    for (uint32_t i = 0; i < j->n_streams; i++) {
        if (!follows_rows(j, i)) continue;
        j->parts[i] = room;
        room += chunk_room_bytes(n_bytes[i]);
    }
    status = j->source->rows(j->source->context, first_row, n_rows, j->parts, j->error);
    for (uint32_t i = 0; i < j->n_streams && status == INGOT_OK; i++) {
        if (!follows_rows(j, i)) continue;
        status = stream_put_chunk(w, j->writers[i], j->parts[i], n_bytes[i], j->error);
    }
    return status;
}

static ingot_status put_streams(struct job *j)
{
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < j->n_streams && status == INGOT_OK; i++) {
        if (!follows_rows(j, i)) status = put_whole(j, i);
    }
    if (j->n_row_streams == 0) return status;
    for (uint64_t row = 0; row < j->slabs.all_rows && status == INGOT_OK; row += j->slabs.n_rows) {
        status = put_slab(j, row, min_u64(j->slabs.n_rows, j->slabs.all_rows - row));
    }
    return status;
}

/* Writes the streams of a job and adds its records; frees what the job took. */
static ingot_status run_job(struct job *j)
{
    uint32_t first_stream = 0, index = 0;
    ingot_status status = begin_streams(j);
    if (status == INGOT_OK) status = put_streams(j);
    for (uint32_t i = 0; i < j->n_streams && status == INGOT_OK; i++) {
        status = stream_end(&j->w->chunks, j->writers[i], &index, j->error);
        j->writers[i] = NULL;
        if (i == 0) first_stream = index;
    }
    if (status == INGOT_OK) {
        status = add_tensor(j->w, j->tensor, j->streams, j->n_streams, first_stream, j->error);
    }
    for (uint32_t i = 0; i < j->n_streams; i++) {
        stream_release(&j->w->chunks, j->writers[i]);
    }
    return status;
}

static ingot_status begin_job(ingot_writer *w, const struct writer_tensor *tensor,
                              const struct writer_source *source, struct job **job,
                              ingot_error *error)
{
    ingot_status status = check_tensor(w, tensor, error);
    if (status != INGOT_OK) return status;
    struct job *j = ingot_allocate_zeroed(w->allocator, 1, sizeof *j);
    if (j == NULL) return ingot_fail_memory(error, sizeof *j, "tensor");
    j->w = w;
    j->tensor = tensor;
    j->source = source;
    j->error = error;
    status = writer_streams(tensor, j->streams, &j->n_streams, error);
    if (status != INGOT_OK) {
        ingot_release(w->allocator, j);
        return status;
    }
    *job = j;
    return INGOT_OK;
}

ingot_status write_tensor(ingot_writer *w, const struct writer_tensor *tensor,
                          const struct writer_source *source, bool by_slabs, ingot_error *error)
{
    struct job *job = NULL;
    struct stack_shape stack;
    ingot_status status = begin_job(w, tensor, source, &job, error);
    if (status != INGOT_OK) return status;
    stack_of(tensor->rank, tensor->dims, tensor->stack, tensor->split, &stack);
    for (uint32_t i = 0; i < job->n_streams && !by_slabs; i++) {
        job->streams[i].shape.by_rows = false;
    }
    job->slabs = plan_slabs(stack, job->streams, job->n_streams);
    status = end_if_failed(w, run_job(job));
    ingot_release(w->allocator, job);
    return status;
}

ingot_status ingot_writer_tensor(ingot_writer *writer, const struct writer_tensor *tensor,
                                 const struct writer_source *source, ingot_error *error)
{
    return write_tensor(writer, tensor, source, true, error);
}

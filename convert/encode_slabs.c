/* Encoding by slabs: as the writer asks for rows, they are read, encoded term by term, and decoded
 * again to see what was lost. A slab is cut into parts for the threads, in a way that depends on
 * the shape alone; meanwhile one of them reads the slab after it, and while the writer writes a
 * slab, the next is encoded. Memory is that of a few slabs as they are held in the source. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "convert/measure.h"
#include "convert/tensor_job.h"
#include "format/alloc.h"
#include "format/decode.h"
#include "format/fail.h"

/* A part of a slab is about this many values: enough to be worth a thread's while, and few enough
 * to stay in its cache. */
enum { PART_VALUES = 1 << 16 };

struct part_result {
    ingot_status status;
    ingot_error why;
    struct tensor_error error;
};

/* Where a thread has the values of a part. */
struct part_room {
    atomic_flag taken;
    float *source;
    float *sum;     /* of the terms so far */
    float *rest;    /* source - sum */
    float *decoded; /* of one term */
};

struct slab {
    struct tensor_job *job;
    uint64_t part_rows; /* a multiple of 8, so that every stream's part begins at a byte */
    uint64_t capacity;  /* rows in each of: */
    uint8_t *bytes;     /* the source of the slab at hand */
    uint8_t *ahead;     /* of the slab after it, as far as it was read: */
    uint64_t ahead_row;
    uint64_t n_ahead;
    ingot_status ahead_status;
    ingot_error ahead_why;
    uint8_t *streams[TENSOR_MAX_STREAMS]; /* what the slab is encoded to */
    struct part_result *results;
    struct part_room *rooms; /* one a thread */
    uint32_t n_rooms;
    uint64_t first_row; /* of the slab at hand */
    uint64_t n_rows;
    bool is_begun; /* the pool is at it */
};

/* Some rows of a slab. */
struct part {
    const struct slab *slab;
    uint64_t first_row;
    struct stack_shape shape;
    const struct part_room *room;
    uint8_t *streams[TENSOR_MAX_STREAMS];
};

static void release_slab(struct slab *s)
{
    if (s->is_begun) ingot_pool_end(s->job->pool);
    for (uint32_t i = 0; i < s->n_rooms && s->rooms; i++) {
        ingot_release(NULL, s->rooms[i].decoded);
        ingot_release(NULL, s->rooms[i].rest);
        ingot_release(NULL, s->rooms[i].sum);
        ingot_release(NULL, s->rooms[i].source);
    }
    ingot_release(NULL, s->rooms);
    ingot_release(NULL, s->results);
    for (uint32_t k = 0; k < TENSOR_MAX_STREAMS; k++) ingot_release(NULL, s->streams[k]);
    ingot_release(NULL, s->ahead);
    ingot_release(NULL, s->bytes);
    *s = (struct slab){.job = s->job, .part_rows = s->part_rows};
}

static bool make_rooms(struct slab *s, uint64_t n_rows)
{
    const uint64_t n = min_u64(n_rows, s->part_rows) * s->job->stack.n_cols;
    const uint64_t n_more = s->job->tensor.n_terms > 1 ? n : 0;
    s->n_rooms = ingot_pool_n_threads(s->job->pool);
    s->rooms = ingot_allocate_zeroed(NULL, s->n_rooms, sizeof *s->rooms);
    for (uint32_t i = 0; i < s->n_rooms && s->rooms; i++) {
        struct part_room *room = &s->rooms[i];
        atomic_flag_clear(&room->taken);
        room->source = ingot_allocate(NULL, n * sizeof(float));
        room->sum = ingot_allocate(NULL, n * sizeof(float));
        room->rest = ingot_allocate(NULL, n_more * sizeof(float));
        room->decoded = ingot_allocate(NULL, n_more * sizeof(float));
        if (!room->source || !room->sum || !room->rest || !room->decoded) return false;
    }
    return s->rooms != NULL;
}

static uint64_t stream_slab_bytes(const struct slab *s, uint32_t stream, uint64_t n_rows)
{
    return ceil_div(n_rows * s->job->streams.list[stream].shape.row_bits, 8);
}

/* The first slab is the largest. */
static ingot_status make_room(struct slab *s, uint64_t n_rows, ingot_error *error)
{
    const uint64_t n_bytes = n_rows * rows_row_bytes(&s->job->reader);
    const bool is_all = n_rows >= s->job->reader.tensor.n_rows;
    bool room = true;
    if (n_rows <= s->capacity) return INGOT_OK;
    release_slab(s);
    s->bytes = ingot_allocate(NULL, n_bytes);
    s->ahead = ingot_allocate(NULL, is_all ? 0 : n_bytes);
    s->results = ingot_allocate_zeroed(NULL, ceil_div(n_rows, s->part_rows), sizeof *s->results);
    for (uint32_t k = 0; k < s->job->streams.n_streams; k++) {
        s->streams[k] = ingot_allocate(NULL, stream_slab_bytes(s, k, n_rows));
        room = room && s->streams[k];
    }
    room = room && make_rooms(s, n_rows);
    if (!room || s->bytes == NULL || s->ahead == NULL || s->results == NULL) {
        return ingot_fail_memory(error, n_bytes, "rows");
    }
    s->capacity = n_rows;
    return INGOT_OK;
}

/* Encodes the rows of a part as term k and adds what that gives to the sum. */
static ingot_status encode_term(const struct part *p, uint32_t k, ingot_error *error)
{
    struct tensor_job *job = p->slab->job;
    const struct part_room *room = p->room;
    const uint64_t n = p->shape.n_rows * p->shape.n_cols;
    uint8_t *const *streams = p->streams + job_first_stream(job, k);
    const struct memory_streams memory = {(const uint8_t *const *)streams, NULL};
    const struct stream_provider provider = memory_provider(&memory, NULL);
    const struct stack_part all = {0, p->shape.n_rows, 0, p->shape.n_cols};
    float *decoded = k == 0 ? room->sum : room->decoded;
    ingot_status status =
        job_encode(job, k, p->shape, p->first_row, k == 0 ? room->source : room->rest, streams,
                   decoded, NULL, error);
    if (status == INGOT_OK && !job->plans[k].preset->decodes) {
        status = coding_decode(&job->plans[k].coding, p->shape, 0, &provider, all, decoded, error);
    }
    if (status != INGOT_OK) return status;
    for (uint64_t i = 0; k > 0 && i < n; i++) room->sum[i] = room->sum[i] + room->decoded[i];
    for (uint64_t i = 0; k + 1 < job->tensor.n_terms && i < n; i++) {
        room->rest[i] = room->source[i] - room->sum[i];
    }
    return INGOT_OK;
}

/* Reads what will be asked for next: as many rows again, or those that are left. */
static void read_ahead(struct slab *s)
{
    const uint64_t all_rows = s->job->reader.tensor.n_rows;
    const uint64_t row = s->first_row + s->n_rows;
    const uint64_t n = min_u64(s->n_rows, all_rows - row);
    if (n == 0) return;
    s->ahead_row = row;
    s->n_ahead = n;
    s->ahead_why = (ingot_error){0};
    s->ahead_status = rows_take(&s->job->reader, row, n, s->ahead, &s->ahead_why);
}

/* As many tasks run at once as there are rooms, so that one is free. */
static struct part_room *take_room(const struct slab *s)
{
    for (uint32_t i = 0;; i = (i + 1) % s->n_rooms) {
        if (!atomic_flag_test_and_set(&s->rooms[i].taken)) return &s->rooms[i];
    }
}

/* Encodes a part of the slab at hand. */
static void encode_part(const struct slab *s, uint64_t i)
{
    struct tensor_job *job = s->job;
    const uint64_t row = i * s->part_rows;
    struct part_room *room = take_room(s);
    struct part p = {
        .slab = s,
        .first_row = s->first_row + row,
        .shape = {1, min_u64(s->part_rows, s->n_rows - row), job->stack.n_cols},
        .room = room,
    };
    struct part_result *result = &s->results[i];
    *result = (struct part_result){.status = INGOT_OK};
    for (uint32_t k = 0; k < job->streams.n_streams; k++) {
        p.streams[k] = s->streams[k] + row * job->streams.list[k].shape.row_bits / 8;
    }
    result->status =
        rows_values(&job->reader, p.first_row, p.shape.n_rows,
                    s->bytes + row * rows_row_bytes(&job->reader), room->source, &result->why);
    for (uint32_t k = 0; k < job->tensor.n_terms && result->status == INGOT_OK; k++) {
        result->status = encode_term(&p, k, &result->why);
    }
    if (result->status == INGOT_OK) {
        measure_add(&result->error, room->source, room->sum, p.shape.n_rows * p.shape.n_cols);
    }
    atomic_flag_clear(&room->taken);
}

/* What a thread of the pool does. */
static void run_task(void *context, uint64_t i)
{
    struct slab *s = context;
    if (i == 0) {
        read_ahead(s);
    } else {
        encode_part(s, i - 1);
    }
}

/* Has the pool encode rows whose source is at hand. */
static void begin_slab(struct slab *s, uint64_t first_row, uint64_t n_rows)
{
    for (uint32_t k = 0; k < s->job->streams.n_streams; k++) {
        memset(s->streams[k], 0, (size_t)stream_slab_bytes(s, k, n_rows));
    }
    s->first_row = first_row;
    s->n_rows = n_rows;
    s->n_ahead = 0;
    s->is_begun = true;
    ingot_pool_begin(s->job->pool, ceil_div(n_rows, s->part_rows) + 1, run_task, s);
}

/* Waits for the slab at hand and gives what it is encoded to. */
static ingot_status end_slab(struct slab *s, uint8_t *const *dst, ingot_error *error)
{
    struct tensor_job *job = s->job;
    ingot_pool_end(job->pool);
    s->is_begun = false;
    for (uint64_t i = 0; i < ceil_div(s->n_rows, s->part_rows); i++) {
        if (s->results[i].status != INGOT_OK) {
            if (error) *error = s->results[i].why;
            return s->results[i].status;
        }
        measure_merge(&job->result->error, &s->results[i].error);
    }
    for (uint32_t k = 0; k < job->streams.n_streams; k++) {
        memcpy(dst[k], s->streams[k], (size_t)stream_slab_bytes(s, k, s->n_rows));
    }
    return INGOT_OK;
}

/* Goes on with the slab after the one at hand, where its source could be read. */
static void begin_next(struct slab *s)
{
    if (s->n_ahead == 0 || s->ahead_status != INGOT_OK) return;
    uint8_t *bytes = s->ahead;
    s->ahead = s->bytes;
    s->bytes = bytes;
    begin_slab(s, s->ahead_row, s->n_ahead);
}

static ingot_status slab_rows(void *context, uint64_t first_row, uint64_t n_rows,
                              uint8_t *const *dst, ingot_error *error)
{
    struct slab *s = context;
    struct tensor_job *job = s->job;
    ingot_status status = INGOT_OK;
    if (!s->is_begun || s->first_row != first_row || s->n_rows != n_rows) {
        if (s->n_ahead && s->ahead_status != INGOT_OK) {
            if (error) *error = s->ahead_why;
            return s->ahead_status;
        }
        if (s->is_begun) ingot_pool_end(job->pool);
        s->is_begun = false;
        status = make_room(s, n_rows, error);
        if (status == INGOT_OK) {
            status = rows_take(&job->reader, first_row, n_rows, s->bytes, error);
        }
        if (status != INGOT_OK) return status;
        begin_slab(s, first_row, n_rows);
    }
    status = end_slab(s, dst, error);
    if (status != INGOT_OK) return status;
    begin_next(s);
    if (job->progress) {
        job->progress->report(job->progress->context, first_row + n_rows,
                              job->reader.tensor.n_rows);
    }
    return INGOT_OK;
}

/* Every stream of a preset that is by rows follows the rows, so nothing is left to fill. */
static ingot_status slab_fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                              uint8_t *dst, ingot_error *error)
{
    const struct slab *s = context;
    (void)offset;
    (void)dst;
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, s->job->tensor.name,
                      "stream %u of %llu bytes does not follow the rows", stream,
                      (unsigned long long)n_bytes);
}

static void describe(struct tensor_job *job)
{
    char *label = job->result->label;
    for (uint32_t k = 0; k < job->tensor.n_terms; k++) {
        const size_t n = strlen(label);
        snprintf(label + n, sizeof job->result->label - n, "%s%s", k ? " + " : "",
                 job->plans[k].coding.name);
    }
}

ingot_status encode_by_slabs(struct tensor_job *job, ingot_error *error)
{
    struct slab slab = {
        .job = job, .part_rows = max_u64(8, PART_VALUES / max_u64(1, job->stack.n_cols) / 8 * 8)};
    const struct writer_source source = {&slab, slab_fill, slab_rows, false};
    ingot_status status =
        writer_streams(&job->tensor, job->streams.list, &job->streams.n_streams, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < job->streams.n_streams; i++) {
        job->result->coded_bytes += job->streams.list[i].shape.n_bytes;
    }
    describe(job);
    status = job_prepare_from_sample(job, error);
    if (status != INGOT_OK) return status;
    status = job_add_codebooks(job, job->tensor.n_terms, job->writer, error);
    if (status != INGOT_OK) return status;
    status = ingot_writer_tensor(job->writer, &job->tensor, &source, error);
    release_slab(&slab);
    return status;
}

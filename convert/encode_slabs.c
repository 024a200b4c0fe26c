/* Encoding by slabs: as the writer asks for rows, they are read, encoded term by term, and decoded
 * again to see what was lost. A slab is cut into parts for the threads, in a way that depends on
 * the shape alone; meanwhile one of them reads the slab after it. Memory is that of a few slabs. */
#include <stdio.h>
#include <string.h>

#include "convert/measure.h"
#include "convert/tensor_job.h"
#include "format/alloc.h"
#include "format/decode.h"
#include "format/fail.h"

/* A part of a slab is about this many values: enough to be worth a thread's while. */
enum { PART_VALUES = 1 << 16 };

struct part_result {
    ingot_status status;
    ingot_error why;
    struct tensor_error error;
};

struct slab {
    struct tensor_job *job;
    uint64_t part_rows; /* a multiple of 8, so that every stream's part begins at a byte */
    uint64_t capacity;  /* rows in each of: */
    float *source;
    float *ahead; /* the source of the slab after it, as far as it was read: */
    uint64_t ahead_row;
    uint64_t n_ahead;
    ingot_status ahead_status;
    ingot_error ahead_why;
    float *sum;     /* of the terms so far */
    float *rest;    /* source - sum */
    float *decoded; /* of one term */
    struct part_result *results;
    uint64_t first_row; /* of the slab at hand */
    uint64_t n_rows;
    uint8_t *const *dst;
};

/* Some rows of a slab. */
struct part {
    const struct slab *slab;
    uint64_t first_row;
    struct stack_shape shape;
    const float *source;
    float *sum;
    float *rest;
    float *decoded;
    uint8_t *streams[TENSOR_MAX_STREAMS];
};

static void release_slab(struct slab *s)
{
    ingot_release(NULL, s->results);
    ingot_release(NULL, s->decoded);
    ingot_release(NULL, s->rest);
    ingot_release(NULL, s->sum);
    ingot_release(NULL, s->ahead);
    ingot_release(NULL, s->source);
    s->results = NULL;
    s->decoded = s->rest = s->sum = s->ahead = s->source = NULL;
    s->n_ahead = 0;
    s->capacity = 0;
}

/* The first slab is the largest. */
static ingot_status make_room(struct slab *s, uint64_t n_rows, ingot_error *error)
{
    const uint64_t n = n_rows * s->job->stack.n_cols;
    const uint64_t all = s->job->reader.tensor.n_rows * s->job->stack.n_cols;
    const bool several = s->job->tensor.n_terms > 1;
    if (n_rows <= s->capacity) return INGOT_OK;
    release_slab(s);
    s->source = ingot_allocate(NULL, n * sizeof(float));
    s->ahead = ingot_allocate(NULL, n < all ? n * sizeof(float) : 0);
    s->sum = ingot_allocate(NULL, n * sizeof(float));
    s->rest = ingot_allocate(NULL, several ? n * sizeof(float) : 0);
    s->decoded = ingot_allocate(NULL, several ? n * sizeof(float) : 0);
    s->results = ingot_allocate_zeroed(NULL, ceil_div(n_rows, s->part_rows), sizeof *s->results);
    if (s->source == NULL || s->ahead == NULL || s->sum == NULL || s->rest == NULL ||
        s->decoded == NULL || s->results == NULL) {
        return ingot_fail_memory(error, n * sizeof(float), "rows");
    }
    s->capacity = n_rows;
    return INGOT_OK;
}

/* Encodes the rows of a part as term k and adds what that gives to the sum. */
static ingot_status encode_term(const struct part *p, uint32_t k, ingot_error *error)
{
    struct tensor_job *job = p->slab->job;
    const uint64_t n = p->shape.n_rows * p->shape.n_cols;
    uint8_t *const *streams = p->streams + job_first_stream(job, k);
    const struct memory_streams memory = {(const uint8_t *const *)streams, NULL};
    const struct stream_provider provider = memory_provider(&memory, NULL);
    const struct stack_part all = {0, p->shape.n_rows, 0, p->shape.n_cols};
    float *decoded = k == 0 ? p->sum : p->decoded;
    ingot_status status = job_encode(job, k, p->shape, p->first_row, k == 0 ? p->source : p->rest,
                                     streams, decoded, error);
    if (status == INGOT_OK && !job->plans[k].preset->decodes) {
        status = coding_decode(&job->plans[k].coding, p->shape, 0, &provider, all, decoded, error);
    }
    if (status != INGOT_OK) return status;
    for (uint64_t i = 0; k > 0 && i < n; i++) p->sum[i] = p->sum[i] + p->decoded[i];
    for (uint64_t i = 0; k + 1 < job->tensor.n_terms && i < n; i++) {
        p->rest[i] = p->source[i] - p->sum[i];
    }
    return INGOT_OK;
}

/* The source of a slab, which may have been read already. */
static ingot_status take_source(struct slab *s, uint64_t first_row, uint64_t n_rows,
                                ingot_error *error)
{
    const bool there = s->n_ahead == n_rows && s->ahead_row == first_row;
    s->n_ahead = 0;
    if (!there) return rows_read(&s->job->reader, first_row, n_rows, s->source, error);
    if (s->ahead_status != INGOT_OK) {
        if (error) *error = s->ahead_why;
        return s->ahead_status;
    }
    float *source = s->ahead;
    s->ahead = s->source;
    s->source = source;
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
    s->ahead_status = rows_read(&s->job->reader, row, n, s->ahead, &s->ahead_why);
}

/* Encodes a part of the slab at hand. */
static void encode_part(const struct slab *s, uint64_t i)
{
    const struct tensor_job *job = s->job;
    const uint64_t row = i * s->part_rows;
    const uint64_t at = row * job->stack.n_cols;
    struct part p = {
        .slab = s,
        .first_row = s->first_row + row,
        .shape = {1, min_u64(s->part_rows, s->n_rows - row), job->stack.n_cols},
        .source = s->source + at,
        .sum = s->sum + at,
        .rest = job->tensor.n_terms > 1 ? s->rest + at : NULL,
        .decoded = job->tensor.n_terms > 1 ? s->decoded + at : NULL,
    };
    struct part_result *result = &s->results[i];
    *result = (struct part_result){.status = INGOT_OK};
    for (uint32_t k = 0; k < job->streams.n_streams; k++) {
        p.streams[k] = s->dst[k] + row * job->streams.list[k].shape.row_bits / 8;
    }
    for (uint32_t k = 0; k < job->tensor.n_terms && result->status == INGOT_OK; k++) {
        result->status = encode_term(&p, k, &result->why);
    }
    if (result->status == INGOT_OK) {
        measure_add(&result->error, p.source, p.sum, p.shape.n_rows * p.shape.n_cols);
    }
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

static ingot_status slab_rows(void *context, uint64_t first_row, uint64_t n_rows,
                              uint8_t *const *dst, ingot_error *error)
{
    struct slab *s = context;
    struct tensor_job *job = s->job;
    const uint64_t n_parts = ceil_div(n_rows, s->part_rows);
    ingot_status status = make_room(s, n_rows, error);
    if (status == INGOT_OK) status = take_source(s, first_row, n_rows, error);
    if (status != INGOT_OK) return status;
    s->first_row = first_row;
    s->n_rows = n_rows;
    s->dst = dst;
    ingot_pool_run(job->pool, n_parts + 1, run_task, s);
    for (uint64_t i = 0; i < n_parts; i++) {
        if (s->results[i].status != INGOT_OK) {
            if (error) *error = s->results[i].why;
            return s->results[i].status;
        }
        measure_merge(&job->result->error, &s->results[i].error);
    }
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
    status = job_add_codebooks(job, job->tensor.n_terms, job->writer, error);
    if (status != INGOT_OK) return status;
    status = ingot_writer_tensor(job->writer, &job->tensor, &source, error);
    release_slab(&slab);
    return status;
}

/* Encoding by slabs: as the writer asks for rows, they are read, encoded term by term, and decoded
 * again to see what was lost. Memory is that of a few slabs. */
#include <stdio.h>
#include <string.h>

#include "convert/measure.h"
#include "convert/tensor_job.h"
#include "format/alloc.h"
#include "format/decode.h"
#include "format/fail.h"

struct slab {
    struct tensor_job *job;
    uint64_t capacity; /* values in each */
    float *source;
    float *sum;     /* of the terms so far */
    float *rest;    /* source - sum */
    float *decoded; /* of one term */
};

static void release_slab(struct slab *s)
{
    ingot_release(NULL, s->decoded);
    ingot_release(NULL, s->rest);
    ingot_release(NULL, s->sum);
    ingot_release(NULL, s->source);
    s->decoded = s->rest = s->sum = s->source = NULL;
    s->capacity = 0;
}

/* The first slab is the largest. */
static ingot_status make_room(struct slab *s, uint64_t n, ingot_error *error)
{
    const bool several = s->job->tensor.n_terms > 1;
    if (n <= s->capacity) return INGOT_OK;
    release_slab(s);
    s->source = ingot_allocate(NULL, n * sizeof(float));
    s->sum = ingot_allocate(NULL, n * sizeof(float));
    s->rest = ingot_allocate(NULL, several ? n * sizeof(float) : 1);
    s->decoded = ingot_allocate(NULL, several ? n * sizeof(float) : 1);
    if (s->source == NULL || s->sum == NULL || s->rest == NULL || s->decoded == NULL) {
        return ingot_fail_memory(error, n * sizeof(float), "rows");
    }
    s->capacity = n;
    return INGOT_OK;
}

/* Encodes the rows of a slab as term k and adds what that gives to the sum. */
static ingot_status encode_term(struct slab *s, uint32_t k, struct stack_shape shape,
                                uint64_t first_row, uint8_t *const *dst, ingot_error *error)
{
    const uint64_t n = shape.n_rows * shape.n_cols;
    const struct memory_streams memory = {(const uint8_t *const *)dst, NULL};
    const struct stream_provider provider = memory_provider(&memory, NULL);
    const struct stack_part all = {0, shape.n_rows, 0, shape.n_cols};
    float *decoded = k == 0 ? s->sum : s->decoded;
    ingot_status status =
        job_encode(s->job, k, shape, first_row, k == 0 ? s->source : s->rest, dst, error);
    if (status != INGOT_OK) return status;
    status = coding_decode(&s->job->plans[k].coding, shape, 0, &provider, all, decoded, error);
    if (status != INGOT_OK) return status;
    for (uint64_t i = 0; k > 0 && i < n; i++) s->sum[i] = s->sum[i] + s->decoded[i];
    for (uint64_t i = 0; k + 1 < s->job->tensor.n_terms && i < n; i++) {
        s->rest[i] = s->source[i] - s->sum[i];
    }
    return INGOT_OK;
}

static ingot_status slab_rows(void *context, uint64_t first_row, uint64_t n_rows,
                              uint8_t *const *dst, ingot_error *error)
{
    struct slab *s = context;
    struct tensor_job *job = s->job;
    const struct stack_shape shape = {1, n_rows, job->stack.n_cols};
    const uint64_t n = n_rows * shape.n_cols;
    ingot_status status = make_room(s, n, error);
    if (status == INGOT_OK) status = rows_read(&job->reader, first_row, n_rows, s->source, error);
    for (uint32_t k = 0; k < job->tensor.n_terms && status == INGOT_OK; k++) {
        status = encode_term(s, k, shape, first_row, dst + job_first_stream(job, k), error);
    }
    if (status != INGOT_OK) return status;
    measure_add(&job->result->error, s->source, s->sum, n);
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
    struct slab slab = {.job = job};
    const struct writer_source source = {&slab, slab_fill, slab_rows};
    ingot_status status =
        writer_streams(&job->tensor, job->streams.list, &job->streams.n_streams, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < job->streams.n_streams; i++) {
        job->result->coded_bytes += job->streams.list[i].shape.n_bytes;
    }
    describe(job);
    status = ingot_writer_tensor(job->writer, &job->tensor, &source, error);
    release_slab(&slab);
    return status;
}

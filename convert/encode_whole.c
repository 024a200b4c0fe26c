/* Encoding whole: term by term over the tensor, each from what those before it leave. What they
 * give is asked of the reader itself, through a container in memory that holds the terms so far: so
 * the rest, and the error, are those of the file that will be written. */
#include <string.h>

#include "convert/measure.h"
#include "convert/tensor_job.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/output.h"

/* A part is about this many values. */
enum { PART_VALUES = 1 << 16 };

struct whole {
    struct tensor_job *job;
    float *rest;    /* of all values: what is left to encode */
    float *source;  /* of a step of rows */
    float *decoded; /* of a step of rows */
};

/* Calls each step of rows with its source values. */
typedef ingot_status step_function(struct whole *w, const ingot_file *file, uint64_t first_row,
                                   uint64_t n_rows, ingot_error *error);

static ingot_status for_rows(struct whole *w, const ingot_file *file, step_function *step,
                             ingot_error *error)
{
    const uint64_t all_rows = w->job->reader.tensor.n_rows;
    const uint64_t n_step = rows_step(&w->job->reader);
    ingot_status status = INGOT_OK;
    for (uint64_t row = 0; row < all_rows && status == INGOT_OK; row += n_step) {
        const uint64_t n_rows = min_u64(n_step, all_rows - row);
        status = rows_read(&w->job->reader, row, n_rows, w->source, error);
        if (status == INGOT_OK) status = step(w, file, row, n_rows, error);
    }
    return status;
}

/* Before the first term, all is left. */
static ingot_status take_rows(struct whole *w, const ingot_file *file, uint64_t first_row,
                              uint64_t n_rows, ingot_error *error)
{
    const uint64_t n_cols = w->job->stack.n_cols;
    (void)file;
    (void)error;
    memcpy(w->rest + first_row * n_cols, w->source, (size_t)(n_rows * n_cols) * sizeof(float));
    return INGOT_OK;
}

static ingot_status subtract_rows(struct whole *w, const ingot_file *file, uint64_t first_row,
                                  uint64_t n_rows, ingot_error *error)
{
    const uint64_t n = n_rows * w->job->stack.n_cols;
    float *rest = w->rest + first_row * w->job->stack.n_cols;
    const ingot_status status =
        ingot_file_decode_f32(file, 0, first_row, n_rows, w->decoded, error);
    for (uint64_t i = 0; i < n && status == INGOT_OK; i++) rest[i] = w->source[i] - w->decoded[i];
    return status;
}

static ingot_status measure_rows(struct whole *w, const ingot_file *file, uint64_t first_row,
                                 uint64_t n_rows, ingot_error *error)
{
    const ingot_status status =
        ingot_file_decode_f32(file, 0, first_row, n_rows, w->decoded, error);
    if (status != INGOT_OK) return status;
    measure_add(&w->job->result->error, w->source, w->decoded, n_rows * w->job->stack.n_cols);
    return INGOT_OK;
}

static ingot_status write_terms(struct tensor_job *job, const struct writer_tensor *tensor,
                                struct byte_buffer *bytes, ingot_error *error)
{
    struct output *output;
    ingot_writer *writer;
    const struct writer_source source = streams_source(&job->streams);
    ingot_status status = output_to_memory(bytes, NULL, &output, error);
    if (status != INGOT_OK) return status;
    status = ingot_writer_over(output, INGOT_COMPRESS_NONE, NULL, &writer, error);
    if (status != INGOT_OK) return status;
    status = job_add_codebooks(job, tensor->n_terms, writer, error);
    if (status == INGOT_OK) status = ingot_writer_tensor(writer, tensor, &source, error);
    if (status == INGOT_OK) status = ingot_writer_finish(writer, error);
    ingot_writer_close(writer);
    return status;
}

/* Goes through the rows with a container of the first n_terms terms at hand. */
static ingot_status with_terms(struct whole *w, uint32_t n_terms, step_function *step,
                               ingot_error *error)
{
    struct tensor_job *job = w->job;
    struct writer_tensor tensor = job->tensor;
    struct byte_buffer bytes = {.allocator = job->memory};
    ingot_file *file = NULL;
    ingot_tensor described;
    tensor.n_terms = n_terms;
    ingot_status status = write_terms(job, &tensor, &bytes, error);
    if (status == INGOT_OK) {
        status = ingot_file_open_memory(bytes.data, (size_t)bytes.n_bytes, NULL, &file, error);
    }
    if (status != INGOT_OK) goto done;
    ingot_file_tensor(file, 0, &described);
    memcpy(job->result->label, described.encoding, sizeof job->result->label);
    job->result->coded_bytes = described.coded_bytes;
    status = for_rows(w, file, step, error);
done:
    ingot_file_close(file);
    buffer_release(&bytes);
    return status;
}

/* Rows of a term, for a thread of the pool. */
struct term_parts {
    struct whole *w;
    uint32_t term;
    uint64_t part_rows;
    ingot_status *statuses;
    ingot_error *errors;
};

static void encode_part(void *context, uint64_t i)
{
    const struct term_parts *p = context;
    struct tensor_job *job = p->w->job;
    const uint64_t all_rows = job->reader.tensor.n_rows;
    const uint64_t row = i * p->part_rows;
    const uint64_t n_cols = job->stack.n_cols;
    const uint32_t first = job_first_stream(job, p->term);
    uint8_t *streams[TENSOR_MAX_STREAMS];
    for (uint32_t s = first; s < job->streams.n_streams; s++) {
        streams[s - first] = job->streams.data[s];
        if (!job->streams.list[s].shape.by_rows) continue;
        streams[s - first] += row * job->streams.list[s].shape.row_bits / 8;
    }
    const struct stack_shape shape = {1, min_u64(p->part_rows, all_rows - row), n_cols};
    p->statuses[i] = job_encode(job, p->term, shape, row, p->w->rest + row * n_cols, streams, NULL,
                                NULL, &p->errors[i]);
}

static ingot_status encode_parts(struct whole *w, uint32_t term, ingot_error *error)
{
    const uint64_t n_cols = max_u64(1, w->job->stack.n_cols);
    struct term_parts parts = {
        .w = w, .term = term, .part_rows = max_u64(8, PART_VALUES / n_cols / 8 * 8)};
    const uint64_t n = ceil_div(w->job->reader.tensor.n_rows, parts.part_rows);
    ingot_status status = INGOT_OK;
    parts.statuses = ingot_allocate_zeroed(NULL, n, sizeof *parts.statuses);
    parts.errors = ingot_allocate_zeroed(NULL, n, sizeof *parts.errors);
    if (parts.statuses == NULL || parts.errors == NULL) {
        status = ingot_fail_memory(error, n * sizeof *parts.errors, "parts");
    } else {
        ingot_pool_run(w->job->pool, n, encode_part, &parts);
    }
    for (uint64_t i = 0; i < n && status == INGOT_OK; i++) {
        status = parts.statuses[i];
        if (status != INGOT_OK && error) *error = parts.errors[i];
    }
    ingot_release(NULL, parts.errors);
    ingot_release(NULL, parts.statuses);
    return status;
}

static ingot_status encode_term(struct whole *w, uint32_t k, ingot_error *error)
{
    struct tensor_job *job = w->job;
    const struct preset *preset = job->plans[k].preset;
    ingot_status status = INGOT_OK;
    if (preset->prepare) {
        status = job_prepare(job, k, w->rest, error);
        if (status != INGOT_OK) return status;
    }
    if (preset->by_rows || preset->by_parts) return encode_parts(w, k, error);
    return job_encode(job, k, job->stack, 0, w->rest, job->streams.data + job_first_stream(job, k),
                      NULL, job->pool, error);
}

static ingot_status encode_terms(struct whole *w, ingot_error *error)
{
    struct tensor_job *job = w->job;
    const uint32_t n_terms = job->tensor.n_terms;
    ingot_status status = for_rows(w, NULL, take_rows, error);
    for (uint32_t k = 0; k < n_terms && status == INGOT_OK; k++) {
        struct writer_tensor so_far = job->tensor;
        so_far.n_terms = k + 1;
        status = streams_add(&job->streams, &so_far, error);
        if (status != INGOT_OK) break;
        status = encode_term(w, k, error);
        if (status != INGOT_OK) break;
        if (job->progress) {
            job->progress->report(job->progress->context, k + 1, n_terms + 1);
        }
        if (k + 1 < n_terms) status = with_terms(w, k + 1, subtract_rows, error);
    }
    if (status != INGOT_OK) return status;
    ingot_release(w->job->memory, w->rest);
    w->rest = NULL;
    return with_terms(w, n_terms, measure_rows, error);
}

ingot_status encode_whole(struct tensor_job *job, ingot_error *error)
{
    struct whole w = {.job = job};
    const struct model_tensor *t = &job->reader.tensor;
    const uint64_t n_step = rows_step(&job->reader) * t->n_cols;
    const struct writer_source source = streams_source(&job->streams);
    ingot_status status = INGOT_OK;
    w.rest = ingot_allocate_zeroed(job->memory, t->n_rows * t->n_cols, sizeof(float));
    w.source = ingot_allocate_zeroed(NULL, n_step, sizeof(float));
    w.decoded = ingot_allocate_zeroed(NULL, n_step, sizeof(float));
    if (w.rest == NULL || w.source == NULL || w.decoded == NULL) {
        status = ingot_fail_memory(error, t->n_rows * t->n_cols * sizeof(float), job->tensor.name);
        goto done;
    }
    status = encode_terms(&w, error);
    if (status == INGOT_OK) {
        status = job_add_codebooks(job, job->tensor.n_terms, job->writer, error);
    }
    if (status == INGOT_OK) {
        status = ingot_writer_tensor(job->writer, &job->tensor, &source, error);
    }
done:
    ingot_release(NULL, w.decoded);
    ingot_release(NULL, w.source);
    ingot_release(job->memory, w.rest);
    return status;
}

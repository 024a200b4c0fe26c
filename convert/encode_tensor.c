/* One tensor to another encoding: the plan of its terms, and which way it is encoded. */
#include "convert/encode_tensor.h"

#include <stdio.h>
#include <string.h>

#include "convert/measure.h"
#include "convert/tensor_job.h"
#include "format/alloc.h"
#include "format/fail.h"

uint32_t job_first_stream(const struct tensor_job *job, uint32_t term)
{
    uint32_t i = 0;
    while (i < job->streams.n_streams && job->streams.list[i].term < term) i++;
    return i;
}

static ingot_status add_codebook(ingot_writer *writer, const struct codebook *codebook,
                                 struct ingot_coding *coding, ingot_error *error)
{
    if (codebook == NULL) return INGOT_OK;
    return ingot_writer_codebook(writer, codebook->entries, codebook->n_entries * sizeof(float),
                                 &coding->codebook_stream, error);
}

static ingot_status add_book(ingot_writer *writer, const struct plan_book *book, ingot_error *error)
{
    uint8_t entries[BLOCK_BOOK_MAX_BYTES];
    const uint32_t n_bytes = block_book_write(book->book, entries);
    return ingot_writer_codebook(writer, entries, n_bytes, &book->coding->codebook_stream, error);
}

ingot_status job_add_codebooks(struct tensor_job *job, uint32_t n_terms, ingot_writer *writer,
                               ingot_error *error)
{
    ingot_status status = INGOT_OK;
    for (uint32_t k = 0; k < n_terms && status == INGOT_OK; k++) {
        struct term_plan *plan = &job->plans[k];
        status = add_codebook(writer, plan->codebook, &plan->coding, error);
        if (status != INGOT_OK) break;
        status = add_codebook(writer, plan->scale_codebook, &plan->scale_table, error);
        for (uint32_t i = 0; i < plan->n_books && status == INGOT_OK; i++) {
            status = add_book(writer, &plan->books[i], error);
        }
    }
    return status;
}

static struct encode_input input_of(struct tensor_job *job, uint32_t term, struct stack_shape shape,
                                    const float *values)
{
    return (struct encode_input){
        .plan = &job->plans[term],
        .name = job->tensor.name,
        .name_bytes = job->tensor.name_bytes,
        .shape = shape,
        .values = values,
        .importance = job->importance,
        .memory = job->memory,
    };
}

ingot_status job_encode(struct tensor_job *job, uint32_t term, struct stack_shape shape,
                        uint64_t first_row, const float *values, uint8_t *const *streams,
                        float *decoded, struct ingot_pool *pool, ingot_error *error)
{
    struct encode_input input = input_of(job, term, shape, values);
    input.first_row = first_row;
    input.decoded = decoded;
    input.pool = pool;
    return job->plans[term].preset->encode(&input, streams, error);
}

ingot_status job_prepare(struct tensor_job *job, uint32_t term, const float *values,
                         ingot_error *error)
{
    const struct encode_input input = input_of(job, term, job->stack, values);
    return job->plans[term].preset->prepare(&input, error);
}

/* Plans every term, and the tensor as the writer is to have it. */
static void plan_terms(struct tensor_job *job)
{
    const struct model_tensor *t = &job->reader.tensor;
    for (uint32_t k = 0; k < job->encoding->n_terms; k++) {
        const struct preset *preset = &job->encoding->presets[k];
        preset->plan(preset, t->dtype, job->stack, &job->plans[k]);
        job->plans[k].term.combine = k == 0 ? COMBINE_FIRST : COMBINE_ADD;
        job->terms[k] = job->plans[k].term;
    }
}

static ingot_status begin_job(struct tensor_job *job, const struct model *model, uint32_t index,
                              ingot_error *error)
{
    ingot_status status = rows_open(model, index, &job->reader, error);
    if (status != INGOT_OK) return status;
    const struct model_tensor *t = &job->reader.tensor;
    char *name = ingot_allocate(NULL, (uint64_t)t->name_bytes + 1);
    if (name == NULL) return ingot_fail_memory(error, t->name_bytes, "tensor name");
    memcpy(name, t->name, t->name_bytes);
    name[t->name_bytes] = '\0';
    job->tensor = (struct writer_tensor){
        .name = name,
        .name_bytes = t->name_bytes,
        .dtype = job->encoding->cast ? job->encoding->cast : t->dtype,
        .rank = t->rank,
        .stack = t->stack,
        .split = t->split,
        .n_terms = job->encoding->n_terms,
        .terms = job->terms,
    };
    memcpy(job->tensor.dims, t->dims, sizeof t->dims);
    if (!stack_of(t->rank, t->dims, t->stack, t->split, &job->stack)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name, "too large a shape");
    }
    plan_terms(job);
    if (job->encoding->imatrix == NULL) return INGOT_OK;
    status = imatrix_weights(job->encoding->imatrix, t->name, t->name_bytes, job->stack.n_matrices,
                             job->stack.n_cols, &job->importance, error);
    job->result->weighted = job->importance != NULL;
    return status;
}

static void end_job(struct tensor_job *job)
{
    ingot_release(NULL, job->importance);
    streams_release(&job->streams);
    ingot_release(NULL, (void *)(uintptr_t)job->tensor.name);
    rows_close(&job->reader);
}

ingot_status encode_tensor(const struct model *model, uint32_t index,
                           const struct encoding *encoding, ingot_writer *writer,
                           struct ingot_pool *pool, const ingot_allocator *memory,
                           const struct row_progress *progress, struct encoded_tensor *result,
                           ingot_error *error)
{
    struct tensor_job *job = ingot_allocate_zeroed(NULL, 1, sizeof *job);
    if (job == NULL) return ingot_fail_memory(error, sizeof *job, "tensor");
    *result = (struct encoded_tensor){0};
    job->encoding = encoding;
    job->progress = progress;
    job->writer = writer;
    job->pool = pool;
    job->memory = memory;
    job->streams.allocator = memory;
    job->result = result;
    ingot_status status = begin_job(job, model, index, error);
    if (status == INGOT_OK) {
        status = encoding->by_slabs ? encode_by_slabs(job, error) : encode_whole(job, error);
    }
    if (status == INGOT_OK) {
        result->dtype = job->tensor.dtype;
        rows_hash(&job->reader, result->source_hash);
        measure_finish(&result->error);
    }
    end_job(job);
    ingot_release(NULL, job);
    return status;
}

/* One tensor on its way through an encoding: what encoding by slabs and encoding whole share. */
#ifndef INGOT_CONVERT_TENSOR_JOB_H
#define INGOT_CONVERT_TENSOR_JOB_H

#include "convert/encode.h"
#include "convert/encode_tensor.h"
#include "convert/rows.h"
#include "convert/streams.h"
#include "format/pool.h"

struct tensor_job {
    const struct encoding *encoding;
    const struct row_progress *progress;
    ingot_writer *writer;
    struct ingot_pool *pool;
    const ingot_allocator *memory; /* of what grows with the tensor */
    struct row_reader reader;
    struct writer_tensor tensor; /* its name ends with a zero byte and is the job's */
    struct stack_shape stack;
    float *importance; /* of the columns of each matrix, or NULL */
    struct term_plan plans[ENCODING_MAX_TERMS];
    struct writer_term terms[ENCODING_MAX_TERMS];
    struct streams streams; /* the list; data only when encoded whole */
    struct encoded_tensor *result;
};

/* The number of the first stream of a term. */
uint32_t job_first_stream(const struct tensor_job *job, uint32_t term);
/* Gives the codings of the first n_terms terms their codebooks, as streams of a writer. */
ingot_status job_add_codebooks(struct tensor_job *job, uint32_t n_terms, ingot_writer *writer,
                               ingot_error *error);
/* Encodes values as a term: `streams` are the term's own. decoded may be NULL; a preset that
 * decodes puts there what the term gives. pool: NULL on a thread of the job's pool. */
ingot_status job_encode(struct tensor_job *job, uint32_t term, struct stack_shape shape,
                        uint64_t first_row, const float *values, uint8_t *const *streams,
                        float *decoded, struct ingot_pool *pool, ingot_error *error);

/* Calls the preset's prepare with the whole of the values. */
ingot_status job_prepare(struct tensor_job *job, uint32_t term, const float *values,
                         ingot_error *error);

/* Calls the first term's prepare, where it has one, with some rows of the tensor. */
ingot_status job_prepare_from_sample(struct tensor_job *job, ingot_error *error);

/* Slab by slab: for encodings that are by slabs. */
ingot_status encode_by_slabs(struct tensor_job *job, ingot_error *error);
/* Term by term over the whole tensor: for all others. */
ingot_status encode_whole(struct tensor_job *job, ingot_error *error);

#endif

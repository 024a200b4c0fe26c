/* Preparing a preset from some rows of a tensor, where all of them would be too many to hold: rows
 * at even distances, as many of each matrix. Which they are depends on the shape alone. */
#include "convert/tensor_job.h"
#include "format/alloc.h"
#include "format/fail.h"

/* About this many values; a tensor of no more is taken whole. */
enum { SAMPLE_VALUES = 1 << 22 };

/* Rows of each matrix in the sample. */
static uint64_t sample_rows(struct stack_shape stack)
{
    const uint64_t row_values = max_u64(1, stack.n_matrices * stack.n_cols);
    return min_u64(stack.n_rows, max_u64(1, SAMPLE_VALUES / row_values));
}

/* Through a reader of its own: the job's hashes what it reads. */
static ingot_status read_sample(const struct tensor_job *job, uint64_t n_rows, float *values,
                                ingot_error *error)
{
    const struct stack_shape stack = job->stack;
    struct row_reader reader;
    ingot_status status = rows_open(job->reader.model, job->reader.index, &reader, error);
    if (status != INGOT_OK) return status;
    for (uint64_t i = 0; i < stack.n_matrices * n_rows && status == INGOT_OK; i++) {
        const uint64_t k = i % n_rows;
        const uint64_t row = k * (stack.n_rows / n_rows) + k * (stack.n_rows % n_rows) / n_rows;
        status = rows_read(&reader, i / n_rows * stack.n_rows + row, 1, values + i * stack.n_cols,
                           error);
    }
    rows_close(&reader);
    return status;
}

ingot_status job_prepare_from_sample(struct tensor_job *job, ingot_error *error)
{
    struct term_plan *plan = &job->plans[0];
    const struct stack_shape stack = job->stack;
    const uint64_t n_rows = sample_rows(stack);
    const struct stack_shape sample = {stack.n_matrices, n_rows, stack.n_cols};
    if (plan->preset->prepare == NULL || stack.n_rows == 0) return INGOT_OK;
    float *values =
        ingot_allocate_zeroed(NULL, sample.n_matrices * n_rows * sample.n_cols, sizeof *values);
    if (values == NULL) return ingot_fail_memory(error, SAMPLE_VALUES * sizeof *values, "sample");
    ingot_status status = read_sample(job, n_rows, values, error);
    if (status == INGOT_OK) {
        job->stack = plan->stack = sample;
        status = job_prepare(job, 0, values, error);
        job->stack = plan->stack = stack;
    }
    ingot_release(NULL, values);
    return status;
}

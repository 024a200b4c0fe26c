/* The columns that matter most, whole and in the source's type: those of the largest sum of
 * squares, times their importance. All others are 0. */
#include <stdlib.h>

#include "convert/encode.h"
#include "convert/raw_values.h"
#include "format/alloc.h"
#include "format/fail.h"

static uint64_t n_columns(const struct preset *preset, struct stack_shape stack)
{
    return ceil_div(stack.n_cols * preset->kept_percent, 100);
}

void plan_columns(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                  struct term_plan *plan)
{
    *plan = (struct term_plan){
        .preset = preset, .stack = stack, .coding = raw_coding(sparse_value_type(dtype))};
    plan->term =
        (struct writer_term){.kind = TERM_SPARSE,
                             .mask = MASK_COLUMNS,
                             .coding = &plan->coding,
                             .n_kept = stack.n_matrices * stack.n_rows * n_columns(preset, stack)};
}

struct column {
    double score;
    uint32_t number;
};

/* The larger score first; of equal ones the lower number. */
static int by_score(const void *left, const void *right)
{
    const struct column *a = left;
    const struct column *b = right;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static int by_number(const void *left, const void *right)
{
    const struct column *a = left;
    const struct column *b = right;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void score_columns(const struct encode_input *input, struct column *columns)
{
    const struct stack_shape s = input->shape;
    for (uint64_t c = 0; c < s.n_cols; c++) columns[c] = (struct column){0, (uint32_t)c};
    for (uint64_t r = 0; r < s.n_matrices * s.n_rows; r++) {
        const float *row = input->values + r * s.n_cols;
        const float *h = input->importance ? input->importance + r / s.n_rows * s.n_cols : NULL;
        for (uint64_t c = 0; c < s.n_cols; c++) {
            const double square = (double)row[c] * (double)row[c];
            columns[c].score += h ? square * (double)h[c] : square;
        }
    }
}

static ingot_status store_rows(const struct encode_input *input, const struct column *columns,
                               uint64_t n, uint8_t *values, ingot_error *error)
{
    const ingot_dtype dtype = (ingot_dtype)input->plan->coding.format;
    const uint64_t n_rows = input->shape.n_matrices * input->shape.n_rows;
    uint64_t bad;
    for (uint64_t r = 0; r < n_rows; r++) {
        for (uint64_t i = 0; i < n; i++, values += dtype_bytes(dtype)) {
            const uint64_t at = r * input->shape.n_cols + columns[i].number;
            if (cast_values(dtype, input->values + at, 1, values, &bad)) continue;
            return encode_refuse(input, at, "would make it infinite in the source's type", error);
        }
    }
    return INGOT_OK;
}

ingot_status encode_columns(const struct encode_input *input, uint8_t *const *streams,
                            ingot_error *error)
{
    const uint64_t n_cols = input->shape.n_cols;
    const uint64_t n = n_columns(input->plan->preset, input->plan->stack);
    ingot_status status = encode_check_finite(input, error);
    if (status != INGOT_OK || input->plan->term.n_kept == 0) return status;
    if (n_cols > UINT32_MAX) {
        return encode_refuse(input, 0, "takes no matrix of so many columns", error);
    }
    struct column *columns = ingot_allocate(NULL, n_cols * sizeof *columns);
    if (columns == NULL) return ingot_fail_memory(error, n_cols * sizeof *columns, "columns");
    score_columns(input, columns);
    qsort(columns, (size_t)n_cols, sizeof *columns, by_score);
    qsort(columns, (size_t)n, sizeof *columns, by_number);
    for (uint64_t i = 0; i < n; i++) store_u32(streams[0] + 4 * i, columns[i].number);
    status = store_rows(input, columns, n, streams[1], error);
    ingot_release(NULL, columns);
    return status;
}

/* One tensor against another, value by value. Knows no format. */
#include <stdio.h>
#include <string.h>

#include "convert/convert.h"
#include "convert/measure.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

enum { STEP_VALUES = 1 << 20 };

bool shapes_equal(const struct model_tensor *a, const struct model_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

bool shapes_match(const struct model_tensor *a, const struct model_tensor *b)
{
    uint32_t i = 0;
    uint32_t k = 0;
    for (;;) {
        while (i < a->rank && a->dims[i] == 1) i++;
        while (k < b->rank && b->dims[k] == 1) k++;
        if (i == a->rank || k == b->rank) return i == a->rank && k == b->rank;
        if (a->dims[i++] != b->dims[k++]) return false;
    }
}

struct shape_text {
    char at[96];
};

static struct shape_text shape_text(const struct model_tensor *t)
{
    struct shape_text text = {"["};
    for (uint32_t k = 0; k < t->rank; k++) {
        const size_t n = strlen(text.at);
        snprintf(text.at + n, sizeof text.at - n, "%s%llu", k ? ", " : "",
                 (unsigned long long)t->dims[k]);
    }
    const size_t n = strlen(text.at);
    snprintf(text.at + n, sizeof text.at - n, "]");
    return text;
}

static ingot_status fail_shapes(const struct model_tensor *a, const struct model_tensor *b,
                                ingot_error *error)
{
    const bool as_many = a->n_rows * a->n_cols == b->n_rows * b->n_cols;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                      name_shown(a->name, a->name_bytes).text, "the shapes differ: %s and %s%s",
                      shape_text(a).at, shape_text(b).at, as_many ? ", with as many values" : "");
}

/* Values are compared in pieces of rows of a; b may cut the same values into other rows, so pieces
 * are only cut where both have a row's end. */
static uint64_t step_values(const struct model_tensor *a, const struct model_tensor *b)
{
    const uint64_t wide = max_u64(max_u64(a->n_cols, b->n_cols), 1);
    const uint64_t narrow = max_u64(min_u64(a->n_cols, b->n_cols), 1);
    /* Both are products of the last dimensions of one shape, so the wider is a multiple. */
    const uint64_t unit = wide % narrow == 0 ? wide : a->n_rows * a->n_cols;
    return max_u64(1, STEP_VALUES / max_u64(unit, 1)) * max_u64(unit, 1);
}

ingot_status compare_tensors(const struct model *model_a, uint32_t a, const struct model *model_b,
                             uint32_t b, const struct progress *progress,
                             struct tensor_error *result, ingot_error *error)
{
    struct model_tensor ta, tb;
    struct tensor_error e = {0};
    ingot_status status = INGOT_OK;
    model_tensor(model_a, a, &ta);
    model_tensor(model_b, b, &tb);
    if (!shapes_match(&ta, &tb)) return fail_shapes(&ta, &tb, error);
    const uint64_t n_values = ta.n_rows * ta.n_cols;
    const uint64_t n_step = min_u64(step_values(&ta, &tb), n_values);
    float *values_a = ingot_allocate_zeroed(NULL, n_step, sizeof *values_a);
    float *values_b = ingot_allocate_zeroed(NULL, n_step, sizeof *values_b);
    if (values_a == NULL || values_b == NULL) {
        status = ingot_fail_memory(error, n_step * sizeof *values_a, "values");
        goto done;
    }
    for (uint64_t at = 0; at < n_values && status == INGOT_OK; at += n_step) {
        const uint64_t n = min_u64(n_step, n_values - at);
        status = model_decode_f32(model_a, a, at / ta.n_cols, n / ta.n_cols, values_a, error);
        if (status == INGOT_OK) {
            status = model_decode_f32(model_b, b, at / tb.n_cols, n / tb.n_cols, values_b, error);
        }
        if (status != INGOT_OK) break;
        measure_add(&e, values_a, values_b, n);
        if (progress) progress->report(progress->context, "comparing", at + n, n_values);
    }
    if (status != INGOT_OK) goto done;
    measure_finish(&e);
    *result = e;
done:
    ingot_release(NULL, values_b);
    ingot_release(NULL, values_a);
    return status;
}

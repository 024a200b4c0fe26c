/* Parts of models as files: pieces from the model to an output. Knows no format of models. */
#include "convert/extract.h"

#include "convert/model_kind.h"
#include "convert/names.h"
#include "convert/npy.h"
#include "convert/raw_values.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/output.h"

/* Multiples of 8 elements are whole bytes of every type. */
enum { STEP_VALUES = 1 << 18 };

struct extraction {
    const struct model *model;
    uint32_t index;
    const struct extract_options *options;
    struct output *output;
    uint64_t done_bytes;
    uint64_t total_bytes;
    ingot_error *error;
};

static ingot_status put(struct extraction *x, const void *bytes, uint64_t n_bytes)
{
    const struct progress *progress = x->options->progress;
    const ingot_status status = output_write(x->output, bytes, n_bytes, x->error);
    x->done_bytes += n_bytes;
    if (status == INGOT_OK && progress) {
        progress->report(progress->context, "extracting", x->done_bytes, x->total_bytes);
    }
    return status;
}

/* ------------------------------------------------------------------ bytes */

typedef ingot_status read_function(const struct model *model, uint32_t index, uint64_t offset,
                                   uint64_t n_bytes, void *dst, ingot_error *error);

static ingot_status copy_bytes(struct extraction *x, read_function *read, uint64_t n_bytes)
{
    ingot_status status = INGOT_OK;
    uint8_t *piece = ingot_allocate(NULL, PIECE_BYTES);
    if (piece == NULL) return ingot_fail_memory(x->error, PIECE_BYTES, "piece");
    for (uint64_t done = 0; done < n_bytes && status == INGOT_OK; done += PIECE_BYTES) {
        const uint64_t n = min_u64(PIECE_BYTES, n_bytes - done);
        status = read(x->model, x->index, done, n, piece, x->error);
        if (status == INGOT_OK) status = put(x, piece, n);
    }
    ingot_release(NULL, piece);
    return status;
}

/* ------------------------------------------------------------------ values */

/* Values of a tensor held raw, in steps of elements. */
static ingot_status put_raw_values(struct extraction *x, const struct model_tensor *t)
{
    const uint64_t n_all = t->n_rows * t->n_cols;
    ingot_status status = INGOT_OK;
    uint8_t *bytes = ingot_allocate(NULL, STEP_VALUES * sizeof(double));
    float *values = ingot_allocate(NULL, STEP_VALUES * sizeof *values);
    if (bytes == NULL || values == NULL) {
        status = ingot_fail_memory(x->error, STEP_VALUES * sizeof(double), "values");
    }
    for (uint64_t at = 0; at < n_all && status == INGOT_OK; at += STEP_VALUES) {
        const uint64_t n = min_u64(STEP_VALUES, n_all - at);
        const struct raw_extent extent = raw_extent(t->dtype, at, n);
        status = model_read_raw(x->model, x->index, extent.offset, extent.n_bytes, bytes, x->error);
        if (status == INGOT_OK) {
            status = raw_values_at(t->dtype, bytes, extent.first_bit, n, values, x->error);
        }
        if (status == INGOT_OK) status = put(x, values, n * sizeof *values);
    }
    ingot_release(NULL, values);
    ingot_release(NULL, bytes);
    return status;
}

/* Values of any tensor, in steps of rows. */
static ingot_status put_rows(struct extraction *x, const struct model_tensor *t)
{
    const uint64_t n_step = max_u64(1, STEP_VALUES / max_u64(1, t->n_cols));
    const uint64_t n_rows = t->n_cols ? t->n_rows : 0;
    ingot_status status = INGOT_OK;
    float *values =
        ingot_allocate_zeroed(NULL, min_u64(n_step, n_rows) * t->n_cols, sizeof *values);
    if (values == NULL) return ingot_fail_memory(x->error, n_step * t->n_cols, "rows");
    for (uint64_t row = 0; row < n_rows && status == INGOT_OK; row += n_step) {
        const uint64_t n = min_u64(n_step, n_rows - row);
        status = model_decode_f32(x->model, x->index, row, n, values, x->error);
        if (status == INGOT_OK) status = put(x, values, n * t->n_cols * sizeof *values);
    }
    ingot_release(NULL, values);
    return status;
}

static ingot_status put_values(struct extraction *x, const struct model_tensor *t)
{
    return t->raw ? put_raw_values(x, t) : put_rows(x, t);
}

/* ------------------------------------------------------------------ the files */

static ingot_status begin(struct extraction *x)
{
    return output_create(x->options->target, x->options->replace, NULL, &x->output, x->error);
}

static ingot_status end(struct extraction *x, ingot_status status, uint64_t *n_bytes)
{
    if (status == INGOT_OK) status = model_unchanged(x->model, x->error);
    if (status == INGOT_OK) status = output_finish(x->output, x->error);
    if (status == INGOT_OK) *n_bytes = x->done_bytes;
    output_close(x->output);
    return status;
}

ingot_dtype extract_npy_dtype(const struct model_tensor *tensor)
{
    return tensor->raw && npy_descr(tensor->dtype) ? tensor->dtype : INGOT_F32;
}

ingot_status extract_npy(const struct model *model, uint32_t index,
                         const struct extract_options *options, uint64_t *n_bytes,
                         ingot_error *error)
{
    struct extraction x = {.model = model, .index = index, .options = options, .error = error};
    uint8_t header[NPY_MAX_HEADER_BYTES];
    struct model_tensor t;
    model_tensor(model, index, &t);
    const ingot_dtype dtype = extract_npy_dtype(&t);
    const uint32_t header_bytes = npy_header(dtype, t.rank, t.dims, header);
    const uint64_t data_bytes = ingot_raw_bytes(dtype, t.n_rows * t.n_cols);
    x.total_bytes = header_bytes + data_bytes;
    ingot_status status = begin(&x);
    if (status == INGOT_OK) status = put(&x, header, header_bytes);
    if (status == INGOT_OK) {
        const bool as_is = t.raw && dtype == t.dtype;
        status = as_is ? copy_bytes(&x, model_read_raw, data_bytes) : put_values(&x, &t);
    }
    return end(&x, status, n_bytes);
}

ingot_status extract_raw(const struct model *model, uint32_t index,
                         const struct extract_options *options, uint64_t *n_bytes,
                         ingot_error *error)
{
    struct extraction x = {.model = model, .index = index, .options = options, .error = error};
    struct model_tensor t;
    model_tensor(model, index, &t);
    if (!t.raw && t.foreign.name == NULL) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(t.name, t.name_bytes).text,
                          "it is held as %.96s and so has no bytes of its type", t.encoding);
    }
    x.total_bytes = t.raw ? ingot_raw_bytes(t.dtype, t.n_rows * t.n_cols) : t.foreign.n_bytes;
    ingot_status status = begin(&x);
    if (status == INGOT_OK) {
        status = copy_bytes(&x, t.raw ? model_read_raw : model_read_foreign, x.total_bytes);
    }
    return end(&x, status, n_bytes);
}

ingot_status extract_attachment(const struct model *model, uint32_t index,
                                const struct extract_options *options, uint64_t *n_bytes,
                                ingot_error *error)
{
    struct extraction x = {.model = model, .index = index, .options = options, .error = error};
    struct model_attachment a;
    model_attachment(model, index, &a);
    x.total_bytes = a.n_bytes;
    ingot_status status = begin(&x);
    if (status == INGOT_OK) status = copy_bytes(&x, model_read_attachment, a.n_bytes);
    return end(&x, status, n_bytes);
}

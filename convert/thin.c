/* Models of fewer rows: calls pass to the whole model with other rows. */
#include "convert/thin.h"

#include "convert/model_over.h"
#include "format/alloc.h"
#include "format/fail.h"

/* Rows that stay together, where there are as many: whole blocks of a few. */
enum { RUN_ROWS = 16 };

struct thin_model {
    struct model_over base;
    uint64_t max_weights;
};

static const struct thin_model *self(const struct model *model)
{
    return (const struct thin_model *)model;
}

/* ------------------------------------------------------------------ rows */

/* Rows of each matrix: those of the source, and those that stay. */
struct rows {
    uint64_t n_all, n;
    uint64_t n_runs;
};

static struct rows rows_of(const struct thin_model *m, const struct model_tensor *t)
{
    const bool has_rows = t->split == t->stack + 1 && t->rank >= 2 && t->n_rows > 0;
    const uint64_t n_all = has_rows ? t->dims[t->stack] : 0;
    struct rows rows = {n_all, n_all, 1};
    if (n_all == 0 || t->n_cols == 0) return rows;
    const uint64_t n = m->max_weights / (t->n_rows / n_all) / t->n_cols;
    rows.n = min_u64(n_all, max_u64(n, 1));
    rows.n_runs = ceil_div(rows.n, RUN_ROWS);
    return rows;
}

/* The source's row of a row that stayed. */
static uint64_t row_of(const struct rows *rows, uint64_t row)
{
    if (rows->n == rows->n_all) return row;
    const uint64_t matrix = row / rows->n, k = row % rows->n, run = k / RUN_ROWS;
    const uint64_t apart = (rows->n_all - rows->n) / rows->n_runs;
    return matrix * rows->n_all + k + run * apart;
}

/* How many of the rows that stayed, from that on, stand together in the source: at most n. */
static uint64_t run_of(const struct rows *rows, uint64_t row, uint64_t n)
{
    if (rows->n == rows->n_all) return n;
    const uint64_t k = row % rows->n;
    return min_u64(n, min_u64(RUN_ROWS - k % RUN_ROWS, rows->n - k));
}

static void tensor_of(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    const struct thin_model *m = self(model);
    model_tensor(m->base.under, index, tensor);
    const struct rows rows = rows_of(m, tensor);
    if (rows.n == rows.n_all) return;
    const uint64_t n_matrices = tensor->n_rows / rows.n_all;
    tensor->stored_bytes = tensor->stored_bytes / tensor->n_rows * rows.n * n_matrices;
    tensor->foreign.n_bytes = tensor->foreign.n_bytes / tensor->n_rows * rows.n * n_matrices;
    tensor->dims[tensor->stack] = rows.n;
    tensor->n_rows = rows.n * n_matrices;
}

static ingot_status decode_f32(const struct model *model, uint32_t index, uint64_t first_row,
                               uint64_t n_rows, float *dst, ingot_error *error)
{
    const struct thin_model *m = self(model);
    struct model_tensor t;
    ingot_status status = INGOT_OK;
    model_tensor(m->base.under, index, &t);
    const struct rows rows = rows_of(m, &t);
    for (uint64_t done = 0; done < n_rows && status == INGOT_OK;) {
        const uint64_t n = run_of(&rows, first_row + done, n_rows - done);
        status = model_decode_f32(m->base.under, index, row_of(&rows, first_row + done), n,
                                  dst + done * t.n_cols, error);
        done += n;
    }
    return status;
}

/* Bytes of rows that take row_bytes each, through one of the functions of the whole model. */
static ingot_status
read_rows(const struct thin_model *m, uint32_t index, uint64_t row_bytes, const struct rows *rows,
          uint64_t offset, uint64_t n_bytes, uint8_t *dst,
          ingot_status (*read)(const struct model *model, uint32_t index, uint64_t offset,
                               uint64_t n_bytes, void *dst, ingot_error *error),
          ingot_error *error)
{
    ingot_status status = INGOT_OK;
    if (rows->n == rows->n_all) return read(m->base.under, index, offset, n_bytes, dst, error);
    for (uint64_t done = 0; done < n_bytes && status == INGOT_OK;) {
        const uint64_t row = (offset + done) / row_bytes, within = (offset + done) % row_bytes;
        const uint64_t run_bytes = run_of(rows, row, UINT32_MAX) * row_bytes;
        const uint64_t n = min_u64(n_bytes - done, run_bytes - within);
        status = read(m->base.under, index, row_of(rows, row) * row_bytes + within, n, dst + done,
                      error);
        done += n;
    }
    return status;
}

static ingot_status read_raw(const struct model *model, uint32_t index, uint64_t offset,
                             uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct thin_model *m = self(model);
    struct model_tensor t;
    model_tensor(m->base.under, index, &t);
    const struct rows rows = rows_of(m, &t);
    return read_rows(m, index, ingot_raw_bytes(t.dtype, t.n_cols), &rows, offset, n_bytes, dst,
                     model_read_raw, error);
}

static ingot_status read_foreign(const struct model *model, uint32_t index, uint64_t offset,
                                 uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct thin_model *m = self(model);
    struct model_tensor t;
    model_tensor(m->base.under, index, &t);
    const struct rows rows = rows_of(m, &t);
    return read_rows(m, index, t.foreign.n_bytes / max_u64(1, t.n_rows), &rows, offset, n_bytes,
                     dst, model_read_foreign, error);
}

/* ------------------------------------------------------------------ what is the whole model's */

static ingot_status find(const struct model *model, const char *name, size_t name_bytes,
                         uint32_t *index)
{
    return model_find(model_under(model), name, name_bytes, index);
}

static ingot_status source_blob(const struct model *model, const uint32_t *attachment_blobs,
                                const struct progress *progress, struct source_passing *passing,
                                struct byte_buffer *out, struct model_hashes *hashes,
                                ingot_error *error)
{
    (void)model;
    (void)attachment_blobs;
    (void)progress;
    (void)passing;
    (void)out;
    (void)hashes;
    return ingot_fail(error, INGOT_NOT_FOUND, INGOT_NO_OFFSET, "source", "rows are left out");
}

static void close_model(struct model *model)
{
    ingot_release(model->allocator, model);
}

static const struct model_kind thin_kind = {
    .close = close_model,
    .tensor = tensor_of,
    .find = find,
    .decode_f32 = decode_f32,
    .read_raw = read_raw,
    .read_foreign = read_foreign,
    .source_blob = source_blob,
    MODEL_OVER_CALLS,
    MODEL_OVER_ATTACHMENTS,
};

ingot_status model_thin(const struct model *all, uint64_t max_weights, struct model **model,
                        ingot_error *error)
{
    struct thin_model *m = ingot_allocate_zeroed(all->allocator, 1, sizeof *m);
    if (m == NULL) return ingot_fail_memory(error, sizeof *m, "model");
    /* Nothing here changes what is under it, nor closes it. */
    model_over_begin(&m->base, &thin_kind, (struct model *)(uintptr_t)all, all->allocator);
    m->base.n_tensors = model_n_tensors(all);
    m->max_weights = max_weights;
    *model = &m->base.model;
    return INGOT_OK;
}

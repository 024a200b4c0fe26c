/* Weighted errors, rows by rows. */
#include "convert/weighted_error.h"

#include "convert/rows.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/reader.h"

struct weighted_sums {
    double noise, signal;
};

static void add_row(struct weighted_sums *sums, const float *source, const float *values,
                    const float *importance, uint64_t n_cols)
{
    for (uint64_t i = 0; i < n_cols; i++) {
        const double weight = (double)importance[i],
                     difference = (double)source[i] - (double)values[i];
        sums->noise += weight * difference * difference;
        sums->signal += weight * (double)source[i] * (double)source[i];
    }
}

ingot_status weighted_error(const struct model *model, uint32_t index, struct span container,
                            const float *importance, double *relative, ingot_error *error)
{
    struct row_reader reader;
    struct weighted_sums sums = {0, 0};
    ingot_file *file = NULL;
    float *source = NULL, *values = NULL;
    ingot_status status = rows_open(model, index, &reader, error);
    if (status != INGOT_OK) return status;
    const struct model_tensor *t = &reader.tensor;
    const uint64_t n_step = rows_step(&reader);
    status = ingot_file_open_memory(container.data, (size_t)container.n_bytes, NULL, &file, error);
    if (status != INGOT_OK) goto done;
    const uint64_t matrix_rows = max_u64(1, ingot_file_layout(file, 0).shape.n_rows);
    source = ingot_allocate(NULL, n_step * t->n_cols * sizeof *source);
    values = ingot_allocate(NULL, n_step * t->n_cols * sizeof *values);
    if (source == NULL || values == NULL) {
        status = ingot_fail_memory(error, n_step * t->n_cols * sizeof *source, "rows");
        goto done;
    }
    for (uint64_t row = 0; row < t->n_rows && status == INGOT_OK; row += n_step) {
        const uint64_t n = min_u64(n_step, t->n_rows - row);
        status = rows_read(&reader, row, n, source, error);
        if (status == INGOT_OK) status = ingot_file_decode_f32(file, 0, row, n, values, error);
        for (uint64_t i = 0; i < n && status == INGOT_OK; i++) {
            add_row(&sums, source + i * t->n_cols, values + i * t->n_cols,
                    importance + (row + i) / matrix_rows * t->n_cols, t->n_cols);
        }
    }
    *relative = sums.signal > 0 ? sums.noise / sums.signal : 0;
done:
    ingot_release(NULL, values);
    ingot_release(NULL, source);
    ingot_file_close(file);
    rows_close(&reader);
    return status;
}

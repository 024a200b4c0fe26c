/* Rows from a source. */
#include "convert/rows.h"

#include <assert.h>
#include <math.h>

#include "convert/names.h"
#include "convert/raw_values.h"
#include "format/alloc.h"
#include "format/fail.h"

/* Raw bytes are read in parts of this many; a multiple of every element's length. */
enum { PART_BYTES = 1 << 18 };

ingot_status rows_open(const struct model *model, uint32_t index, struct row_reader *reader,
                       ingot_error *error)
{
    struct row_reader r = {.model = model, .index = index};
    model_tensor(model, index, &r.tensor);
    r.hash = XXH3_createState();
    r.bytes = ingot_allocate(NULL, PART_BYTES);
    if (r.hash == NULL || r.bytes == NULL) {
        rows_close(&r);
        return ingot_fail_memory(error, PART_BYTES, "rows");
    }
    XXH3_128bits_reset(r.hash);
    *reader = r;
    return INGOT_OK;
}

void rows_close(struct row_reader *reader)
{
    ingot_release(NULL, reader->bytes);
    XXH3_freeState(reader->hash);
    *reader = (struct row_reader){0};
}

uint64_t rows_step(const struct row_reader *reader)
{
    return max_u64(1, ROWS_STEP_VALUES / max_u64(1, reader->tensor.n_cols));
}

/* f64 values that f32 takes for infinite: were they? */
static ingot_status check_range(const struct row_reader *r, uint64_t first_element, uint64_t n,
                                const float *values, ingot_error *error)
{
    for (uint64_t i = 0; i < n; i++) {
        double v;
        if (!isinf(values[i])) continue;
        memcpy(&v, r->bytes + 8 * i, sizeof v);
        if (isinf(v)) continue;
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(r->tensor.name, r->tensor.name_bytes).text,
                          "element %llu is %g, which is past the range of f32",
                          (unsigned long long)(first_element + i), v);
    }
    return INGOT_OK;
}

static ingot_status read_raw_rows(struct row_reader *r, uint64_t first_row, uint64_t n_rows,
                                  float *dst, ingot_error *error)
{
    const struct model_tensor *t = &r->tensor;
    const uint32_t element_bytes = dtype_bytes(t->dtype);
    const bool hashes = first_row == r->hashed_rows;
    const uint64_t end = (first_row + n_rows) * t->n_cols;
    assert(element_bytes > 0); /* narrower types are never encoded anew */
    for (uint64_t at = first_row * t->n_cols; at < end;) {
        const uint64_t n = min_u64(PART_BYTES / element_bytes, end - at);
        ingot_status status = model_read_raw(r->model, r->index, at * element_bytes,
                                             n * element_bytes, r->bytes, error);
        if (status != INGOT_OK) return status;
        if (hashes) XXH3_128bits_update(r->hash, r->bytes, (size_t)(n * element_bytes));
        status = raw_values_f32(t->dtype, r->bytes, n, dst, error);
        if (status == INGOT_OK && t->dtype == INGOT_F64) {
            status = check_range(r, at, n, dst, error);
        }
        if (status != INGOT_OK) return status;
        dst += n;
        at += n;
    }
    return INGOT_OK;
}

ingot_status rows_read(struct row_reader *reader, uint64_t first_row, uint64_t n_rows, float *dst,
                       ingot_error *error)
{
    const struct model_tensor *t = &reader->tensor;
    ingot_status status;
    if (t->raw) {
        status = read_raw_rows(reader, first_row, n_rows, dst, error);
    } else {
        status = model_decode_f32(reader->model, reader->index, first_row, n_rows, dst, error);
        if (status == INGOT_OK && first_row == reader->hashed_rows) {
            XXH3_128bits_update(reader->hash, dst, (size_t)(n_rows * t->n_cols) * sizeof *dst);
        }
    }
    if (status == INGOT_OK && first_row == reader->hashed_rows) reader->hashed_rows += n_rows;
    return status;
}

void rows_hash(const struct row_reader *reader, uint8_t hash[16])
{
    hash_digest(reader->hash, hash);
}

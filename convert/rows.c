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
                                const uint8_t *bytes, const float *values, ingot_error *error)
{
    for (uint64_t i = 0; i < n; i++) {
        double v;
        if (!isinf(values[i])) continue;
        memcpy(&v, bytes + 8 * i, sizeof v);
        if (isinf(v)) continue;
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(r->tensor.name, r->tensor.name_bytes).text,
                          "element %llu is %g, which is past the range of f32",
                          (unsigned long long)(first_element + i), v);
    }
    return INGOT_OK;
}

static uint32_t element_bytes(const struct row_reader *r)
{
    const uint32_t n_bytes = r->tensor.raw ? dtype_bytes(r->tensor.dtype) : sizeof(float);
    assert(n_bytes > 0); /* narrower types are never encoded anew */
    return n_bytes;
}

uint64_t rows_row_bytes(const struct row_reader *reader)
{
    return reader->tensor.n_cols * element_bytes(reader);
}

/* Elements [at, at + n) to values. */
static ingot_status convert(const struct row_reader *r, uint64_t at, uint64_t n,
                            const uint8_t *bytes, float *dst, ingot_error *error)
{
    const ingot_status status = raw_values_f32(r->tensor.dtype, bytes, n, dst, error);
    if (status != INGOT_OK || r->tensor.dtype != INGOT_F64) return status;
    return check_range(r, at, n, bytes, dst, error);
}

ingot_status rows_values(const struct row_reader *reader, uint64_t first_row, uint64_t n_rows,
                         const uint8_t *bytes, float *dst, ingot_error *error)
{
    const struct model_tensor *t = &reader->tensor;
    if (t->raw) {
        return convert(reader, first_row * t->n_cols, n_rows * t->n_cols, bytes, dst, error);
    }
    memcpy(dst, bytes, (size_t)(n_rows * t->n_cols) * sizeof *dst);
    return INGOT_OK;
}

/* Elements [at, at + n) of a tensor held raw. */
static ingot_status take_raw(struct row_reader *r, uint64_t at, uint64_t n, bool hashes,
                             uint8_t *bytes, ingot_error *error)
{
    const uint64_t n_bytes = n * element_bytes(r);
    const ingot_status status =
        model_read_raw(r->model, r->index, at * element_bytes(r), n_bytes, bytes, error);
    if (status == INGOT_OK && hashes) XXH3_128bits_update(r->hash, bytes, (size_t)n_bytes);
    return status;
}

/* Parts are hashed while they are in the cache. */
ingot_status rows_take(struct row_reader *reader, uint64_t first_row, uint64_t n_rows,
                       uint8_t *bytes, ingot_error *error)
{
    const struct model_tensor *t = &reader->tensor;
    const bool hashes = first_row == reader->hashed_rows;
    const uint64_t begin = first_row * t->n_cols, end = begin + n_rows * t->n_cols;
    const uint64_t n_part = PART_BYTES / element_bytes(reader);
    ingot_status status = INGOT_OK;
    for (uint64_t at = begin; at < end && t->raw && status == INGOT_OK; at += n_part) {
        status = take_raw(reader, at, min_u64(n_part, end - at), hashes,
                          bytes + (at - begin) * element_bytes(reader), error);
    }
    if (!t->raw) {
        status = model_decode_f32(reader->model, reader->index, first_row, n_rows,
                                  (float *)(void *)bytes, error);
        if (status == INGOT_OK && hashes) {
            XXH3_128bits_update(reader->hash, bytes, (size_t)(end - begin) * sizeof(float));
        }
    }
    if (status == INGOT_OK && hashes) reader->hashed_rows += n_rows;
    return status;
}

ingot_status rows_read(struct row_reader *reader, uint64_t first_row, uint64_t n_rows, float *dst,
                       ingot_error *error)
{
    const struct model_tensor *t = &reader->tensor;
    const bool hashes = first_row == reader->hashed_rows;
    const uint64_t begin = first_row * t->n_cols, end = begin + n_rows * t->n_cols;
    const uint64_t n_part = PART_BYTES / element_bytes(reader);
    ingot_status status = INGOT_OK;
    if (!t->raw) return rows_take(reader, first_row, n_rows, (uint8_t *)dst, error);
    for (uint64_t at = begin; at < end && status == INGOT_OK; at += n_part) {
        const uint64_t n = min_u64(n_part, end - at);
        status = take_raw(reader, at, n, hashes, reader->bytes, error);
        if (status == INGOT_OK) {
            status = convert(reader, at, n, reader->bytes, dst + (at - begin), error);
        }
    }
    if (status == INGOT_OK && hashes) reader->hashed_rows += n_rows;
    return status;
}

void rows_hash(const struct row_reader *reader, uint8_t hash[16])
{
    hash_digest(reader->hash, hash);
}

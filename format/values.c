/* Values of tensors: the sum of their terms, by rows [7.2]. One function a kind of term. */
#include <math.h>

#include "format/alloc.h"
#include "format/decode.h"
#include "format/dense_bits.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/floats.h"
#include "format/mask.h"
#include "format/term.h"

/* Sparse terms are decoded in batches of about this many positions of the tensor. */
enum { BATCH_POSITIONS = 1 << 20 };
/* Values are rounded in batches of at most this many, or a row: more than a slab usually holds, so
 * that few chunks are decoded twice. */
enum { ROUNDED_VALUES = 1 << 22 };

/* ---- bytes of a file for the decoder; buffers live until the end of the call ---- */

struct file_buffer {
    struct file_buffer *next;
    uint8_t *data;
};

static ingot_status file_get(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                             const uint8_t **data, ingot_error *error)
{
    struct file_bytes *bytes = context;
    const ingot_allocator *allocator = bytes->file->allocator;
    ingot_status status = ingot_file_map_stream(bytes->file, stream, offset, n_bytes, data, error);
    if (status != INGOT_OK || *data) return status;
    struct file_buffer *buffer = ingot_allocate_zeroed(allocator, 1, sizeof *buffer);
    if (buffer == NULL) return ingot_fail_memory(error, sizeof *buffer, "buffer");
    buffer->next = bytes->buffers;
    bytes->buffers = buffer;
    buffer->data = ingot_allocate(allocator, n_bytes);
    if (buffer->data == NULL) return ingot_fail_memory(error, n_bytes, "stream bytes");
    status = ingot_file_read_stream(bytes->file, stream, offset, n_bytes, buffer->data, error);
    if (status == INGOT_OK) *data = buffer->data;
    return status;
}

static ingot_status file_codebook(void *context, const struct ingot_coding *coding,
                                  const uint8_t **entries, ingot_error *error)
{
    struct file_bytes *bytes = context;
    const uint64_t n_bytes = ingot_file_stream_bytes(bytes->file, coding->codebook_stream);
    return file_get(context, coding->codebook_stream, 0, n_bytes, entries, error);
}

struct stream_provider file_provider(struct file_bytes *bytes)
{
    return (struct stream_provider){bytes, file_get, file_codebook, bytes->file->allocator};
}

void file_bytes_release(struct file_bytes *bytes)
{
    while (bytes->buffers) {
        struct file_buffer *buffer = bytes->buffers;
        bytes->buffers = buffer->next;
        ingot_release(bytes->file->allocator, buffer->data);
        ingot_release(bytes->file->allocator, buffer);
    }
}

/* ---- terms ---- */

struct rows {
    uint32_t tensor;
    struct stack_shape stack;
    uint64_t first_row;
    uint64_t n_rows;
    float *dst;
    struct file_bytes *bytes;
    const struct stream_provider *provider;
    ingot_error *error;
};

static float *temporary(const struct rows *r, uint64_t n)
{
    float *values = ingot_allocate_zeroed(r->provider->allocator, n, sizeof *values);
    if (values == NULL) ingot_fail_memory(r->error, n * sizeof *values, "decoded values");
    return values;
}

/* Combines n values that a later term holds with what is there. */
static void combine_values(uint8_t combine, float *dst, const float *values, uint64_t n)
{
    if (combine == COMBINE_ADD) {
        for (uint64_t i = 0; i < n; i++) dst[i] = dst[i] + values[i];
    } else {
        memcpy(dst, values, (size_t)n * sizeof *dst);
    }
}

static ingot_status add_dense(const struct rows *r, const struct file_term *term)
{
    const uint64_t n = r->n_rows * r->stack.n_cols;
    const struct stack_part part = {r->first_row, r->n_rows, 0, r->stack.n_cols};
    if (term->combine == COMBINE_FIRST) {
        return coding_decode(term->coding, r->stack, term->first_stream, r->provider, part, r->dst,
                             r->error);
    }
    float *values = temporary(r, n);
    if (values == NULL) return INGOT_NO_MEMORY;
    const ingot_status status = coding_decode(term->coding, r->stack, term->first_stream,
                                              r->provider, part, values, r->error);
    if (status == INGOT_OK) combine_values(term->combine, r->dst, values, n);
    ingot_release(r->provider->allocator, values);
    return status;
}

static ingot_status add_sparse_batch(const struct rows *r, const struct file_term *term,
                                     uint64_t first_row, uint64_t n_rows)
{
    struct positions p;
    struct stack_shape codes;
    bool by_rows;
    float *values = NULL;
    sparse_codes(term, r->stack, &codes, &by_rows);
    ingot_status status = mask_positions(term, r->stack, term->first_stream, r->provider, first_row,
                                         n_rows, &p, r->error);
    if (status != INGOT_OK) return status;
    values = temporary(r, p.n);
    if (values == NULL) {
        status = INGOT_NO_MEMORY;
        goto done;
    }
    status = coding_decode_at(term->coding, codes, r->stack,
                              term->first_stream + term_values_stream(term), r->provider, p.first,
                              p.n, p.rows, p.cols, values, r->error);
    for (uint64_t i = 0; i < p.n && status == INGOT_OK; i++) {
        float *dst = r->dst + (p.rows[i] - r->first_row) * r->stack.n_cols + p.cols[i];
        combine_values(term->combine, dst, &values[i], 1);
    }
done:
    ingot_release(r->provider->allocator, values);
    positions_release(&p, r->provider->allocator);
    return status;
}

static ingot_status add_sparse(const struct rows *r, const struct file_term *term)
{
    const uint64_t n_batch = max_u64(1, BATCH_POSITIONS / max_u64(1, r->stack.n_cols));
    ingot_status status = INGOT_OK;
    if (term->combine == COMBINE_FIRST) {
        memset(r->dst, 0, (size_t)(r->n_rows * r->stack.n_cols) * sizeof *r->dst);
    }
    for (uint64_t done = 0; done < r->n_rows && status == INGOT_OK; done += n_batch) {
        status = add_sparse_batch(r, term, r->first_row + done, min_u64(n_batch, r->n_rows - done));
    }
    return status;
}

/* multiplier * (sum over k of B[k] * A[k, col]), in order of k. */
static void product_row(const struct file_term *term, const float *b, const float *a,
                        uint64_t n_cols, float *t)
{
    for (uint64_t c = 0; c < n_cols; c++) t[c] = 0.0f;
    for (uint32_t k = 0; k < term->rank; k++) {
        for (uint64_t c = 0; c < n_cols; c++) {
            const float product = b[k] * a[k * n_cols + c];
            t[c] = t[c] + product;
        }
    }
    for (uint64_t c = 0; c < n_cols; c++) t[c] = term->multiplier * t[c];
}

/* DoRA: the row becomes magnitude * (row / norm). */
static void renormalize(float *row, uint64_t n_cols, float magnitude)
{
    float sum = 0.0f;
    for (uint64_t c = 0; c < n_cols; c++) {
        const float square = row[c] * row[c];
        sum = sum + square;
    }
    const float norm = sqrtf(sum);
    for (uint64_t c = 0; c < n_cols; c++) {
        const float unit = row[c] / norm;
        row[c] = magnitude * unit;
    }
}

/* Rows [first, first + n) of the stack, all of one matrix. */
static ingot_status add_lowrank_rows(const struct rows *r, const struct file_term *term,
                                     uint64_t first, uint64_t n)
{
    const uint64_t n_cols = r->stack.n_cols, rank = term->rank;
    const struct stack_shape a_stack = {r->stack.n_matrices, rank, n_cols};
    const struct stack_shape b_stack = {r->stack.n_matrices, r->stack.n_rows, rank};
    const struct stack_shape m_stack = {r->stack.n_matrices, r->stack.n_rows, 1};
    const struct stack_part a_part = {first / r->stack.n_rows * rank, rank, 0, n_cols};
    const struct stack_part b_part = {first, n, 0, rank};
    const struct stack_part m_part = {first, n, 0, 1};
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n_a = 0, n_b = 0;
    float *a = temporary(r, rank * n_cols);
    float *b = temporary(r, n * rank);
    float *m = temporary(r, n);
    float *t = temporary(r, n_cols);
    ingot_status status = a && b && m && t ? INGOT_OK : INGOT_NO_MEMORY;
    if (status != INGOT_OK) goto done;
    coding_streams(term->coding, a_stack, shapes, &n_a);
    coding_streams(term->coding_b, b_stack, shapes, &n_b);
    status =
        coding_decode(term->coding, a_stack, term->first_stream, r->provider, a_part, a, r->error);
    if (status == INGOT_OK) {
        status = coding_decode(term->coding_b, b_stack, term->first_stream + n_a, r->provider,
                               b_part, b, r->error);
    }
    if (status == INGOT_OK && term->magnitude) {
        status = coding_decode(term->magnitude, m_stack, term->first_stream + n_a + n_b,
                               r->provider, m_part, m, r->error);
    }
    for (uint64_t i = 0; i < n && status == INGOT_OK; i++) {
        float *dst = r->dst + (first - r->first_row + i) * n_cols;
        product_row(term, b + i * rank, a, n_cols, t);
        combine_values(term->combine, dst, t, n_cols);
        if (term->magnitude) renormalize(dst, n_cols, m[i]);
    }
done:
    ingot_release(r->provider->allocator, t);
    ingot_release(r->provider->allocator, m);
    ingot_release(r->provider->allocator, b);
    ingot_release(r->provider->allocator, a);
    return status;
}

static ingot_status add_lowrank(const struct rows *r, const struct file_term *term)
{
    ingot_status status = INGOT_OK;
    for (uint64_t done = 0; done < r->n_rows && status == INGOT_OK;) {
        const uint64_t row = r->first_row + done;
        const uint64_t left = r->stack.n_rows - row % r->stack.n_rows;
        const uint64_t n = min_u64(left, r->n_rows - done);
        status = add_lowrank_rows(r, term, row, n);
        done += n;
    }
    return status;
}

static ingot_status add_ref(const struct rows *r, const struct file_term *term)
{
    const ingot_file *base;
    uint32_t target;
    const uint64_t n = r->n_rows * r->stack.n_cols;
    ingot_status status =
        bases_find(r->bytes->file, r->tensor, term->number, &base, &target, r->error);
    if (status != INGOT_OK) return status;
    if (term->combine == COMBINE_FIRST) {
        return ingot_file_decode_f32(base, target, r->first_row, r->n_rows, r->dst, r->error);
    }
    float *values = temporary(r, n);
    if (values == NULL) return INGOT_NO_MEMORY;
    status = ingot_file_decode_f32(base, target, r->first_row, r->n_rows, values, r->error);
    if (status == INGOT_OK) combine_values(term->combine, r->dst, values, n);
    ingot_release(r->provider->allocator, values);
    return status;
}

/* A raw tensor that is a patch of another: its bits are put together first, then mapped. */
static ingot_status decode_patched(const struct rows *r, const struct file_term *term)
{
    const uint8_t bits = term->coding->bits;
    const uint64_t n = r->n_rows * r->stack.n_cols;
    const uint64_t first_bit = r->first_row * r->stack.n_cols * bits;
    const uint64_t begin = first_bit / 8, n_bytes = ceil_div(first_bit + n * bits, 8) - begin;
    uint8_t *dense = ingot_allocate(r->provider->allocator, n_bytes);
    if (dense == NULL) return ingot_fail_memory(r->error, n_bytes, "raw bytes");
    ingot_status status =
        ingot_file_read_raw(r->bytes->file, r->tensor, begin, n_bytes, dense, r->error);
    for (uint64_t i = 0; i < n && status == INGOT_OK && bits < 8; i++) {
        const uint8_t code = dense_load(dense, first_bit - begin * 8 + i * bits, bits);
        r->dst[i] = ingot_float_decode((ingot_dtype)term->coding->format, code);
    }
    if (status == INGOT_OK && bits >= 8) {
        const uint8_t *const streams[] = {dense};
        const struct memory_streams memory = {streams, NULL};
        const struct stream_provider provider = memory_provider(&memory, r->provider->allocator);
        const struct stack_shape flat = {1, r->n_rows, r->stack.n_cols};
        const struct stack_part part = {0, r->n_rows, 0, r->stack.n_cols};
        status = coding_decode(term->coding, flat, 0, &provider, part, r->dst, r->error);
    }
    ingot_release(r->provider->allocator, dense);
    return status;
}

static ingot_status rescale(const struct rows *r, const struct tensor_record *t)
{
    if (t->rescale_coding == INGOT_NONE) return INGOT_OK;
    const struct stack_shape stack = {r->stack.n_matrices, r->stack.n_rows, 1};
    const struct stack_part part = {r->first_row, r->n_rows, 0, 1};
    float *factors = temporary(r, r->n_rows);
    if (factors == NULL) return INGOT_NO_MEMORY;
    const ingot_status status =
        coding_decode(&r->bytes->file->codings[t->rescale_coding], stack, t->rescale_stream,
                      r->provider, part, factors, r->error);
    for (uint64_t i = 0; i < r->n_rows && status == INGOT_OK; i++) {
        float *row = r->dst + i * r->stack.n_cols;
        for (uint64_t c = 0; c < r->stack.n_cols; c++) row[c] = row[c] * factors[i];
    }
    ingot_release(r->provider->allocator, factors);
    return status;
}

/* At most one of the terms that are on renormalizes. */
static ingot_status check_magnitudes(const ingot_file *file, uint32_t tensor,
                                     const char *const *adapters, uint32_t n_adapters,
                                     ingot_error *error)
{
    const struct tensor_record t = tensor_at(file, tensor);
    uint32_t n = 0;
    for (uint32_t k = 0; k < t.n_terms; k++) {
        struct file_term term;
        ingot_file_term(file, tensor, k, &term);
        n += term.magnitude != NULL && term_is_on(&term, adapters, n_adapters);
    }
    if (n <= 1) return INGOT_OK;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "adapters",
                      "%u terms of tensor %.*s that renormalize its rows would be on", n,
                      (int)min_u64(t.name.n_bytes, 80), string_at(file, t.name));
}

static ingot_status decode_values(const ingot_file *file, uint32_t tensor, uint64_t first_row,
                                  uint64_t n_rows, const char *const *adapters, uint32_t n_adapters,
                                  float *dst, ingot_error *error)
{
    static ingot_status (*const kinds[])(const struct rows *, const struct file_term *) = {
        [TERM_DENSE] = add_dense,
        [TERM_SPARSE] = add_sparse,
        [TERM_LOWRANK] = add_lowrank,
        [TERM_REF] = add_ref,
    };
    const struct tensor_record t = tensor_at(file, tensor);
    struct file_bytes bytes = {file, NULL};
    const struct stream_provider provider = file_provider(&bytes);
    const struct rows rows = {
        tensor, ingot_file_layout(file, tensor).shape, first_row, n_rows, dst, &bytes, &provider,
        error};
    if (!range_within(first_row, n_rows, rows.stack.n_matrices * rows.stack.n_rows)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "rows", "past the last row");
    }
    if (n_rows == 0 || rows.stack.n_cols == 0) return INGOT_OK;
    if (t.dtype == INGOT_C64) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "tensor",
                          "complex values have no f32 form; read them raw");
    }
    ingot_status status = check_magnitudes(file, tensor, adapters, n_adapters, error);
    for (uint32_t k = 0; k < t.n_terms && status == INGOT_OK; k++) {
        struct file_term term;
        ingot_file_term(file, tensor, k, &term);
        if (!term_is_on(&term, adapters, n_adapters)) continue;
        if (term.combine == COMBINE_XOR) {
            status = decode_patched(&rows, &term);
        } else {
            status = kinds[term.kind](&rows, &term);
        }
    }
    if (status == INGOT_OK) status = rescale(&rows, &t);
    file_bytes_release(&bytes);
    return status;
}

ingot_status ingot_file_decode_f32(const ingot_file *file, uint32_t tensor, uint64_t first_row,
                                   uint64_t n_rows, float *dst, ingot_error *error)
{
    return decode_values(file, tensor, first_row, n_rows, NULL, 0, dst, error);
}

/* ---- other types ---- */

static void round_to_f16(const float *values, uint64_t n, uint8_t *dst)
{
    for (uint64_t i = 0; i < n; i++) store_u16(dst + 2 * i, f16_from_f32(values[i]));
}

static void round_to_bf16(const float *values, uint64_t n, uint8_t *dst)
{
    for (uint64_t i = 0; i < n; i++) store_u16(dst + 2 * i, bf16_from_f32(values[i]));
}

typedef void round_function(const float *values, uint64_t n, uint8_t *dst);

static ingot_status decode_rounded(const ingot_file *file, uint32_t tensor, uint64_t first_row,
                                   uint64_t n_rows, round_function *round,
                                   const char *const *adapters, uint32_t n_adapters, uint8_t *dst,
                                   ingot_error *error)
{
    const uint64_t n_cols = max_u64(1, ingot_file_layout(file, tensor).shape.n_cols);
    const uint64_t n_step = min_u64(n_rows, max_u64(1, ROUNDED_VALUES / n_cols));
    uint64_t n_bytes;
    if (!mul_u64(n_step, n_cols * sizeof(float), &n_bytes)) n_bytes = UINT64_MAX;
    float *values = ingot_allocate(file->allocator, n_bytes);
    if (values == NULL) return ingot_fail_memory(error, n_bytes, "decoded values");
    ingot_status status = INGOT_OK;
    for (uint64_t done = 0; done < n_rows && status == INGOT_OK; done += n_step) {
        const uint64_t n = min_u64(n_step, n_rows - done);
        status =
            decode_values(file, tensor, first_row + done, n, adapters, n_adapters, values, error);
        if (status == INGOT_OK) round(values, n * n_cols, dst + done * n_cols * 2);
    }
    ingot_release(file->allocator, values);
    return status;
}

ingot_status ingot_file_decode(const ingot_file *file, uint32_t tensor, uint64_t first_row,
                               uint64_t n_rows, ingot_dtype dtype, const char *const *adapters,
                               uint32_t n_adapters, void *dst, ingot_error *error)
{
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    if (dtype == INGOT_F32) {
        return decode_values(file, tensor, first_row, n_rows, adapters, n_adapters, dst, error);
    }
    if (dtype != INGOT_F16 && dtype != INGOT_BF16) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "dtype",
                          "values are given in f32, f16 or bf16, not in type %d", (int)dtype);
    }
    if (!range_within(first_row, n_rows, stack.n_matrices * stack.n_rows)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "rows", "past the last row");
    }
    if (n_rows == 0 || stack.n_cols == 0) return INGOT_OK;
    round_function *const round = dtype == INGOT_F16 ? round_to_f16 : round_to_bf16;
    return decode_rounded(file, tensor, first_row, n_rows, round, adapters, n_adapters, dst, error);
}

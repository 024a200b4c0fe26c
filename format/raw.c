/* Tensors held raw: logical bytes to and from streams. Types of 8 bits and more are their plane;
 * narrower ones are packed densely by sources and lie in planes here. */
#include "format/alloc.h"
#include "format/dense_bits.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/raw.h"
#include "format/sequences.h"

/* ---- reading ---- */

/* The bits of one term, which is dense and raw. */
static ingot_status read_term(const ingot_file *file, uint32_t tensor, uint32_t term,
                              uint64_t offset, uint64_t n_bytes, uint8_t *dst, ingot_error *error)
{
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    struct file_term t;
    ingot_file_term(file, tensor, term, &t);
    const struct code_sequence codes = {0, t.coding->bits, stack, t.coding};
    return sequence_read(file, t.first_stream, &codes, offset, n_bytes, dst, error);
}

/* The bits of the tensor that term 0 refers to, and the xor of term 1 if there is one. */
static ingot_status read_patched(const ingot_file *file, uint32_t tensor, uint32_t n_terms,
                                 uint64_t offset, uint64_t n_bytes, uint8_t *dst,
                                 ingot_error *error)
{
    const ingot_file *base;
    uint32_t target;
    ingot_status status =
        bases_find(file, tensor, tensor_at(file, tensor).first_term, &base, &target, error);
    if (status == INGOT_OK) {
        status = ingot_file_read_raw(base, target, offset, n_bytes, dst, error);
    }
    if (status != INGOT_OK || n_terms == 1) return status;
    uint8_t *patch = ingot_allocate(file->allocator, n_bytes);
    if (patch == NULL) return ingot_fail_memory(error, n_bytes, "patch");
    status = read_term(file, tensor, 1, offset, n_bytes, patch, error);
    for (uint64_t i = 0; i < n_bytes && status == INGOT_OK; i++) dst[i] ^= patch[i];
    ingot_release(file->allocator, patch);
    return status;
}

/* Whether the terms are a ref, or a ref and an xor. */
static bool is_patched(const ingot_file *file, uint32_t tensor)
{
    const struct tensor_record t = tensor_at(file, tensor);
    struct file_term first, second;
    if (t.n_terms > 2 || t.rescale_coding != INGOT_NONE) return false;
    ingot_file_term(file, tensor, 0, &first);
    ingot_file_term(file, tensor, t.n_terms - 1, &second);
    return first.kind == TERM_REF && (t.n_terms == 1 || second.combine == COMBINE_XOR);
}

bool ingot_file_has_raw(const ingot_file *file, uint32_t tensor)
{
    const ingot_file *base;
    uint32_t target;
    if (ingot_file_held_raw(file, tensor)) return true;
    return is_patched(file, tensor) &&
           bases_find(file, tensor, tensor_at(file, tensor).first_term, &base, &target, NULL) ==
               INGOT_OK &&
           ingot_file_has_raw(base, target);
}

ingot_status ingot_file_read_raw(const ingot_file *file, uint32_t tensor, uint64_t offset,
                                 uint64_t n_bytes, void *dst, ingot_error *error)
{
    ingot_tensor t;
    ingot_file_tensor(file, tensor, &t);
    const bool patched = is_patched(file, tensor);
    if (!patched && !ingot_file_held_raw(file, tensor)) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "tensor",
                          "it is held as %s, not raw", t.encoding);
    }
    const uint64_t n_elements = t.n_matrices * t.n_rows * t.n_cols;
    if (!range_within(offset, n_bytes, ingot_raw_bytes(t.dtype, n_elements))) {
        return ingot_fail(error, INGOT_INVALID, offset, "tensor", "read past its end");
    }
    if (n_bytes == 0) return INGOT_OK;
    if (patched) return read_patched(file, tensor, t.n_terms, offset, n_bytes, dst, error);
    return read_term(file, tensor, 0, offset, n_bytes, dst, error);
}

uint64_t ingot_file_raw_step(const ingot_file *file, uint32_t tensor, uint64_t about)
{
    struct file_term t;
    ingot_file_term(file, tensor, 0, &t);
    if (!ingot_file_held_raw(file, tensor) || t.coding->bits < 8) return about;
    const struct stream_record s = stream_at(file, t.first_stream);
    return s.chunk_bytes ? max_u64(1, about / s.chunk_bytes) * s.chunk_bytes : about;
}

/* ---- writing ---- */

ingot_status raw_fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                      uint8_t *dst, ingot_error *error)
{
    const struct raw_rows *raw = context;
    (void)stream;
    return raw->source->read(raw->source->context, offset, n_bytes, dst, error);
}

static ingot_status narrow_slab(const struct raw_rows *raw, uint64_t first_row, uint64_t n_rows,
                                uint8_t *const *dst, ingot_error *error)
{
    const uint8_t bits = raw->bits;
    const uint64_t first_bit = first_row * raw->n_cols * bits;
    const uint64_t end_bit = (first_row + n_rows) * raw->n_cols * bits;
    const uint64_t begin = first_bit / 8, n_bytes = ceil_div(end_bit, 8) - begin;
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n_planes = plane_widths(bits, widths);
    uint8_t *dense = ingot_allocate(raw->allocator, n_bytes + 1);
    if (dense == NULL) return ingot_fail_memory(error, n_bytes, "packed rows");
    ingot_status status = raw->source->read(raw->source->context, begin, n_bytes, dense, error);
    for (uint64_t r = 0; r < n_rows && status == INGOT_OK; r++) {
        for (uint64_t c = 0; c < raw->n_cols; c++) {
            uint8_t code =
                dense_load(dense, first_bit - begin * 8 + (r * raw->n_cols + c) * bits, bits);
            for (uint32_t k = 0; k < n_planes; k++) {
                const uint8_t low = (uint8_t)(code & ((1u << widths[k]) - 1));
                dense_store(dst[k], r * raw->shapes[k].row_bits + c * widths[k], widths[k], low);
                code = (uint8_t)(code >> widths[k]);
            }
        }
    }
    ingot_release(raw->allocator, dense);
    return status;
}

ingot_status raw_slab(void *context, uint64_t first_row, uint64_t n_rows, uint8_t *const *dst,
                      ingot_error *error)
{
    const struct raw_rows *raw = context;
    if (raw->bits < 8) return narrow_slab(raw, first_row, n_rows, dst, error);
    const uint64_t row_bytes = raw->n_cols * raw->bits / 8;
    return raw->source->read(raw->source->context, first_row * row_bytes, n_rows * row_bytes,
                             dst[0], error);
}

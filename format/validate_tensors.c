/* The validator's part for tensors: padding bits of planes, masks, codes of codebooks, indices. */
#include <stdio.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/mask.h"
#include "format/rules.h"
#include "format/term.h"
#include "format/validate.h"

enum { BATCH_BYTES = 1 << 20, BATCH_WEIGHTS = 1 << 18 };

/* One term of one tensor. */
struct subject {
    struct validation *v;
    uint32_t tensor;
    bool patched; /* its last term is an xor */
    struct stack_shape stack;
    struct file_term term;
    ingot_error *error;
};

/* ---- padding ---- */

static bool bits_zero(const uint8_t *data, uint64_t begin, uint64_t end)
{
    for (uint64_t bit = begin; bit < end; bit++) {
        if (data[bit / 8] >> bit % 8 & 1) return false;
    }
    return true;
}

static ingot_status fail_padding(const struct subject *s, uint32_t stream, uint64_t row)
{
    return ingot_fail_rule(s->error, R_411, INGOT_NO_OFFSET, "plane",
                           "stream %u has bits after row %llu that hold no code", stream,
                           (unsigned long long)row);
}

/* Rows of whole words: the bits after the last element of each row. */
static ingot_status check_row_padding(const struct subject *s, uint32_t stream,
                                      const struct stream_shape *shape, uint8_t *part)
{
    const uint64_t row_bytes = shape->row_bits / 8;
    const uint64_t n_batch = max_u64(1, BATCH_BYTES / row_bytes);
    const uint64_t used_bits = shape->n_cols * shape->bits;
    /* Only the tail of very long rows is read. */
    const uint64_t skip = row_bytes > BATCH_BYTES ? used_bits / 8 : 0;
    for (uint64_t row = 0; row < shape->n_rows; row += n_batch) {
        const uint64_t n = min_u64(n_batch, shape->n_rows - row);
        const ingot_status status = ingot_file_read_stream(
            s->v->file, stream, row * row_bytes + skip, n * row_bytes - skip, part, s->error);
        if (status != INGOT_OK) return status;
        for (uint64_t i = 0; i < n; i++) {
            const uint8_t *p = part + i * row_bytes;
            if (!bits_zero(p, used_bits - skip * 8, (row_bytes - skip) * 8)) {
                return fail_padding(s, stream, row + i);
            }
        }
    }
    return INGOT_OK;
}

static ingot_status check_padding(const struct subject *s, uint32_t stream,
                                  const struct stream_shape *shape)
{
    const uint64_t used_bits = shape->n_cols * shape->bits;
    if (shape->bits >= 8 || shape->n_bytes == 0 || shape->any_length) return INGOT_OK;
    if (shape->row_bits == used_bits) {
        const uint64_t end = shape->n_rows * shape->row_bits;
        uint8_t last;
        if (end % 8 == 0) return INGOT_OK;
        const ingot_status status =
            ingot_file_read_stream(s->v->file, stream, shape->n_bytes - 1, 1, &last, s->error);
        if (status != INGOT_OK) return status;
        return bits_zero(&last, end % 8, 8) ? INGOT_OK : fail_padding(s, stream, shape->n_rows - 1);
    }
    uint8_t *part = ingot_allocate(s->v->file->allocator, BATCH_BYTES + 8);
    if (part == NULL) return ingot_fail_memory(s->error, BATCH_BYTES, "plane");
    const ingot_status status = check_row_padding(s, stream, shape, part);
    ingot_release(s->v->file->allocator, part);
    return status;
}

/* ---- codes ---- */

/* Whether a code, or an index into a table, can be out of range at all. */
static bool can_stray(const struct ingot_coding *coding)
{
    if (coding->index_bits) return true;
    if (coding->n_entries && (coding->bits >= 32 || coding->n_entries < 1u << coding->bits)) {
        return true;
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (coding->slots[i].has_table && can_stray(coding->slots[i].table)) return true;
    }
    return false;
}

static ingot_status check_codes(const struct subject *s, const struct ingot_coding *coding,
                                struct stack_shape stack, uint32_t first_stream)
{
    if (coding == NULL || !can_stray(coding) || stack.n_cols == 0) return INGOT_OK;
    const uint64_t n_rows = stack.n_matrices * stack.n_rows;
    const uint64_t n_cols = min_u64(stack.n_cols, BATCH_WEIGHTS);
    const uint64_t n_batch = max_u64(1, BATCH_WEIGHTS / stack.n_cols);
    float *values = ingot_allocate(s->v->file->allocator, n_batch * n_cols * sizeof *values);
    if (values == NULL) return ingot_fail_memory(s->error, n_batch * n_cols * 4, "values");
    ingot_status status = INGOT_OK;
    for (uint64_t row = 0; row < n_rows && status == INGOT_OK; row += n_batch) {
        for (uint64_t col = 0; col < stack.n_cols && status == INGOT_OK; col += n_cols) {
            struct file_bytes bytes = {s->v->file, NULL};
            const struct stream_provider provider = file_provider(&bytes);
            const struct stack_part part = {row, min_u64(n_batch, n_rows - row), col,
                                            min_u64(n_cols, stack.n_cols - col)};
            status = coding_decode(coding, stack, first_stream, &provider, part, values, s->error);
            file_bytes_release(&bytes);
        }
    }
    ingot_release(s->v->file->allocator, values);
    return status;
}

/* A ref whose file is at hand. */
static ingot_status check_ref(const struct subject *s)
{
    const ingot_file *base;
    uint32_t target;
    const ingot_status status =
        bases_find(s->v->file, s->tensor, s->term.number, &base, &target, s->error);
    if (status == INGOT_NOT_FOUND) return INGOT_OK;
    if (status != INGOT_OK || !s->patched || ingot_file_has_raw(base, target)) return status;
    return ingot_fail_rule(s->error, R_502, INGOT_NO_OFFSET, "term.combine",
                           "xor with a tensor that has no exact bits");
}

static ingot_status check_dense(const struct subject *s)
{
    return check_codes(s, s->term.coding, s->stack, s->term.first_stream);
}

/* The mask of a batch of rows and, where codes can stray, their kept values. */
static ingot_status check_sparse_batch(const struct subject *s, uint64_t row, uint64_t n_rows)
{
    struct file_bytes bytes = {s->v->file, NULL};
    const struct stream_provider provider = file_provider(&bytes);
    const ingot_allocator *allocator = s->v->file->allocator;
    struct positions p;
    struct stack_shape codes;
    bool by_rows;
    float *values = NULL;
    sparse_codes(&s->term, s->stack, &codes, &by_rows);
    ingot_status status = mask_positions(&s->term, s->stack, s->term.first_stream, &provider, row,
                                         n_rows, &p, s->error);
    if (status == INGOT_OK && can_stray(s->term.coding)) {
        values = ingot_allocate(allocator, p.n * sizeof *values);
        status = values
                     ? coding_decode_at(s->term.coding, codes, s->stack,
                                        s->term.first_stream + term_values_stream(&s->term),
                                        &provider, p.first, p.n, p.rows, p.cols, values, s->error)
                     : ingot_fail_memory(s->error, p.n * 4, "values");
    }
    ingot_release(allocator, values);
    positions_release(&p, allocator);
    file_bytes_release(&bytes);
    return status;
}

static ingot_status check_sparse(const struct subject *s)
{
    const uint64_t n_rows = s->stack.n_matrices * s->stack.n_rows;
    const uint64_t n_batch = max_u64(1, BATCH_WEIGHTS / max_u64(1, s->stack.n_cols));
    ingot_status status = INGOT_OK;
    uint64_t row = 0;
    do { /* once where there are no rows: they have an offset all the same */
        status = check_sparse_batch(s, row, min_u64(n_batch, n_rows - row));
        row += n_batch;
    } while (row < n_rows && status == INGOT_OK);
    return status;
}

/* The codes of a coding (which may be absent); *stream moves past its streams. */
static ingot_status check_next_codes(const struct subject *s, const struct ingot_coding *coding,
                                     struct stack_shape stack, uint32_t *stream)
{
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n = 0;
    if (coding == NULL) return INGOT_OK;
    const ingot_status status = check_codes(s, coding, stack, *stream);
    coding_streams(coding, stack, shapes, &n);
    *stream += n;
    return status;
}

static ingot_status check_lowrank(const struct subject *s)
{
    const struct stack_shape a = {s->stack.n_matrices, s->term.rank, s->stack.n_cols};
    const struct stack_shape b = {s->stack.n_matrices, s->stack.n_rows, s->term.rank};
    const struct stack_shape magnitudes = {s->stack.n_matrices, s->stack.n_rows, 1};
    uint32_t stream = s->term.first_stream;
    ingot_status status = check_next_codes(s, s->term.coding, a, &stream);
    if (status == INGOT_OK) status = check_next_codes(s, s->term.coding_b, b, &stream);
    if (status == INGOT_OK) status = check_next_codes(s, s->term.magnitude, magnitudes, &stream);
    return status;
}

static ingot_status check_term(const struct subject *s)
{
    static ingot_status (*const kinds[])(const struct subject *) = {
        [TERM_DENSE] = check_dense,
        [TERM_SPARSE] = check_sparse,
        [TERM_LOWRANK] = check_lowrank,
        [TERM_REF] = check_ref,
    };
    struct stream_shape shapes[TERM_MAX_STREAMS];
    uint32_t n = 0;
    ingot_status status = INGOT_OK;
    term_streams(&s->term, s->stack, shapes, &n);
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        status = check_padding(s, s->term.first_stream + i, &shapes[i]);
    }
    return status == INGOT_OK ? kinds[s->term.kind](s) : status;
}

static ingot_status check_rescale(const struct subject *s, uint32_t tensor)
{
    const struct tensor_record t = tensor_at(s->v->file, tensor);
    const struct stack_shape factors = {s->stack.n_matrices, s->stack.n_rows, 1};
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n = 0;
    ingot_status status = INGOT_OK;
    if (t.rescale_coding == INGOT_NONE) return INGOT_OK;
    const struct ingot_coding *coding = &s->v->file->codings[t.rescale_coding];
    coding_streams(coding, factors, shapes, &n);
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        status = check_padding(s, t.rescale_stream + i, &shapes[i]);
    }
    return status == INGOT_OK ? check_codes(s, coding, factors, t.rescale_stream) : status;
}

/* A violation in a tensor, whose name comes before what was wrong. */
static ingot_status violation_in(struct validation *v, const ingot_tensor *t, ingot_status status,
                                 ingot_error *error)
{
    char what[sizeof error->field];
    snprintf(what, sizeof what, "%s", error->field);
    snprintf(error->field, sizeof error->field, "tensor %.*s, %.20s",
             (int)min_u64(t->name_bytes, 60), t->name, what);
    return violation(v, status, error);
}

ingot_status validate_tensors(struct validation *v)
{
    ingot_error error = {0};
    for (uint32_t i = 0; i < ingot_file_n_tensors(v->file); i++) {
        struct subject s = {.v = v, .tensor = i, .error = &error};
        ingot_tensor t;
        ingot_file_tensor(v->file, i, &t);
        if (t.alias_of != INGOT_NONE) continue;
        s.stack = ingot_file_layout(v->file, i).shape;
        ingot_file_term(v->file, i, t.n_terms - 1, &s.term);
        s.patched = s.term.combine == COMBINE_XOR;
        for (uint32_t k = 0; k <= t.n_terms; k++) {
            const bool is_term = k < t.n_terms;
            if (is_term) ingot_file_term(v->file, i, k, &s.term);
            ingot_status status = is_term ? check_term(&s) : check_rescale(&s, i);
            if (status != INGOT_OK) status = violation_in(v, &t, status, &error);
            if (status != INGOT_OK) return status;
        }
    }
    return INGOT_OK;
}

/* Which type holds a tensor, and its blocks. */
#include "convert/repack.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/blocks.h"
#include "convert/repack_integers.h"
#include "format/alloc.h"
#include "format/fail.h"

enum { STEP_VALUES = 1 << 20, N_TYPE_IDS = 64 };

/* ---- is a coding that of a type? ---- */

static ingot_status number_book(void *context, enum block_book book, uint32_t *stream,
                                ingot_error *error)
{
    (void)context;
    (void)error;
    *stream = book;
    return INGOT_OK;
}

static bool same_book(const ingot_file *file, uint32_t stream, uint32_t book)
{
    uint8_t ours[BLOCK_BOOK_MAX_BYTES], theirs[BLOCK_BOOK_MAX_BYTES];
    if (stream == INGOT_NONE || book == INGOT_NONE) return stream == book;
    const uint32_t n_bytes = block_book_write((enum block_book)book, ours);
    return ingot_file_stream_bytes(file, stream) == n_bytes &&
           ingot_file_read_stream(file, stream, 0, n_bytes, theirs, NULL) == INGOT_OK &&
           memcmp(ours, theirs, n_bytes) == 0;
}

/* Names are labels and do not count. Tables are at most two deep. */
static bool same_coding(const ingot_file *file, const struct ingot_coding *a,
                        const struct ingot_coding *type)
{
    if (a->map != type->map || a->bits != type->bits || a->format != type->format ||
        a->vector_length != type->vector_length || a->signs != type->signs || a->index_bits != 0 ||
        a->n_entries != type->n_entries ||
        !same_book(file, a->codebook_stream, type->codebook_stream)) {
        return false;
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *s = &a->slots[i], *t = &type->slots[i];
        if (s->has_table != t->has_table || s->has_constant != t->has_constant ||
            s->inverse_table != t->inverse_table || s->inverse_constant != t->inverse_constant ||
            s->group != t->group || f32_bits(s->constant) != f32_bits(t->constant) ||
            s->group_rows != t->group_rows || s->group_cols != t->group_cols) {
            return false;
        }
        if (s->has_table && !same_coding(file, s->table, t->table)) return false;
    }
    return true;
}

/* ---- proof on values ---- */

/* Counts two zeros of different sign as equal and notes it; NaNs are equal. */
static bool same_values(const float *a, const float *b, uint64_t n, bool *zero_signs)
{
    for (uint64_t i = 0; i < n; i++) {
        if (f32_bits(a[i]) == f32_bits(b[i]) || (isnan(a[i]) && isnan(b[i]))) continue;
        if (a[i] != 0 || b[i] != 0) return false;
        *zero_signs = true;
    }
    return true;
}

/* Sets *proved when the blocks have the tensor's values. */
static ingot_status prove(struct repack *r, struct stack_shape stack, bool *proved,
                          ingot_error *error)
{
    const uint64_t all_rows = stack.n_matrices * stack.n_rows;
    const uint64_t step = min_u64(max_u64(1, STEP_VALUES / max_u64(1, stack.n_cols)), all_rows);
    const uint64_t row_bytes = stack.n_cols / r->type->block_weights * r->type->block_bytes;
    uint8_t *blocks = ingot_allocate(NULL, step * row_bytes);
    float *ours = ingot_allocate(NULL, step * stack.n_cols * sizeof *ours);
    float *theirs = ingot_allocate(NULL, step * stack.n_cols * sizeof *theirs);
    ingot_status status = INGOT_OK;
    if (blocks == NULL || ours == NULL || theirs == NULL) {
        status = ingot_fail_memory(error, step * stack.n_cols * 8, "repacked rows");
    }
    *proved = true;
    for (uint64_t row = 0; row < all_rows && status == INGOT_OK && *proved; row += step) {
        const uint64_t n = min_u64(step, all_rows - row);
        status = repack_read(r, row * row_bytes, n * row_bytes, blocks, error);
        if (status == INGOT_OK) {
            status = blocks_decode(r->type->id, blocks, n, stack.n_cols, theirs, error);
        }
        if (status == INGOT_OK) {
            status = ingot_file_decode_f32(r->file, r->tensor, row, n, ours, error);
        }
        if (status == INGOT_OK) {
            *proved = same_values(ours, theirs, n * stack.n_cols, &r->zero_signs);
        }
    }
    ingot_release(NULL, theirs);
    ingot_release(NULL, ours);
    ingot_release(NULL, blocks);
    return status;
}

/* ---- the search ---- */

/* Proves that the blocks of a type with the streams of the tensor have its values. */
static ingot_status try_type(struct repack *r, uint32_t type, struct stack_shape stack,
                             ingot_error *error)
{
    struct repack tried = *r;
    bool proved = false;
    ingot_status status = block_tensor_open(r->file, r->tensor, type, &tried.blocks, error);
    tried.type = gguf_type_of(type);
    tried.same_streams = true;
    if (status == INGOT_OK) status = prove(&tried, stack, &proved, error);
    if (status == INGOT_REFUSED) return INGOT_OK;
    if (status == INGOT_OK && proved) *r = tried;
    return status;
}

/* The type of the tensor's own coding: the one whose name the coding has, when there are two. Codes
 * that are digits must be looked at. */
static ingot_status find_same_coding(struct repack *r, const struct file_term *term,
                                     struct stack_shape stack, ingot_error *error)
{
    const struct block_books books = {NULL, number_book};
    struct block_coding coding;
    for (uint32_t id = 0; id < N_TYPE_IDS; id++) {
        struct block_tensor blocks;
        if (block_tensor_open(r->file, r->tensor, id, &blocks, NULL) != INGOT_OK) continue;
        block_coding_make(id, &books, &coding, NULL);
        if (!same_coding(r->file, term->coding, &coding.coding)) continue;
        const bool named = strcmp(term->coding->name, coding.coding.name) == 0;
        if (r->type && !named) continue;
        if (blocks.layout->ternary) {
            const ingot_status status = try_type(r, id, stack, error);
            if (status != INGOT_OK) return status;
        } else {
            r->type = gguf_type_of(id);
            r->blocks = blocks;
            r->same_streams = true;
        }
        if (r->type && named) return INGOT_OK;
    }
    return INGOT_OK;
}

/* A type whose decoder makes the same values of the streams. */
static ingot_status find_same_values(struct repack *r, struct stack_shape stack, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    for (uint32_t id = 0; id < N_TYPE_IDS && r->type == NULL && status == INGOT_OK; id++) {
        if (block_layout_of(id)) status = try_type(r, id, stack, error);
    }
    return status;
}

static ingot_status find_integers(struct repack *r, const struct file_term *term,
                                  struct stack_shape stack, ingot_error *error)
{
    struct repack tried = *r;
    ingot_error why;
    bool proved;
    tried.type = repack_integers_type(term, stack);
    if (tried.type == NULL) return INGOT_OK;
    const ingot_status status = prove(&tried, stack, &proved, &why);
    if (status == INGOT_REFUSED) {
        snprintf(r->why_not, sizeof r->why_not, "%s cannot hold it: %.90s", tried.type->name,
                 why.what);
        return INGOT_OK;
    }
    if (status != INGOT_OK) {
        if (error) *error = why;
        return status;
    }
    if (proved) *r = tried;
    return INGOT_OK;
}

ingot_status repack_find(const ingot_file *file, uint32_t tensor, struct repack *out,
                         ingot_error *error)
{
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    struct repack r = {.file = file, .tensor = tensor};
    struct file_term term;
    ingot_tensor t;
    uint32_t first_rescale;
    ingot_status status = INGOT_OK;
    ingot_file_tensor(file, tensor, &t);
    ingot_file_term(file, tensor, 0, &term);
    if (t.n_terms != 1 || term.kind != TERM_DENSE || term.coding->map == MAP_OPAQUE ||
        ingot_file_rescale(file, tensor, &first_rescale)) {
        snprintf(r.why_not, sizeof r.why_not, "it is not one dense term of codes");
        *out = r;
        return INGOT_OK;
    }
    if (!coding_is_raw(term.coding)) {
        status = find_same_coding(&r, &term, stack, error);
        if (status == INGOT_OK && r.type == NULL) status = find_same_values(&r, stack, error);
        if (status == INGOT_OK && r.type == NULL) status = find_integers(&r, &term, stack, error);
    }
    if (status != INGOT_OK) return status;
    if (r.type) {
        r.why_not[0] = '\0';
        r.n_bytes = stack.n_matrices * stack.n_rows *
                    (stack.n_cols / r.type->block_weights * r.type->block_bytes);
    } else if (r.why_not[0] == '\0') {
        snprintf(r.why_not, sizeof r.why_not, "no type has values of this coding");
    }
    *out = r;
    return INGOT_OK;
}

/* ---- bytes ---- */

/* Blocks [first, first + n). */
static ingot_status read_blocks(const struct repack *r, uint64_t first, uint64_t n, uint8_t *dst,
                                ingot_error *error)
{
    const struct stack_shape stack = ingot_file_layout(r->file, r->tensor).shape;
    const uint64_t n_row = stack.n_cols / r->type->block_weights;
    const uint32_t block_bytes = r->type->block_bytes;
    struct file_term term;
    if (r->same_streams) return block_tensor_read(&r->blocks, first, n, dst, error);
    const uint64_t row = first / n_row, end = ceil_div(first + n, n_row);
    uint8_t *rows = ingot_allocate(NULL, (end - row) * n_row * block_bytes);
    if (rows == NULL) return ingot_fail_memory(error, (end - row) * n_row, "repacked rows");
    ingot_file_term(r->file, r->tensor, 0, &term);
    const ingot_status status =
        repack_integers(r->file, &term, stack, r->type, row, end - row, rows, error);
    if (status == INGOT_OK) {
        memcpy(dst, rows + (first - row * n_row) * block_bytes, (size_t)(n * block_bytes));
    }
    ingot_release(NULL, rows);
    return status;
}

ingot_status repack_read(const struct repack *repack, uint64_t offset, uint64_t n_bytes, void *dst,
                         ingot_error *error)
{
    const uint32_t block_bytes = repack->type->block_bytes;
    const uint64_t first = offset / block_bytes, end = ceil_div(offset + n_bytes, block_bytes);
    if (n_bytes == 0) return INGOT_OK;
    if (offset % block_bytes == 0 && n_bytes % block_bytes == 0) {
        return read_blocks(repack, first, end - first, dst, error);
    }
    uint8_t *blocks = ingot_allocate(NULL, (end - first) * block_bytes);
    if (blocks == NULL) return ingot_fail_memory(error, n_bytes, "blocks");
    const ingot_status status = read_blocks(repack, first, end - first, blocks, error);
    if (status == INGOT_OK) memcpy(dst, blocks + offset % block_bytes, (size_t)n_bytes);
    ingot_release(NULL, blocks);
    return status;
}

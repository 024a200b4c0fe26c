/* Sequences of codes. */
#include "format/sequences.h"

#include "format/alloc.h"
#include "format/dense_bits.h"
#include "format/fail.h"
#include "format/file.h"

/* ---- which there are ---- */

/* Looks for the sequence that `left` others come before. */
struct search {
    uint32_t left;
    uint32_t n_streams;
    bool found;
    struct code_sequence sequence;
};

static void pass_sequence(struct search *s, uint8_t bits, struct stack_shape shape,
                          const struct ingot_coding *coding)
{
    uint8_t widths[CODING_MAX_PLANES];
    if (s->found || bits == 0) return;
    if (s->left-- == 0) {
        s->sequence = (struct code_sequence){s->n_streams, bits, shape, coding};
        s->found = true;
    }
    s->n_streams += plane_widths(bits, widths);
}

/* Tables are at most two deep, which was proved. */
static void pass_coding(struct search *s, const struct ingot_coding *coding,
                        struct stack_shape stack)
{
    struct stack_shape codes = stack, signs = stack;
    if (coding->map == MAP_VECTOR) codes.n_cols = ceil_div(stack.n_cols, coding->vector_length);
    signs.n_cols = ceil_div(stack.n_cols, 8);
    pass_sequence(s, coding->index_bits, (struct stack_shape){1, 1, stack.n_cols}, NULL);
    pass_sequence(s, coding->bits, codes, coding);
    pass_sequence(s, coding->signs, signs, NULL);
    for (uint32_t i = 0; i < N_SLOTS && !s->found; i++) {
        struct stack_shape grid;
        if (!coding->slots[i].has_table) continue;
        if (!slot_grid(&coding->slots[i], stack, &grid)) return;
        pass_coding(s, coding->slots[i].table, grid);
    }
}

bool coding_sequence(const struct ingot_coding *coding, struct stack_shape stack, uint32_t number,
                     struct code_sequence *out)
{
    struct search s = {.left = number};
    pass_coding(&s, coding, stack);
    if (s.found) *out = s.sequence;
    return s.found;
}

static uint64_t n_codes(const struct code_sequence *sequence)
{
    return sequence->shape.n_matrices * sequence->shape.n_rows * sequence->shape.n_cols;
}

uint64_t sequence_bytes(const struct code_sequence *sequence)
{
    const uint64_t n = n_codes(sequence);
    return n / 8 * sequence->bits + ceil_div(n % 8 * sequence->bits, 8);
}

void turn_codes(uint8_t *bytes, uint64_t n_bytes, uint8_t bits)
{
    for (uint64_t i = 0; i < n_bytes; i++) {
        uint32_t v = bytes[i];
        v = v >> 4 | (v & 0x0f) << 4;
        if (bits <= 2) v = (v >> 2 & 0x33) | (v & 0x33) << 2;
        if (bits == 1) v = (v >> 1 & 0x55) | (v & 0x55) << 1;
        bytes[i] = (uint8_t)v;
    }
}

/* ---- reading ---- */

enum { BATCH_CODES = 1 << 16 };

static void store_code(uint8_t *dst, uint64_t bit, uint8_t bits, uint64_t code)
{
    for (uint8_t done = 0; done < bits;) {
        const uint8_t n = (uint8_t)(bits - done < 8 ? bits - done : 8);
        dense_store(dst, bit + done, n, (uint8_t)(code >> done & ((1u << n) - 1)));
        done = (uint8_t)(done + n);
    }
}

struct reading {
    const ingot_file *file;
    uint32_t first_stream;
    const struct code_sequence *sequence;
    ingot_error *error;
};

/* Codes [first, first + n) to packed bits, dst being zeroed. */
static ingot_status pack_codes(const struct reading *r, uint64_t first, uint64_t n, uint64_t *codes,
                               uint8_t *dst)
{
    const struct stack_shape shape = r->sequence->shape;
    const uint8_t bits = r->sequence->bits;
    const struct ingot_coding plain = {
        .map = MAP_UINT, .bits = bits, .codebook_stream = INGOT_NONE};
    struct file_bytes bytes = {r->file, NULL};
    const struct stream_provider provider = file_provider(&bytes);
    const uint32_t stream = r->first_stream + r->sequence->first_stream;
    ingot_status status = INGOT_OK;
    for (uint64_t done = 0; done < n && status == INGOT_OK;) {
        /* Whole rows at once where rows are short. */
        const uint64_t row = (first + done) / shape.n_cols, col = (first + done) % shape.n_cols;
        struct stack_part part = {row, 1, col, min_u64(shape.n_cols - col, n - done)};
        if (col == 0 && n - done >= shape.n_cols) part.n_rows = (n - done) / shape.n_cols;
        status = coding_codes(&plain, shape, stream, &provider, part, codes, r->error);
        const uint64_t n_part = part.n_rows * part.n_cols;
        for (uint64_t i = 0; i < n_part && status == INGOT_OK; i++) {
            store_code(dst, (done + i) * bits, bits, codes[i]);
        }
        done += n_part;
    }
    file_bytes_release(&bytes);
    return status;
}

static ingot_status read_packed(const struct reading *r, uint64_t offset, uint64_t n_bytes,
                                uint8_t *dst)
{
    const ingot_allocator *allocator = r->file->allocator;
    const uint8_t bits = r->sequence->bits;
    const uint64_t n_all = n_codes(r->sequence);
    const uint64_t capacity = (uint64_t)BATCH_CODES * bits / 8;
    uint64_t *codes = ingot_allocate(allocator, BATCH_CODES * sizeof *codes);
    uint8_t *dense = ingot_allocate(allocator, capacity);
    ingot_status status =
        codes && dense ? INGOT_OK : ingot_fail_memory(r->error, capacity, "codes");
    /* 8 codes are a whole number of bytes, so that batches begin at both. */
    const uint64_t end = offset + n_bytes;
    for (uint64_t at = offset / bits * bits; at < end && status == INGOT_OK; at += capacity) {
        const uint64_t first = at / bits * 8;
        const uint64_t wanted = ceil_div(min_u64(capacity, end - at), bits) * 8;
        const uint64_t n = min_u64(min_u64(wanted, BATCH_CODES), n_all - first);
        memset(dense, 0, (size_t)capacity);
        status = pack_codes(r, first, n, codes, dense);
        const uint64_t begin = max_u64(at, offset);
        const uint64_t stop = min_u64(at + capacity, end);
        if (status == INGOT_OK) {
            memcpy(dst + (begin - offset), dense + (begin - at), (size_t)(stop - begin));
        }
    }
    ingot_release(allocator, dense);
    ingot_release(allocator, codes);
    return status;
}

/* Whether the codes are one plane whose rows follow each other without padding. */
static bool is_packed(const struct code_sequence *sequence)
{
    uint8_t widths[CODING_MAX_PLANES];
    struct stream_shape plane;
    return plane_widths(sequence->bits, widths) == 1 &&
           plane_shape(sequence->bits, sequence->shape, &plane) &&
           plane.row_bits == plane.n_cols * sequence->bits;
}

ingot_status sequence_read(const ingot_file *file, uint32_t first_stream,
                           const struct code_sequence *sequence, uint64_t offset, uint64_t n_bytes,
                           uint8_t *dst, ingot_error *error)
{
    const struct reading r = {file, first_stream, sequence, error};
    if (n_bytes == 0) return INGOT_OK;
    if (is_packed(sequence)) {
        return ingot_file_read_stream(file, first_stream + sequence->first_stream, offset, n_bytes,
                                      dst, error);
    }
    return read_packed(&r, offset, n_bytes, dst);
}

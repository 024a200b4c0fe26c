/* Packed codes as a source file holds them. */
#include "format/source_packed.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"

enum { PIECE_BYTES = 1 << 20 };

void form_packed_write(struct byte_buffer *form, const struct packed_form *packed)
{
    buffer_u8(form, FORM_PACKED);
    buffer_u8(form, packed->what);
    buffer_u8(form, packed->first_high);
    buffer_u8(form, packed->rest);
    buffer_u32(form, packed->sequence);
}

static ingot_status fail_form(const char *why, ingot_error *error)
{
    return ingot_fail_rule(error, R_725, INGOT_NO_OFFSET, "source.segment.form", "%s", why);
}

static ingot_status read_form(struct span form, struct packed_form *out, ingot_error *error)
{
    struct cursor at = cursor_over(form.data, form.n_bytes);
    cursor_u8(&at);
    const uint8_t what = cursor_u8(&at);
    const uint8_t order = cursor_u8(&at);
    const uint8_t rest = cursor_u8(&at);
    const uint32_t sequence = cursor_u32(&at);
    if (at.failed || cursor_left(&at) > 0) return fail_form("not 8 bytes long", error);
    if (what > PACKED_CODEBOOK || order > 1) return fail_form("unknown what or order", error);
    *out = (struct packed_form){what, order == 1, rest, sequence};
    return INGOT_OK;
}

/* The bits of the last byte that hold codes. */
static uint8_t used_bits(const struct code_sequence *s, bool first_high)
{
    const uint64_t n = s->shape.n_matrices * s->shape.n_rows * s->shape.n_cols;
    const uint32_t used = (uint32_t)(n % 8 * s->bits % 8);
    if (used == 0) return 0xff;
    return (uint8_t)(first_high ? 0xff00u >> used : (1u << used) - 1);
}

/* Finds what a form says in a coding over a stack, and how many bytes it gives. INGOT_INVALID with
 * R-725 when the form and the coding do not fit each other. */
static ingot_status form_packed_find(const struct packed_form *packed,
                                     const struct ingot_coding *coding, struct stack_shape stack,
                                     struct code_sequence *sequence, ingot_error *error)
{
    struct code_sequence s;
    if (!coding_sequence(coding, stack, packed->sequence, &s)) {
        return fail_form("the tensor has not so many sequences", error);
    }
    if (packed->what == PACKED_CODEBOOK) {
        if (s.coding == NULL || s.coding->codebook_stream == INGOT_NONE) {
            return fail_form("the sequence has no codebook", error);
        }
        if (packed->first_high || packed->rest) {
            return fail_form("a codebook has no order and no rest", error);
        }
    } else {
        if (packed->first_high && s.bits != 1 && s.bits != 2 && s.bits != 4) {
            return fail_form("only codes of 1, 2 or 4 bits have an order", error);
        }
        if (packed->rest & used_bits(&s, packed->first_high)) {
            return fail_form("the rest has bits that hold codes", error);
        }
    }
    *sequence = s;
    return INGOT_OK;
}

static ingot_status put_codes(const ingot_file *file, uint32_t first_stream,
                              const struct code_sequence *s, const struct packed_form *packed,
                              const struct byte_sink *sink, ingot_error *error)
{
    const uint64_t n_bytes = sequence_bytes(s);
    uint8_t *piece = ingot_allocate(file->allocator, PIECE_BYTES);
    ingot_status status = INGOT_OK;
    if (piece == NULL) return ingot_fail_memory(error, PIECE_BYTES, "packed codes");
    for (uint64_t done = 0; done < n_bytes && status == INGOT_OK; done += PIECE_BYTES) {
        const uint64_t n = min_u64(PIECE_BYTES, n_bytes - done);
        status = sequence_read(file, first_stream, s, done, n, piece, error);
        if (status != INGOT_OK) break;
        if (packed->first_high) turn_codes(piece, n, s->bits);
        if (done + n == n_bytes) piece[n - 1] = (uint8_t)(piece[n - 1] | packed->rest);
        status = sink->put(sink->context, piece, n, error);
    }
    ingot_release(file->allocator, piece);
    return status;
}

static ingot_status put_codebook(const ingot_file *file, uint32_t stream,
                                 const struct byte_sink *sink, ingot_error *error)
{
    const uint64_t n_bytes = ingot_file_stream_bytes(file, stream);
    uint8_t *piece = ingot_allocate(file->allocator, PIECE_BYTES);
    ingot_status status = INGOT_OK;
    if (piece == NULL) return ingot_fail_memory(error, PIECE_BYTES, "codebook");
    for (uint64_t done = 0; done < n_bytes && status == INGOT_OK; done += PIECE_BYTES) {
        const uint64_t n = min_u64(PIECE_BYTES, n_bytes - done);
        status = ingot_file_read_stream(file, stream, done, n, piece, error);
        if (status == INGOT_OK) status = sink->put(sink->context, piece, n, error);
    }
    ingot_release(file->allocator, piece);
    return status;
}

ingot_status form_packed_put(const ingot_file *file, uint32_t tensor, struct span form,
                             const struct byte_sink *sink, ingot_error *error)
{
    struct packed_form packed = {0};
    struct code_sequence sequence;
    struct file_term term;
    ingot_tensor t;
    uint32_t first_rescale;
    ingot_status status = read_form(form, &packed, error);
    if (status != INGOT_OK) return status;
    ingot_file_tensor(file, tensor, &t);
    ingot_file_term(file, tensor, 0, &term);
    if (t.n_terms != 1 || term.kind != TERM_DENSE || term.coding->map == MAP_OPAQUE ||
        ingot_file_rescale(file, tensor, &first_rescale)) {
        return fail_form("packed, of a tensor that is not one dense term of codes", error);
    }
    status = form_packed_find(&packed, term.coding, ingot_file_layout(file, tensor).shape,
                              &sequence, error);
    if (status != INGOT_OK) return status;
    if (packed.what == PACKED_CODEBOOK) {
        return put_codebook(file, sequence.coding->codebook_stream, sink, error);
    }
    return put_codes(file, term.first_stream, &sequence, &packed, sink, error);
}

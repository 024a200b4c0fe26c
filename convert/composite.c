/* Composites. */
#include "convert/composite.h"

#include <assert.h>

#include "format/alloc.h"
#include "format/decode.h"
#include "format/dense_bits.h"
#include "format/fail.h"

enum { PIECE_BYTES = 1 << 20 };

void composite_release(struct composite *composite)
{
    for (uint32_t i = 0; i < composite->n_parts; i++) buffer_release(&composite->parts[i].bytes);
}

const struct composite_part *composite_stream_part(const struct composite *composite,
                                                   uint32_t stream)
{
    for (uint32_t i = 0; i < composite->n_parts; i++) {
        const struct composite_part *part = &composite->parts[i];
        if (part->kind == PART_CODES && part->form.sequence == stream) return part;
    }
    return NULL;
}

uint64_t composite_source_bytes(const struct composite *composite)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < composite->n_parts; i++) {
        struct model_tensor t;
        model_tensor(composite->source, composite->parts[i].source, &t);
        n_bytes += t.stored_bytes;
    }
    return n_bytes;
}

/* ------------------------------------------------------------------ streams */

static ingot_status read_source(void *context, const struct composite_part *part, uint64_t offset,
                                uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct composite *composite = context;
    return model_read_raw(composite->source, part->source, offset, n_bytes, dst, error);
}

struct part_reader composite_reader(const struct composite *composite)
{
    return (struct part_reader){(void *)(uintptr_t)composite, read_source};
}

/* Packed bytes in the order of planes, without what lies behind the last code. */
static ingot_status read_packed(const struct composite_part *part, uint8_t bits, uint64_t n_all,
                                const struct part_reader *reader, uint64_t offset, uint64_t n_bytes,
                                uint8_t *dst, ingot_error *error)
{
    const ingot_status status = reader->read(reader->context, part, offset, n_bytes, dst, error);
    if (status != INGOT_OK || n_bytes == 0) return status;
    if (offset + n_bytes == n_all)
        dst[n_bytes - 1] = (uint8_t)(dst[n_bytes - 1] & ~part->form.rest);
    if (part->form.first_high) turn_codes(dst, n_bytes, bits);
    return INGOT_OK;
}

/* Rows that are padded in the plane, which begin at whole bytes there. */
static ingot_status read_rows(const struct composite_part *part, const struct stream_shape *shape,
                              const struct part_reader *reader, uint64_t first_row, uint64_t n_rows,
                              uint8_t *dst, ingot_error *error)
{
    const uint8_t bits = shape->bits;
    const uint64_t n_all = ceil_div(shape->n_rows * shape->n_cols * bits, 8);
    const uint64_t begin = first_row * shape->n_cols * bits;
    const uint64_t end = begin + n_rows * shape->n_cols * bits;
    const uint64_t n_bytes = ceil_div(end, 8) - begin / 8;
    uint8_t *packed = ingot_allocate(NULL, n_bytes + 1);
    if (packed == NULL) return ingot_fail_memory(error, n_bytes, "packed rows");
    const ingot_status status =
        read_packed(part, bits, n_all, reader, begin / 8, n_bytes, packed, error);
    for (uint64_t r = 0; r < n_rows && status == INGOT_OK; r++) {
        for (uint64_t c = 0; c < shape->n_cols; c++) {
            const uint64_t at = begin % 8 + (r * shape->n_cols + c) * bits;
            dense_store(dst, r * shape->row_bits + c * bits, bits, dense_load(packed, at, bits));
        }
    }
    ingot_release(NULL, packed);
    return status;
}

/* A part of padded rows, in steps of whole rows. */
static ingot_status read_padded(const struct composite_part *part, const struct stream_shape *shape,
                                const struct part_reader *reader, uint64_t offset, uint64_t n_bytes,
                                uint8_t *dst, ingot_error *error)
{
    const uint64_t row_bytes = shape->row_bits / 8, end = offset + n_bytes;
    const uint64_t step = max_u64(1, PIECE_BYTES / row_bytes);
    const uint64_t end_row = ceil_div(end, row_bytes);
    uint8_t *rows = ingot_allocate(NULL, min_u64(step, end_row - offset / row_bytes) * row_bytes);
    ingot_status status = INGOT_OK;
    if (rows == NULL) return ingot_fail_memory(error, step * row_bytes, "rows");
    for (uint64_t row = offset / row_bytes; row < end_row && status == INGOT_OK; row += step) {
        const uint64_t n = min_u64(step, end_row - row);
        memset(rows, 0, (size_t)(n * row_bytes));
        status = read_rows(part, shape, reader, row, n, rows, error);
        const uint64_t from = max_u64(offset, row * row_bytes);
        const uint64_t to = min_u64(end, (row + n) * row_bytes);
        memcpy(dst + (from - offset), rows + (from - row * row_bytes), (size_t)(to - from));
    }
    ingot_release(NULL, rows);
    return status;
}

ingot_status composite_read_stream(const struct composite *composite, uint32_t stream,
                                   const struct stream_shape *shape,
                                   const struct part_reader *reader, uint64_t offset,
                                   uint64_t n_bytes, uint8_t *dst, ingot_error *error)
{
    const struct composite_part *part = composite_stream_part(composite, stream);
    assert(part);
    if (n_bytes == 0) return INGOT_OK;
    if (shape->row_bits != shape->n_cols * shape->bits) {
        return read_padded(part, shape, reader, offset, n_bytes, dst, error);
    }
    return read_packed(part, shape->bits, shape->n_bytes, reader, offset, n_bytes, dst, error);
}

/* ------------------------------------------------------------------ values */

/* What the decoder asked for, freed when it is done. */
struct asked {
    const struct composite *composite;
    struct part_reader reader;
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n_pieces;
    uint8_t *pieces[CODING_MAX_STREAMS];
};

static ingot_status get_stream(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                               const uint8_t **data, ingot_error *error)
{
    struct asked *a = context;
    assert(a->n_pieces < CODING_MAX_STREAMS);
    uint8_t *piece = ingot_allocate_zeroed(NULL, n_bytes, 1);
    if (piece == NULL) return ingot_fail_memory(error, n_bytes, "codes");
    a->pieces[a->n_pieces++] = piece;
    *data = piece;
    return composite_read_stream(a->composite, stream, &a->shapes[stream], &a->reader, offset,
                                 n_bytes, piece, error);
}

static ingot_status get_codebook(void *context, const struct ingot_coding *coding,
                                 const uint8_t **entries, ingot_error *error)
{
    const struct composite *c = ((const struct asked *)context)->composite;
    (void)error;
    *entries = c->parts[c->books[coding->codebook_stream]].bytes.data;
    return INGOT_OK;
}

ingot_status composite_decode(const struct composite *composite, uint64_t first_row,
                              uint64_t n_rows, float *dst, ingot_error *error)
{
    struct asked *a = ingot_allocate_zeroed(NULL, 1, sizeof *a);
    uint32_t n_streams;
    if (a == NULL) return ingot_fail_memory(error, sizeof *a, "decoder");
    a->composite = composite;
    a->reader = composite_reader(composite);
    const struct stream_provider provider = {a, get_stream, get_codebook, NULL};
    const struct stack_part part = {first_row, n_rows, 0, composite->shape.n_cols};
    ingot_status status =
        coding_streams(&composite->coding, composite->shape, a->shapes, &n_streams)
            ? coding_decode(&composite->coding, composite->shape, 0, &provider, part, dst, error)
            : ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "tensor", "too large a shape");
    for (uint32_t i = 0; i < a->n_pieces; i++) ingot_release(NULL, a->pieces[i]);
    ingot_release(NULL, a);
    return status;
}

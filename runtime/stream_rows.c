/* Rows of streams, moved to where backends want them. Knows nothing of what the bits mean. */
#include "runtime/stream_rows.h"

#include <assert.h>

#include "format/bytes.h"
#include "format/records.h"
#include "runtime/backend.h"

/* The trailer lies after all chunks, so that what lies in a file has its slack there. */
static_assert((int)TRAILER_BYTES >= (int)RESIDENT_SLACK_BYTES, "slack");

uint64_t stream_row_bytes(uint8_t bits, uint64_t n_cols)
{
    return bits < 8 ? ceil_div(n_cols * bits, 32) * 4 : n_cols * (bits / 8);
}

/* Copies n_bits bits that begin at bit `first_bit` of src to the start of dst, whose last byte is
 * filled up with zeros:
 *
 *     src    .... ...a bbbb bbba      the byte of dst is bits 1 to 7 of the first byte and bit 0
 *     dst    abbb bbbb                of the next one, when first_bit is 1
 */
static void copy_bits(uint8_t *dst, const uint8_t *src, uint64_t first_bit, uint64_t n_bits)
{
    const uint32_t shift = (uint32_t)(first_bit % 8);
    const uint64_t n_bytes = ceil_div(n_bits, 8);
    const uint64_t n_src = ceil_div(shift + n_bits, 8);
    src += first_bit / 8;
    for (uint64_t i = 0; i < n_bytes; i++) {
        const uint32_t next = i + 1 < n_src ? src[i + 1] : 0;
        dst[i] = (uint8_t)((src[i] | next << 8) >> shift);
    }
    if (n_bits % 8 != 0) dst[n_bytes - 1] &= (uint8_t)((1u << n_bits % 8) - 1);
}

/* Where n_rows rows of n_bits bits begin in a stream, row_bits apart. */
struct piece {
    struct row_source source;
    uint64_t first_bit;
    uint64_t row_bits;
    uint64_t n_bits;
    uint64_t n_rows;
};

static ingot_status read_bytes(const struct piece *piece, uint64_t n_bytes, void *dst,
                               ingot_error *error)
{
    const struct row_source *source = &piece->source;
    return ingot_file_load_stream(source->file, source->stream, piece->first_bit / 8, n_bytes,
                                  source->pool, dst, error);
}

/* Through a copy of the bytes as they lie in the stream. */
static ingot_status move_rows(const struct piece *piece, uint64_t row_bytes, uint8_t *dst,
                              const ingot_allocator *allocator, ingot_error *error)
{
    struct store temporary = {.allocator = allocator};
    const uint64_t last_bit =
        piece->first_bit + (piece->n_rows - 1) * piece->row_bits + piece->n_bits;
    const uint64_t n_bytes = ceil_div(last_bit, 8) - piece->first_bit / 8;
    void *bytes;
    ingot_status status = store_take(&temporary, n_bytes, "stream rows", &bytes, error);
    if (status != INGOT_OK) goto done;
    status = read_bytes(piece, n_bytes, bytes, error);
    if (status != INGOT_OK) goto done;
    memset(dst, 0, (size_t)(piece->n_rows * row_bytes));
    for (uint64_t i = 0; i < piece->n_rows; i++) {
        const uint64_t bit = piece->first_bit % 8 + i * piece->row_bits;
        copy_bits(dst + i * row_bytes, bytes, bit, piece->n_bits);
    }
done:
    store_release(&temporary);
    return status;
}

static bool lies_right(const struct piece *piece, uint64_t row_bytes)
{
    return piece->first_bit % 8 == 0 && piece->row_bits == row_bytes * 8;
}

static ingot_status read_rows_to(const struct piece *piece, uint64_t row_bytes,
                                 const ingot_allocator *allocator, uint8_t *dst, ingot_error *error)
{
    const uint64_t total = piece->n_rows * row_bytes;
    if (total == 0) return INGOT_OK;
    if (lies_right(piece, row_bytes)) return read_bytes(piece, total, dst, error);
    return move_rows(piece, row_bytes, dst, allocator, error);
}

static ingot_status read_rows(const struct piece *piece, uint64_t row_bytes, struct store *store,
                              const uint8_t **rows, ingot_error *error)
{
    void *dst;
    ingot_status status = store_take(store, piece->n_rows * row_bytes, "matrix", &dst, error);
    if (status != INGOT_OK) return status;
    status = read_rows_to(piece, row_bytes, store->allocator, dst, error);
    if (status == INGOT_OK) *rows = dst;
    return status;
}

static struct piece piece_of(struct row_source source, const struct stream_shape *shape,
                             uint64_t first_row, uint64_t n_rows)
{
    return (struct piece){
        .source = source,
        .first_bit = first_row * shape->row_bits,
        .row_bits = shape->row_bits,
        .n_bits = shape->n_cols * shape->bits,
        .n_rows = n_rows,
    };
}

ingot_status stream_rows_read(struct row_source source, const struct stream_shape *shape,
                              uint64_t first_row, uint64_t n_rows, struct store *store,
                              const uint8_t **rows, ingot_error *error)
{
    const struct piece piece = piece_of(source, shape, first_row, n_rows);
    return read_rows(&piece, stream_row_bytes(shape->bits, shape->n_cols), store, rows, error);
}

ingot_status stream_rows_read_to(struct row_source source, const struct stream_shape *shape,
                                 uint64_t first_row, uint64_t n_rows,
                                 const ingot_allocator *allocator, uint8_t *rows,
                                 ingot_error *error)
{
    const struct piece piece = piece_of(source, shape, first_row, n_rows);
    const uint64_t row_bytes = stream_row_bytes(shape->bits, shape->n_cols);
    return read_rows_to(&piece, row_bytes, allocator, rows, error);
}

const uint8_t *stream_rows_place(struct row_source source, const struct stream_shape *shape,
                                 uint64_t first_row, uint64_t n_rows)
{
    const struct piece piece = piece_of(source, shape, first_row, n_rows);
    const uint64_t row_bytes = stream_row_bytes(shape->bits, shape->n_cols);
    if (!lies_right(&piece, row_bytes)) return NULL;
    const uint8_t *place = ingot_file_stream_place(source.file, source.stream, piece.first_bit / 8,
                                                   n_rows * row_bytes);
    return (uintptr_t)place % max_u64(shape->bits / 8, 1) == 0 ? place : NULL;
}

ingot_status stream_rows_check(struct row_source source, const struct stream_shape *shape,
                               uint64_t first_row, uint64_t n_rows, ingot_error *error)
{
    const struct piece piece = piece_of(source, shape, first_row, n_rows);
    const uint64_t row_bytes = stream_row_bytes(shape->bits, shape->n_cols);
    return ingot_file_check_stream(source.file, source.stream, piece.first_bit / 8,
                                   n_rows * row_bytes, source.pool, error);
}

ingot_status stream_elements_read(struct row_source source, uint8_t bits, uint64_t first,
                                  uint64_t n, struct store *store, const uint8_t **row,
                                  ingot_error *error)
{
    /* row_bits is n_bits: the elements are copied as they lie only when they are whole words. */
    const struct piece piece = {
        .source = source,
        .first_bit = first * bits,
        .row_bits = n * bits,
        .n_bits = n * bits,
        .n_rows = 1,
    };
    return read_rows(&piece, stream_row_bytes(bits, n), store, row, error);
}

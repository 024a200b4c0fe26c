/* Rows of streams, moved to where backends want them. Knows nothing of what the bits mean. */
#include "runtime/stream_rows.h"

#include "format/bytes.h"

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
struct source {
    const ingot_file *file;
    uint32_t stream;
    uint64_t first_bit;
    uint64_t row_bits;
    uint64_t n_bits;
    uint64_t n_rows;
};

/* Through a copy of the bytes as they lie in the stream. */
static ingot_status move_rows(const struct source *source, uint64_t row_bytes, uint8_t *dst,
                              const ingot_allocator *allocator, ingot_error *error)
{
    struct store temporary = {.allocator = allocator};
    const uint64_t first_byte = source->first_bit / 8;
    const uint64_t last_bit =
        source->first_bit + (source->n_rows - 1) * source->row_bits + source->n_bits;
    const uint64_t n_bytes = ceil_div(last_bit, 8) - first_byte;
    void *bytes;
    ingot_status status = store_take(&temporary, n_bytes, "stream rows", &bytes, error);
    if (status != INGOT_OK) goto done;
    status =
        ingot_file_read_stream(source->file, source->stream, first_byte, n_bytes, bytes, error);
    if (status != INGOT_OK) goto done;
    memset(dst, 0, (size_t)(source->n_rows * row_bytes));
    for (uint64_t i = 0; i < source->n_rows; i++) {
        const uint64_t bit = source->first_bit % 8 + i * source->row_bits;
        copy_bits(dst + i * row_bytes, bytes, bit, source->n_bits);
    }
done:
    store_release(&temporary);
    return status;
}

static ingot_status read_rows(const struct source *source, uint64_t row_bytes, struct store *store,
                              const uint8_t **rows, ingot_error *error)
{
    const uint64_t total = source->n_rows * row_bytes;
    void *dst;
    ingot_status status = store_take(store, total, "matrix", &dst, error);
    if (status != INGOT_OK) return status;
    const bool as_it_lies = source->first_bit % 8 == 0 && source->row_bits == row_bytes * 8;
    if (total > 0 && as_it_lies) {
        status = ingot_file_read_stream(source->file, source->stream, source->first_bit / 8, total,
                                        dst, error);
    } else if (total > 0) {
        status = move_rows(source, row_bytes, dst, store->allocator, error);
    }
    if (status == INGOT_OK) *rows = dst;
    return status;
}

ingot_status stream_rows_read(const ingot_file *file, uint32_t stream,
                              const struct stream_shape *shape, uint64_t first_row, uint64_t n_rows,
                              struct store *store, const uint8_t **rows, ingot_error *error)
{
    const struct source source = {
        .file = file,
        .stream = stream,
        .first_bit = first_row * shape->row_bits,
        .row_bits = shape->row_bits,
        .n_bits = shape->n_cols * shape->bits,
        .n_rows = n_rows,
    };
    return read_rows(&source, stream_row_bytes(shape->bits, shape->n_cols), store, rows, error);
}

ingot_status stream_elements_read(const ingot_file *file, uint32_t stream, uint8_t bits,
                                  uint64_t first, uint64_t n, struct store *store,
                                  const uint8_t **row, ingot_error *error)
{
    /* row_bits is n_bits: the elements are copied as they lie only when they are whole words. */
    const struct source source = {
        .file = file,
        .stream = stream,
        .first_bit = first * bits,
        .row_bits = n * bits,
        .n_bits = n * bits,
        .n_rows = 1,
    };
    return read_rows(&source, stream_row_bytes(bits, n), store, row, error);
}

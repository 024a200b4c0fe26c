/* The words of a layout: where each part of a piece is, and writing them in that order. */
#include <assert.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/floats.h"
#include "vulkan/sparse.h"
#include "vulkan/stream.h"

static uint64_t whole_quads(uint64_t n_words)
{
    return ceil_div(n_words, 4) * 4;
}

void ingot_vk_layout_fill(struct vk_stream *stream, uint64_t word)
{
    if (stream->status != INGOT_OK) return; /* nothing counts any more */
    assert(stream->n_written <= word * 4);
    ingot_vk_stream_write_zeros(stream, word * 4 - stream->n_written);
}

/* ------------------------------------------------------------------ values of the map */

static const uint64_t book_bytes[] = {[BOOK_I8] = 1, [BOOK_F16] = 2, [BOOK_F32] = 4};

static uint64_t n_book_words(const struct vk_layout *layout)
{
    if (strcmp(layout->map, "lookup") == 0) return UINT64_C(1) << layout->specs[SPEC_BITS];
    return ceil_div(layout->vector_book_values * book_bytes[layout->specs[SPEC_BOOK]], 4);
}

static void write_book(const struct vk_layout *layout, struct vk_stream *stream)
{
    const float *const values = layout->dense->codebook;
    if (strcmp(layout->map, "lookup") == 0) {
        ingot_vk_stream_write(stream, layout->book, n_book_words(layout) * 4);
        return;
    }
    for (uint64_t i = 0; i < layout->vector_book_values; i++) {
        uint8_t bytes[4];
        const uint32_t form = layout->specs[SPEC_BOOK];
        if (form == BOOK_I8) bytes[0] = (uint8_t)(int8_t)values[i];
        if (form == BOOK_F16) store_u16(bytes, f16_from_f32(values[i]));
        if (form == BOOK_F32) store_f32(bytes, values[i]);
        ingot_vk_stream_write(stream, bytes, book_bytes[form]);
    }
}

void ingot_vk_layout_place_tables(const struct vk_layout *layout, uint64_t first_row,
                                  uint64_t n_rows, struct vk_header *header, uint64_t *n_words)
{
    header->book = (uint32_t)*n_words;
    *n_words += n_book_words(layout);
    for (uint32_t t = 0; t < N_TABLES; t++) {
        ingot_vk_entries_place(&layout->tables[t], first_row, n_rows, &header->tables[t], n_words);
    }
    *n_words = whole_quads(*n_words);
}

void ingot_vk_layout_write_tables(const struct vk_layout *layout, uint64_t first_row,
                                  uint64_t n_rows, const struct vk_header *header,
                                  struct vk_stream *stream)
{
    ingot_vk_layout_fill(stream, header->book);
    write_book(layout, stream);
    ingot_vk_layout_fill(stream, header->book + n_book_words(layout));
    for (uint32_t t = 0; t < N_TABLES; t++) {
        ingot_vk_entries_write(&layout->tables[t], first_row, n_rows, stream);
    }
}

/* ------------------------------------------------------------------ rows of codes */

uint64_t ingot_vk_layout_place(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                               struct vk_header *header)
{
    if (layout->sparse) return ingot_vk_sparse_place(layout, first_row, n_rows, header);
    uint64_t n_words = sizeof *header / 4;
    *header = (struct vk_header){.row_words = (uint32_t)layout->row_words,
                                 .row_steps = layout->row_steps,
                                 .room = layout->room,
                                 .sign_words = (uint32_t)layout->sign_words};
    ingot_vk_layout_place_tables(layout, first_row, n_rows, header, &n_words);
    header->codes = (uint32_t)n_words;
    n_words += whole_quads(n_rows * layout->row_words);
    header->signs = (uint32_t)n_words;
    return n_words + whole_quads(n_rows * layout->sign_words);
}

static uint64_t dense_rows(const struct vk_layout *layout, uint64_t n_bytes)
{
    struct vk_header header;
    uint64_t row_bytes = (layout->row_words + layout->sign_words) * 4;
    for (uint32_t t = 0; t < N_TABLES; t++) {
        row_bytes += ingot_vk_entries_row_bytes(&layout->tables[t]);
    }
    /* What one row takes alone, and what filling up may take. */
    const uint64_t fixed_bytes = ingot_vk_layout_place(layout, 0, 1, &header) * 4 + 64;
    if (n_bytes <= fixed_bytes) return 1;
    return 1 + (n_bytes - fixed_bytes) / max_u64(row_bytes, 1);
}

/* Of kept values each row has as many as it has. */
static uint64_t sparse_rows(const struct vk_layout *layout, uint64_t first_row, uint64_t n_bytes)
{
    struct vk_header header;
    uint64_t low = 1, high = layout->n_rows - first_row;
    while (low < high) {
        const uint64_t n = low + (high - low + 1) / 2;
        if (ingot_vk_layout_place(layout, first_row, n, &header) * 4 <= n_bytes)
            low = n;
        else
            high = n - 1;
    }
    return low;
}

uint64_t ingot_vk_layout_rows(const struct vk_layout *layout, uint64_t first_row, uint64_t n_bytes)
{
    if (layout->sparse) return sparse_rows(layout, first_row, n_bytes);
    return min_u64(dense_rows(layout, n_bytes), layout->n_rows - first_row);
}

/* One row of planes, each filled up to the room of a row. */
static void write_planes(const struct resident_plane *planes, uint32_t n_planes, uint64_t row,
                         uint64_t n_codes, uint64_t room_codes, struct vk_stream *stream)
{
    for (uint32_t i = 0; i < n_planes; i++) {
        const struct resident_plane *const plane = &planes[i];
        const uint64_t n_bytes = ceil_div(n_codes * plane->bits, 8);
        const uint64_t n_room = room_codes * plane->bits / 8;
        ingot_vk_stream_write(stream, plane->data + row * plane->row_bytes, n_bytes);
        ingot_vk_stream_write_zeros(stream, n_room - n_bytes);
    }
}

static void write_rows(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                       struct vk_stream *stream)
{
    const struct resident_dense *const dense = layout->dense;
    const uint64_t length = max_u64(dense->coding->vector_length, 1);
    const uint64_t room = (uint64_t)layout->room * layout->step_cols / length;
    for (uint64_t r = 0; r < n_rows; r++) {
        write_planes(dense->planes, dense->n_planes, first_row + r, ceil_div(dense->n_cols, length),
                     room, stream);
    }
}

static void write_sign_rows(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                            struct vk_stream *stream)
{
    const struct resident_dense *const dense = layout->dense;
    for (uint64_t r = 0; r < n_rows; r++) {
        write_planes(dense->signs, dense->n_sign_planes, first_row + r, ceil_div(dense->n_cols, 8),
                     layout->room * UINT64_C(4), stream);
    }
}

/* Rows whose codes are brought to another order; `codes` has room for a row of them. */
static void write_ordered_rows(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                               uint32_t *codes, uint8_t *bytes, struct vk_stream *stream)
{
    const struct resident_dense *const dense = layout->dense;
    const uint64_t room = (uint64_t)layout->room * STEP_COLS;
    for (uint64_t r = 0; r < n_rows; r++) {
        uint32_t shift = 0;
        resident_codes(dense->planes, dense->n_planes, first_row + r, 0, (uint32_t)dense->n_cols,
                       codes);
        for (uint32_t p = 0; p < dense->n_planes; p++) {
            const uint32_t bits = dense->planes[p].bits;
            memset(bytes, 0, room * bits / 8);
            for (uint64_t i = 0; i < layout->n_cols; i++) {
                const uint32_t col = layout->order[i];
                if (col == INGOT_NONE) continue;
                const uint32_t code = codes[col] >> shift & ((1u << bits) - 1);
                bytes[i * bits / 8] |= (uint8_t)(code << (i * bits % 8));
            }
            ingot_vk_stream_write(stream, bytes, room * bits / 8);
            shift += bits;
        }
    }
}

static void write_decoded_rows(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                               float *row, struct vk_stream *stream)
{
    const uint64_t n_cols = layout->dense->n_cols;
    for (uint64_t r = 0; r < n_rows; r++) {
        resident_decode(layout->dense, first_row + r, 0, n_cols, row);
        ingot_vk_stream_write(stream, row, n_cols * sizeof *row);
        ingot_vk_stream_write_zeros(stream, layout->row_words * 4 - n_cols * sizeof *row);
    }
}

/* Rows that are worked out need room for one of them. */
static void write_made_rows(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                            struct vk_stream *stream)
{
    const ingot_allocator *const allocator = stream->device->allocator;
    /* Codes or floats, and a plane of at most 8 bits. */
    const uint64_t n = max_u64(layout->dense->n_cols, (uint64_t)layout->room * layout->step_cols);
    uint8_t *const memory = ingot_allocate(allocator, n * 5);
    if (!memory) {
        ingot_vk_stream_fail(stream, ingot_fail_memory(stream->error, n * 5, "row"));
        return;
    }
    if (layout->decoded) {
        write_decoded_rows(layout, first_row, n_rows, (float *)(void *)memory, stream);
    } else {
        write_ordered_rows(layout, first_row, n_rows, (uint32_t *)(void *)memory, memory + n * 4,
                           stream);
    }
    ingot_release(allocator, memory);
}

void ingot_vk_layout_write(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                           struct vk_stream *stream)
{
    struct vk_header header;
    if (layout->sparse) {
        ingot_vk_sparse_write(layout, first_row, n_rows, stream);
        return;
    }
    const uint64_t n_words = ingot_vk_layout_place(layout, first_row, n_rows, &header);
    ingot_vk_stream_write(stream, &header, sizeof header);
    ingot_vk_layout_write_tables(layout, first_row, n_rows, &header, stream);
    ingot_vk_layout_fill(stream, header.codes);
    if (layout->decoded || layout->reordered) {
        write_made_rows(layout, first_row, n_rows, stream);
    } else {
        write_rows(layout, first_row, n_rows, stream);
    }
    ingot_vk_layout_fill(stream, header.signs);
    if (layout->sign_words > 0) write_sign_rows(layout, first_row, n_rows, stream);
    ingot_vk_layout_fill(stream, n_words);
}

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

/* Rows of planes of codes or of sign codes, as they are in memory or from the file. */
struct code_rows {
    const struct vk_layout *layout;
    const struct resident_plane *planes;
    uint32_t n_planes;
    bool signs;
    uint64_t n_codes; /* of a row */
    uint64_t room;    /* codes that a row of the region has room for */
    uint64_t first_row;
    const ingot_allocator *allocator;
};

static uint64_t room_bytes(const struct code_rows *rows)
{
    uint64_t n_bits = 0;
    for (uint32_t i = 0; i < rows->n_planes; i++) n_bits += rows->planes[i].bits;
    return rows->room * n_bits / 8;
}

/* n rows from `first` on, of which codes that are unread are read to *memory, which the caller
 * releases. */
static ingot_status open_planes(const struct code_rows *rows, uint64_t first, uint64_t n,
                                struct resident_plane *planes, uint8_t **memory, ingot_error *error)
{
    const struct resident_unread *const unread = rows->layout->dense->unread;
    uint8_t *places[CODING_MAX_PLANES];
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < rows->n_planes; i++) {
        planes[i] = rows->planes[i];
        if (!unread) planes[i].data += (rows->first_row + first) * planes[i].row_bytes;
        n_bytes += n * planes[i].row_bytes;
    }
    if (!unread) return INGOT_OK;
    *memory = ingot_allocate(rows->allocator, n_bytes);
    if (!*memory) return ingot_fail_memory(error, n_bytes, "rows of codes");
    uint8_t *at = *memory;
    for (uint32_t i = 0; i < rows->n_planes; i++) {
        planes[i].data = places[i] = at;
        at += n * planes[i].row_bytes;
    }
    return unread->read(unread, rows->first_row + first, n, rows->signs, places, error);
}

/* Each row of planes, filled up to the room of a row. */
static ingot_status make_rows(const void *context, uint64_t first, uint64_t n, uint8_t *dst,
                              ingot_error *error)
{
    const struct code_rows *const rows = context;
    struct resident_plane planes[CODING_MAX_PLANES];
    uint8_t *memory = NULL;
    const ingot_status status = open_planes(rows, first, n, planes, &memory, error);
    for (uint64_t r = 0; r < n && status == INGOT_OK; r++) {
        for (uint32_t i = 0; i < rows->n_planes; i++) {
            const uint64_t n_bytes = ceil_div(rows->n_codes * planes[i].bits, 8);
            const uint64_t n_room = rows->room * planes[i].bits / 8;
            memcpy(dst, planes[i].data + r * planes[i].row_bytes, n_bytes);
            memset(dst + n_bytes, 0, n_room - n_bytes);
            dst += n_room;
        }
    }
    ingot_release(rows->allocator, memory);
    return status;
}

/* One row whose codes are brought to another order. */
static void order_row(const struct code_rows *rows, const struct resident_plane *planes,
                      const uint32_t *codes, uint8_t *dst)
{
    const struct vk_layout *const layout = rows->layout;
    uint32_t shift = 0;
    memset(dst, 0, room_bytes(rows));
    for (uint32_t p = 0; p < rows->n_planes; p++) {
        const uint32_t bits = planes[p].bits;
        for (uint64_t i = 0; i < layout->n_cols; i++) {
            const uint32_t col = layout->order[i];
            if (col == INGOT_NONE) continue;
            const uint32_t code = codes[col] >> shift & ((1u << bits) - 1);
            dst[i * bits / 8] |= (uint8_t)(code << (i * bits % 8));
        }
        dst += rows->room * bits / 8;
        shift += bits;
    }
}

static ingot_status make_ordered_rows(const void *context, uint64_t first, uint64_t n, uint8_t *dst,
                                      ingot_error *error)
{
    const struct code_rows *const rows = context;
    struct resident_plane planes[CODING_MAX_PLANES];
    uint8_t *memory = NULL;
    ingot_status status = open_planes(rows, first, n, planes, &memory, error);
    uint32_t *codes = ingot_allocate_zeroed(rows->allocator, rows->n_codes, sizeof *codes);
    if (status == INGOT_OK && !codes) {
        status = ingot_fail_memory(error, rows->n_codes * sizeof *codes, "row");
    }
    for (uint64_t r = 0; r < n && status == INGOT_OK; r++) {
        resident_codes(planes, rows->n_planes, r, 0, (uint32_t)rows->n_codes, codes);
        order_row(rows, planes, codes, dst + r * room_bytes(rows));
    }
    ingot_release(rows->allocator, codes);
    ingot_release(rows->allocator, memory);
    return status;
}

static ingot_status make_decoded_rows(const void *context, uint64_t first, uint64_t n, uint8_t *dst,
                                      ingot_error *error)
{
    const struct code_rows *const rows = context;
    const struct resident_dense *const dense = rows->layout->dense;
    const uint64_t row_bytes = rows->layout->row_words * 4;
    (void)error;
    for (uint64_t r = 0; r < n; r++) {
        uint8_t *const to = dst + r * row_bytes;
        resident_decode(dense, rows->first_row + first + r, 0, dense->n_cols, (float *)(void *)to);
        memset(to + dense->n_cols * sizeof(float), 0, row_bytes - dense->n_cols * sizeof(float));
    }
    return INGOT_OK;
}

static void write_codes(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                        struct vk_stream *stream)
{
    const struct resident_dense *const dense = layout->dense;
    const uint64_t length = max_u64(dense->coding->vector_length, 1);
    const struct code_rows codes = {.layout = layout,
                                    .planes = dense->planes,
                                    .n_planes = dense->n_planes,
                                    .n_codes = ceil_div(dense->n_cols, length),
                                    .room = (uint64_t)layout->room * layout->step_cols / length,
                                    .first_row = first_row,
                                    .allocator = stream->device->allocator};
    const struct vk_rows rows = {.make = layout->decoded     ? make_decoded_rows
                                         : layout->reordered ? make_ordered_rows
                                                             : make_rows,
                                 .context = &codes,
                                 .n_rows = n_rows,
                                 .row_bytes = layout->row_words * 4,
                                 .grain = dense->unread ? dense->unread->grain : 0};
    ingot_vk_stream_write_rows(stream, &rows);
}

static void write_signs(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                        struct vk_stream *stream)
{
    const struct resident_dense *const dense = layout->dense;
    const struct code_rows signs = {.layout = layout,
                                    .planes = dense->signs,
                                    .n_planes = dense->n_sign_planes,
                                    .signs = true,
                                    .n_codes = ceil_div(dense->n_cols, 8),
                                    .room = layout->room * UINT64_C(4),
                                    .first_row = first_row,
                                    .allocator = stream->device->allocator};
    const struct vk_rows rows = {.make = make_rows,
                                 .context = &signs,
                                 .n_rows = n_rows,
                                 .row_bytes = layout->sign_words * 4,
                                 .grain = dense->unread ? dense->unread->grain : 0};
    ingot_vk_stream_write_rows(stream, &rows);
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
    write_codes(layout, first_row, n_rows, stream);
    ingot_vk_layout_fill(stream, header.signs);
    if (layout->sign_words > 0) write_signs(layout, first_row, n_rows, stream);
    ingot_vk_layout_fill(stream, n_words);
}

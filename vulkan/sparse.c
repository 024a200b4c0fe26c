/* How kept values and their places lie on a device: under a bitmap, or as a list. Knows no device.
 */
#include "vulkan/sparse.h"

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "vulkan/stream.h"

static bool is_list(const struct vk_layout *layout)
{
    return layout->sparse->columns != NULL;
}

/* ------------------------------------------------------------------ where things are */

/* The kept values of some rows. Those before, down to a whole step, come with them. */
struct kept {
    uint64_t first;
    uint64_t end;
    uint64_t base;
};

static struct kept find_kept(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows)
{
    const uint32_t *const offsets = layout->sparse->row_offsets + first_row;
    const uint64_t first = offsets[0];
    return (struct kept){first, offsets[n_rows],
                         layout->decoded ? first : first / STEP_COLS * STEP_COLS};
}

static uint64_t value_bits(const struct vk_layout *layout)
{
    return layout->decoded ? 32 : layout->dense->coding->bits;
}

uint64_t ingot_vk_sparse_place(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                               struct vk_header *header)
{
    const uint64_t row_steps = ceil_div(layout->n_cols, STEP_COLS);
    const uint64_t row_blocks = ceil_div(row_steps, MASK_BLOCK_WORDS);
    const struct kept kept = find_kept(layout, first_row, n_rows);
    uint64_t n_words = sizeof *header / 4;
    *header = (struct vk_header){.row_words = (uint32_t)(row_blocks * MASK_BLOCK_WORDS),
                                 .row_steps = (uint32_t)row_steps,
                                 .row_blocks = (uint32_t)row_blocks};
    ingot_vk_layout_place_tables(layout, first_row, n_rows, header, &n_words);
    header->codes = (uint32_t)n_words;
    if (is_list(layout)) {
        n_words += n_rows + 1;
        header->columns = (uint32_t)n_words;
        n_words += kept.end - kept.base;
    } else {
        n_words += n_rows * header->row_words;
        header->blocks = (uint32_t)n_words;
        n_words += n_rows * row_blocks;
    }
    header->values = (uint32_t)n_words;
    header->value_room = (uint32_t)ceil_div(kept.end - kept.base, STEP_COLS);
    return n_words + header->value_room * value_bits(layout);
}

/* ------------------------------------------------------------------ writing */

static uint32_t mask_word(const struct resident_sparse *sparse, uint64_t row, uint64_t word)
{
    return load_u32(sparse->mask.data + row * sparse->mask.row_bytes + word * 4);
}

static uint32_t count_bits(uint32_t bits)
{
    uint32_t n = 0;
    for (; bits; bits &= bits - 1) n++;
    return n;
}

static void write_mask(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                       const struct vk_header *header, struct vk_stream *stream)
{
    const struct resident_plane *const mask = &layout->sparse->mask;
    for (uint64_t r = 0; r < n_rows; r++) {
        ingot_vk_stream_write(stream, mask->data + (first_row + r) * mask->row_bytes,
                              header->row_steps * UINT64_C(4));
        ingot_vk_stream_write_zeros(stream, (header->row_words - header->row_steps) * UINT64_C(4));
    }
}

/* The start offset of each mask block of the rows, counted from the piece's first value. */
static void write_blocks(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                         const struct vk_header *header, struct vk_stream *stream)
{
    const uint32_t *const offsets = layout->sparse->row_offsets + first_row;
    const uint32_t base = (uint32_t)find_kept(layout, first_row, n_rows).base;
    for (uint64_t r = 0; r < n_rows; r++) {
        uint32_t at = offsets[r] - base;
        for (uint64_t word = 0; word < header->row_steps; word++) {
            if (word % MASK_BLOCK_WORDS == 0) ingot_vk_stream_write(stream, &at, sizeof at);
            at += count_bits(mask_word(layout->sparse, first_row + r, word));
        }
        if (at != offsets[r + 1] - base) {
            ingot_vk_stream_fail(
                stream, ingot_fail(stream->error, INGOT_INVALID, INGOT_NO_OFFSET, "sparse part",
                                   "the mask of row %llu keeps %u weights, its offsets say %u",
                                   (unsigned long long)(first_row + r), at + base - offsets[r],
                                   offsets[r + 1] - offsets[r]));
            return;
        }
    }
}

static void write_list(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                       struct vk_stream *stream)
{
    const struct kept kept = find_kept(layout, first_row, n_rows);
    for (uint64_t r = 0; r <= n_rows; r++) {
        const uint32_t at = layout->sparse->row_offsets[first_row + r] - (uint32_t)kept.base;
        ingot_vk_stream_write(stream, &at, sizeof at);
    }
    ingot_vk_stream_write(stream, layout->sparse->columns + kept.base,
                          (kept.end - kept.base) * sizeof(uint32_t));
}

static void write_codes(const struct vk_layout *layout, const struct kept *kept,
                        const struct vk_header *header, struct vk_stream *stream)
{
    const struct resident_dense *const values = &layout->sparse->values;
    for (uint32_t i = 0; i < values->n_planes; i++) {
        const uint64_t bits = values->planes[i].bits;
        const uint64_t n_bytes = ceil_div((kept->end - kept->base) * bits, 8);
        ingot_vk_stream_write(stream, values->planes[i].data + kept->base * bits / 8, n_bytes);
        ingot_vk_stream_write_zeros(stream, header->value_room * bits * 4 - n_bytes);
    }
}

/* The columns of the kept values of a row. */
static void find_columns(const struct vk_layout *layout, uint64_t row, uint32_t *columns)
{
    const struct resident_sparse *const s = layout->sparse;
    const uint32_t first = s->row_offsets[row], end = s->row_offsets[row + 1];
    uint32_t n = 0;
    for (uint32_t i = first; is_list(layout) && i < end; i++) columns[n++] = s->columns[i];
    for (uint32_t c = 0; !is_list(layout) && c < layout->n_cols && n < end - first; c++) {
        if (mask_word(s, row, c / 32) >> c % 32 & 1) columns[n++] = c;
    }
}

ingot_status ingot_vk_sparse_decode(const struct vk_layout *layout, uint64_t row,
                                    const ingot_allocator *allocator, float *weights,
                                    ingot_error *error)
{
    const uint32_t first = layout->sparse->row_offsets[row];
    const uint32_t n = layout->sparse->row_offsets[row + 1] - first;
    uint32_t *columns = ingot_allocate_zeroed(allocator, (uint64_t)n + 1, sizeof *columns);
    float *values = ingot_allocate_zeroed(allocator, (uint64_t)n + 1, sizeof *values);
    const bool has_room = columns && values;
    if (has_room) {
        find_columns(layout, row, columns);
        resident_decode_kept(&layout->sparse->values, first, row, columns, n, values);
        for (uint32_t i = 0; i < n; i++) weights[columns[i]] = values[i];
    }
    ingot_release(allocator, values);
    ingot_release(allocator, columns);
    if (has_room) return INGOT_OK;
    return ingot_fail_memory(error, n * (sizeof *values + sizeof *columns), "kept values");
}

static void write_decoded(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                          struct vk_stream *stream)
{
    const ingot_allocator *const allocator = stream->device->allocator;
    const uint32_t *const offsets = layout->sparse->row_offsets;
    uint64_t n_most = 1;
    for (uint64_t r = 0; r < n_rows; r++) {
        n_most = max_u64(n_most, offsets[first_row + r + 1] - offsets[first_row + r]);
    }
    uint32_t *columns = ingot_allocate_zeroed(allocator, n_most, sizeof *columns);
    float *values = ingot_allocate_zeroed(allocator, n_most, sizeof *values);
    if (!columns || !values) {
        ingot_vk_stream_fail(
            stream, ingot_fail_memory(stream->error, n_most * sizeof *values, "kept values"));
        goto done;
    }
    for (uint64_t r = first_row; r < first_row + n_rows; r++) {
        const uint32_t n = offsets[r + 1] - offsets[r];
        find_columns(layout, r, columns);
        resident_decode_kept(&layout->sparse->values, offsets[r], r, columns, n, values);
        ingot_vk_stream_write(stream, values, n * sizeof *values);
    }
done:
    ingot_release(allocator, values);
    ingot_release(allocator, columns);
}

void ingot_vk_sparse_write(const struct vk_layout *layout, uint64_t first_row, uint64_t n_rows,
                           struct vk_stream *stream)
{
    struct vk_header header;
    const uint64_t n_words = ingot_vk_sparse_place(layout, first_row, n_rows, &header);
    const struct kept kept = find_kept(layout, first_row, n_rows);
    ingot_vk_stream_write(stream, &header, sizeof header);
    ingot_vk_layout_write_tables(layout, first_row, n_rows, &header, stream);
    ingot_vk_layout_fill(stream, header.codes);
    if (is_list(layout)) {
        write_list(layout, first_row, n_rows, stream);
    } else {
        write_mask(layout, first_row, n_rows, &header, stream);
        write_blocks(layout, first_row, n_rows, &header, stream);
    }
    if (layout->decoded) {
        write_decoded(layout, first_row, n_rows, stream);
    } else {
        write_codes(layout, &kept, &header, stream);
    }
    ingot_vk_layout_fill(stream, n_words);
}

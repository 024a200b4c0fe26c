/* Kept positions of sparse terms, one function a mask kind. Knows nothing of values. */
#include "format/mask.h"

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/rules.h"
#include "format/term.h"

/* A walk over some rows of one term. */
struct walk {
    const struct file_term *term;
    struct stack_shape stack;
    uint32_t first_stream;
    const struct stream_provider *provider;
    uint64_t first_row;
    uint64_t n_rows;
    struct positions *out;
    ingot_error *error;
};

static ingot_status get(const struct walk *w, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                        const uint8_t **data)
{
    return w->provider->get(w->provider->context, w->first_stream + stream, offset, n_bytes, data,
                            w->error);
}

static ingot_status reserve(const struct walk *w, uint64_t n)
{
    struct positions *p = w->out;
    p->rows = ingot_allocate_zeroed(w->provider->allocator, n, sizeof *p->rows);
    p->cols = ingot_allocate_zeroed(w->provider->allocator, n, sizeof *p->cols);
    if (p->rows == NULL || p->cols == NULL) return ingot_fail_memory(w->error, n * 16, "positions");
    return INGOT_OK;
}

static void put(const struct walk *w, uint64_t row, uint64_t col)
{
    w->out->rows[w->out->n] = row;
    w->out->cols[w->out->n] = col;
    w->out->n++;
}

/* The offsets of the walked rows, proved to rise within what the rows can hold; the number kept. */
struct offsets {
    const uint8_t *data;
    uint8_t bits;
};

static uint64_t offset_at(const struct offsets *o, uint64_t i)
{
    return o->bits == 32 ? load_u32(o->data + 4 * i) : load_u64(o->data + 8 * i);
}

static ingot_status open_offsets(const struct walk *w, uint32_t stream, struct offsets *o)
{
    o->bits = row_offset_bits(w->term);
    const uint64_t bytes = o->bits / 8;
    const ingot_status status =
        get(w, stream, w->first_row * bytes, (w->n_rows + 1) * bytes, &o->data);
    if (status != INGOT_OK) return status;
    for (uint64_t i = 0; i < w->n_rows; i++) {
        const uint64_t begin = offset_at(o, i), end = offset_at(o, i + 1);
        if (begin > end || end - begin > w->stack.n_cols || end > w->term->n_kept) {
            return ingot_fail_rule(w->error, R_512, INGOT_NO_OFFSET, "row offsets",
                                   "row %llu keeps %llu to %llu of %llu values",
                                   (unsigned long long)(w->first_row + i),
                                   (unsigned long long)begin, (unsigned long long)end,
                                   (unsigned long long)w->term->n_kept);
        }
    }
    const bool starts = w->first_row > 0 || offset_at(o, 0) == 0;
    const bool ends = w->first_row + w->n_rows < w->stack.n_matrices * w->stack.n_rows ||
                      offset_at(o, w->n_rows) == w->term->n_kept;
    if (!starts || !ends) {
        return ingot_fail_rule(w->error, R_512, INGOT_NO_OFFSET, "row offsets",
                               "they do not run from 0 to n_kept");
    }
    w->out->first = offset_at(o, 0);
    return reserve(w, offset_at(o, w->n_rows) - offset_at(o, 0));
}

/* Puts a position after checking that row i of the walk has room for it. */
static ingot_status put_checked(const struct walk *w, const struct offsets *o, uint64_t i,
                                uint64_t col)
{
    if (w->out->first + w->out->n >= offset_at(o, i + 1)) {
        return ingot_fail_rule(w->error, R_511, INGOT_NO_OFFSET, "mask",
                               "row %llu holds more than its offsets say",
                               (unsigned long long)(w->first_row + i));
    }
    put(w, w->first_row + i, col);
    return INGOT_OK;
}

static ingot_status end_row(const struct walk *w, const struct offsets *o, uint64_t i)
{
    if (w->out->first + w->out->n == offset_at(o, i + 1)) return INGOT_OK;
    return ingot_fail_rule(w->error, R_511, INGOT_NO_OFFSET, "mask",
                           "row %llu holds fewer than its offsets say",
                           (unsigned long long)(w->first_row + i));
}

static bool bit_at(const uint8_t *data, uint64_t bit)
{
    return data[bit / 8] >> bit % 8 & 1;
}

static ingot_status walk_bitmap(const struct walk *w)
{
    struct offsets offsets;
    struct stream_shape plane;
    const uint8_t *mask;
    ingot_status status = open_offsets(w, 1, &offsets);
    if (status != INGOT_OK || w->n_rows == 0) return status;
    plane_shape(1, w->stack, &plane);
    const uint64_t begin = w->first_row * plane.row_bits;
    const uint64_t end = begin + (w->n_rows - 1) * plane.row_bits + w->stack.n_cols;
    status = get(w, 0, begin / 8, ceil_div(end, 8) - begin / 8, &mask);
    for (uint64_t i = 0; i < w->n_rows && status == INGOT_OK; i++) {
        const uint64_t row_bit = begin % 8 + i * plane.row_bits;
        for (uint64_t col = 0; col < w->stack.n_cols && status == INGOT_OK; col++) {
            if (bit_at(mask, row_bit + col)) status = put_checked(w, &offsets, i, col);
        }
        if (status == INGOT_OK) status = end_row(w, &offsets, i);
    }
    return status;
}

static ingot_status walk_blocks(const struct walk *w)
{
    const struct stack_shape blocks = {w->stack.n_matrices,
                                       ceil_div(w->stack.n_rows, w->term->block_rows),
                                       ceil_div(w->stack.n_cols, w->term->block_cols)};
    struct offsets offsets;
    struct stream_shape plane;
    const uint8_t *mask;
    ingot_status status = open_offsets(w, 1, &offsets);
    if (status != INGOT_OK) return status;
    plane_shape(1, blocks, &plane);
    status = get(w, 0, 0, plane.n_bytes, &mask);
    for (uint64_t i = 0; i < w->n_rows && status == INGOT_OK; i++) {
        const uint64_t row = w->first_row + i;
        const uint64_t block_row =
            row / w->stack.n_rows * blocks.n_rows + row % w->stack.n_rows / w->term->block_rows;
        for (uint64_t col = 0; col < w->stack.n_cols && status == INGOT_OK; col++) {
            const uint64_t bit = block_row * plane.row_bits + col / w->term->block_cols;
            if (bit_at(mask, bit)) status = put_checked(w, &offsets, i, col);
        }
        if (status == INGOT_OK) status = end_row(w, &offsets, i);
    }
    return status;
}

static ingot_status walk_list(const struct walk *w)
{
    struct offsets offsets;
    const uint8_t *list;
    ingot_status status = open_offsets(w, 0, &offsets);
    if (status != INGOT_OK) return status;
    const uint64_t n = offset_at(&offsets, w->n_rows) - w->out->first;
    if (n == 0) return INGOT_OK;
    status = get(w, 1, w->out->first * 4, n * 4, &list);
    for (uint64_t i = 0; i < w->n_rows && status == INGOT_OK; i++) {
        uint64_t above = 0; /* the least column that may come next */
        while (w->out->first + w->out->n < offset_at(&offsets, i + 1)) {
            const uint64_t col = load_u32(list + 4 * w->out->n);
            if (col < above || col >= w->stack.n_cols) {
                return ingot_fail_rule(w->error, R_512, INGOT_NO_OFFSET, "mask list",
                                       "column %llu of row %llu", (unsigned long long)col,
                                       (unsigned long long)(w->first_row + i));
            }
            put(w, w->first_row + i, col);
            above = col + 1;
        }
    }
    return status;
}

static ingot_status walk_two_of_four(const struct walk *w)
{
    const struct stack_shape patterns = {w->stack.n_matrices, w->stack.n_rows, w->stack.n_cols / 4};
    struct stream_shape plane;
    const uint8_t *mask;
    plane_shape(4, patterns, &plane);
    ingot_status status = reserve(w, w->n_rows * w->stack.n_cols / 2);
    if (status != INGOT_OK || w->n_rows == 0 || patterns.n_cols == 0) return status;
    w->out->first = w->first_row * (w->stack.n_cols / 2);
    const uint64_t begin = w->first_row * plane.row_bits;
    const uint64_t end = begin + (w->n_rows - 1) * plane.row_bits + patterns.n_cols * 4;
    status = get(w, 0, begin / 8, ceil_div(end, 8) - begin / 8, &mask);
    for (uint64_t i = 0; i < w->n_rows && status == INGOT_OK; i++) {
        for (uint64_t k = 0; k < patterns.n_cols; k++) {
            const uint64_t bit = begin % 8 + i * plane.row_bits + 4 * k;
            const uint32_t pattern = (uint32_t)(mask[bit / 8] >> bit % 8) & 15;
            if ((pattern & 3) >= pattern >> 2) {
                return ingot_fail_rule(
                    w->error, R_512, INGOT_NO_OFFSET, "mask pattern", "%u at row %llu, column %llu",
                    pattern, (unsigned long long)(w->first_row + i), (unsigned long long)(4 * k));
            }
            put(w, w->first_row + i, 4 * k + (pattern & 3));
            put(w, w->first_row + i, 4 * k + (pattern >> 2));
        }
    }
    return status;
}

/* An ascending list of u32 below `limit`. */
static ingot_status check_list(const struct walk *w, const uint8_t *list, uint64_t n,
                               uint64_t limit)
{
    uint64_t above = 0;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t v = load_u32(list + 4 * i);
        if (v < above || v >= limit) {
            return ingot_fail_rule(w->error, R_512, INGOT_NO_OFFSET, "mask list",
                                   "entry %llu is %llu", (unsigned long long)i,
                                   (unsigned long long)v);
        }
        above = v + 1;
    }
    return INGOT_OK;
}

static ingot_status walk_columns(const struct walk *w)
{
    struct stack_shape codes;
    bool by_rows;
    const uint8_t *list;
    sparse_codes(w->term, w->stack, &codes, &by_rows);
    const uint64_t n = codes.n_cols;
    ingot_status status = reserve(w, w->n_rows * n);
    if (status != INGOT_OK || n == 0) return status;
    w->out->first = w->first_row * n;
    status = get(w, 0, 0, n * 4, &list);
    if (status == INGOT_OK) status = check_list(w, list, n, w->stack.n_cols);
    for (uint64_t i = 0; i < w->n_rows && status == INGOT_OK; i++) {
        for (uint64_t k = 0; k < n; k++) put(w, w->first_row + i, load_u32(list + 4 * k));
    }
    return status;
}

static ingot_status walk_rows(const struct walk *w)
{
    struct stack_shape codes;
    bool by_rows;
    const uint8_t *list;
    sparse_codes(w->term, w->stack, &codes, &by_rows);
    const uint64_t n = codes.n_rows;
    ingot_status status = reserve(w, min_u64(n, w->n_rows) * w->stack.n_cols);
    if (status != INGOT_OK || n == 0) return status;
    status = get(w, 0, 0, n * 4, &list);
    if (status == INGOT_OK) {
        status = check_list(w, list, n, w->stack.n_matrices * w->stack.n_rows);
    }
    for (uint64_t i = 0; i < n && status == INGOT_OK; i++) {
        const uint64_t row = load_u32(list + 4 * i);
        if (row < w->first_row || row - w->first_row >= w->n_rows) continue;
        if (w->out->n == 0) w->out->first = i * w->stack.n_cols;
        for (uint64_t col = 0; col < w->stack.n_cols; col++) put(w, row, col);
    }
    return status;
}

ingot_status mask_positions(const struct file_term *term, struct stack_shape stack,
                            uint32_t first_stream, const struct stream_provider *provider,
                            uint64_t first_row, uint64_t n_rows, struct positions *positions,
                            ingot_error *error)
{
    static ingot_status (*const walks[])(const struct walk *) = {
        [MASK_BITMAP] = walk_bitmap,   [MASK_TWO_OF_FOUR] = walk_two_of_four,
        [MASK_COLUMNS] = walk_columns, [MASK_ROWS] = walk_rows,
        [MASK_BLOCKS] = walk_blocks,   [MASK_LIST] = walk_list,
    };
    *positions = (struct positions){0, 0, NULL, NULL};
    /* No rows of a stack that has some hold nothing to check. */
    if (n_rows == 0 && stack.n_matrices * stack.n_rows > 0) return INGOT_OK;
    const struct walk walk = {term,      stack,  first_stream, provider,
                              first_row, n_rows, positions,    error};
    const ingot_status status = walks[term->mask](&walk);
    if (status != INGOT_OK) positions_release(positions, provider->allocator);
    return status;
}

void positions_release(struct positions *positions, const ingot_allocator *allocator)
{
    ingot_release(allocator, positions->rows);
    ingot_release(allocator, positions->cols);
    *positions = (struct positions){0, 0, NULL, NULL};
}

/* Sparse terms as resident parts, one function a mask. Bitmaps, two of four and blocks become a
 * bitmap; rows and columns the dense codes of some rows or columns; a list stays one. */
#include <assert.h>

#include "format/bytes.h"
#include "format/fail.h"
#include "format/mask.h"
#include "format/rules.h"
#include "format/term.h"
#include "runtime/bitmap.h"
#include "runtime/resident_codes.h"
#include "runtime/resident_load.h"

/* Positions are worked out for about this many weights at a time. */
enum { BATCH_POSITIONS = 1 << 20 };

/* ------------------------------------------------------------------ positions of any mask */

/* Calls use for the kept positions of the matrix's rows, some whole rows at a time. */
static ingot_status each_batch(const struct load *load, const struct file_term *term,
                               ingot_status (*use)(void *context, const struct positions *p),
                               void *context)
{
    const uint64_t n_batch = max_u64(1, BATCH_POSITIONS / max_u64(1, load->stack.n_cols));
    const uint64_t n_rows = load->stack.n_rows;
    ingot_status status = INGOT_OK;
    for (uint64_t done = 0; done < n_rows && status == INGOT_OK; done += n_batch) {
        struct load_bytes bytes = {load, {.allocator = load->store->allocator}};
        const struct stream_provider provider = load_provider(&bytes);
        struct positions p;
        status = mask_positions(term, load->stack, term->first_stream, &provider,
                                load->matrix_index * n_rows + done, min_u64(n_batch, n_rows - done),
                                &p, load->error);
        if (status == INGOT_OK) {
            status = use(context, &p);
            positions_release(&p, provider.allocator);
        }
        store_release(&bytes.store);
    }
    return status;
}

/* Positions as they are gathered: row offsets of the matrix, and a bitmap or a list of columns. */
struct gathered {
    const struct load *load;
    uint32_t *row_offsets; /* counts of rows, until they are summed */
    uint8_t *mask;
    uint64_t mask_row_bytes;
    uint32_t *columns;
    uint64_t n;
    uint64_t first_kept; /* in the stack */
};

static ingot_status gather(void *context, const struct positions *p)
{
    struct gathered *g = context;
    const uint64_t first_row = g->load->matrix_index * g->load->stack.n_rows;
    if (g->n == 0) g->first_kept = p->first;
    if (p->n > UINT32_MAX - g->n) {
        return load_refuse(g->load, "more than 2^32 kept values in a matrix");
    }
    for (uint64_t i = 0; i < p->n; i++) {
        const uint64_t row = p->rows[i] - first_row;
        g->row_offsets[row + 1]++;
        if (g->mask != NULL) {
            g->mask[row * g->mask_row_bytes + p->cols[i] / 8] |= (uint8_t)(1u << p->cols[i] % 8);
        } else {
            g->columns[g->n + i] = (uint32_t)p->cols[i];
        }
    }
    g->n += p->n;
    return INGOT_OK;
}

static ingot_status gather_all(const struct load *load, const struct file_term *term,
                               struct gathered *g)
{
    void *offsets;
    ingot_status status =
        load_take_array(load, load->stack.n_rows + 1, sizeof *g->row_offsets, &offsets);
    if (status != INGOT_OK) return status;
    g->load = load;
    g->row_offsets = offsets;
    memset(offsets, 0, (size_t)(load->stack.n_rows + 1) * sizeof *g->row_offsets);
    status = each_batch(load, term, gather, g);
    for (uint64_t r = 0; r < load->stack.n_rows; r++) g->row_offsets[r + 1] += g->row_offsets[r];
    return status;
}

/* ------------------------------------------------------------------ kept values */

/* Codes of one row, as they lie or put together from rows that begin at whole words. */
static ingot_status load_one_row(const struct load *load, uint8_t width, struct stack_shape codes,
                                 uint64_t first, uint64_t n, uint32_t stream,
                                 struct resident_plane *plane)
{
    plane->bits = width;
    plane->row_bytes = stream_row_bytes(width, n);
    struct stream_shape shape;
    const bool fits = plane_shape(width, codes, &shape);
    assert(fits);
    (void)fits;
    if (codes.n_rows == 1 || shape.row_bits == codes.n_cols * width) {
        return stream_elements_read(load_source(load, stream), width, first, n, load->store,
                                    &plane->data, load->error);
    }
    struct store temporary = {.allocator = load->store->allocator};
    const uint64_t row_bytes = stream_row_bytes(width, codes.n_cols);
    const uint8_t *rows;
    void *row;
    ingot_status status = load_take(load, plane->row_bytes, &row);
    if (status != INGOT_OK) goto done;
    const uint64_t n_rows = n / max_u64(codes.n_cols, 1);
    status = stream_rows_read(load_source(load, stream), &shape, first / max_u64(codes.n_cols, 1),
                              n_rows, &temporary, &rows, load->error);
    if (status != INGOT_OK) goto done;
    memset(row, 0, (size_t)plane->row_bytes);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t from = i % codes.n_cols * width, to = i * width;
        const uint8_t *byte = rows + i / codes.n_cols * row_bytes + from / 8;
        const uint32_t code = (uint32_t)*byte >> from % 8 & ((1u << width) - 1);
        ((uint8_t *)row)[to / 8] |= (uint8_t)(code << to % 8);
    }
    plane->data = row;
done:
    store_release(&temporary);
    return status;
}

static ingot_status load_one_row_planes(const struct load *load, uint8_t bits,
                                        struct stack_shape codes, uint64_t first, uint64_t n,
                                        uint32_t *stream, struct resident_dense *values)
{
    uint8_t widths[CODING_MAX_PLANES];
    ingot_status status = INGOT_OK;
    values->n_planes = plane_widths(bits, widths);
    for (uint32_t i = 0; i < values->n_planes && status == INGOT_OK; i++) {
        status = load_one_row(load, widths[i], codes, first, n, (*stream)++, &values->planes[i]);
    }
    return status;
}

/* Kept values [first_kept, first_kept + n) as one row. */
static ingot_status load_kept(const struct load *load, const struct file_term *term,
                              uint64_t first_kept, uint64_t n, struct resident_dense *values)
{
    uint32_t stream = term->first_stream + term_values_stream(term);
    const uint32_t *index = NULL;
    struct stack_shape codes;
    bool by_rows;
    const bool fits = sparse_codes(term, load->stack, &codes, &by_rows);
    assert(fits);
    (void)fits;
    ingot_status status = load_coding(load, term->coding, load->stack, &stream, &index, values);
    if (status != INGOT_OK) return status;
    values->n_rows = 1;
    values->n_cols = n;
    if (term->coding->bits > RESIDENT_MAX_CODE_BITS) {
        const uint64_t row_codes = max_u64(codes.n_cols, 1);
        const struct stack_part one_row = {0, 1, first_kept, n};
        const struct stack_part rows = {first_kept / row_codes, n / row_codes, 0, codes.n_cols};
        status = load_wide_codes(load, term->coding, codes, codes.n_rows == 1 ? one_row : rows,
                                 &stream, values);
        values->planes[0].row_bytes = n * sizeof(float);
    } else {
        status =
            load_one_row_planes(load, term->coding->bits, codes, first_kept, n, &stream, values);
    }
    if (status != INGOT_OK) return status;
    status = load_check_codes(load, values);
    if (status != INGOT_OK) return status;
    return load_tables(load, term->coding, load->stack, stream, index, values);
}

/* ------------------------------------------------------------------ a bitmap as it is */

/* Entry i of row offsets of 32 or 64 bits. */
static uint64_t offset_entry(const uint8_t *entries, uint8_t bits, uint64_t i)
{
    return bits == 32 ? load_u32(entries + i * 4) : load_u64(entries + i * 8);
}

/* Turns row offsets of the stack into those of the matrix, counted from its own first kept value,
 * and checks them against the mask. */
static ingot_status convert_offsets(const struct load *load, const struct file_term *term,
                                    const struct resident_sparse *sparse, const uint8_t *entries,
                                    uint32_t *offsets)
{
    const uint8_t bits = row_offset_bits(term);
    const uint64_t first = offset_entry(entries, bits, 0);
    uint64_t before = first;
    offsets[0] = 0;
    for (uint64_t r = 0; r < load->stack.n_rows; r++) {
        const uint64_t at = offset_entry(entries, bits, r + 1);
        if (at < before || at > term->n_kept) {
            return ingot_fail_rule(load->error, R_512, INGOT_NO_OFFSET, "row offsets",
                                   "row %llu of the matrix holds kept values %llu to %llu of %llu",
                                   (unsigned long long)r, (unsigned long long)before,
                                   (unsigned long long)at, (unsigned long long)term->n_kept);
        }
        const uint8_t *mask = sparse->mask.data + r * sparse->mask.row_bytes;
        if (at - before != bitmap_ones(mask, load->stack.n_cols)) {
            return ingot_fail_rule(load->error, R_511, INGOT_NO_OFFSET, "row offsets",
                                   "row %llu of the matrix has %llu values and another mask",
                                   (unsigned long long)r, (unsigned long long)(at - before));
        }
        if (at - first > UINT32_MAX) {
            return load_refuse(load, "more than 2^32 kept values in a matrix");
        }
        offsets[r + 1] = (uint32_t)(at - first);
        before = at;
    }
    return INGOT_OK;
}

/* *first_kept is the number of the matrix's first kept value in the stack. */
static ingot_status load_offsets(const struct load *load, const struct file_term *term,
                                 struct resident_sparse *sparse, uint64_t *first_kept)
{
    const uint64_t n_rows = load->stack.n_rows;
    const uint8_t bits = row_offset_bits(term);
    struct store temporary = {.allocator = load->store->allocator};
    const uint8_t *entries;
    void *offsets;
    ingot_status status = load_take_array(load, n_rows + 1, sizeof(uint32_t), &offsets);
    if (status != INGOT_OK) goto done;
    status = stream_elements_read(load_source(load, term->first_stream + 1), bits,
                                  load->matrix_index * n_rows, n_rows + 1, &temporary, &entries,
                                  load->error);
    if (status != INGOT_OK) goto done;
    status = convert_offsets(load, term, sparse, entries, offsets);
    if (status != INGOT_OK) goto done;
    sparse->row_offsets = offsets;
    *first_kept = offset_entry(entries, bits, 0);
done:
    store_release(&temporary);
    return status;
}

static ingot_status load_bitmap(const struct load *load, const struct file_term *term,
                                struct resident_part *part)
{
    struct resident_sparse *sparse = &part->sparse;
    struct stream_shape shape;
    part->kind = RESIDENT_SPARSE;
    const bool fits = plane_shape(1, load->stack, &shape);
    assert(fits);
    (void)fits;
    sparse->mask.bits = 1;
    sparse->mask.row_bytes = stream_row_bytes(1, load->stack.n_cols);
    ingot_status status = stream_rows_read(
        load_source(load, term->first_stream), &shape, load->matrix_index * load->stack.n_rows,
        load->stack.n_rows, load->store, &sparse->mask.data, load->error);
    if (status != INGOT_OK) return status;
    uint64_t first_kept = 0;
    status = load_offsets(load, term, sparse, &first_kept);
    if (status != INGOT_OK) return status;
    return load_kept(load, term, first_kept, sparse->row_offsets[load->stack.n_rows],
                     &sparse->values);
}

/* ------------------------------------------------------------------ the other masks */

/* Two of four, and blocks: a bitmap is made of them. */
static ingot_status load_as_bitmap(const struct load *load, const struct file_term *term,
                                   struct resident_part *part)
{
    struct resident_sparse *sparse = &part->sparse;
    struct gathered g = {.mask_row_bytes = stream_row_bytes(1, load->stack.n_cols)};
    void *mask;
    part->kind = RESIDENT_SPARSE;
    ingot_status status = load_take_array(load, load->stack.n_rows, g.mask_row_bytes, &mask);
    if (status != INGOT_OK) return status;
    memset(mask, 0, (size_t)(load->stack.n_rows * g.mask_row_bytes));
    g.mask = mask;
    status = gather_all(load, term, &g);
    if (status != INGOT_OK) return status;
    sparse->mask = (struct resident_plane){mask, g.mask_row_bytes, 1};
    sparse->row_offsets = g.row_offsets;
    return load_kept(load, term, g.first_kept, g.n, &sparse->values);
}

static ingot_status load_list(const struct load *load, const struct file_term *term,
                              struct resident_part *part)
{
    struct resident_sparse *sparse = &part->sparse;
    struct gathered g = {.mask = NULL};
    void *columns;
    part->kind = RESIDENT_SPARSE;
    if (load->stack.n_cols > UINT32_MAX) return load_refuse(load, "more than 2^32 columns");
    ingot_status status = load_take_array(load, term->n_kept, sizeof(uint32_t), &columns);
    if (status != INGOT_OK) return status;
    g.columns = columns;
    status = gather_all(load, term, &g);
    if (status != INGOT_OK) return status;
    sparse->row_offsets = g.row_offsets;
    sparse->columns = columns;
    return load_kept(load, term, g.first_kept, g.n, &sparse->values);
}

/* The dense codes of n rows from first_row on of the term's code rows. */
static ingot_status load_some(const struct load *load, const struct file_term *term,
                              uint64_t first_row, uint64_t n, struct resident_dense *dense)
{
    uint32_t stream = term->first_stream + term_values_stream(term);
    const uint32_t *index = NULL;
    struct stack_shape codes;
    bool by_rows;
    const bool fits = sparse_codes(term, load->stack, &codes, &by_rows);
    assert(fits);
    (void)fits;
    ingot_status status = load_coding(load, term->coding, load->stack, &stream, &index, dense);
    if (status != INGOT_OK) return status;
    status = load_code_rows(load, term->coding, codes, first_row, n, &stream, dense);
    if (status != INGOT_OK) return status;
    status = load_check_codes(load, dense);
    if (status != INGOT_OK) return status;
    return load_tables(load, term->coding, load->stack, stream, index, dense);
}

/* A list of u32, strictly ascending and below `limit`. */
static ingot_status load_numbers(const struct load *load, uint32_t stream, uint64_t n,
                                 uint64_t limit, const uint32_t **numbers)
{
    const uint8_t *entries;
    const ingot_status status = stream_elements_read(load_source(load, stream), 32, 0, n,
                                                     load->store, &entries, load->error);
    if (status != INGOT_OK) return status;
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t at = load_u32(entries + 4 * i);
        if (at < limit && (i == 0 || at > load_u32(entries + 4 * i - 4))) continue;
        return ingot_fail_rule(load->error, R_512, INGOT_NO_OFFSET, "list",
                               "entry %llu is %u: not ascending, or not below %llu",
                               (unsigned long long)i, at, (unsigned long long)limit);
    }
    *numbers = (const uint32_t *)(const void *)entries; /* little-endian, aligned for any type */
    return INGOT_OK;
}

static ingot_status load_columns(const struct load *load, const struct file_term *term,
                                 struct resident_part *part)
{
    const uint64_t n_rows = load->stack.n_matrices * load->stack.n_rows;
    const uint64_t n = n_rows > 0 ? term->n_kept / n_rows : 0;
    const uint32_t group = load->store->group;
    part->kind = RESIDENT_DENSE;
    load->store->group = INGOT_NONE; /* they are needed where the codes are not */
    const ingot_status status =
        load_numbers(load, term->first_stream, n, load->stack.n_cols, &part->dense.columns);
    load->store->group = group;
    if (status != INGOT_OK) return status;
    return load_some(load, term, load->matrix_index * load->stack.n_rows, load->stack.n_rows,
                     &part->dense);
}

static ingot_status load_rows(const struct load *load, const struct file_term *term,
                              struct resident_part *part)
{
    const uint64_t first = load->matrix_index * load->stack.n_rows;
    const uint64_t n = load->stack.n_cols > 0 ? term->n_kept / load->stack.n_cols : 0;
    const uint32_t *numbers;
    void *rows;
    part->kind = RESIDENT_DENSE;
    ingot_status status = load_numbers(load, term->first_stream, n,
                                       load->stack.n_matrices * load->stack.n_rows, &numbers);
    if (status != INGOT_OK) return status;
    uint64_t begin = 0;
    while (begin < n && numbers[begin] < first) begin++;
    uint64_t end = begin;
    while (end < n && numbers[end] - first < load->stack.n_rows) end++;
    status = load_take_array(load, end - begin, sizeof(uint32_t), &rows);
    if (status != INGOT_OK) return status;
    for (uint64_t i = begin; i < end; i++) {
        ((uint32_t *)rows)[i - begin] = (uint32_t)(numbers[i] - first);
    }
    part->dense.rows = rows;
    return load_some(load, term, begin, end - begin, &part->dense);
}

/* By enum term_mask. */
static ingot_status (*const mask_loaders[])(const struct load *load, const struct file_term *term,
                                            struct resident_part *part) = {
    [MASK_BITMAP] = load_bitmap, [MASK_TWO_OF_FOUR] = load_as_bitmap, [MASK_COLUMNS] = load_columns,
    [MASK_ROWS] = load_rows,     [MASK_BLOCKS] = load_as_bitmap,      [MASK_LIST] = load_list,
};

ingot_status load_sparse(const struct load *load, const struct file_term *term,
                         struct resident_part *part)
{
    return mask_loaders[term->mask](load, term, part);
}

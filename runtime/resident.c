/* Tensors of a file as resident matrices: which terms and codings have such a form, and where their
 * bytes go. Leaves bit positions to stream_rows.c and values of nested tables to the decoder. */
#include "runtime/resident.h"

#include <assert.h>

#include "format/bytes.h"
#include "format/decode.h"
#include "format/fail.h"
#include "format/reader.h"
#include "format/rules.h"
#include "format/term.h"
#include "runtime/bitmap.h"
#include "runtime/stream_rows.h"

/* What is being loaded. */
struct load {
    const ingot_file *file;
    struct store *store;
    ingot_error *error;
    ingot_tensor tensor;
    struct stack_shape stack;
    uint64_t matrix_index;
};

static ingot_status refuse(const struct load *load, const char *what)
{
    return ingot_fail(load->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "matrix",
                      "tensor \"%.*s\" has %s, which cannot be multiplied by yet",
                      (int)min_u64(load->tensor.name_bytes, 120), load->tensor.name, what);
}

static ingot_status take(const struct load *load, uint64_t n_bytes, void **memory)
{
    return store_take(load->store, n_bytes, "matrix", memory, load->error);
}

/* ------------------------------------------------------------------ tables */

/* Bytes of the file for the decoder of nested tables. */
struct table_bytes {
    const ingot_file *file;
    struct store store;
};

static ingot_status table_bytes_get(void *context, uint32_t stream, uint64_t offset,
                                    uint64_t n_bytes, const uint8_t **data, ingot_error *error)
{
    struct table_bytes *bytes = context;
    void *memory;
    ingot_status status = store_take(&bytes->store, n_bytes, "table", &memory, error);
    if (status != INGOT_OK) return status;
    status = ingot_file_read_stream(bytes->file, stream, offset, n_bytes, memory, error);
    if (status == INGOT_OK) *data = memory;
    return status;
}

static ingot_status table_bytes_codebook(void *context, const struct ingot_coding *coding,
                                         const uint8_t **entries, ingot_error *error)
{
    const struct table_bytes *bytes = context;
    const uint32_t stream = coding->codebook_stream;
    return table_bytes_get(context, stream, 0, ingot_file_stream_bytes(bytes->file, stream),
                           entries, error);
}

/* The rows of a slot's grid that belong to the matrix, as floats. */
static ingot_status decode_table(const struct load *load, const struct coding_slot *slot,
                                 struct stack_shape grid, uint64_t first_row, uint32_t stream,
                                 struct resident_table *table)
{
    struct table_bytes bytes = {load->file, {.allocator = load->store->allocator}};
    const struct stream_provider provider = {&bytes, table_bytes_get, table_bytes_codebook,
                                             load->store->allocator};
    const struct stack_part part = {first_row, grid.n_rows, 0, grid.n_cols};
    void *floats;
    ingot_status status = take(load, grid.n_rows * grid.n_cols * sizeof(float), &floats);
    if (status != INGOT_OK) goto done;
    status = coding_decode(slot->table, grid, stream, &provider, part, floats, load->error);
    if (status != INGOT_OK) goto done;
    table->data = floats;
    table->format = INGOT_F32;
done:
    store_release(&bytes.store);
    return status;
}

/* How a table's entries lie over a matrix. False when they do not form a grid of blocks. */
static bool block_groups(const struct coding_slot *slot, struct stack_shape stack,
                         struct resident_table *table)
{
    table->group_rows = slot->group_rows ? slot->group_rows : stack.n_rows;
    table->group_cols = slot->group_cols ? slot->group_cols : stack.n_cols;
    return true;
}

static bool tensor_groups(const struct coding_slot *slot, struct stack_shape stack,
                          struct resident_table *table)
{
    (void)slot;
    table->group_rows = stack.n_rows;
    table->group_cols = stack.n_cols;
    return true;
}

/* Runs that end where rows end are blocks. */
static bool run_groups(const struct coding_slot *slot, struct stack_shape stack,
                       struct resident_table *table)
{
    const uint64_t run = slot->group_cols;
    const bool parts_of_rows = stack.n_cols % run == 0;
    const bool whole_rows = stack.n_cols > 0 && run % stack.n_cols == 0;
    table->group_rows = parts_of_rows ? 1 : run / max_u64(stack.n_cols, 1);
    table->group_cols = parts_of_rows ? run : stack.n_cols;
    return parts_of_rows || whole_rows;
}

/* By enum coding_group. */
static bool (*const group_forms[])(const struct coding_slot *slot, struct stack_shape stack,
                                   struct resident_table *table) = {
    [GROUP_NONE] = NULL,      [GROUP_BLOCK] = block_groups, [GROUP_TENSOR] = tensor_groups,
    [GROUP_RUN] = run_groups, [GROUP_COLUMN_INDEX] = NULL,
};

static bool is_flat(const struct ingot_coding *table)
{
    const bool held = table->format == INGOT_F16 || table->format == INGOT_F32;
    return table->map == MAP_FLOAT && held && coding_is_raw(table);
}

static ingot_status load_table(const struct load *load, const struct coding_slot *slot,
                               struct stack_shape stack, uint32_t stream,
                               struct resident_table *table)
{
    struct stack_shape grid;
    struct stream_shape shape;
    if (group_forms[slot->group] == NULL || !group_forms[slot->group](slot, stack, table)) {
        return refuse(load, "groups that are not blocks of rows and columns");
    }
    /* The streams of the file were proved, so their shapes fit. */
    bool fits = slot_grid(slot, stack, &grid);
    assert(fits);
    table->group_rows = max_u64(table->group_rows, 1);
    table->group_cols = max_u64(table->group_cols, 1);
    table->n_rows = ceil_div(stack.n_rows, table->group_rows);
    table->n_cols = ceil_div(stack.n_cols, table->group_cols);
    const uint64_t first_row = grid.n_matrices == 1 ? 0 : load->matrix_index * grid.n_rows;
    if (!is_flat(slot->table)) return decode_table(load, slot, grid, first_row, stream, table);

    fits = plane_shape(slot->table->bits, grid, &shape);
    assert(fits);
    const uint8_t *data;
    const ingot_status status = stream_rows_read(load->file, stream, &shape, first_row, grid.n_rows,
                                                 load->store, &data, load->error);
    if (status != INGOT_OK) return status;
    table->data = data;
    table->format = (ingot_dtype)slot->table->format;
    return INGOT_OK;
}

/* ------------------------------------------------------------------ codings */

/* What stands in the way of each map that has no resident form; by enum coding_map. */
static const char *const map_obstacles[] = {
    [MAP_UINT] = NULL,
    [MAP_INT] = NULL,
    [MAP_FLOAT] = NULL,
    [MAP_CODEBOOK] = "a codebook",
    [MAP_VECTOR] = "a codebook of vectors",
    [MAP_OPAQUE] = "an opaque coding",
};

static ingot_status check_coding(const struct load *load, const struct ingot_coding *coding)
{
    if (map_obstacles[coding->map] != NULL) return refuse(load, map_obstacles[coding->map]);
    if (coding->index_bits != 0) return refuse(load, "a column index");
    return INGOT_OK;
}

/* The coding's parameters without what they point to, which is the file's. */
static ingot_status copy_coding(const struct load *load, const struct ingot_coding *coding,
                                const struct ingot_coding **copy)
{
    void *memory;
    const ingot_status status = take(load, sizeof *coding, &memory);
    if (status != INGOT_OK) return status;
    struct ingot_coding *made = memory;
    *made = *coding;
    for (uint32_t i = 0; i < N_SLOTS; i++) made->slots[i].table = NULL;
    *copy = made;
    return INGOT_OK;
}

static ingot_status load_tables(const struct load *load, const struct ingot_coding *coding,
                                struct stack_shape stack, uint32_t stream,
                                struct resident_dense *dense)
{
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (!slot->has_table) continue;
        const ingot_status status = load_table(load, slot, stack, stream, &dense->tables[i]);
        if (status != INGOT_OK) return status;
        struct stack_shape grid;
        struct stream_shape shapes[CODING_MAX_STREAMS];
        uint32_t n_streams = 0;
        const bool fits =
            slot_grid(slot, stack, &grid) && coding_streams(slot->table, grid, shapes, &n_streams);
        assert(fits);
        (void)fits;
        stream += n_streams;
    }
    return INGOT_OK;
}

/* The matrix's part of a coding over a stack, whose streams begin with `stream`. */
static ingot_status load_dense(const struct load *load, const struct ingot_coding *coding,
                               struct stack_shape stack, uint32_t stream,
                               struct resident_dense *dense)
{
    ingot_status status = check_coding(load, coding);
    if (status != INGOT_OK) return status;
    status = copy_coding(load, coding, &dense->coding);
    if (status != INGOT_OK) return status;
    dense->n_rows = stack.n_rows;
    dense->n_cols = stack.n_cols;
    uint8_t widths[CODING_MAX_PLANES];
    dense->n_planes = plane_widths(coding->bits, widths);
    for (uint32_t i = 0; i < dense->n_planes; i++) {
        struct resident_plane *plane = &dense->planes[i];
        struct stream_shape shape;
        const bool fits = plane_shape(widths[i], stack, &shape);
        assert(fits);
        (void)fits;
        plane->bits = widths[i];
        plane->row_bytes = stream_row_bytes(widths[i], stack.n_cols);
        status = stream_rows_read(load->file, stream + i, &shape, load->matrix_index * stack.n_rows,
                                  stack.n_rows, load->store, &plane->data, load->error);
        if (status != INGOT_OK) return status;
    }
    return load_tables(load, coding, stack, stream + dense->n_planes, dense);
}

/* ------------------------------------------------------------------ terms */

static ingot_status load_dense_term(const struct load *load, const struct file_term *term,
                                    struct resident_part *part)
{
    part->kind = RESIDENT_DENSE;
    return load_dense(load, term->coding, load->stack, term->first_stream, &part->dense);
}

static ingot_status load_lowrank_term(const struct load *load, const struct file_term *term,
                                      struct resident_part *part)
{
    if (term->magnitude != NULL) return refuse(load, "a low-rank term with a magnitude");
    const struct stack_shape a = {load->stack.n_matrices, term->rank, load->stack.n_cols};
    const struct stack_shape b = {load->stack.n_matrices, load->stack.n_rows, term->rank};
    uint32_t b_stream = 0;
    const bool fits = term_b_stream(term, load->stack, &b_stream);
    assert(fits);
    (void)fits;
    part->kind = RESIDENT_LOWRANK;
    part->lowrank.multiplier = term->multiplier;
    const ingot_status status =
        load_dense(load, term->coding, a, term->first_stream, &part->lowrank.a);
    if (status != INGOT_OK) return status;
    return load_dense(load, term->coding_b, b, term->first_stream + b_stream, &part->lowrank.b);
}

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
        if (at - first > UINT32_MAX) return refuse(load, "more than 2^32 kept values in a matrix");
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
    ingot_status status = take(load, (n_rows + 1) * sizeof(uint32_t), &offsets);
    if (status != INGOT_OK) goto done;
    status =
        stream_elements_read(load->file, term->first_stream + 1, bits, load->matrix_index * n_rows,
                             n_rows + 1, &temporary, &entries, load->error);
    if (status != INGOT_OK) goto done;
    status = convert_offsets(load, term, sparse, entries, offsets);
    if (status != INGOT_OK) goto done;
    sparse->row_offsets = offsets;
    *first_kept = offset_entry(entries, bits, 0);
done:
    store_release(&temporary);
    return status;
}

static ingot_status load_values(const struct load *load, const struct file_term *term,
                                uint64_t first_kept, uint64_t n_kept, struct resident_dense *values)
{
    ingot_status status = copy_coding(load, term->coding, &values->coding);
    if (status != INGOT_OK) return status;
    values->n_rows = 1;
    values->n_cols = n_kept;
    uint8_t widths[CODING_MAX_PLANES];
    values->n_planes = plane_widths(term->coding->bits, widths);
    const uint32_t stream = term->first_stream + term_values_stream(term);
    for (uint32_t i = 0; i < values->n_planes; i++) {
        struct resident_plane *plane = &values->planes[i];
        plane->bits = widths[i];
        plane->row_bytes = stream_row_bytes(widths[i], n_kept);
        status = stream_elements_read(load->file, stream + i, widths[i], first_kept, n_kept,
                                      load->store, &plane->data, load->error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

static ingot_status load_sparse_term(const struct load *load, const struct file_term *term,
                                     struct resident_part *part)
{
    struct resident_sparse *sparse = &part->sparse;
    struct stream_shape shape;
    part->kind = RESIDENT_SPARSE;
    if (term->mask != MASK_BITMAP) return refuse(load, "a sparse term whose mask is not a bitmap");
    ingot_status status = check_coding(load, term->coding);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (term->coding->slots[i].has_table) return refuse(load, "sparse values with tables");
    }
    const bool fits = plane_shape(1, load->stack, &shape);
    assert(fits);
    (void)fits;
    sparse->mask.bits = 1;
    sparse->mask.row_bytes = stream_row_bytes(1, load->stack.n_cols);
    status = stream_rows_read(load->file, term->first_stream, &shape,
                              load->matrix_index * load->stack.n_rows, load->stack.n_rows,
                              load->store, &sparse->mask.data, load->error);
    if (status != INGOT_OK) return status;
    uint64_t first_kept = 0;
    status = load_offsets(load, term, sparse, &first_kept);
    if (status != INGOT_OK) return status;
    return load_values(load, term, first_kept, sparse->row_offsets[load->stack.n_rows],
                       &sparse->values);
}

static ingot_status load_ref_term(const struct load *load, const struct file_term *term,
                                  struct resident_part *part)
{
    (void)term;
    (void)part;
    return refuse(load, "a reference to another file");
}

/* By enum term_kind. */
static ingot_status (*const term_loaders[])(const struct load *load, const struct file_term *term,
                                            struct resident_part *part) = {
    [TERM_DENSE] = load_dense_term,
    [TERM_SPARSE] = load_sparse_term,
    [TERM_LOWRANK] = load_lowrank_term,
    [TERM_REF] = load_ref_term,
};

ingot_status resident_load(const ingot_file *file, uint32_t tensor, uint64_t matrix_index,
                           struct store *store, struct resident_matrix *matrix, ingot_error *error)
{
    struct load load = {
        .file = file,
        .store = store,
        .error = error,
        .stack = ingot_file_layout(file, tensor).shape,
        .matrix_index = matrix_index,
    };
    ingot_file_tensor(file, tensor, &load.tensor);
    uint32_t rescale_stream;
    if (ingot_file_rescale(file, tensor, &rescale_stream)) {
        return refuse(&load, "a factor per row");
    }
    struct resident_matrix made = {.n_rows = load.stack.n_rows, .n_cols = load.stack.n_cols};
    for (uint32_t i = 0; i < load.tensor.n_terms; i++) {
        struct file_term term;
        ingot_file_term(file, tensor, i, &term);
        if (term.optional) continue;
        if (term.combine != COMBINE_FIRST && term.combine != COMBINE_ADD) {
            return refuse(&load, "a term that does not add");
        }
        if (made.n_parts == RESIDENT_MAX_PARTS) return refuse(&load, "more than 8 terms");
        const ingot_status status =
            term_loaders[term.kind](&load, &term, &made.parts[made.n_parts]);
        if (status != INGOT_OK) return status;
        made.n_parts++;
    }
    *matrix = made;
    return INGOT_OK;
}

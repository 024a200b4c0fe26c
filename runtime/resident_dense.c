/* Codings of a file as resident codes and tables. Leaves bit positions to stream_rows.c. */
#include <assert.h>

#include "format/bytes.h"
#include "format/decode.h"
#include "format/fail.h"
#include "format/floats.h"
#include "format/rules.h"
#include "runtime/resident_codes.h"
#include "runtime/resident_load.h"

/* ------------------------------------------------------------------ values by the decoder */

static ingot_status decoder_get(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                                const uint8_t **data, ingot_error *error)
{
    struct load_bytes *bytes = context;
    void *memory;
    ingot_status status = store_take(&bytes->store, n_bytes, "table", &memory, error);
    if (status != INGOT_OK) return status;
    status = ingot_file_load_stream(bytes->load->file, stream, offset, n_bytes,
                                    bytes->load->options->pool, memory, error);
    if (status == INGOT_OK) *data = memory;
    return status;
}

static ingot_status decoder_codebook(void *context, const struct ingot_coding *coding,
                                     const uint8_t **entries, ingot_error *error)
{
    const struct load_bytes *bytes = context;
    const uint32_t stream = coding->codebook_stream;
    return decoder_get(context, stream, 0, ingot_file_stream_bytes(bytes->load->file, stream),
                       entries, error);
}

struct stream_provider load_provider(struct load_bytes *bytes)
{
    return (struct stream_provider){bytes, decoder_get, decoder_codebook, bytes->store.allocator};
}

ingot_status load_values(const struct load *load, const struct ingot_coding *coding,
                         struct stack_shape stack, uint32_t stream, struct stack_part part,
                         float *dst)
{
    struct load_bytes bytes = {load, {.allocator = load->store->allocator}};
    const struct stream_provider provider = load_provider(&bytes);
    const ingot_status status =
        coding_decode(coding, stack, stream, &provider, part, dst, load->error);
    store_release(&bytes.store);
    return status;
}

/* ------------------------------------------------------------------ codebooks and indexes */

ingot_status resident_codebook(const ingot_file *file, const struct ingot_coding *coding,
                               struct store *store, const float **values, ingot_error *error)
{
    struct store temporary = {.allocator = store->allocator};
    const ingot_dtype format = (ingot_dtype)coding->format;
    const uint64_t n_bytes = ingot_file_stream_bytes(file, coding->codebook_stream);
    const uint32_t value_bytes = ingot_dtype_bits(format) / 8;
    const uint64_t n = n_bytes / value_bytes;
    void *entries, *floats;
    ingot_status status = store_take(&temporary, n_bytes, "codebook", &entries, error);
    if (status != INGOT_OK) goto done;
    status = ingot_file_read_stream(file, coding->codebook_stream, 0, n_bytes, entries, error);
    if (status != INGOT_OK) goto done;
    status = store_take_array(store, n, sizeof(float), "codebook", &floats, error);
    if (status != INGOT_OK) goto done;
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *at = (const uint8_t *)entries + i * value_bytes;
        if (format == INGOT_I8) {
            ((float *)floats)[i] = (float)(int8_t)*at;
        } else {
            const uint32_t code = value_bytes == 4 ? load_u32(at) : load_u16(at);
            ((float *)floats)[i] = ingot_float_decode(format, code);
        }
    }
    *values = floats;
done:
    store_release(&temporary);
    return status;
}

static ingot_status load_index(const struct load *load, const struct ingot_coding *coding,
                               uint64_t n_cols, uint32_t stream, const uint32_t **index)
{
    struct store temporary = {.allocator = load->store->allocator};
    const uint8_t *entries;
    void *groups;
    ingot_status status = stream_elements_read(load_source(load, stream), coding->index_bits, 0,
                                               n_cols, &temporary, &entries, load->error);
    if (status != INGOT_OK) goto done;
    status = load_take_array(load, n_cols, sizeof(uint32_t), &groups);
    if (status != INGOT_OK) goto done;
    for (uint64_t c = 0; c < n_cols; c++) {
        const uint32_t group =
            coding->index_bits == 16 ? load_u16(entries + 2 * c) : load_u32(entries + 4 * c);
        ((uint32_t *)groups)[c] = group;
        for (uint32_t i = 0; i < N_SLOTS; i++) {
            const struct coding_slot *slot = &coding->slots[i];
            if (slot->group != GROUP_COLUMN_INDEX || group < slot->group_cols) continue;
            status = ingot_fail_rule(load->error, R_430, INGOT_NO_OFFSET, "column index",
                                     "group %u of %llu at column %llu", group,
                                     (unsigned long long)slot->group_cols, (unsigned long long)c);
            goto done;
        }
    }
    *index = groups;
done:
    store_release(&temporary);
    return status;
}

ingot_status load_coding(const struct load *load, const struct ingot_coding *coding,
                         struct stack_shape stack, uint32_t *stream, const uint32_t **index,
                         struct resident_dense *dense)
{
    void *memory;
    ingot_status status = INGOT_OK;
    if (coding->map == MAP_OPAQUE) return load_refuse(load, "an opaque coding");
    status = load_take(load, sizeof *coding, &memory);
    if (status != INGOT_OK) return status;
    struct ingot_coding *copy = memory;
    *copy = *coding;
    for (uint32_t i = 0; i < N_SLOTS; i++) copy->slots[i].table = NULL;
    if (coding->bits > RESIDENT_MAX_CODE_BITS) { /* held as what its map makes of them */
        copy->map = MAP_FLOAT;
        copy->bits = 32;
        copy->format = INGOT_F32;
    }
    dense->coding = copy;
    if (coding->codebook_stream != INGOT_NONE) {
        status = resident_codebook(load->file, coding, load->store, &dense->codebook, load->error);
    }
    if (status == INGOT_OK && coding->index_bits != 0) {
        status = load_index(load, coding, stack.n_cols, *stream, index);
        *stream += 1;
    }
    return status;
}

/* ------------------------------------------------------------------ codes */

static ingot_status load_planes(const struct load *load, uint8_t bits, struct stack_shape codes,
                                uint64_t first_row, uint64_t n_rows, uint32_t *stream,
                                struct resident_plane *planes, uint32_t *n_planes)
{
    uint8_t widths[CODING_MAX_PLANES];
    *n_planes = plane_widths(bits, widths);
    for (uint32_t i = 0; i < *n_planes; i++) {
        struct stream_shape shape;
        const bool fits = plane_shape(widths[i], codes, &shape);
        assert(fits); /* the streams of the file were proved */
        (void)fits;
        planes[i].bits = widths[i];
        planes[i].row_bytes = stream_row_bytes(widths[i], codes.n_cols);
        const ingot_status status =
            stream_rows_read(load_source(load, (*stream)++), &shape, first_row, n_rows, load->store,
                             &planes[i].data, load->error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

const uint8_t *resident_place(struct row_source source, const struct ingot_coding *coding,
                              struct stack_shape codes, uint64_t first_row, uint64_t n_rows)
{
    struct stream_shape shape;
    const bool is_float = coding->map == MAP_FLOAT && coding_is_raw(coding);
    const bool is_wide = coding->bits == 16 || coding->bits == 32;
    if (!is_float || !is_wide || !plane_shape(coding->bits, codes, &shape)) return NULL;
    return stream_rows_place(source, &shape, first_row, n_rows);
}

/* Raw floats in their place in the file. */
static ingot_status load_in_place(const struct load *load, const uint8_t *place, uint8_t bits,
                                  struct stack_shape codes, uint64_t first_row, uint64_t n_rows,
                                  uint32_t stream, struct resident_dense *dense)
{
    struct stream_shape shape;
    const bool fits = plane_shape(bits, codes, &shape);
    assert(fits);
    (void)fits;
    dense->in_place = true;
    dense->n_planes = 1;
    dense->planes[0] = (struct resident_plane){place, stream_row_bytes(bits, codes.n_cols), bits};
    if (!load->options->unchecked) {
        return stream_rows_check(load_source(load, stream), &shape, first_row, n_rows, load->error);
    }
    ingot_file_expect(load->file, place, n_rows * dense->planes[0].row_bytes);
    return INGOT_OK;
}

ingot_status load_wide_codes(const struct load *load, const struct ingot_coding *coding,
                             struct stack_shape codes, struct stack_part part, uint32_t *stream,
                             struct resident_dense *dense)
{
    struct ingot_coding map = *coding;
    uint8_t widths[CODING_MAX_PLANES];
    void *floats;
    memset(map.slots, 0, sizeof map.slots);
    map.index_bits = 0;
    ingot_status status = load_take_array(load, part.n_rows * part.n_cols, sizeof(float), &floats);
    if (status != INGOT_OK) return status;
    status = load_values(load, &map, codes, *stream, part, floats);
    *stream += plane_widths(coding->bits, widths);
    dense->n_planes = 1;
    dense->planes[0] = (struct resident_plane){floats, part.n_cols * sizeof(float), 32};
    return status;
}

ingot_status load_code_rows(const struct load *load, const struct ingot_coding *coding,
                            struct stack_shape codes, uint64_t first_row, uint64_t n_rows,
                            uint32_t *stream, struct resident_dense *dense)
{
    dense->n_rows = n_rows;
    dense->n_cols = codes.n_cols;
    if (coding->bits > RESIDENT_MAX_CODE_BITS) {
        const struct stack_part part = {first_row, n_rows, 0, codes.n_cols};
        return load_wide_codes(load, coding, codes, part, stream, dense);
    }
    const uint8_t *place = NULL;
    if (load->options->in_place) {
        place = resident_place(load_source(load, *stream), coding, codes, first_row, n_rows);
    }
    if (place != NULL) {
        return load_in_place(load, place, coding->bits, codes, first_row, n_rows, (*stream)++,
                             dense);
    }
    struct stack_shape vectors = codes;
    if (coding->map == MAP_VECTOR) vectors.n_cols = ceil_div(codes.n_cols, coding->vector_length);
    ingot_status status = load_planes(load, coding->bits, vectors, first_row, n_rows, stream,
                                      dense->planes, &dense->n_planes);
    if (status != INGOT_OK || coding->signs == 0) return status;
    vectors.n_cols = ceil_div(codes.n_cols, 8);
    return load_planes(load, coding->signs, vectors, first_row, n_rows, stream, dense->signs,
                       &dense->n_sign_planes);
}

ingot_status load_check_codes(const struct load *load, const struct resident_dense *dense)
{
    enum { BLOCK = 256 };
    const struct ingot_coding *coding = dense->coding;
    if (dense->codebook == NULL || coding->n_entries == 1u << coding->bits) return INGOT_OK;
    const uint64_t length = max_u64(coding->vector_length, 1);
    const uint64_t n_codes = ceil_div(dense->n_cols, length);
    for (uint64_t i = 0; i < dense->n_rows * n_codes;) {
        uint32_t codes[BLOCK];
        const uint64_t row = i / n_codes, col = i % n_codes;
        const uint32_t n = (uint32_t)min_u64(BLOCK, n_codes - col);
        resident_codes(dense->planes, dense->n_planes, row, col, n, codes);
        for (uint32_t k = 0; k < n; k++) {
            if (codes[k] < coding->n_entries) continue;
            return ingot_fail_rule(load->error, R_431, INGOT_NO_OFFSET, "code",
                                   "%u of a codebook of %u", codes[k], coding->n_entries);
        }
        i += n;
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ tables */

/* How a table's entries lie over a matrix; by enum coding_group. */
static void group_blocks(const struct coding_slot *slot, struct stack_shape stack,
                         struct resident_table *table)
{
    table->group_rows = slot->group_rows ? slot->group_rows : stack.n_rows;
    table->group_cols = slot->group_cols ? slot->group_cols : stack.n_cols;
}

static void group_tensor(const struct coding_slot *slot, struct stack_shape stack,
                         struct resident_table *table)
{
    (void)slot;
    table->group_rows = stack.n_rows;
    table->group_cols = stack.n_cols;
}

/* Runs that end where rows end are blocks. */
static void group_runs(const struct coding_slot *slot, struct stack_shape stack,
                       struct resident_table *table)
{
    const uint64_t run = slot->group_cols;
    const bool parts_of_rows = stack.n_cols % run == 0;
    const bool whole_rows = stack.n_cols > 0 && run % stack.n_cols == 0;
    table->group_rows = parts_of_rows || !whole_rows ? 1 : run / stack.n_cols;
    table->group_cols = whole_rows && !parts_of_rows ? stack.n_cols : run;
    if (!parts_of_rows && !whole_rows) table->run_cols = stack.n_cols;
}

static void group_index(const struct coding_slot *slot, struct stack_shape stack,
                        struct resident_table *table)
{
    table->group_rows = slot->group_rows ? slot->group_rows : stack.n_rows;
    table->group_cols = 1;
}

static void (*const group_forms[])(const struct coding_slot *slot, struct stack_shape stack,
                                   struct resident_table *table) = {
    [GROUP_BLOCK] = group_blocks,
    [GROUP_TENSOR] = group_tensor,
    [GROUP_RUN] = group_runs,
    [GROUP_COLUMN_INDEX] = group_index,
};

static bool is_flat(const struct ingot_coding *table)
{
    const bool held = table->format == INGOT_F16 || table->format == INGOT_F32;
    return table->map == MAP_FLOAT && held && coding_is_raw(table);
}

/* Of a grid over all matrices, the one of the matrix; a table of the whole stack has one grid. */
static uint64_t grid_matrix(const struct load *load, struct stack_shape grid)
{
    return grid.n_matrices == 1 ? 0 : load->matrix_index;
}

static ingot_status load_flat_table(const struct load *load, const struct coding_slot *slot,
                                    struct stack_shape grid, uint32_t stream,
                                    struct resident_table *table)
{
    const uint64_t first_row = grid_matrix(load, grid) * grid.n_rows;
    struct stream_shape shape;
    const uint8_t *data;
    const bool fits = plane_shape(slot->table->bits, grid, &shape);
    assert(fits);
    (void)fits;
    const ingot_status status = stream_rows_read(load_source(load, stream), &shape, first_row,
                                                 grid.n_rows, load->store, &data, load->error);
    table->data = data;
    table->format = (ingot_dtype)slot->table->format;
    return status;
}

static ingot_status load_table(const struct load *load, const struct coding_slot *slot,
                               struct stack_shape stack, uint32_t stream, const uint32_t *index,
                               struct resident_table *table)
{
    struct stack_shape grid;
    const bool fits = slot_grid(slot, stack, &grid);
    assert(fits);
    (void)fits;
    group_forms[slot->group](slot, stack, table);
    table->group_rows = max_u64(table->group_rows, 1);
    table->group_cols = max_u64(table->group_cols, 1);
    table->n_rows = grid.n_rows;
    table->n_cols = grid.n_cols;
    if (slot->group == GROUP_COLUMN_INDEX) table->index = index;
    const bool is_run = slot->group == GROUP_RUN;
    if (is_flat(slot->table)) {
        if (is_run && table->run_cols == 0) { /* the grid's one row is cut where rows end */
            table->n_rows = ceil_div(stack.n_rows, table->group_rows);
            table->n_cols = ceil_div(stack.n_cols, table->group_cols);
        }
        return load_flat_table(load, slot, grid, stream, table);
    }
    if (is_run) { /* nested groups count entries of the grid as it is */
        table->group_cols = slot->group_cols;
        table->run_cols = max_u64(stack.n_cols, 1);
    }
    void *memory;
    ingot_status status = load_take(load, sizeof(struct resident_dense), &memory);
    if (status != INGOT_OK) return status;
    struct resident_dense *nested = memory;
    memset(nested, 0, sizeof *nested);
    struct load of_grid = *load;
    of_grid.matrix_index = grid_matrix(load, grid);
    status = load_dense(&of_grid, slot->table, grid, stream, nested);
    table->nested = nested;
    return status;
}

ingot_status load_tables(const struct load *load, const struct ingot_coding *coding,
                         struct stack_shape stack, uint32_t stream, const uint32_t *index,
                         struct resident_dense *dense)
{
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        struct stack_shape grid;
        struct stream_shape shapes[CODING_MAX_STREAMS];
        uint32_t n_streams = 0;
        if (!slot->has_table) continue;
        const ingot_status status = load_table(load, slot, stack, stream, index, &dense->tables[i]);
        if (status != INGOT_OK) return status;
        const bool fits =
            slot_grid(slot, stack, &grid) && coding_streams(slot->table, grid, shapes, &n_streams);
        assert(fits);
        (void)fits;
        stream += n_streams;
    }
    return INGOT_OK;
}

ingot_status load_dense(const struct load *load, const struct ingot_coding *coding,
                        struct stack_shape stack, uint32_t stream, struct resident_dense *dense)
{
    const uint32_t *index = NULL;
    ingot_status status = load_coding(load, coding, stack, &stream, &index, dense);
    if (status != INGOT_OK) return status;
    status = load_code_rows(load, coding, stack, load->matrix_index * stack.n_rows, stack.n_rows,
                            &stream, dense);
    if (status != INGOT_OK) return status;
    status = load_check_codes(load, dense);
    if (status != INGOT_OK) return status;
    return load_tables(load, coding, stack, stream, index, dense);
}

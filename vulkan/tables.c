/* Tables of a coding as they lie on a device. Knows no map and no device. */
#include "vulkan/tables.h"

#include <assert.h>
#include <math.h>

#include "format/bytes.h"
#include "format/floats.h"
#include "vulkan/stream.h"

/* Quarters that share an entry where one serves a whole row; a multiple of every grain. */
static const uint32_t whole_row = UINT32_C(1) << 28;

static const struct {
    enum coding_slot_name slot;
    bool adds; /* its constant adds to the entry, else it multiplies it */
} slots[N_TABLES] = {
    [TABLE_ZERO] = {SLOT_ZERO, true},
    [TABLE_SCALE] = {SLOT_SCALE, false},
    [TABLE_BIAS] = {SLOT_BIAS, true},
};

/* ------------------------------------------------------------------ where entries are */

/* Groups of a row, whole quarters long; with a column index they are those of the order that the
 * columns are brought to, indexed_cols long. */
static bool plan_groups(struct vk_entries *e, uint64_t n_rows, uint64_t n_cols,
                        uint64_t indexed_cols)
{
    const struct resident_table *const table = e->table;
    uint64_t group_cols = table->group_cols;
    e->header.group_rows = (uint32_t)max_u64(min_u64(table->group_rows, n_rows), 1);
    e->header.row_entries = (uint32_t)ceil_div(n_cols, group_cols);
    if (table->index) {
        if (indexed_cols == 0) return false;
        group_cols = indexed_cols;
        e->header.row_entries = (uint32_t)table->n_cols;
        n_cols = table->n_cols * indexed_cols;
    } else if (table->run_cols != 0) {
        e->linear = true;
        const bool whole_rows = group_cols % n_cols == 0;
        if (!whole_rows && n_cols % group_cols != 0) return false;
        e->header.group_rows =
            whole_rows ? (uint32_t)max_u64(min_u64(group_cols / n_cols, n_rows), 1) : 1;
    }
    const bool is_whole = e->header.row_entries == 1;
    if (!is_whole && group_cols % QUARTER_COLS != 0) return false;
    e->group = is_whole ? whole_row : (uint32_t)(group_cols / QUARTER_COLS);
    e->rows = ceil_div(n_rows, e->header.group_rows);
    return true;
}

/* ------------------------------------------------------------------ two levels */

static float map_value(const struct resident_dense *dense, uint32_t code)
{
    const struct ingot_coding *const coding = dense->coding;
    if (coding->map == MAP_CODEBOOK) return dense->codebook[code];
    if (coding->map == MAP_FLOAT) return ingot_float_decode((ingot_dtype)coding->format, code);
    const int64_t sign = coding->map == MAP_INT ? INT64_C(1) << (coding->bits - 1) : 0;
    return (float)(((int64_t)code ^ sign) - sign);
}

/* How super entries lie over the grid of entries, `rows` x `row_entries`, or in a row. */
static bool plan_super_groups(struct vk_entries *e, const struct resident_table *super)
{
    const uint64_t n_groups = e->header.row_entries;
    const bool by_rows = !e->linear && super->run_cols == 0;
    e->super = max_u64(super->group_cols, 1);
    if (super->index) return false;
    if (!by_rows) {
        e->header.super_linear = e->header.row_entries;
    } else if (super->group_rows >= e->rows) {
        e->super_is_all = super->n_rows * super->n_cols == 1;
        return e->super_is_all;
    } else if (super->group_rows == 1) {
        e->header.super_row = (uint32_t)super->n_cols;
    } else if (super->group_cols >= n_groups) {
        e->super = super->group_rows * n_groups;
        e->header.super_linear = e->header.row_entries;
    } else {
        return false;
    }
    return e->super <= UINT32_MAX / 2;
}

/* Entries as bytes, times super entries, plus a constant. */
static bool plan_nested(struct vk_entries *e, bool inverse)
{
    const struct resident_dense *const nested = e->table->nested;
    const struct ingot_coding *const coding = nested->coding;
    const struct coding_slot *const zero = &coding->slots[SLOT_ZERO];
    const struct coding_slot *const scale = &coding->slots[SLOT_SCALE];
    const struct coding_slot *const bias = &coding->slots[SLOT_BIAS];
    const bool is_integer = coding->map == MAP_UINT || coding->map == MAP_INT;
    if (coding->bits > 8 || coding->map > MAP_CODEBOOK || zero->has_table || bias->has_table) {
        return false;
    }
    if (inverse && bias->has_constant) return false;
    e->form = is_integer ? ENTRIES_INTEGER : ENTRIES_LOOKUP;
    e->flip = coding->map == MAP_INT ? 1u << (coding->bits - 1) : 0;
    e->header.zero = (zero->has_constant ? zero->constant : 0.0f) + (float)e->flip;
    const uint32_t n_values = is_integer         ? 0
                              : nested->codebook ? coding->n_entries
                                                 : 1u << coding->bits;
    for (uint32_t i = 0; i < n_values; i++) {
        e->lookup[i] = map_value(nested, i);
        if (zero->has_constant) e->lookup[i] -= zero->constant;
    }
    e->super_factor = 1.0f;
    if (scale->has_table && !plan_super_groups(e, &nested->tables[SLOT_SCALE])) return false;
    if (scale->has_constant) {
        e->super_factor = scale->inverse_constant ? 1.0f / scale->constant : scale->constant;
        if (!scale->has_table) e->super_is_all = true;
    }
    if (e->super_is_all) e->super = UINT32_MAX / 2;
    e->inverse_super = scale->inverse_table;
    if (bias->has_constant) {
        e->header.add = bias->inverse_constant ? -bias->constant : bias->constant;
    }
    return true;
}

/* ------------------------------------------------------------------ planning */

static void add_constant(struct vk_entries *e, const struct coding_slot *slot, bool adds)
{
    const bool subtracts = adds && slot->inverse_table && slot->has_table;
    e->header.factor = subtracts ? -1.0f : 1.0f;
    if (!slot->has_constant) return;
    if (!adds) {
        e->header.factor = slot->inverse_constant ? 1.0f / slot->constant : slot->constant;
        return;
    }
    const float constant = slot->inverse_constant ? -slot->constant : slot->constant;
    if (slot->has_table) {
        e->header.add += subtracts ? -constant : constant;
    } else {
        e->header.factor = constant;
    }
}

static bool plan_table(struct vk_entries *e, const struct coding_slot *slot, bool adds,
                       uint64_t n_rows, uint64_t n_cols, uint64_t indexed_cols)
{
    if (!plan_groups(e, n_rows, n_cols, indexed_cols)) return false;
    const struct resident_table *const table = e->table;
    const struct vk_entries plain = *e;
    e->inverse = slot->inverse_table && !adds;
    if (table->data) {
        e->form = table->format == INGOT_F16 ? ENTRIES_F16 : ENTRIES_F32;
    } else if (!plan_nested(e, e->inverse)) {
        *e = plain;
        e->inverse = slot->inverse_table && !adds;
        e->form = ENTRIES_F32;
        e->worked_out = true;
    }
    add_constant(e, slot, adds);
    return true;
}

/* Columns of a group of the order that a column index asks for: as many as the largest has, in
 * whole quarters; 0 where that would waste more than an eighth. */
static uint64_t indexed_group_cols(const struct resident_dense *dense, uint64_t n_cols)
{
    const struct resident_table *table = NULL;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (dense->tables[i].index) table = &dense->tables[i];
    }
    if (!table || table->n_cols > n_cols) return 0;
    uint64_t largest = 0;
    for (uint64_t g = 0; g < table->n_cols; g++) { /* few groups; once a matrix */
        uint64_t n = 0;
        for (uint64_t c = 0; c < n_cols; c++) n += table->index[c] == g;
        largest = max_u64(largest, n);
    }
    largest = ceil_div(largest, QUARTER_COLS) * QUARTER_COLS;
    return largest * table->n_cols <= n_cols + n_cols / 8 ? largest : 0;
}

bool ingot_vk_tables_plan(const struct resident_dense *dense, uint64_t n_rows, uint64_t n_cols,
                          struct vk_entries tables[N_TABLES])
{
    const uint64_t indexed_cols = indexed_group_cols(dense, n_cols);
    for (uint32_t t = 0; t < N_TABLES; t++) {
        const struct coding_slot *const slot = &dense->coding->slots[slots[t].slot];
        struct vk_entries *const e = &tables[t];
        *e = (struct vk_entries){.form = ENTRIES_NONE, .group = whole_row};
        e->header.group_rows = 1;
        if (!slot->has_table) {
            if (t == TABLE_ZERO || !slot->has_constant) continue;
            e->form = ENTRIES_CONSTANT;
            add_constant(e, slot, slots[t].adds);
            continue;
        }
        e->table = &dense->tables[slots[t].slot];
        if (!plan_table(e, slot, slots[t].adds, n_rows, n_cols, indexed_cols)) return false;
        /* In another order of columns only whole rows stay as they are. */
        if (indexed_cols != 0 && !e->table->index && e->group != whole_row) return false;
    }
    return true;
}

/* Quarters over which all entries stay the same: 1, 2 or 4. */
static uint32_t tables_grain(const struct vk_entries tables[N_TABLES])
{
    uint32_t all = STEP_COLS / QUARTER_COLS;
    for (uint32_t t = 0; t < N_TABLES; t++) all |= tables[t].group;
    return all & (0u - all); /* the lowest bit that any has */
}

void ingot_vk_tables_specs(const struct vk_entries tables[N_TABLES], uint32_t specs[N_SPECS])
{
    specs[SPEC_GRAIN] = tables_grain(tables);
    for (uint32_t t = 0; t < N_TABLES; t++) {
        uint32_t *const of_table = specs + SPEC_TABLES + t * SPECS_OF_TABLE;
        of_table[SPEC_OF_FORM] = tables[t].form;
        of_table[SPEC_OF_GROUP] = tables[t].group;
        of_table[SPEC_OF_SUPER] = (uint32_t)tables[t].super;
        of_table[SPEC_OF_INVERSE] = tables[t].inverse;
    }
}

/* ------------------------------------------------------------------ the words of a piece */

/* Rows of entries, and super entries, that rows of weights need. */
struct extent {
    uint64_t first_row;
    uint64_t n_rows;
    uint64_t first_super;
    uint64_t n_supers;
};

static struct extent find_extent(const struct vk_entries *e, uint64_t first_row, uint64_t n_rows)
{
    const uint64_t first = first_row / e->header.group_rows;
    const uint64_t n = ceil_div(first_row + n_rows, e->header.group_rows) - first;
    struct extent extent = {first, n, 0, 0};
    if (e->super == 0 || n == 0) return extent;
    if (e->super_is_all) {
        extent.n_supers = 1;
    } else if (e->header.super_row != 0) {
        extent.first_super = first * e->header.super_row;
        extent.n_supers = n * e->header.super_row;
    } else {
        const uint64_t row = e->header.row_entries;
        extent.first_super = first * row / e->super;
        extent.n_supers = ceil_div((first + n) * row, e->super) - extent.first_super;
    }
    return extent;
}

static uint64_t entry_bytes(const struct vk_entries *e)
{
    static const uint8_t sizes[] = {
        [ENTRIES_F16] = 2, [ENTRIES_F32] = 4, [ENTRIES_INTEGER] = 1, [ENTRIES_LOOKUP] = 1};
    return sizes[e->form];
}

static uint64_t n_lookup(const struct vk_entries *e)
{
    return e->form == ENTRIES_LOOKUP ? 256 : 0;
}

void ingot_vk_entries_place(const struct vk_entries *e, uint64_t first_row, uint64_t n_rows,
                            struct vk_table *header, uint64_t *n_words)
{
    *header = e->header;
    if (!e->table) return;
    const struct extent extent = find_extent(e, first_row, n_rows);
    const uint64_t n_bytes = extent.n_rows * e->header.row_entries * entry_bytes(e);
    header->row_phase = (uint32_t)(first_row % e->header.group_rows);
    if (e->super != 0 && e->header.super_linear != 0) {
        const uint64_t at = extent.first_row * e->header.row_entries;
        header->super_phase = (uint32_t)(at % e->super);
    }
    header->lookup = (uint32_t)*n_words;
    *n_words += n_lookup(e);
    header->supers = (uint32_t)*n_words;
    *n_words += extent.n_supers;
    header->entries = (uint32_t)*n_words;
    *n_words += ceil_div(n_bytes, 4);
}

/* The grid of entries as the file has it: super entry i is that of this place. */
static void super_place(const struct vk_entries *e, uint64_t i, uint64_t *row, uint64_t *col)
{
    const uint64_t n_groups = e->header.row_entries;
    *row = *col = 0;
    if (e->super_is_all) return;
    if (e->header.super_row != 0) {
        *row = i / e->header.super_row;
        *col = i % e->header.super_row * e->super;
    } else if (e->linear) {
        *col = i * e->super;
    } else {
        *row = i * e->super / n_groups;
        *col = i * e->super % n_groups;
    }
}

static void write_supers(const struct vk_entries *e, const struct extent *extent,
                         struct vk_stream *stream)
{
    const struct resident_table *const super = &e->table->nested->tables[SLOT_SCALE];
    const bool has_table = super->data || super->nested;
    for (uint64_t i = 0; i < extent->n_supers; i++) {
        uint64_t row, col;
        super_place(e, extent->first_super + i, &row, &col);
        float value = has_table ? resident_entry(super, row, col) : 1.0f;
        if (e->inverse_super) value = 1.0f / value;
        value *= e->super_factor;
        if (e->inverse) value = 1.0f / value;
        ingot_vk_stream_write(stream, &value, sizeof value);
    }
}

static void write_codes(const struct vk_entries *e, uint64_t row, struct vk_stream *stream)
{
    enum { BLOCK = 256 };
    const struct resident_dense *const nested = e->table->nested;
    const uint64_t n_groups = e->header.row_entries;
    for (uint64_t done = 0; done < n_groups; done += BLOCK) {
        uint32_t codes[BLOCK];
        uint8_t bytes[BLOCK];
        const uint32_t n = (uint32_t)min_u64(BLOCK, n_groups - done);
        const uint64_t first = e->linear ? row * n_groups + done : done;
        resident_codes(nested->planes, nested->n_planes, e->linear ? 0 : row, first, n, codes);
        for (uint32_t i = 0; i < n; i++) bytes[i] = (uint8_t)(codes[i] ^ e->flip);
        ingot_vk_stream_write(stream, bytes, n);
    }
}

static void write_worked_out(const struct vk_entries *e, uint64_t row, struct vk_stream *stream)
{
    struct resident_table grid = *e->table; /* entries one by one, as if each were a weight's */
    grid.group_rows = grid.group_cols = 1;
    grid.run_cols = 0;
    grid.index = NULL;
    const uint64_t n_groups = e->header.row_entries;
    for (uint64_t g = 0; g < n_groups; g++) {
        const float value = e->linear ? resident_entry(&grid, 0, row * n_groups + g)
                                      : resident_entry(&grid, row, g);
        ingot_vk_stream_write(stream, &value, sizeof value);
    }
}

static void write_flat(const struct vk_entries *e, uint64_t row, struct vk_stream *stream)
{
    const uint64_t row_bytes = e->header.row_entries * entry_bytes(e);
    const uint8_t *const data = e->table->data;
    ingot_vk_stream_write(stream, data + row * row_bytes, row_bytes);
}

void ingot_vk_entries_write(const struct vk_entries *e, uint64_t first_row, uint64_t n_rows,
                            struct vk_stream *stream)
{
    if (!e->table) return;
    const struct extent extent = find_extent(e, first_row, n_rows);
    const uint64_t n_bytes = extent.n_rows * e->header.row_entries * entry_bytes(e);
    ingot_vk_stream_write(stream, e->lookup, n_lookup(e) * sizeof *e->lookup);
    if (extent.n_supers > 0) write_supers(e, &extent, stream);
    void (*const write_row)(const struct vk_entries *, uint64_t, struct vk_stream *) =
        e->table->data  ? write_flat
        : e->worked_out ? write_worked_out
                        : write_codes;
    for (uint64_t i = 0; i < extent.n_rows; i++) write_row(e, extent.first_row + i, stream);
    ingot_vk_stream_write_zeros(stream, ceil_div(n_bytes, 4) * 4 - n_bytes);
}

uint64_t ingot_vk_entries_row_bytes(const struct vk_entries *e)
{
    if (!e->table) return 0;
    const uint64_t n = e->header.row_entries;
    const uint64_t n_supers = e->super ? ceil_div(n, e->super) + 1 : 0;
    return n * entry_bytes(e) + n_supers * 4;
}

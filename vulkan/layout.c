/* How a coding lies on a device and which kernels compute it. Knows no device. */
#include "vulkan/layout.h"

#include <math.h>
#include <stdio.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/floats.h"
#include "vulkan/stream.h"

/* With fewer columns the roundings of a sum are too few to hide those of tables and reciprocals:
 * the bound is 2 K of them. */
enum { MIN_CODED_COLS = 64 };
enum { MAX_LOOKUP_BITS = 8, MAX_VECTOR_BITS = 16 };

static bool slot_is_absent(const struct coding_slot *slot)
{
    return !slot->has_table && !slot->has_constant;
}

/* ------------------------------------------------------------------ maps, one function each */

static const struct {
    ingot_dtype format;
    const char *map;
} raw_maps[] = {{INGOT_F32, "f32"}, {INGOT_F16, "f16"}, {INGOT_BF16, "bf16"}};

static bool plan_raw(struct vk_layout *layout)
{
    const struct ingot_coding *const coding = layout->dense->coding;
    if (!slot_is_absent(&coding->slots[SLOT_ZERO])) return false;
    for (size_t i = 0; i < sizeof raw_maps / sizeof *raw_maps; i++) {
        if (raw_maps[i].format != (ingot_dtype)coding->format) continue;
        layout->map = raw_maps[i].map;
        layout->step_cols = RAW_STEP_COLS;
        layout->row_steps = (uint32_t)ceil_div(layout->n_cols, RAW_STEP_COLS);
        layout->room = layout->row_steps;
        layout->row_words = layout->room * (UINT64_C(8) * coding->bits / 32);
        return true;
    }
    return false;
}

/* Room for codes whose every plane begins at a multiple of 16 bytes. */
static void plan_steps(struct vk_layout *layout, uint64_t step_codes)
{
    layout->step_cols = STEP_COLS;
    layout->row_steps = (uint32_t)ceil_div(layout->n_cols, STEP_COLS);
    layout->room =
        (uint32_t)ceil_div(layout->row_steps, 128 / step_codes) * (128 / (uint32_t)step_codes);
    layout->row_words = layout->room * step_codes * layout->dense->coding->bits / 32;
    layout->specs[SPEC_BITS] = layout->dense->coding->bits;
}

static double zero_of(const struct ingot_coding *coding)
{
    const struct coding_slot *const slot = &coding->slots[SLOT_ZERO];
    return slot->has_constant && !slot->has_table ? (double)slot->constant : 0.0;
}

static bool plan_lookup(struct vk_layout *layout)
{
    const struct resident_dense *const dense = layout->dense;
    const struct ingot_coding *const coding = dense->coding;
    if (coding->bits > MAX_LOOKUP_BITS) return false;
    const uint32_t n = coding->n_entries ? coding->n_entries : 1u << coding->bits;
    for (uint32_t i = 0; i < n; i++) {
        float value = 0.0f;
        if (coding->map == MAP_CODEBOOK) value = dense->codebook[i];
        if (coding->map == MAP_FLOAT) value = ingot_float_decode((ingot_dtype)coding->format, i);
        if (coding->map == MAP_UINT) value = (float)i;
        if (coding->map == MAP_INT) value = (float)i - (i >> (coding->bits - 1) ? (float)n : 0.0f);
        if (zero_of(coding) != 0.0) value -= (float)zero_of(coding);
        layout->book[i] = f32_bits(value);
    }
    /* Codes behind the end of a row are zero, and count when they are no number. */
    if (!isfinite(f32_from_bits(layout->book[0]))) return false;
    layout->map = "lookup";
    plan_steps(layout, STEP_COLS);
    return true;
}

static bool plan_integer(struct vk_layout *layout)
{
    const struct ingot_coding *const coding = layout->dense->coding;
    if (coding->bits > MAX_LOOKUP_BITS) return false;
    const uint32_t flip = coding->map == MAP_INT ? 1u << (coding->bits - 1) : 0;
    const double zero = zero_of(coding) + (double)flip;
    if ((double)(float)zero != zero) return plan_lookup(layout);
    layout->map = "integer";
    layout->specs[SPEC_FLIP] = flip;
    layout->specs[SPEC_ZERO] = f32_bits((float)zero);
    plan_steps(layout, STEP_COLS);
    return true;
}

static bool plan_float(struct vk_layout *layout)
{
    return layout->dense->coding->bits > MAX_LOOKUP_BITS ? plan_raw(layout) : plan_lookup(layout);
}

/* The narrowest form that holds all values of a vector codebook. */
static uint32_t book_form(const float *values, uint64_t n)
{
    uint32_t form = BOOK_I8;
    for (uint64_t i = 0; i < n; i++) {
        const float v = values[i];
        if (v >= -128.0f && v <= 127.0f && v == floorf(v) && !(v == 0.0f && signbit(v))) continue;
        if (f32_bits(f32_from_f16(f16_from_f32(v))) != f32_bits(v)) return BOOK_F32;
        form = BOOK_F16;
    }
    return form;
}

static bool plan_vector(struct vk_layout *layout)
{
    const struct resident_dense *const dense = layout->dense;
    const struct ingot_coding *const coding = dense->coding;
    if (coding->bits > MAX_VECTOR_BITS) return false;
    layout->vector_book_values = (uint64_t)coding->n_entries * coding->vector_length;
    for (uint32_t i = 0; i < coding->vector_length; i++) {
        if (!isfinite(dense->codebook[i])) return false;
    }
    layout->map = "vector";
    layout->specs[SPEC_ZERO] = f32_bits((float)zero_of(coding));
    layout->specs[SPEC_LENGTH] = coding->vector_length;
    layout->specs[SPEC_SIGNS] = coding->signs;
    layout->specs[SPEC_BOOK] = book_form(dense->codebook, layout->vector_book_values);
    plan_steps(layout, STEP_COLS / coding->vector_length);
    /* Sign codes, four a step, have room for as many steps. */
    layout->room = (uint32_t)ceil_div(layout->room, 8) * 8;
    layout->row_words =
        layout->room * (STEP_COLS / (uint64_t)coding->vector_length) * coding->bits / 32;
    layout->sign_words = layout->room * UINT64_C(4) * coding->signs / 32;
    return true;
}

/* By enum coding_map. */
static bool (*const map_plans[])(struct vk_layout *layout) = {
    [MAP_UINT] = plan_integer,    [MAP_INT] = plan_integer,   [MAP_FLOAT] = plan_float,
    [MAP_CODEBOOK] = plan_lookup, [MAP_VECTOR] = plan_vector,
};

/* ------------------------------------------------------------------ columns and factors */

/* Post factors of columns: the same in all rows. False when they are not. */
static bool factors_are_of_columns(const struct resident_dense *dense, uint64_t n_rows)
{
    const struct resident_table *const table = &dense->tables[SLOT_POST];
    if (!dense->coding->slots[SLOT_POST].has_table) return true;
    return table->run_cols == 0 && table->group_rows >= n_rows;
}

static float post_factor(const struct resident_dense *dense, uint64_t col)
{
    const struct coding_slot *const slot = &dense->coding->slots[SLOT_POST];
    float factor = 1.0f;
    if (slot->has_table) {
        factor = resident_entry(&dense->tables[SLOT_POST], 0, col);
        if (slot->inverse_table) factor = 1.0f / factor;
    }
    if (!slot->has_constant) return factor;
    return slot->inverse_constant ? factor / slot->constant : factor * slot->constant;
}

static const struct resident_table *indexed_table(const struct vk_layout *layout)
{
    for (uint32_t t = 0; t < N_TABLES; t++) {
        const struct resident_table *const table = layout->tables[t].table;
        if (table && table->index) return table;
    }
    return NULL;
}

/* Columns of a group lie together, each group filled up. */
static void order_by_index(struct vk_layout *layout, const struct resident_table *table,
                           uint64_t n_cols)
{
    const uint64_t group_cols = layout->n_cols / table->n_cols;
    for (uint64_t i = 0; i < layout->n_cols; i++) layout->order[i] = INGOT_NONE;
    for (uint64_t g = 0; g < table->n_cols; g++) {
        uint64_t at = g * group_cols;
        for (uint64_t c = 0; c < n_cols; c++) {
            if (table->index[c] == g) layout->order[at++] = (uint32_t)c;
        }
    }
}

/* Where x is not taken as it is, the order of its columns and their factors. */
static ingot_status plan_gather(struct vk_layout *layout, const struct vk_layout_from *from,
                                const ingot_allocator *allocator, ingot_error *error)
{
    const struct resident_dense *const dense = layout->dense;
    const struct resident_table *const indexed = indexed_table(layout);
    const bool has_post = !layout->decoded && !slot_is_absent(&dense->coding->slots[SLOT_POST]);
    if (!indexed && !has_post && !dense->columns && !from->column_factors) return INGOT_OK;
    layout->order = ingot_allocate_zeroed(allocator, layout->n_cols, sizeof *layout->order);
    layout->factors = ingot_allocate_zeroed(allocator, layout->n_cols, sizeof *layout->factors);
    if (!layout->order || !layout->factors) {
        return ingot_fail_memory(error, layout->n_cols * sizeof *layout->order, "column order");
    }
    for (uint64_t i = 0; i < layout->n_cols; i++) {
        layout->order[i] = dense->columns ? dense->columns[i] : (uint32_t)i;
    }
    if (indexed) order_by_index(layout, indexed, from->n_cols);
    layout->reordered = indexed != NULL;
    for (uint64_t i = 0; i < layout->n_cols; i++) {
        const uint32_t col = layout->order[i];
        if (col == INGOT_NONE) continue;
        layout->factors[i] = has_post ? post_factor(dense, col) : 1.0f;
        if (from->column_factors) layout->factors[i] *= from->column_factors[col];
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ planning */

/* What kernels compute straight from codes. */
static bool plan_coded(struct vk_layout *layout, const struct vk_layout_from *from)
{
    const struct resident_dense *const dense = layout->dense;
    const struct ingot_coding *const coding = dense->coding;
    const bool is_raw = coding_is_raw(coding);
    const uint64_t n_cols = from->n_cols;
    if (coding->map > MAP_VECTOR || !map_plans[coding->map]) return false;
    if (from->sparse && coding->map == MAP_VECTOR) return false;
    /* Lists have kernels of raw floats only. */
    const bool is_list = from->sparse && from->sparse->columns;
    if (is_list && (!is_raw || coding->map != MAP_FLOAT || coding->bits < 16)) return false;
    if (!factors_are_of_columns(dense, from->n_rows)) return false;
    /* Tables are in the coordinates of the matrix. */
    if ((dense->rows || dense->columns) && !is_raw) return false;
    if (!ingot_vk_tables_plan(dense, from->n_rows, n_cols, layout->tables)) return false;
    if (!is_raw && n_cols < MIN_CODED_COLS) return false;
    /* Offsets would reach weights that are not kept. */
    const bool has_offsets = layout->tables[TABLE_ZERO].form != ENTRIES_NONE ||
                             layout->tables[TABLE_BIAS].form != ENTRIES_NONE;
    if (from->sparse && has_offsets) return false;
    const struct resident_table *const indexed = indexed_table(layout);
    if (indexed) {
        if (from->sparse || coding->map == MAP_VECTOR) return false;
        const uint32_t group = layout->tables[TABLE_SCALE].table == indexed
                                   ? layout->tables[TABLE_SCALE].group
                                   : layout->tables[TABLE_ZERO].group;
        layout->n_cols = indexed->n_cols * group * QUARTER_COLS;
    }
    if (!map_plans[coding->map](layout)) return false;
    ingot_vk_tables_specs(layout->tables, layout->specs);
    return true;
}

/* What a table of scales makes of it is in the values. */
static void plan_decoded(struct vk_layout *layout)
{
    static const struct vk_entries none = {
        .form = ENTRIES_NONE, .group = 1, .header.group_rows = 1};
    for (uint32_t t = 0; t < N_TABLES; t++) layout->tables[t] = none;
    layout->decoded = true;
    layout->n_cols = layout->dense->n_cols;
    layout->map = "f32";
    layout->step_cols = RAW_STEP_COLS;
    layout->row_steps = layout->room = (uint32_t)ceil_div(layout->n_cols, RAW_STEP_COLS);
    layout->row_words = layout->room * UINT64_C(8);
    layout->vector_book_values = layout->sign_words = 0;
    for (uint32_t i = 0; i < N_SPECS; i++) layout->specs[i] = 0;
    ingot_vk_tables_specs(layout->tables, layout->specs);
}

ingot_status ingot_vk_layout_make(const struct resident_dense *dense,
                                  const struct vk_layout_from *from, const char *what,
                                  const ingot_allocator *allocator, struct vk_layout *layout,
                                  ingot_error *error)
{
    const char *why;
    if (!resident_is_decodable(dense, &why)) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, what,
                          "the Vulkan backend does not compute %s", why);
    }
    *layout = (struct vk_layout){.dense = dense,
                                 .sparse = from->sparse,
                                 .n_rows = from->sparse ? from->n_rows : dense->n_rows,
                                 .n_cols = dense->n_cols};
    if (from->decodes || !plan_coded(layout, from)) plan_decoded(layout);
    if (from->sparse) layout->n_cols = from->n_cols;
    snprintf(layout->module, sizeof layout->module, "%s%s",
             from->sparse && !from->sparse->columns ? "sparse_" : "", layout->map);
    const ingot_status status = plan_gather(layout, from, allocator, error);
    if (status != INGOT_OK) ingot_vk_layout_close(layout, allocator);
    return status;
}

void ingot_vk_layout_close(struct vk_layout *layout, const ingot_allocator *allocator)
{
    ingot_release(allocator, layout->order);
    ingot_release(allocator, layout->factors);
    layout->order = NULL;
    layout->factors = NULL;
}

/* ------------------------------------------------------------------ forecasting */

enum certainty { IS_CODED, IS_DECODED, MAY_BE_DECODED };

/* What the index of a file tells of whether kernels compute straight from codes. */
static enum certainty foresee(const struct ingot_coding *coding, const float *codebook,
                              uint64_t n_cols)
{
    const bool is_vector = coding->map == MAP_VECTOR;
    enum certainty certainty = IS_CODED;
    if (coding->bits > (is_vector ? MAX_VECTOR_BITS : MAX_LOOKUP_BITS)) return IS_DECODED;
    if (n_cols < MIN_CODED_COLS) return IS_DECODED;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *const slot = &coding->slots[i];
        const bool is_grouped = slot->has_table && slot->group != GROUP_TENSOR;
        const uint64_t cols = slot->group_cols ? slot->group_cols : n_cols;
        if (!is_grouped) continue;
        if (slot->group == GROUP_COLUMN_INDEX || i == SLOT_POST) certainty = MAY_BE_DECODED;
        if (slot->group == GROUP_RUN && cols % n_cols != 0 && n_cols % cols != 0) return IS_DECODED;
        if (cols < n_cols && cols % QUARTER_COLS != 0) certainty = MAY_BE_DECODED;
    }
    for (uint32_t i = 0; codebook && i < max_u64(coding->vector_length, 1); i++) {
        if (!isfinite(codebook[i])) return IS_DECODED;
    }
    return certainty;
}

uint64_t ingot_vk_layout_row_bytes(const struct ingot_coding *coding, const float *codebook,
                                   uint64_t n_rows, uint64_t n_cols)
{
    enum { ROOM_CODES = 128 };
    const uint64_t raw_cols = ceil_div(n_cols, RAW_STEP_COLS) * RAW_STEP_COLS;
    const bool is_raw = coding->map == MAP_FLOAT && (coding->bits == 16 || coding->bits == 32);
    const uint64_t length = max_u64(coding->vector_length, 1);
    uint64_t n_most = n_cols;
    uint64_t gathered = 0;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const bool indexed = coding->slots[i].group == GROUP_COLUMN_INDEX;
        if (coding->slots[i].has_table && indexed) n_most = n_cols + n_cols / 8;
        if (indexed || i == SLOT_POST) gathered = 8 * n_most;
    }
    gathered = ceil_div(gathered, max_u64(n_rows, 1));
    if (is_raw) return raw_cols * coding->bits / 8 + gathered;
    const uint64_t room = ceil_div(ceil_div(n_most, length), ROOM_CODES) * ROOM_CODES;
    const uint64_t coded = room * coding->bits / 8 + room * length / 8 * coding->signs / 8;
    const enum certainty certainty = foresee(coding, codebook, n_cols);
    const uint64_t decoded = raw_cols * sizeof(float);
    if (certainty == IS_CODED) return coded + gathered;
    return (certainty == IS_DECODED ? decoded : max_u64(coded, decoded)) + gathered;
}

/* The tables of zeros, scales and offsets as entries of panels: flat, or codes and a coarser scale.
 */
#include "runtime/panels_make.h"

#include <math.h>

#include "format/floats.h"
#include "format/pool.h"
#include "runtime/cpu_level.h"
#include "runtime/resident_codes.h"

/* Columns of a group, which begin anew at each row, in halves: 0 when they do not fit. */
uint64_t panel_table_halves(const struct panels *p, const struct resident_table *table)
{
    const uint64_t all = p->n_blocks * (PANEL_BLOCK / PANEL_HALF);
    if (table->index != NULL) return 1; /* groups may differ in size */
    if (table->run_cols != 0 && table->run_cols % table->group_cols != 0) return 0;
    if (table->group_cols >= p->n_cols) return all;
    return table->group_cols % PANEL_HALF == 0 ? table->group_cols / PANEL_HALF : 0;
}

/* Whether the nested coding of a table is codes through a table of 256, times a scale, plus a
 * constant. */
static bool is_two_level(const struct resident_table *table)
{
    const struct resident_dense *nested = table->nested;
    if (nested == NULL) return false;
    const struct ingot_coding *coding = nested->coding;
    return coding->bits <= 8 && coding->map <= MAP_CODEBOOK &&
           !coding->slots[SLOT_ZERO].has_table && !coding->slots[SLOT_BIAS].has_table;
}

/* Where in the grid of its table the entry of a weight is. */
static void grid_place(const struct resident_table *table, uint64_t row, uint64_t col, uint64_t *r,
                       uint64_t *c)
{
    *r = row / table->group_rows;
    *c = table->index != NULL ? table->index[col] : col / table->group_cols;
    if (table->run_cols == 0) return;
    *r = 0;
    *c = (row * table->run_cols + col) / table->group_cols;
}

/* One slot's table on its way to entries. */
struct entries {
    const struct resident_table *table;
    struct panel_table *out;
    bool inverse;
};

/* Over how many groups of a row the nested scale stays the same. */
static uint64_t super_groups(const struct entries *e)
{
    const struct resident_table *table = e->table;
    const struct resident_table *scale = &table->nested->tables[SLOT_SCALE];
    if (!table->nested->coding->slots[SLOT_SCALE].has_table) return e->out->n_groups;
    if (table->index != NULL || scale->index != NULL) return 1;
    const bool one_grid_row = table->run_cols != 0 || scale->run_cols != 0;
    if (!one_grid_row) return min_u64(scale->group_cols, e->out->n_groups);
    return greatest_divisor(scale->group_cols, e->out->n_groups);
}

/* The nested scale of an entry with the constants that go with it. */
static float super_value(const struct resident_table *table, uint64_t row, uint64_t col)
{
    const struct resident_dense *nested = table->nested;
    const struct coding_slot *slot = &nested->coding->slots[SLOT_SCALE];
    uint64_t r, c;
    float v = 1.0f;
    grid_place(table, row, col, &r, &c);
    if (slot->has_table) {
        const float entry = cpu_plain_entry(&nested->tables[SLOT_SCALE], r, c);
        v = slot->inverse_table ? 1.0f / entry : entry;
    }
    if (slot->has_constant) v = slot->inverse_constant ? v / slot->constant : v * slot->constant;
    return v;
}

static void put_super(const struct panel_table *out, uint64_t at, float v, uint8_t *supers)
{
    if (out->supers_are_f16) {
        store_u16(supers + 2 * at, f16_from_f32(v));
    } else {
        store_f32(supers + 4 * at, v);
    }
}

/* Where entries go; tasks fill those of a panel each. */
struct filling {
    const struct maker *m;
    const struct entries *e;
    uint8_t *dst;
    uint8_t *supers;
};

/* Entries of two levels, of one panel. */
static void fill_codes(void *context, uint64_t panel)
{
    const struct filling *f = context;
    const struct panels *p = f->m->p;
    const struct panel_table *out = f->e->out;
    const struct resident_table *table = f->e->table;
    const struct resident_dense *nested = table->nested;
    for (uint64_t g = 0; g < out->n_groups; g++) {
        const uint64_t col = panel_column_at(p, g * out->halves * PANEL_HALF);
        for (uint64_t lane = 0; lane < PANEL_ROWS; lane++) {
            const uint64_t row = min_u64(panel * PANEL_ROWS + lane, p->n_rows - 1);
            uint64_t r, c;
            grid_place(table, row, col, &r, &c);
            const uint32_t code = resident_code(nested->planes, nested->n_planes, r, c);
            const bool is_integer = out->kind == ENTRIES_INTEGERS;
            f->dst[(panel * out->n_groups + g) * PANEL_ROWS + lane] =
                (uint8_t)(is_integer ? (int32_t)out->lut[code] : (int32_t)code);
            if (g % out->super_groups != 0) continue;
            const uint64_t super = panel * out->n_supers + g / out->super_groups;
            put_super(out, super * PANEL_ROWS + lane, super_value(table, row, col), f->supers);
        }
    }
}

/* Whether one of n bytes is 127 or more. */
static bool any_from_127(const uint8_t *bytes, uint64_t n)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t found = 0;
    for (uint64_t i = 0; i + 8 <= n; i += 8) {
        const uint64_t eight = load_u64(bytes + i);
        found |= (eight + ones) | eight;
    }
    return (found & ones << 7) != 0;
}

/* Whether the codes of entries, of which there are n, a multiple of 8, tell their values. */
static void find_codes(struct panel_table *out, const uint8_t *codes, uint64_t n)
{
    enum { E4M3_ONE = 0x38 };
    const float one = out->lut[E4M3_ONE];
    bool are_exponents = out->lut[127] > 0, are_e4m3 = one > 0;
    for (uint32_t i = 1; i < 255; i++) {
        are_exponents =
            are_exponents && out->lut[i] == ldexpf(out->lut[127], (int)i - 127) && out->lut[i] > 0;
    }
    for (uint32_t i = 0; i < 127; i++) {
        are_e4m3 = are_e4m3 && out->lut[i] == ingot_float_decode(INGOT_F8_E4M3, i) * one;
    }
    if (are_exponents && memchr(codes, 0, (size_t)n) == NULL &&
        memchr(codes, 255, (size_t)n) == NULL) {
        out->codes_are = CODES_EXPONENTS;
        out->lut_unit = out->lut[127];
    }
    if (are_e4m3 && !any_from_127(codes, n)) {
        out->codes_are = CODES_E4M3;
        out->lut_unit = 256.0f * one;
    }
}

static void make_two_level(struct maker *m, const struct entries *e)
{
    struct panel_table *out = e->out;
    const struct resident_dense *nested = e->table->nested;
    const struct coding_slot *bias = &nested->coding->slots[SLOT_BIAS];
    const uint64_t n = m->p->n_panels * PANEL_ROWS;
    out->kind = ENTRIES_CODES;
    out->super_groups = max_u64(super_groups(e), 1);
    out->n_supers = ceil_div(out->n_groups, out->super_groups);
    float *lut = panel_take(m, 256 * sizeof *lut);
    uint8_t *codes = panel_take(m, n * out->n_groups);
    const struct coding_slot *scale = &nested->coding->slots[SLOT_SCALE];
    const struct resident_table *flat = &nested->tables[SLOT_SCALE];
    out->supers_are_f16 = scale->has_table && !scale->has_constant && !scale->inverse_table &&
                          flat->data != NULL && flat->format == INGOT_F16;
    uint8_t *supers = panel_take(m, n * out->n_supers * (out->supers_are_f16 ? 2 : 4));
    if (m->status != INGOT_OK) return;
    bool are_integers = true;
    out->lut_is_bf16 = true;
    for (uint32_t i = 0; i < 256; i++) {
        lut[i] = i < 1u << nested->coding->bits ? panel_code_value(nested, i) : 0.0f;
        out->lut_is_bf16 = out->lut_is_bf16 && panel_is_bf16(lut[i]);
        are_integers =
            are_integers && lut[i] == rintf(lut[i]) && lut[i] >= -128.0f && lut[i] <= 127.0f;
        for (uint32_t k = 0; k < 4; k++)
            out->lut_bytes[k][i] = (uint8_t)(f32_bits(lut[i]) >> 8 * k);
    }
    out->lut = lut;
    if (are_integers) out->kind = ENTRIES_INTEGERS;
    struct filling f = {m, e, codes, supers};
    ingot_pool_run(m->pool, m->p->n_panels, fill_codes, &f);
    if (!are_integers) find_codes(out, codes, n * out->n_groups);
    if (bias->has_constant) out->add = bias->inverse_constant ? -bias->constant : bias->constant;
    out->entries = codes;
    out->supers = supers;
}

/* Entries that are floats, of one panel. */
static void fill_flat(void *context, uint64_t panel)
{
    const struct filling *f = context;
    const struct panels *p = f->m->p;
    const struct panel_table *out = f->e->out;
    const struct resident_table *table = f->e->table;
    for (uint64_t g = 0; g < out->n_groups; g++) {
        const uint64_t col = panel_column_at(p, g * out->halves * PANEL_HALF);
        for (uint64_t lane = 0; lane < PANEL_ROWS; lane++) {
            const uint64_t row = min_u64(panel * PANEL_ROWS + lane, p->n_rows - 1);
            const uint64_t at = (panel * out->n_groups + g) * PANEL_ROWS + lane;
            if (out->kind == ENTRIES_F16) {
                uint64_t r, c;
                grid_place(table, row, col, &r, &c);
                const uint8_t *entries = table->data;
                store_u16(f->dst + 2 * at, load_u16(entries + 2 * (r * table->n_cols + c)));
            } else {
                const float v = cpu_plain_entry(table, row, col);
                store_f32(f->dst + 4 * at, f->e->inverse ? 1.0f / v : v);
            }
        }
    }
}

static void make_flat(struct maker *m, const struct entries *e)
{
    const struct panels *p = m->p;
    struct panel_table *out = e->out;
    const uint64_t n = p->n_panels * PANEL_ROWS * out->n_groups;
    const bool as_f16 = e->table->data != NULL && e->table->format == INGOT_F16 && !e->inverse;
    out->kind = as_f16 ? ENTRIES_F16 : ENTRIES_F32;
    struct filling f = {m, e, panel_take(m, n * (as_f16 ? 2 : 4)), NULL};
    if (f.dst == NULL) return;
    ingot_pool_run(m->pool, p->n_panels, fill_flat, &f);
    out->entries = f.dst;
}

static void make_table(struct maker *m, enum coding_slot_name name, struct panel_table *out)
{
    const struct coding_slot *slot = &m->dense->coding->slots[name];
    struct entries e = {&m->dense->tables[name], out, slot->inverse_table && name == SLOT_SCALE};
    out->factor = 1.0f;
    if (!slot->has_table || e.table == m->zeros || m->status != INGOT_OK) return;
    out->halves = panel_table_halves(m->p, e.table);
    out->n_groups = ceil_div(m->p->n_blocks * (PANEL_BLOCK / PANEL_HALF), out->halves);
    const bool two_level = is_two_level(e.table) && !e.inverse &&
                           super_groups(&e) >= min_u64(MIN_SUPER_GROUPS, out->n_groups);
    if (two_level) {
        make_two_level(m, &e);
    } else {
        make_flat(m, &e);
    }
    if (name == SLOT_BIAS && slot->inverse_table) out->factor = -1.0f;
}

void panel_make_tables(struct maker *m)
{
    struct panels *p = m->p;
    const struct coding_slot *slots = m->dense->coding->slots;
    make_table(m, SLOT_ZERO, &p->zero);
    make_table(m, SLOT_SCALE, &p->scale);
    make_table(m, SLOT_BIAS, &p->bias);
    if (p->zero.kind != ENTRIES_NONE && slots[SLOT_ZERO].has_constant) {
        p->zero.add += slots[SLOT_ZERO].constant;
    }
    if (slots[SLOT_SCALE].has_constant) {
        const float c = slots[SLOT_SCALE].constant;
        p->scale.factor = slots[SLOT_SCALE].inverse_constant ? 1.0f / c : c;
    }
    if (slots[SLOT_BIAS].has_constant) {
        const float c = slots[SLOT_BIAS].constant;
        p->bias_constant = slots[SLOT_BIAS].inverse_constant ? -c : c;
    }
}

/* Post acts on columns alone, so it multiplies x. */
void panel_make_x_factors(struct maker *m)
{
    struct panels *p = m->p;
    const struct coding_slot *slot = &m->dense->coding->slots[SLOT_POST];
    p->x_factor = 1.0f;
    if (slot->has_constant) {
        p->x_factor = slot->inverse_constant ? 1.0f / slot->constant : slot->constant;
    }
    if (!slot->has_table) return;
    float *factors = panel_take(m, p->n_cols * sizeof *factors);
    for (uint64_t c = 0; factors != NULL && c < p->n_cols; c++) {
        const float v = cpu_plain_entry(&m->dense->tables[SLOT_POST], 0, c);
        factors[c] = slot->inverse_table ? 1.0f / v : v;
    }
    p->x_factors = factors;
}

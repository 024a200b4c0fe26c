/* Laying out codes and tables as panels, in plain C. Decides which codings have such a form; knows
 * no instruction set. */
#include "runtime/panels.h"

#include <math.h>
#include <sys/mman.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/floats.h"
#include "format/pool.h"
#include "runtime/cpu_level.h"
#include "runtime/resident_codes.h"

/* The bf16 products of PANEL_CODES are off by up to 2^-17 of each |w x|, and those with offsets sum
 * code and offset apart, where |code * scale| exceeds |w|: the bound of 2 K 2^-24 leaves room for
 * that from so many columns on. */
enum { MIN_COLS = 256, MIN_COLS_LOW = 512, MIN_COLS_OFFSET = 1024 };

struct maker {
    const struct resident_dense *dense;
    struct ingot_pool *pool;
    const ingot_allocator *allocator;
    struct panels *p;
    uint32_t n_memory;
    uint8_t *codes;
    /* Codebooks of vectors: the different values that weights have, and for each value of each
     * entry, as it is and negated, which of them it is. */
    float values[256];
    uint32_t n_values;
    uint8_t *value_codes;
    ingot_error *error;
    ingot_status status;
};

/* Fewer misses of the address cache; a system without large pages goes on without. */
static void ask_for_large_pages(void *memory, uint64_t n_bytes)
{
#ifdef MADV_HUGEPAGE
    enum { LARGE = 1 << 21 };
    const uintptr_t begin = ((uintptr_t)memory + LARGE - 1) / LARGE * LARGE;
    const uintptr_t end = ((uintptr_t)memory + n_bytes) / LARGE * LARGE;
    if (end > begin)
        madvise((uint8_t *)memory + (begin - (uintptr_t)memory), end - begin, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)n_bytes;
#endif
}

/* Memory of the panels, aligned to 64 bytes; large pages where the system has them. */
static void *take(struct maker *m, uint64_t n_bytes)
{
    if (m->status != INGOT_OK) return NULL;
    uint8_t *memory = ingot_allocate(m->allocator, n_bytes + 64 + RESIDENT_SLACK_BYTES);
    if (memory == NULL) {
        m->status = ingot_fail_memory(m->error, n_bytes, "panels");
        return NULL;
    }
    m->p->memory[m->n_memory++] = memory;
    m->p->n_bytes += n_bytes;
    uint8_t *aligned = memory + (64 - (uintptr_t)memory % 64) % 64;
    ask_for_large_pages(aligned, n_bytes);
    memset(aligned + n_bytes, 0, RESIDENT_SLACK_BYTES);
    return aligned;
}

/* ------------------------------------------------------------------ values of codes */

/* A codebook of vectors whose values are few is one of scalars, too: code -> value. */
static bool find_value(const struct maker *m, float v, uint32_t *code)
{
    for (uint32_t i = 0; i < m->n_values; i++) {
        *code = i;
        if (m->values[i] == v) return true;
    }
    return false;
}

/* False when there are more values than codes of 8 bits, or one that is no number. */
static bool collect_values(struct maker *m)
{
    const struct ingot_coding *coding = m->dense->coding;
    const uint64_t n = (uint64_t)coding->n_entries * coding->vector_length;
    const uint32_t n_signs = coding->signs != 0 ? 2 : 1;
    m->value_codes = ingot_allocate_zeroed(m->allocator, n, 2);
    if (m->value_codes == NULL) {
        m->status = ingot_fail_memory(m->error, n * 2, "values of a codebook");
        return false;
    }
    for (uint64_t i = 0; i < n * n_signs; i++) {
        const float v = i < n ? m->dense->codebook[i] : -m->dense->codebook[i - n];
        uint32_t code;
        if (isnan(v)) return false;
        if (!find_value(m, v, &code)) {
            if (m->n_values == 256) return false;
            code = m->n_values;
            m->values[m->n_values++] = v;
        }
        m->value_codes[i] = (uint8_t)code;
    }
    return true;
}

static uint8_t bits_for(uint32_t n)
{
    uint8_t bits = 1;
    while (1u << bits < n) bits++;
    return bits;
}

/* Codes of scalars, from those of vectors and signs. */
static void vector_codes(const struct maker *m, uint64_t row, uint64_t first, uint32_t n,
                         uint32_t *codes)
{
    const struct resident_dense *dense = m->dense;
    const struct ingot_coding *coding = dense->coding;
    const uint64_t length = coding->vector_length, n_all = coding->n_entries * length;
    uint32_t vector = 0, signs = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t col = first + i;
        if (i == 0 || col % length == 0) {
            vector = resident_code(dense->planes, dense->n_planes, row, col / length);
        }
        if (coding->signs != 0 && (i == 0 || col % 8 == 0)) {
            signs = resident_code(dense->signs, dense->n_sign_planes, row, col / 8);
        }
        const bool negated =
            coding->signs != 0 && resident_is_negated(signs, coding->signs, col % 8);
        codes[i] = m->value_codes[vector * length + col % length + (negated ? n_all : 0)];
    }
}

static float map_value(const struct resident_dense *dense, uint32_t code)
{
    const struct ingot_coding *coding = dense->coding;
    const int32_t sign = 1 << (coding->bits - 1);
    if (coding->map == MAP_UINT) return (float)code;
    if (coding->map == MAP_INT) return (float)(((int32_t)code ^ sign) - sign);
    if (coding->map == MAP_FLOAT) return ingot_float_decode((ingot_dtype)coding->format, code);
    return code < coding->n_entries ? dense->codebook[code] : 0.0f;
}

/* A value after the constant zero. */
static float after_zero(const struct resident_dense *dense, float v)
{
    const struct coding_slot *zero = &dense->coding->slots[SLOT_ZERO];
    return zero->has_constant && !zero->has_table ? v - zero->constant : v;
}

static float code_value(const struct resident_dense *dense, uint32_t code)
{
    return after_zero(dense, map_value(dense, code));
}

static float maker_value(const struct maker *m, uint32_t code)
{
    if (m->value_codes == NULL) return code_value(m->dense, code);
    return after_zero(m->dense, code < m->n_values ? m->values[code] : 0.0f);
}

static bool is_bf16(float v)
{
    return f32_bits(v) % 65536 == 0;
}

/* v as the sum of two bf16, the first the nearer one of 8 bits. */
static void split(float v, uint16_t *high, uint16_t *low)
{
    *high = bf16_from_f32(v);
    *low = isfinite(v) ? bf16_from_f32(v - f32_from_bf16(*high)) : 0;
}

/* Multiplying by one of these makes integers of the values of small float formats. */
static const float units[] = {1.0f, 0.5f, 0.25f, 0.125f, 0.0625f};

static bool fits_bytes(const float *values, uint32_t n, float unit)
{
    bool fits = true;
    for (uint32_t i = 0; i < n; i++) {
        const float v = values[i] / unit;
        fits = fits && v == rintf(v) && fabsf(v) <= 127.0f;
    }
    return fits;
}

static void find_integers(struct maker *m, const float *values, uint32_t n)
{
    struct panel_integers *integers = &m->p->integers;
    const struct ingot_coding *coding = m->dense->coding;
    const bool is_integer = coding->map == MAP_UINT || coding->map == MAP_INT;
    const float first = values[0]; /* of code 0; the others follow in steps of 1, or wrap */
    if (is_integer && first == rintf(first) && fabsf(first) < 32768.0f) {
        /* Codes of signed integers have their sign flipped as they are laid out. */
        const int32_t sign = coding->map == MAP_INT ? 1 << (coding->bits - 1) : 0;
        *integers = (struct panel_integers){true, true, {0}, sign - (int32_t)first, 1.0f};
        return;
    }
    for (uint32_t k = 0; k < sizeof units / sizeof *units && n <= 64; k++) {
        if (!fits_bytes(values, n, units[k])) continue;
        *integers = (struct panel_integers){true, false, {0}, 128, units[k]};
        for (uint32_t i = 0; i < 64; i++) {
            integers->bytes[i] = (uint8_t)((int32_t)(values[i % n] / units[k]) + 128);
        }
        return;
    }
}

/* Signed codes are laid out with their sign flipped: code 0 is the least value. */
static uint32_t laid_out(const struct ingot_coding *coding, uint32_t code)
{
    return coding->map == MAP_INT ? code ^ 1u << (coding->bits - 1) : code;
}

/* False when a value has no place in the tables. */
static bool make_values(struct maker *m)
{
    struct panels *p = m->p;
    const uint32_t n = 1u << p->bits;
    float values[256];
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t code = laid_out(m->dense->coding, i);
        const float v = maker_value(m, code);
        values[code] = v;
        if (isfinite(v) && v != 0.0f && (fabsf(v) < 0x1p-90f || fabsf(v) > 0x1p90f)) return false;
        split(v, &p->high[i], &p->low[i]);
        p->has_low = p->has_low || (p->low[i] & 0x7fff) != 0;
    }
    for (uint32_t i = n; i < 256; i++) { /* bits above a code need not be cleared */
        p->high[i] = p->high[i % n];
        p->low[i] = p->low[i % n];
    }
    p->is_signed = p->bits == 8;
    for (uint32_t i = 0; i < 128; i++) {
        const bool both = p->high[i + 128] == (p->high[i] ^ 0x8000) && p->low[i + 128] == 0;
        const bool no_number =
            isnan(f32_from_bf16(p->high[i])) && isnan(f32_from_bf16(p->high[i + 128]));
        p->is_signed = p->is_signed && p->low[i] == 0 && (both || no_number);
    }
    find_integers(m, values, n);
    return true;
}

/* ------------------------------------------------------------------ the order of columns */

/* With a column index, columns of a group lie together, each group filled up to whole halves.
 * False: no such order. */
static bool make_order(struct maker *m, const struct resident_table *indexed)
{
    struct panels *p = m->p;
    uint64_t n_halves = 0, at = 0;
    uint64_t *counts = ingot_allocate_zeroed(m->allocator, indexed->n_cols, sizeof *counts);
    if (counts == NULL) {
        m->status = ingot_fail_memory(m->error, indexed->n_cols * sizeof *counts, "column groups");
        return false;
    }
    for (uint64_t c = 0; c < p->n_cols; c++) counts[indexed->index[c]]++;
    for (uint64_t g = 0; g < indexed->n_cols; g++) n_halves += ceil_div(counts[g], PANEL_HALF);
    p->n_blocks = ceil_div(n_halves, PANEL_BLOCK / PANEL_HALF);
    uint32_t *order = take(m, p->n_blocks * PANEL_BLOCK * sizeof *order);
    for (uint64_t i = 0; order != NULL && i < p->n_blocks * PANEL_BLOCK; i++) order[i] = INGOT_NONE;
    /* Where each group begins, then where its next column goes. */
    for (uint64_t g = 0; g < indexed->n_cols; g++) {
        const uint64_t n = counts[g];
        counts[g] = at;
        at += ceil_div(n, PANEL_HALF) * PANEL_HALF;
    }
    for (uint64_t c = 0; order != NULL && c < p->n_cols; c++) {
        order[counts[indexed->index[c]]++] = (uint32_t)c;
    }
    ingot_release(m->allocator, counts);
    p->order = order;
    return order != NULL;
}

/* The column at a place, or of the last place before it that has one. */
static uint64_t column_at(const struct panels *p, uint64_t place)
{
    if (p->order == NULL) return min_u64(place, p->n_cols - 1);
    while (place > 0 && p->order[place] == INGOT_NONE) place--;
    return p->order[place] == INGOT_NONE ? 0 : p->order[place];
}

/* ------------------------------------------------------------------ tables */

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Columns of a group, which begin anew at each row, in halves: 0 when they do not fit. */
static uint64_t table_halves(const struct panels *p, const struct resident_table *table)
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

static void fill_codes(const struct maker *m, const struct entries *e, uint8_t *dst,
                       uint8_t *supers)
{
    const struct panels *p = m->p;
    const struct panel_table *out = e->out;
    const struct resident_dense *nested = e->table->nested;
    for (uint64_t i = 0; i < p->n_panels * PANEL_ROWS; i++) {
        const uint64_t row = min_u64(i, p->n_rows - 1);
        const uint64_t panel = i / PANEL_ROWS, lane = i % PANEL_ROWS;
        for (uint64_t g = 0; g < out->n_groups; g++) {
            const uint64_t col = column_at(p, g * out->halves * PANEL_HALF);
            uint64_t r, c;
            grid_place(e->table, row, col, &r, &c);
            const uint32_t code = resident_code(nested->planes, nested->n_planes, r, c);
            dst[(panel * out->n_groups + g) * PANEL_ROWS + lane] = (uint8_t)code;
            if (g % out->super_groups != 0) continue;
            const uint64_t super = panel * out->n_supers + g / out->super_groups;
            put_super(out, super * PANEL_ROWS + lane, super_value(e->table, row, col), supers);
        }
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
    float *lut = take(m, 256 * sizeof *lut);
    uint8_t *codes = take(m, n * out->n_groups);
    const struct coding_slot *scale = &nested->coding->slots[SLOT_SCALE];
    const struct resident_table *flat = &nested->tables[SLOT_SCALE];
    out->supers_are_f16 = scale->has_table && !scale->has_constant && !scale->inverse_table &&
                          flat->data != NULL && flat->format == INGOT_F16;
    uint8_t *supers = take(m, n * out->n_supers * (out->supers_are_f16 ? 2 : 4));
    if (m->status != INGOT_OK) return;
    out->lut_is_bf16 = true;
    for (uint32_t i = 0; i < 256; i++) {
        lut[i] = i < 1u << nested->coding->bits ? code_value(nested, i) : 0.0f;
        out->lut_is_bf16 = out->lut_is_bf16 && is_bf16(lut[i]);
        out->lut_low[i] = (uint8_t)bf16_from_f32(lut[i]);
        out->lut_high[i] = (uint8_t)(bf16_from_f32(lut[i]) >> 8);
    }
    fill_codes(m, e, codes, supers);
    if (bias->has_constant) out->add = bias->inverse_constant ? -bias->constant : bias->constant;
    out->lut = lut;
    out->entries = codes;
    out->supers = supers;
}

static void make_flat(struct maker *m, const struct entries *e)
{
    const struct panels *p = m->p;
    struct panel_table *out = e->out;
    const uint64_t n = p->n_panels * PANEL_ROWS * out->n_groups;
    const bool as_f16 = e->table->data != NULL && e->table->format == INGOT_F16 && !e->inverse;
    out->kind = as_f16 ? ENTRIES_F16 : ENTRIES_F32;
    uint8_t *dst = take(m, n * (as_f16 ? 2 : 4));
    if (dst == NULL) return;
    for (uint64_t i = 0; i < p->n_panels * PANEL_ROWS; i++) {
        const uint64_t row = min_u64(i, p->n_rows - 1);
        for (uint64_t g = 0; g < out->n_groups; g++) {
            const uint64_t col = column_at(p, g * out->halves * PANEL_HALF);
            const uint64_t at = (i / PANEL_ROWS * out->n_groups + g) * PANEL_ROWS + i % PANEL_ROWS;
            const float v = cpu_plain_entry(e->table, row, col);
            if (as_f16) {
                store_u16(dst + 2 * at, f16_from_f32(v));
            } else {
                store_f32(dst + 4 * at, e->inverse ? 1.0f / v : v);
            }
        }
    }
    out->entries = dst;
}

/* Two-level entries with fewer groups than this for a super would be larger than flat ones. */
enum { MIN_SUPER_GROUPS = 2 };

static void make_table(struct maker *m, enum coding_slot_name name, struct panel_table *out)
{
    const struct coding_slot *slot = &m->dense->coding->slots[name];
    struct entries e = {&m->dense->tables[name], out, slot->inverse_table && name == SLOT_SCALE};
    out->factor = 1.0f;
    if (!slot->has_table || m->status != INGOT_OK) return;
    out->halves = table_halves(m->p, e.table);
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

static void make_tables(struct maker *m)
{
    struct panels *p = m->p;
    const struct coding_slot *slots = m->dense->coding->slots;
    make_table(m, SLOT_ZERO, &p->zero);
    make_table(m, SLOT_SCALE, &p->scale);
    make_table(m, SLOT_BIAS, &p->bias);
    if (slots[SLOT_ZERO].has_table && slots[SLOT_ZERO].has_constant) {
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
static void make_x_factors(struct maker *m)
{
    struct panels *p = m->p;
    const struct coding_slot *slot = &m->dense->coding->slots[SLOT_POST];
    p->x_factor = 1.0f;
    if (slot->has_constant) {
        p->x_factor = slot->inverse_constant ? 1.0f / slot->constant : slot->constant;
    }
    if (!slot->has_table) return;
    float *factors = take(m, p->n_cols * sizeof *factors);
    for (uint64_t c = 0; factors != NULL && c < p->n_cols; c++) {
        const float v = cpu_plain_entry(&m->dense->tables[SLOT_POST], 0, c);
        factors[c] = slot->inverse_table ? 1.0f / v : v;
    }
    p->x_factors = factors;
}

/* ------------------------------------------------------------------ codes */

/* The codes of one row go to their lanes; `codes` has one for each place. */
static void lay_codes(const struct panels *p, const uint8_t *codes, uint64_t n_blocks,
                      uint64_t lane, uint8_t *dst)
{
    for (uint64_t block = 0; block < n_blocks; block++) {
        const uint8_t *of_block = codes + block * PANEL_BLOCK;
        uint8_t *word = dst + block * p->block_bytes + lane * 4;
        uint32_t shift = 0;
        for (uint32_t i = 0; i < p->n_planes; i++) {
            const uint32_t w = p->widths[i], mask = (1u << w) - 1;
            for (uint32_t q = 0; q < w; q++, word += 64) {
                for (uint32_t b = 0; b < 4; b++) {
                    uint32_t byte = 0;
                    for (uint32_t t = 0; t < 8 / w; t++) {
                        const uint32_t code = of_block[(q * (8 / w) + t) * 4 + b];
                        byte |= (code >> shift & mask) << (t * w);
                    }
                    word[b] = (uint8_t)byte;
                }
            }
            shift += w;
        }
    }
}

/* Rows are laid out so many blocks at a time. */
enum { SEGMENT_BLOCKS = 16, SEGMENT = SEGMENT_BLOCKS * PANEL_BLOCK };

static void lay_coded_row(const struct maker *m, uint64_t row, uint64_t lane, uint8_t *dst)
{
    const struct panels *p = m->p;
    const struct resident_dense *dense = m->dense;
    for (uint64_t first = 0; first < p->n_blocks; first += SEGMENT_BLOCKS) {
        uint32_t codes[SEGMENT] = {0};
        uint8_t bytes[SEGMENT] = {0};
        const uint64_t n_blocks = min_u64(SEGMENT_BLOCKS, p->n_blocks - first);
        const uint64_t place = first * PANEL_BLOCK;
        uint32_t n = (uint32_t)(n_blocks * PANEL_BLOCK);
        if (p->order == NULL) {
            n = (uint32_t)min_u64(n, p->n_cols - place);
            if (m->value_codes != NULL) {
                vector_codes(m, row, place, n, codes);
            } else {
                resident_codes(dense->planes, dense->n_planes, row, place, n, codes);
            }
        }
        for (uint32_t i = 0; i < n; i++) {
            uint32_t code = codes[i];
            if (p->order != NULL) {
                const uint32_t col = p->order[place + i];
                if (col == INGOT_NONE) continue;
                code = resident_code(dense->planes, dense->n_planes, row, col);
            }
            bytes[i] = (uint8_t)laid_out(dense->coding, code);
        }
        lay_codes(p, bytes, n_blocks, lane, dst + first * p->block_bytes);
    }
}

static void lay_raw_row(const struct maker *m, uint64_t row, uint64_t lane, uint8_t *dst)
{
    const struct panels *p = m->p;
    const uint64_t bytes = p->bits / 8;
    const struct resident_plane *plane = &m->dense->planes[0];
    const uint8_t *src = plane->data + row * plane->row_bytes;
    for (uint64_t c = 0; c < p->n_cols; c++) {
        memcpy(dst + (c * PANEL_ROWS + lane) * bytes, src + c * bytes, (size_t)bytes);
    }
}

static void lay_panel(void *context, uint64_t panel)
{
    const struct maker *m = context;
    const struct panels *p = m->p;
    const uint64_t panel_bytes = p->n_blocks * p->block_bytes;
    uint8_t *dst = m->codes + panel * panel_bytes;
    memset(dst, 0, (size_t)panel_bytes);
    const uint64_t n_rows = min_u64(PANEL_ROWS, p->n_rows - panel * PANEL_ROWS);
    for (uint64_t i = 0; i < n_rows; i++) {
        const uint64_t row = panel * PANEL_ROWS + i;
        if (p->kind == PANEL_CODES) {
            lay_coded_row(m, row, i, dst);
        } else {
            lay_raw_row(m, row, i, dst);
        }
    }
}

/* ------------------------------------------------------------------ what has such a form */

static bool raw_kind(const struct ingot_coding *coding, enum panel_kind *kind)
{
    if (coding->map != MAP_FLOAT || !coding_is_raw(coding)) return false;
    if (coding->format == INGOT_F32) *kind = PANEL_F32;
    if (coding->format == INGOT_F16) *kind = PANEL_F16;
    if (coding->format == INGOT_BF16) *kind = PANEL_BF16;
    return *kind != PANEL_CODES;
}

static bool slots_fit(const struct maker *m)
{
    const struct panels *p = m->p;
    const struct resident_dense *dense = m->dense;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct resident_table *table = &dense->tables[i];
        if (!dense->coding->slots[i].has_table) continue;
        const bool whole_rows =
            table->run_cols == 0 && table->index == NULL && table->group_cols >= dense->n_cols;
        if (dense->columns != NULL && !whole_rows) return false;
        if (i == SLOT_POST && (table->n_rows != 1 || table->run_cols != 0)) return false;
        if (i != SLOT_POST && table_halves(p, table) == 0) return false;
        if (p->order != NULL && i != SLOT_POST && table->index == NULL && !whole_rows) return false;
    }
    return true;
}

static bool has_offsets(const struct ingot_coding *coding)
{
    const struct coding_slot *bias = &coding->slots[SLOT_BIAS];
    return coding->slots[SLOT_ZERO].has_table || bias->has_table || bias->has_constant;
}

static const struct resident_table *find_index(const struct resident_dense *dense)
{
    for (uint32_t i = 0; i < SLOT_POST; i++) {
        if (dense->tables[i].index != NULL) return &dense->tables[i];
    }
    return NULL;
}

/* The parameters; false when there is no such form. */
static bool plan(struct maker *m)
{
    struct panels *p = m->p;
    const struct resident_dense *dense = m->dense;
    const struct ingot_coding *coding = dense->coding;
    if (dense->rows != NULL || dense->n_rows == 0 || dense->n_cols < MIN_COLS) return false;
    p->n_rows = dense->n_rows;
    p->n_cols = dense->n_cols;
    p->n_panels = ceil_div(p->n_rows, PANEL_ROWS);
    p->n_blocks = ceil_div(p->n_cols, PANEL_BLOCK);
    p->bits = coding->bits;
    p->block_bytes = UINT64_C(64) * p->bits;
    p->x_factor = p->scale.factor = p->zero.factor = p->bias.factor = 1.0f;
    p->halves = p->n_blocks * (PANEL_BLOCK / PANEL_HALF);
    if (raw_kind(coding, &p->kind)) return true;
    const struct resident_table *indexed = find_index(dense);
    if (coding->map == MAP_VECTOR) {
        if (indexed != NULL || !collect_values(m)) return false;
        p->bits = bits_for(m->n_values);
        p->block_bytes = UINT64_C(64) * p->bits;
    } else if (coding->map > MAP_CODEBOOK || coding->bits > PANEL_MAX_BITS) {
        return false;
    }
    p->n_planes = plane_widths(p->bits, p->widths);
    if (indexed != NULL && !make_order(m, indexed)) return false;
    p->halves = p->n_blocks * (PANEL_BLOCK / PANEL_HALF);
    if (!slots_fit(m) || !make_values(m)) return false;
    if (p->has_low && p->n_cols < MIN_COLS_LOW) return false;
    return !has_offsets(coding) || p->n_cols >= MIN_COLS_OFFSET;
}

/* All entries stay the same over so many halves: 1 or an even number. */
static void find_halves(struct panels *p)
{
    const struct panel_table *const tables[] = {&p->zero, &p->scale, &p->bias};
    for (uint32_t i = 0; i < 3; i++) {
        if (tables[i]->kind == ENTRIES_NONE) continue;
        p->halves = greatest_divisor(p->halves, tables[i]->halves);
    }
    if (p->halves % 2 != 0) p->halves = 1;
}

ingot_status panels_make(const struct resident_dense *dense, struct ingot_pool *pool,
                         const ingot_allocator *allocator, struct panels **panels,
                         ingot_error *error)
{
    struct maker m = {.dense = dense, .pool = pool, .allocator = allocator, .error = error};
    m.p = ingot_allocate_zeroed(allocator, 1, sizeof *m.p);
    if (m.p == NULL) return ingot_fail_memory(error, sizeof *m.p, "panels");
    m.p->n_bytes = sizeof *m.p;
    *panels = NULL;
    if (!plan(&m)) goto done;
    make_tables(&m);
    make_x_factors(&m);
    find_halves(m.p);
    m.codes = take(&m, m.p->n_panels * m.p->n_blocks * m.p->block_bytes);
    m.p->codes = m.codes;
    if (m.status != INGOT_OK) goto done;
    ingot_pool_run(pool, m.p->n_panels, lay_panel, &m);
    *panels = m.p;
    m.p = NULL;
done:
    ingot_release(allocator, m.value_codes);
    panels_release(m.p, allocator);
    return m.status;
}

void panels_release(struct panels *panels, const ingot_allocator *allocator)
{
    if (panels == NULL) return;
    for (uint32_t i = 0; i < sizeof panels->memory / sizeof *panels->memory; i++) {
        ingot_release(allocator, panels->memory[i]);
    }
    ingot_release(allocator, panels);
}

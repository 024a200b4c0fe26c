/* Codings as panels, in plain C. Decides which have such a form; leaves laying codes out to
 * panels_lay.c. Knows no instruction set. */
#include "runtime/panels.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/pool.h"
#include "runtime/large_pages.h"
#include "runtime/panels_make.h"

/* Memory of the panels, aligned to 64 bytes; large pages where the system has them. */
void *panel_take(struct maker *m, uint64_t n_bytes)
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
    uint32_t *order = panel_take(m, p->n_blocks * PANEL_BLOCK * sizeof *order);
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
uint64_t panel_column_at(const struct panels *p, uint64_t place)
{
    if (p->order == NULL) return min_u64(place, p->n_cols - 1);
    while (place > 0 && p->order[place] == INGOT_NONE) place--;
    return p->order[place] == INGOT_NONE ? 0 : p->order[place];
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
        if (!dense->coding->slots[i].has_table || table == m->zeros) continue;
        const bool whole_rows =
            table->run_cols == 0 && table->index == NULL && table->group_cols >= dense->n_cols;
        if (dense->columns != NULL && !whole_rows) return false;
        if (i == SLOT_POST && (table->n_rows != 1 || table->run_cols != 0)) return false;
        if (i != SLOT_POST && panel_table_halves(p, table) == 0) return false;
        if (p->order != NULL && i != SLOT_POST && table->index == NULL && !whole_rows) return false;
    }
    return true;
}

bool panel_has_offsets(const struct ingot_coding *coding, bool takes_zeros)
{
    const struct coding_slot *bias = &coding->slots[SLOT_BIAS];
    const bool has_zeros = coding->slots[SLOT_ZERO].has_table && !takes_zeros;
    return has_zeros || bias->has_table || bias->has_constant;
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
    if (dense->rows != NULL || dense->n_rows == 0 || dense->n_cols < PANEL_MIN_COLS) return false;
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
        if (indexed != NULL || !panel_collect_values(m)) return false;
        p->bits = panel_bits_for(m->n_values);
        p->block_bytes = UINT64_C(64) * p->bits;
    } else if (coding->map > MAP_CODEBOOK || coding->bits > PANEL_MAX_BITS) {
        return false;
    }
    p->n_planes = plane_widths(p->bits, p->widths);
    if (indexed != NULL && !make_order(m, indexed)) return false;
    p->halves = p->n_blocks * (PANEL_BLOCK / PANEL_HALF);
    if (!slots_fit(m) || !panel_make_values(m)) return false;
    if (p->has_low && p->n_cols < MIN_COLS_LOW) return false;
    return !panel_has_offsets(coding, m->zeros != NULL) || p->n_cols >= MIN_COLS_OFFSET;
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
    panel_make_tables(&m);
    panel_make_x_factors(&m);
    find_halves(m.p);
    m.codes = panel_take(&m, m.p->n_panels * m.p->n_blocks * m.p->block_bytes);
    m.p->codes = m.codes;
    if (m.p->floats.shift != 0) m.plain = panel_take(&m, m.p->n_panels * m.p->n_blocks);
    m.p->floats.plain = m.plain;
    if (m.status != INGOT_OK) goto done;
    ingot_pool_run(pool, m.p->n_panels, panel_lay, &m);
    *panels = m.p;
    m.p = NULL;
done:
    ingot_release(allocator, m.less_codes);
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

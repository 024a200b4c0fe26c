/* The reference decoder [6]. Every step is one f32 operation in the order of the specification; the
 * build must not contract them. Bytes come through a stream_provider; files are unknown here. */
#include "format/decode.h"

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/codes.h"
#include "format/fail.h"
#include "format/quick.h"
#include "format/rules.h"

/* ---- slots ---- */

static void step_subtract(float *v, uint64_t n, float entry)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] - entry;
}

static void step_add(float *v, uint64_t n, float entry)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] + entry;
}

static void step_multiply(float *v, uint64_t n, float entry)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] * entry;
}

static void step_divide(float *v, uint64_t n, float entry)
{
    for (uint64_t i = 0; i < n; i++) v[i] = v[i] / entry;
}

typedef void step_function(float *v, uint64_t n, float entry);
static step_function *const steps[N_SLOTS][2] = {
    [SLOT_ZERO] = {step_subtract, step_subtract},
    [SLOT_SCALE] = {step_multiply, step_divide},
    [SLOT_BIAS] = {step_add, step_subtract},
    [SLOT_POST] = {step_multiply, step_divide},
};

/* The entries of a slot's table that a part of the stack needs. */
struct open_table {
    const struct coding_slot *slot;
    struct stack_shape stack;
    struct stack_shape grid;
    struct stack_part part; /* of the grid */
    float *entries;
};

static uint64_t group_of(uint64_t i, uint64_t group)
{
    return group ? i / group : 0;
}

static uint64_t grid_row(const struct open_table *t, uint64_t row)
{
    const uint64_t matrix = row / t->stack.n_rows;
    if (t->slot->group == GROUP_TENSOR) return 0;
    if (t->slot->group == GROUP_RUN) return matrix;
    return matrix * t->grid.n_rows + group_of(row % t->stack.n_rows, t->slot->group_rows);
}

static uint64_t grid_col(const struct open_table *t, const struct open_coding *c, uint64_t row,
                         uint64_t col)
{
    const uint8_t *index = c->column_index;
    switch ((enum coding_group)t->slot->group) {
    case GROUP_NONE:
    case GROUP_TENSOR: return 0;
    case GROUP_BLOCK: return group_of(col, t->slot->group_cols);
    case GROUP_RUN: return (row % t->stack.n_rows * t->stack.n_cols + col) / t->slot->group_cols;
    case GROUP_COLUMN_INDEX:
        return c->coding->index_bits == 16 ? load_u16(index + 2 * col) : load_u32(index + 4 * col);
    }
    return 0;
}

/* How many columns from `col` on share its entry. */
static uint64_t run_length(const struct open_table *t, uint64_t row, uint64_t col)
{
    const uint64_t group = t->slot->group_cols;
    switch ((enum coding_group)t->slot->group) {
    case GROUP_NONE:
    case GROUP_TENSOR: return UINT64_MAX;
    case GROUP_BLOCK: return group ? group - col % group : UINT64_MAX;
    case GROUP_RUN: return group - (row % t->stack.n_rows * t->stack.n_cols + col) % group;
    case GROUP_COLUMN_INDEX: return 1;
    }
    return 1;
}

/* The part of the grid under a part of the stack. */
static struct stack_part grid_part(const struct open_table *t, struct stack_part part)
{
    const uint64_t last_row = part.first_row + part.n_rows - 1;
    const uint64_t last_col = part.first_col + part.n_cols - 1;
    const uint64_t first = grid_row(t, part.first_row);
    const uint64_t last = grid_row(t, last_row);
    struct stack_part g = {first, last - first + 1, 0, t->grid.n_cols};
    if (t->slot->group == GROUP_BLOCK) {
        g.first_col = group_of(part.first_col, t->slot->group_cols);
        g.n_cols = group_of(last_col, t->slot->group_cols) - g.first_col + 1;
    }
    if (t->slot->group == GROUP_RUN && g.n_rows == 1) {
        const uint64_t base = part.first_row % t->stack.n_rows * t->stack.n_cols;
        const uint64_t end = last_row % t->stack.n_rows * t->stack.n_cols + last_col;
        g.first_col = (base + part.first_col) / t->slot->group_cols;
        g.n_cols = end / t->slot->group_cols - g.first_col + 1;
    }
    return g;
}

static ingot_status decode_part(const struct ingot_coding *coding, struct stack_shape stack,
                                uint32_t first_stream, const struct stream_provider *provider,
                                struct stack_part part, float *dst, ingot_error *error);

static uint32_t count_streams(const struct ingot_coding *coding, struct stack_shape stack)
{
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n = 0;
    coding_streams(coding, stack, shapes, &n);
    return n;
}

/* Decodes the needed entries of slot i's table and moves *next_stream past its streams. */
static ingot_status open_table(const struct open_coding *c, const struct coding_slot *slot,
                               struct stack_shape stack, struct stack_part part,
                               uint32_t *next_stream, struct open_table *t)
{
    const struct stream_provider *provider = c->provider;
    *t = (struct open_table){.slot = slot, .stack = stack};
    uint64_t n;
    if (!slot_grid(slot, stack, &t->grid)) {
        return ingot_fail(c->error, INGOT_INVALID, INGOT_NO_OFFSET, "table", "too large");
    }
    t->part = grid_part(t, part);
    if (!mul_u64(t->part.n_rows, t->part.n_cols, &n)) n = UINT64_MAX / 8;
    t->entries = ingot_allocate(provider->allocator, n * sizeof *t->entries);
    if (t->entries == NULL) return ingot_fail_memory(c->error, n * 4, "table entries");
    const ingot_status status =
        decode_part(slot->table, t->grid, *next_stream, provider, t->part, t->entries, c->error);
    if (status != INGOT_OK) {
        ingot_release(provider->allocator, t->entries);
        t->entries = NULL;
        return status;
    }
    *next_stream += count_streams(slot->table, t->grid);
    return INGOT_OK;
}

static ingot_status table_entry(const struct open_table *t, const struct open_coding *c,
                                uint64_t row, uint64_t col, float *entry)
{
    const uint64_t r = grid_row(t, row) - t->part.first_row;
    const uint64_t k = grid_col(t, c, row, col) - t->part.first_col;
    if (k >= t->part.n_cols) {
        return ingot_fail_rule(c->error, R_430, INGOT_NO_OFFSET, "column index",
                               "group %llu of %llu at column %llu", (unsigned long long)k,
                               (unsigned long long)t->part.n_cols, (unsigned long long)col);
    }
    *entry = t->entries[r * t->part.n_cols + k];
    return INGOT_OK;
}

static ingot_status apply_table(const struct open_table *t, const struct open_coding *c,
                                step_function *step, struct stack_part part, float *dst)
{
    for (uint64_t r = 0; r < part.n_rows; r++) {
        const uint64_t row = part.first_row + r;
        for (uint64_t k = 0; k < part.n_cols;) {
            const uint64_t col = part.first_col + k;
            const uint64_t n = min_u64(run_length(t, row, col), part.n_cols - k);
            float entry;
            const ingot_status status = table_entry(t, c, row, col, &entry);
            if (status != INGOT_OK) return status;
            step(dst + r * part.n_cols + k, n, entry);
            k += n;
        }
    }
    return INGOT_OK;
}

/* ---- whole rows at once ---- */

/* Whether the entries of a row lie side by side, one for every run of so many columns. Then their
 * run is *group. */
static bool in_runs(const struct coding_slot *slot, struct stack_shape stack, uint64_t *group)
{
    const uint64_t n = slot->group_cols;
    const bool whole_row = slot->group == GROUP_TENSOR || (slot->group == GROUP_BLOCK && n == 0);
    *group = whole_row ? stack.n_cols : n;
    if (*group % QUICK_STEP && *group < stack.n_cols) return false;
    if (slot->group == GROUP_RUN) return stack.n_cols % n == 0;
    return whole_row || slot->group == GROUP_BLOCK;
}

/* Codes of 4 bits, from the first column on, with a table of scales, and maybe one of biases of the
 * same groups. */
static bool is_quick(const struct ingot_coding *coding, struct stack_shape stack,
                     struct stack_part part, uint64_t *group)
{
    const struct coding_slot *slots = coding->slots;
    uint64_t bias_group;
    if (coding->bits != 4 || coding->map >= MAP_VECTOR || coding->index_bits) return false;
    if (coding->map == MAP_CODEBOOK && coding->n_entries != QUICK_LEVELS) return false;
    if (part.first_col != 0 || slots[SLOT_ZERO].has_table) return false;
    if (slots[SLOT_POST].has_table || slots[SLOT_POST].has_constant) return false;
    if (slots[SLOT_SCALE].has_constant || slots[SLOT_BIAS].has_constant) return false;
    if (!slots[SLOT_SCALE].has_table || slots[SLOT_SCALE].inverse_table) return false;
    if (!in_runs(&slots[SLOT_SCALE], stack, group)) return false;
    if (!slots[SLOT_BIAS].has_table) return true;
    return in_runs(&slots[SLOT_BIAS], stack, &bias_group) && bias_group == *group;
}

/* What each code is before the tables. */
static ingot_status find_levels(const struct open_coding *c, float levels[QUICK_LEVELS])
{
    const struct coding_slot *zero = &c->coding->slots[SLOT_ZERO];
    const ingot_status status = map_levels(c, QUICK_LEVELS, levels);
    if (status == INGOT_OK && zero->has_constant) {
        steps[SLOT_ZERO][zero->inverse_constant](levels, QUICK_LEVELS, zero->constant);
    }
    return status;
}

/* The entries of a row from its first column on. */
static const float *row_entries(const struct open_table *t, const struct open_coding *c,
                                uint64_t row)
{
    const uint64_t r = grid_row(t, row) - t->part.first_row;
    return t->entries + r * t->part.n_cols + grid_col(t, c, row, 0) - t->part.first_col;
}

static ingot_status decode_quick(struct open_coding *c, struct stack_shape stack,
                                 struct stack_part part, uint64_t group, uint32_t *next_stream,
                                 float *dst)
{
    const struct quick_kernels *kernels = quick_kernels_find(NULL);
    const struct coding_slot *bias_slot = &c->coding->slots[SLOT_BIAS];
    struct open_table scale = {0}, bias = {0};
    float levels[QUICK_LEVELS];
    ingot_status status = find_levels(c, levels);
    if (status == INGOT_OK) {
        status = open_table(c, &c->coding->slots[SLOT_SCALE], stack, part, next_stream, &scale);
    }
    if (status == INGOT_OK && bias_slot->has_table) {
        status = open_table(c, bias_slot, stack, part, next_stream, &bias);
    }
    for (uint64_t r = 0; r < part.n_rows && status == INGOT_OK; r++) {
        const uint64_t row = part.first_row + r;
        const struct quick_row one = {
            .codes = plane_bytes(&c->codes, row),
            .n = part.n_cols,
            .group = group,
            .levels = levels,
            .scales = row_entries(&scale, c, row),
            .biases = bias_slot->has_table ? row_entries(&bias, c, row) : NULL,
            .subtract = bias_slot->inverse_table,
        };
        kernels->decode(&one, dst + r * part.n_cols);
    }
    ingot_release(c->provider->allocator, bias.entries);
    ingot_release(c->provider->allocator, scale.entries);
    return status;
}

/* ---- whole codings ---- */

static ingot_status apply_slots(const struct open_coding *c, struct stack_shape stack,
                                struct stack_part part, uint32_t *next_stream, float *dst)
{
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < N_SLOTS && status == INGOT_OK; i++) {
        const struct coding_slot *slot = &c->coding->slots[i];
        if (slot->has_table) {
            struct open_table t;
            status = open_table(c, slot, stack, part, next_stream, &t);
            if (status != INGOT_OK) break;
            status = apply_table(&t, c, steps[i][slot->inverse_table], part, dst);
            ingot_release(c->provider->allocator, t.entries);
        }
        if (slot->has_constant) {
            steps[i][slot->inverse_constant](dst, part.n_rows * part.n_cols, slot->constant);
        }
    }
    return status;
}

static ingot_status decode_part(const struct ingot_coding *coding, struct stack_shape stack,
                                uint32_t first_stream, const struct stream_provider *provider,
                                struct stack_part part, float *dst, ingot_error *error)
{
    struct open_coding c = {.coding = coding, .provider = provider, .error = error};
    uint32_t next_stream = first_stream;
    uint64_t group;
    if (part.n_rows == 0 || part.n_cols == 0) return INGOT_OK;
    ingot_status status = open_codes(&c, stack, part, stack.n_cols, &next_stream);
    if (status != INGOT_OK) return status;
    if (is_quick(coding, stack, part, &group) && c.codes.planes[0].row_bits % 8 == 0) {
        return decode_quick(&c, stack, part, group, &next_stream, dst);
    }
    for (uint64_t r = 0; r < part.n_rows && status == INGOT_OK; r++) {
        status =
            map_row(&c, part.first_row + r, part.first_col, part.n_cols, dst + r * part.n_cols);
    }
    if (status != INGOT_OK) return status;
    return apply_slots(&c, stack, part, &next_stream, dst);
}

ingot_status coding_decode(const struct ingot_coding *coding, struct stack_shape stack,
                           uint32_t first_stream, const struct stream_provider *provider,
                           struct stack_part part, float *dst, ingot_error *error)
{
    return decode_part(coding, stack, first_stream, provider, part, dst, error);
}

ingot_status coding_codes(const struct ingot_coding *coding, struct stack_shape stack,
                          uint32_t first_stream, const struct stream_provider *provider,
                          struct stack_part part, uint64_t *codes, ingot_error *error)
{
    struct open_coding c = {.coding = coding, .provider = provider, .error = error};
    uint32_t next_stream = first_stream;
    if (part.n_rows == 0 || part.n_cols == 0) return INGOT_OK;
    const ingot_status status = open_codes(&c, stack, part, stack.n_cols, &next_stream);
    for (uint64_t r = 0; r < part.n_rows && status == INGOT_OK; r++) {
        gather_codes(&c.codes, part.first_row + r, part.first_col, part.n_cols,
                     codes + r * part.n_cols);
    }
    return status;
}

/* Codes number [first, first + n) of the shape `codes`, row after row. */
static ingot_status map_elements(struct open_coding *c, struct stack_shape codes, uint64_t first,
                                 uint64_t n, uint64_t n_all_cols, uint32_t *next_stream, float *dst)
{
    const uint64_t first_row = first / codes.n_cols;
    const uint64_t n_rows = (first + n - 1) / codes.n_cols - first_row + 1;
    struct stack_part part = {first_row, n_rows, 0, codes.n_cols};
    if (n_rows == 1) {
        part.first_col = first - first_row * codes.n_cols;
        part.n_cols = n;
    }
    ingot_status status = open_codes(c, codes, part, n_all_cols, next_stream);
    for (uint64_t done = 0; done < n && status == INGOT_OK;) {
        const uint64_t row = (first + done) / codes.n_cols;
        const uint64_t col = (first + done) % codes.n_cols;
        const uint64_t n_run = min_u64(codes.n_cols - col, n - done);
        status = map_row(c, row, col, n_run, dst + done);
        done += n_run;
    }
    return status;
}

ingot_status coding_decode_at(const struct ingot_coding *coding, struct stack_shape codes,
                              struct stack_shape stack, uint32_t first_stream,
                              const struct stream_provider *provider, uint64_t first, uint64_t n,
                              const uint64_t *rows, const uint64_t *cols, float *dst,
                              ingot_error *error)
{
    struct open_coding c = {.coding = coding, .provider = provider, .error = error};
    uint32_t next_stream = first_stream;
    if (n == 0) return INGOT_OK;
    ingot_status status = map_elements(&c, codes, first, n, stack.n_cols, &next_stream, dst);
    const struct stack_part part = {rows[0], rows[n - 1] - rows[0] + 1, 0, stack.n_cols};
    for (uint32_t i = 0; i < N_SLOTS && status == INGOT_OK; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (slot->has_table) {
            struct open_table t;
            status = open_table(&c, slot, stack, part, &next_stream, &t);
            if (status != INGOT_OK) break;
            for (uint64_t k = 0; k < n && status == INGOT_OK; k++) {
                float entry;
                status = table_entry(&t, &c, rows[k], cols[k], &entry);
                if (status == INGOT_OK) steps[i][slot->inverse_table](dst + k, 1, entry);
            }
            ingot_release(provider->allocator, t.entries);
        }
        if (slot->has_constant && status == INGOT_OK) {
            steps[i][slot->inverse_constant](dst, n, slot->constant);
        }
    }
    return status;
}

/* ---- streams in memory ---- */

static ingot_status memory_get(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                               const uint8_t **data, ingot_error *error)
{
    const struct memory_streams *m = context;
    (void)n_bytes;
    (void)error;
    *data = m->streams[stream] + offset;
    return INGOT_OK;
}

static ingot_status memory_codebook(void *context, const struct ingot_coding *coding,
                                    const uint8_t **entries, ingot_error *error)
{
    const struct memory_streams *m = context;
    (void)error;
    *entries = m->codebooks[coding->codebook_stream];
    return INGOT_OK;
}

struct stream_provider memory_provider(const struct memory_streams *streams,
                                       const ingot_allocator *allocator)
{
    return (struct stream_provider){(void *)(uintptr_t)streams, memory_get, memory_codebook,
                                    allocator};
}

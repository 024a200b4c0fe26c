/* How much panels of a coding will take, from its parameters and shape. */
#include "runtime/panels_make.h"

static uint64_t product(uint64_t a, uint64_t b)
{
    uint64_t n;
    return mul_u64(a, b, &n) ? n : UINT64_MAX;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t n;
    return add_u64(a, b, &n) ? n : UINT64_MAX;
}

/* Blocks of a panel: each group of a column index may end in columns that are none. */
static uint64_t most_blocks(const struct ingot_coding *coding, uint64_t n_cols)
{
    uint64_t n_halves = ceil_div(n_cols, PANEL_HALF);
    uint64_t n_groups = 0;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (!slot->has_table || slot->group != GROUP_COLUMN_INDEX) continue;
        n_groups = max_u64(n_groups, min_u64(slot->group_cols, n_cols));
    }
    n_halves = sum(n_halves, n_groups);
    return ceil_div(n_halves, PANEL_BLOCK / PANEL_HALF);
}

/* Groups of a row; 0: of a size that panels do not have. */
static uint64_t most_groups(const struct coding_slot *slot, uint64_t n_cols, uint64_t n_blocks)
{
    if (slot->group == GROUP_COLUMN_INDEX) return n_blocks * (PANEL_BLOCK / PANEL_HALF);
    if (slot->group == GROUP_TENSOR || slot->group_cols == 0 || slot->group_cols >= n_cols) {
        return 1;
    }
    if (slot->group_cols % PANEL_HALF != 0) return 0;
    return ceil_div(n_blocks * PANEL_BLOCK, slot->group_cols);
}

static bool is_two_level(const struct coding_slot *slot, uint32_t name)
{
    const struct ingot_coding *table = slot->table;
    const bool inverse = slot->inverse_table && name == SLOT_SCALE;
    const bool flat = coding_is_raw(table) && table->map == MAP_FLOAT &&
                      (table->format == INGOT_F16 || table->format == INGOT_F32);
    return !flat && !inverse && table->bits <= 8 && table->map <= MAP_CODEBOOK &&
           !table->slots[SLOT_ZERO].has_table && !table->slots[SLOT_BIAS].has_table;
}

/* Over how many groups of a row the scale of a table's entries stays the same, at least. */
static uint64_t super_groups(const struct coding_slot *slot, uint64_t n_groups)
{
    const struct coding_slot *scale = &slot->table->slots[SLOT_SCALE];
    if (!scale->has_table) return n_groups;
    if (slot->group == GROUP_COLUMN_INDEX || scale->group == GROUP_COLUMN_INDEX) return 1;
    if (scale->group == GROUP_TENSOR || scale->group_cols == 0) return n_groups;
    const bool is_run = slot->group == GROUP_RUN || scale->group == GROUP_RUN;
    return is_run ? greatest_divisor(scale->group_cols, n_groups)
                  : min_u64(scale->group_cols, n_groups);
}

/* Bytes of the entries of a row. */
static uint64_t entry_bytes(const struct coding_slot *slot, uint32_t name, uint64_t n_groups)
{
    const struct ingot_coding *table = slot->table;
    const bool inverse = slot->inverse_table && name == SLOT_SCALE;
    if (is_two_level(slot, name)) {
        const struct coding_slot *scale = &table->slots[SLOT_SCALE];
        const uint64_t n = max_u64(super_groups(slot, n_groups), 1);
        const bool halves = scale->has_table && !scale->has_constant && !scale->inverse_table &&
                            coding_is_raw(scale->table) && scale->table->format == INGOT_F16;
        if (n >= min_u64(MIN_SUPER_GROUPS, n_groups)) {
            return n_groups + ceil_div(n_groups, n) * (halves ? 2 : 4);
        }
    }
    const bool halves = coding_is_raw(table) && table->format == INGOT_F16 && !inverse;
    return n_groups * (halves ? 2 : 4);
}

/* Whether zeros of groups that panels do not have are taken into the values of vectors. */
static bool takes_zeros(const struct ingot_coding *coding, uint64_t n_cols, uint64_t n_blocks)
{
    const struct coding_slot *zero = &coding->slots[SLOT_ZERO];
    return coding->map == MAP_VECTOR && zero->has_table && zero->group == GROUP_BLOCK &&
           most_groups(zero, n_cols, n_blocks) == 0 && panel_zeros_are_few(zero->table);
}

/* Codebooks of vectors become codes of the values that they have, less each of n_zeros; 0: of none.
 */
static uint8_t bits_of(const struct ingot_coding *coding, const float *codebook, uint32_t n_zeros,
                       bool *certain)
{
    float values[256];
    const uint64_t n = product(coding->n_entries, coding->vector_length);
    if (coding->map != MAP_VECTOR) return (uint8_t)min_u64(coding->bits, 32);
    if (codebook == NULL) return PANEL_MAX_BITS;
    const uint32_t n_values = panel_distinct(codebook, n, coding->signs != 0, values, NULL);
    if (n_values > 256) return 0;
    *certain = n_zeros == 1;
    for (uint32_t i = 0; i < n_values; i++) *certain = *certain && panel_value_fits(values[i]);
    return panel_bits_for((uint32_t)min_u64((uint64_t)n_values * n_zeros, 256));
}

bool panels_forecast(const struct ingot_coding *coding, uint64_t n_rows, uint64_t n_cols,
                     const float *codebook, uint64_t *n_bytes)
{
    enum { LUT_BYTES = 256 * sizeof(float) };
    bool certain = false;
    *n_bytes = 0;
    if (n_cols < PANEL_MIN_COLS) return false;
    const uint64_t n_blocks = most_blocks(coding, n_cols);
    const struct ingot_coding *zeros = coding->slots[SLOT_ZERO].table;
    const bool takes = takes_zeros(coding, n_cols, n_blocks);
    if (panel_has_offsets(coding, takes) && n_cols < MIN_COLS_OFFSET) return false;
    const uint8_t bits = bits_of(coding, codebook, takes ? panel_n_codes(zeros) : 1, &certain);
    if (bits == 0) return false;
    const uint64_t rows = product(ceil_div(n_rows, PANEL_ROWS), PANEL_ROWS);
    uint64_t total =
        sum(sizeof(struct panels), product(rows, product(n_blocks, UINT64_C(4) * bits)));
    if (bits == 8)
        total = sum(total, product(rows / PANEL_ROWS, n_blocks)); /* floats may be plain */
    if (coding->index_bits) total = sum(total, product(n_blocks, PANEL_BLOCK * sizeof(uint32_t)));
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (!slot->has_table || (i == SLOT_ZERO && takes)) continue;
        if (i == SLOT_POST) {
            total = sum(total, product(n_cols, sizeof(float)));
            continue;
        }
        const uint64_t n_groups = most_groups(slot, n_cols, n_blocks);
        if (n_groups == 0) return false;
        total = sum(sum(total, product(rows, entry_bytes(slot, i, n_groups))), LUT_BYTES);
    }
    *n_bytes = total;
    /* Tables of zeros, index and post may yet stand in the way. */
    return certain && n_cols >= MIN_COLS_OFFSET && coding->index_bits == 0 &&
           !coding->slots[SLOT_POST].has_table;
}

/* How much panels of a coding take at most, from its shape alone. */
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

/* Codebooks of vectors become codes of the values that they have. */
static uint8_t most_bits(const struct ingot_coding *coding)
{
    if (coding->map != MAP_VECTOR) return (uint8_t)min_u64(coding->bits, 32);
    const uint64_t n_values = product(coding->n_entries, UINT64_C(2) * coding->vector_length);
    return panel_bits_for((uint32_t)min_u64(n_values, 1u << PANEL_MAX_BITS));
}

/* Blocks of a panel: each group of a column index may end in columns that are none. */
static uint64_t most_blocks(const struct ingot_coding *coding, uint64_t n_cols)
{
    uint64_t n_groups = 0;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (!slot->has_table || slot->group != GROUP_COLUMN_INDEX) continue;
        n_groups = max_u64(n_groups, min_u64(slot->group_cols, n_cols));
    }
    const uint64_t n_halves = sum(n_cols / PANEL_HALF + 1, n_groups);
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

/* Entries of two levels take a byte each and, for two of them, an f32: with one entry more, at most
 * as much as floats. */
static uint64_t most_entry_bytes(const struct coding_slot *slot, uint32_t name, uint64_t n_groups)
{
    const bool halves = coding_is_raw(slot->table) && slot->table->format == INGOT_F16 &&
                        !(slot->inverse_table && name == SLOT_SCALE);
    if (halves) return 2 * n_groups;
    const bool flat = coding_is_raw(slot->table);
    return sizeof(float) * (n_groups + !flat);
}

uint64_t panels_most_bytes(const struct ingot_coding *coding, uint64_t n_rows, uint64_t n_cols)
{
    enum { LUT_BYTES = 256 * sizeof(float) };
    if (n_cols < PANEL_MIN_COLS) return 0;
    const uint64_t rows = product(ceil_div(n_rows, PANEL_ROWS), PANEL_ROWS);
    const uint64_t n_blocks = most_blocks(coding, n_cols);
    const uint64_t row_bytes = product(n_blocks, UINT64_C(4) * most_bits(coding));
    uint64_t n_bytes = sum(sizeof(struct panels), product(rows, row_bytes));
    if (coding->index_bits)
        n_bytes = sum(n_bytes, product(n_blocks, PANEL_BLOCK * sizeof(uint32_t)));
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (!slot->has_table) continue;
        if (i == SLOT_POST) {
            n_bytes = sum(n_bytes, product(n_cols, sizeof(float)));
            continue;
        }
        const uint64_t n_groups = most_groups(slot, n_cols, n_blocks);
        if (n_groups == 0) return 0;
        const uint64_t entries = product(rows, most_entry_bytes(slot, i, n_groups));
        n_bytes = sum(sum(n_bytes, entries), LUT_BYTES);
    }
    return n_bytes;
}

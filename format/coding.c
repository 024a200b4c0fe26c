/* Shapes that follow from a coding's parameters. Knows nothing of files or values. */
#include "format/coding.h"

#include "format/bytes.h"

uint32_t plane_widths(uint8_t bits, uint8_t widths[CODING_MAX_PLANES])
{
    uint32_t n = 0;
    for (uint32_t width = 64; width > 0; width /= 2) {
        if (bits & width) widths[n++] = (uint8_t)width;
    }
    return n;
}

bool plane_shape(uint8_t bits, struct stack_shape stack, struct stream_shape *out)
{
    struct stream_shape s = {.bits = bits, .by_rows = true, .tensor_rows = 1};
    uint64_t total_bits;
    s.n_cols = stack.n_cols;
    if (!mul_u64(stack.n_matrices, stack.n_rows, &s.n_rows)) return false;
    if (!mul_u64(stack.n_cols, bits, &s.row_bits)) return false;
    if (bits < 8) {
        uint64_t padded_bits;
        if (!round_up_u64(s.row_bits, 32, &padded_bits)) return false;
        if (padded_bits - s.row_bits <= s.row_bits / 8) s.row_bits = padded_bits;
    }
    if (!mul_u64(s.n_rows, s.row_bits, &total_bits)) return false;
    s.n_bytes = ceil_div(total_bits, 8);
    *out = s;
    return true;
}

static uint64_t extent(uint64_t group, uint64_t whole)
{
    return group == 0 ? (whole ? 1 : 0) : ceil_div(whole, group);
}

bool slot_grid(const struct coding_slot *slot, struct stack_shape stack, struct stack_shape *grid)
{
    uint64_t n;
    switch ((enum coding_group)slot->group) {
    case GROUP_NONE: return false;
    case GROUP_BLOCK:
        *grid = (struct stack_shape){stack.n_matrices, extent(slot->group_rows, stack.n_rows),
                                     extent(slot->group_cols, stack.n_cols)};
        return true;
    case GROUP_TENSOR: *grid = (struct stack_shape){1, 1, 1}; return true;
    case GROUP_RUN:
        if (!mul_u64(stack.n_rows, stack.n_cols, &n)) return false;
        *grid = (struct stack_shape){stack.n_matrices, 1, extent(slot->group_cols, n)};
        return true;
    case GROUP_COLUMN_INDEX:
        *grid = (struct stack_shape){stack.n_matrices, extent(slot->group_rows, stack.n_rows),
                                     slot->group_cols};
        return true;
    }
    return false;
}

/* A list of streams under construction. */
struct list {
    struct stream_shape *streams;
    uint32_t n;
    bool failed;
};

static void append(struct list *list, uint8_t bits, struct stack_shape stack, uint64_t tensor_rows)
{
    struct stream_shape shape;
    if (list->failed || list->n == CODING_MAX_STREAMS || !plane_shape(bits, stack, &shape)) {
        list->failed = true;
        return;
    }
    shape.by_rows = tensor_rows != 0;
    shape.tensor_rows = tensor_rows;
    list->streams[list->n++] = shape;
}

/* How many tensor rows one row of a slot's grid spans, given how many one row of the coded stack
 * spans; 0 when grid rows do not follow tensor rows evenly from matrix to matrix. */
static uint64_t grid_tensor_rows(const struct coding_slot *slot, struct stack_shape stack,
                                 uint64_t tensor_rows)
{
    const bool rows = slot->group == GROUP_BLOCK || slot->group == GROUP_COLUMN_INDEX;
    if (!rows || tensor_rows == 0) return 0;
    const uint64_t group = slot->group_rows ? slot->group_rows : stack.n_rows;
    if (group == 0 || stack.n_rows % group != 0) return 0;
    uint64_t product;
    return mul_u64(group, tensor_rows, &product) ? product : 0;
}

static void append_opaque(struct list *list, const struct ingot_coding *coding,
                          struct stack_shape stack)
{
    const bool blocks = coding->block_weights && coding->block_bytes;
    struct stack_shape bytes = {stack.n_matrices, stack.n_rows, 0};
    if (blocks && !mul_u64(ceil_div(stack.n_cols, coding->block_weights), coding->block_bytes,
                           &bytes.n_cols)) {
        list->failed = true;
        return;
    }
    append(list, 8, bytes, blocks ? 1 : 0);
    if (!list->failed) list->streams[list->n - 1].any_length = !blocks;
}

static void append_codes(struct list *list, const struct ingot_coding *coding,
                         struct stack_shape stack, uint64_t tensor_rows)
{
    struct stack_shape codes = stack;
    uint8_t widths[CODING_MAX_PLANES];
    if (coding->map == MAP_OPAQUE) {
        append_opaque(list, coding, stack);
        return;
    }
    if (coding->map == MAP_VECTOR) codes.n_cols = ceil_div(stack.n_cols, coding->vector_length);
    const uint32_t n_planes = plane_widths(coding->bits, widths);
    for (uint32_t i = 0; i < n_planes; i++) append(list, widths[i], codes, tensor_rows);
    struct stack_shape signs = stack;
    signs.n_cols = ceil_div(stack.n_cols, 8);
    const uint32_t n_sign_planes = plane_widths(coding->signs, widths);
    for (uint32_t i = 0; i < n_sign_planes; i++) append(list, widths[i], signs, tensor_rows);
}

/* The streams of all tables over their grids, recursively. */
static void append_tables(struct list *list, const struct ingot_coding *coding,
                          struct stack_shape stack, uint64_t tensor_rows, uint32_t depth)
{
    if (depth > CODING_MAX_DEPTH) {
        list->failed = true;
        return;
    }
    for (uint32_t i = 0; i < N_SLOTS && !list->failed; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        struct stack_shape grid;
        if (!slot->has_table) continue;
        if (!slot_grid(slot, stack, &grid)) {
            list->failed = true;
            return;
        }
        const uint64_t rows = grid_tensor_rows(slot, stack, tensor_rows);
        append_codes(list, slot->table, grid, rows);
        append_tables(list, slot->table, grid, rows, depth + 1);
    }
}

bool coding_streams_over(const struct ingot_coding *coding, struct stack_shape codes,
                         bool codes_by_rows, struct stack_shape stack,
                         struct stream_shape streams[CODING_MAX_STREAMS], uint32_t *n_streams)
{
    struct list list = {streams, 0, false};
    if (coding->index_bits) {
        append(&list, coding->index_bits, (struct stack_shape){1, 1, stack.n_cols}, 0);
    }
    append_codes(&list, coding, codes, codes_by_rows ? 1 : 0);
    append_tables(&list, coding, stack, 1, 0);
    if (list.failed) return false;
    *n_streams = list.n;
    return true;
}

bool coding_streams(const struct ingot_coding *coding, struct stack_shape stack,
                    struct stream_shape streams[CODING_MAX_STREAMS], uint32_t *n_streams)
{
    return coding_streams_over(coding, stack, true, stack, streams, n_streams);
}

bool coding_fits_table(const struct ingot_coding *coding)
{
    const bool scalar = coding->map == MAP_UINT || coding->map == MAP_INT ||
                        coding->map == MAP_FLOAT ||
                        (coding->map == MAP_CODEBOOK && coding->n_entries <= 256);
    const struct coding_slot *post = &coding->slots[SLOT_POST];
    bool nests = false;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (!coding->slots[i].has_table) continue;
        const struct ingot_coding *table = coding->slots[i].table;
        for (uint32_t k = 0; k < N_SLOTS; k++) nests |= table->slots[k].has_table;
    }
    return scalar && coding->index_bits == 0 && !post->has_table && !post->has_constant && !nests;
}

bool coding_is_raw(const struct ingot_coding *coding)
{
    if (coding->map != MAP_UINT && coding->map != MAP_INT && coding->map != MAP_FLOAT) return false;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (coding->slots[i].has_table || coding->slots[i].has_constant) return false;
    }
    return true;
}

uint64_t coding_bytes(const struct ingot_coding *coding, struct stack_shape stack)
{
    struct stream_shape streams[CODING_MAX_STREAMS];
    uint32_t n_streams;
    if (!coding_streams(coding, stack, streams, &n_streams)) return UINT64_MAX;
    uint64_t total = 0;
    for (uint32_t i = 0; i < n_streams; i++) {
        if (!add_u64(total, streams[i].n_bytes, &total)) return UINT64_MAX;
    }
    return total;
}

/* Chapter 6, read aloud. */
#include "tests/support/naive.h"

#include <string.h>

#include "tests/support/formula.h"

uint64_t naive_bits(const uint8_t *data, uint64_t first_bit, uint64_t n_bits)
{
    uint64_t v = 0;
    for (uint64_t i = 0; i < n_bits; i++) {
        const uint64_t bit = first_bit + i;
        v |= (uint64_t)(data[bit / 8] >> (bit % 8) & 1) << i;
    }
    return v;
}

uint64_t naive_row_bits(uint32_t bits, uint64_t n_cols)
{
    const uint64_t row = n_cols * bits;
    if (bits >= 8) return row;
    uint64_t p = row;
    while (p % 32 != 0) p++;
    return p - row <= row / 8 ? p : row;
}

uint64_t naive_plane_bytes(uint32_t bits, struct stack_shape stack)
{
    const uint64_t n = stack.n_matrices * stack.n_rows * naive_row_bits(bits, stack.n_cols);
    return (n + 7) / 8;
}

float naive_step(float v, char operation, float x)
{
    const double a = v, b = x;
    if (operation == '+') return (float)(a + b);
    if (operation == '-') return (float)(a - b);
    if (operation == '*') return (float)(a * b);
    return (float)(a / b);
}

static uint64_t round_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

static uint32_t n_planes(uint32_t bits)
{
    uint32_t n = 0;
    for (; bits; bits /= 2) n += bits & 1;
    return n;
}

uint32_t naive_n_streams(const struct ingot_coding *coding)
{
    uint32_t n = coding->index_bits ? 1 : 0;
    n += coding->map == MAP_OPAQUE ? 1 : n_planes(coding->bits) + n_planes(coding->signs);
    for (int i = 0; i < 4; i++) {
        if (coding->slots[i].has_table) n += naive_n_streams(coding->slots[i].table);
    }
    return n;
}

/* A code in planes: the widest is first and holds the lowest bits. */
static uint64_t code_of(uint32_t bits, struct stack_shape stack, struct place at,
                        const uint8_t *const *planes)
{
    const uint64_t row = at.matrix * stack.n_rows + at.row;
    uint64_t code = 0;
    uint32_t n_bits = 0, plane = 0;
    for (uint32_t width = 64; width >= 1; width /= 2) {
        if (!(bits & width)) continue;
        const uint64_t bit = row * naive_row_bits(width, stack.n_cols) + at.col * width;
        code |= naive_bits(planes[plane++], bit, width) << n_bits;
        n_bits += width;
    }
    return code;
}

static float entry_of(const struct ingot_coding *coding, const uint8_t *codebook, uint64_t i)
{
    const uint64_t bits = coding->format == INGOT_I8 ? 8 : ingot_dtype_bits(coding->format);
    const uint64_t v = naive_bits(codebook, i * bits, bits);
    if (coding->format == INGOT_I8) return v < 128 ? (float)v : (float)v - 256.0f;
    return (float)formula_float((ingot_dtype)coding->format, v);
}

static float map_vector(const struct ingot_coding *coding, struct stack_shape stack,
                        struct place at, const uint8_t *const *streams, const uint8_t *codebook,
                        struct naive_result *result)
{
    const uint64_t length = coding->vector_length;
    struct stack_shape codes = stack, signs = stack;
    codes.n_cols = round_up(stack.n_cols, length);
    signs.n_cols = round_up(stack.n_cols, 8);
    const struct place code_at = {at.matrix, at.row, at.col / length};
    const uint64_t code = code_of(coding->bits, codes, code_at, streams);
    if (code >= coding->n_entries) {
        if (!result->rule) result->rule = 431;
        return 0;
    }
    const float v = entry_of(coding, codebook, code * length + at.col % length);
    if (coding->signs == 0) return v;
    const struct place sign_at = {at.matrix, at.row, at.col / 8};
    const uint64_t sign = code_of(coding->signs, signs, sign_at, streams + n_planes(coding->bits));
    uint64_t negative = sign >> (at.col % 8) & 1;
    if (coding->signs == 7 && at.col % 8 == 7) {
        negative = 0;
        for (int i = 0; i < 7; i++) negative += sign >> i & 1;
        negative %= 2;
    }
    return negative ? -v : v;
}

/* map(code); streams begin with the planes. */
static float map_scalar(const struct ingot_coding *coding, uint64_t code, const uint8_t *codebook,
                        struct naive_result *result)
{
    if (coding->map == MAP_UINT) return formula_integer(code, false);
    if (coding->map == MAP_INT) {
        const bool negative = code >> (coding->bits - 1) & 1;
        /* 2^bits - code, modulo 2^64. */
        const uint64_t whole = coding->bits == 64 ? 0 : UINT64_C(1) << coding->bits;
        return formula_integer(negative ? whole - code : code, negative);
    }
    if (coding->map == MAP_FLOAT) return (float)formula_float((ingot_dtype)coding->format, code);
    if (code >= coding->n_entries) {
        if (!result->rule) result->rule = 431;
        return 0;
    }
    return entry_of(coding, codebook, code);
}

struct stack_shape naive_grid(const struct coding_slot *slot, struct stack_shape stack)
{
    const uint64_t group_rows = slot->group_rows ? slot->group_rows : stack.n_rows;
    const uint64_t group_cols = slot->group_cols ? slot->group_cols : stack.n_cols;
    struct stack_shape grid = {stack.n_matrices, 0, 0};
    if (slot->group == GROUP_TENSOR) return (struct stack_shape){1, 1, 1};
    if (slot->group == GROUP_RUN) {
        grid.n_rows = 1;
        grid.n_cols = round_up(stack.n_rows * stack.n_cols, slot->group_cols);
        return grid;
    }
    if (stack.n_rows) grid.n_rows = round_up(stack.n_rows, group_rows);
    if (slot->group == GROUP_COLUMN_INDEX) grid.n_cols = slot->group_cols;
    if (slot->group == GROUP_BLOCK && stack.n_cols) {
        grid.n_cols = round_up(stack.n_cols, group_cols);
    }
    return grid;
}

/* Where in a table's grid the entry of a position stands. */
static struct place entry_place(const struct coding_slot *slot, struct stack_shape stack,
                                struct place at, uint64_t index)
{
    const uint64_t group_rows = slot->group_rows ? slot->group_rows : stack.n_rows;
    const uint64_t group_cols = slot->group_cols ? slot->group_cols : stack.n_cols;
    if (slot->group == GROUP_TENSOR) return (struct place){0, 0, 0};
    if (slot->group == GROUP_RUN) {
        return (struct place){at.matrix, 0, (at.row * stack.n_cols + at.col) / slot->group_cols};
    }
    if (slot->group == GROUP_COLUMN_INDEX) {
        return (struct place){at.matrix, at.row / group_rows, index};
    }
    return (struct place){at.matrix, at.row / group_rows, at.col / group_cols};
}

/* The tables and constants of all slots on v; `stream` is the first after the planes. */
static float apply_slots(const struct ingot_coding *coding, float v, struct stack_shape stack,
                         struct place at, uint64_t index, uint32_t stream,
                         const struct naive_bytes *bytes, struct naive_result *result)
{
    static const char operations[4][2] = {{'-', '-'}, {'*', '/'}, {'+', '-'}, {'*', '/'}};
    for (int i = 0; i < 4; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        if (slot->has_table) {
            const struct stack_shape grid = naive_grid(slot, stack);
            const struct place entry = entry_place(slot, stack, at, index);
            if (entry.col >= grid.n_cols) {
                if (!result->rule) result->rule = 430;
                return 0;
            }
            const float x =
                naive_value(slot->table, grid, entry, grid, entry, stream, bytes, result);
            v = naive_step(v, operations[i][slot->inverse_table], x);
            stream += naive_n_streams(slot->table);
        }
        if (slot->has_constant) {
            v = naive_step(v, operations[i][slot->inverse_constant], slot->constant);
        }
    }
    return v;
}

float naive_value(const struct ingot_coding *coding, struct stack_shape codes, struct place code_at,
                  struct stack_shape stack, struct place at, uint32_t first_stream,
                  const struct naive_bytes *bytes, struct naive_result *result)
{
    const uint8_t *codebook = NULL;
    uint32_t stream = first_stream;
    uint64_t index = 0;
    float v;
    if (coding->map == MAP_CODEBOOK || coding->map == MAP_VECTOR) {
        codebook = bytes->codebooks[coding->codebook_stream];
    }
    if (coding->index_bits) {
        index =
            naive_bits(bytes->streams[stream++], at.col * coding->index_bits, coding->index_bits);
    }
    const uint8_t *const *planes = bytes->streams + stream;
    if (coding->map == MAP_VECTOR) {
        v = map_vector(coding, codes, code_at, planes, codebook, result);
    } else {
        v = map_scalar(coding, code_of(coding->bits, codes, code_at, planes), codebook, result);
    }
    stream += n_planes(coding->bits) + n_planes(coding->signs);
    return apply_slots(coding, v, stack, at, index, stream, bytes, result);
}

/* One function a mask. */
#include "tests/support/made_mask.h"

#include <assert.h>

struct mask_maker {
    struct made *made;
    struct random *random;
    struct stack_shape stack;
    uint32_t block_rows, block_cols;
};

static uint64_t all_rows(struct stack_shape stack)
{
    return stack.n_matrices * stack.n_rows;
}

/* Fills row offsets from a count a row; returns how many are kept in all. */
static uint64_t put_offsets(uint8_t *offsets, uint64_t n_rows, const uint64_t *counts)
{
    uint64_t n = 0;
    for (uint64_t row = 0; row < n_rows; row++) {
        n += counts[row];
        made_put(offsets, (row + 1) * 32, 32, n);
    }
    return n;
}

enum { MAX_ROWS = 64 };

static struct stack_shape make_bitmap(struct mask_maker *m)
{
    const uint64_t n_rows = all_rows(m->stack);
    uint64_t counts[MAX_ROWS] = {0};
    uint8_t *plane = made_stream(m->made, naive_plane_bytes(1, m->stack));
    uint8_t *offsets = made_stream(m->made, (n_rows + 1) * 4);
    for (uint64_t row = 0; row < n_rows; row++) {
        for (uint64_t col = 0; col < m->stack.n_cols; col++) {
            if (!random_one_in(m->random, 3)) continue;
            made_put(plane, row * naive_row_bits(1, m->stack.n_cols) + col, 1, 1);
            counts[row]++;
        }
    }
    return (struct stack_shape){1, 1, put_offsets(offsets, n_rows, counts)};
}

static struct stack_shape make_two_of_four(struct mask_maker *m)
{
    static const uint8_t pairs[6] = {0x4, 0x8, 0xc, 0x9, 0xd, 0xe}; /* first, second << 2 */
    const struct stack_shape patterns = {m->stack.n_matrices, m->stack.n_rows, m->stack.n_cols / 4};
    uint8_t *plane = made_stream(m->made, naive_plane_bytes(4, patterns));
    for (uint64_t row = 0; row < all_rows(patterns); row++) {
        for (uint64_t col = 0; col < patterns.n_cols; col++) {
            const uint64_t bit = row * naive_row_bits(4, patterns.n_cols) + col * 4;
            made_put(plane, bit, 4, pairs[random_below(m->random, 6)]);
        }
    }
    return (struct stack_shape){m->stack.n_matrices, m->stack.n_rows, m->stack.n_cols / 2};
}

/* An ascending list of some numbers below n; returns how many. */
static uint64_t make_list_of(struct mask_maker *m, uint64_t n)
{
    uint64_t chosen[256], n_chosen = 0;
    for (uint64_t i = 0; i < n && n_chosen < 256; i++) {
        if (random_one_in(m->random, 3)) chosen[n_chosen++] = i;
    }
    uint8_t *list = made_stream(m->made, n_chosen * 4);
    for (uint64_t i = 0; i < n_chosen; i++) made_put(list, i * 32, 32, chosen[i]);
    return n_chosen;
}

static struct stack_shape make_columns(struct mask_maker *m)
{
    /* Without rows n_kept is 0 and so is the number of columns. */
    const uint64_t n = make_list_of(m, all_rows(m->stack) ? m->stack.n_cols : 0);
    return (struct stack_shape){m->stack.n_matrices, m->stack.n_rows, n};
}

static struct stack_shape make_rows(struct mask_maker *m)
{
    const uint64_t n = make_list_of(m, m->stack.n_cols ? all_rows(m->stack) : 0);
    return (struct stack_shape){1, n, m->stack.n_cols};
}

static struct stack_shape make_blocks(struct mask_maker *m)
{
    const uint64_t n_rows = all_rows(m->stack);
    const struct stack_shape blocks = {m->stack.n_matrices,
                                       (m->stack.n_rows + m->block_rows - 1) / m->block_rows,
                                       (m->stack.n_cols + m->block_cols - 1) / m->block_cols};
    uint64_t counts[MAX_ROWS] = {0};
    uint8_t *plane = made_stream(m->made, naive_plane_bytes(1, blocks));
    uint8_t *offsets = made_stream(m->made, (n_rows + 1) * 4);
    for (uint64_t i = 0; i < all_rows(blocks) * blocks.n_cols; i++) {
        if (!random_one_in(m->random, 3)) continue;
        const uint64_t block_row = i / blocks.n_cols, col = i % blocks.n_cols;
        made_put(plane, block_row * naive_row_bits(1, blocks.n_cols) + col, 1, 1);
        const uint64_t matrix = block_row / blocks.n_rows;
        const uint64_t row = block_row % blocks.n_rows * m->block_rows;
        const uint64_t left = m->stack.n_cols - col * m->block_cols;
        for (uint64_t r = row; r < row + m->block_rows && r < m->stack.n_rows; r++) {
            counts[matrix * m->stack.n_rows + r] += left < m->block_cols ? left : m->block_cols;
        }
    }
    return (struct stack_shape){1, 1, put_offsets(offsets, n_rows, counts)};
}

static struct stack_shape make_list(struct mask_maker *m)
{
    const uint64_t n_rows = all_rows(m->stack);
    uint64_t counts[MAX_ROWS] = {0}, n = 0;
    static uint64_t columns[MAX_ROWS * 256];
    uint8_t *offsets = made_stream(m->made, (n_rows + 1) * 4);
    for (uint64_t row = 0; row < n_rows; row++) {
        for (uint64_t col = 0; col < m->stack.n_cols; col++) {
            if (!random_one_in(m->random, 6)) continue;
            columns[n++] = col;
            counts[row]++;
        }
    }
    uint8_t *list = made_stream(m->made, n * 4);
    for (uint64_t i = 0; i < n; i++) made_put(list, i * 32, 32, columns[i]);
    return (struct stack_shape){1, 1, put_offsets(offsets, n_rows, counts)};
}

struct stack_shape made_mask(struct made *made, struct random *random, uint8_t mask,
                             struct stack_shape stack, uint32_t block_rows, uint32_t block_cols)
{
    static struct stack_shape (*const masks[])(struct mask_maker *) = {
        [MASK_BITMAP] = make_bitmap,   [MASK_TWO_OF_FOUR] = make_two_of_four,
        [MASK_COLUMNS] = make_columns, [MASK_ROWS] = make_rows,
        [MASK_BLOCKS] = make_blocks,   [MASK_LIST] = make_list,
    };
    struct mask_maker maker = {.made = made,
                               .random = random,
                               .stack = stack,
                               .block_rows = block_rows,
                               .block_cols = block_cols};
    assert(all_rows(stack) <= MAX_ROWS && stack.n_cols <= 256);
    return masks[mask](&maker);
}

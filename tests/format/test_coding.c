/* Shapes that follow from a coding's parameters, against numbers worked out by hand from chapter 6
 * of the specification. */
#include "tests/support/unit.h"

#include <string.h>

#include "format/coding.h"

static void test_plane_widths(void **state)
{
    (void)state;
    static const struct {
        uint8_t bits;
        uint32_t n;
        uint8_t widths[CODING_MAX_PLANES];
    } rows[] = {
        {1, 1, {1}},
        {2, 1, {2}},
        {3, 2, {2, 1}},
        {4, 1, {4}},
        {5, 2, {4, 1}},
        {6, 2, {4, 2}},
        {7, 3, {4, 2, 1}},
        {8, 1, {8}},
        {9, 2, {8, 1}},
        {10, 2, {8, 2}},
        {11, 3, {8, 2, 1}},
        {12, 2, {8, 4}},
        {16, 1, {16}},
        {24, 2, {16, 8}},
        {31, 5, {16, 8, 4, 2, 1}},
        {32, 1, {32}},
        {33, 2, {32, 1}},
        {48, 2, {32, 16}},
        {63, 6, {32, 16, 8, 4, 2, 1}},
        {64, 1, {64}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t widths[CODING_MAX_PLANES];
        assert_int_equal(plane_widths(rows[i].bits, widths), rows[i].n);
        assert_memory_equal(widths, rows[i].widths, rows[i].n);
    }
}

static void test_plane_shape(void **state)
{
    (void)state;
    static const struct {
        uint8_t bits;
        struct stack_shape stack;
        uint64_t row_bits;
        uint64_t n_bytes;
    } rows[] = {
        /* 1 x 28 needs 4 bits of padding and may have 3; 29 needs 3 and may have 3. */
        {1, {1, 8, 28}, 28, 28},
        {1, {1, 8, 29}, 32, 32},
        {1, {1, 8, 31}, 32, 32},
        {1, {1, 8, 32}, 32, 32},
        {1, {1, 8, 33}, 33, 33},
        /* The same at two words: 56 needs 8 of at most 7, 57 needs 7 of 7. */
        {1, {1, 2, 56}, 56, 14},
        {1, {1, 2, 57}, 64, 16},
        {2, {1, 4, 14}, 28, 14},
        {2, {1, 4, 15}, 32, 16},
        {4, {1, 3, 1}, 4, 2},
        {4, {1, 3, 7}, 28, 11},
        {4, {1, 3, 8}, 32, 12},
        {4, {2, 3, 44}, 192, 144},
        /* 257 bits need 31 more, of at most 32. */
        {1, {1, 1, 257}, 288, 36},
        {1, {1, 1, 225}, 225, 29}, /* 31 of at most 28 */
        {8, {1, 3, 5}, 40, 15},
        {8, {1, 1, 1}, 8, 1},
        {16, {2, 2, 3}, 48, 24},
        {32, {1, 1, 3}, 96, 12},
        {64, {3, 1, 1}, 64, 24},
        {4, {1, 3, 0}, 0, 0},
        {4, {1, 0, 8}, 32, 0},
        {4, {0, 3, 8}, 32, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stream_shape shape;
        assert_true(plane_shape(rows[i].bits, rows[i].stack, &shape));
        if (shape.row_bits != rows[i].row_bits || shape.n_bytes != rows[i].n_bytes) {
            fail_msg("row %zu: %llu bits a row, %llu bytes", i, (unsigned long long)shape.row_bits,
                     (unsigned long long)shape.n_bytes);
        }
        assert_int_equal(shape.n_rows, rows[i].stack.n_matrices * rows[i].stack.n_rows);
        assert_int_equal(shape.n_cols, rows[i].stack.n_cols);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    static const struct stack_shape stacks[] = {
        {1, 1, UINT64_C(1) << 61},
        {1, UINT64_C(1) << 61, 1},
        {UINT64_C(1) << 32, UINT64_C(1) << 32, 1},
        {1, UINT64_C(1) << 31, UINT64_C(1) << 31},
    };
    for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
        struct stream_shape shape;
        assert_false(plane_shape(8, stacks[i], &shape));
    }
    struct stream_shape shape;
    assert_false(plane_shape(1, (struct stack_shape){1, 1, UINT64_MAX}, &shape));
}

static void test_grids(void **state)
{
    (void)state;
    static const struct {
        uint8_t group;
        uint32_t group_rows;
        uint64_t group_cols;
        struct stack_shape stack;
        struct stack_shape grid;
    } rows[] = {
        {GROUP_BLOCK, 1, 16, {2, 5, 40}, {2, 5, 3}},
        {GROUP_BLOCK, 2, 16, {2, 5, 40}, {2, 3, 3}},
        {GROUP_BLOCK, 0, 0, {2, 5, 40}, {2, 1, 1}},
        {GROUP_BLOCK, 0, 16, {2, 5, 40}, {2, 1, 3}},
        {GROUP_BLOCK, 3, 0, {2, 5, 40}, {2, 2, 1}},
        {GROUP_BLOCK, 128, 128, {2, 5, 40}, {2, 1, 1}},
        {GROUP_BLOCK, 1, 1, {2, 5, 40}, {2, 5, 40}},
        {GROUP_TENSOR, 0, 0, {2, 5, 40}, {1, 1, 1}},
        {GROUP_RUN, 0, 64, {2, 5, 40}, {2, 1, 4}},
        {GROUP_RUN, 0, 200, {2, 5, 40}, {2, 1, 1}},
        {GROUP_RUN, 0, 199, {2, 5, 40}, {2, 1, 2}},
        {GROUP_COLUMN_INDEX, 0, 7, {2, 5, 40}, {2, 1, 7}},
        {GROUP_COLUMN_INDEX, 2, 7, {2, 5, 40}, {2, 3, 7}},
        /* No rows, no groups of rows; a whole tensor has its one entry all the same. */
        {GROUP_BLOCK, 0, 0, {1, 0, 4}, {1, 0, 1}},
        {GROUP_BLOCK, 2, 0, {1, 3, 0}, {1, 2, 0}},
        {GROUP_BLOCK, 1, 16, {0, 5, 40}, {0, 5, 3}},
        {GROUP_TENSOR, 0, 0, {0, 5, 40}, {1, 1, 1}},
        {GROUP_RUN, 0, 64, {1, 0, 4}, {1, 1, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct coding_slot slot = {.has_table = true,
                                         .group = rows[i].group,
                                         .group_rows = rows[i].group_rows,
                                         .group_cols = rows[i].group_cols};
        struct stack_shape grid;
        assert_true(slot_grid(&slot, rows[i].stack, &grid));
        if (memcmp(&grid, &rows[i].grid, sizeof grid) != 0) {
            fail_msg("row %zu: %llu x %llu x %llu", i, (unsigned long long)grid.n_matrices,
                     (unsigned long long)grid.n_rows, (unsigned long long)grid.n_cols);
        }
    }
    const struct coding_slot none = {0};
    struct stack_shape grid;
    assert_false(slot_grid(&none, (struct stack_shape){1, 1, 1}, &grid));
}

/* ---- lists of streams ---- */

struct expected {
    uint8_t bits;
    uint64_t n_rows, n_cols, row_bits, n_bytes;
    bool by_rows;
    uint64_t tensor_rows; /* when by rows */
};

static void check_streams(const struct ingot_coding *coding, struct stack_shape stack,
                          const struct expected *expected, uint32_t n_expected)
{
    struct stream_shape streams[CODING_MAX_STREAMS];
    uint32_t n = 0;
    uint64_t total = 0;
    assert_true(coding_streams(coding, stack, streams, &n));
    assert_int_equal(n, n_expected);
    for (uint32_t i = 0; i < n; i++) {
        const struct stream_shape *s = &streams[i];
        const struct expected *e = &expected[i];
        const bool same = s->bits == e->bits && s->n_rows == e->n_rows && s->n_cols == e->n_cols &&
                          s->row_bits == e->row_bits && s->n_bytes == e->n_bytes &&
                          s->by_rows == e->by_rows &&
                          (!s->by_rows || s->tensor_rows == e->tensor_rows) && !s->any_length;
        if (!same) {
            fail_msg(
                "stream %u: %u bits, %llu x %llu, %llu bits a row, %llu bytes, rows %d of %llu", i,
                s->bits, (unsigned long long)s->n_rows, (unsigned long long)s->n_cols,
                (unsigned long long)s->row_bits, (unsigned long long)s->n_bytes, s->by_rows,
                (unsigned long long)s->tensor_rows);
        }
        total += e->n_bytes;
    }
    assert_int_equal(coding_bytes(coding, stack), total);
}

static struct ingot_coding scalar(uint8_t map, uint8_t bits, uint8_t format)
{
    return (struct ingot_coding){
        .map = map, .bits = bits, .format = format, .codebook_stream = INGOT_NONE};
}

/* Two levels of tables, over 2 x 4 x 40: 6-bit codes, 16-bit offsets a whole row, 6-bit scales a
 * group of 1 x 16 with an f16 scale for every two rows of 8 of them. */
static void test_nested_tables(void **state)
{
    (void)state;
    const struct ingot_coding f16 = scalar(MAP_FLOAT, 16, INGOT_F16);
    const struct ingot_coding i16 = scalar(MAP_INT, 16, 0);
    struct ingot_coding scales = scalar(MAP_UINT, 6, 0);
    scales.slots[SLOT_SCALE] = (struct coding_slot){
        .has_table = true, .group = GROUP_BLOCK, .group_rows = 2, .group_cols = 8, .table = &f16};
    struct ingot_coding coding = scalar(MAP_UINT, 6, 0);
    coding.slots[SLOT_ZERO] = (struct coding_slot){.has_constant = true, .constant = 32.0f};
    coding.slots[SLOT_SCALE] = (struct coding_slot){.has_table = true,
                                                    .group = GROUP_BLOCK,
                                                    .group_rows = 1,
                                                    .group_cols = 16,
                                                    .table = &scales};
    coding.slots[SLOT_BIAS] = (struct coding_slot){
        .has_table = true, .group = GROUP_BLOCK, .group_rows = 1, .group_cols = 0, .table = &i16};
    static const struct expected expected[] = {
        {4, 8, 40, 160, 160, true, 1}, /* codes, low four bits */
        {2, 8, 40, 80, 80, true, 1}, /* codes, high two bits: 96 would be 16 more, of at most 10 */
        {4, 8, 3, 12, 12, true, 1},  /* scale codes over 2 x 4 x 3 */
        {2, 8, 3, 6, 6, true, 1},
        {16, 4, 1, 16, 8, true, 2}, /* scales of scales over 2 x 2 x 1 */
        {16, 8, 1, 16, 16, true, 1},
    };
    check_streams(&coding, (struct stack_shape){2, 4, 40}, expected, 6);
}

/* A column index comes first; its tables have their groups of rows. */
static void test_column_index(void **state)
{
    (void)state;
    const struct ingot_coding f16 = scalar(MAP_FLOAT, 16, INGOT_F16);
    const struct ingot_coding u4 = scalar(MAP_UINT, 4, 0);
    struct ingot_coding coding = scalar(MAP_UINT, 4, 0);
    coding.index_bits = 32;
    coding.slots[SLOT_ZERO] = (struct coding_slot){.has_table = true,
                                                   .group = GROUP_COLUMN_INDEX,
                                                   .group_rows = 1,
                                                   .group_cols = 3,
                                                   .table = &u4};
    coding.slots[SLOT_SCALE] = (struct coding_slot){.has_table = true,
                                                    .group = GROUP_COLUMN_INDEX,
                                                    .group_rows = 0,
                                                    .group_cols = 5,
                                                    .table = &f16};
    coding.slots[SLOT_POST] = (struct coding_slot){
        .has_table = true, .group = GROUP_RUN, .group_cols = 10, .table = &f16};
    static const struct expected expected[] = {
        {32, 1, 24, 768, 96, false, 0}, /* one row of n_cols */
        {4, 6, 24, 96, 72, true, 1},    {4, 6, 3, 12, 9, true, 1},
        {16, 1, 5, 80, 10, true, 6},    {16, 1, 15, 240, 30, false, 0},
    };
    check_streams(&coding, (struct stack_shape){1, 6, 24}, expected, 5);
}

/* Rows of a grid that do not follow the rows of the tensor evenly are not cut with them. */
static void test_uneven_groups(void **state)
{
    (void)state;
    const struct ingot_coding f32 = scalar(MAP_FLOAT, 32, INGOT_F32);
    struct ingot_coding coding = scalar(MAP_INT, 8, 0);
    coding.slots[SLOT_SCALE] = (struct coding_slot){
        .has_table = true, .group = GROUP_BLOCK, .group_rows = 3, .group_cols = 4, .table = &f32};
    coding.slots[SLOT_POST] =
        (struct coding_slot){.has_table = true, .group = GROUP_TENSOR, .table = &f32};
    static const struct expected expected[] = {
        {8, 8, 9, 72, 72, true, 1},
        {32, 4, 3, 96, 48, false, 0}, /* 4 rows in groups of 3, twice */
        {32, 1, 1, 32, 4, false, 0},
    };
    check_streams(&coding, (struct stack_shape){2, 4, 9}, expected, 3);
}

/* Vectors: rows of ceil(n_cols / length) codes, then rows of ceil(n_cols / 8) sign codes. */
static void test_vectors(void **state)
{
    (void)state;
    struct ingot_coding coding = scalar(MAP_VECTOR, 9, INGOT_I8);
    coding.vector_length = 4;
    coding.n_entries = 512;
    coding.codebook_stream = 0;
    coding.signs = 7;
    static const struct expected expected[] = {
        {8, 3, 65, 520, 195, true, 1}, {1, 3, 65, 65, 25, true, 1}, /* 260 weights, 65 codes */
        {4, 3, 33, 132, 50, true, 1},  {2, 3, 33, 66, 25, true, 1}, {1, 3, 33, 33, 13, true, 1},
    };
    check_streams(&coding, (struct stack_shape){1, 3, 258}, expected, 5);
}

static void test_opaque(void **state)
{
    (void)state;
    struct ingot_coding coding = scalar(MAP_OPAQUE, 8, 0);
    const struct stack_shape stack = {2, 3, 65};
    struct stream_shape streams[CODING_MAX_STREAMS];
    uint32_t n = 0;
    assert_true(coding_streams(&coding, stack, streams, &n));
    assert_int_equal(n, 1);
    assert_true(streams[0].any_length);
    assert_false(streams[0].by_rows);
    coding.block_weights = 32;
    coding.block_bytes = 18;
    static const struct expected expected[] = {{8, 6, 54, 432, 324, true, 1}};
    check_streams(&coding, stack, expected, 1);
}

static void test_is_raw(void **state)
{
    (void)state;
    struct ingot_coding coding = scalar(MAP_FLOAT, 16, INGOT_BF16);
    assert_true(coding_is_raw(&coding));
    coding.slots[SLOT_POST].has_constant = true;
    assert_false(coding_is_raw(&coding));
    coding = scalar(MAP_UINT, 3, 0);
    assert_true(coding_is_raw(&coding));
    coding.slots[SLOT_ZERO].has_table = true;
    assert_false(coding_is_raw(&coding));
    coding = scalar(MAP_CODEBOOK, 4, INGOT_F16);
    assert_false(coding_is_raw(&coding));
    coding = scalar(MAP_OPAQUE, 8, 0);
    assert_false(coding_is_raw(&coding));
}

/* Three levels of tables are one too many. */
static void test_too_deep(void **state)
{
    (void)state;
    struct ingot_coding levels[4];
    for (uint32_t i = 0; i < 4; i++) {
        levels[i] = scalar(MAP_UINT, 8, 0);
        if (i == 0) continue;
        levels[i].slots[SLOT_SCALE] =
            (struct coding_slot){.has_table = true, .group = GROUP_TENSOR, .table = &levels[i - 1]};
    }
    struct stream_shape streams[CODING_MAX_STREAMS];
    uint32_t n = 0;
    assert_true(coding_streams(&levels[2], (struct stack_shape){1, 2, 2}, streams, &n));
    assert_int_equal(n, 3);
    assert_false(coding_streams(&levels[3], (struct stack_shape){1, 2, 2}, streams, &n));
    assert_true(coding_bytes(&levels[3], (struct stack_shape){1, 2, 2}) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plane_widths),  cmocka_unit_test(test_plane_shape),
        cmocka_unit_test(test_too_large),     cmocka_unit_test(test_grids),
        cmocka_unit_test(test_nested_tables), cmocka_unit_test(test_column_index),
        cmocka_unit_test(test_uneven_groups), cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_opaque),        cmocka_unit_test(test_is_raw),
        cmocka_unit_test(test_too_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

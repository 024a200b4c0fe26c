/* Every kernel of every level decodes to exactly the floats of the plain level, special values
 * included; and what a level has besides kernels equals the plain level's. */
#include "tests/support/unit.h"

#include "tests/runtime/codings.h"
#include "tests/runtime/levels.h"
#include "tests/runtime/made.h"

/* Those that override the plain one; a level's variants have the same kernels. */
static const char *const fast_levels[] = {"avx2", "neon"};
enum { N_FAST = sizeof fast_levels / sizeof *fast_levels };

/* The same bits, but that any NaN is as good as another. */
static void assert_same(const char *name, const float *found, const float *expected, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (isnan(found[i]) && isnan(expected[i])) continue;
        if (f32_bits(found[i]) == f32_bits(expected[i])) continue;
        fail_msg("%s: value %llu is %a and not %a", name, (unsigned long long)i, (double)found[i],
                 (double)expected[i]);
    }
}

/* Columns from `first` on, as the level's kernel and the plain one decode them; dst has exactly the
 * room that it is promised. */
static void check_decode(const struct cpu_level *level, const char *name,
                         const struct resident_dense *dense, uint64_t row, uint64_t first,
                         uint64_t n)
{
    const size_t room = (size_t)(n + CPU_VECTOR - 1) / CPU_VECTOR * CPU_VECTOR;
    float *found = calloc(room, sizeof *found);
    float *expected = calloc(room, sizeof *expected);
    assert_non_null(found);
    assert_non_null(expected);
    cpu_level_kernel(level, dense)->decode(dense, row, first, n, found);
    cpu_plain_kernel.decode(dense, row, first, n, expected);
    assert_same(name, found, expected, n);
    free(found);
    free(expected);
}

static void plain_decodes_as_the_formula_says(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        struct made m = {.random = {i}};
        struct resident_dense dense;
        made_dense(&m, &coding_cases[i].coding, 5, 301, &dense);
        for (uint64_t row = 0; row < 5; row++) {
            float found[304], expected[301];
            cpu_plain_kernel.decode(&dense, row, 0, 301, found);
            for (uint64_t c = 0; c < 301; c++) expected[c] = made_weight(&dense, row, c);
            assert_same(coding_cases[i].name, found, expected, 301);
        }
        made_release(&m);
    }
}

static void fast_kernels_decode_the_same(void **state)
{
    (void)state;
    static const uint64_t ranges[][2] = {{0, 301}, {0, 1},    {0, 8},   {8, 293},        {40, 7},
                                         {96, 64}, {120, 33}, {296, 5}, {300 / 8 * 8, 4}};
    for (uint32_t f = 0; f < N_FAST; f++) {
        const struct cpu_level *level = level_if_here(fast_levels[f]);
        if (level == NULL) continue;
        for (uint32_t i = 0; i < N_CODING_CASES; i++) {
            struct made m = {.random = {i}};
            struct resident_dense dense;
            made_dense(&m, &coding_cases[i].coding, 33, 301, &dense);
            for (uint64_t row = 0; row < 33; row += 4) {
                for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++) {
                    check_decode(level, coding_cases[i].name, &dense, row, ranges[k][0],
                                 ranges[k][1]);
                }
            }
            made_release(&m);
        }
    }
}

/* Which kernel a coding gets: a fast one that no longer fits would go unnoticed else. */
static void codings_find_their_kernels(void **state)
{
    (void)state;
    const struct cpu_level *level = cpu_level_find("avx2");
    if (level == NULL) skip();
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        struct made m = {.random = {i}};
        struct resident_dense dense;
        made_dense(&m, &coding_cases[i].coding, 3, 300, &dense);
        const char *name = cpu_level_kernel(level, &dense)->name;
        const char *expected = coding_cases[i].avx2 ? coding_cases[i].avx2 : "plain";
        if (strcmp(name, expected) != 0) {
            fail_msg("%s: kernel %s and not %s", coding_cases[i].name, name, expected);
        }
        made_release(&m);
    }
}

/* All codes of the 16-bit formats: zeros of both signs, subnormals, infinities and NaN. */
static void all_halves_decode_the_same(void **state)
{
    (void)state;
    static const ingot_dtype formats[] = {INGOT_F16, INGOT_BF16};
    for (uint32_t f = 0; f < 2 * N_FAST; f++) {
        const struct cpu_level *level = cpu_level_find(fast_levels[f / 2]);
        if (level == NULL) continue;
        const struct ingot_coding coding = {FLOAT(16, (uint8_t)formats[f % 2])};
        struct made m = {.random = {1}};
        struct resident_dense dense;
        made_dense(&m, &coding, 1, 65536, &dense);
        for (uint32_t code = 0; code < 65536; code++) made_put(&dense, 0, code, code);
        check_decode(level, "all halves", &dense, 0, 0, 65536);
        made_release(&m);
    }
}

/* Scales that are zero, subnormal, huge, infinite or NaN, and what they make of all codes. */
static void special_scales_decode_the_same(void **state)
{
    (void)state;
    static const float specials[] = {0.0f,     -0.0f,     0x1p-149f,       -0x1.8p-140f, 0x1p-126f,
                                     0x1p127f, -0x1p125f, 0x1.fffffep127f, INFINITY,     -INFINITY,
                                     NAN,      65504.0f,  0x1p-24f,        -1.0f,        0.1f};
    enum { N_SPECIALS = sizeof specials / sizeof *specials };
    static const struct ingot_coding codings[] = {
        {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 256)}},
        {UINT(8), .slots[SLOT_ZERO] = {CONSTANT(128)},
         .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 256)}},
        {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)},
         .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 256)}},
        {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(7)},
         .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 256)}},
    };
    for (uint32_t f = 0; f < 4 * N_FAST; f++) {
        const struct cpu_level *level = cpu_level_find(fast_levels[f / 4]);
        if (level == NULL) continue;
        struct made m = {.random = {1}};
        struct resident_dense dense;
        made_dense(&m, &codings[f % 4], 1, 256 * N_SPECIALS, &dense);
        for (uint32_t c = 0; c < dense.n_cols; c++) {
            made_put(&dense, 0, c, c & ((1u << dense.coding->bits) - 1));
        }
        struct resident_table *table = &dense.tables[SLOT_SCALE];
        for (uint32_t k = 0; k < N_SPECIALS; k++) {
            uint8_t *entries = (uint8_t *)(uintptr_t)table->data;
            if (table->format == INGOT_F16)
                store_u16(entries + 2 * k, f16_from_f32(specials[k]));
            else
                store_f32(entries + 4 * k, specials[k]);
        }
        check_decode(level, "special scales", &dense, 0, 0, dense.n_cols);
        made_release(&m);
    }
}

/* All bytes of a mask, and every length of the last one. */
static void masks_expand_the_same(void **state)
{
    (void)state;
    for (uint32_t f = 0; f < N_FAST; f++) {
        const struct cpu_level *level = cpu_level_find(fast_levels[f]);
        if (level == NULL) continue;
        uint8_t mask[256];
        float packed[8 * 256 + 8], found[8 * 256], expected[8 * 256];
        for (uint32_t i = 0; i < 256; i++) mask[i] = (uint8_t)(i * 167);
        for (uint32_t i = 0; i < 8 * 256 + 8; i++) packed[i] = (float)(i + 1);
        for (uint64_t n = 8 * 256; n > 8 * 256 - 20; n--) {
            level->expand(mask, n, packed, found);
            cpu_level_plain.expand(mask, n, packed, expected);
            assert_same("expand", found, expected, n);
        }
    }
}

/* Small integers, so that no order of the sums rounds. */
static void products_are_the_same(void **state)
{
    (void)state;
    enum { MAX_X = 8, MAX_COLS = 41 };
    for (uint32_t f = 0; f < N_FAST; f++) {
        const struct cpu_level *level = cpu_level_find(fast_levels[f]);
        if (level == NULL) continue;
        struct made m = {.random = {1}};
        float w[CPU_ROWS * MAX_COLS], x[MAX_X * MAX_COLS];
        for (uint32_t i = 0; i < CPU_ROWS * MAX_COLS; i++) w[i] = (float)(made_random(&m) % 17);
        for (uint32_t i = 0; i < MAX_X * MAX_COLS; i++) x[i] = (float)(made_random(&m) % 19);
        for (uint32_t k = 0; k < CPU_ROWS * MAX_X * MAX_COLS; k++) {
            float found[MAX_X * 9], expected[MAX_X * 9];
            for (uint32_t i = 0; i < MAX_X * 9; i++) found[i] = expected[i] = (float)i;
            struct cpu_product p = {.w = w,
                                    .w_stride = MAX_COLS,
                                    .n_rows = 1 + k % CPU_ROWS,
                                    .x = x,
                                    .x_stride = MAX_COLS,
                                    .n_x = 1 + k / CPU_ROWS % MAX_X,
                                    .n_cols = 1 + k / CPU_ROWS / MAX_X,
                                    .y = found,
                                    .y_stride = 9};
            level->multiply(&p);
            p.y = expected;
            cpu_level_plain.multiply(&p);
            assert_same("multiply", found, expected, MAX_X * 9);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_decodes_as_the_formula_says),
        cmocka_unit_test(fast_kernels_decode_the_same),
        cmocka_unit_test(codings_find_their_kernels),
        cmocka_unit_test(all_halves_decode_the_same),
        cmocka_unit_test(special_scales_decode_the_same),
        cmocka_unit_test(masks_expand_the_same),
        cmocka_unit_test(products_are_the_same),
    };
    return cmocka_run_group_tests_name("cpu kernels", tests, NULL, NULL);
}

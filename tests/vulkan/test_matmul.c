/* Vulkan matmul against a reference in double: every coding and side path that the backend takes,
 * odd shapes, sums of parts, several vectors; under the validation layer where it is installed,
 * with no message allowed. Bound: 2 K 2^-24 sum |w x|, with the ranks and parts of a sum added to
 * the columns K. */
#include "tests/vulkan/products.h"

enum { MAX_PARTS = 4 };

struct matmul_case {
    const char *name;
    uint64_t n_rows;
    uint64_t n_cols;
    struct made_part parts[MAX_PARTS]; /* up to the first without a map */
};

#define F32 FLOAT(32, INGOT_F32)
#define F16 FLOAT(16, INGOT_F16)
#define BF16 FLOAT(16, INGOT_BF16)
#define INT4 UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)}
#define SCALES(table, rows, cols) .slots[SLOT_SCALE] = {TABLE(table, rows, cols)}
#define DENSE(...)                                        \
    {                                                     \
        .kind = RESIDENT_DENSE, .coding = { __VA_ARGS__ } \
    }
#define SPARSE(n, ...)                                                \
    {                                                                 \
        .kind = RESIDENT_SPARSE, .kept = n, .coding = { __VA_ARGS__ } \
    }
#define LOWRANK(n, ...)                                                \
    {                                                                  \
        .kind = RESIDENT_LOWRANK, .rank = n, .coding = { __VA_ARGS__ } \
    }

static const struct matmul_case dense_cases[] = {
    {"f32, one weight", 1, 1, {DENSE(F32)}},
    {"f32, one row", 1, 33, {DENSE(F32)}},
    {"f32, many short rows", 70000, 3, {DENSE(F32)}},
    {"f16, one weight", 1, 1, {DENSE(F16)}},
    {"f16, one column", 301, 1, {DENSE(F16)}},
    {"f16", 65, 1001, {DENSE(F16)}},
    {"bf16, one row", 1, 3000, {DENSE(BF16)}},
    {"bf16", 37, 71, {DENSE(BF16)}},
    {"int8, one column, f32 scales", 20000, 1, {DENSE(INT(8), SCALES(table_f32, 1, 0))}},
    {"int8, no scale", 19, 100, {DENSE(INT(8))}},
    {"int8, groups of 32", 50, 263, {DENSE(INT(8), SCALES(table_f16, 1, 32))}},
    {"int8, row scales", 33, 1157, {DENSE(INT(8), SCALES(table_f32, 1, 0))}},
    {"int8, one scale", 21, 257, {DENSE(INT(8), SCALES(table_f16, 0, 0))}},
    {"uint8, constant scale",
     21,
     130,
     {DENSE(UINT(8), .slots[SLOT_ZERO] = {CONSTANT(128)},
            .slots[SLOT_SCALE] = {CONSTANT(0.037f)})}},
    {"int4, one weight, f32 scale", 1, 1, {DENSE(INT4, SCALES(table_f32, 1, 0))}},
    {"int4, two columns, f32 scale", 70, 2, {DENSE(INT4, SCALES(table_f32, 1, 0))}},
    {"int4, many short rows", 70000, 7, {DENSE(INT4, SCALES(table_f16, 1, 0))}},
    {"int4, groups of 96", 70, 1000, {DENSE(INT4, SCALES(table_f16, 1, 96))}},
    {"int4, groups of 128", 18, 2100, {DENSE(INT4, SCALES(table_f32, 1, 128))}},
    {"int4, row scales", 7, 95, {DENSE(INT4, SCALES(table_f16, 1, 0))}},
    {"int4, no scale, no zero", 9, 64, {DENSE(UINT(4))}},
    {"int4, two's complement", 13, 65, {DENSE(INT(4), SCALES(table_f32, 1, 0))}},
};

static const struct matmul_case side_cases[] = {
    {"sparse f16, long rows", 5, 3001, {SPARSE(3, F16)}},
    {"sparse bf16, one column", 70, 1, {SPARSE(4, BF16)}},
    {"sparse f16, nothing kept", 6, 40, {SPARSE(0, F16)}},
    {"sparse f32, everything kept", 6, 257, {SPARSE(8, F32)}},
    {"lowrank f32", 66, 45, {LOWRANK(1, F32)}},
    {"lowrank f16", 40, 130, {LOWRANK(16, F16)}},
    {"lowrank bf16", 35, 65, {LOWRANK(40, BF16)}},
    {"f32 + f32", 10, 50, {DENSE(F32), DENSE(F32)}},
    {"int8 + lowrank", 33, 257, {DENSE(INT(8), SCALES(table_f32, 1, 0)), LOWRANK(8, F16)}},
    {"sparse + lowrank", 20, 300, {SPARSE(2, BF16), LOWRANK(5, F32)}},
    {"lowrank of two ranks", 33, 45, {LOWRANK(40, F32), LOWRANK(3, F32)}},
};

/* One of each kernel, and all together: run with several vectors and under other limits too. */
static const struct matmul_case few_cases[] = {
    {"f32", 130, 701, {DENSE(F32)}},
    {"int4, groups of 32", 99, 331, {DENSE(INT4, SCALES(table_f16, 1, 32))}},
    {"sparse f32", 40, 300, {SPARSE(4, F32)}},
    {"int4 + outliers + lowrank",
     99,
     331,
     {DENSE(INT4, SCALES(table_f16, 1, 32)), SPARSE(1, F16), LOWRANK(16, BF16)}},
};

static uint32_t count_parts(const struct matmul_case *c)
{
    uint32_t n = 0;
    while (n < MAX_PARTS && c->parts[n].coding.map != 0) n++;
    return n;
}

static void check_case(struct vk_device *device, const struct matmul_case *c, uint64_t n)
{
    struct made made;
    made_matrix(&made, c->n_rows * 1000 + c->n_cols, c->n_rows, c->n_cols, c->parts,
                count_parts(c));
    check_matrix(device, c->name, &made, n);
}

static void check_cases(struct vk_device *device, const struct matmul_case *cases, size_t n_cases,
                        uint64_t n)
{
    for (size_t i = 0; i < n_cases; i++) check_case(device, &cases[i], n);
}

static void test_dense(void **state)
{
    struct fixture *const fixture = *state;
    check_cases(fixture->device, dense_cases, sizeof dense_cases / sizeof *dense_cases, 1);
}

static void test_side_paths(void **state)
{
    struct fixture *const fixture = *state;
    check_cases(fixture->device, side_cases, sizeof side_cases / sizeof *side_cases, 1);
}

static void test_several_vectors(void **state)
{
    struct fixture *const fixture = *state;
    check_cases(fixture->device, few_cases, sizeof few_cases / sizeof *few_cases, 1);
    check_cases(fixture->device, few_cases, sizeof few_cases / sizeof *few_cases, 3);
    check_case(fixture->device, &few_cases[0], 33);
}

static void test_empty(void **state)
{
    struct fixture *const fixture = *state;
    struct vk_matrix *uploaded = NULL;
    const struct resident_matrix none = {.n_rows = 3, .n_cols = 2};
    const float x[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    float y[6] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    assert_int_equal(ingot_vk_matrix_upload(fixture->device, &none, &uploaded, NULL), INGOT_OK);
    assert_int_equal(ingot_vk_matmul(fixture->device, uploaded, x, 2, y, NULL), INGOT_OK);
    for (size_t i = 0; i < 6; i++) assert_true(y[i] == 0.0f);
    assert_int_equal(ingot_vk_matmul(fixture->device, uploaded, x, 0, NULL, NULL), INGOT_OK);
    ingot_vk_matrix_release(fixture->device, uploaded);
}

/* The codes of f16 that a faster decoder might get wrong. */
static void test_special_codes(void **state)
{
    struct fixture *const fixture = *state;
    static const struct {
        uint16_t code;
        float value;
    } rows[] = {{0x0000, 0.0f},     {0x8000, 0.0f},     {0x0001, 0x1p-24f},  {0x83ff, -0x3ffp-24f},
                {0x0400, 0x1p-14f}, {0x7bff, 65504.0f}, {0xfc00, -INFINITY}, {0x7e00, NAN}};
    enum { N = sizeof rows / sizeof *rows };
    struct made made;
    struct vk_matrix *uploaded = NULL;
    const float x = 1.0f;
    float y[N];
    made_matrix(&made, 1, N, 1, (const struct made_part[]){DENSE(F16)}, 1);
    for (size_t r = 0; r < N; r++) store_u16((uint8_t *)made.buffers[0] + r * 2, rows[r].code);
    assert_int_equal(ingot_vk_matrix_upload(fixture->device, &made.matrix, &uploaded, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_vk_matmul(fixture->device, uploaded, &x, 1, y, NULL), INGOT_OK);
    for (size_t r = 0; r < N; r++) {
        assert_true(y[r] == rows[r].value || (isnan(y[r]) && isnan(rows[r].value)));
    }
    ingot_vk_matrix_release(fixture->device, uploaded);
    made_release(&made);
}

/* What one matmul leaves in the shared vectors must not reach the next, shorter one. */
static void test_nothing_leaks(void **state)
{
    struct fixture *const fixture = *state;
    struct made made;
    struct vk_matrix *uploaded = NULL;
    float x[45];
    float y[33];
    for (size_t i = 0; i < 45; i++) x[i] = NAN;
    made_matrix(&made, 1, 33, 45, (const struct made_part[]){LOWRANK(40, F32)}, 1);
    assert_int_equal(ingot_vk_matrix_upload(fixture->device, &made.matrix, &uploaded, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_vk_matmul(fixture->device, uploaded, x, 1, y, NULL), INGOT_OK);
    assert_true(isnan(y[0]));
    ingot_vk_matrix_release(fixture->device, uploaded);
    made_release(&made);

    const struct matmul_case after = {"after NaN", 33, 39, {LOWRANK(3, F32), DENSE(F32)}};
    check_case(fixture->device, &after, 1);
}

/* The same results when a matrix is cut into small pieces, uploads go through staging memory,
 * submissions are cut short and grids are small. */
static void test_small_limits(void **state)
{
    struct fixture *const fixture = *state;
    const struct vk_options options = {
        .slab_bytes = 8192, .submit_weights = 20000, .max_groups = 3, .stage_uploads = true};
    struct vk_device *const device = fixture_device(fixture, options);
    check_cases(device, few_cases, sizeof few_cases / sizeof *few_cases, 3);
    ingot_vk_device_close(device);
}

/* What stands in for a kernel that is wrong on a device is right, and takes the memory of f32 only
 * where no kernel is left. */
static void test_fallbacks(void **state)
{
    struct fixture *const fixture = *state;
    static const struct {
        const char *kernel;
        bool decodes;
    } wrong[] = {{"gemm_integer", false}, {"gemv_integer", true}};
    for (size_t i = 0; i < 2; i++) {
        const struct vk_options options = {
            .message = count_message, .context = &fixture->messages, .distrusted = wrong[i].kernel};
        const struct matmul_case *const c = &few_cases[1];
        struct vk_matrix *uploaded = NULL;
        struct made made;
        struct vk_device *const device = fixture_device(fixture, options);
        check_case(device, c, 1);
        check_case(device, c, 33);
        assert_non_null(device->trials);
        made_matrix(&made, 1, c->n_rows, c->n_cols, c->parts, 1);
        assert_int_equal(ingot_vk_matrix_upload(device, &made.matrix, &uploaded, NULL), INGOT_OK);
        assert_true((uploaded->resident_bytes > 3 * c->n_rows * c->n_cols) == wrong[i].decodes);
        ingot_vk_matrix_release(device, uploaded);
        made_release(&made);
        ingot_vk_device_close(device);
    }
    const struct vk_options nothing = {.distrusted = "gemv_f32"};
    const struct matmul_case *const c = &few_cases[0];
    struct vk_device *device = NULL;
    struct vk_matrix *uploaded = NULL;
    struct made made;
    ingot_error error = {0};
    assert_int_equal(ingot_vk_device_open(0, &nothing, NULL, &device, NULL), INGOT_OK);
    made_matrix(&made, 1, c->n_rows, c->n_cols, c->parts, 1);
    assert_int_equal(ingot_vk_matrix_upload(device, &made.matrix, &uploaded, &error), INGOT_DEVICE);
    assert_non_null(strstr(error.what, "gemv_f32"));
    made_release(&made);
    ingot_vk_device_close(device);
}

/* Both staging buffers are filled and reused. */
static void test_large_staged_upload(void **state)
{
    struct fixture *const fixture = *state;
    const struct vk_options options = {
        .message = count_message, .context = &fixture->messages, .stage_uploads = true};
    const struct matmul_case large = {"bf16, 26 MB", 1300, 10001, {DENSE(BF16)}};
    struct vk_device *const device = fixture_device(fixture, options);
    check_case(device, &large, 1);
    ingot_vk_device_close(device);
}

int main(void)
{
    struct fixture fixture;
    turn_synchronization_on();
    if (!fixture_open(&fixture)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_dense, &fixture),
        cmocka_unit_test_prestate(test_side_paths, &fixture),
        cmocka_unit_test_prestate(test_several_vectors, &fixture),
        cmocka_unit_test_prestate(test_empty, &fixture),
        cmocka_unit_test_prestate(test_special_codes, &fixture),
        cmocka_unit_test_prestate(test_nothing_leaks, &fixture),
        cmocka_unit_test_prestate(test_small_limits, &fixture),
        cmocka_unit_test_prestate(test_fallbacks, &fixture),
        cmocka_unit_test_prestate(test_large_staged_upload, &fixture),
        cmocka_unit_test_prestate(no_hazard_came, &fixture),
    };
    return fixture_close(&fixture, cmocka_run_group_tests_name("vulkan matmul", tests, NULL, NULL));
}

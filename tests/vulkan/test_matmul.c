/* Vulkan matmul against a reference in double: every coding and side path that the backend takes,
 * odd shapes, sums of parts, several vectors; under the validation layer where it is installed,
 * with no message allowed. Bound: 2 K 2^-24 sum |w x|, with the ranks and parts of a sum added to
 * the columns K. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/vulkan/layers.h"
#include "tests/vulkan/synthetic.h"
#include "vulkan/matrix.h"

enum { MAX_PARTS = 4 };

struct matmul_case {
    const char *name;
    uint64_t n_rows;
    uint64_t n_cols;
    struct made_part parts[MAX_PARTS]; /* up to the first without a map */
};

#define F32 .map = MAP_FLOAT, .bits = 32, .format = INGOT_F32
#define F16 .map = MAP_FLOAT, .bits = 16, .format = INGOT_F16
#define BF16 .map = MAP_FLOAT, .bits = 16, .format = INGOT_BF16
#define INT8 .map = MAP_INT, .bits = 8
#define UINT8 .map = MAP_UINT, .bits = 8, .zero = 128
#define INT4 .map = MAP_UINT, .bits = 4, .zero = 8
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
#define F16_SCALES .scale_format = INGOT_F16
#define F32_SCALES .scale_format = INGOT_F32

static const struct matmul_case dense_cases[] = {
    {"f32, one weight", 1, 1, {DENSE(F32)}},
    {"f32, one row", 1, 33, {DENSE(F32)}},
    {"f32, many short rows", 70000, 3, {DENSE(F32)}},
    {"f16, one weight", 1, 1, {DENSE(F16)}},
    {"f16, one column", 301, 1, {DENSE(F16)}},
    {"f16", 65, 1001, {DENSE(F16)}},
    {"bf16, one row", 1, 3000, {DENSE(BF16)}},
    {"bf16", 37, 71, {DENSE(BF16)}},
    {"int8, one column, f32 scales", 20000, 1, {DENSE(INT8, F32_SCALES)}},
    {"int8, no scale", 19, 100, {DENSE(INT8)}},
    {"int8, groups of 32", 50, 263, {DENSE(INT8, F16_SCALES, .group_cols = 32)}},
    {"int8, row scales", 33, 1157, {DENSE(INT8, F32_SCALES)}},
    {"int8, one scale", 21, 257, {DENSE(INT8, F16_SCALES, .group_cols = UINT32_MAX)}},
    {"uint8, constant scale", 21, 130, {DENSE(UINT8, .scale = 0.037f)}},
    {"int4, one weight, f32 scale", 1, 1, {DENSE(INT4, F32_SCALES)}},
    {"int4, two columns, f32 scale", 70, 2, {DENSE(INT4, F32_SCALES)}},
    {"int4, many short rows", 70000, 7, {DENSE(INT4, F16_SCALES)}},
    {"int4, groups of 96", 70, 1000, {DENSE(INT4, F16_SCALES, .group_cols = 96)}},
    {"int4, groups of 128", 18, 2100, {DENSE(INT4, F32_SCALES, .group_cols = 128)}},
    {"int4, row scales", 7, 95, {DENSE(INT4, F16_SCALES)}},
    {"int4, no scale, no zero", 9, 64, {DENSE(.map = MAP_UINT, .bits = 4)}},
    {"int4, two's complement", 13, 65, {DENSE(.map = MAP_INT, .bits = 4, F32_SCALES)}},
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
    {"int8 + lowrank", 33, 257, {DENSE(INT8, F32_SCALES), LOWRANK(8, F16)}},
    {"sparse + lowrank", 20, 300, {SPARSE(2, BF16), LOWRANK(5, F32)}},
    {"lowrank of two ranks", 33, 45, {LOWRANK(40, F32), LOWRANK(3, F32)}},
};

/* One of each kernel, and all together: run with several vectors and under other limits too. */
static const struct matmul_case few_cases[] = {
    {"f32", 130, 701, {DENSE(F32)}},
    {"int4, groups of 32", 99, 331, {DENSE(INT4, F16_SCALES, .group_cols = 32)}},
    {"sparse f32", 40, 300, {SPARSE(4, F32)}},
    {"int4 + outliers + lowrank",
     99,
     331,
     {DENSE(INT4, F16_SCALES, .group_cols = 32), SPARSE(1, F16), LOWRANK(16, BF16)}},
};

/* The device that all tests share. */
struct fixture {
    struct vk_device *device;
    struct messages messages;
    bool validated;
};

static uint32_t count_parts(const struct matmul_case *c)
{
    uint32_t n = 0;
    while (n < MAX_PARTS && c->parts[n].coding.map != 0) n++;
    return n;
}

static float *random_vectors(uint64_t seed, uint64_t n)
{
    float *const x = calloc(n + 1, sizeof *x);
    assert_non_null(x);
    for (uint64_t i = 0; i < n; i++) x[i] = random_unit(&seed);
    return x;
}

/* The part of the bound that is allowed. The bound grows with the columns, while the roundings on
 * the way of one weight grow with its lane's share of them; for long rows the whole bound would
 * hide a lost weight. */
static double allowed_part(const struct resident_matrix *matrix)
{
    return matrix->n_cols < 256 ? 1.0 : 0.02;
}

/* The largest error of one vector's results as a part of the bound; NaN when a result is NaN. */
static double worst_error(const struct resident_matrix *matrix, const float *x, const float *y)
{
    struct exact *const exact = calloc(matrix->n_rows, sizeof *exact);
    assert_non_null(exact);
    multiply_exactly(matrix, x, exact);
    const double terms = bound_terms(matrix);
    double worst = 0.0;
    for (uint64_t r = 0; r < matrix->n_rows; r++) {
        const double bound = 2.0 * terms * 0x1p-24 * exact[r].magnitude;
        const double error = fabs((double)y[r] - exact[r].sum);
        const double part = error <= bound && bound == 0.0 ? 0.0 : error / bound;
        if (!(part <= worst)) worst = part;
    }
    free(exact);
    return worst;
}

/* Uploads, multiplies n vectors twice, and compares with the reference and with itself. */
static void check_matrix(struct vk_device *device, const char *name,
                         const struct resident_matrix *matrix, uint64_t n)
{
    struct vk_matrix *uploaded = NULL;
    ingot_error error = {0};
    const uint64_t n_results = n * matrix->n_rows;
    float *const x = random_vectors(7, n * matrix->n_cols);
    float *const y = random_vectors(8, n_results + 1);
    float *const again = random_vectors(9, n_results);
    const float behind = y[n_results];

    if (ingot_vk_matrix_upload(device, matrix, &uploaded, &error) != INGOT_OK) {
        fail_msg("%s: upload: %s: %s", name, error.field, error.what);
    }
    if (ingot_vk_matmul(device, uploaded, x, n, y, &error) != INGOT_OK ||
        ingot_vk_matmul(device, uploaded, x, n, again, &error) != INGOT_OK) {
        fail_msg("%s: matmul: %s: %s", name, error.field, error.what);
    }
    ingot_vk_matrix_release(device, uploaded);
    for (uint64_t i = 0; i < n; i++) {
        const double worst = worst_error(matrix, x + i * matrix->n_cols, y + i * matrix->n_rows);
        if (!(worst <= allowed_part(matrix))) fail_msg("%s: %g of the bound", name, worst);
    }
    if (memcmp(y, again, n_results * sizeof *y) != 0) fail_msg("%s: not repeatable", name);
    if (f32_bits(y[n_results]) != f32_bits(behind)) fail_msg("%s: wrote behind y", name);
    free(again);
    free(y);
    free(x);
}

static void check_case(struct vk_device *device, const struct matmul_case *c, uint64_t n)
{
    struct synthetic made;
    make_matrix(&made, c->n_rows * 1000 + c->n_cols, c->n_rows, c->n_cols, c->parts,
                count_parts(c));
    check_matrix(device, c->name, &made.matrix, n);
    synthetic_release(&made);
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
    struct synthetic made;
    struct vk_matrix *uploaded = NULL;
    const float x = 1.0f;
    float y[N];
    make_matrix(&made, 1, N, 1, (const struct made_part[]){DENSE(F16)}, 1);
    for (size_t r = 0; r < N; r++) store_u16((uint8_t *)made.buffers[0] + r * 2, rows[r].code);
    assert_int_equal(ingot_vk_matrix_upload(fixture->device, &made.matrix, &uploaded, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_vk_matmul(fixture->device, uploaded, &x, 1, y, NULL), INGOT_OK);
    for (size_t r = 0; r < N; r++) {
        assert_true(y[r] == rows[r].value || (isnan(y[r]) && isnan(rows[r].value)));
    }
    ingot_vk_matrix_release(fixture->device, uploaded);
    synthetic_release(&made);
}

/* What one matmul leaves in the shared vectors must not reach the next, shorter one. */
static void test_nothing_leaks(void **state)
{
    struct fixture *const fixture = *state;
    struct synthetic made;
    struct vk_matrix *uploaded = NULL;
    float x[45];
    float y[33];
    for (size_t i = 0; i < 45; i++) x[i] = NAN;
    make_matrix(&made, 1, 33, 45, (const struct made_part[]){LOWRANK(40, F32)}, 1);
    assert_int_equal(ingot_vk_matrix_upload(fixture->device, &made.matrix, &uploaded, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_vk_matmul(fixture->device, uploaded, x, 1, y, NULL), INGOT_OK);
    assert_true(isnan(y[0]));
    ingot_vk_matrix_release(fixture->device, uploaded);
    synthetic_release(&made);

    const struct matmul_case after = {"after NaN", 33, 39, {LOWRANK(3, F32), DENSE(F32)}};
    check_case(fixture->device, &after, 1);
}

/* The same results when a matrix is cut into small pieces, uploads go through staging memory,
 * submissions are cut short and grids are small. */
static void test_small_limits(void **state)
{
    struct fixture *const fixture = *state;
    struct vk_device *device = NULL;
    const struct vk_options options = {.message = count_message,
                                       .context = &fixture->messages,
                                       .slab_bytes = 8192,
                                       .submit_weights = 20000,
                                       .max_groups = 3,
                                       .stage_uploads = true};
    assert_int_equal(ingot_vk_device_open(0, &options, NULL, &device, NULL), INGOT_OK);
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
        struct vk_device *device = NULL;
        struct vk_matrix *uploaded = NULL;
        struct synthetic made;
        assert_int_equal(ingot_vk_device_open(0, &options, NULL, &device, NULL), INGOT_OK);
        check_case(device, c, 1);
        check_case(device, c, 33);
        assert_non_null(device->trials);
        make_matrix(&made, 1, c->n_rows, c->n_cols, c->parts, 1);
        assert_int_equal(ingot_vk_matrix_upload(device, &made.matrix, &uploaded, NULL), INGOT_OK);
        assert_true((uploaded->resident_bytes > 3 * c->n_rows * c->n_cols) == wrong[i].decodes);
        ingot_vk_matrix_release(device, uploaded);
        synthetic_release(&made);
        ingot_vk_device_close(device);
    }
    const struct vk_options nothing = {.distrusted = "gemv_f32"};
    const struct matmul_case *const c = &few_cases[0];
    struct vk_device *device = NULL;
    struct vk_matrix *uploaded = NULL;
    struct synthetic made;
    ingot_error error = {0};
    assert_int_equal(ingot_vk_device_open(0, &nothing, NULL, &device, NULL), INGOT_OK);
    make_matrix(&made, 1, c->n_rows, c->n_cols, c->parts, 1);
    assert_int_equal(ingot_vk_matrix_upload(device, &made.matrix, &uploaded, &error), INGOT_DEVICE);
    assert_non_null(strstr(error.what, "gemv_f32"));
    synthetic_release(&made);
    ingot_vk_device_close(device);
}

/* Both staging buffers are filled and reused. */
static void test_large_staged_upload(void **state)
{
    struct fixture *const fixture = *state;
    struct vk_device *device = NULL;
    const struct vk_options options = {
        .message = count_message, .context = &fixture->messages, .stage_uploads = true};
    const struct matmul_case large = {"bf16, 26 MB", 1300, 10001, {DENSE(BF16)}};
    assert_int_equal(ingot_vk_device_open(0, &options, NULL, &device, NULL), INGOT_OK);
    check_case(device, &large, 1);
    ingot_vk_device_close(device);
}

/* Last, because it judges all that came before. */
static void test_validation(void **state)
{
    struct fixture *const fixture = *state;
    if (!fixture->validated) skip();
    assert_int_equal(fixture->messages.n, 0);
    assert_true(provoke_message(fixture->device, &fixture->messages) > 0);
}

int main(void)
{
    struct fixture fixture = {.validated = turn_validation_on()};
    const struct vk_options options = {.message = count_message, .context = &fixture.messages};
    ingot_error error = {0};
    if (ingot_vk_device_open(0, &options, NULL, &fixture.device, &error) != INGOT_OK) {
        printf("skipped: no Vulkan device: %s\n", error.what);
        return 77;
    }
    printf("device: %s (%s)\n", fixture.device->info.name, fixture.device->info.driver);
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
        cmocka_unit_test_prestate(test_validation, &fixture),
    };
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    ingot_vk_device_close(fixture.device);
    if (fixture.messages.n > 0) printf("%u Vulkan messages\n", fixture.messages.n);
    return n_failed != 0 || fixture.messages.n != 0;
}

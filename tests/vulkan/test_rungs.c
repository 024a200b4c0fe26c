/* Every rung above f32 that a device has, taken whether it is fast at it or not: every coding,
 * through each kernel that a number of vectors chooses, against a reference in double and under the
 * validation layer, with no message allowed. The bounds are those of rung_bound.h. */
#include "tests/support/unit.h"

#include "tests/vulkan/layers.h"
#include "tests/vulkan/rung_bound.h"
#include "vulkan/product.h"
#include "vulkan/trial.h"

#include "tests/runtime/codings.h"

struct fixture {
    struct vk_device *device;
    enum vk_rung rung;
    struct messages messages;
    bool validated;
};

struct shape {
    uint64_t n_rows, n_cols, n;
};

/* Rows that fill no workgroup and columns that fill no step. */
static const struct shape shapes[] = {
    {37, 1129, 1}, {9, 203, 3}, {70, 519, 7}, {70, 2081, 41}, {150, 263, 70}};

static void check_rows(const char *name, const struct made *m, enum vk_rung rung, const float *x,
                       uint64_t n, const float *y)
{
    double worst;
    const uint64_t wrong = rung_bound_count_wrong(&m->matrix, rung, x, n, y, &worst);
    if (wrong > 0) {
        fail_msg("%s, %llu x %llu, n = %llu: %llu results are wrong, by %.3g of the bound", name,
                 (unsigned long long)m->matrix.n_rows, (unsigned long long)m->matrix.n_cols,
                 (unsigned long long)n, (unsigned long long)wrong, worst);
    }
}

/* Whether all dense passes of a matrix are multiplied by the rung. */
static bool takes_rung(const struct fixture *fixture, const struct vk_matrix *matrix, uint64_t n)
{
    const uint32_t rungs = matrix->rungs & fixture->device->ladder.takes;
    for (const struct vk_pass *pass = matrix->passes; pass; pass = pass->next) {
        struct vk_product product;
        if (pass->kind != PASS_PRODUCT) continue;
        ingot_vk_product_choose(fixture->device, pass, rungs, n, &product);
        if (product.variant / N_SHAPES != (uint32_t)fixture->rung) return false;
    }
    return true;
}

/* Returns whether the rung was taken. */
static bool check_coding(struct fixture *fixture, const struct coding_case *c, struct shape shape,
                         uint64_t seed)
{
    struct made m = {.random = {seed}};
    struct vk_matrix *uploaded = NULL;
    ingot_error error = {.what = ""};
    m.matrix = (struct resident_matrix){.n_rows = shape.n_rows,
                                        .n_cols = shape.n_cols,
                                        .activations = INGOT_ACTIVATIONS_I8,
                                        .n_parts = 1};
    made_dense(&m, &c->coding, shape.n_rows, shape.n_cols, &m.matrix.parts[0].dense);
    float *x = made_buffer(&m, shape.n * shape.n_cols * sizeof *x);
    float *y = made_buffer(&m, shape.n * shape.n_rows * sizeof *y);
    float *again = made_buffer(&m, shape.n * shape.n_rows * sizeof *again);
    for (uint64_t i = 0; i < shape.n * shape.n_cols; i++) {
        /* Vectors of very different sizes. */
        x[i] = ldexpf(made_unit(&m), (int)(i / shape.n_cols % 5) * 9 - 16);
    }
    if (ingot_vk_matrix_upload(fixture->device, &m.matrix, &uploaded, &error) != INGOT_OK ||
        ingot_vk_matmul(fixture->device, uploaded, x, shape.n, y, &error) != INGOT_OK ||
        ingot_vk_matmul(fixture->device, uploaded, x, shape.n, again, &error) != INGOT_OK) {
        fail_msg("%s: %s: %s", c->name, error.field, error.what);
    }
    const bool taken = takes_rung(fixture, uploaded, shape.n);
    ingot_vk_matrix_release(fixture->device, uploaded);
    check_rows(c->name, &m, taken ? fixture->rung : RUNG_F32, x, shape.n, y);
    if (memcmp(y, again, shape.n * shape.n_rows * sizeof *y) != 0) {
        fail_msg("%s: not repeatable", c->name);
    }
    made_release(&m);
    return taken;
}

static void every_coding_meets_its_bound(void **state)
{
    struct fixture *const fixture = *state;
    uint32_t n_taken = 0;
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        /* Compiling takes most of the time: each coding goes one of the ways, and some go two. */
        const bool is_matrix = fixture->rung == RUNG_MATRIX;
        const uint32_t few = i % 3, many = 3 + i % 2;
        if (!is_matrix) n_taken += check_coding(fixture, &coding_cases[i], shapes[few], i);
        if (!is_matrix && i % 8 != 0) continue;
        n_taken += check_coding(fixture, &coding_cases[i], shapes[many], i);
    }
    printf("note: rung %d: %u products\n", (int)fixture->rung, n_taken);
    assert_true(n_taken > 20);
}

/* No kernel was found wrong on its first use, which would hide it behind another. */
static void no_kernel_was_wrong(void **state)
{
    struct fixture *const fixture = *state;
    for (const struct vk_trial *trial = fixture->device->trials; trial; trial = trial->next) {
        for (uint32_t v = 0; v < N_VARIANTS; v++) {
            if (trial->wrong[v]) fail_msg("%s: variant %u is wrong", trial->map, v);
        }
    }
}

/* What x may be rounded to decides which rungs are taken. */
static void activations_choose(void **state)
{
    struct fixture *const fixture = *state;
    static const struct {
        ingot_activations activations;
        uint32_t rungs;
    } choices[] = {
        {INGOT_ACTIVATIONS_F32, 1u << RUNG_F32},
        {INGOT_ACTIVATIONS_BF16, 1u << RUNG_F32 | 1u << RUNG_HALF | 1u << RUNG_MATRIX},
    };
    for (uint32_t i = 0; i < 2; i++) {
        struct made m = {.random = {i}};
        struct vk_matrix *uploaded = NULL;
        m.matrix = (struct resident_matrix){
            .n_rows = 40, .n_cols = 96, .activations = choices[i].activations, .n_parts = 1};
        made_dense(&m, &coding_cases[0].coding, 40, 96, &m.matrix.parts[0].dense);
        assert_int_equal(ingot_vk_matrix_upload(fixture->device, &m.matrix, &uploaded, NULL),
                         INGOT_OK);
        assert_int_equal(uploaded->rungs, choices[i].rungs);
        ingot_vk_matrix_release(fixture->device, uploaded);
        made_release(&m);
    }
}

static void no_message_came(void **state)
{
    struct fixture *const fixture = *state;
    if (!fixture->validated) skip();
    assert_int_equal(fixture->messages.n, 0);
    assert_true(provoke_message(fixture->device, &fixture->messages) > 0);
    assert_true(provoke_hazard(fixture->device, &fixture->messages) > 0);
}

/* 77 when the device lacks the rung. */
static int test_rung(enum vk_rung rung, bool validated)
{
    struct fixture fixture = {.rung = rung, .validated = validated};
    const struct vk_options options = {
        .message = count_message, .context = &fixture.messages, .rungs = 1u << rung};
    ingot_error error = {0};
    if (ingot_vk_device_open(0, &options, NULL, &fixture.device, &error) != INGOT_OK) {
        printf("skipped: no Vulkan device: %s\n", error.what);
        return 77;
    }
    if (!(fixture.device->ladder.takes >> rung & 1)) {
        printf("note: skipped: %s has no rung %d\n", fixture.device->info.name, (int)rung);
        ingot_vk_device_close(fixture.device);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_coding_meets_its_bound, &fixture),
        cmocka_unit_test_prestate(no_kernel_was_wrong, &fixture),
        cmocka_unit_test_prestate(activations_choose, &fixture),
        cmocka_unit_test_prestate(no_message_came, &fixture),
    };
    const int n_failed = cmocka_run_group_tests_name("vulkan rung", tests, NULL, NULL);
    ingot_vk_device_close(fixture.device);
    return n_failed != 0 || fixture.messages.n != 0;
}

/* Tests all rungs, or the one that is named: a device without it fails then. */
int main(int argc, char **argv)
{
    /* Newer layers complain of the older variable. */
    if (!getenv("VK_LAYER_VALIDATE_SYNC")) turn_synchronization_on();
    const bool validated = turn_validation_on();
    int n_tested = 0, n_failed = 0;
    if (argc == 2) return test_rung((enum vk_rung)atoi(argv[1]), validated);
    for (enum vk_rung rung = RUNG_F32 + 1; rung < N_RUNGS; rung++) {
        const int result = test_rung(rung, validated);
        n_tested += result != 77;
        n_failed += result != 77 && result != 0;
    }
    if (n_tested == 0) return 77;
    return n_failed != 0;
}

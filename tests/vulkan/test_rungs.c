/* Every rung above f32 that a device has, taken whether it is fast at it or not: every coding,
 * through each kernel that a number of vectors chooses, against a reference in double and under the
 * validation layer, with no message allowed. The bounds are those of rung_bound.h. */
#include "tests/support/unit.h"

#include "tests/vulkan/layers.h"
#include "tests/vulkan/rung_checks.h"

struct fixture {
    struct vk_device *device;
    enum vk_rung rung;
    struct messages messages;
    bool validated;
};

static void every_coding_meets_its_bound(void **state)
{
    struct fixture *const fixture = *state;
    check_rung_codings(fixture->device, fixture->rung);
}

static void no_kernel_was_wrong(void **state)
{
    struct fixture *const fixture = *state;
    check_trials(fixture->device);
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

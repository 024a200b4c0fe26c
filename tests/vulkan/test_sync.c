/* Products and decoding under synchronization validation, by kernels whose accesses it sees: those
 * of tests/vulkan/descriptors.h. Every such kernel is run, right results and no message are asked
 * for, and a barrier that is left out has to be reported. */
#include "tests/vulkan/coding_checks.h"
#include "tests/vulkan/descriptors.h"

static bool is_used[MAX_KERNELS]; /* by the device of any rung */

/* The device and the rung that is tested. */
struct rung_fixture {
    struct fixture base;
    enum vk_rung rung;
};

/* One vector, a few, and so many that products are split into slices. */
static const struct shape shapes[] = {{37, 1129, 1}, {9, 203, 5}, {70, 1081, 41}};

static const struct made_part parts[] = {
    {.coding = {UINT(4), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {.kind = RESIDENT_SPARSE, .kept = 1, .coding = {FLOAT(16, INGOT_F16)}},
    {.kind = RESIDENT_LOWRANK, .rank = 16, .coding = {FLOAT(16, INGOT_BF16)}},
};

static void every_coding_meets_its_bound(void **state)
{
    struct rung_fixture *const fixture = *state;
    check_rung_codings(fixture->base.device, fixture->rung);
}

/* Each map with few vectors and with many; kept values under a mask and as a list. */
static void every_map_meets_the_bound(void **state)
{
    static const char *const names[] = {"f32",           "f16",
                                        "bf16",          "int8, groups of 32",
                                        "codebook of 5", "256 vectors of 4 and 8 signs"};
    struct rung_fixture *const fixture = *state;
    struct vk_device *const device = fixture->base.device;
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct coding_case *c = coding_cases;
        while (strcmp(c->name, names[i]) != 0) c++;
        (void)check_rung(device, fixture->rung, c, &shapes[0], i);
        (void)check_rung(device, fixture->rung, c, &shapes[2], i);
        if (fixture->rung != RUNG_F32) continue;
        check_kept(device, c, &shapes[0], i, false);
        check_kept(device, c, &shapes[2], i, false);
        check_kept(device, c, &shapes[i % 3], i, true);
        (void)check_decoded(device, c, i);
    }
}

static void parts_meet_the_bound(void **state)
{
    struct rung_fixture *const fixture = *state;
    for (uint32_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct made m;
        made_matrix(&m, i, shapes[i].n_rows, shapes[i].n_cols, parts, 3);
        check_matrix(fixture->base.device, "parts", &m, shapes[i].n);
    }
}

/* Factors of rows, powers of two, against weights that have them. */
static void row_factors_meet_the_bound(void **state)
{
    struct rung_fixture *const fixture = *state;
    const struct made_part f32 = {.coding = {FLOAT(32, INGOT_F32)}};
    const struct shape *const shape = &shapes[1];
    struct made m;
    made_matrix(&m, 1, shape->n_rows, shape->n_cols, &f32, 1);
    struct resident_matrix exact = m.matrix;
    const struct resident_plane *const plane = &m.matrix.parts[0].dense.planes[0];
    const uint64_t n_floats = plane->row_bytes / sizeof(float);
    float *const weights = made_buffer(&m, shape->n_rows * plane->row_bytes);
    float *const factors = made_buffer(&m, shape->n_rows * sizeof *factors);
    memcpy(weights, plane->data, shape->n_rows * plane->row_bytes);
    for (uint64_t r = 0; r < shape->n_rows; r++) {
        factors[r] = ldexpf(1.0f, (int)(r % 5));
        for (uint64_t c = 0; c < n_floats; c++) weights[r * n_floats + c] *= factors[r];
    }
    exact.parts[0].dense.planes[0].data = (uint8_t *)weights;
    m.matrix.parts[0].row_factors = factors;
    check_against(fixture->base.device, "row factors", &m, &exact, shape->n);
    made_release(&m);
}

static void no_kernel_was_wrong(void **state)
{
    struct rung_fixture *const fixture = *state;
    check_trials(fixture->base.device);
    assert_int_equal(descriptors.result, VK_SUCCESS);
}

/* Messages about a product of which barrier `left_out` is not recorded. */
static uint32_t count_hazards(struct rung_fixture *fixture, const struct vk_matrix *matrix,
                              const float *x, uint64_t n, float *y, uint32_t left_out)
{
    struct messages *const messages = &fixture->base.messages;
    const uint32_t n_before = messages->n;
    descriptors.n_barriers = 0;
    descriptors.left_out = left_out;
    messages->quiet = true;
    assert_int_equal(ingot_vk_matmul(fixture->base.device, matrix, x, n, y, NULL), INGOT_OK);
    messages->quiet = false;
    descriptors.left_out = 0;
    const uint32_t n_provoked = messages->n - n_before;
    messages->n = n_before;
    return n_provoked;
}

/* Of the barriers of a product split into slices the first stands behind earlier submissions, and
 * the last before the host: each of the others is between two commands that need it, but for one
 * before an input is rounded, which stands behind that of the copy. */
static void missing_barriers_are_reported(void **state)
{
    struct rung_fixture *const fixture = *state;
    struct vk_matrix *uploaded = NULL;
    const struct shape *const shape = &shapes[2];
    struct made m;
    if (!fixture->base.validated) skip();
    made_matrix(&m, 1, shape->n_rows, shape->n_cols, parts, 1);
    m.matrix.activations = INGOT_ACTIVATIONS_I8;
    float *const x = made_x(&m, shape->n);
    float *const y = made_buffer(&m, shape->n * shape->n_rows * sizeof *y);
    assert_int_equal(ingot_vk_matrix_upload(fixture->base.device, &m.matrix, &uploaded, NULL),
                     INGOT_OK);
    /* Trials come before the first. */
    (void)count_hazards(fixture, uploaded, x, shape->n, y, 0);
    assert_int_equal(count_hazards(fixture, uploaded, x, shape->n, y, 0), 0);
    const uint32_t n_barriers = descriptors.n_barriers;
    const bool rounds = fixture->rung != RUNG_F32;
    assert_int_equal(n_barriers, rounds ? 7 : 5);
    for (uint32_t i = rounds ? 4 : 2; i < n_barriers; i++) {
        if (count_hazards(fixture, uploaded, x, shape->n, y, i) == 0) {
            fail_msg("barrier %u of %u is left out, and nothing is reported", i, n_barriers);
        }
    }
    ingot_vk_matrix_release(fixture->base.device, uploaded);
    free(x);
    made_release(&m);
}

static void no_message_came_of_it(void **state)
{
    struct rung_fixture *const fixture = *state;
    void *base = &fixture->base;
    no_hazard_came(&base);
}

/* 77 when the device lacks the rung. */
static int test_rung(enum vk_rung rung, bool validated)
{
    struct rung_fixture fixture = {.base.validated = validated, .rung = rung};
    struct vk_device *const device =
        fixture_device(&fixture.base, (struct vk_options){.rungs = 1u << rung});
    const VkResult result = descriptors_open(device);
    fixture.base.device = device;
    if (result != VK_SUCCESS) {
        printf("descriptors: %s\n", ingot_vk_result_name(result));
        return 1;
    }
    if (!(device->ladder.takes >> rung & 1)) {
        printf("note: skipped: %s has no rung %d\n", device->info.name, (int)rung);
        descriptors_close();
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_coding_meets_its_bound, &fixture),
        cmocka_unit_test_prestate(every_map_meets_the_bound, &fixture),
        cmocka_unit_test_prestate(parts_meet_the_bound, &fixture),
        cmocka_unit_test_prestate(row_factors_meet_the_bound, &fixture),
        cmocka_unit_test_prestate(no_kernel_was_wrong, &fixture),
        cmocka_unit_test_prestate(missing_barriers_are_reported, &fixture),
        cmocka_unit_test_prestate(no_message_came_of_it, &fixture),
    };
    const int n_failed = cmocka_run_group_tests_name("vulkan sync", tests, NULL, NULL);
    for (uint32_t i = 0; i < n_descriptor_shaders; i++) is_used[i] |= descriptors.is_used[i];
    descriptors_close();
    return n_failed != 0 || fixture.base.messages.n != 0;
}

int main(void)
{
    struct fixture probe;
    int n_failed = 0, n_skipped = 0;
    turn_synchronization_on();
    if (!fixture_open(&probe)) return 77;
    n_failed += fixture_close(&probe, 0);
    if (!probe.validated) return 77;
    for (enum vk_rung rung = RUNG_F32; rung < RUNG_MATRIX; rung++) {
        const int result = test_rung(rung, probe.validated);
        n_skipped += result == 77;
        n_failed += result != 77 && result != 0;
    }
    for (uint32_t i = 0; n_skipped == 0 && i < n_descriptor_shaders; i++) {
        if (is_used[i]) continue;
        printf("kernel %s was not run\n", descriptor_shaders[i].name);
        n_failed++;
    }
    return n_failed != 0;
}

/* Every coding that the CPU runtime's tests have, on a Vulkan device, through each of the kernels
 * that a number of vectors chooses: against a reference in double, under the validation layer
 * where it is installed, with no message allowed. Bound: 2 K 2^-24 sum |w x|. */
#include "tests/vulkan/coding_checks.h"
#include "vulkan/trial.h"

/* Rows that fill no workgroup and columns that fill no step; one vector, and in turns a few and so
 * many that products are split into slices. */
static const struct shape shapes[] = {{37, 1129, 1}, {9, 203, 5}, {70, 2081, 41}};

static void every_coding_meets_the_bound(void **state)
{
    struct fixture *const fixture = *state;
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        const struct shape both[] = {shapes[0], shapes[1 + i % 2]};
        for (uint32_t k = 0; k < 2; k++) {
            struct made m;
            made_begin(&m, i * 100 + k, both[k].n_rows, both[k].n_cols);
            made_add(&m, &(struct made_part){.coding = coding_cases[i].coding});
            check_matrix(fixture->device, coding_cases[i].name, &m, both[k].n);
        }
    }
}

/* Kept values of each kind of map, with and without tables, under a mask and as a list. */
static void kept_values_meet_the_bound(void **state)
{
    static const char *const names[] = {"f32",
                                        "f16",
                                        "bf16",
                                        "int8, groups of 32",
                                        "uint3 in groups of 16",
                                        "int4, scales and offsets",
                                        "codebook of 5",
                                        "f4_e2m1 of two levels",
                                        "uint6 of two levels",
                                        "column factors",
                                        "everything",
                                        "256 vectors of 4 and 8 signs"};
    struct fixture *const fixture = *state;
    for (uint32_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        const struct coding_case *c = coding_cases;
        while (strcmp(c->name, names[i / 2]) != 0) c++;
        check_kept(fixture->device, c, &shapes[i % 3], i, i % 2 == 1);
    }
}

/* Where the kernel of kept values is wrong on a device, they are decoded and go through that of
 * f32; where that is wrong too, there is none. */
static void kept_values_fall_back(void **state)
{
    static const struct {
        bool is_list;
        const char *coding, *kernel;
        bool is_last;
    } wrong[] = {
        {false, "int8, groups of 32", "gemv_sparse_integer", false},
        {false, "f32", "gemv_sparse_f32", true},
        {true, "f16", "list_f16", false},
        {true, "f32", "list_f32", true},
    };
    struct fixture *const fixture = *state;
    for (uint32_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct vk_options options = {
            .message = count_message, .context = &fixture->messages, .distrusted = wrong[i].kernel};
        const struct coding_case *c = coding_cases;
        struct vk_device *device = NULL;
        struct vk_matrix *uploaded = NULL;
        struct made m;
        ingot_error error = {.what = ""};
        while (strcmp(c->name, wrong[i].coding) != 0) c++;
        assert_int_equal(ingot_vk_device_open(0, &options, NULL, &device, NULL), INGOT_OK);
        made_begin(&m, i, 70, 519);
        make_kept(&m, &c->coding, wrong[i].is_list);
        struct resident_matrix exact = {.n_rows = 70, .n_cols = 519, .n_parts = 1};
        exact.parts[0].dense = m.matrix.parts[1].dense;
        if (wrong[i].is_last) {
            assert_int_equal(ingot_vk_matrix_upload(device, &m.matrix, &uploaded, &error),
                             INGOT_DEVICE);
            if (!strstr(error.what, wrong[i].kernel)) fail_msg("%s", error.what);
        } else {
            check_against(device, c->name, &m, &exact, 1);
            check_against(device, c->name, &m, &exact, 20);
            assert_true(device->trials && device->trials->next);
        }
        made_release(&m);
        ingot_vk_device_close(device);
    }
}

/* ------------------------------------------------------------------ decoding on the device */

/* Those that lie in the order of the matrix's columns, and without factors of x. */
static void every_coding_is_decoded(void **state)
{
    struct fixture *const fixture = *state;
    uint32_t n_checked = 0;
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        n_checked += check_decoded(fixture->device, &coding_cases[i], i);
    }
    assert_true(n_checked > N_CODING_CASES - 8);
}

int main(void)
{
    struct fixture fixture;
    if (!fixture_open(&fixture)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_coding_meets_the_bound, &fixture),
        cmocka_unit_test_prestate(kept_values_meet_the_bound, &fixture),
        cmocka_unit_test_prestate(kept_values_fall_back, &fixture),
        cmocka_unit_test_prestate(every_coding_is_decoded, &fixture),
        cmocka_unit_test_prestate(no_message_came, &fixture),
    };
    return fixture_close(&fixture,
                         cmocka_run_group_tests_name("vulkan codings", tests, NULL, NULL));
}

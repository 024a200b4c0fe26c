/* What is chosen from what a device tells of itself: queues, quirks and the length of submissions,
 * on devices made up for it; and loaders that lack any one of their functions. */
#include "tests/vulkan/products.h"

#include "vulkan/pace.h"
#include "vulkan/quirks.h"

/* ------------------------------------------------------------------ queues */

#define ALL (VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT)
#define COMPUTES (VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT)
#define MOVES VK_QUEUE_TRANSFER_BIT
#define FAMILY(flags, n)                         \
    {                                            \
        .queueFlags = (flags), .queueCount = (n) \
    }

static void queues_are_chosen(void **state)
{
    (void)state;
    static const struct {
        VkQueueFamilyProperties families[4];
        uint32_t n;
        bool found;
        struct vk_queue_choice choice;
        uint32_t n_described;
    } machines[] = {
        {{FAMILY(ALL, 1)}, 1, true, {0, 0, 0}, 1}, /* software */
        {{FAMILY(ALL, 16), FAMILY(MOVES, 2), FAMILY(COMPUTES, 8)},
         3,
         true,
         {2, 1, 0},
         2}, /* NVIDIA */
        {{FAMILY(ALL, 1), FAMILY(COMPUTES, 4), FAMILY(MOVES, 1)}, 3, true, {1, 2, 0}, 2}, /* AMD */
        {{FAMILY(ALL, 2)}, 1, true, {0, 0, 1}, 1}, /* two of a kind */
        {{FAMILY(ALL, 1), FAMILY(MOVES, 0), FAMILY(COMPUTES, 0)},
         3,
         true,
         {0, 0, 0},
         1}, /* families of none */
        {{FAMILY(VK_QUEUE_GRAPHICS_BIT, 1), FAMILY(MOVES, 1)}, 2, false, {7, 7, 7}, 0},
        {{FAMILY(0, 0)}, 0, false, {7, 7, 7}, 0},
    };
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        struct vk_queue_choice choice = {7, 7, 7};
        assert_true(ingot_vk_queues_choose(machines[i].families, machines[i].n, &choice) ==
                    machines[i].found);
        assert_memory_equal(&choice, &machines[i].choice, sizeof choice);
        if (!machines[i].found) continue;
        const float priorities[2] = {1.0f, 1.0f};
        VkDeviceQueueCreateInfo infos[2];
        assert_int_equal(ingot_vk_queues_describe(&choice, priorities, infos),
                         machines[i].n_described);
        assert_int_equal(infos[0].queueFamilyIndex, choice.compute_family);
        assert_int_equal(infos[0].queueCount,
                         machines[i].n_described == 1 ? choice.moving_index + 1 : 1);
    }
}

/* ------------------------------------------------------------------ quirks */

static void quirks_are_found(void **state)
{
    (void)state;
    static const struct {
        struct vk_identity device;
        uint32_t avoids;
        const char *text;
    } machines[] = {
        {{0x10de, VK_DRIVER_ID_NVIDIA_PROPRIETARY, 32}, 0, ""},
        {{0x1002, VK_DRIVER_ID_MESA_RADV, 32}, 0, ""},
        {{0x1002, VK_DRIVER_ID_AMD_PROPRIETARY, 32},
         AVOID_MATRIX_UNITS,
         "matrix units: offered where there are none"},
        {{0x1010, VK_DRIVER_ID_IMAGINATION_PROPRIETARY, 1},
         AVOID_MATRIX_UNITS | AVOID_INTEGER_DOTS,
         "matrix units: wrong results; integer dot products: wrong results"},
        {{0x8086, VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA, 8},
         AVOID_MATRIX_UNITS,
         "matrix units: slower than without"},
        {{0x8086, VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA, 16}, 0, ""},
        {{0x8086, VK_DRIVER_ID_INTEL_PROPRIETARY_WINDOWS, 16},
         AVOID_INTEGER_DOTS,
         "integer dot products: slower than without"},
        {{0x10005, VK_DRIVER_ID_MESA_LLVMPIPE, 8},
         AVOID_LONG_STARTS,
         "long first submissions: a CPU computes"},
    };
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        char text[sizeof((ingot_device_info *)0)->avoids];
        assert_int_equal(ingot_vk_quirks_find(&machines[i].device, text, sizeof text),
                         machines[i].avoids);
        assert_string_equal(text, machines[i].text);
        assert_int_equal(ingot_vk_quirks_find(&machines[i].device, NULL, 0), machines[i].avoids);
    }
}

/* ------------------------------------------------------------------ pace */

/* Devices of constant speed, and one that falls to a quarter of it between two submissions. */
static void submissions_stay_short(void **state)
{
    (void)state;
    for (double speed = 4e8; speed < 1e14; speed *= 1.7) { /* weights a second */
        uint64_t allowed = UINT64_C(1) << 26;
        double longest = 0, last = 0;
        for (int i = 0; i < 60; i++) {
            last = (double)allowed / speed;
            longest = fmax(longest, last);
            allowed = ingot_vk_pace_next(allowed, allowed, last);
        }
        assert_true(longest <= MOST_SUBMIT_SECONDS);
        assert_true((double)allowed / speed * 4 <= MOST_SUBMIT_SECONDS);
        assert_true(last > 0.02 || allowed == UINT64_C(1) << 40); /* and not needlessly short */
    }
    /* Short ones of other matrices tell nothing of what long ones would take. */
    assert_true(ingot_vk_pace_next(1 << 26, 1000, 1e-6) == 1 << 26);
    /* A long one is learned from at once, down to a floor. */
    assert_true(ingot_vk_pace_next(1 << 26, 1 << 26, 1.0) == (uint64_t)((1 << 26) * 0.05));
    assert_true(ingot_vk_pace_next(1 << 26, 1 << 20, 100.0) == 1 << 18);
}

/* ------------------------------------------------------------------ a loader that lacks functions
 */

static void missing_functions_are_told(void **state)
{
    (void)state;
#define NAME(name) "vk" #name,
    static const char *const names[] = {"vkEnumerateInstanceVersion", "vkCreateInstance",
                                        INGOT_VK_INSTANCE_FUNCTIONS(NAME)
                                            INGOT_VK_DEVICE_FUNCTIONS(NAME)};
#undef NAME
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct vk_options options = {.lacking = names[i]};
        struct vk_device *device = NULL;
        ingot_error error = {.what = ""};
        assert_int_equal(ingot_vk_device_open(0, &options, NULL, &device, &error), INGOT_DEVICE);
        assert_null(device);
        if (i >= 2 && !strstr(error.what, names[i])) fail_msg("%s: %s", names[i], error.what);
        if (i < 2) assert_non_null(strstr(error.what, "this machine has 0"));
    }
}

int main(void)
{
    const struct CMUnitTest without_device[] = {
        cmocka_unit_test(queues_are_chosen),
        cmocka_unit_test(quirks_are_found),
        cmocka_unit_test(submissions_stay_short),
    };
    const int n_failed = cmocka_run_group_tests_name("vulkan choices", without_device, NULL, NULL);
    struct fixture fixture;
    if (n_failed != 0) return 1;
    if (!fixture_open(&fixture)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_functions_are_told),
        cmocka_unit_test_prestate(no_message_came, &fixture),
    };
    return fixture_close(&fixture, cmocka_run_group_tests_name("vulkan loader", tests, NULL, NULL));
}

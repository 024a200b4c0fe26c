/* Devices by number: the list, the CPU at its end, and the level it opens with. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "format/ingot.h"

static void the_cpu_is_listed_last(void **state)
{
    (void)state;
    enum { CAPACITY = 64 };
    ingot_device_info *devices = calloc(CAPACITY, sizeof *devices);
    assert_non_null(devices);
    uint32_t n = 0;
    assert_int_equal(ingot_device_list(devices, CAPACITY, &n, NULL), INGOT_OK);
    assert_true(n >= 1 && n <= CAPACITY);
    for (uint32_t i = 0; i + 1 < n; i++) assert_int_equal(devices[i].index, i);
    const ingot_device_info *cpu = &devices[n - 1];
    assert_int_equal(cpu->index, INGOT_DEVICE_CPU);
    assert_string_equal(cpu->kind, "cpu");
    assert_true(cpu->usable && cpu->name[0] != '\0' && cpu->memory_bytes > 0);
    uint32_t n_again = 0;
    assert_int_equal(ingot_device_list(NULL, 0, &n_again, NULL), INGOT_OK);
    assert_int_equal(n_again, n);

    ingot_device *device = NULL;
    ingot_error error = {.what = ""};
    assert_int_equal(ingot_device_open(n - 1, 1, NULL, NULL, &device, &error), INGOT_DEVICE);
    assert_null(device);
    free(devices);
}

static void a_level_can_be_forced(void **state)
{
    (void)state;
    ingot_device *device = NULL;
    ingot_device_info info;
    assert_int_equal(ingot_device_open(INGOT_DEVICE_CPU, 1, "plain", NULL, &device, NULL),
                     INGOT_OK);
    ingot_device_describe(device, &info);
    assert_string_equal(info.driver, "plain");
    assert_int_equal(info.index, INGOT_DEVICE_CPU);
    ingot_device_close(device);
    device = NULL;
    assert_int_equal(ingot_device_open(INGOT_DEVICE_CPU, 1, "avx9", NULL, &device, NULL),
                     INGOT_DEVICE);
    assert_null(device);
    ingot_device_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cpu_is_listed_last),
        cmocka_unit_test(a_level_can_be_forced),
    };
    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}

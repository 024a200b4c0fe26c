/* From files to products by the CPU at every kernel level. */
#include "tests/runtime/forms.h"
#include "tests/runtime/levels.h"

static void random_tensors_multiply(void **state)
{
    (void)state;
    multiply_random_tensors(1500);
}

int main(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        const struct backend_options options = {.n_threads = 2, .cpu_level = level_names[i]};
        struct forms_device *device = &forms_devices[n];
        if (cpu_level_find(level_names[i]) == NULL) continue;
        *device = (struct forms_device){level_names[i], &ingot_backend_cpu, NULL};
        if (ingot_backend_cpu.open(0, &options, NULL, &device->opened, NULL) != INGOT_OK) return 1;
        n++;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_multiply),
        cmocka_unit_test(the_specimen_multiplies),
        cmocka_unit_test(random_tensors_multiply),
    };
    const int n_failed = cmocka_run_group_tests_name("forms", tests, NULL, NULL);
    for (uint32_t i = 0; i < n; i++) ingot_backend_cpu.close(forms_devices[i].opened);
    return n_failed;
}

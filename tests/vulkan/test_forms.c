/* From files to products on a Vulkan device. */
#include "tests/runtime/forms.h"

static void random_tensors_multiply(void **state)
{
    (void)state;
    multiply_random_tensors(400);
}

int main(void)
{
    const struct backend_options options = {.n_threads = 0};
    const struct ingot_backend *vulkan = &ingot_backend_vulkan;
    ingot_error error = {.what = ""};
    forms_devices[0] = (struct forms_device){"vulkan", vulkan, NULL};
    if (vulkan->open(0, &options, NULL, &forms_devices[0].opened, &error) != INGOT_OK) {
        printf("skipped: no Vulkan device: %s\n", error.what);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_multiply),
        cmocka_unit_test(the_specimen_multiplies),
        cmocka_unit_test(random_tensors_multiply),
    };
    const int n_failed = cmocka_run_group_tests_name("vulkan forms", tests, NULL, NULL);
    vulkan->close(forms_devices[0].opened);
    return n_failed;
}

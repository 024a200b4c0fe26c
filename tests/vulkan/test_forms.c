/* From files to products on a Vulkan device: as it is, and cut into small pieces that go through
 * small staging buffers. */
#include "tests/runtime/forms.h"

#include "format/pool.h"
#include "vulkan/device.h"

static void random_tensors_multiply(void **state)
{
    (void)state;
    multiply_random_tensors(400);
}

int main(void)
{
    const struct backend_options options = {.n_threads = 0};
    const struct vk_options small = {
        .stage_uploads = true, .slot_bytes = 1024, .slab_bytes = 8192, .submit_weights = 5000};
    const struct ingot_backend *vulkan = &ingot_backend_vulkan;
    struct vk_device *in_pieces = NULL;
    ingot_error error = {.what = ""};
    forms_devices[0] = (struct forms_device){"vulkan", vulkan, NULL};
    if (vulkan->open(0, &options, NULL, &forms_devices[0].opened, &error) != INGOT_OK) {
        printf("skipped: no Vulkan device: %s\n", error.what);
        return 77;
    }
    if (ingot_vk_device_open(0, &small, NULL, &in_pieces, &error) != INGOT_OK ||
        ingot_pool_create(3, NULL, &in_pieces->readers, &error) != INGOT_OK) {
        printf("small pieces: %s\n", error.what);
        return 1;
    }
    forms_devices[1] = (struct forms_device){"vulkan in small pieces", vulkan, in_pieces};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_multiply),
        cmocka_unit_test(the_specimen_multiplies),
        cmocka_unit_test(random_tensors_multiply),
    };
    const int n_failed = cmocka_run_group_tests_name("vulkan forms", tests, NULL, NULL);
    vulkan->close(in_pieces);
    vulkan->close(forms_devices[0].opened);
    return n_failed;
}

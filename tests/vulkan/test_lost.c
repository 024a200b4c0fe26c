/* A device that is lost at any of its submissions: what is loaded from a file that is still there
 * multiplies on, everything else is told clearly, and the device works again; also with several
 * threads that share it. */
#include "tests/vulkan/products.h"

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/device.h"
#include "tests/vulkan/exact_file.h"

enum { N_ROWS = 203, N_COLS = 517 };
/* The next submission but n_left fails; a device that is opened anew has its own functions again.
 */
static struct {
    PFN_vkQueueSubmit2 submit;
    atomic_int n_left;
} losing;

static VKAPI_ATTR VkResult VKAPI_CALL losing_submit(VkQueue queue, uint32_t n,
                                                    const VkSubmitInfo2 *submits, VkFence fence)
{
    if (atomic_fetch_sub(&losing.n_left, 1) <= 0) return VK_ERROR_DEVICE_LOST;
    return losing.submit(queue, n, submits, fence);
}

static void lose_after(ingot_device *device, int n)
{
    struct vk_device *const vk = device->opened;
    losing.submit = vk->api.QueueSubmit2;
    atomic_store(&losing.n_left, n);
    vk->api.QueueSubmit2 = losing_submit;
}

static ingot_device *open_device(void)
{
    ingot_device *device = NULL;
    assert_int_equal(ingot_device_open(0, 2, NULL, NULL, &device, NULL), INGOT_OK);
    return device;
}

static ingot_matrix *open_matrix(ingot_device *device, const ingot_file *file, bool lazy)
{
    const ingot_matrix_options options = {.lazy = lazy};
    ingot_matrix *matrix = NULL;
    ingot_error error = {.what = ""};
    if (ingot_matrix_open_with(device, file, 0, 0, &options, &matrix, &error) != INGOT_OK) {
        fail_msg("%s: %s", error.field, error.what);
    }
    return matrix;
}

static void matrices_come_back_or_say_so(void **state)
{
    (void)state;
    struct written w;
    ingot_file *const file = exact_file(&w, N_ROWS, N_COLS, INGOT_COMPRESS_FAST);
    ingot_device *const device = open_device();
    const struct vk_device *const vk = device->opened;
    ingot_matrix *const lazy = open_matrix(device, file, true);
    ingot_matrix *const eager = open_matrix(device, file, false);
    ingot_error error = {.what = ""};
    assert_int_equal(exact_multiply_file(lazy, NULL), INGOT_OK);
    assert_int_equal(exact_multiply_file(eager, NULL), INGOT_OK);

    lose_after(device, 0);
    const uint64_t submit_weights = vk->submit_weights;
    assert_int_equal(exact_multiply_file(lazy, &error), INGOT_OK);
    assert_int_equal(vk->generation, 1);
    assert_true(vk->submit_weights <= submit_weights / 2);
    assert_int_equal(exact_multiply_file(eager, &error), INGOT_DEVICE);
    assert_non_null(strstr(error.what, "was lost with"));

    /* The other way round: the one that cannot be loaded again meets it. */
    ingot_matrix *const second = open_matrix(device, file, false);
    assert_int_equal(exact_multiply_file(second, NULL), INGOT_OK);
    lose_after(device, 0);
    assert_int_equal(exact_multiply_file(second, &error), INGOT_DEVICE);
    if (!strstr(error.what, "was lost; last dispatch: part 0 dense, rows 0 to 203")) {
        fail_msg("%s", error.what);
    }
    assert_int_equal(exact_multiply_file(second, &error), INGOT_DEVICE);
    assert_int_equal(exact_multiply_file(lazy, &error), INGOT_OK);

    ingot_matrix *const third = open_matrix(device, file, false);
    assert_int_equal(exact_multiply_file(third, NULL), INGOT_OK);
    ingot_matrix_close(third);
    ingot_matrix_close(second);
    ingot_matrix_close(eager);
    ingot_matrix_close(lazy);
    assert_true(vk->held_bytes[MEMORY_SPILL] == 0);
    ingot_device_close(device);
    ingot_file_close(file);
    written_release(&w);
}

/* While matrices are brought and multiplied, whichever submission it is. */
static void every_submission_may_lose_the_device(void **state)
{
    (void)state;
    struct written w;
    ingot_file *const file = exact_file(&w, N_ROWS, N_COLS, INGOT_COMPRESS_FAST);
    bool all_came = false;
    int n = 0;
    for (; !all_came && n < 40; n++) {
        ingot_device *const device = open_device();
        struct vk_device *const vk = device->opened;
        vk->maps_uploads = false;
        lose_after(device, n);
        ingot_matrix *const lazy = open_matrix(device, file, true);
        assert_int_equal(ingot_matrix_load(lazy, NULL), INGOT_OK);
        ingot_matrix *const eager = open_matrix(device, file, false);
        assert_int_equal(exact_multiply_file(lazy, NULL), INGOT_OK);
        ingot_error error = {.what = ""};
        const ingot_status status = exact_multiply_file(eager, &error);
        if (status != INGOT_OK) {
            assert_int_equal(status, INGOT_DEVICE);
            assert_non_null(strstr(error.what, "lost"));
        }
        all_came = vk->generation == 0;
        ingot_matrix_close(eager);
        ingot_matrix_close(lazy);
        ingot_device_close(device);
    }
    assert_true(all_came && n > 4);
    ingot_file_close(file);
    written_release(&w);
}

/* A device that cannot be opened anew stays lost. */
static VKAPI_ATTR VkResult VKAPI_CALL no_device(VkPhysicalDevice physical,
                                                const VkDeviceCreateInfo *info,
                                                const VkAllocationCallbacks *callbacks,
                                                VkDevice *device)
{
    (void)physical;
    (void)info;
    (void)callbacks;
    (void)device;
    return VK_ERROR_INITIALIZATION_FAILED;
}

static void a_device_may_stay_lost(void **state)
{
    (void)state;
    struct written w;
    ingot_file *const file = exact_file(&w, N_ROWS, N_COLS, INGOT_COMPRESS_FAST);
    ingot_device *const device = open_device();
    struct vk_device *const vk = device->opened;
    ingot_matrix *const lazy = open_matrix(device, file, true);
    ingot_matrix *matrix = NULL;
    ingot_error error = {.what = ""};
    assert_int_equal(exact_multiply_file(lazy, NULL), INGOT_OK);
    const PFN_vkCreateDevice create = vk->instance.api.CreateDevice;
    vk->instance.api.CreateDevice = no_device;
    lose_after(device, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(exact_multiply_file(lazy, &error), INGOT_DEVICE);
        assert_non_null(strstr(error.what, "was lost"));
        assert_int_equal(ingot_matrix_open(device, file, 0, 0, &matrix, &error), INGOT_DEVICE);
        assert_null(matrix);
    }
    /* Until it can. */
    vk->instance.api.CreateDevice = create;
    assert_int_equal(exact_multiply_file(lazy, &error), INGOT_OK);
    ingot_matrix_close(lazy);
    ingot_device_close(device);
    ingot_file_close(file);
    written_release(&w);
}

/* ------------------------------------------------------------------ threads */

enum { N_THREADS = 4, N_ROUNDS = 12 };

struct worker {
    ingot_device *device;
    const ingot_file *file;
    bool lazy;
    uint32_t n_right;
    uint32_t n_lost;
};

static void *work(void *context)
{
    struct worker *const worker = context;
    const ingot_matrix_options options = {.lazy = worker->lazy};
    for (uint32_t i = 0; i < N_ROUNDS; i++) {
        ingot_matrix *matrix = NULL;
        ingot_status status =
            ingot_matrix_open_with(worker->device, worker->file, 0, 0, &options, &matrix, NULL);
        for (uint32_t k = 0; k < 3 && status == INGOT_OK; k++) {
            status = exact_multiply_file(matrix, NULL);
            worker->n_right += status == INGOT_OK;
        }
        worker->n_lost += status == INGOT_DEVICE;
        if (status != INGOT_OK && status != INGOT_DEVICE) abort();
        ingot_matrix_close(matrix);
    }
    return NULL;
}

static void threads_share_a_device_that_is_lost(void **state)
{
    (void)state;
    struct written w;
    ingot_file *const file = exact_file(&w, N_ROWS, N_COLS, INGOT_COMPRESS_FAST);
    ingot_device *const device = open_device();
    struct worker workers[N_THREADS];
    pthread_t threads[N_THREADS];
    lose_after(device, 25);
    for (uint32_t i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){.device = device, .file = file, .lazy = i % 2 == 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(workers[i].n_right > 2 * N_ROUNDS);
        assert_true(!workers[i].lazy || workers[i].n_lost == 0);
    }
    assert_int_equal(((struct vk_device *)device->opened)->generation, 1);
    ingot_device_close(device);
    ingot_file_close(file);
    written_release(&w);
}

int main(void)
{
    struct vk_device *device = NULL;
    const struct vk_options options = {.message = NULL};
    ingot_error error = {.what = ""};
    if (ingot_vk_device_open(0, &options, NULL, &device, &error) != INGOT_OK) {
        printf("skipped: no Vulkan device: %s\n", error.what);
        return 77;
    }
    ingot_vk_device_close(device);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_come_back_or_say_so),
        cmocka_unit_test(every_submission_may_lose_the_device),
        cmocka_unit_test(a_device_may_stay_lost),
        cmocka_unit_test(threads_share_a_device_that_is_lost),
    };
    return cmocka_run_group_tests_name("vulkan lost", tests, NULL, NULL);
}

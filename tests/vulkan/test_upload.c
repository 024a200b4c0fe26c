/* From a file to a device's memory: a ring of staging buffers that the pool's threads fill while
 * others are copied, memory that is written straight, and what damage in the middle leaves behind;
 * under synchronization validation where the layer is installed. */
#include "tests/vulkan/products.h"

#include "format/pool.h"
#include "format/reader.h"

#include "runtime/device.h"
#include "runtime/resident.h"
#include "tests/vulkan/exact_file.h"
#include "vulkan/stream.h"

/* Slabs of about 1 MiB: several, the last of them not full; rows are whole cache lines, so that
 * slabs lie behind each other without padding. */
enum { N_ROWS = 1403, N_COLS = 2064, ROW_BYTES = N_COLS * 4 };

static ingot_file *write_file(struct written *w, ingot_compression compression)
{
    return exact_file(w, N_ROWS, N_COLS, compression);
}

/* A device as the runtime has it, but with options. */
static ingot_device *open_device(struct fixture *fixture, const struct vk_options *options,
                                 uint32_t n_threads)
{
    ingot_device *device = NULL;
    ingot_error error = {.what = ""};
    if (ingot_device_open(0, n_threads, NULL, NULL, &device, &error) != INGOT_OK) {
        fail_msg("%s", error.what);
    }
    struct vk_device *const ours = fixture_device(fixture, *options);
    struct vk_device *const theirs = device->opened;
    ours->readers = theirs->readers;
    theirs->readers = NULL;
    ingot_vk_device_close(theirs);
    device->opened = ours;
    return device;
}

/* How bytes reach the device. The smallest slots hold no row, and the next not a whole slab. */
static const struct vk_options ways[] = {
    {.stage_uploads = false},
    {.stage_uploads = true},
    {.stage_uploads = true, .slot_bytes = 5000},
    {.stage_uploads = true, .slot_bytes = 100000},
    {.stage_uploads = true, .slot_bytes = 100000, .slab_bytes = 1000000},
    {.stage_uploads = true, .slot_bytes = 3 << 20},
};
enum { N_WAYS = sizeof ways / sizeof *ways };

static void every_way_brings_the_same(void **state)
{
    struct fixture *const fixture = *state;
    static const ingot_compression compressions[] = {INGOT_COMPRESS_NONE, INGOT_COMPRESS_FAST};
    for (uint32_t c = 0; c < 2; c++) {
        struct written w;
        ingot_file *const file = write_file(&w, compressions[c]);
        for (uint32_t i = 0; i < N_WAYS; i++) {
            ingot_device *const device = open_device(fixture, &ways[i], 1 + i % 3);
            ingot_matrix *matrix = NULL;
            uint64_t forecast = 0;
            assert_int_equal(ingot_matrix_open(device, file, 0, 0, &matrix, NULL), INGOT_OK);
            assert_int_equal(exact_multiply_file(matrix, NULL), INGOT_OK);
            const uint64_t n_bytes = ingot_matrix_resident_bytes(matrix);
            const ingot_matrix_options options = {.lazy = false};
            assert_int_equal(ingot_matrix_forecast(device, file, 0, 0, &options, &forecast, NULL),
                             INGOT_OK);
            assert_in_range(forecast, n_bytes, n_bytes + n_bytes / 50 + 4096);
            ingot_matrix_close(matrix);
            ingot_device_close(device);
        }
        ingot_file_close(file);
        written_release(&w);
    }
}

/* Of two damaged chunks in the middle the first is told, whichever thread meets it; the device
 * holds nothing of the matrix, and takes the next one. */
static void damage_leaves_nothing_behind(void **state)
{
    struct fixture *const fixture = *state;
    for (uint32_t i = 0; i < N_WAYS; i++) {
        struct written good, bad;
        const void *weights;
        ingot_matrix *matrix = NULL;
        ingot_error error = {.what = ""};
        ingot_file *const whole = write_file(&good, INGOT_COMPRESS_NONE);
        ingot_file *const damaged = write_file(&bad, INGOT_COMPRESS_NONE);
        ingot_device *const device = open_device(fixture, &ways[i], 1 + i % 3);
        const struct vk_device *const vk = device->opened;
        assert_int_equal(ingot_matrix_open(device, whole, 0, 0, &matrix, NULL), INGOT_OK);
        ingot_matrix_close(matrix); /* the trial of the kernel stays */
        matrix = NULL;
        const uint64_t n_held = vk->held_bytes[MEMORY_DEVICE];

        assert_int_equal(ingot_file_view_raw(damaged, 0, &weights, NULL), INGOT_OK);
        const uint64_t begin = (uint64_t)((const uint8_t *)weights - bad.bytes.data);
        const uint64_t slab = (UINT64_C(1) << 20) / ROW_BYTES * ROW_BYTES;
        bad.bytes.data[begin + 3 * slab + 99] ^= 1;
        bad.bytes.data[begin + 5 * slab + 5] ^= 1;
        assert_int_equal(ingot_matrix_open(device, damaged, 0, 0, &matrix, &error), INGOT_DAMAGED);
        assert_null(matrix);
        assert_string_equal(error.field, "tensor weights");
        assert_int_equal(error.offset, begin + 3 * slab);
        assert_int_equal(vk->held_bytes[MEMORY_DEVICE], n_held);

        assert_int_equal(ingot_matrix_open(device, whole, 0, 0, &matrix, NULL), INGOT_OK);
        assert_int_equal(exact_multiply_file(matrix, NULL), INGOT_OK);
        ingot_matrix_close(matrix);
        ingot_device_close(device);
        ingot_file_close(damaged);
        ingot_file_close(whole);
        written_release(&bad);
        written_release(&good);
    }
}

/* ------------------------------------------------------------------ overlap */

static struct {
    struct vk_device_api real;
    uint32_t n_submitted;
    uint32_t n_waits;
} counted;

static VKAPI_ATTR VkResult VKAPI_CALL count_submit(VkQueue queue, uint32_t n,
                                                   const VkSubmitInfo2 *submits, VkFence fence)
{
    counted.n_submitted++;
    return counted.real.QueueSubmit2(queue, n, submits, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL count_wait(VkDevice device, const VkSemaphoreWaitInfo *info,
                                                 uint64_t timeout)
{
    counted.n_waits++;
    return counted.real.WaitSemaphores(device, info, timeout);
}

/* The host waits for a copy only where it needs the slot of four copies before. */
static void copies_are_not_waited_for(void **state)
{
    struct fixture *const fixture = *state;
    const struct vk_options options = {.stage_uploads = true, .slot_bytes = 4096};
    struct vk_device *const device = fixture_device(fixture, options);
    struct vk_region region = {NULL, 0, 0};
    uint8_t bytes[7 * 4096];
    memset(bytes, 0x5a, sizeof bytes);
    assert_int_equal(ingot_vk_region_take(device, sizeof bytes, "bytes", &region, NULL), INGOT_OK);
    counted.real = device->api;
    counted.n_submitted = counted.n_waits = 0;
    device->api.QueueSubmit2 = count_submit;
    device->api.WaitSemaphores = count_wait;
    struct vk_stream stream = ingot_vk_stream_begin(device, &region, NULL);
    ingot_vk_stream_write(&stream, bytes, 4 * 4096);
    ingot_vk_stream_write(&stream, bytes, 1);
    assert_int_equal(counted.n_submitted, 4);
    const uint32_t n_waits = counted.n_waits; /* for the first slot, to be filled anew */
    assert_true(n_waits >= 1 && n_waits <= 2);
    ingot_vk_stream_write(&stream, bytes + 1, 3 * 4096 - 1);
    assert_int_equal(ingot_vk_stream_end(&stream), INGOT_OK);
    assert_int_equal(counted.n_submitted, 7);
    assert_int_equal(ingot_vk_queues_settle(device, NULL), INGOT_OK);
    ingot_vk_region_release(device, &region);
    device->api = counted.real;
    ingot_vk_device_close(device);
}

int main(void)
{
    struct fixture fixture;
    turn_synchronization_on();
    if (!fixture_open(&fixture)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_way_brings_the_same, &fixture),
        cmocka_unit_test_prestate(damage_leaves_nothing_behind, &fixture),
        cmocka_unit_test_prestate(copies_are_not_waited_for, &fixture),
        cmocka_unit_test_prestate(no_hazard_came, &fixture),
    };
    return fixture_close(&fixture, cmocka_run_group_tests_name("vulkan upload", tests, NULL, NULL));
}

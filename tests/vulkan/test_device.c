/* The Vulkan backend's table of functions: listing and describing devices, machines without any,
 * refusals, and every way to fail on the way: memory that runs out, a device that is lost. */
#include "tests/vulkan/products.h"

static const struct ingot_backend *const backend = &ingot_backend_vulkan;

/* ------------------------------------------------------------------ listing */

static void test_list(void **state)
{
    (void)state;
    uint32_t n = 0;
    assert_int_equal(backend->count(NULL, &n, NULL), INGOT_OK);
    bool usable_so_far = true;
    for (uint32_t i = 0; i < n; i++) {
        ingot_device_info info = {.index = 77};
        assert_int_equal(backend->describe(NULL, i, &info, NULL), INGOT_OK);
        assert_int_equal(info.index, 77);
        assert_true(info.name[0] != '\0');
        assert_true(info.driver[0] != '\0');
        assert_true(info.kind[0] != '\0');
        assert_true(info.usable == (info.why_not[0] == '\0'));
        assert_true(!info.usable || info.memory_bytes > 0);
        assert_true(usable_so_far || !info.usable); /* usable ones come first */
        usable_so_far = info.usable;
        printf("device %u: %s, %s, %s, %llu bytes%s%s\n", i, info.name, info.driver, info.kind,
               (unsigned long long)info.memory_bytes,
               info.usable ? "" : ", not usable: ", info.why_not);
    }
    ingot_device_info info = {.index = 77};
    ingot_error error = {0};
    assert_int_equal(backend->describe(NULL, n, &info, &error), INGOT_DEVICE);
    assert_int_equal(info.index, 77);
    void *device = NULL;
    const struct backend_options options = {0};
    assert_int_equal(backend->open(n, &options, NULL, &device, &error), INGOT_DEVICE);
    assert_null(device);
}

/* A machine whose loader finds no driver. */
static void test_no_driver(void **state)
{
    (void)state;
    static const char *const variables[] = {"VK_DRIVER_FILES", "VK_ICD_FILENAMES"};
    char *saved[2] = {NULL, NULL};
    for (size_t i = 0; i < 2; i++) {
        const char *const value = getenv(variables[i]);
        if (value) saved[i] = strdup(value);
        setenv(variables[i], "/dev/null", 1);
    }
    uint32_t n = 5;
    void *device = NULL;
    ingot_error error = {0};
    const struct backend_options options = {0};
    const ingot_status counted = backend->count(NULL, &n, &error);
    const ingot_status opened = backend->open(0, &options, NULL, &device, &error);
    for (size_t i = 0; i < 2; i++) {
        if (saved[i])
            setenv(variables[i], saved[i], 1);
        else
            unsetenv(variables[i]);
        free(saved[i]);
    }
    assert_int_equal(counted, INGOT_OK);
    assert_int_equal(n, 0);
    assert_int_equal(opened, INGOT_DEVICE);
    assert_null(device);
}

/* The whole way through the table, as the runtime goes it. */
static void test_table(void **state)
{
    (void)state;
    const struct made_part part = {.kind = RESIDENT_DENSE,
                                   .coding = {INT(8), .slots[SLOT_SCALE] = {CONSTANT(0.5f)}}};
    const struct backend_options options = {0};
    struct made made;
    void *device = NULL;
    void *uploaded = NULL;
    uint64_t n_bytes = 0;
    struct kept_parts kept = {1, 1};
    float x[256];
    float y[16];
    for (size_t i = 0; i < 256; i++) x[i] = 1.0f;
    made_matrix(&made, 3, 16, 256, &part, 1);
    assert_int_equal(backend->open(0, &options, NULL, &device, NULL), INGOT_OK);
    assert_int_equal(backend->matrix_upload(device, &made.matrix, &uploaded, &n_bytes, &kept, NULL),
                     INGOT_OK);
    assert_int_equal(kept.parts | kept.b, 0);
    assert_int_equal(n_bytes, 16 * 256 + sizeof(struct vk_header));
    assert_int_equal(backend->matmul(device, uploaded, x, 1, y, NULL), INGOT_OK);
    for (uint64_t r = 0; r < 16; r++) {
        float sum = 0.0f; /* exact: small multiples of a half */
        for (uint64_t c = 0; c < 256; c++) sum += made_weight(&made.matrix.parts[0].dense, r, c);
        assert_true(y[r] == sum);
    }
    backend->matrix_release(device, uploaded);
    backend->matrix_release(device, NULL);
    backend->close(device);
    backend->close(NULL);
    made_release(&made);
}

/* ------------------------------------------------------------------ refusals */

static void test_refusals(void **state)
{
    struct vk_device *const device = *state;
    static const struct {
        struct ingot_coding coding;
        const char *says;
    } refusals[] = {
        {{.map = MAP_FLOAT, .bits = 64, .format = INGOT_F64}, "32 bits"},
        {{.map = MAP_CODEBOOK, .bits = 4, .n_entries = 16}, "codebook"},
        {{.map = MAP_OPAQUE, .bits = 8}, "map"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct resident_matrix matrix = {.n_rows = 3, .n_cols = 8, .n_parts = 1};
        struct vk_matrix *uploaded = NULL;
        ingot_error error = {0};
        matrix.parts[0].dense =
            (struct resident_dense){.coding = &refusals[i].coding, .n_rows = 3, .n_cols = 8};
        assert_int_equal(ingot_vk_matrix_upload(device, &matrix, &uploaded, &error),
                         INGOT_UNSUPPORTED);
        assert_null(uploaded);
        if (!strstr(error.what, refusals[i].says)) fail_msg("%s: %s", error.field, error.what);
    }
}

static void test_broken_mask(void **state)
{
    struct vk_device *const device = *state;
    const struct made_part raw = {
        .kind = RESIDENT_SPARSE, .kept = 4, .coding = {FLOAT(16, INGOT_BF16)}};
    struct made made;
    struct vk_matrix *uploaded = NULL;
    ingot_error error = {0};
    /* One bit more than the offsets tell. */
    made_matrix(&made, 3, 8, 64, &raw, 1);
    uint8_t *const mask = made.buffers[0];
    for (size_t i = 0; i < 8; i++) mask[3 * 8 + i] = 0xff;
    assert_int_equal(ingot_vk_matrix_upload(device, &made.matrix, &uploaded, &error),
                     INGOT_INVALID);
    assert_non_null(strstr(error.what, "row 3"));
    assert_null(uploaded);
    made_release(&made);
}

static void test_too_large(void **state)
{
    struct vk_device *const device = *state;
    const struct ingot_coding coding = {.map = MAP_FLOAT, .bits = 32, .format = INGOT_F32};
    struct resident_matrix matrix = {
        .n_rows = 2,
        .n_cols = UINT64_C(1) << 40,
        .n_parts = 1,
        .parts[0] = {.kind = RESIDENT_DENSE, .dense = {.coding = &coding, .n_planes = 1}}};
    struct vk_matrix *uploaded = NULL;
    ingot_error error = {0};
    assert_int_equal(ingot_vk_matrix_upload(device, &matrix, &uploaded, &error), INGOT_UNSUPPORTED);
    assert_non_null(strstr(error.what, "1099511627776"));
    /* Within 32 bits, but one vector is more than one allocation. */
    matrix.n_cols = UINT64_C(1) << 30;
    assert_int_equal(ingot_vk_matrix_upload(device, &matrix, &uploaded, &error), INGOT_UNSUPPORTED);
    assert_non_null(strstr(error.what, "4294967296"));
    assert_null(uploaded);
}

/* ------------------------------------------------------------------ failing on the way */

/* An allocator whose n_left-th allocation from now fails, and that counts what is not released. */
struct failing_memory {
    uint64_t n_left;
    int64_t n_held;
};

static void *failing_allocate(void *context, size_t n_bytes)
{
    struct failing_memory *const memory = context;
    if (memory->n_left == 0) return NULL;
    memory->n_left--;
    memory->n_held++;
    return malloc(n_bytes ? n_bytes : 1);
}

static void failing_release(void *context, void *allocated)
{
    struct failing_memory *const memory = context;
    if (allocated) memory->n_held--;
    free(allocated);
}

/* All kinds of parts, with few and small pipelines: every round makes them anew. */
static const struct made_part all_parts[] = {
    {.kind = RESIDENT_DENSE, .coding = {FLOAT(32, INGOT_F32)}},
    {.kind = RESIDENT_SPARSE, .kept = 2, .coding = {FLOAT(32, INGOT_F32)}},
    {.kind = RESIDENT_LOWRANK, .rank = 4, .coding = {FLOAT(32, INGOT_F32)}},
};

static ingot_status open_and_multiply(const ingot_allocator *allocator,
                                      const struct resident_matrix *matrix, ingot_error *error)
{
    const struct vk_options options = {.stage_uploads = true};
    struct vk_device *device = NULL;
    struct vk_matrix *uploaded = NULL;
    float x[64] = {0};
    float y[16] = {0};
    ingot_status status = ingot_vk_device_open(0, &options, allocator, &device, error);
    if (status == INGOT_OK) status = ingot_vk_matrix_upload(device, matrix, &uploaded, error);
    if (status == INGOT_OK) status = ingot_vk_matmul(device, uploaded, x, 1, y, error);
    if (device) ingot_vk_matrix_release(device, uploaded);
    ingot_vk_device_close(device);
    return status;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    struct made made;
    made_matrix(&made, 5, 16, 64, all_parts, 3);
    ingot_status status = INGOT_NO_MEMORY;
    uint64_t n = 0;
    for (; status == INGOT_NO_MEMORY && n < 300; n++) {
        struct failing_memory memory = {.n_left = n};
        const ingot_allocator allocator = {
            .allocate = failing_allocate, .release = failing_release, .context = &memory};
        ingot_error error = {0};
        status = open_and_multiply(&allocator, &made.matrix, &error);
        assert_int_equal(memory.n_held, 0);
        if (status != INGOT_OK) assert_int_equal(error.status, INGOT_NO_MEMORY);
    }
    assert_int_equal(status, INGOT_OK);
    assert_true(n > 10);
    made_release(&made);
}

/* Vulkan functions that fail at the n_left-th call from now; the device's own are kept. */
static struct {
    struct vk_device_api real;
    uint32_t n_left;
    VkResult result;
} failing;

static bool fails_now(void)
{
    return failing.n_left == 0 || --failing.n_left == 0;
}

static VKAPI_ATTR VkResult VKAPI_CALL failing_memory(VkDevice device,
                                                     const VkMemoryAllocateInfo *info,
                                                     const VkAllocationCallbacks *callbacks,
                                                     VkDeviceMemory *memory)
{
    if (fails_now()) return failing.result;
    return failing.real.AllocateMemory(device, info, callbacks, memory);
}

static VKAPI_ATTR VkResult VKAPI_CALL failing_submit(VkQueue queue, uint32_t n,
                                                     const VkSubmitInfo2 *submits, VkFence fence)
{
    if (fails_now()) return failing.result;
    return failing.real.QueueSubmit2(queue, n, submits, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL failing_wait(VkDevice device, const VkSemaphoreWaitInfo *info,
                                                   uint64_t timeout)
{
    if (fails_now()) return failing.result;
    return failing.real.WaitSemaphores(device, info, timeout);
}

static VKAPI_ATTR VkResult VKAPI_CALL failing_pipelines(VkDevice device, VkPipelineCache cache,
                                                        uint32_t n,
                                                        const VkComputePipelineCreateInfo *infos,
                                                        const VkAllocationCallbacks *callbacks,
                                                        VkPipeline *pipelines)
{
    if (fails_now()) return failing.result;
    return failing.real.CreateComputePipelines(device, cache, n, infos, callbacks, pipelines);
}

/* Uploads and multiplies with failing functions in place; a device that was not lost must then
 * work as if nothing had been. */
static ingot_status multiply_failing(uint32_t n_left, VkResult result, ingot_error *error)
{
    const struct vk_options options = {.stage_uploads = true};
    struct made made;
    struct vk_device *device = NULL;
    struct vk_matrix *uploaded = NULL;
    float x[64] = {0};
    float y[16] = {0};
    made_matrix(&made, 5, 16, 64, all_parts, 3);
    assert_int_equal(ingot_vk_device_open(0, &options, NULL, &device, NULL), INGOT_OK);
    failing.real = device->api;
    failing.n_left = n_left;
    failing.result = result;
    device->api.AllocateMemory = failing_memory;
    device->api.QueueSubmit2 = failing_submit;
    device->api.WaitSemaphores = failing_wait;
    device->api.CreateComputePipelines = failing_pipelines;
    ingot_status status = ingot_vk_matrix_upload(device, &made.matrix, &uploaded, error);
    if (status == INGOT_OK) status = ingot_vk_matmul(device, uploaded, x, 1, y, error);
    device->api = failing.real;

    const bool works = result != VK_ERROR_DEVICE_LOST || status == INGOT_OK;
    ingot_vk_matrix_release(device, uploaded);
    uploaded = NULL;
    assert_int_equal(ingot_vk_matrix_upload(device, &made.matrix, &uploaded, NULL),
                     works ? INGOT_OK : INGOT_DEVICE);
    if (works) {
        assert_int_equal(ingot_vk_matmul(device, uploaded, x, 1, y, NULL), INGOT_OK);
    }
    ingot_vk_matrix_release(device, uploaded);
    ingot_vk_device_close(device);
    made_release(&made);
    return status;
}

static void test_device_memory_runs_out(void **state)
{
    (void)state;
    ingot_status status = INGOT_NO_MEMORY;
    uint32_t n = 1;
    for (; status == INGOT_NO_MEMORY && n < 300; n++) {
        ingot_error error = {0};
        status = multiply_failing(n, VK_ERROR_OUT_OF_DEVICE_MEMORY, &error);
        if (status != INGOT_OK) assert_non_null(strstr(error.what, "OUT_OF_DEVICE_MEMORY"));
    }
    assert_int_equal(status, INGOT_OK);
    assert_true(n > 10);
}

static void test_device_lost(void **state)
{
    (void)state;
    ingot_status status = INGOT_DEVICE;
    bool told_dispatch = false;
    uint32_t n = 1;
    for (; status == INGOT_DEVICE && n < 300; n++) {
        ingot_error error = {0};
        status = multiply_failing(n, VK_ERROR_DEVICE_LOST, &error);
        if (status != INGOT_OK) assert_non_null(strstr(error.what, "was lost"));
        if (strstr(error.what, "part 2 lowrank b, rows 0 to 16")) told_dispatch = true;
    }
    assert_int_equal(status, INGOT_OK);
    assert_true(told_dispatch);
}

int main(void)
{
    const struct CMUnitTest without_device[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_no_driver),
    };
    const int n_failed = cmocka_run_group_tests(without_device, NULL, NULL);
    if (n_failed != 0) return 1;

    const struct vk_options options = {0};
    struct vk_device *device = NULL;
    ingot_error error = {0};
    if (ingot_vk_device_open(0, &options, NULL, &device, &error) != INGOT_OK) {
        printf("note: the rest is skipped: no Vulkan device: %s\n", error.what);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test_prestate(test_refusals, device),
        cmocka_unit_test_prestate(test_broken_mask, device),
        cmocka_unit_test_prestate(test_too_large, device),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_device_memory_runs_out),
        cmocka_unit_test(test_device_lost),
    };
    const int n_device_failed = cmocka_run_group_tests(tests, NULL, NULL);
    ingot_vk_device_close(device);
    return n_device_failed != 0;
}

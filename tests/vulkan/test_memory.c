/* Memory of a device: which heaps and types are taken, on devices made up for it; and matrices
 * larger than one allocation, larger than the device's memory, and larger than all there is. */
#include "tests/vulkan/products.h"

#define LOCAL VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
#define VISIBLE (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)
#define CACHED (VISIBLE | VK_MEMORY_PROPERTY_HOST_CACHED_BIT)
#define GIB(n) (UINT64_C(n) << 30)
#define MIB(n) (UINT64_C(n) << 20)

/* ------------------------------------------------------------------ made-up devices */

enum { NONE = 99 };

static const struct {
    const char *name;
    bool shares;
    VkMemoryHeap heaps[3];
    VkMemoryType types[5];
    uint32_t n_heaps, n_types;
    bool maps;
    uint32_t device[3], spill[3], host; /* types, in order */
} machines[] = {
    {.name = "discrete with a small window",
     .heaps = {{GIB(24), VK_MEMORY_HEAP_DEVICE_LOCAL_BIT},
               {GIB(32), 0},
               {MIB(256), VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}},
     .types = {{LOCAL | VISIBLE, 2}, {LOCAL, 0}, {VISIBLE, 1}, {CACHED, 1}},
     .n_heaps = 3,
     .n_types = 4,
     .maps = false,
     .device = {1, NONE},
     .spill = {2, 0, NONE},
     .host = 3},
    {.name = "discrete whose memory can all be mapped",
     .heaps = {{GIB(24), VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}, {GIB(32), 0}},
     .types = {{LOCAL, 0}, {VISIBLE, 1}, {CACHED, 1}, {LOCAL | VISIBLE, 0}},
     .n_heaps = 2,
     .n_types = 4,
     .maps = true,
     .device = {3, NONE},
     .spill = {1, 3, NONE},
     .host = 2},
    {.name = "integrated of one heap",
     .shares = true,
     .heaps = {{GIB(16), VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}},
     .types = {{LOCAL, 0}, {LOCAL | VISIBLE, 0}, {LOCAL | CACHED, 0}},
     .n_heaps = 1,
     .n_types = 3,
     .maps = true,
     .device = {1, NONE},
     .spill = {1, NONE},
     .host = 2},
    {.name = "integrated of two heaps",
     .shares = true,
     .heaps = {{GIB(32), VK_MEMORY_HEAP_DEVICE_LOCAL_BIT},
               {GIB(64), VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}},
     .types = {{LOCAL | VISIBLE, 0}, {LOCAL | CACHED, 1}},
     .n_heaps = 2,
     .n_types = 2,
     .maps = true,
     .device = {1, 0, NONE},
     .spill = {1, 0, NONE},
     .host = 1},
};
enum { N_MACHINES = sizeof machines / sizeof *machines };

static void check_order(const char *name, const VkPhysicalDeviceMemoryProperties *memory,
                        enum vk_memory_kind kind, bool maps, const uint32_t *expected)
{
    uint32_t types[VK_MAX_MEMORY_TYPES];
    const uint32_t n = ingot_vk_heaps_rank(memory, kind, maps, UINT32_MAX, types);
    for (uint32_t i = 0; i < n; i++) {
        if (types[i] != expected[i]) fail_msg("%s: kind %d, %u: type %u", name, kind, i, types[i]);
    }
    if (expected[n] != NONE) fail_msg("%s: kind %d: only %u types", name, kind, n);
}

static void heaps_are_chosen(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_MACHINES; i++) {
        VkPhysicalDeviceMemoryProperties memory = {.memoryHeapCount = machines[i].n_heaps,
                                                   .memoryTypeCount = machines[i].n_types};
        memcpy(memory.memoryHeaps, machines[i].heaps, sizeof machines[i].heaps);
        memcpy(memory.memoryTypes, machines[i].types, sizeof machines[i].types);
        const bool maps = ingot_vk_heaps_map(&memory, machines[i].shares);
        if (maps != machines[i].maps) fail_msg("%s: maps %d", machines[i].name, maps);
        check_order(machines[i].name, &memory, MEMORY_DEVICE, maps, machines[i].device);
        check_order(machines[i].name, &memory, MEMORY_SPILL, maps, machines[i].spill);
        uint32_t types[VK_MAX_MEMORY_TYPES];
        assert_true(ingot_vk_heaps_rank(&memory, MEMORY_HOST, maps, UINT32_MAX, types) > 0);
        assert_int_equal(types[0], machines[i].host);
        /* Only what the buffer can lie in. */
        assert_int_equal(
            ingot_vk_heaps_rank(&memory, MEMORY_DEVICE, maps, 1u << machines[i].device[0], types),
            1);
        assert_int_equal(ingot_vk_heaps_rank(&memory, MEMORY_DEVICE, maps, 0, types), 0);
    }
}

static void room_is_reckoned(void **state)
{
    (void)state;
    assert_true(ingot_vk_heaps_room(GIB(100), GIB(90), GIB(10)) == GIB(80) - MIB(256));
    assert_true(ingot_vk_heaps_room(GIB(100), 0, 0) == GIB(80) - MIB(256));
    assert_true(ingot_vk_heaps_room(MIB(1000), MIB(1000), 0) == MIB(950));
    assert_true(ingot_vk_heaps_room(GIB(1), GIB(5), 0) < GIB(1)); /* drivers were seen to say so */
    assert_true(ingot_vk_heaps_room(GIB(1), GIB(1), GIB(2)) == 0);
    assert_true(ingot_vk_heaps_room(0, 0, 0) == 0);
}

/* ------------------------------------------------------------------ small memories */

static const struct made_part f32 = {.coding = {FLOAT(32, INGOT_F32)}};
static const struct made_part mixed[] = {
    {.coding = {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)},
                .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {.kind = RESIDENT_SPARSE, .kept = 2, .coding = {FLOAT(16, INGOT_F16)}},
    {.kind = RESIDENT_LOWRANK, .rank = 7, .coding = {FLOAT(16, INGOT_BF16)}},
};

static uint32_t count_blocks(const struct vk_device *device)
{
    uint32_t n = 0;
    for (const struct vk_block *block = device->blocks; block; block = block->next) n++;
    return n;
}

/* By rows over as many buffers as it takes, and rows of kept values as they come. */
static void matrices_are_larger_than_an_allocation(void **state)
{
    struct fixture *const fixture = *state;
    const struct vk_options options = {.allocation_bytes = 60000};
    struct vk_device *const device = fixture_device(fixture, options);
    struct vk_matrix *uploaded = NULL;
    struct made m;
    made_matrix(&m, 1, 300, 400, &f32, 1);
    check_against(device, "f32", &m, &m.matrix, 3);
    assert_int_equal(ingot_vk_matrix_upload(device, &m.matrix, &uploaded, NULL), INGOT_OK);
    assert_true(count_blocks(device) > 8);
    assert_true(uploaded->resident_bytes > 300 * 400 * 4);
    ingot_vk_matrix_release(device, uploaded);
    assert_true(count_blocks(device) <= 1); /* that of the trial */
    made_release(&m);
    made_matrix(&m, 2, 900, 331, mixed, 3);
    check_matrix(device, "sum", &m, 5);
    /* One row is more than an allocation. */
    ingot_error error = {.what = ""};
    uploaded = NULL;
    made_matrix(&m, 3, 2, 16000, &f32, 1);
    assert_int_equal(ingot_vk_matrix_upload(device, &m.matrix, &uploaded, &error),
                     INGOT_UNSUPPORTED);
    assert_non_null(strstr(error.what, "at most 60000"));
    assert_null(uploaded);
    made_release(&m);
    ingot_vk_device_close(device);
}

static void full_devices_spill(void **state)
{
    struct fixture *const fixture = *state;
    /* The vectors' blocks have room, and some of the weights. */
    const struct vk_options options = {.memory_bytes[MEMORY_DEVICE] = 26 << 20,
                                       .stage_uploads = true};
    struct vk_device *const device = fixture_device(fixture, options);
    struct made m;
    made_matrix(&m, 4, 5000, 2048, &f32, 1);
    check_against(device, "f32", &m, &m.matrix, 1);
    assert_true(device->has_spilled);
    assert_true(device->held_bytes[MEMORY_DEVICE] <= options.memory_bytes[MEMORY_DEVICE]);
    struct vk_matrix *uploaded = NULL;
    assert_int_equal(ingot_vk_matrix_upload(device, &m.matrix, &uploaded, NULL), INGOT_OK);
    assert_true(device->held_bytes[MEMORY_SPILL] >= 5000 * 2048 * 4);
    ingot_vk_matrix_release(device, uploaded);
    assert_true(device->held_bytes[MEMORY_SPILL] == 0);
    made_release(&m);
    ingot_vk_device_close(device);
}

static void full_machines_say_so(void **state)
{
    struct fixture *const fixture = *state;
    const struct vk_options options = {
        .memory_bytes = {[MEMORY_DEVICE] = 26 << 20, [MEMORY_SPILL] = 1000}, .slab_bytes = 1 << 20};
    struct vk_device *const device = fixture_device(fixture, options);
    struct vk_matrix *uploaded = NULL;
    struct made m;
    ingot_error error = {.what = ""};
    made_matrix(&m, 5, 100, 2048, &f32, 1);
    check_matrix(device, "what there is room for", &m, 1);
    const uint64_t n_held = device->held_bytes[MEMORY_DEVICE];
    const uint32_t n_blocks = count_blocks(device);
    made_matrix(&m, 6, 5000, 2048, &f32, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ingot_vk_matrix_upload(device, &m.matrix, &uploaded, &error),
                         INGOT_NO_MEMORY);
        assert_null(uploaded);
        if (!strstr(error.what, "bytes wanted") || !strstr(error.what, "taken on the device")) {
            fail_msg("%s", error.what);
        }
        assert_true(device->held_bytes[MEMORY_DEVICE] == n_held);
        assert_int_equal(count_blocks(device), n_blocks);
    }
    made_release(&m);
    made_matrix(&m, 5, 100, 2048, &f32, 1);
    check_matrix(device, "what there is room for still", &m, 1);
    ingot_vk_device_close(device);
}

/* Devices allow so many allocations. */
static void allocations_are_few(void **state)
{
    struct fixture *const fixture = *state;
    struct vk_device *const device = fixture_device(fixture, (struct vk_options){0});
    struct vk_matrix *uploaded[200];
    struct made m;
    made_matrix(&m, 7, 64, 512, mixed, 3);
    const uint32_t n_before = device->n_allocations;
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(ingot_vk_matrix_upload(device, &m.matrix, &uploaded[i], NULL), INGOT_OK);
    }
    assert_in_range(device->n_allocations, n_before + 1, n_before + 10);
    for (uint32_t i = 0; i < 200; i++) ingot_vk_matrix_release(device, uploaded[i]);
    device->max_allocations = device->n_allocations;
    ingot_error error = {.what = ""};
    struct vk_block *block = NULL;
    assert_int_equal(
        ingot_vk_block_open(device, MEMORY_DEVICE, 100, "one too many", &block, &error),
        INGOT_NO_MEMORY);
    assert_non_null(strstr(error.what, "TOO_MANY_OBJECTS"));
    made_release(&m);
    ingot_vk_device_close(device);
}

int main(void)
{
    const struct CMUnitTest without_device[] = {
        cmocka_unit_test(heaps_are_chosen),
        cmocka_unit_test(room_is_reckoned),
    };
    const int n_failed = cmocka_run_group_tests_name("vulkan heaps", without_device, NULL, NULL);
    struct fixture fixture;
    if (n_failed != 0) return 1;
    if (!fixture_open(&fixture)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(matrices_are_larger_than_an_allocation, &fixture),
        cmocka_unit_test_prestate(full_devices_spill, &fixture),
        cmocka_unit_test_prestate(full_machines_say_so, &fixture),
        cmocka_unit_test_prestate(allocations_are_few, &fixture),
        cmocka_unit_test_prestate(no_message_came, &fixture),
    };
    return fixture_close(&fixture, cmocka_run_group_tests_name("vulkan memory", tests, NULL, NULL));
}

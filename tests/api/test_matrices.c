/* Matrices through the public interface, on every device: adapters on and off, x in three types,
 * forecasts, hooks. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "convert/presets.h"
#include "format/floats.h"
#include "format/reader.h"
#include "tests/support/adapter_file.h"
#include "tests/support/failing_memory.h"
#include "tests/support/made_tensor.h"
#include "tests/support/specimen.h"

static ingot_file *open_bytes(const struct byte_buffer *bytes)
{
    ingot_file *file = NULL;
    ingot_error error = {.what = ""};
    if (ingot_file_open_memory(bytes->data, bytes->n_bytes, NULL, &file, &error) != INGOT_OK) {
        fail_msg("%s: %s", error.field, error.what);
    }
    return file;
}

static ingot_device *open_device(uint32_t index, const ingot_allocator *allocator)
{
    ingot_device *device = NULL;
    ingot_error error = {.what = ""};
    if (ingot_device_open(index, 2, NULL, allocator, &device, &error) != INGOT_OK) {
        fail_msg("device %d: %s", (int)index, error.what);
    }
    return device;
}

/* Calls use with each device of this machine that is usable, and returns how many there are. */
static uint32_t each_device(void (*use)(ingot_device *device, void *context), void *context)
{
    ingot_device_info infos[8];
    uint32_t n, n_used = 0;
    assert_int_equal(ingot_device_list(infos, 8, &n, NULL), INGOT_OK);
    for (uint32_t i = 0; i < n && i < 8; i++) {
        if (!infos[i].usable) continue;
        ingot_device *device = open_device(infos[i].index, NULL);
        use(device, context);
        ingot_device_close(device);
        n_used++;
    }
    return n_used;
}

/* ---- adapters ---- */

static void fill_x(float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) x[i] = (float)((int)(i * 5 % 17) - 8) / 16;
}

/* The products of two rows of x are those of the decoded rows; every sum is exact in f32. */
static void check_product(ingot_matrix *matrix, const ingot_file *file, uint32_t tensor,
                          const char *const *adapters, uint32_t n_adapters)
{
    float w[ADAPTER_ROWS * ADAPTER_COLS], x[2 * ADAPTER_COLS], y[2 * ADAPTER_ROWS];
    fill_x(x, 2 * ADAPTER_COLS);
    assert_int_equal(
        ingot_file_decode(file, tensor, 0, ADAPTER_ROWS, INGOT_F32, adapters, n_adapters, w, NULL),
        INGOT_OK);
    ingot_error error = {.what = ""};
    if (ingot_matmul(matrix, INGOT_F32, x, 2, y, &error) != INGOT_OK) fail_msg("%s", error.what);
    for (uint32_t i = 0; i < 2 * ADAPTER_ROWS; i++) {
        const uint32_t row = i % ADAPTER_ROWS;
        double sum = 0;
        for (uint32_t c = 0; c < ADAPTER_COLS; c++) {
            sum +=
                (double)w[row * ADAPTER_COLS + c] * (double)x[i / ADAPTER_ROWS * ADAPTER_COLS + c];
        }
        if (fabs((double)y[i] - sum) > 1e-5) {
            fail_msg("tensor %u with %u adapters: y[%u] is %g, not %g", tensor, n_adapters, i,
                     (double)y[i], sum);
        }
    }
}

struct adapter_run {
    const ingot_file *file;
    uint32_t n_checked;
};

static const char *const names[] = {"french", "german", "patch", "m1", "nobody"};

/* Sets of names 0 to 4, as bits. */
static uint32_t choose(uint32_t set, const char *chosen[5])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < 5; i++) {
        if (set >> i & 1) chosen[n++] = names[i];
    }
    return n;
}

static void open_with_sets(ingot_device *device, void *context)
{
    struct adapter_run *run = context;
    for (uint32_t t = 0; t < N_ADAPTER_TENSORS; t++) {
        for (uint32_t set = 0; set < 32; set++) {
            const char *chosen[5];
            const ingot_matrix_options options = {.adapters = chosen,
                                                  .n_adapters = choose(set, chosen)};
            ingot_matrix *matrix = NULL;
            ingot_error error = {.what = ""};
            const ingot_status status =
                ingot_matrix_open_with(device, run->file, t, 0, &options, &matrix, &error);
            if (status == INGOT_UNSUPPORTED) continue; /* a device need not have every form */
            if (status != INGOT_OK) fail_msg("tensor %u, set %u: %s", t, set, error.what);
            check_product(matrix, run->file, t, chosen, options.n_adapters);
            run->n_checked++;
            ingot_matrix_close(matrix);
        }
    }
}

static void switch_sets(ingot_device *device, void *context)
{
    struct adapter_run *run = context;
    static const uint32_t tensors[] = {ADAPTER_PLAIN, ADAPTER_BOTH, ADAPTER_FRENCH, ADAPTER_UNDER};
    static const char *const all[] = {"french", "german", "nobody", "french"};
    const ingot_matrix_options options = {.adapters = all, .n_adapters = 4, .switchable = true};
    for (uint32_t i = 0; i < 4; i++) {
        ingot_matrix *matrix = NULL;
        ingot_error error = {.what = ""};
        if (ingot_matrix_open_with(device, run->file, tensors[i], 0, &options, &matrix, &error) !=
            INGOT_OK) {
            fail_msg("tensor %u: %s", tensors[i], error.what);
        }
        check_product(matrix, run->file, tensors[i], all, 3);
        for (uint32_t step = 0; step < 9; step++) {
            const char *chosen[5];
            const uint32_t set = step * 5 % 4;
            for (uint32_t k = 0; k < 2; k++) {
                assert_int_equal(ingot_matrix_switch(matrix, names[k], set >> k & 1, NULL),
                                 INGOT_OK);
            }
            assert_int_equal(ingot_matrix_switch(matrix, "nobody", step & 1, NULL), INGOT_OK);
            check_product(matrix, run->file, tensors[i], chosen, choose(set, chosen));
            run->n_checked++;
        }
        assert_int_equal(ingot_matrix_switch(matrix, "frenc", true, &error), INGOT_NOT_FOUND);
        ingot_matrix_close(matrix);
    }
}

static void refuse_switches(ingot_device *device, void *context)
{
    struct adapter_run *run = context;
    static const uint32_t tensors[] = {ADAPTER_DORA, ADAPTER_PATCH, ADAPTER_REPLACED};
    static const char *const all[] = {"french", "m1", "patch"};
    const ingot_matrix_options options = {.adapters = all, .n_adapters = 3, .switchable = true};
    for (uint32_t i = 0; i < 3; i++) {
        ingot_matrix *matrix = NULL;
        ingot_error error = {.what = ""};
        const ingot_status status =
            ingot_matrix_open_with(device, run->file, tensors[i], 0, &options, &matrix, &error);
        if (status == INGOT_UNSUPPORTED) continue;
        assert_int_equal(status, INGOT_REFUSED);
        assert_null(matrix);
        assert_non_null(strstr(error.what, "does more than add"));
    }
    ingot_matrix *matrix = NULL;
    assert_int_equal(ingot_matrix_open(device, run->file, ADAPTER_BOTH, 0, &matrix, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_matrix_switch(matrix, "french", true, NULL), INGOT_NOT_FOUND);
    ingot_matrix_close(matrix);
}

static void test_adapters(void **state)
{
    (void)state;
    struct written w;
    adapter_file_make(&w);
    struct adapter_run run = {open_bytes(&w.bytes), 0};
    const uint32_t n = each_device(open_with_sets, &run);
    assert_true(n >= 1 && run.n_checked >= 6 * 32);
    run.n_checked = 0;
    each_device(switch_sets, &run);
    assert_int_equal(run.n_checked, n * 36);
    each_device(refuse_switches, &run);
    ingot_file_close((ingot_file *)(uintptr_t)run.file);
    written_release(&w);
}

/* ---- x in other types ---- */

enum { N_ROWS = 96, N_COLS = 160, N_X = 5 };
static const uint64_t dims[2] = {N_ROWS, N_COLS};

static void write_one(struct written *w, const char *encoding)
{
    float *values = malloc(N_ROWS * N_COLS * sizeof *values);
    assert_non_null(values);
    fill_x(values, N_ROWS * N_COLS);
    written_begin(w, INGOT_COMPRESS_NONE);
    assert_int_equal(
        ingot_writer_add_encoded(w->writer, "w", INGOT_F32, 2, dims, values, encoding, NULL),
        INGOT_OK);
    written_end(w);
    free(values);
}

static void multiply_types(ingot_device *device, void *context)
{
    float x[N_X * N_COLS], y[N_X * N_ROWS], other[N_X * N_ROWS];
    uint16_t halves[N_X * N_COLS], brains[N_X * N_COLS];
    ingot_error error = {.field = ""};
    ingot_matrix *matrix = NULL;
    fill_x(x, N_X * N_COLS);
    for (uint32_t i = 0; i < N_X * N_COLS; i++) {
        halves[i] = f16_from_f32(x[i]);
        brains[i] = bf16_from_f32(x[i]);
    }
    assert_int_equal(ingot_matrix_open(device, context, 0, 0, &matrix, NULL), INGOT_OK);
    for (uint64_t n = 0; n <= N_X; n++) {
        assert_int_equal(ingot_matmul(matrix, INGOT_F32, x, n, y, NULL), INGOT_OK);
        assert_int_equal(ingot_matmul(matrix, INGOT_F16, halves, n, other, NULL), INGOT_OK);
        assert_memory_equal(y, other, n * N_ROWS * sizeof *y);
        memset(other, 0, sizeof other);
        assert_int_equal(ingot_matmul(matrix, INGOT_BF16, brains, n, other, NULL), INGOT_OK);
        assert_memory_equal(y, other, n * N_ROWS * sizeof *y);
    }
    assert_int_equal(ingot_matmul(matrix, INGOT_F64, x, 1, y, &error), INGOT_UNSUPPORTED);
    assert_string_equal(error.field, "x");
    ingot_matrix_close(matrix);
}

static void test_types_of_x(void **state)
{
    (void)state;
    struct written w;
    write_one(&w, "int8");
    ingot_file *file = open_bytes(&w.bytes);
    each_device(multiply_types, file);
    ingot_file_close(file);
    written_release(&w);
}

/* ---- forecasts ---- */

struct forecasts {
    const ingot_file *file;
    uint64_t n_compared;
    uint64_t n_refused;
};

/* At least what the matrix then takes. Returns false when it cannot be opened. */
static bool compare_forecast(ingot_device *device, const ingot_file *file, uint32_t tensor,
                             uint64_t m, const ingot_matrix_options *options, uint64_t *forecast,
                             uint64_t *resident)
{
    ingot_matrix *matrix = NULL;
    const ingot_status told =
        ingot_matrix_forecast(device, file, tensor, m, options, forecast, NULL);
    const ingot_status opened =
        ingot_matrix_open_with(device, file, tensor, m, options, &matrix, NULL);
    if (opened != INGOT_OK) return false;
    assert_int_equal(told, INGOT_OK);
    *resident = ingot_matrix_resident_bytes(matrix);
    ingot_matrix_close(matrix);
    if (*forecast < *resident) {
        ingot_tensor t;
        ingot_file_tensor(file, tensor, &t);
        fail_msg("%s, %llu x %llu: %llu bytes, and %llu were forecast", t.encoding,
                 (unsigned long long)t.n_rows, (unsigned long long)t.n_cols,
                 (unsigned long long)*resident, (unsigned long long)*forecast);
    }
    return true;
}

static void forecast_all(ingot_device *device, void *context)
{
    struct forecasts *f = context;
    static const char *const french[] = {"french", "adapter"};
    for (uint32_t t = 0; t < ingot_file_n_tensors(f->file); t++) {
        const uint64_t n_matrices = ingot_file_layout(f->file, t).shape.n_matrices;
        for (uint32_t kind = 0; kind < 3; kind++) {
            const ingot_matrix_options options = {
                .adapters = french, .n_adapters = kind ? 2 : 0, .switchable = kind == 2};
            for (uint64_t m = 0; m < n_matrices; m++) {
                uint64_t forecast, resident;
                const bool opened =
                    compare_forecast(device, f->file, t, m, &options, &forecast, &resident);
                f->n_compared += opened;
                f->n_refused += !opened;
            }
        }
    }
}

/* Every form that there is. */
static void test_forecast_bounds(void **state)
{
    (void)state;
    struct forecasts f = {0};
    struct random random = {11};
    struct written w;
    struct draft d;
    ingot_device *cpu = open_device(INGOT_DEVICE_CPU, NULL);
    adapter_file_make(&w);
    f.file = open_bytes(&w.bytes);
    each_device(forecast_all, &f);
    ingot_file_close((ingot_file *)(uintptr_t)f.file);
    written_release(&w);
    specimen_begin(&d);
    draft_seal(&d);
    f.file = open_bytes(&d.file);
    each_device(forecast_all, &f);
    ingot_file_close((ingot_file *)(uintptr_t)f.file);
    draft_release(&d);
    for (int i = 0; i < 300; i++) {
        static struct made_tensor m;
        made_tensor_make(&m, &random);
        written_begin(&w, INGOT_COMPRESS_NONE);
        made_tensor_write(&m, w.writer);
        written_end(&w);
        f.file = open_bytes(&w.bytes);
        forecast_all(cpu, &f);
        if (i % 20 == 0) each_device(forecast_all, &f);
        ingot_file_close((ingot_file *)(uintptr_t)f.file);
        written_release(&w);
        made_release(&m.made);
    }
    ingot_device_close(cpu);
    assert_true(f.n_compared > 800 && f.n_refused < f.n_compared);
}

/* Wide enough for the CPU's own forms, and with rows and columns that do not fill them. */
static void test_forecast_of_panels(void **state)
{
    (void)state;
    static const char *const encodings[] = {"f32",
                                            "bf16",
                                            "int8",
                                            "int4",
                                            "int4-g128",
                                            "int3-g128",
                                            "int4-g64-affine",
                                            "nf4",
                                            "q4_k",
                                            "q6_k",
                                            "code4",
                                            "int4-g32-affine-nested6",
                                            "nf4-g16-nested6",
                                            "q5_1",
                                            "q2_k",
                                            "fp8",
                                            "fp8-b128",
                                            "mxfp4",
                                            "nvfp4",
                                            "iq4_xs",
                                            "int8+lowrank16",
                                            "ternary"};
    static const uint64_t shapes[][2] = {{1, 1280}, {70, 1280}, {33, 256}, {17, 768}};
    struct written w;
    struct random random = {5};
    float *values = malloc(70 * 1280 * sizeof *values);
    assert_non_null(values);
    for (uint64_t i = 0; i < 70 * 1280; i++) {
        values[i] = (float)random_below(&random, 2000) / 1000 - 1;
    }
    for (uint32_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        written_begin(&w, INGOT_COMPRESS_NONE);
        for (uint32_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
            assert_int_equal(ingot_writer_add_encoded(w.writer, encodings[i], INGOT_F32, 2,
                                                      shapes[s], values, encodings[i], NULL),
                             INGOT_OK);
        }
        written_end(&w);
        struct forecasts f = {.file = open_bytes(&w.bytes)};
        each_device(forecast_all, &f);
        assert_true(f.n_compared > 0);
        ingot_file_close((ingot_file *)(uintptr_t)f.file);
        written_release(&w);
    }
    free(values);
}

/* Bytes that are taken, each block of which has its number before it. */
enum { COUNT_BYTES = 64 };

static void *count_allocate(void *context, size_t n_bytes)
{
    uint8_t *memory = malloc(n_bytes + COUNT_BYTES);
    if (memory == NULL) return NULL;
    memcpy(memory, &n_bytes, sizeof n_bytes);
    atomic_fetch_add((atomic_size_t *)context, n_bytes);
    return memory + COUNT_BYTES;
}

static void count_release(void *context, void *memory)
{
    size_t n_bytes;
    if (memory == NULL) return;
    memcpy(&n_bytes, (uint8_t *)memory - COUNT_BYTES, sizeof n_bytes);
    atomic_fetch_sub((atomic_size_t *)context, n_bytes);
    free((uint8_t *)memory - COUNT_BYTES);
}

/* What a matrix says that it takes is what it takes, but for small tables. */
static void check_taken(const ingot_file *file, const char *level)
{
    atomic_size_t n_taken = 0;
    const ingot_allocator counting = {
        .allocate = count_allocate, .release = count_release, .context = &n_taken};
    ingot_device *device = NULL;
    assert_int_equal(ingot_device_open(INGOT_DEVICE_CPU, 2, level, &counting, &device, NULL),
                     INGOT_OK);
    for (uint32_t t = 0; t < ingot_file_n_tensors(file); t++) {
        ingot_matrix *matrix = NULL;
        ingot_tensor info;
        const size_t before = n_taken;
        assert_int_equal(ingot_matrix_open(device, file, t, 0, &matrix, NULL), INGOT_OK);
        const size_t n_bytes = n_taken - before;
        const uint64_t resident = ingot_matrix_resident_bytes(matrix);
        ingot_matrix_close(matrix);
        assert_int_equal(n_taken, before);
        ingot_file_tensor(file, t, &info);
        if (n_bytes <= resident + 4096) continue;
        fail_msg("%.*s takes %llu bytes and says %llu", (int)info.name_bytes, info.name,
                 (unsigned long long)n_bytes, (unsigned long long)resident);
    }
    ingot_device_close(device);
    assert_int_equal(n_taken, 0);
}

/* A tenth more at most. */
static void forecast_closely(const ingot_file *file, const char *level)
{
    static const ingot_matrix_options options = {.adapters = NULL};
    ingot_device *device = NULL;
    assert_int_equal(ingot_device_open(INGOT_DEVICE_CPU, 2, level, NULL, &device, NULL), INGOT_OK);
    for (uint32_t t = 0; t < ingot_file_n_tensors(file); t++) {
        uint64_t forecast, resident;
        ingot_tensor info;
        assert_true(compare_forecast(device, file, t, 0, &options, &forecast, &resident));
        ingot_file_tensor(file, t, &info);
        if (forecast <= resident + resident / 10) continue;
        fail_msg("%.*s at level %s: %llu bytes, and %llu were forecast", (int)info.name_bytes,
                 info.name, level ? level : "best", (unsigned long long)resident,
                 (unsigned long long)forecast);
    }
    ingot_device_close(device);
}

/* Every encoding that there is, at the levels of which one has forms of its own. */
static void test_forecast_is_close(void **state)
{
    (void)state;
    static const char *const more[] = {"int4-g128",       "int4-g64-affine", "int8+lowrank16",
                                       "nf4-g16-nested6", "fp8-b128",        "int3-g128"};
    static const uint64_t large[2] = {192, 1536};
    struct written w;
    struct random random = {3};
    const uint64_t n = large[0] * large[1];
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    for (uint64_t i = 0; i < n; i++) values[i] = (float)random_below(&random, 2000) / 1000 - 1;
    written_begin(&w, INGOT_COMPRESS_NONE);
    for (uint32_t i = 0; preset_at(i) != NULL; i++) {
        const char *name = preset_name(preset_at(i));
        assert_int_equal(
            ingot_writer_add_encoded(w.writer, name, INGOT_F32, 2, large, values, name, NULL),
            INGOT_OK);
    }
    for (uint32_t i = 0; i < sizeof more / sizeof *more; i++) {
        assert_int_equal(
            ingot_writer_add_encoded(w.writer, more[i], INGOT_F32, 2, large, values, more[i], NULL),
            INGOT_OK);
    }
    written_end(&w);
    ingot_file *file = open_bytes(&w.bytes);
    forecast_closely(file, "plain");
    forecast_closely(file, NULL);
    check_taken(file, "plain");
    check_taken(file, NULL);
    ingot_file_close(file);
    written_release(&w);
    free(values);
}

/* ---- hooks ---- */

struct heard {
    uint32_t n[3];
};

static void hear(void *context, ingot_log_level level, const char *message)
{
    struct heard *heard = context;
    assert_true(message[0] != '\0' && !strchr(message, '\n'));
    heard->n[level]++;
}

static void test_log(void **state)
{
    (void)state;
    struct written w;
    struct heard heard = {{0}};
    const ingot_allocator hooks = {.context = &heard, .log = hear};
    ingot_matrix *matrix = NULL;
    write_one(&w, "int4");
    ingot_file *file = open_bytes(&w.bytes);
    ingot_device *device = open_device(INGOT_DEVICE_CPU, &hooks);
    assert_int_equal(heard.n[INGOT_LOG_INFO], 1);
    assert_int_equal(ingot_matrix_open(device, file, 0, 0, &matrix, NULL), INGOT_OK);
    assert_int_equal(heard.n[INGOT_LOG_INFO], 2);
    assert_int_equal(heard.n[INGOT_LOG_WARNING], 0);
    ingot_matrix_close(matrix);
    ingot_device_close(device);
    ingot_file_close(file);
    written_release(&w);
}

/* A switchable matrix with x in bf16: all that a multiplication allocates. */
static ingot_status multiply_scarcely(void *context, const ingot_allocator *allocator,
                                      ingot_error *error)
{
    static const char *const all[] = {"french", "german"};
    const ingot_matrix_options options = {.adapters = all, .n_adapters = 2, .switchable = true};
    ingot_device *device = NULL;
    ingot_matrix *matrix = NULL;
    uint16_t x[ADAPTER_COLS] = {0};
    float y[ADAPTER_ROWS];
    ingot_status status = ingot_device_open(INGOT_DEVICE_CPU, 1, NULL, allocator, &device, error);
    if (status == INGOT_OK) {
        status = ingot_matrix_open_with(device, context, ADAPTER_BOTH, 0, &options, &matrix, error);
    }
    if (status == INGOT_OK) status = ingot_matmul(matrix, INGOT_BF16, x, 1, y, error);
    ingot_matrix_close(matrix);
    if (device) ingot_device_close(device);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    struct written w;
    adapter_file_make(&w);
    ingot_file *file = open_bytes(&w.bytes);
    assert_true(fail_every_allocation(multiply_scarcely, file) > 20);
    ingot_file_close(file);
    written_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_types_of_x),
        cmocka_unit_test(test_forecast_bounds),
        cmocka_unit_test(test_forecast_of_panels),
        cmocka_unit_test(test_forecast_is_close),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

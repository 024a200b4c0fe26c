/* When and how matrices are loaded: at once, at the first product, in their place in the file,
 * unchecked; and what damage does to each. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "format/floats.h"
#include "format/reader.h"
#include "tests/support/adapter_file.h"
#include "tests/support/failing_memory.h"
#include "tests/support/made_tensor.h"

enum { N_ROWS = 1024, N_COLS = 768, N_X = 3, N_WEIGHTS = N_ROWS * N_COLS };
static const uint64_t dims[2] = {N_ROWS, N_COLS};

static const struct type {
    const char *name;
    ingot_dtype dtype;
    bool in_place; /* where it is stored */
} types[] = {{"f32", INGOT_F32, true},
             {"f16", INGOT_F16, true},
             {"bf16", INGOT_BF16, true},
             {"i8", INGOT_I8, false}};
enum { N_TYPES = sizeof types / sizeof *types };

/* Multiples of 1/8 below 4: every sum is exact, whatever its order. */
static float weight(uint64_t i)
{
    return (float)((int)(i * 2654435761u % 63) - 31) / 8;
}

static void encode(ingot_dtype dtype, uint8_t *dst)
{
    for (uint64_t i = 0; i < N_WEIGHTS; i++) {
        const float v = weight(i);
        if (dtype == INGOT_F32) store_f32(dst + 4 * i, v);
        if (dtype == INGOT_F16) store_u16(dst + 2 * i, f16_from_f32(v));
        if (dtype == INGOT_BF16) store_u16(dst + 2 * i, bf16_from_f32(v));
        if (dtype == INGOT_I8) dst[i] = (uint8_t)(int8_t)(8 * v);
    }
}

/* A matrix of each type. */
static void write_file(struct written *w, ingot_compression compression)
{
    uint8_t *data = malloc(4 * N_WEIGHTS);
    assert_non_null(data);
    written_begin(w, compression);
    for (uint32_t i = 0; i < N_TYPES; i++) {
        encode(types[i].dtype, data);
        assert_int_equal(
            ingot_writer_add(w->writer, types[i].name, types[i].dtype, 2, dims, data, NULL),
            INGOT_OK);
    }
    written_end(w);
    free(data);
}

static ingot_file *open_bytes(const struct written *w)
{
    ingot_file *file = NULL;
    assert_int_equal(ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, NULL, &file, NULL),
                     INGOT_OK);
    return file;
}

static ingot_device *open_cpu(uint32_t n_threads, const char *level)
{
    ingot_device *device = NULL;
    assert_int_equal(ingot_device_open(INGOT_DEVICE_CPU, n_threads, level, NULL, &device, NULL),
                     INGOT_OK);
    return device;
}

static ingot_matrix *open_matrix(ingot_device *device, const ingot_file *file, uint32_t tensor,
                                 uint64_t index, const ingot_matrix_options *options)
{
    ingot_matrix *matrix = NULL;
    ingot_error error = {.what = ""};
    if (ingot_matrix_open_with(device, file, tensor, index, options, &matrix, &error) != INGOT_OK) {
        fail_msg("tensor %u: %s: %s", tensor, error.field, error.what);
    }
    return matrix;
}

static void fill_x(float *x)
{
    for (uint32_t i = 0; i < N_X * N_COLS; i++) x[i] = (float)((int)(i * 7 % 17) - 8) / 4;
}

/* ---- the same products ---- */

static void check_products(ingot_matrix *matrix, float unit)
{
    float x[N_X * N_COLS];
    float *y = malloc(N_X * N_ROWS * sizeof *y);
    const uint64_t n_rows = ingot_matrix_rows(matrix);
    ingot_error error = {.what = ""};
    fill_x(x);
    assert_non_null(y);
    if (ingot_matmul(matrix, INGOT_F32, x, N_X, y, &error) != INGOT_OK) {
        fail_msg("%s: %s", error.field, error.what);
    }
    for (uint64_t i = 0; i < N_X * n_rows; i++) {
        double sum = 0;
        for (uint64_t c = 0; c < N_COLS; c++) {
            sum += (double)(unit * weight(i % n_rows * N_COLS + c)) *
                   (double)x[i / n_rows * N_COLS + c];
        }
        if ((double)y[i] == sum) continue;
        fail_msg("y[%llu] is %g, not %g", (unsigned long long)i, (double)y[i], sum);
    }
    free(y);
}

static void check_way(const ingot_file *file, ingot_device *device, bool stored,
                      const ingot_matrix_options *options)
{
    for (uint32_t t = 0; t < N_TYPES; t++) {
        ingot_matrix *matrix = open_matrix(device, file, t, 0, options);
        uint64_t forecast = 0;
        if (options->lazy) assert_int_equal(ingot_matrix_resident_bytes(matrix), 0);
        check_products(matrix, types[t].dtype == INGOT_I8 ? 8.0f : 1.0f);
        const uint64_t n_bytes = ingot_matrix_resident_bytes(matrix);
        const bool in_place = options->in_place && stored && types[t].in_place;
        if (in_place ? n_bytes > 8192 : n_bytes < N_WEIGHTS) {
            fail_msg("%s: %llu bytes", types[t].name, (unsigned long long)n_bytes);
        }
        assert_int_equal(ingot_matrix_forecast(device, file, t, 0, options, &forecast, NULL),
                         INGOT_OK);
        assert_in_range(forecast, n_bytes, n_bytes + n_bytes / 10 + 4096);
        assert_int_equal(ingot_matrix_load(matrix, NULL), INGOT_OK); /* it is */
        ingot_matrix_close(matrix);
    }
}

static void every_way_multiplies_the_same(void **state)
{
    (void)state;
    static const char *const levels[] = {"plain", NULL};
    for (uint32_t stored = 0; stored < 2; stored++) {
        struct written w;
        write_file(&w, stored ? INGOT_COMPRESS_NONE : INGOT_COMPRESS_FAST);
        ingot_file *file = open_bytes(&w);
        for (uint32_t i = 0; i < 2 * 8; i++) {
            const ingot_matrix_options options = {
                .lazy = i & 1, .in_place = i >> 1 & 1, .unchecked = i >> 2 & 1};
            ingot_device *device = open_cpu(1 + i % 3, levels[i >> 3]);
            check_way(file, device, stored, &options);
            ingot_device_close(device);
        }
        ingot_file_close(file);
        written_release(&w);
    }
}

/* Loads a matrix in two ways; they give the same bits, since the plain level has one form. */
static void compare_ways(ingot_device *device, const ingot_file *file, uint32_t tensor,
                         uint64_t index, uint32_t *n_in_place)
{
    const ingot_matrix_options ways[2] = {{.adapters = NULL}, {.lazy = true, .in_place = true}};
    const uint64_t n_cols = ingot_file_layout(file, tensor).shape.n_cols;
    const uint64_t n_rows = ingot_file_layout(file, tensor).shape.n_rows;
    float *x = calloc(2 * n_cols + 1, sizeof *x);
    float *y[2] = {calloc(2 * n_rows + 1, sizeof *x), calloc(2 * n_rows + 1, sizeof *x)};
    ingot_status status[2];
    uint64_t n_bytes[2] = {0, 0}, forecast;
    assert_true(x && y[0] && y[1]);
    for (uint64_t i = 0; i < 2 * n_cols; i++) x[i] = (float)(i % 11) - 5;
    for (uint32_t i = 0; i < 2; i++) {
        ingot_matrix *matrix = NULL;
        status[i] = ingot_matrix_open_with(device, file, tensor, index, &ways[i], &matrix, NULL);
        if (status[i] == INGOT_OK) status[i] = ingot_matmul(matrix, INGOT_F32, x, 2, y[i], NULL);
        if (status[i] == INGOT_OK) {
            n_bytes[i] = ingot_matrix_resident_bytes(matrix);
            assert_int_equal(
                ingot_matrix_forecast(device, file, tensor, index, &ways[i], &forecast, NULL),
                INGOT_OK);
            assert_true(forecast >= n_bytes[i]);
        }
        ingot_matrix_close(matrix);
    }
    assert_int_equal(status[0], status[1]);
    assert_true(n_bytes[1] <= n_bytes[0]);
    assert_memory_equal(y[0], y[1], 2 * n_rows * sizeof *x);
    *n_in_place += n_bytes[1] < n_bytes[0];
    free(y[1]);
    free(y[0]);
    free(x);
}

/* Tensors of every form, and matrices of stacks. */
static void random_tensors_multiply_the_same(void **state)
{
    (void)state;
    struct random random = {21};
    uint32_t n_in_place = 0;
    ingot_device *device = open_cpu(2, "plain");
    for (int i = 0; i < 400; i++) {
        static struct made_tensor m;
        struct written w;
        made_tensor_make(&m, &random);
        written_begin(&w, INGOT_COMPRESS_NONE);
        made_tensor_write(&m, w.writer);
        written_end(&w);
        ingot_file *file = open_bytes(&w);
        for (uint32_t t = 0; t < ingot_file_n_tensors(file); t++) {
            const uint64_t n = ingot_file_layout(file, t).shape.n_matrices;
            for (uint64_t k = 0; k < n; k++) compare_ways(device, file, t, k, &n_in_place);
        }
        ingot_file_close(file);
        written_release(&w);
        made_release(&m.made);
    }
    assert_true(n_in_place > 20);
    ingot_device_close(device);
}

/* Devices that copy everything take the options too. */
static void every_device_loads_later(void **state)
{
    (void)state;
    ingot_device_info infos[8];
    uint32_t n;
    struct written w;
    write_file(&w, INGOT_COMPRESS_NONE);
    ingot_file *file = open_bytes(&w);
    assert_int_equal(ingot_device_list(infos, 8, &n, NULL), INGOT_OK);
    for (uint32_t i = 0; i < n && i < 8; i++) {
        const ingot_matrix_options options = {.lazy = true, .in_place = true};
        ingot_device *device = NULL;
        if (!infos[i].usable) continue;
        assert_int_equal(ingot_device_open(infos[i].index, 2, NULL, NULL, &device, NULL), INGOT_OK);
        ingot_matrix *matrix = open_matrix(device, file, 2, 0, &options);
        check_products(matrix, 1.0f);
        ingot_matrix_close(matrix);
        ingot_device_close(device);
    }
    ingot_file_close(file);
    written_release(&w);
}

/* ---- damage ---- */

static void assert_damaged(ingot_status status, const ingot_error *error, uint64_t offset)
{
    assert_int_equal(status, INGOT_DAMAGED);
    assert_string_equal(error->field, "tensor f32");
    assert_int_equal(error->offset, offset);
}

/* A slab is as many whole rows as 1 MiB holds; of two the f32 weights are damaged. */
enum { ROW_BYTES = 4 * N_COLS, SLAB = (1 << 20) / ROW_BYTES * ROW_BYTES };

static void damage_is_found_when_it_is_read(void **state)
{
    (void)state;
    struct written w;
    float x[N_X * N_COLS], y[N_ROWS];
    const void *weights;
    ingot_error error;
    ingot_matrix *matrix = NULL;
    fill_x(x);
    write_file(&w, INGOT_COMPRESS_NONE);
    ingot_file *file = open_bytes(&w);
    assert_int_equal(ingot_file_view_raw(file, 0, &weights, NULL), INGOT_OK);
    const uint64_t begin = (uint64_t)((const uint8_t *)weights - w.bytes.data);
    const uint64_t first_bad = begin + SLAB;
    w.bytes.data[first_bad + 77] ^= 1;
    w.bytes.data[begin + 2 * SLAB + 5] ^= 1;
    for (uint32_t n_threads = 1; n_threads <= 3; n_threads++) {
        ingot_device *device = open_cpu(n_threads, NULL);
        for (uint32_t in_place = 0; in_place < 2; in_place++) {
            ingot_matrix_options options = {.in_place = in_place};
            assert_damaged(ingot_matrix_open_with(device, file, 0, 0, &options, &matrix, &error),
                           &error, first_bad);
            assert_null(matrix);
            options.lazy = true;
            ingot_matrix *lazy = open_matrix(device, file, 0, 0, &options);
            for (int i = 0; i < 2; i++) {
                assert_damaged(ingot_matmul(lazy, INGOT_F32, x, 1, y, &error), &error, first_bad);
                assert_damaged(ingot_matrix_load(lazy, &error), &error, first_bad);
                assert_int_equal(ingot_matrix_resident_bytes(lazy), 0);
            }
            ingot_matrix_close(lazy);
        }
        /* Unchecked it multiplies, until one asks. */
        const ingot_matrix_options options = {.in_place = true, .unchecked = true};
        ingot_matrix *unchecked = open_matrix(device, file, 0, 0, &options);
        assert_int_equal(ingot_matmul(unchecked, INGOT_F32, x, 1, y, NULL), INGOT_OK);
        assert_damaged(ingot_file_verify(file, 0, &error), &error, first_bad);
        ingot_matrix_close(unchecked);
        /* What is copied is checked in any case. */
        const ingot_matrix_options copied = {.unchecked = true};
        assert_damaged(ingot_matrix_open_with(device, file, 0, 0, &copied, &matrix, &error), &error,
                       first_bad);
        ingot_device_close(device);
    }
    ingot_file_close(file);
    written_release(&w);
}

/* What the index tells is told when a matrix is opened. */
static void refusals_are_not_put_off(void **state)
{
    (void)state;
    static const float values[4 * 4 * 2] = {1};
    static const uint64_t small[2] = {4, 4};
    static const char *const names[] = {"m1"};
    const ingot_matrix_options lazy = {.lazy = true};
    const ingot_matrix_options apart = {
        .lazy = true, .switchable = true, .adapters = names, .n_adapters = 1};
    struct written w;
    ingot_matrix *matrix = NULL;
    uint64_t n_bytes = 0;
    ingot_device *device = open_cpu(1, NULL);
    written_begin(&w, INGOT_COMPRESS_NONE);
    assert_int_equal(ingot_writer_add(w.writer, "c", INGOT_C64, 2, small, values, NULL), INGOT_OK);
    written_end(&w);
    ingot_file *file = open_bytes(&w);
    assert_int_equal(ingot_matrix_open_with(device, file, 0, 0, &lazy, &matrix, NULL),
                     INGOT_UNSUPPORTED);
    assert_int_equal(ingot_matrix_open_with(device, file, 0, 0, NULL, &matrix, NULL),
                     INGOT_UNSUPPORTED);
    assert_int_equal(ingot_matrix_forecast(device, file, 0, 0, NULL, &n_bytes, NULL),
                     INGOT_UNSUPPORTED);
    ingot_file_close(file);
    written_release(&w);
    adapter_file_make(&w);
    file = open_bytes(&w);
    assert_int_equal(ingot_matrix_open_with(device, file, ADAPTER_DORA, 0, &apart, &matrix, NULL),
                     INGOT_REFUSED);
    assert_null(matrix);
    ingot_file_close(file);
    written_release(&w);
    ingot_device_close(device);
}

/* ---- adapters of a matrix that is not loaded yet ---- */

static void adapters_are_switched_before_loading(void **state)
{
    (void)state;
    struct written w;
    adapter_file_make(&w);
    ingot_file *file = open_bytes(&w);
    ingot_device *device = open_cpu(2, NULL);
    char french[] = "french";
    const char *names[] = {french, french};
    const ingot_matrix_options options = {
        .adapters = names, .n_adapters = 2, .switchable = true, .lazy = true};
    const ingot_matrix_options none = {.adapters = NULL};
    ingot_matrix *lazy = open_matrix(device, file, ADAPTER_BOTH, 0, &options);
    ingot_matrix *plain = open_matrix(device, file, ADAPTER_BOTH, 0, &none);
    float x[ADAPTER_COLS], with[ADAPTER_ROWS], without[ADAPTER_ROWS], expected[ADAPTER_ROWS];
    for (uint32_t i = 0; i < ADAPTER_COLS; i++) x[i] = (float)i;
    french[0] = 'F'; /* names need not outlive the call */
    assert_int_equal(ingot_matrix_switch(lazy, "french", false, NULL), INGOT_OK);
    assert_int_equal(ingot_matmul(lazy, INGOT_F32, x, 1, without, NULL), INGOT_OK);
    assert_int_equal(ingot_matmul(plain, INGOT_F32, x, 1, expected, NULL), INGOT_OK);
    assert_memory_equal(without, expected, sizeof without);
    assert_int_equal(ingot_matrix_switch(lazy, "french", true, NULL), INGOT_OK);
    assert_int_equal(ingot_matmul(lazy, INGOT_F32, x, 1, with, NULL), INGOT_OK);
    assert_memory_not_equal(with, without, sizeof with);
    ingot_matrix_close(plain);
    ingot_matrix_close(lazy);
    ingot_device_close(device);
    ingot_file_close(file);
    written_release(&w);
}

/* ---- memory ---- */

static ingot_status load_scarcely(void *context, const ingot_allocator *allocator,
                                  ingot_error *error)
{
    static const char *const all[] = {"french", "german"};
    const ingot_matrix_options options = {
        .adapters = all, .n_adapters = 2, .switchable = true, .lazy = true};
    ingot_device *device = NULL;
    ingot_matrix *matrix = NULL;
    ingot_status status = ingot_device_open(INGOT_DEVICE_CPU, 3, NULL, allocator, &device, error);
    if (status == INGOT_OK) {
        status = ingot_matrix_open_with(device, context, ADAPTER_BOTH, 0, &options, &matrix, error);
    }
    if (status == INGOT_OK) status = ingot_matrix_load(matrix, error);
    /* After a failure the matrix is as before. */
    if (status != INGOT_OK && matrix) assert_int_equal(ingot_matrix_resident_bytes(matrix), 0);
    ingot_matrix_close(matrix);
    if (device) ingot_device_close(device);
    return status;
}

static void loading_survives_a_lack_of_memory(void **state)
{
    (void)state;
    struct written w;
    adapter_file_make(&w);
    ingot_file *file = open_bytes(&w);
    assert_true(fail_every_allocation(load_scarcely, file) > 20);
    ingot_file_close(file);
    written_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_multiplies_the_same),
        cmocka_unit_test(random_tensors_multiply_the_same),
        cmocka_unit_test(every_device_loads_later),
        cmocka_unit_test(damage_is_found_when_it_is_read),
        cmocka_unit_test(refusals_are_not_put_off),
        cmocka_unit_test(adapters_are_switched_before_loading),
        cmocka_unit_test(loading_survives_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

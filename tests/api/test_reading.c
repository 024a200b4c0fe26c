/* The public calls that read: rows in other types, adapters, attachments. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/floats.h"
#include "format/reader.h"
#include "tests/support/adapter_file.h"
#include "tests/support/failing_memory.h"
#include "tests/support/random.h"

static ingot_file *open_bytes(const struct byte_buffer *bytes, const ingot_allocator *allocator)
{
    ingot_file *file = NULL;
    ingot_error error = {.what = ""};
    const ingot_status status =
        ingot_file_open_memory(bytes->data, bytes->n_bytes, allocator, &file, &error);
    if (status != INGOT_OK) fail_msg("%s: %s", error.field, error.what);
    return file;
}

/* ---- rows in other types ---- */

enum { N_ROWS = 600, N_COLS = 1000 };
static const uint64_t dims[2] = {N_ROWS, N_COLS};

static float *random_floats(uint64_t n)
{
    struct random random = {5};
    float *values = malloc((size_t)n * sizeof *values);
    assert_non_null(values);
    for (uint64_t i = 0; i < n; i++) {
        values[i] = f32_from_bits((uint32_t)(random_bits(&random) >> 32));
    }
    return values;
}

/* Every pattern of bits: NaN, infinity and subnormals too, in several batches. */
static void test_rounding(void **state)
{
    (void)state;
    struct written w;
    ingot_error error;
    float *values = random_floats((uint64_t)N_ROWS * N_COLS);
    uint16_t *rounded = malloc((size_t)N_ROWS * N_COLS * 2);
    assert_non_null(rounded);
    written_begin(&w, INGOT_COMPRESS_FAST);
    assert_int_equal(ingot_writer_add(w.writer, "w", INGOT_F32, 2, dims, values, NULL), INGOT_OK);
    written_end(&w);
    ingot_file *file = open_bytes(&w.bytes, NULL);
    assert_int_equal(ingot_file_decode(file, 0, 0, N_ROWS, INGOT_F16, NULL, 0, rounded, NULL),
                     INGOT_OK);
    for (uint32_t i = 0; i < N_ROWS * N_COLS; i++) {
        assert_int_equal(rounded[i], f16_from_f32(values[i]));
    }
    assert_int_equal(ingot_file_decode(file, 0, 17, 500, INGOT_BF16, NULL, 0, rounded, NULL),
                     INGOT_OK);
    for (uint32_t i = 0; i < 500 * N_COLS; i++) {
        assert_int_equal(rounded[i], bf16_from_f32(values[17 * N_COLS + i]));
    }
    assert_int_equal(ingot_file_decode(file, 0, 0, 1, INGOT_F64, NULL, 0, rounded, &error),
                     INGOT_UNSUPPORTED);
    assert_string_equal(error.field, "dtype");
    for (int dtype = INGOT_F32; dtype <= INGOT_BF16; dtype++) {
        assert_int_equal(
            ingot_file_decode(file, 0, N_ROWS, 1, (ingot_dtype)dtype, NULL, 0, rounded, &error),
            INGOT_INVALID);
        assert_int_equal(
            ingot_file_decode(file, 0, UINT64_MAX, 2, (ingot_dtype)dtype, NULL, 0, rounded, &error),
            INGOT_INVALID);
        assert_int_equal(
            ingot_file_decode(file, 0, N_ROWS, 0, (ingot_dtype)dtype, NULL, 0, NULL, NULL),
            INGOT_OK);
    }
    ingot_file_close(file);
    written_release(&w);
    free(rounded);
    free(values);
}

/* ---- adapters ---- */

static double expected(uint32_t tensor, const char *adapter, uint64_t row, uint64_t col)
{
    const uint64_t at = row * ADAPTER_COLS + col;
    const double base = (double)adapter_value(tensor, 0, 0, at);
    const bool french = strstr(adapter, "french") != NULL, german = strstr(adapter, "german");
    double v = base;
    if (tensor == ADAPTER_PLAIN) return v;
    if (tensor == ADAPTER_PATCH) {
        const bool on = row == ADAPTER_SET_ROW && strstr(adapter, "patch") != NULL;
        return on ? (double)adapter_value(tensor, 1, 1, col) : v;
    }
    if (tensor == ADAPTER_REPLACED && row == ADAPTER_SET_ROW) {
        return (double)adapter_value(tensor, 2, 1, col);
    }
    if (french) v += adapter_product(tensor, 1, row, col);
    if (tensor == ADAPTER_BOTH && german) v += adapter_product(tensor, 2, row, col);
    if (tensor == ADAPTER_UNDER) v += adapter_product(tensor, 2, row, col);
    return v;
}

static void check_adapters(const ingot_file *file, uint32_t tensor, const char *spelled,
                           const char *const *adapters, uint32_t n_adapters)
{
    float values[ADAPTER_ROWS * ADAPTER_COLS];
    uint16_t halves[ADAPTER_COLS];
    assert_int_equal(ingot_file_decode(file, tensor, 0, ADAPTER_ROWS, INGOT_F32, adapters,
                                       n_adapters, values, NULL),
                     INGOT_OK);
    assert_int_equal(
        ingot_file_decode(file, tensor, 2, 1, INGOT_BF16, adapters, n_adapters, halves, NULL),
        INGOT_OK);
    for (uint64_t i = 0; i < ADAPTER_ROWS * ADAPTER_COLS; i++) {
        const double v = expected(tensor, spelled, i / ADAPTER_COLS, i % ADAPTER_COLS);
        if ((double)values[i] != v) {
            fail_msg("tensor %u with %s: element %d is %g, not %g", tensor, spelled, (int)i,
                     (double)values[i], v);
        }
    }
    for (uint64_t c = 0; c < ADAPTER_COLS; c++) {
        assert_int_equal(halves[c], bf16_from_f32(values[2 * ADAPTER_COLS + c]));
    }
}

static void test_adapters(void **state)
{
    (void)state;
    static const char *const sets[][3] = {{"french", "german", "patch"}, {"german", "nobody", ""}};
    static const char *const names[] = {"french", "german", "m1", "m2", "patch"};
    struct written w;
    adapter_file_make(&w);
    ingot_file *file = open_bytes(&w.bytes, NULL);
    assert_int_equal(ingot_file_n_adapters(file), 5);
    for (uint32_t i = 0; i < 5; i++) {
        const char *name;
        uint32_t name_bytes;
        ingot_file_adapter(file, i, &name, &name_bytes);
        assert_int_equal(name_bytes, strlen(names[i]));
        assert_memory_equal(name, names[i], name_bytes);
    }
    for (uint32_t t = 0; t < N_ADAPTER_TENSORS; t++) {
        if (t == ADAPTER_DORA) continue;
        check_adapters(file, t, "", NULL, 0);
        check_adapters(file, t, "french", sets[0], 1);
        check_adapters(file, t, "french german", sets[0], 2);
        check_adapters(file, t, "french german patch", sets[0], 3);
        check_adapters(file, t, "german", sets[1], 3);
    }
    ingot_file_close(file);
    written_release(&w);
}

/* One renormalizes; two that would are refused. */
static void test_magnitudes(void **state)
{
    (void)state;
    static const char *const names[] = {"m1", "m2"};
    struct written w;
    ingot_error error;
    float values[ADAPTER_ROWS * ADAPTER_COLS];
    adapter_file_make(&w);
    ingot_file *file = open_bytes(&w.bytes, NULL);
    for (uint32_t k = 0; k < 2; k++) {
        assert_int_equal(ingot_file_decode(file, ADAPTER_DORA, 0, ADAPTER_ROWS, INGOT_F32,
                                           &names[k], 1, values, NULL),
                         INGOT_OK);
        for (uint64_t r = 0; r < ADAPTER_ROWS; r++) {
            double norm = 0;
            for (uint64_t c = 0; c < ADAPTER_COLS; c++) {
                const double v = (double)values[r * ADAPTER_COLS + c];
                norm += v * v;
            }
            const double magnitude = (double)adapter_value(ADAPTER_DORA, k + 1, 2, r);
            assert_true(fabs(sqrt(norm) - fabs(magnitude)) < 1e-5);
        }
    }
    assert_int_equal(
        ingot_file_decode(file, ADAPTER_DORA, 0, 1, INGOT_F32, names, 2, values, &error),
        INGOT_REFUSED);
    assert_non_null(strstr(error.what, "dora"));
    ingot_file_close(file);
    written_release(&w);
}

/* The terms of several tensors that a file has none of. */
static void test_no_adapters(void **state)
{
    (void)state;
    struct written w;
    written_begin(&w, INGOT_COMPRESS_NONE);
    written_end(&w);
    ingot_file *file = open_bytes(&w.bytes, NULL);
    assert_int_equal(ingot_file_n_adapters(file), 0);
    ingot_file_close(file);
    written_release(&w);
}

/* ---- attachments ---- */

static void test_attachments(void **state)
{
    (void)state;
    struct written w;
    ingot_error error;
    char text[6] = "";
    uint32_t index = 77;
    written_begin(&w, INGOT_COMPRESS_NONE);
    assert_int_equal(ingot_writer_attach(w.writer, "a.json", "{}", 2, NULL), INGOT_OK);
    assert_int_equal(ingot_writer_attach(w.writer, "dir/b.txt", "hello", 5, NULL), INGOT_OK);
    assert_int_equal(ingot_writer_attach(w.writer, "a.json", "{}", 2, &error), INGOT_INVALID);
    written_end(&w);
    ingot_file *file = open_bytes(&w.bytes, NULL);
    assert_int_equal(ingot_file_find_attachment(file, "b.txt", 5, &index), INGOT_NOT_FOUND);
    assert_int_equal(index, 77);
    assert_int_equal(ingot_file_find_attachment(file, "dir/b.txt", 9, &index), INGOT_OK);
    assert_int_equal(ingot_file_read_blob(file, index, 0, 5, text, NULL), INGOT_OK);
    assert_string_equal(text, "hello");
    ingot_file_close(file);
    written_release(&w);
}

/* ---- memory ---- */

static ingot_status read_scarcely(void *context, const ingot_allocator *allocator,
                                  ingot_error *error)
{
    static const char *const french[] = {"french"};
    const struct written *w = context;
    ingot_file *file = NULL;
    uint16_t rows[ADAPTER_ROWS * ADAPTER_COLS];
    ingot_status status =
        ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, allocator, &file, error);
    if (status == INGOT_OK) {
        status = ingot_file_decode(file, ADAPTER_BOTH, 0, ADAPTER_ROWS, INGOT_F16, french, 1, rows,
                                   error);
    }
    if (status == INGOT_OK) status = ingot_file_verify(file, ADAPTER_BOTH, error);
    if (status == INGOT_OK) status = ingot_file_verify_all(file, error);
    ingot_file_close(file);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    struct written w;
    adapter_file_make(&w);
    assert_true(fail_every_allocation(read_scarcely, &w) > 8);
    written_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounding),    cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_magnitudes),  cmocka_unit_test(test_no_adapters),
        cmocka_unit_test(test_attachments), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tensors encoded by the writer: the same as the converter makes of them, whatever the number of
 * threads. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/convert.h"
#include "format/floats.h"
#include "format/reader.h"
#include "tests/support/failing_memory.h"
#include "tests/support/folder.h"
#include "tests/support/judge.h"
#include "tests/support/random.h"
#include "tests/support/stream_source.h"

enum { N_ROWS = 300, N_COLS = 320, N = N_ROWS * N_COLS };
static const uint64_t dims[2] = {N_ROWS, N_COLS};

static const char *const encodings[] = {"f32",  "f16",       "bf16",           "int8",
                                        "int4", "lowrank16", "int4+lowrank16", "sparse50+int8"};
enum { N_ENCODINGS = sizeof encodings / sizeof *encodings };

static const ingot_dtype dtypes[] = {INGOT_F64, INGOT_F32, INGOT_F16, INGOT_BF16};

/* Values that every type holds exactly. */
static float value_at(uint64_t i)
{
    return (float)((int)(i * 37 % 255) - 127) / 64;
}

static void *make_data(ingot_dtype dtype)
{
    uint8_t *data = malloc(N * 8);
    assert_non_null(data);
    for (uint64_t i = 0; i < N; i++) {
        const float v = value_at(i);
        const double wide = (double)v;
        if (dtype == INGOT_F64) memcpy(data + 8 * i, &wide, 8);
        if (dtype == INGOT_F32) memcpy(data + 4 * i, &v, 4);
        if (dtype == INGOT_F16) store_u16(data + 2 * i, f16_from_f32(v));
        if (dtype == INGOT_BF16) store_u16(data + 2 * i, bf16_from_f32(v));
    }
    return data;
}

static void assert_ok(ingot_status status, const ingot_error *error)
{
    if (status != INGOT_OK) fail_msg("%s: %s", error->field, error->what);
}

static void write_encoded(struct written *w, ingot_dtype dtype, const void *data,
                          uint32_t n_threads)
{
    ingot_error error;
    written_begin(w, INGOT_COMPRESS_FAST);
    ingot_writer_set_threads(w->writer, n_threads);
    for (uint32_t i = 0; i < N_ENCODINGS; i++) {
        assert_ok(ingot_writer_add_encoded(w->writer, encodings[i], dtype, 2, dims, data,
                                           encodings[i], &error),
                  &error);
    }
    written_end(w);
}

static ingot_file *open_bytes(const struct written *w)
{
    ingot_file *file = NULL;
    assert_int_equal(ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, NULL, &file, NULL),
                     INGOT_OK);
    return file;
}

/* Each encoding, against `ingot convert --encode`. */
static void compare_with_converter(void **state, const ingot_file *file, ingot_dtype dtype,
                                   const void *data)
{
    const char *source = folder_path(*state, "source.ingot");
    const char *target = folder_path(*state, "target.ingot");
    float *ours = malloc(N * sizeof *ours), *theirs = malloc(N * sizeof *theirs);
    ingot_writer *writer = NULL;
    ingot_error error;
    assert_true(ours && theirs);
    assert_ok(ingot_writer_create(source, true, INGOT_COMPRESS_FAST, NULL, &writer, &error),
              &error);
    assert_ok(ingot_writer_add(writer, "w", dtype, 2, dims, data, &error), &error);
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    for (uint32_t i = 0; i < N_ENCODINGS; i++) {
        const struct convert_options options = {.encode = encodings[i], .replace = true};
        struct convert_result result;
        struct model *model = NULL;
        ingot_file *converted = NULL;
        ingot_tensor a, b;
        const char *path = source;
        assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
        assert_ok(convert_model(model, target, &options, &result, &error), &error);
        model_close(model);
        assert_ok(ingot_file_open(target, NULL, &converted, &error), &error);
        ingot_file_tensor(file, i, &a);
        ingot_file_tensor(converted, 0, &b);
        assert_int_equal(a.dtype, b.dtype);
        assert_string_equal(a.encoding, b.encoding);
        assert_int_equal(a.coded_bytes, b.coded_bytes);
        assert_ok(ingot_file_decode_f32(file, i, 0, N_ROWS, ours, &error), &error);
        assert_ok(ingot_file_decode_f32(converted, 0, 0, N_ROWS, theirs, &error), &error);
        assert_memory_equal(ours, theirs, N * sizeof *ours);
        ingot_file_close(converted);
    }
    free(ours);
    free(theirs);
}

static void check_shape(const ingot_file *file, uint32_t index, uint64_t n_matrices,
                        uint64_t n_rows, uint64_t n_cols)
{
    ingot_tensor t;
    ingot_file_tensor(file, index, &t);
    assert_int_equal(t.n_matrices, n_matrices);
    assert_int_equal(t.n_rows, n_rows);
    assert_int_equal(t.n_cols, n_cols);
}

/* Experts: raw, encoded, and what is not one of them. */
static void test_stacks(void **state)
{
    static const uint64_t experts[] = {3, N_ROWS / 3, N_COLS};
    struct written w;
    ingot_error error = {0};
    void *data = make_data(INGOT_BF16);
    (void)state;
    written_begin(&w, INGOT_COMPRESS_NONE);
    ingot_writer_set_stack(w.writer, 1, 2);
    assert_ok(ingot_writer_add(w.writer, "a", INGOT_BF16, 3, experts, data, &error), &error);
    assert_ok(ingot_writer_add_encoded(w.writer, "b", INGOT_BF16, 3, experts, data, "int4", &error),
              &error);
    assert_ok(ingot_writer_add(w.writer, "norm", INGOT_BF16, 1, experts + 2, data, &error), &error);
    ingot_writer_set_stack(w.writer, 0, 0);
    assert_ok(ingot_writer_add(w.writer, "plain", INGOT_BF16, 3, experts, data, &error), &error);
    ingot_writer_set_stack(w.writer, 3, 2);
    assert_int_equal(ingot_writer_add(w.writer, "wrong", INGOT_BF16, 3, experts, data, &error),
                     INGOT_INVALID);
    written_end(&w);
    judge_good(w.bytes.data, w.bytes.n_bytes);
    ingot_file *file = open_bytes(&w);
    check_shape(file, 0, 3, N_ROWS / 3, N_COLS);
    check_shape(file, 1, 3, N_ROWS / 3, N_COLS);
    check_shape(file, 2, 1, 1, N_COLS);
    check_shape(file, 3, 1, 3, N_ROWS / 3 * N_COLS);
    ingot_file_close(file);
    written_release(&w);
    free(data);
}

static void test_encodings(void **state)
{
    for (uint32_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        struct written w, other;
        void *data = make_data(dtypes[d]);
        write_encoded(&w, dtypes[d], data, 1);
        judge_good(w.bytes.data, w.bytes.n_bytes);
        write_encoded(&other, dtypes[d], data, 3);
        assert_int_equal(w.bytes.n_bytes, other.bytes.n_bytes);
        assert_memory_equal(w.bytes.data, other.bytes.data, w.bytes.n_bytes);
        ingot_file *file = open_bytes(&w);
        compare_with_converter(state, file, dtypes[d], data);
        /* Casts hold what every type holds. */
        float row[N_COLS];
        for (uint32_t i = 0; i < 3; i++) {
            ingot_tensor t;
            ingot_file_tensor(file, i, &t);
            assert_int_equal(t.dtype, (int)INGOT_F32 + (int)i);
            assert_int_equal(ingot_file_decode_f32(file, i, 7, 1, row, NULL), INGOT_OK);
            for (uint64_t c = 0; c < N_COLS; c++) {
                assert_true(row[c] <= value_at(7 * N_COLS + c) &&
                            row[c] >= value_at(7 * N_COLS + c));
            }
        }
        ingot_file_close(file);
        written_release(&w);
        written_release(&other);
        free(data);
    }
}

/* Of any rank, and of no elements. */
static void test_shapes(void **state)
{
    (void)state;
    static const float values[24] = {1, -2, 3, 0.5f};
    static const uint64_t shape[4] = {2, 3, 2, 2}, empty[2] = {0, 5};
    struct written w;
    ingot_error error;
    written_begin(&w, INGOT_COMPRESS_NONE);
    for (uint32_t rank = 0; rank <= 4; rank++) {
        char name[2] = {(char)('0' + rank), '\0'};
        assert_ok(ingot_writer_add_encoded(w.writer, name, INGOT_F32, rank, shape, values, "int8",
                                           &error),
                  &error);
    }
    assert_ok(
        ingot_writer_add_encoded(w.writer, "empty", INGOT_F32, 2, empty, values, "int4", &error),
        &error);
    written_end(&w);
    judge_good(w.bytes.data, w.bytes.n_bytes);
    written_release(&w);
}

struct refusal {
    ingot_dtype dtype;
    uint32_t rank;
    const char *encoding;
    ingot_status status;
    const char *says;
};

static void test_refusals(void **state)
{
    (void)state;
    static const uint64_t shape[9] = {1, 64, 1, 1, 1, 1, 1, 1, 1}, huge[2] = {UINT64_MAX, 4};
    static const struct refusal refusals[] = {
        {INGOT_F32, 2, "int44", INGOT_UNSUPPORTED, "int44"},
        {INGOT_F32, 2, "", INGOT_UNSUPPORTED, "preset"},
        {INGOT_I8, 2, "int4", INGOT_UNSUPPORTED, "only f64"},
        {INGOT_F8_E4M3, 2, "int4", INGOT_UNSUPPORTED, "only f64"},
        {(ingot_dtype)99, 2, "int4", INGOT_UNSUPPORTED, "only f64"},
        {INGOT_F32, 9, "int4", INGOT_INVALID, "rank 9"},
        {INGOT_F32, 2, "int4", INGOT_REFUSED, "element 3"},
        {INGOT_F32, 2, "f16", INGOT_REFUSED, "element 4"},
    };
    float values[64] = {0};
    values[3] = (float)NAN;
    values[4] = 1e30f;
    for (uint32_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *r = &refusals[i];
        struct written w;
        ingot_error error = {.what = ""};
        written_begin(&w, INGOT_COMPRESS_NONE);
        const ingot_status status = ingot_writer_add_encoded(w.writer, "w", r->dtype, r->rank,
                                                             shape, values, r->encoding, &error);
        if (status != r->status || !strstr(error.what, r->says)) {
            fail_msg("%s: %s: \"%s\"", r->encoding, ingot_status_name(status), error.what);
        }
        written_release(&w);
    }
    struct written w;
    written_begin(&w, INGOT_COMPRESS_NONE);
    assert_int_equal(
        ingot_writer_add_encoded(w.writer, "w", INGOT_F32, 2, huge, values, "int4", NULL),
        INGOT_INVALID);
    written_release(&w);
}

static ingot_status encode_some(void *context, const ingot_allocator *allocator, ingot_error *error)
{
    static const uint64_t few[2] = {16, 64};
    struct byte_buffer bytes = {.allocator = allocator};
    struct output *output = NULL;
    ingot_writer *writer = NULL;
    ingot_status status = output_to_memory(&bytes, allocator, &output, error);
    if (status == INGOT_OK) {
        status = ingot_writer_over(output, INGOT_COMPRESS_NONE, allocator, &writer, error);
    }
    if (status == INGOT_OK) {
        ingot_writer_set_threads(writer, 1);
        status = ingot_writer_add_encoded(writer, "a", INGOT_F32, 2, few, context, "int4+lowrank16",
                                          error);
    }
    if (status == INGOT_OK) {
        status = ingot_writer_add_encoded(writer, "b", INGOT_F32, 2, few, context, "int8", error);
    }
    if (status == INGOT_OK) status = ingot_writer_finish(writer, error);
    ingot_writer_close(writer);
    buffer_release(&bytes);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    void *data = make_data(INGOT_F32);
    assert_true(fail_every_allocation(encode_some, data) > 10);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stacks),
        cmocka_unit_test_setup_teardown(test_encodings, folder_make, folder_remove),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Encoded tensors as matrices of the CPU backend, at every level: how much memory they take beside
 * the file, and that they multiply as they decode. Through the public interface alone. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/random.h"
#include "tests/support/stream_source.h"

enum { N_ROWS = 208, N_COLS = 4096, N_X = 3 };
static const uint64_t dims[2] = {N_ROWS, N_COLS};
static const char *const levels[] = {"plain", "avx2", "avx512"};

/* Four bits a weight and more. */
static const char *const encodings[] = {
    "f32",
    "f16",
    "bf16",
    "int8",
    "int6",
    "int5",
    "int4",
    "int4-g128",
    "nf4",
    "fp4",
    "code4",
    "fp8",
    "mxfp4",
    "mxfp6",
    "mxfp8",
    "nvfp4",
    "q4_0",
    "q4_1",
    "q5_0",
    "q5_1",
    "q8_0",
    "q4_k",
    "q5_k",
    "q6_k",
    "iq4_nl",
    "iq4_xs",
    "int4-g128-affine",
    "nf4-bnb",
    "sparse50",
    "int8+sparse50",
    "int4+lowrank16",
};
/* Others: a term of 409 columns that has codes of its own; narrow codes; a list. */
static const char *const more[] = {
    "columns10+int8", "columns10+int4", "outliers1+int4", "int2",  "int3",
    "ternary",        "q2_k",           "q3_k",           "iq1_m",
};
enum {
    N_ENCODINGS = sizeof encodings / sizeof *encodings,
    N_MORE = sizeof more / sizeof *more,
};

static float *make_values(void)
{
    float *values = malloc(sizeof *values * N_ROWS * N_COLS);
    assert_non_null(values);
    struct random random = {5};
    for (uint64_t i = 0; i < (uint64_t)N_ROWS * N_COLS; i++) {
        int sum = 0;
        const uint64_t bits = random_bits(&random);
        for (uint32_t k = 0; k < 8; k++) sum += (int)(bits >> 8 * k & 255) - 127;
        values[i] = (float)sum * 1e-4f;
    }
    return values;
}

static void assert_ok(const char *name, ingot_status status, const ingot_error *error)
{
    if (status != INGOT_OK) fail_msg("%s: %s: %s", name, error->field, error->what);
}

static void multiply_and_check(const char *name, ingot_matrix *matrix, const float *w)
{
    float *x = malloc(sizeof *x * N_X * N_COLS);
    float y[N_X * N_ROWS];
    struct random random = {9};
    ingot_error error;
    assert_non_null(x);
    for (uint64_t i = 0; i < (uint64_t)N_X * N_COLS; i++) {
        x[i] = (float)((double)random_bits(&random) * 0x1p-63 - 1.0);
    }
    assert_ok(name, ingot_matmul(matrix, INGOT_F32, x, N_X, y, &error), &error);
    for (uint64_t k = 0; k < (uint64_t)N_X * N_ROWS; k++) {
        const float *row = w + k % N_ROWS * N_COLS, *of_x = x + k / N_ROWS * N_COLS;
        double sum = 0, magnitude = 0;
        for (uint64_t c = 0; c < N_COLS; c++) {
            sum += (double)row[c] * (double)of_x[c];
            magnitude += fabs((double)row[c] * (double)of_x[c]);
        }
        const double bound = 2 * N_COLS * 0x1p-24 * magnitude;
        if (fabs((double)y[k] - sum) <= bound) continue;
        fail_msg("%s: y[%u] is %g, not %g +- %g", name, (unsigned)k, (double)y[k], sum, bound);
    }
    free(x);
}

/* Codes and tables may take 5 percent more than in the file; tables of values and parameters of the
 * kernels, which do not grow with the matrix, OWN_BYTES besides. */
enum { OWN_BYTES = 8192 };

static void check_tensor(const ingot_file *file, uint32_t tensor, ingot_device *device)
{
    const bool has_limit = tensor < N_ENCODINGS;
    const char *name = has_limit ? encodings[tensor] : more[tensor - N_ENCODINGS];
    ingot_matrix *matrix = NULL;
    ingot_tensor t;
    ingot_error error;
    ingot_file_tensor(file, tensor, &t);
    assert_ok(name, ingot_matrix_open(device, file, tensor, 0, &matrix, &error), &error);
    const uint64_t n_bytes = ingot_matrix_resident_bytes(matrix);
    if (has_limit && n_bytes > t.coded_bytes + t.coded_bytes / 20 + OWN_BYTES) {
        fail_msg("%s takes %llu bytes, and %llu in the file", name, (unsigned long long)n_bytes,
                 (unsigned long long)t.coded_bytes);
    }
    float *w = malloc(sizeof *w * N_ROWS * N_COLS);
    assert_non_null(w);
    assert_ok(name, ingot_file_decode_f32(file, tensor, 0, N_ROWS, w, &error), &error);
    multiply_and_check(name, matrix, w);
    free(w);
    ingot_matrix_close(matrix);
}

static void add_all(struct written *w, const char *const *names, uint32_t n, const float *values)
{
    ingot_error error;
    for (uint32_t i = 0; i < n; i++) {
        assert_ok(names[i],
                  ingot_writer_add_encoded(w->writer, names[i], INGOT_F32, 2, dims, values,
                                           names[i], &error),
                  &error);
    }
}

static void encoded_tensors_stay_small_and_multiply(void **state)
{
    (void)state;
    struct written w;
    ingot_file *file = NULL;
    float *values = make_values();
    written_begin(&w, INGOT_COMPRESS_NONE);
    ingot_writer_set_threads(w.writer, 2);
    add_all(&w, encodings, N_ENCODINGS, values);
    add_all(&w, more, N_MORE, values);
    written_end(&w);
    assert_int_equal(ingot_file_open_memory(w.bytes.data, w.bytes.n_bytes, NULL, &file, NULL),
                     INGOT_OK);
    for (uint32_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        ingot_device *device = NULL;
        if (ingot_device_open(INGOT_DEVICE_CPU, 2, levels[i], NULL, &device, NULL) != INGOT_OK) {
            printf("note: not run: level %s, which this CPU lacks\n", levels[i]);
            continue;
        }
        for (uint32_t k = 0; k < N_ENCODINGS + N_MORE; k++) {
            check_tensor(file, k, device);
        }
        ingot_device_close(device);
    }
    ingot_file_close(file);
    written_release(&w);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoded_tensors_stay_small_and_multiply),
    };
    return cmocka_run_group_tests_name("resident", tests, NULL, NULL);
}

/* Loads a matrix onto a device and multiplies a vector by it, straight from its codes.
 *
 *     multiply FILE TENSOR [DEVICE]
 *
 * DEVICE is a number as `ingot devices` lists them; without one it is the CPU. */
#include <ingot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const ingot_error *error)
{
    fprintf(stderr, "%s: %s\n", error->field, error->what);
    return EXIT_FAILURE;
}

/* What the library has to tell, which by itself prints nothing. */
static void print_message(void *context, ingot_log_level level, const char *message)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", level == INGOT_LOG_WARNING ? "warning" : "note", message);
}

/* y = W x with all of x one: each y is the sum of a row. */
static int multiply(ingot_matrix *matrix)
{
    const uint64_t n_rows = ingot_matrix_rows(matrix), n_cols = ingot_matrix_cols(matrix);
    float *x = (float *)malloc((size_t)n_cols * sizeof *x);
    float *y = (float *)malloc((size_t)n_rows * sizeof *y);
    ingot_error error;
    int status = EXIT_FAILURE;
    if (x != NULL && y != NULL) {
        for (uint64_t i = 0; i < n_cols; i++) x[i] = 1;
        if (ingot_matmul(matrix, INGOT_F32, x, 1, y, &error) == INGOT_OK) {
            for (uint64_t i = 0; i < n_rows && i < 4; i++) printf("y[%d] = %.6g\n", (int)i, y[i]);
            status = EXIT_SUCCESS;
        } else {
            status = fail(&error);
        }
    }
    free(y);
    free(x);
    return status;
}

static int load_and_multiply(ingot_device *device, const ingot_file *file, uint32_t tensor)
{
    ingot_matrix_options options; /* all zero: no adapters */
    ingot_matrix *matrix = NULL;
    ingot_error error;
    uint64_t n_bytes;
    memset(&options, 0, sizeof options);
    if (ingot_matrix_forecast(device, file, tensor, 0, &options, &n_bytes, &error) != INGOT_OK) {
        return fail(&error);
    }
    printf("at most %llu bytes on the device\n", (unsigned long long)n_bytes);
    if (ingot_matrix_open(device, file, tensor, 0, &matrix, &error) != INGOT_OK) {
        return fail(&error);
    }
    const int status = multiply(matrix);
    ingot_matrix_close(matrix);
    return status;
}

int main(int argc, char **argv)
{
    ingot_allocator hooks;
    ingot_file *file = NULL;
    ingot_device *device = NULL;
    ingot_error error;
    uint32_t tensor;
    int status;
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: multiply FILE TENSOR [DEVICE]\n");
        return 2;
    }
    memset(&hooks, 0, sizeof hooks); /* memory from malloc */
    hooks.log = print_message;
    const uint32_t index = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : INGOT_DEVICE_CPU;
    if (ingot_file_open(argv[1], &hooks, &file, &error) != INGOT_OK) return fail(&error);
    if (ingot_file_find(file, argv[2], strlen(argv[2]), &tensor) != INGOT_OK) {
        fprintf(stderr, "%s has no tensor %s\n", argv[1], argv[2]);
        status = EXIT_FAILURE;
    } else if (ingot_device_open(index, 0, NULL, &hooks, &device, &error) != INGOT_OK) {
        status = fail(&error);
    } else {
        status = load_and_multiply(device, file, tensor);
        ingot_device_close(device);
    }
    ingot_file_close(file);
    return status;
}

/* Reads one tensor of an .ingot file, whatever its encoding, and prints what its values are like.
 *
 *     statistics FILE TENSOR
 *
 * Rows are decoded a few at a time, so that memory stays small however large the tensor is. */
#include <ingot.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t step_rows = 64;

static int fail(const char *what, const ingot_error *error)
{
    fprintf(stderr, "%s: %s: %s (%s)\n", what, error->field, error->what,
            ingot_status_name(error->status));
    return EXIT_FAILURE;
}

static int print_statistics(const ingot_file *file, uint32_t index, float *rows)
{
    ingot_tensor t;
    ingot_error error;
    double sum = 0, squares = 0, smallest = INFINITY, largest = -INFINITY;
    ingot_file_tensor(file, index, &t);
    const uint64_t n_rows = t.n_matrices * t.n_rows;
    for (uint64_t row = 0; row < n_rows; row += step_rows) {
        const uint64_t n_step = n_rows - row < step_rows ? n_rows - row : step_rows;
        if (ingot_file_decode_f32(file, index, row, n_step, rows, &error) != INGOT_OK) {
            return fail("cannot decode", &error);
        }
        for (uint64_t i = 0; i < n_step * t.n_cols; i++) {
            const double v = (double)rows[i];
            sum += v;
            squares += v * v;
            smallest = fmin(smallest, v);
            largest = fmax(largest, v);
        }
    }
    const double n = (double)(n_rows * t.n_cols);
    const double mean = sum / n;
    printf("%.*s: %s as %s, %llu x %llu\n", (int)t.name_bytes, t.name, ingot_dtype_name(t.dtype),
           t.encoding, (unsigned long long)n_rows, (unsigned long long)t.n_cols);
    printf("mean %.6g, standard deviation %.6g, from %.6g to %.6g\n", mean,
           sqrt(fmax(squares / n - mean * mean, 0)), smallest, largest);
    printf("%.3f bits a weight in the file\n", (double)t.stored_bytes * 8 / n);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    ingot_file *file = NULL;
    ingot_error error;
    ingot_tensor t;
    uint32_t index;
    int status = EXIT_FAILURE;
    if (argc != 3) {
        fprintf(stderr, "usage: statistics FILE TENSOR\n");
        return 2;
    }
    if (ingot_file_open(argv[1], NULL, &file, &error) != INGOT_OK) return fail(argv[1], &error);
    if (ingot_file_find(file, argv[2], strlen(argv[2]), &index) != INGOT_OK) {
        fprintf(stderr, "%s has no tensor %s\n", argv[1], argv[2]);
    } else {
        ingot_file_tensor(file, index, &t);
        float *rows = (float *)malloc((size_t)(step_rows * t.n_cols) * sizeof *rows);
        if (rows != NULL) status = print_statistics(file, index, rows);
        free(rows);
    }
    ingot_file_close(file);
    return status;
}

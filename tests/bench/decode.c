/* Decoding to f32 with one thread: what ingot_file_decode_f32 gives, checksums included, again and
 * again to the same memory. Usage: decode FILE [ROWS [SECONDS]]: the first tensor of over a million
 * weights, ROWS at a time (default 64). Prints G weights a second of CPU time, the best of the
 * passes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "format/ingot.h"

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One pass; 0 when it failed. */
static double decode_all(const ingot_file *file, uint32_t i, const ingot_tensor *t, uint64_t n_step,
                         float *dst)
{
    ingot_error error = {0};
    const double begin = cpu_seconds();
    for (uint64_t row = 0; row < t->n_rows; row += n_step) {
        const uint64_t n = t->n_rows - row < n_step ? t->n_rows - row : n_step;
        if (ingot_file_decode_f32(file, i, row, n, dst, &error) == INGOT_OK) continue;
        fprintf(stderr, "decode: %s %s\n", error.field, error.what);
        return 0;
    }
    return cpu_seconds() - begin;
}

int main(int n_arguments, char **arguments)
{
    ingot_error error = {0};
    ingot_file *file;
    ingot_tensor t;
    const uint64_t n_step = n_arguments > 2 ? strtoull(arguments[2], NULL, 10) : 64;
    const double limit = n_arguments > 3 ? strtod(arguments[3], NULL) : 1;
    if (n_arguments < 2 || n_step == 0) {
        fprintf(stderr, "usage: decode FILE [ROWS [SECONDS]]\n");
        return 2;
    }
    if (ingot_file_open(arguments[1], NULL, &file, &error) != INGOT_OK) {
        fprintf(stderr, "decode: %s %s\n", error.field, error.what);
        return 1;
    }
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        ingot_file_tensor(file, i, &t);
        if (t.n_rows * t.n_cols < 1000000) continue;
        float *dst = calloc(n_step * t.n_cols, sizeof *dst);
        double best = 1e30, total = 0;
        while (dst && total < limit) {
            const double seconds = decode_all(file, i, &t, n_step, dst);
            if (seconds == 0) return 1;
            best = seconds < best ? seconds : best;
            total += seconds;
        }
        free(dst);
        printf("%-16s %.3f G weights/s\n", t.encoding, (double)(t.n_rows * t.n_cols) / best * 1e-9);
        break;
    }
    ingot_file_close(file);
    return 0;
}

/* From opening a file to products with its matrices, in one process: how long until the first
 * product, in each way of loading, and how fast all matrices are loaded. The file is read once
 * before, so that it is in the page cache. Usage: load FILE [THREADS] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/ingot.h"

struct way {
    const char *name;
    ingot_matrix_options options;
};

static const struct way ways[] = {
    {"lazy, in place, unchecked", {.lazy = true, .in_place = true, .unchecked = true}},
    {"lazy, in place", {.lazy = true, .in_place = true}},
    {"lazy", {.lazy = true}},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(ingot_status status, const ingot_error *error)
{
    if (status == INGOT_OK) return;
    fprintf(stderr, "load: %s: %s\n", error->field, error->what);
    exit(1);
}

struct opened {
    ingot_file *file;
    uint32_t n;
    ingot_matrix **matrices; /* one a tensor */
};

static struct opened open_all(const char *path, ingot_device *device,
                              const ingot_matrix_options *options)
{
    struct opened o;
    ingot_error error;
    must(ingot_file_open(path, NULL, &o.file, &error), &error);
    o.n = ingot_file_n_tensors(o.file);
    o.matrices = calloc(o.n, sizeof *o.matrices);
    if (o.matrices == NULL) exit(3);
    for (uint32_t i = 0; i < o.n; i++) {
        must(ingot_matrix_open_with(device, o.file, i, 0, options, &o.matrices[i], &error), &error);
    }
    return o;
}

static void close_all(struct opened *o)
{
    for (uint32_t i = 0; i < o->n; i++) ingot_matrix_close(o->matrices[i]);
    free(o->matrices);
    ingot_file_close(o->file);
}

/* The first tensor of more than one row: what a model multiplies by first. */
static uint32_t first_matrix(const ingot_file *file)
{
    ingot_tensor t;
    uint32_t i = 0;
    for (; i + 1 < ingot_file_n_tensors(file); i++) {
        ingot_file_tensor(file, i, &t);
        if (t.n_rows > 1) break;
    }
    return i;
}

static uint32_t largest_matrix(const ingot_file *file)
{
    uint32_t largest = 0;
    uint64_t most = 0;
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        ingot_tensor t;
        ingot_file_tensor(file, i, &t);
        if (t.n_rows * t.n_cols <= most) continue;
        most = t.n_rows * t.n_cols;
        largest = i;
    }
    return largest;
}

static double multiply(ingot_matrix *matrix)
{
    ingot_error error;
    const uint64_t n_cols = ingot_matrix_cols(matrix);
    float *x = malloc(n_cols * sizeof *x), *y = malloc(ingot_matrix_rows(matrix) * sizeof *y);
    if (x == NULL || y == NULL) exit(3);
    for (uint64_t i = 0; i < n_cols; i++) x[i] = 1.0f;
    const double begin = now();
    must(ingot_matmul(matrix, INGOT_F32, x, 1, y, &error), &error);
    const double end = now();
    free(x);
    free(y);
    return end - begin;
}

enum { N_RUNS = 7 };

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Opens the file anew and all its matrices, and multiplies by one, several times. */
static void time_first(const char *path, ingot_device *device, const struct way *way, bool largest)
{
    double first[N_RUNS], opening[N_RUNS], next[N_RUNS];
    uint64_t n_rows = 0, n_cols = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < N_RUNS; i++) {
        const double begin = now();
        struct opened o = open_all(path, device, &way->options);
        opening[i] = now() - begin;
        ingot_matrix *matrix = o.matrices[largest ? largest_matrix(o.file) : first_matrix(o.file)];
        first[i] = opening[i] + multiply(matrix);
        next[i] = multiply(matrix);
        n_rows = ingot_matrix_rows(matrix);
        n_cols = ingot_matrix_cols(matrix);
        n = o.n;
        close_all(&o);
    }
    qsort(first, N_RUNS, sizeof *first, compare);
    qsort(opening, N_RUNS, sizeof *opening, compare);
    qsort(next, N_RUNS, sizeof *next, compare);
    printf("%-26s first product, %" PRIu64 " x %" PRIu64
           ", ms after opening the file: min %.2f  median %.2f  max %.2f  (%u matrices open after "
           "%.2f; the next product %.2f)\n",
           way->name, n_rows, n_cols, first[0] * 1e3, first[N_RUNS / 2] * 1e3,
           first[N_RUNS - 1] * 1e3, n, opening[N_RUNS / 2] * 1e3, next[N_RUNS / 2] * 1e3);
}

/* All matrices, one after another, each with every byte checked. */
static void time_all(const char *path, ingot_device *device)
{
    ingot_error error;
    ingot_file *file;
    const ingot_matrix_options options = {.adapters = NULL};
    const double begin = now();
    uint64_t n_bytes = 0, n_coded = 0;
    must(ingot_file_open(path, NULL, &file, &error), &error);
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        ingot_tensor t;
        ingot_matrix *matrix;
        ingot_file_tensor(file, i, &t);
        must(ingot_matrix_open_with(device, file, i, 0, &options, &matrix, &error), &error);
        n_bytes += ingot_matrix_resident_bytes(matrix);
        n_coded += t.coded_bytes;
        ingot_matrix_close(matrix);
    }
    const double seconds = now() - begin;
    printf("all matrices, checked: %.3f s, %.2f GB/s of output (%.2f GB of codes, %.2f resident)\n",
           seconds, (double)n_coded / seconds / 1e9, (double)n_coded / 1e9, (double)n_bytes / 1e9);
    ingot_file_close(file);
}

static void warm(const char *path)
{
    static char buffer[1 << 20];
    FILE *f = fopen(path, "rb");
    while (f != NULL && fread(buffer, 1, sizeof buffer, f) > 0) continue;
    if (f != NULL) fclose(f);
}

int main(int n_arguments, char **arguments)
{
    ingot_error error;
    ingot_device *device;
    if (n_arguments < 2) {
        fprintf(stderr, "usage: load FILE [THREADS]\n");
        return 2;
    }
    const uint32_t n_threads = n_arguments > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : 0;
    warm(arguments[1]);
    must(ingot_device_open(INGOT_DEVICE_CPU, n_threads, NULL, NULL, &device, &error), &error);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        time_first(arguments[1], device, &ways[i], false);
        time_first(arguments[1], device, &ways[i], true);
    }
    for (int run = 0; run < 3; run++) time_all(arguments[1], device);
    ingot_device_close(device);
    return 0;
}

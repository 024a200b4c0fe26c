/* How long a file of many tensors takes to open and list. Usage: open_many PATH N REPEATS
 * Writes PATH (N tensors of 64 f32 each) when it is not there. Prints one line of milliseconds a
 * run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "format/ingot.h"

static void check(ingot_status status, const ingot_error *error)
{
    if (status == INGOT_OK) return;
    fprintf(stderr, "open_many: %s: %s\n", error->field, error->what);
    exit(3);
}

static void write_file(const char *path, unsigned n)
{
    ingot_error error = {0};
    ingot_writer *writer;
    const uint64_t dims[2] = {8, 8};
    float data[64] = {0};
    check(ingot_writer_create(path, false, INGOT_COMPRESS_NONE, NULL, &writer, &error), &error);
    for (unsigned i = 0; i < n; i++) {
        char name[96];
        snprintf(name, sizeof name, "model.layers.%u.mlp.experts.%u.gate_proj.weight", i / 512,
                 i % 512);
        data[0] = (float)i;
        check(ingot_writer_add(writer, name, INGOT_F32, 2, dims, data, &error), &error);
    }
    check(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

int main(int n_arguments, char **arguments)
{
    if (n_arguments != 4) {
        fprintf(stderr, "usage: open_many PATH N REPEATS\n");
        return 2;
    }
    const unsigned n = (unsigned)strtoul(arguments[2], NULL, 10);
    const unsigned n_repeats = (unsigned)strtoul(arguments[3], NULL, 10);
    if (access(arguments[1], F_OK) != 0) write_file(arguments[1], n);
    for (unsigned i = 0; i < n_repeats; i++) {
        ingot_error error = {0};
        ingot_file *file;
        uint64_t n_bytes = 0;
        const double begin = now_ms();
        check(ingot_file_open(arguments[1], NULL, &file, &error), &error);
        for (uint32_t k = 0; k < ingot_file_n_tensors(file); k++) {
            ingot_tensor tensor;
            ingot_file_tensor(file, k, &tensor);
            n_bytes += tensor.stored_bytes;
        }
        const double end = now_ms();
        ingot_file_close(file);
        if (n_bytes != (uint64_t)n * 256) return 1;
        printf("%.3f\n", end - begin);
    }
    return 0;
}

/* The error and the speed of encodings on normal weights, rows of 4096: one line an encoding, with
 * bits per weight, noise over signal (NMSE), how far that is from the least that so many bits allow
 * (2^-2R), and what one thread encodes. Usage:
 *
 *     quantize [ROWS] ENCODING...
 *
 * The speed is of encoding alone, in bytes of bf16 weights a second of CPU time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "convert/convert.h"
#include "convert/encode.h"
#include "format/decode.h"

enum { COLS = 4096 };

/* splitmix64, and two numbers of it to a normal one by Box and Muller */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

static float normal(uint64_t *state)
{
    const double radius = sqrt(-2 * log(uniform(state)));
    return (float)(radius * cos(6.283185307179586 * uniform(state)));
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *room(uint64_t n_bytes)
{
    void *memory = calloc(1, n_bytes + 64);
    if (memory == NULL) {
        fputs("quantize: no memory\n", stderr);
        exit(3);
    }
    return memory;
}

static void fail(const char *name, const char *what)
{
    fprintf(stderr, "quantize: %s: %s\n", name, what);
    exit(1);
}

struct trial {
    const char *name;
    struct preset preset;
    struct term_plan plan;
    struct stack_shape stack;
    const float *values;
    float *decoded;
    uint32_t n_streams;
    struct term_stream streams[TENSOR_MAX_STREAMS];
    uint8_t *data[TENSOR_MAX_STREAMS];
};

static uint64_t begin_trial(struct trial *t, uint64_t n_rows)
{
    uint64_t n_bytes = 0;
    t->stack = (struct stack_shape){1, n_rows, COLS};
    t->preset.plan(&t->preset, INGOT_BF16, t->stack, &t->plan);
    const struct writer_tensor tensor = {.name = "",
                                         .dtype = INGOT_BF16,
                                         .rank = 2,
                                         .dims = {n_rows, COLS},
                                         .split = 1,
                                         .n_terms = 1,
                                         .terms = &t->plan.term};
    if (writer_streams(&tensor, t->streams, &t->n_streams, NULL) != INGOT_OK) {
        fail(t->name, "has no streams");
    }
    for (uint32_t i = 0; i < t->n_streams; i++) {
        t->data[i] = room(t->streams[i].shape.n_bytes);
        n_bytes += t->streams[i].shape.n_bytes;
    }
    return n_bytes;
}

static double encode_all(struct trial *t)
{
    ingot_error error = {0};
    const struct encode_input input = {.plan = &t->plan,
                                       .name = t->name,
                                       .name_bytes = (uint32_t)strlen(t->name),
                                       .shape = t->stack,
                                       .values = t->values,
                                       .decoded = t->decoded};
    const double begin = cpu_seconds();
    if (t->preset.prepare && t->preset.prepare(&input, &error) != INGOT_OK) {
        fail(t->name, error.what);
    }
    if (t->preset.encode(&input, t->data, &error) != INGOT_OK) fail(t->name, error.what);
    return cpu_seconds() - begin;
}

static double noise_over_signal(struct trial *t)
{
    const struct codebook *const codebooks[] = {t->plan.codebook, t->plan.scale_codebook};
    const uint8_t *entries[2] = {NULL, NULL};
    for (uint32_t i = 0; i < 2; i++) {
        if (codebooks[i]) entries[i] = (const uint8_t *)codebooks[i]->entries;
    }
    if (codebooks[0]) t->plan.coding.codebook_stream = 0;
    if (codebooks[1]) t->plan.scale_table.codebook_stream = 1;
    const struct memory_streams memory = {(const uint8_t *const *)t->data, entries};
    const struct stream_provider provider = memory_provider(&memory, NULL);
    const struct stack_part all = {0, t->stack.n_rows, 0, COLS};
    const uint64_t n = t->stack.n_rows * COLS;
    double noise = 0, signal = 0;
    float *told = room(n * sizeof(float));
    memcpy(told, t->decoded, n * sizeof(float));
    if (coding_decode(&t->plan.coding, t->stack, 0, &provider, all, t->decoded, NULL) != INGOT_OK) {
        fail(t->name, "is not decoded");
    }
    if (t->preset.decodes && memcmp(told, t->decoded, n * sizeof(float)) != 0) {
        fail(t->name, "decodes to other values than its encoder says");
    }
    for (uint64_t i = 0; i < n; i++) {
        const double d = (double)t->values[i] - (double)t->decoded[i];
        noise += d * d;
        signal += (double)t->values[i] * (double)t->values[i];
    }
    free(told);
    return noise / signal;
}

static void try_encoding(const char *name, uint64_t n_rows, const float *values, float *decoded)
{
    static struct trial t;
    t = (struct trial){.name = name, .values = values, .decoded = decoded};
    if (!preset_parse(name, strlen(name), &t.preset)) fail(name, "is no encoding");
    const uint64_t n_bytes = begin_trial(&t, n_rows);
    const uint64_t n = n_rows * COLS;
    const double bits = (double)n_bytes * 8 / (double)n;
    const double seconds = encode_all(&t);
    const double nmse = noise_over_signal(&t);
    printf("%-28s %8.4f %10.6f %8.2f %10.0f %8.2f\n", name, bits, nmse,
           10 * log10(nmse / exp2(-2 * bits)), (double)n * 2e-6 / seconds,
           seconds * 1e9 / (double)n);
    fflush(stdout);
    for (uint32_t i = 0; i < t.n_streams; i++) free(t.data[i]);
}

int main(int argc, char **argv)
{
    uint64_t state = 1;
    char *end = NULL;
    const unsigned long asked = argc > 1 ? strtoul(argv[1], &end, 10) : 0;
    const bool has_rows = asked > 0 && *end == '\0';
    const uint64_t n_rows = has_rows ? asked : 1024;
    float *values = room(n_rows * COLS * sizeof(float));
    float *decoded = room(n_rows * COLS * sizeof(float));
    for (uint64_t i = 0; i < n_rows * COLS; i++) values[i] = normal(&state);
    printf("%-28s %8s %10s %8s %10s %8s\n", "encoding", "bits", "NMSE", "dB", "MB/s", "ns/w");
    for (int i = has_rows ? 2 : 1; i < argc; i++) try_encoding(argv[i], n_rows, values, decoded);
    free(decoded);
    free(values);
    return 0;
}

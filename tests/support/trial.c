#include "tests/support/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/decode.h"
#include "format/fail.h"

/* splitmix64, and two numbers of it to a normal one by Box and Muller */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

float trial_normal(uint64_t *state)
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

struct encoded {
    struct preset preset;
    struct term_plan plan;
    uint32_t n_streams;
    struct term_stream streams[TENSOR_MAX_STREAMS];
    uint8_t *data[TENSOR_MAX_STREAMS];
    float *told;
};

static bool make_streams(struct encoded *e, const struct trial *t, ingot_error *error)
{
    const struct writer_tensor tensor = {
        .name = "",
        .dtype = INGOT_F32,
        .rank = 3,
        .dims = {t->stack.n_matrices, t->stack.n_rows, t->stack.n_cols},
        .stack = 1,
        .split = 2,
        .n_terms = 1,
        .terms = &e->plan.term};
    e->preset.plan(&e->preset, INGOT_F32, t->stack, &e->plan);
    if (writer_streams(&tensor, e->streams, &e->n_streams, error) != INGOT_OK) return false;
    for (uint32_t i = 0; i < e->n_streams; i++) {
        e->data[i] = calloc(1, e->streams[i].shape.n_bytes + 8);
        if (e->data[i] == NULL) return false;
    }
    return true;
}

static bool encode(struct encoded *e, struct trial *t, ingot_error *error)
{
    const struct encode_input input = {.plan = &e->plan,
                                       .name = t->name,
                                       .name_bytes = (uint32_t)strlen(t->name),
                                       .shape = t->stack,
                                       .values = t->values,
                                       .importance = t->importance,
                                       .decoded = e->told};
    const double begin = cpu_seconds();
    if (e->preset.prepare && e->preset.prepare(&input, error) != INGOT_OK) return false;
    if (e->preset.encode(&input, e->data, error) != INGOT_OK) return false;
    t->seconds = cpu_seconds() - begin;
    return true;
}

/* Presets have codebooks of either kind. */
static bool decode(struct encoded *e, const struct trial *t, ingot_error *error)
{
    const struct codebook *const codebooks[] = {e->plan.codebook, e->plan.scale_codebook};
    uint8_t books[3][BLOCK_BOOK_MAX_BYTES];
    const uint8_t *entries[3] = {NULL, NULL, NULL};
    for (uint32_t i = 0; i < e->plan.n_books; i++) {
        block_book_write(e->plan.books[i].book, books[i]);
        e->plan.books[i].coding->codebook_stream = i;
        entries[i] = books[i];
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (codebooks[i]) entries[i] = (const uint8_t *)codebooks[i]->entries;
    }
    if (codebooks[0]) e->plan.coding.codebook_stream = 0;
    if (codebooks[1]) e->plan.scale_table.codebook_stream = 1;
    const struct memory_streams memory = {(const uint8_t *const *)e->data, entries};
    const struct stream_provider provider = memory_provider(&memory, NULL);
    const struct stack_part all = {0, t->stack.n_matrices * t->stack.n_rows, 0, t->stack.n_cols};
    return coding_decode(&e->plan.coding, t->stack, 0, &provider, all, t->decoded, error) ==
           INGOT_OK;
}

static void measure(const struct encoded *e, struct trial *t)
{
    const uint64_t n_cols = t->stack.n_cols;
    const uint64_t n = t->stack.n_matrices * t->stack.n_rows * n_cols;
    double noise = 0, signal = 0, n_bytes = 0;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t matrix = i / n_cols / t->stack.n_rows;
        const double h = t->importance ? (double)t->importance[matrix * n_cols + i % n_cols] : 1.0;
        const double d = (double)t->values[i] - (double)t->decoded[i];
        noise += h * d * d;
        signal += h * (double)t->values[i] * (double)t->values[i];
    }
    for (uint32_t i = 0; i < e->n_streams; i++) n_bytes += (double)e->streams[i].shape.n_bytes;
    t->bits = n_bytes * 8 / (double)n;
    t->nmse = noise / signal;
    t->told = !e->preset.decodes || memcmp(e->told, t->decoded, n * sizeof(float)) == 0;
}

bool trial_run(struct trial *t, ingot_error *error)
{
    const uint64_t n = t->stack.n_matrices * t->stack.n_rows * t->stack.n_cols;
    struct encoded *e = calloc(1, sizeof *e);
    bool done = e != NULL && (e->told = calloc(n + 1, sizeof(float))) != NULL;
    if (done && !preset_parse(t->name, strlen(t->name), &e->preset)) {
        ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, t->name, "is no preset");
        done = false;
    }
    done = done && make_streams(e, t, error) && encode(e, t, error) && decode(e, t, error);
    if (done) measure(e, t);
    for (uint32_t i = 0; e && i < e->n_streams; i++) free(e->data[i]);
    if (e) free(e->told);
    free(e);
    return done;
}

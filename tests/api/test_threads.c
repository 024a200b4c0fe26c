/* One open file, one device and its matrices, one pool: shared by many threads, as ingot.h says.
 * Every thread gets what one alone gets. Under the thread sanitizer this is the proof. */
#include "tests/support/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "format/ingot.h"
#include "tests/support/adapter_file.h"

enum { N_THREADS = 8, N_ROUNDS = 6, N_ROWS = 128, N_COLS = 192, N_X = 3 };
static const uint64_t dims[2] = {N_ROWS, N_COLS};
static const char *const encodings[] = {"f32",  "bf16",     "int8",
                                        "int4", "sparse50", "int4+lowrank16"};
enum { N_ENCODINGS = sizeof encodings / sizeof *encodings };

struct results {
    float rows[N_ENCODINGS][N_ROWS * N_COLS];
    float products[N_ENCODINGS][N_X * N_ROWS];
    float with_adapter[ADAPTER_ROWS];
};

struct shared {
    ingot_file *file;
    ingot_file *adapters;
    ingot_metadata *metadata;
    ingot_device *device;
    ingot_matrix *matrices[N_ENCODINGS];
    ingot_matrix *lazy[N_ENCODINGS];
    ingot_matrix *switched;
    float x[N_X * N_COLS];
    struct results expected;
};

/* Threads count their failures: cmocka's asserts belong to the main one. */
struct worker {
    const struct shared *shared;
    pthread_t thread;
    uint32_t number;
    uint32_t n_failures;
};

static void write_file(struct written *w)
{
    static const ingot_value number = {.type = INGOT_VALUE_U32, .u = 7};
    float *values = malloc(N_ROWS * N_COLS * sizeof *values);
    assert_non_null(values);
    for (uint32_t i = 0; i < N_ROWS * N_COLS; i++) values[i] = (float)(i * 7919 % 2003) / 1001 - 1;
    written_begin(w, INGOT_COMPRESS_FAST);
    for (uint32_t i = 0; i < N_ENCODINGS; i++) {
        assert_int_equal(ingot_writer_add_encoded(w->writer, encodings[i], INGOT_F32, 2, dims,
                                                  values, encodings[i], NULL),
                         INGOT_OK);
    }
    assert_int_equal(ingot_writer_attach(w->writer, "a", "attached", 8, NULL), INGOT_OK);
    assert_int_equal(ingot_writer_metadata(w->writer, "key", &number, NULL), INGOT_OK);
    written_end(w);
    free(values);
}

static void open_shared(struct shared *s, const struct written *w, const struct written *adapters)
{
    static const char *const all[] = {"french", "german"};
    const ingot_matrix_options options = {.adapters = all, .n_adapters = 2, .switchable = true};
    assert_int_equal(ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, NULL, &s->file, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_file_open_memory(adapters->bytes.data, adapters->bytes.n_bytes, NULL,
                                            &s->adapters, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_metadata_open(s->file, &s->metadata, NULL), INGOT_OK);
    assert_int_equal(ingot_device_open(INGOT_DEVICE_CPU, 3, NULL, NULL, &s->device, NULL),
                     INGOT_OK);
    for (uint32_t i = 0; i < N_ENCODINGS; i++) {
        assert_int_equal(ingot_matrix_open(s->device, s->file, i, 0, &s->matrices[i], NULL),
                         INGOT_OK);
    }
    const ingot_matrix_options later = {.lazy = true};
    for (uint32_t i = 0; i < N_ENCODINGS; i++) {
        assert_int_equal(
            ingot_matrix_open_with(s->device, s->file, i, 0, &later, &s->lazy[i], NULL), INGOT_OK);
    }
    assert_int_equal(ingot_matrix_open_with(s->device, s->adapters, ADAPTER_BOTH, 0, &options,
                                            &s->switched, NULL),
                     INGOT_OK);
    for (uint32_t i = 0; i < N_X * N_COLS; i++) s->x[i] = (float)(i * 31 % 101) / 50 - 1;
}

static void close_shared(struct shared *s)
{
    ingot_matrix_close(s->switched);
    for (uint32_t i = 0; i < N_ENCODINGS; i++) {
        ingot_matrix_close(s->lazy[i]);
        ingot_matrix_close(s->matrices[i]);
    }
    ingot_device_close(s->device);
    ingot_metadata_close(s->metadata);
    ingot_file_close(s->adapters);
    ingot_file_close(s->file);
}

/* All that threads may do at once. Returns how many calls failed. */
static uint32_t use_all(const struct shared *s, uint32_t first, struct results *r)
{
    uint32_t n_failures = 0;
    char text[8];
    uint32_t index;
    ingot_value value = {.u = 0};
    for (uint32_t k = 0; k < N_ENCODINGS; k++) {
        const uint32_t i = (first + k) % N_ENCODINGS;
        n_failures += ingot_file_decode_f32(s->file, i, 0, N_ROWS, r->rows[i], NULL) != INGOT_OK;
        n_failures +=
            ingot_matmul(s->matrices[i], INGOT_F32, s->x, N_X, r->products[i], NULL) != INGOT_OK;
        n_failures += ingot_file_verify(s->file, i, NULL) != INGOT_OK;
    }
    n_failures += ingot_matmul(s->switched, INGOT_F32, s->x, 1, r->with_adapter, NULL) != INGOT_OK;
    n_failures += ingot_file_verify_all(s->file, NULL) != INGOT_OK;
    n_failures += ingot_metadata_find(s->metadata, "key", 3, &value) != INGOT_OK || value.u != 7;
    n_failures += ingot_file_find_attachment(s->file, "a", 1, &index) != INGOT_OK;
    n_failures += ingot_file_read_blob(s->file, index, 0, 8, text, NULL) != INGOT_OK;
    return n_failures + (memcmp(text, "attached", 8) != 0);
}

/* A device of its own, with a matrix of the file that all share. */
static uint32_t use_own_device(const struct shared *s, uint32_t number)
{
    const uint32_t i = number % N_ENCODINGS;
    ingot_device *device = NULL;
    ingot_matrix *matrix = NULL;
    float y[N_X * N_ROWS];
    ingot_status status =
        ingot_device_open(INGOT_DEVICE_CPU, 1 + number % 3, NULL, NULL, &device, NULL);
    if (status != INGOT_OK) return 1;
    status = ingot_matrix_open(device, s->file, i, 0, &matrix, NULL);
    if (status == INGOT_OK) status = ingot_matmul(matrix, INGOT_F32, s->x, N_X, y, NULL);
    ingot_matrix_close(matrix);
    ingot_device_close(device);
    return status != INGOT_OK || memcmp(y, s->expected.products[i], sizeof y) != 0;
}

/* Loaded by whichever thread multiplies first, with the others waiting for it. */
static uint32_t use_lazy(const struct shared *s)
{
    float y[N_X * N_ROWS];
    uint32_t n_failures = 0;
    for (uint32_t i = 0; i < N_ENCODINGS; i++) {
        n_failures += ingot_matmul(s->lazy[i], INGOT_F32, s->x, N_X, y, NULL) != INGOT_OK;
        n_failures += memcmp(y, s->expected.products[i], sizeof y) != 0;
        n_failures += ingot_matrix_resident_bytes(s->lazy[i]) == 0;
    }
    return n_failures;
}

/* Matrices come and go on the shared device while others multiply. */
static uint32_t come_and_go(const struct shared *s, uint32_t number)
{
    ingot_matrix *matrix = NULL;
    if (ingot_matrix_open(s->device, s->file, number % N_ENCODINGS, 0, &matrix, NULL) != INGOT_OK) {
        return 1;
    }
    ingot_matrix_close(matrix);
    return 0;
}

static void *work(void *context)
{
    struct worker *worker = context;
    const struct shared *s = worker->shared;
    struct results *r = malloc(sizeof *r);
    if (r == NULL) {
        worker->n_failures = 1;
        return NULL;
    }
    for (uint32_t round = 0; round < N_ROUNDS; round++) {
        memset(r, 0xff, sizeof *r);
        worker->n_failures += use_lazy(s);
        worker->n_failures += use_all(s, worker->number + round, r);
        worker->n_failures += memcmp(r, &s->expected, sizeof *r) != 0;
        worker->n_failures += use_own_device(s, worker->number + round);
        worker->n_failures += come_and_go(s, worker->number + round);
        /* It is on already. */
        worker->n_failures += ingot_matrix_switch(s->switched, "french", true, NULL) != INGOT_OK;
    }
    free(r);
    return NULL;
}

static void threads_share(void **state)
{
    (void)state;
    static struct worker workers[N_THREADS];
    struct shared *s = calloc(1, sizeof *s);
    struct written w, adapters;
    assert_non_null(s);
    write_file(&w);
    adapter_file_make(&adapters);
    open_shared(s, &w, &adapters);
    memset(&s->expected, 0xff, sizeof s->expected);
    assert_int_equal(use_all(s, 0, &s->expected), 0);
    for (uint32_t i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){.shared = s, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].n_failures, 0);
    }
    close_shared(s);
    written_release(&adapters);
    written_release(&w);
    free(s);
}

/* The hooks are called from any thread. */
static atomic_int n_live;

static void *count_allocate(void *context, size_t n_bytes)
{
    (void)context;
    atomic_fetch_add(&n_live, 1);
    return malloc(n_bytes);
}

static void count_release(void *context, void *memory)
{
    (void)context;
    if (memory) atomic_fetch_sub(&n_live, 1);
    free(memory);
}

static void *open_and_close(void *context)
{
    const struct written *w = context;
    const ingot_allocator allocator = {.allocate = count_allocate, .release = count_release};
    ingot_file *file = NULL;
    float row[N_COLS];
    if (ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, &allocator, &file, NULL) ==
        INGOT_OK) {
        for (uint64_t r = 0; r < N_ROWS; r += 9) {
            (void)ingot_file_decode_f32(file, (uint32_t)(r % N_ENCODINGS), r, 1, row, NULL);
        }
    }
    ingot_file_close(file);
    return NULL;
}

static void hooks_are_shared(void **state)
{
    (void)state;
    pthread_t threads[N_THREADS];
    struct written w;
    write_file(&w);
    for (uint32_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, &w), 0);
    }
    for (uint32_t i = 0; i < N_THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&n_live), 0);
    written_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share),
        cmocka_unit_test(hooks_are_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

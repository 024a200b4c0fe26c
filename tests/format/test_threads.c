/* Writing and validating on a pool: the same bytes and the same findings on any number of threads,
 * failures that reach the caller, and nothing left behind. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/fail.h"
#include "format/ordered.h"
#include "format/pool.h"
#include "tests/support/judge.h"
#include "tests/support/random.h"
#include "tests/support/stream_source.h"

static struct ingot_pool *make_pool(uint32_t n_threads)
{
    struct ingot_pool *pool;
    assert_int_equal(ingot_pool_create(n_threads, NULL, &pool, NULL), INGOT_OK);
    return pool;
}

static void nothing(void *context, uint64_t i)
{
    (void)i;
    (void)context;
}

/* ---- writing ---- */

/* Weights whose exponents vary little, in rows some of which come again. */
static void fill(struct random *random, uint16_t *weights, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t v = random_bits(random);
        weights[i] = (uint16_t)(0x3c00 + (v & 0x80ff) + (v >> 20 & v >> 24 & 0x300));
    }
}

/* Tensors of many slabs, of one, repeated, incompressible and empty; attachments between them. The
 * caller uses the pool in between as an encoder would. */
static ingot_status write_mixture(ingot_writer *writer, struct ingot_pool *pool, ingot_error *error)
{
    struct random random = {5};
    static const uint64_t shapes[][2] = {{3000, 1024}, {7, 11},  {1, 3000000}, {700, 1000},
                                         {3000, 1024}, {0, 5},   {64, 64},     {1, 1},
                                         {2000, 1024}, {33, 100}};
    uint16_t *weights = malloc(3072000 * sizeof *weights);
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < sizeof shapes / sizeof *shapes && status == INGOT_OK; i++) {
        char name[32];
        const uint64_t n = shapes[i][0] * shapes[i][1];
        if (i == 8) {
            for (uint64_t k = 0; k < n; k++) weights[k] = (uint16_t)random_bits(&random);
        } else if (i != 4) { /* the first one's rows are still there in part */
            fill(&random, weights, n);
        }
        snprintf(name, sizeof name, "tensor %u", i);
        status = ingot_writer_add(writer, name, INGOT_BF16, 2, shapes[i], weights, error);
        snprintf(name, sizeof name, "file %u", i);
        if (status == INGOT_OK) {
            status = ingot_writer_attach(writer, name, weights, 1000 * (n / 4096), error);
        }
        if (pool && i % 3 == 0) ingot_pool_run(pool, 5, nothing, NULL);
    }
    free(weights);
    return status == INGOT_OK ? ingot_writer_finish(writer, error) : status;
}

static void write_on(uint32_t n_threads, ingot_compression compression, struct byte_buffer *bytes)
{
    ingot_error error;
    struct output *output;
    ingot_writer *writer;
    struct ingot_pool *pool = n_threads ? make_pool(n_threads) : NULL;
    assert_int_equal(output_to_memory(bytes, NULL, &output, &error), INGOT_OK);
    assert_int_equal(ingot_writer_over(output, compression, NULL, &writer, &error), INGOT_OK);
    if (pool) assert_int_equal(ingot_writer_use_pool(writer, pool, &error), INGOT_OK);
    assert_int_equal(write_mixture(writer, pool, &error), INGOT_OK);
    ingot_writer_close(writer);
    ingot_pool_close(pool);
}

static void test_same_bytes(void **state)
{
    (void)state;
    static const ingot_compression modes[] = {INGOT_COMPRESS_NONE, INGOT_COMPRESS_FAST,
                                              INGOT_COMPRESS_MAX};
    for (size_t m = 0; m < 3; m++) {
        struct byte_buffer expected = {0};
        write_on(0, modes[m], &expected);
        judge_good(expected.data, expected.n_bytes);
        for (uint32_t n_threads = 1; n_threads <= (modes[m] == INGOT_COMPRESS_FAST ? 8u : 3u);
             n_threads++) {
            struct byte_buffer bytes = {0};
            write_on(n_threads, modes[m], &bytes);
            assert_int_equal(bytes.n_bytes, expected.n_bytes);
            assert_memory_equal(bytes.data, expected.data, bytes.n_bytes);
            buffer_release(&bytes);
        }
        buffer_release(&expected);
    }
}

/* Given up at any point: nothing is left, whatever waits or is at work. */
static void test_given_up(void **state)
{
    (void)state;
    enum { ROWS = 300, COLS = 4096 };
    const uint64_t dims[2] = {ROWS, COLS};
    struct random random = {9};
    uint16_t *weights = malloc((size_t)ROWS * COLS * sizeof *weights);
    struct ingot_pool *pool = make_pool(3);
    for (uint32_t n = 0; n < 12; n++) {
        struct byte_buffer bytes = {0};
        struct output *output;
        ingot_writer *writer;
        ingot_error error;
        assert_int_equal(output_to_memory(&bytes, NULL, &output, &error), INGOT_OK);
        assert_int_equal(ingot_writer_over(output, INGOT_COMPRESS_FAST, NULL, &writer, &error),
                         INGOT_OK);
        assert_int_equal(ingot_writer_use_pool(writer, pool, &error), INGOT_OK);
        for (uint32_t i = 0; i < n; i++) {
            char name[16];
            fill(&random, weights, (uint64_t)ROWS * COLS);
            snprintf(name, sizeof name, "%u", i);
            assert_int_equal(ingot_writer_add(writer, name, INGOT_BF16, 2, dims, weights, &error),
                             INGOT_OK);
        }
        ingot_writer_close(writer);
        buffer_release(&bytes);
    }
    ingot_pool_close(pool);
    free(weights);
}

static ingot_status stop(void *context, uint64_t offset, uint64_t n_bytes, void *dst,
                         ingot_error *error)
{
    memset(dst, 7, (size_t)n_bytes);
    if (offset < *(const uint64_t *)context) return INGOT_OK;
    return ingot_fail(error, INGOT_IO, offset, "source", "made to fail");
}

/* A source that fails in the middle of a stream whose chunks are on their way. */
static void test_failing_source(void **state)
{
    (void)state;
    struct ingot_pool *pool = make_pool(4);
    for (uint64_t limit = 0; limit < 40u << 20; limit += 3u << 20) {
        struct byte_buffer bytes = {0};
        struct output *output;
        ingot_writer *writer;
        ingot_error error;
        uint32_t index;
        const struct byte_source source = {&limit, stop};
        assert_int_equal(output_to_memory(&bytes, NULL, &output, &error), INGOT_OK);
        assert_int_equal(ingot_writer_over(output, INGOT_COMPRESS_FAST, NULL, &writer, &error),
                         INGOT_OK);
        assert_int_equal(ingot_writer_use_pool(writer, pool, &error), INGOT_OK);
        assert_int_equal(ingot_writer_blob(writer, INGOT_BLOB_ATTACHMENT, "a", NULL, 64u << 20,
                                           &source, &index, &error),
                         INGOT_IO);
        assert_string_equal(error.what, "made to fail");
        ingot_writer_close(writer);
        buffer_release(&bytes);
    }
    ingot_pool_close(pool);
}

/* A disk that is always full: the failure shows at the latest when the writer is finished. */
static void test_full_disk(void **state)
{
    (void)state;
    static uint8_t bytes[20 << 20];
    struct random random = {3};
    struct ingot_pool *pool = make_pool(2);
    ingot_writer *writer;
    ingot_error error = {0};
    FILE *full = fopen("/dev/full", "w");
    if (full == NULL) {
        print_message("note: a full disk: skipped, there is no /dev/full\n");
        ingot_pool_close(pool);
        return;
    }
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(random_bits(&random) & 15);
    const int kept = dup(STDOUT_FILENO);
    fflush(stdout);
    assert_true(dup2(fileno(full), STDOUT_FILENO) >= 0);
    ingot_status status =
        ingot_writer_create("-", true, INGOT_COMPRESS_FAST, NULL, &writer, &error);
    if (status == INGOT_OK) {
        status = ingot_writer_use_pool(writer, pool, &error);
        if (status == INGOT_OK) {
            status = ingot_writer_attach(writer, "a", bytes, sizeof bytes, &error);
        }
        if (status == INGOT_OK) status = ingot_writer_finish(writer, &error);
        ingot_writer_close(writer);
    }
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    fclose(full);
    ingot_pool_close(pool);
    assert_int_equal(status, INGOT_IO);
    assert_int_equal(error.status, INGOT_IO);
}

/* ---- reading ---- */

struct findings {
    uint64_t offsets[64];
    uint32_t rules[64];
    uint32_t n;
};

static void find(void *context, const ingot_error *violation)
{
    struct findings *f = context;
    if (f->n == 64) return;
    f->offsets[f->n] = violation->offset;
    f->rules[f->n++] = violation->rule;
}

static void validate_on(const ingot_file *file, uint32_t n_threads, struct findings *findings)
{
    struct validate_report report = {.context = findings, .found = find};
    uint64_t n_violations;
    ingot_error error;
    findings->n = 0;
    if (n_threads) report.pool = make_pool(n_threads);
    assert_int_equal(ingot_file_validate(file, &report, &n_violations, &error), INGOT_OK);
    ingot_pool_close(report.pool);
}

static void test_same_findings(void **state)
{
    (void)state;
    struct byte_buffer bytes = {0};
    struct random random = {11};
    ingot_file *file;
    ingot_error error;
    write_on(2, INGOT_COMPRESS_FAST, &bytes);
    for (uint32_t n_damaged = 0; n_damaged < 12; n_damaged += 4) {
        static struct findings expected, found;
        for (uint32_t i = 0; i < n_damaged; i++) {
            bytes.data[1000 + random_below(&random, bytes.n_bytes / 2)] ^= 16;
        }
        assert_int_equal(ingot_file_open_memory(bytes.data, bytes.n_bytes, NULL, &file, &error),
                         INGOT_OK);
        validate_on(file, 0, &expected);
        assert_int_equal(expected.n > 0, n_damaged > 0);
        for (uint32_t n_threads = 1; n_threads <= 5; n_threads++) {
            validate_on(file, n_threads, &found);
            assert_int_equal(found.n, expected.n);
            assert_memory_equal(found.offsets, expected.offsets, found.n * sizeof *found.offsets);
            assert_memory_equal(found.rules, expected.rules, found.n * sizeof *found.rules);
        }
        ingot_file_close(file);
    }
    buffer_release(&bytes);
}

/* ---- items in order ---- */

enum { MAX_SLOTS = 64 };

struct sequence {
    uint64_t made[MAX_SLOTS]; /* item + 1 */
    uint64_t n_taken;
    uint64_t stop_at;
};

static void make_item(void *context, uint64_t i, uint32_t slot)
{
    struct sequence *s = context;
    s->made[slot] = i + 1;
}

static ingot_status take_item(void *context, uint64_t i, uint32_t slot)
{
    struct sequence *s = context;
    assert_int_equal(i, s->n_taken);
    assert_int_equal(s->made[slot], i + 1);
    if (i == s->stop_at) return INGOT_IO;
    s->n_taken++;
    return INGOT_OK;
}

static void test_ordered(void **state)
{
    (void)state;
    for (uint32_t n_threads = 1; n_threads <= 4; n_threads++) {
        struct ingot_pool *pool = make_pool(n_threads);
        const uint32_t n_slots = ordered_slots(pool, 1000);
        assert_in_range(n_slots, 1, MAX_SLOTS);
        assert_int_equal(ordered_slots(pool, UINT64_C(1) << 40), n_threads == 1 ? 1 : 2);
        for (uint64_t n = 0; n < 100; n++) {
            struct sequence s = {.stop_at = UINT64_MAX};
            const struct ordered_job job = {&s, n, n_slots, make_item, take_item};
            assert_int_equal(ordered_run(pool, &job), INGOT_OK);
            assert_int_equal(s.n_taken, n);
            s = (struct sequence){.stop_at = n / 2};
            assert_int_equal(ordered_run(pool, &job), n ? INGOT_IO : INGOT_OK);
            assert_int_equal(s.n_taken, n / 2);
        }
        ingot_pool_close(pool);
    }
    assert_int_equal(ordered_slots(NULL, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),     cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_failing_source), cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_same_findings),  cmocka_unit_test(test_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

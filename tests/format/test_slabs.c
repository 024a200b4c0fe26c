/* Tensors of several slabs: streams cut at the same rows and interleaved, rows read across the
 * cuts, streams that are one run of bytes. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "format/file.h"
#include "tests/support/formula.h"
#include "tests/support/judge.h"
#include "tests/support/made.h"
#include "tests/support/stream_source.h"

/* A dense tensor of one coding with its streams, written and open. */
struct subject {
    struct made made;
    struct stack_shape stack;
    const struct ingot_coding *coding;
    struct written written;
    ingot_file *file;
};

static void write_subject(struct subject *s, ingot_compression compression)
{
    static struct term_stream streams[TENSOR_MAX_STREAMS];
    const struct writer_term term = {.kind = TERM_DENSE, .coding = s->coding};
    const struct writer_tensor tensor = {
        .name = "slabs",
        .name_bytes = 5,
        .dtype = INGOT_BF16,
        .rank = 3,
        .dims = {s->stack.n_matrices, s->stack.n_rows, s->stack.n_cols},
        .stack = 1,
        .split = 2,
        .n_terms = 1,
        .terms = &term};
    uint32_t n_streams = 0;
    ingot_error error;
    assert_int_equal(writer_streams(&tensor, streams, &n_streams, &error), INGOT_OK);
    assert_int_equal(n_streams, s->made.n_streams);
    const struct stream_source source = {streams, n_streams,
                                         (const uint8_t *const *)s->made.streams};
    const struct writer_source pull = stream_source(&source);
    written_begin(&s->written, compression);
    assert_int_equal(ingot_writer_tensor(s->written.writer, &tensor, &pull, &error), INGOT_OK);
    written_end(&s->written);
    judge_good(s->written.bytes.data, s->written.bytes.n_bytes);
    assert_int_equal(ingot_file_open_memory(s->written.bytes.data, s->written.bytes.n_bytes, NULL,
                                            &s->file, &error),
                     INGOT_OK);
}

static void close_subject(struct subject *s)
{
    ingot_file_close(s->file);
    written_release(&s->written);
    made_release(&s->made);
}

/* Row ranges anywhere, some values of which are compared with the naive decoder. */
static void check_rows(const struct subject *s, struct random *random)
{
    const uint64_t n_all = s->stack.n_matrices * s->stack.n_rows;
    const struct naive_bytes bytes = {(const uint8_t *const *)s->made.streams, NULL};
    for (int i = 0; i < 8; i++) {
        const uint64_t first = random_below(random, n_all);
        const uint64_t left = n_all - first;
        const uint64_t n = 1 + random_below(random, left < 300 ? left : 300);
        float *values = malloc(n * s->stack.n_cols * sizeof *values);
        ingot_error error;
        assert_int_equal(ingot_file_decode_f32(s->file, 0, first, n, values, &error), INGOT_OK);
        for (int k = 0; k < 100; k++) {
            const uint64_t row = random_below(random, n),
                           col = random_below(random, s->stack.n_cols);
            const struct place at = {(first + row) / s->stack.n_rows,
                                     (first + row) % s->stack.n_rows, col};
            struct naive_result result = {0};
            const float v = naive_value(s->coding, s->stack, at, s->stack, at, 0, &bytes, &result);
            assert_true(same_f32(values[row * s->stack.n_cols + col], v));
        }
        free(values);
    }
}

/* How many slabs the first stream was cut into, all streams that follow the rows alike. */
static uint64_t n_slabs(const struct subject *s)
{
    const struct stream_record first = stream_at(s->file, 0);
    return stream_n_chunks(&first);
}

static struct ingot_coding scalar(uint8_t map, uint8_t bits, uint8_t format)
{
    return (struct ingot_coding){
        .map = map, .bits = bits, .format = format, .codebook_stream = INGOT_NONE, .name = "made"};
}

static struct coding_slot table(uint8_t group, uint32_t group_rows, uint64_t group_cols,
                                const struct ingot_coding *coding)
{
    return (struct coding_slot){.has_table = true,
                                .group = group,
                                .group_rows = group_rows,
                                .group_cols = group_cols,
                                .table = coding};
}

static void check_coding(const struct ingot_coding *coding, struct stack_shape stack,
                         uint64_t min_slabs)
{
    static const ingot_compression modes[] = {INGOT_COMPRESS_NONE, INGOT_COMPRESS_FAST};
    for (size_t i = 0; i < 2; i++) {
        struct random random = {i};
        struct subject s = {.stack = stack, .coding = coding};
        made_fill(&s.made, &random, coding, stack, stack);
        write_subject(&s, modes[i]);
        assert_true(n_slabs(&s) >= min_slabs);
        check_rows(&s, &random);
        close_subject(&s);
    }
}

/* Tables that follow the rows one by one, in fours, and not at all. */
static void test_tables(void **state)
{
    (void)state;
    const struct ingot_coding f16 = scalar(MAP_FLOAT, 16, INGOT_F16);
    struct ingot_coding coding = scalar(MAP_UINT, 4, 0);
    coding.slots[SLOT_ZERO] = table(GROUP_BLOCK, 4, 100, &f16);
    coding.slots[SLOT_SCALE] = table(GROUP_BLOCK, 1, 16, &f16);
    coding.slots[SLOT_BIAS] = table(GROUP_TENSOR, 0, 0, &f16);
    coding.slots[SLOT_POST] = table(GROUP_RUN, 0, 1000, &f16);
    check_coding(&coding, (struct stack_shape){2, 1100, 1000}, 2);
    /* Rows of the grid that do not end where matrices do. */
    coding.slots[SLOT_ZERO].group_rows = 7;
    check_coding(&coding, (struct stack_shape){3, 740, 1000}, 2);
}

/* Rows that are no whole bytes: 37 codes of 3 bits, flat. */
static void test_flat_planes(void **state)
{
    (void)state;
    const struct ingot_coding u6 = scalar(MAP_UINT, 6, 0);
    struct ingot_coding coding = scalar(MAP_INT, 3, 0);
    coding.slots[SLOT_SCALE] = table(GROUP_BLOCK, 1, 5, &u6);
    check_coding(&coding, (struct stack_shape){1, 60001, 37}, 2);
}

/* Narrow tables beside wide rows: a slab of few rows must end where 5-bit entries fill bytes, and
 * where groups of 3 rows end. */
static void test_narrow_tables(void **state)
{
    (void)state;
    const struct ingot_coding f16 = scalar(MAP_FLOAT, 16, INGOT_F16);
    const struct ingot_coding u5 = scalar(MAP_UINT, 5, 0);
    struct ingot_coding coding = scalar(MAP_UINT, 8, 0);
    coding.slots[SLOT_ZERO] = table(GROUP_BLOCK, 1, 10000, &u5);
    check_coding(&coding, (struct stack_shape){1, 45, 29952}, 2);
    coding.slots[SLOT_SCALE] = table(GROUP_BLOCK, 3, 100, &f16);
    check_coding(&coding, (struct stack_shape){1, 45, 29952}, 2);
}

/* One row is longer than a slab. */
static void test_long_coded_rows(void **state)
{
    (void)state;
    const struct ingot_coding f16 = scalar(MAP_FLOAT, 16, INGOT_F16);
    struct ingot_coding coding = scalar(MAP_UINT, 8, 0);
    coding.slots[SLOT_SCALE] = table(GROUP_BLOCK, 1, 128, &f16);
    check_coding(&coding, (struct stack_shape){1, 2, 1100003}, 2);
}

/* Rows that no chunk can hold are refused before anything is asked for. */
static void test_rows_too_long(void **state)
{
    (void)state;
    const struct ingot_coding coding = scalar(MAP_UINT, 8, 0);
    const struct writer_term term = {.kind = TERM_DENSE, .coding = &coding};
    const struct writer_tensor tensor = {.name = "long",
                                         .name_bytes = 4,
                                         .dtype = INGOT_BF16,
                                         .rank = 1,
                                         .dims = {67108865},
                                         .n_terms = 1,
                                         .terms = &term};
    const struct writer_source none = {NULL, NULL, NULL, false};
    struct written w;
    ingot_error error;
    written_begin(&w, INGOT_COMPRESS_NONE);
    assert_int_equal(ingot_writer_tensor(w.writer, &tensor, &none, &error), INGOT_REFUSED);
    written_release(&w);
}

/* ---- runs ---- */

/* Whether a stored tensor held raw may be mapped as a whole. */
static void check_run(uint64_t n_rows, uint64_t n_cols)
{
    const uint64_t dims[2] = {n_rows, n_cols}, n_bytes = n_rows * n_cols * 4;
    struct random random = {5};
    uint8_t *data = malloc(n_bytes);
    for (uint64_t i = 0; i < n_bytes; i++) data[i] = (uint8_t)random_bits(&random);
    struct written w;
    ingot_file *file = NULL;
    ingot_error error;
    const uint8_t *mapped = NULL;
    written_begin(&w, INGOT_COMPRESS_NONE);
    assert_int_equal(ingot_writer_add(w.writer, "x", INGOT_F32, 2, dims, data, &error), INGOT_OK);
    written_end(&w);
    judge_good(w.bytes.data, w.bytes.n_bytes);
    assert_int_equal(ingot_file_open_memory(w.bytes.data, w.bytes.n_bytes, NULL, &file, &error),
                     INGOT_OK);
    assert_int_equal(ingot_file_map_stream(file, 0, 0, n_bytes, &mapped, &error), INGOT_OK);
    assert_non_null(mapped);
    assert_memory_equal(mapped, data, n_bytes);
    assert_int_equal(ingot_file_map_stream(file, 0, n_bytes - 3, 3, &mapped, &error), INGOT_OK);
    assert_memory_equal(mapped, data + n_bytes - 3, 3);
    ingot_file_close(file);
    written_release(&w);
    free(data);
}

static void test_stored_tensors_are_runs(void **state)
{
    (void)state;
    check_run(1, 700001);
    check_run(3000, 256);
    check_run(3001, 250);
    check_run(700, 1001);
    check_run(5, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),        cmocka_unit_test(test_flat_planes),
        cmocka_unit_test(test_narrow_tables), cmocka_unit_test(test_long_coded_rows),
        cmocka_unit_test(test_rows_too_long), cmocka_unit_test(test_stored_tensors_are_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

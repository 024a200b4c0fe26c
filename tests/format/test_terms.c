/* Tensors of several terms, written, read back and compared with a naive sum: dense, sparse with
 * each mask, low rank, magnitudes, rescales, over random shapes and codings. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/mask.h"
#include "format/reader.h"
#include "tests/support/formula.h"
#include "tests/support/judge.h"
#include "tests/support/made_tensor.h"
#include "tests/support/naive_tensor.h"
#include "tests/support/specimen.h"
#include "tests/support/stream_source.h"

/* What was written is what the file's streams hold. */
static void check_streams(const ingot_file *file, const struct made *made)
{
    uint32_t stream = made->n_codebooks;
    for (uint32_t i = 0; i < made->n_streams; i++, stream++) {
        const uint64_t n_bytes = ingot_file_stream_bytes(file, stream);
        assert_int_equal(n_bytes, made->stream_bytes[i]);
        uint8_t *found = malloc(n_bytes + 1);
        assert_int_equal(ingot_file_read_stream(file, stream, 0, n_bytes, found, NULL), INGOT_OK);
        if (n_bytes) assert_memory_equal(found, made->streams[i], n_bytes);
        free(found);
    }
}

/* Rows of a tensor against the naive sum of all. */
static uint64_t check_rows(const ingot_file *file, uint32_t tensor, const float *expected,
                           uint64_t first_row, uint64_t n_rows)
{
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    const uint64_t n = n_rows * stack.n_cols;
    float *found = malloc(n * sizeof *found + 1);
    ingot_error error;
    uint64_t n_numbers = 0;
    const ingot_status status =
        ingot_file_decode_f32(file, tensor, first_row, n_rows, found, &error);
    if (status != INGOT_OK) fail_msg("R-%u: %s: %s", error.rule, error.field, error.what);
    for (uint64_t i = 0; i < n; i++) {
        const float e = expected[first_row * stack.n_cols + i];
        n_numbers += isfinite(e) && e != 0.0f;
        if (same_f32(found[i], e)) continue;
        fail_msg("row %llu, column %llu is %a, not %a",
                 (unsigned long long)(first_row + i / stack.n_cols),
                 (unsigned long long)(i % stack.n_cols), (double)found[i], (double)e);
    }
    free(found);
    return n_numbers;
}

static uint64_t check_tensor_values(const ingot_file *file, uint32_t tensor, struct random *random)
{
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    const uint64_t n_rows = stack.n_matrices * stack.n_rows;
    float *expected = naive_tensor(file, tensor);
    const uint64_t n_numbers = check_rows(file, tensor, expected, 0, n_rows);
    for (int i = 0; i < 3 && n_rows > 0; i++) {
        const uint64_t first = random_below(random, n_rows);
        check_rows(file, tensor, expected, first, random_below(random, n_rows - first + 1));
    }
    free(expected);
    return n_numbers;
}

static void test_random_terms(void **state)
{
    (void)state;
    struct random random = {7};
    uint64_t n_numbers = 0;
    for (int i = 0; i < 1000; i++) {
        static struct made_tensor m;
        struct written w;
        ingot_file *file = NULL;
        ingot_error error;
        made_tensor_make(&m, &random);
        written_begin(&w, i % 2 ? INGOT_COMPRESS_FAST : INGOT_COMPRESS_NONE);
        made_tensor_write(&m, w.writer);
        written_end(&w);
        judge_good(w.bytes.data, w.bytes.n_bytes);
        const ingot_status status =
            ingot_file_open_memory(w.bytes.data, w.bytes.n_bytes, NULL, &file, &error);
        if (status != INGOT_OK) fail_msg("R-%u: %s: %s", error.rule, error.field, error.what);
        check_streams(file, &m.made);
        n_numbers += check_tensor_values(file, 0, &random);
        ingot_file_close(file);
        written_release(&w);
        made_release(&m.made);
    }
    print_message("%llu values finite and not zero\n", (unsigned long long)n_numbers);
    assert_true(n_numbers > 20000);
}

/* Every tensor of the specimen that has values, by its own bytes. */
static void test_specimen_values(void **state)
{
    (void)state;
    struct random random = {8};
    struct draft d;
    ingot_file *file = NULL;
    ingot_error error;
    uint64_t n_numbers = 0;
    specimen_begin(&d);
    draft_seal(&d);
    assert_int_equal(ingot_file_open_memory(d.file.data, d.file.n_bytes, NULL, &file, &error),
                     INGOT_OK);
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        if (i == TENSOR_OPAQUE || i == TENSOR_REF) continue;
        n_numbers += check_tensor_values(file, i, &random);
    }
    assert_true(n_numbers > 1000);
    ingot_file_close(file);
    draft_release(&d);
}

/* A scalar that is the sum of n terms of 3; the status of writing it. */
static ingot_status write_sum(uint32_t n, struct written *w, ingot_error *error)
{
    static struct term_stream streams[TENSOR_MAX_STREAMS];
    static const uint8_t three[1] = {3};
    const struct ingot_coding coding = raw_coding(INGOT_U8);
    struct writer_term terms[65];
    const uint8_t *data[65];
    for (uint32_t i = 0; i < 65; i++) {
        terms[i] = (struct writer_term){
            .kind = TERM_DENSE, .combine = i ? COMBINE_ADD : COMBINE_FIRST, .coding = &coding};
        data[i] = three;
    }
    const struct writer_tensor tensor = {
        .name = "w", .name_bytes = 1, .dtype = INGOT_F32, .n_terms = n, .terms = terms};
    struct stream_source source = {streams, 0, data};
    const struct writer_source pull = stream_source(&source);
    written_begin(w, INGOT_COMPRESS_NONE);
    assert_int_equal(writer_streams(&tensor, streams, &source.n_streams, error), INGOT_OK);
    return ingot_writer_tensor(w->writer, &tensor, &pull, error);
}

/* 64 terms are allowed, 0 and 65 are not. */
static void test_number_of_terms(void **state)
{
    (void)state;
    static const uint32_t allowed[] = {1, 2, 64}, refused[] = {0, 65};
    struct written w;
    ingot_error error;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        ingot_file *file = NULL;
        float v;
        assert_int_equal(write_sum(allowed[i], &w, &error), INGOT_OK);
        written_end(&w);
        judge_good(w.bytes.data, w.bytes.n_bytes);
        assert_int_equal(ingot_file_open_memory(w.bytes.data, w.bytes.n_bytes, NULL, &file, &error),
                         INGOT_OK);
        assert_int_equal(ingot_file_decode_f32(file, 0, 0, 1, &v, &error), INGOT_OK);
        assert_true(v == 3.0f * (float)allowed[i]);
        ingot_file_close(file);
        written_release(&w);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(write_sum(refused[i], &w, &error), INGOT_INVALID);
        assert_int_equal(error.rule, 604);
        written_release(&w);
    }
}

/* ---- more kept values than 32 bits count ---- */

static const uint64_t wide_offsets[] = {0,
                                        1u << 31,
                                        UINT64_C(1) << 32,
                                        UINT64_C(1) << 32,
                                        (UINT64_C(1) << 32) + 2,
                                        (UINT64_C(1) << 32) + 3};

/* Stream 0 is the offsets, of 64 bits each; stream 1 the list, of which only the end is asked. */
static ingot_status wide_get(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                             const uint8_t **data, ingot_error *error)
{
    static uint8_t offsets[sizeof wide_offsets], list[12];
    static const uint32_t columns[] = {5, 2147483646, 0};
    (void)context;
    (void)error;
    for (uint32_t i = 0; i < 6; i++) store_u64(offsets + 8 * i, wide_offsets[i]);
    for (uint32_t i = 0; i < 3; i++) store_u32(list + 4 * i, columns[i]);
    if (stream == 0) {
        assert_true(range_within(offset, n_bytes, sizeof offsets));
        *data = offsets + offset;
    } else {
        assert_int_equal(offset, UINT64_C(1) << 34);
        assert_true(n_bytes <= sizeof list);
        *data = list;
    }
    return INGOT_OK;
}

static void test_wide_offsets(void **state)
{
    (void)state;
    const struct file_term term = {
        .kind = TERM_SPARSE, .mask = MASK_LIST, .n_kept = (UINT64_C(1) << 32) + 3};
    const struct stack_shape stack = {1, 5, 2147483647};
    const struct stream_provider provider = {NULL, wide_get, NULL, NULL};
    struct positions p;
    ingot_error error;
    assert_int_equal(mask_positions(&term, stack, 0, &provider, 2, 3, &p, &error), INGOT_OK);
    assert_int_equal(p.first, UINT64_C(1) << 32);
    assert_int_equal(p.n, 3);
    assert_int_equal(p.rows[0], 3);
    assert_int_equal(p.cols[0], 5);
    assert_int_equal(p.rows[1], 3);
    assert_int_equal(p.cols[1], 2147483646);
    assert_int_equal(p.rows[2], 4);
    assert_int_equal(p.cols[2], 0);
    positions_release(&p, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_terms),
        cmocka_unit_test(test_specimen_values),
        cmocka_unit_test(test_number_of_terms),
        cmocka_unit_test(test_wide_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Files that were cut short or changed: every prefix is refused, every flipped bit is noticed, and
 * what is not damaged still gives its values. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "format/reader.h"
#include "tests/support/formula.h"
#include "tests/support/judge.h"
#include "tests/support/random.h"
#include "tests/support/specimen.h"
#include "tests/support/stream_source.h"

static void make_specimen(struct draft *d)
{
    specimen_begin(d);
    draft_seal(d);
}

/* A small file by the writer: a few tensors, stored and compressed, and an attachment. */
static void write_small(struct written *w)
{
    static const uint8_t zeros[400];
    uint8_t values[100];
    const uint64_t dims[2] = {10, 10}, more[2] = {4, 100};
    ingot_error error;
    for (uint8_t i = 0; i < sizeof values; i++) values[i] = (uint8_t)(i * 37);
    written_begin(w, INGOT_COMPRESS_FAST);
    assert_int_equal(ingot_writer_add(w->writer, "a", INGOT_U8, 2, dims, values, &error), INGOT_OK);
    assert_int_equal(ingot_writer_add(w->writer, "b", INGOT_U8, 2, more, zeros, &error), INGOT_OK);
    assert_int_equal(ingot_writer_attach(w->writer, "c", "attached", 8, &error), INGOT_OK);
    written_end(w);
}

/* ---- prefixes ---- */

static void check_prefixes(const uint8_t *data, uint64_t n_bytes)
{
    for (uint64_t n = 0; n < n_bytes; n++) {
        /* Memory of exactly that length. */
        uint8_t *prefix = malloc(n ? n : 1);
        ingot_file *file = NULL;
        ingot_error error = {0};
        if (n) memcpy(prefix, data, n);
        const ingot_status status = ingot_file_open_memory(prefix, n, NULL, &file, &error);
        if (status != INGOT_INVALID || error.rule != 121) {
            fail_msg("the first %llu bytes: %s, R-%u", (unsigned long long)n,
                     ingot_status_name(status), error.rule);
        }
        assert_null(file);
        free(prefix);
    }
}

static void test_every_prefix(void **state)
{
    (void)state;
    struct draft d;
    struct written w;
    make_specimen(&d);
    check_prefixes(d.file.data, d.file.n_bytes);
    draft_release(&d);
    write_small(&w);
    check_prefixes(w.bytes.data, w.bytes.n_bytes);
    written_release(&w);
}

/* ---- flips ---- */

static bool is_noticed(const uint8_t *data, uint64_t n_bytes)
{
    static struct judgement j;
    judge(data, n_bytes, &j);
    if (!j.opened) return true;
    return j.status == INGOT_OK && j.n_found > 0;
}

static void check_flip(uint8_t *data, uint64_t n_bytes, uint64_t byte, uint32_t bit)
{
    data[byte] = (uint8_t)(data[byte] ^ 1u << bit);
    if (!is_noticed(data, n_bytes)) {
        fail_msg("bit %u of byte %llu changed and nobody noticed", bit, (unsigned long long)byte);
    }
    data[byte] = (uint8_t)(data[byte] ^ 1u << bit);
}

/* All bits of the small file, one of each byte of the specimen. */
static void test_every_flip(void **state)
{
    (void)state;
    struct random random = {1};
    struct draft d;
    struct written w;
    write_small(&w);
    for (uint64_t i = 0; i < w.bytes.n_bytes * 8; i++) {
        check_flip(w.bytes.data, w.bytes.n_bytes, i / 8, (uint32_t)(i % 8));
    }
    written_release(&w);
    make_specimen(&d);
    for (uint64_t i = 0; i < d.file.n_bytes; i++) {
        check_flip(d.file.data, d.file.n_bytes, i, (uint32_t)random_below(&random, 8));
    }
    draft_release(&d);
}

/* Several bytes at once, anywhere: never a crash, and noticed. */
static void test_many_changes(void **state)
{
    (void)state;
    struct random random = {2};
    struct draft d;
    make_specimen(&d);
    uint8_t *changed = malloc(d.file.n_bytes);
    for (int i = 0; i < 500; i++) {
        memcpy(changed, d.file.data, d.file.n_bytes);
        const uint64_t n = 1 + random_below(&random, 20);
        const uint64_t first = random_below(&random, d.file.n_bytes - n);
        for (uint64_t k = 0; k < n; k++) {
            changed[first + k] = (uint8_t)random_bits(&random);
        }
        const bool same = memcmp(changed, d.file.data, d.file.n_bytes) == 0;
        assert_true(same || is_noticed(changed, d.file.n_bytes));
    }
    free(changed);
    draft_release(&d);
}

/* ---- what a damaged chunk takes with it ---- */

/* Flips a bit of a stream in a file that is made anew, and opens it. */
static ingot_file *open_flipped(struct draft *d, enum specimen_stream stream)
{
    ingot_file *file = NULL;
    ingot_error error;
    make_specimen(d);
    const uint32_t chunk = (uint32_t)draft_get(d, DRAFT_STREAMS, stream, 16, 4);
    d->file.data[draft_get(d, DRAFT_CHUNKS, chunk, 0, 8)] ^= 0x10;
    assert_int_equal(ingot_file_open_memory(d->file.data, d->file.n_bytes, NULL, &file, &error),
                     INGOT_OK);
    return file;
}

/* All values of a tensor, or the error. */
static ingot_status decode(const ingot_file *file, uint32_t index, float **values,
                           ingot_error *error)
{
    ingot_tensor t;
    ingot_file_tensor(file, index, &t);
    *values = malloc(t.n_matrices * t.n_rows * t.n_cols * sizeof **values + 1);
    return ingot_file_decode_f32(file, index, 0, t.n_matrices * t.n_rows, *values, error);
}

/* The tensors but one give what they gave before. */
static void check_others(const ingot_file *good, const ingot_file *file, uint32_t hurt)
{
    for (uint32_t i = 0; i < N_SPECIMEN_TENSORS; i++) {
        float *expected, *found;
        ingot_tensor t;
        ingot_error error;
        if (i == hurt || i == TENSOR_OPAQUE || i == TENSOR_REF) continue;
        if (hurt == TENSOR_DENSE && i == TENSOR_ALIAS) continue;
        ingot_file_tensor(good, i, &t);
        assert_int_equal(decode(good, i, &expected, &error), INGOT_OK);
        assert_int_equal(decode(file, i, &found, &error), INGOT_OK);
        for (uint64_t k = 0; k < t.n_matrices * t.n_rows * t.n_cols; k++) {
            assert_true(same_f32(found[k], expected[k]));
        }
        free(found);
        free(expected);
    }
}

/* The validator tells of one damaged chunk, of that name and no other. */
static void check_told(const ingot_file *file, const char *name)
{
    static struct judgement j;
    judge_file(file, &j);
    assert_int_equal(j.status, INGOT_OK);
    assert_int_equal(j.n_found, 1);
    assert_int_equal(j.found[0].rule, 310);
    assert_int_equal(j.found[0].status, INGOT_DAMAGED);
    assert_string_equal(j.found[0].field, name);
}

static void test_one_damaged_chunk(void **state)
{
    (void)state;
    static const struct {
        enum specimen_stream stream;
        uint32_t tensor;
        const char *name;
    } rows[] = {
        {STREAM_DENSE, TENSOR_DENSE, "tensor dense"},
        {STREAM_INT4_SCALES, TENSOR_INT4, "tensor int4"},
        {STREAM_SIGNS_2, TENSOR_VECTOR, "tensor vector"},
        {STREAM_SCALES_OF_SCALES, TENSOR_NESTED, "tensor nested"},
        {STREAM_BITMAP_OFFSETS, TENSOR_BITMAP, "tensor bitmap"},
        {STREAM_LIST_VALUES, TENSOR_LIST, "tensor list"},
        {STREAM_MAGNITUDE_1, TENSOR_LORA, "tensor lora"},
        {STREAM_RESCALE_2, TENSOR_RESCALED, "tensor rescaled"},
        {STREAM_PACKED, TENSOR_PACKED, "tensor packed"},
        {STREAM_FILTERED, TENSOR_FILTERED, "tensor filtered 0"},
        {STREAM_TRITS, TENSOR_FILTERED + 5, "tensor filtered 5"},
    };
    struct draft d, whole;
    ingot_file *good = NULL;
    ingot_error error;
    make_specimen(&whole);
    assert_int_equal(
        ingot_file_open_memory(whole.file.data, whole.file.n_bytes, NULL, &good, &error), INGOT_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ingot_file *file = open_flipped(&d, rows[i].stream);
        float *values;
        assert_int_equal(decode(file, rows[i].tensor, &values, &error), INGOT_DAMAGED);
        free(values);
        assert_int_equal(error.rule, 310);
        assert_string_equal(error.field, rows[i].name);
        check_others(good, file, rows[i].tensor);
        check_told(file, rows[i].name);
        ingot_file_close(file);
        draft_release(&d);
    }
    ingot_file_close(good);
    draft_release(&whole);
}

/* Streams that are no tensor's own are told by what they are. */
static void test_other_damage(void **state)
{
    (void)state;
    static const struct {
        enum specimen_stream stream;
        const char *name;
    } rows[] = {
        {STREAM_CODEBOOK, "codebook of codes"},
        {STREAM_METADATA, "metadata"},
        {STREAM_SOURCE, "source"},
        {STREAM_RECEIPT, "receipt"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct draft d;
        ingot_file *file = open_flipped(&d, rows[i].stream);
        check_told(file, rows[i].name);
        ingot_file_close(file);
        draft_release(&d);
    }
}

/* Rows whose chunks are whole are read though another chunk of the tensor is damaged. */
static void test_rows_beside_damage(void **state)
{
    (void)state;
    struct draft d;
    ingot_file *file = open_flipped(&d, STREAM_DENSE); /* bytes 0 to 255: row 0 and part of row 1 */
    float values[80];
    ingot_error error;
    assert_int_equal(ingot_file_decode_f32(file, TENSOR_DENSE, 0, 1, values, &error),
                     INGOT_DAMAGED);
    assert_int_equal(ingot_file_decode_f32(file, TENSOR_DENSE, 1, 1, values, &error),
                     INGOT_DAMAGED);
    assert_int_equal(ingot_file_decode_f32(file, TENSOR_DENSE, 2, 2, values, &error), INGOT_OK);
    for (int i = 0; i < 80; i++) assert_true(values[i] == (float)i);
    ingot_file_close(file);
    draft_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_many_changes), cmocka_unit_test(test_one_damaged_chunk),
        cmocka_unit_test(test_other_damage), cmocka_unit_test(test_rows_beside_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Metadata through the public interface: written, read, found, refused. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "format/reader.h"
#include "tests/support/failing_memory.h"
#include "tests/support/specimen.h"
#include "tests/support/stream_source.h"

static const char text[] = "h\303\251llo";
/* "a", "" and "bcd" */
static const uint8_t strings[] = {1, 0, 0, 0, 0, 0, 0, 0, 'a', 0, 0, 0,   0,   0,
                                  0, 0, 0, 3, 0, 0, 0, 0, 0,   0, 0, 'b', 'c', 'd'};
static const uint8_t numbers[] = {0xff, 0xff, 1, 0, 0, 0x80};
/* {1, 2} and {} */
static const uint8_t nested[] = {0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1,
                                 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static const struct entry {
    const char *key;
    ingot_value value;
} entries[] = {
    {"u8", {.type = INGOT_VALUE_U8, .u = 255}},
    {"i8", {.type = INGOT_VALUE_I8, .i = -128}},
    {"u16", {.type = INGOT_VALUE_U16, .u = 65535}},
    {"i16", {.type = INGOT_VALUE_I16, .i = -32768}},
    {"u32", {.type = INGOT_VALUE_U32, .u = UINT32_MAX}},
    {"i32", {.type = INGOT_VALUE_I32, .i = INT32_MIN}},
    {"u64", {.type = INGOT_VALUE_U64, .u = UINT64_MAX}},
    {"i64", {.type = INGOT_VALUE_I64, .i = INT64_MIN}},
    {"positive", {.type = INGOT_VALUE_I16, .i = 32767}},
    {"f32", {.type = INGOT_VALUE_F32, .f = 0.25}},
    {"f64", {.type = INGOT_VALUE_F64, .f = 0.1}},
    {"bool", {.type = INGOT_VALUE_BOOL, .u = 1}},
    {"string", {.type = INGOT_VALUE_STRING, .data = text, .n_bytes = sizeof text - 1}},
    {"empty", {.type = INGOT_VALUE_STRING}},
    {"",
     {.type = INGOT_VALUE_ARRAY,
      .element_type = INGOT_VALUE_STRING,
      .n_elements = 3,
      .data = strings,
      .n_bytes = sizeof strings}},
    {"numbers",
     {.type = INGOT_VALUE_ARRAY,
      .element_type = INGOT_VALUE_I16,
      .n_elements = 3,
      .data = numbers,
      .n_bytes = sizeof numbers}},
    {"nested",
     {.type = INGOT_VALUE_ARRAY,
      .element_type = INGOT_VALUE_ARRAY,
      .n_elements = 2,
      .data = nested,
      .n_bytes = sizeof nested}},
    {"none", {.type = INGOT_VALUE_ARRAY, .element_type = INGOT_VALUE_F64}},
};
enum { N_ENTRIES = sizeof entries / sizeof *entries };

static void assert_same(const ingot_value *a, const ingot_value *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->element_type, b->element_type);
    assert_int_equal(a->n_elements, b->n_elements);
    assert_true(a->u == b->u && a->i == b->i && !(a->f < b->f) && !(a->f > b->f));
    assert_int_equal(a->n_bytes, b->n_bytes);
    if (a->n_bytes) assert_memory_equal(a->data, b->data, a->n_bytes);
}

static void write_entries(struct written *w)
{
    written_begin(w, INGOT_COMPRESS_FAST);
    for (uint32_t i = 0; i < N_ENTRIES; i++) {
        assert_int_equal(ingot_writer_metadata(w->writer, entries[i].key, &entries[i].value, NULL),
                         INGOT_OK);
    }
    written_end(w);
}

static ingot_file *open_written(const struct written *w)
{
    ingot_file *file = NULL;
    assert_int_equal(ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, NULL, &file, NULL),
                     INGOT_OK);
    return file;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct written w, again;
    ingot_metadata *metadata = NULL;
    write_entries(&w);
    ingot_file *file = open_written(&w);
    assert_int_equal(ingot_file_verify_all(file, NULL), INGOT_OK);
    assert_int_equal(ingot_metadata_open(file, &metadata, NULL), INGOT_OK);
    ingot_file_close(file); /* the metadata outlives it */
    assert_int_equal(ingot_metadata_n_entries(metadata), N_ENTRIES);
    written_begin(&again, INGOT_COMPRESS_FAST);
    for (uint32_t i = 0; i < N_ENTRIES; i++) {
        const char *key;
        uint32_t key_bytes;
        ingot_value value, found;
        ingot_metadata_entry(metadata, i, &key, &key_bytes, &value);
        assert_int_equal(key_bytes, strlen(entries[i].key));
        assert_memory_equal(key, entries[i].key, key_bytes);
        assert_same(&value, &entries[i].value);
        assert_int_equal(ingot_metadata_find(metadata, key, key_bytes, &found), INGOT_OK);
        assert_same(&found, &value);
        /* What was read may be handed on. */
        assert_int_equal(ingot_writer_metadata(again.writer, entries[i].key, &value, NULL),
                         INGOT_OK);
    }
    written_end(&again);
    assert_int_equal(again.bytes.n_bytes, w.bytes.n_bytes);
    assert_memory_equal(again.bytes.data, w.bytes.data, w.bytes.n_bytes);
    ingot_value found = {.n_bytes = 77};
    assert_int_equal(ingot_metadata_find(metadata, "u8 ", 3, &found), INGOT_NOT_FOUND);
    assert_int_equal(ingot_metadata_find(metadata, "u", 1, &found), INGOT_NOT_FOUND);
    assert_int_equal(found.n_bytes, 77);
    ingot_metadata_close(metadata);
    written_release(&again);
    written_release(&w);
}

static void test_elements(void **state)
{
    (void)state;
    static const int64_t expected[] = {-1, 1, -32768};
    static const char *const words[] = {"a", "", "bcd"};
    ingot_value array = entries[15].value, element;
    uint64_t offset = 0;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(ingot_value_next(&array, &offset, &element), INGOT_OK);
        assert_int_equal(element.type, INGOT_VALUE_I16);
        assert_true(element.i == expected[i]);
    }
    assert_int_equal(ingot_value_next(&array, &offset, &element), INGOT_END);
    array = entries[14].value;
    offset = 0;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(ingot_value_next(&array, &offset, &element), INGOT_OK);
        assert_int_equal(element.n_bytes, strlen(words[i]));
        assert_memory_equal(element.data, words[i], element.n_bytes);
    }
    assert_int_equal(ingot_value_next(&array, &offset, &element), INGOT_END);
    array = entries[16].value;
    offset = 0;
    assert_int_equal(ingot_value_next(&array, &offset, &element), INGOT_OK);
    assert_int_equal(element.n_elements, 2);
    ingot_value inner;
    uint64_t inner_offset = 0;
    for (uint64_t k = 1; k <= 2; k++) {
        assert_int_equal(ingot_value_next(&element, &inner_offset, &inner), INGOT_OK);
        assert_true(inner.u == k);
    }
    assert_int_equal(ingot_value_next(&element, &inner_offset, &inner), INGOT_END);
    assert_int_equal(ingot_value_next(&array, &offset, &element), INGOT_OK);
    assert_int_equal(element.n_elements, 0);
    assert_int_equal(ingot_value_next(&array, &offset, &element), INGOT_END);
}

/* What no file may hold is refused, and changes nothing. */
static void test_refused(void **state)
{
    (void)state;
    static const ingot_value bad[] = {
        {.type = INGOT_VALUE_U8, .u = 256},
        {.type = INGOT_VALUE_I8, .i = 128},
        {.type = INGOT_VALUE_I8, .i = -129},
        {.type = INGOT_VALUE_U32, .u = UINT64_C(1) << 32},
        {.type = INGOT_VALUE_BOOL, .u = 2},
        {.type = (ingot_value_type)13},
        {.type = (ingot_value_type)-1},
        {.type = INGOT_VALUE_ARRAY, .element_type = (ingot_value_type)13},
        {.type = INGOT_VALUE_ARRAY, .element_type = INGOT_VALUE_U8, .n_elements = 1},
        {.type = INGOT_VALUE_ARRAY,
         .element_type = INGOT_VALUE_STRING,
         .n_elements = 4,
         .data = strings,
         .n_bytes = sizeof strings},
        {.type = INGOT_VALUE_ARRAY,
         .element_type = INGOT_VALUE_STRING,
         .n_elements = 3,
         .data = strings,
         .n_bytes = sizeof strings - 1},
    };
    struct written w, plain;
    char long_key[65538];
    ingot_error error;
    written_begin(&w, INGOT_COMPRESS_NONE);
    written_begin(&plain, INGOT_COMPRESS_NONE);
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error = (ingot_error){.status = INGOT_OK};
        assert_int_equal(ingot_writer_metadata(w.writer, "k", &bad[i], &error), INGOT_INVALID);
        assert_int_equal(error.status, INGOT_INVALID);
        assert_true(error.rule >= 710 && error.rule <= 712);
    }
    assert_int_equal(ingot_writer_metadata(w.writer, "k", &entries[0].value, NULL), INGOT_OK);
    assert_int_equal(ingot_writer_metadata(w.writer, "k", &entries[1].value, &error),
                     INGOT_INVALID);
    assert_int_equal(error.rule, 711);
    memset(long_key, 'x', sizeof long_key);
    long_key[65536] = '\0';
    assert_int_equal(ingot_writer_metadata(w.writer, long_key, &entries[0].value, &error),
                     INGOT_INVALID);
    assert_int_equal(ingot_writer_metadata(plain.writer, "k", &entries[0].value, NULL), INGOT_OK);
    written_end(&w);
    written_end(&plain);
    assert_int_equal(w.bytes.n_bytes, plain.bytes.n_bytes);
    assert_memory_equal(w.bytes.data, plain.bytes.data, plain.bytes.n_bytes);
    written_release(&plain);
    written_release(&w);
}

static ingot_status open_metadata(void *context, const ingot_allocator *allocator,
                                  ingot_error *error)
{
    const struct written *w = context;
    ingot_file *file = NULL;
    ingot_metadata *metadata = NULL;
    ingot_status status =
        ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, allocator, &file, error);
    if (status == INGOT_OK) status = ingot_metadata_open(file, &metadata, error);
    assert_int_equal(metadata != NULL, status == INGOT_OK);
    ingot_metadata_close(metadata);
    ingot_file_close(file);
    return status;
}

static ingot_status write_metadata_to(void *context, const ingot_allocator *allocator,
                                      ingot_error *error)
{
    struct byte_buffer bytes = {.allocator = allocator};
    struct output *output = NULL;
    ingot_writer *writer = NULL;
    (void)context;
    ingot_status status = output_to_memory(&bytes, allocator, &output, error);
    if (status == INGOT_OK) {
        status = ingot_writer_over(output, INGOT_COMPRESS_FAST, allocator, &writer, error);
    }
    for (uint32_t i = 0; i < N_ENTRIES && status == INGOT_OK; i++) {
        status = ingot_writer_metadata(writer, entries[i].key, &entries[i].value, error);
    }
    if (status == INGOT_OK) status = ingot_writer_finish(writer, error);
    ingot_writer_close(writer);
    buffer_release(&bytes);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    struct written w;
    write_entries(&w);
    assert_true(fail_every_allocation(open_metadata, &w) > 5);
    assert_true(fail_every_allocation(write_metadata_to, NULL) > 5);
    written_release(&w);
}

/* A file without metadata, and files whose metadata breaks a rule. */
static void test_other_files(void **state)
{
    (void)state;
    struct written w;
    ingot_metadata *metadata = NULL;
    written_begin(&w, INGOT_COMPRESS_NONE);
    written_end(&w);
    ingot_file *file = open_written(&w);
    assert_int_equal(ingot_metadata_open(file, &metadata, NULL), INGOT_OK);
    assert_int_equal(ingot_metadata_n_entries(metadata), 0);
    ingot_value value;
    assert_int_equal(ingot_metadata_find(metadata, "", 0, &value), INGOT_NOT_FOUND);
    ingot_metadata_close(metadata);
    ingot_file_close(file);
    written_release(&w);
    ingot_metadata_close(NULL);

    for (uint32_t rule = 710; rule <= 712; rule++) {
        char path[64];
        ingot_error error = {.rule = 0};
        snprintf(path, sizeof path, "fixtures/bad/R-%u.ingot", rule);
        assert_int_equal(ingot_file_open(path, NULL, &file, NULL), INGOT_OK);
        metadata = NULL;
        assert_int_equal(ingot_metadata_open(file, &metadata, &error), INGOT_INVALID);
        assert_int_equal(error.rule, rule);
        assert_null(metadata);
        ingot_file_close(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_elements),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_memory),
        cmocka_unit_test(test_other_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

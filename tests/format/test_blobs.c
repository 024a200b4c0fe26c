/* Metadata, attachments and the source blob: built, written, read back and walked. */
#include "format/validate.h"
#include "tests//support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "format/metadata.h"
#include "format/records.h"
#include "format/source.h"
#include "tests/support/judge.h"
#include "tests/support/random.h"
#include "tests/support/stream_source.h"

static uint32_t add_blob(struct written *w, ingot_blob_kind kind, const char *name,
                         const char *media_type, const void *bytes, uint64_t n_bytes)
{
    const struct span span = {bytes, n_bytes};
    const struct byte_source source = memory_bytes(&span);
    uint32_t index = INGOT_NONE;
    ingot_error error;
    const ingot_status status =
        ingot_writer_blob(w->writer, kind, name, media_type, n_bytes, &source, &index, &error);
    if (status != INGOT_OK) fail_msg("R-%u: %s: %s", error.rule, error.field, error.what);
    return index;
}

static ingot_file *open_written(struct written *w)
{
    ingot_file *file = NULL;
    ingot_error error;
    written_end(w);
    judge_good(w->bytes.data, w->bytes.n_bytes);
    assert_int_equal(ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, NULL, &file, &error),
                     INGOT_OK);
    return file;
}

/* ---- attachments ---- */

static void test_attachments(void **state)
{
    (void)state;
    static uint8_t large[3000001];
    static const char *const names[] = {"a", "folder/b.json", "c d\xff"};
    struct random random = {1};
    struct written w;
    ingot_error error;
    for (size_t i = 0; i < sizeof large; i++) large[i] = (uint8_t)random_bits(&random);
    written_begin(&w, INGOT_COMPRESS_FAST);
    assert_int_equal(add_blob(&w, INGOT_BLOB_ATTACHMENT, names[0], "text/plain", "text", 4), 0);
    assert_int_equal(add_blob(&w, INGOT_BLOB_ATTACHMENT, names[1], NULL, large, sizeof large), 1);
    assert_int_equal(ingot_writer_attach(w.writer, names[2], "", 0, &error), INGOT_OK);
    ingot_file *file = open_written(&w);
    assert_int_equal(ingot_file_n_blobs(file), 3);
    for (uint32_t i = 0; i < 3; i++) {
        ingot_blob blob;
        ingot_file_blob(file, i, &blob);
        assert_int_equal(blob.kind, INGOT_BLOB_ATTACHMENT);
        assert_int_equal(blob.name_bytes, strlen(names[i]));
        assert_memory_equal(blob.name, names[i], blob.name_bytes);
        assert_int_equal(
            ingot_file_find_blob(file, INGOT_BLOB_ATTACHMENT, names[i], strlen(names[i])), i);
    }
    assert_int_equal(ingot_file_find_blob(file, INGOT_BLOB_ATTACHMENT, "b", 1), INGOT_NONE);
    assert_int_equal(ingot_file_find_blob(file, INGOT_BLOB_METADATA, "", 0), INGOT_NONE);
    for (int i = 0; i < 20; i++) {
        static uint8_t found[3000001];
        const uint64_t offset = random_below(&random, sizeof large);
        const uint64_t n = random_below(&random, sizeof large - offset + 1);
        assert_int_equal(ingot_file_read_blob(file, 1, offset, n, found, &error), INGOT_OK);
        if (n) assert_memory_equal(found, large + offset, n);
    }
    uint8_t byte;
    assert_int_equal(ingot_file_read_blob(file, 0, 4, 1, &byte, &error), INGOT_INVALID);
    assert_int_equal(ingot_file_read_blob(file, 2, 0, 1, &byte, &error), INGOT_INVALID);
    ingot_file_close(file);
    written_release(&w);
}

static void test_names_of_blobs(void **state)
{
    (void)state;
    static const struct {
        ingot_blob_kind kind;
        const char *name;
    } refused[] = {
        {INGOT_BLOB_ATTACHMENT, ""},      {INGOT_BLOB_ATTACHMENT, NULL},
        {INGOT_BLOB_ATTACHMENT, "/a"},    {INGOT_BLOB_ATTACHMENT, "a/"},
        {INGOT_BLOB_ATTACHMENT, "a//b"},  {INGOT_BLOB_ATTACHMENT, "."},
        {INGOT_BLOB_ATTACHMENT, ".."},    {INGOT_BLOB_ATTACHMENT, "a/../b"},
        {INGOT_BLOB_ATTACHMENT, "a/."},   {INGOT_BLOB_ATTACHMENT, "a\\b"},
        {INGOT_BLOB_ATTACHMENT, "c:"},    {INGOT_BLOB_ATTACHMENT, "a\nb"},
        {INGOT_BLOB_ATTACHMENT, "there"}, {INGOT_BLOB_METADATA, "name"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct span span = {(const uint8_t *)"x", 1};
        const struct byte_source source = memory_bytes(&span);
        struct written w;
        ingot_error error;
        written_begin(&w, INGOT_COMPRESS_NONE);
        add_blob(&w, INGOT_BLOB_ATTACHMENT, "there", NULL, "x", 1);
        assert_int_equal(ingot_writer_blob(w.writer, refused[i].kind, refused[i].name, NULL, 1,
                                           &source, NULL, &error),
                         INGOT_INVALID);
        assert_int_equal(error.rule, 702);
        written_release(&w);
    }
    static char longest[4098];
    memset(longest, 'x', sizeof longest - 1);
    assert_false(safe_path(longest, 4097));
    assert_true(safe_path(longest, 4096));
    assert_true(safe_path("...", 3));
    assert_true(safe_path(".a/b..c/..d", 11));
    assert_false(safe_path("a\0b", 3));
}

static void test_long_media_type(void **state)
{
    (void)state;
    static char text[65538];
    const struct span span = {(const uint8_t *)"x", 1};
    const struct byte_source source = memory_bytes(&span);
    struct written w;
    ingot_error error;
    memset(text, 'x', sizeof text - 1);
    written_begin(&w, INGOT_COMPRESS_NONE);
    assert_int_equal(
        ingot_writer_blob(w.writer, INGOT_BLOB_ATTACHMENT, "a", text, 1, &source, NULL, &error),
        INGOT_INVALID);
    assert_int_equal(error.rule, 211);
    add_blob(&w, INGOT_BLOB_ATTACHMENT, "a", text + 1, "x", 1);
    ingot_file_close(open_written(&w));
    written_release(&w);
}

/* ---- receipts ---- */

/* JSON that is unusual and right. */
static void test_odd_receipts(void **state)
{
    (void)state;
    static char deep[2100] = "{\"a\":";
    static const char *const receipts[] = {
        "{}",
        " \n{ \"ingot\" : null }\t",
        "{\"notes\":[\"\\u0000\",\"\\ud83d\\ude00\",\"}]\\\"{[\"]}",
        "{\"unknown\":{\"a\":1},\"a\":{\"a\":-9223372036854775808,\"b\":1e300}}",
        deep,
    };
    size_t n = strlen(deep);
    for (int i = 0; i < 999; i++) deep[n++] = '[';
    for (int i = 0; i < 999; i++) deep[n++] = ']';
    deep[n] = '}';
    for (size_t i = 0; i < sizeof receipts / sizeof *receipts; i++) {
        struct written w;
        written_begin(&w, INGOT_COMPRESS_NONE);
        add_blob(&w, INGOT_BLOB_RECEIPT, NULL, NULL, receipts[i], strlen(receipts[i]));
        ingot_file_close(open_written(&w));
        written_release(&w);
    }
}

static void test_bad_receipts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t offset;
    } receipts[] = {
        {"", 0},
        {"[]", INGOT_NO_OFFSET},
        {"{\"a\":1", 6},
        {"{\"a\":1,\"\\u0061\":2}", 7},
        {"{\"tensors\":[{\"b\":0},{\"b\":1,\"b\":2}]}", INGOT_NO_OFFSET},
        {"{\"a\\u0000\":1}", 1},
        {"{\"a\":{\"\\u0000\":1}}", INGOT_NO_OFFSET},
        {"{\"a\":1e999}", INGOT_NO_OFFSET},
        {"{\"a\":[9223372036854775808]}", INGOT_NO_OFFSET},
        {"{\"a\":\"\\ud800\"}", INGOT_NO_OFFSET},
    };
    for (size_t i = 0; i < sizeof receipts / sizeof *receipts; i++) {
        ingot_error error = {0};
        const struct span text = {(const uint8_t *)receipts[i].text, strlen(receipts[i].text)};
        assert_int_equal(validate_receipt(text, NULL, &error), INGOT_INVALID);
        assert_int_equal(error.rule, 730);
        if (receipts[i].offset != INGOT_NO_OFFSET) {
            assert_int_equal(error.offset, receipts[i].offset);
        }
    }
}

/* ---- metadata ---- */

static void put_key(struct byte_buffer *b, const char *key, uint32_t type)
{
    buffer_u32(b, (uint32_t)strlen(key));
    buffer_append(b, key, strlen(key));
    buffer_u32(b, type);
}

/* One entry of each scalar type, whose bytes are 1, 2, 3 ..., a string, arrays. */
static void build_metadata(struct byte_buffer *b)
{
    static const struct {
        uint32_t type, n_bytes;
    } scalars[] = {
        {META_U8, 1},  {META_I8, 1},   {META_U16, 2}, {META_I16, 2}, {META_U32, 4}, {META_I32, 4},
        {META_F32, 4}, {META_BOOL, 1}, {META_U64, 8}, {META_I64, 8}, {META_F64, 8},
    };
    metadata_begin(b, 14);
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        put_key(b, metadata_type_name(scalars[i].type), scalars[i].type);
        for (uint8_t k = 1; k <= scalars[i].n_bytes; k++) buffer_u8(b, k);
    }
    metadata_put_string(b, "text\0key", 8, "a\0b", 3);
    put_key(b, "strings", META_ARRAY);
    buffer_u32(b, META_STRING);
    buffer_u64(b, 2);
    buffer_u64(b, 8 + 3 + 8);
    buffer_u64(b, 3);
    buffer_append(b, "one", 3);
    buffer_u64(b, 0);
    put_key(b, "nested", META_ARRAY);
    buffer_u32(b, META_ARRAY);
    buffer_u64(b, 1);
    buffer_u64(b, 20 + 4);
    buffer_u32(b, META_U16);
    buffer_u64(b, 2);
    buffer_u64(b, 4);
    buffer_u16(b, 7);
    buffer_u16(b, 8);
}

static void check_arrays(struct metadata_walk *walk)
{
    struct metadata_value v, element;
    const char *key;
    uint32_t key_bytes;
    assert_int_equal(metadata_next(walk, &key, &key_bytes, &v, NULL), INGOT_OK);
    assert_int_equal(v.element_type, META_STRING);
    assert_int_equal(v.count, 2);
    struct cursor at = cursor_over(v.bytes.data, v.bytes.n_bytes);
    assert_int_equal(metadata_element(&at, META_STRING, &element, NULL), INGOT_OK);
    assert_int_equal(element.bytes.n_bytes, 3);
    assert_memory_equal(element.bytes.data, "one", 3);
    assert_int_equal(metadata_element(&at, META_STRING, &element, NULL), INGOT_OK);
    assert_int_equal(element.bytes.n_bytes, 0);
    assert_int_equal(metadata_element(&at, META_STRING, &element, NULL), INGOT_END);
    assert_int_equal(metadata_next(walk, &key, &key_bytes, &v, NULL), INGOT_OK);
    at = cursor_over(v.bytes.data, v.bytes.n_bytes);
    assert_int_equal(metadata_element(&at, v.element_type, &element, NULL), INGOT_OK);
    assert_int_equal(element.type, META_ARRAY);
    assert_int_equal(element.element_type, META_U16);
    assert_int_equal(element.count, 2);
    assert_int_equal(load_u16(element.bytes.data + 2), 8);
    assert_int_equal(metadata_next(walk, &key, &key_bytes, &v, NULL), INGOT_END);
}

static void check_metadata(const void *bytes, uint64_t n_bytes)
{
    static const uint32_t n_scalar_bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 8, 8};
    const struct span blob = {bytes, n_bytes};
    struct metadata_walk walk;
    struct metadata_value v;
    const char *key;
    uint32_t key_bytes;
    assert_int_equal(metadata_open(blob, &walk, NULL), INGOT_OK);
    for (size_t i = 0; i < sizeof n_scalar_bytes / sizeof *n_scalar_bytes; i++) {
        assert_int_equal(metadata_next(&walk, &key, &key_bytes, &v, NULL), INGOT_OK);
        assert_int_equal(key_bytes, strlen(metadata_type_name(v.type)));
        assert_memory_equal(key, metadata_type_name(v.type), key_bytes);
        assert_int_equal(v.bytes.n_bytes, n_scalar_bytes[i]);
        for (uint32_t k = 0; k < v.bytes.n_bytes; k++) assert_int_equal(v.bytes.data[k], k + 1);
    }
    assert_int_equal(metadata_next(&walk, &key, &key_bytes, &v, NULL), INGOT_OK);
    assert_int_equal(key_bytes, 8);
    assert_memory_equal(key, "text\0key", 8);
    assert_int_equal(v.bytes.n_bytes, 3);
    assert_memory_equal(v.bytes.data, "a\0b", 3);
    check_arrays(&walk);
}

static void test_metadata(void **state)
{
    (void)state;
    struct byte_buffer b = {0};
    struct written w;
    uint8_t found[512];
    ingot_error error;
    build_metadata(&b);
    check_metadata(b.data, b.n_bytes);
    written_begin(&w, INGOT_COMPRESS_MAX);
    add_blob(&w, INGOT_BLOB_METADATA, NULL, NULL, b.data, b.n_bytes);
    ingot_file *file = open_written(&w);
    const uint32_t index = ingot_file_find_blob(file, INGOT_BLOB_METADATA, NULL, 0);
    assert_int_equal(index, 0);
    assert_true(b.n_bytes <= sizeof found);
    assert_int_equal(ingot_file_read_blob(file, index, 0, b.n_bytes, found, &error), INGOT_OK);
    check_metadata(found, b.n_bytes);
    ingot_file_close(file);
    written_release(&w);
    buffer_release(&b);
    assert_null(metadata_type_name(13));
}

/* Every prefix is refused, and no walk goes past its end. */
static void test_metadata_cut_short(void **state)
{
    (void)state;
    struct byte_buffer b = {0};
    build_metadata(&b);
    for (uint64_t n = 0; n < b.n_bytes; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        const struct span blob = {copy, n};
        struct metadata_walk walk;
        struct metadata_value v;
        const char *key;
        uint32_t key_bytes;
        ingot_error error;
        memcpy(copy, b.data, n);
        ingot_status status = metadata_open(blob, &walk, &error);
        while (status == INGOT_OK) status = metadata_next(&walk, &key, &key_bytes, &v, &error);
        assert_int_equal(status, INGOT_INVALID);
        assert_true(error.rule == 710 || error.rule == 712);
        free(copy);
    }
    buffer_release(&b);
}

/* ---- source ---- */

static ingot_status append(void *context, const void *bytes, uint64_t n_bytes, ingot_error *error)
{
    (void)error;
    buffer_append(context, bytes, n_bytes);
    return INGOT_OK;
}

/* Writes a file whose second source file is put together from all kinds of segments. */
static void write_sources(struct written *w, const struct byte_buffer *whole, const char *form)
{
    static uint8_t values[1500000];
    const uint64_t dims[2] = {1500, 1000};
    struct byte_buffer b = {0};
    struct source_file empty = {"empty.bin", 9, 0, {0}, 0};
    struct source_file file = {"folder/model.bin", 16, whole->n_bytes, {0}, 5};
    ingot_error error;
    for (uint32_t i = 0; i < sizeof values; i++) values[i] = (uint8_t)(i * i >> 8);
    written_begin(w, INGOT_COMPRESS_FAST);
    assert_int_equal(ingot_writer_add(w->writer, "t", INGOT_U8, 2, dims, values, &error), INGOT_OK);
    const uint32_t attachment = add_blob(w, INGOT_BLOB_ATTACHMENT, "a", NULL, "attached", 8);
    hash_of("", 0, empty.hash);
    hash_of(whole->data, whole->n_bytes, file.hash);
    source_begin(&b, 2);
    source_put_file(&b, &empty);
    source_put_file(&b, &file);
    source_put_literal(&b, "head", 4);
    source_put_tensor(&b, 0, form, (uint32_t)strlen(form));
    source_put_literal(&b, "", 0);
    source_put_attachment(&b, attachment);
    source_put_literal(&b, "\0tail", 5);
    add_blob(w, INGOT_BLOB_SOURCE, NULL, NULL, b.data, b.n_bytes);
    buffer_release(&b);
}

static void build_whole(struct byte_buffer *whole)
{
    buffer_append(whole, "head", 4);
    for (uint32_t i = 0; i < 1500000; i++) buffer_u8(whole, (uint8_t)(i * i >> 8));
    buffer_append(whole, "attached", 8);
    buffer_append(whole, "\0tail", 5);
}

static void test_source_bytes(void **state)
{
    (void)state;
    struct byte_buffer whole = {0}, found = {0};
    struct written w;
    struct source_walk walk;
    struct source_file source;
    ingot_error error;
    build_whole(&whole);
    write_sources(&w, &whole, "");
    ingot_file *file = open_written(&w);
    uint8_t blob[512];
    ingot_blob info;
    const uint32_t index = ingot_file_find_blob(file, INGOT_BLOB_SOURCE, NULL, 0);
    ingot_file_blob(file, index, &info);
    assert_true(info.n_bytes <= sizeof blob);
    assert_int_equal(ingot_file_read_blob(file, index, 0, info.n_bytes, blob, &error), INGOT_OK);
    const struct span span = {blob, info.n_bytes};
    const struct byte_sink sink = {&found, append};
    struct source_rebuild *rebuild = NULL;
    assert_int_equal(source_rebuild_open(file, NULL, &rebuild, &error), INGOT_OK);
    assert_int_equal(source_open(span, &walk, &error), INGOT_OK);
    assert_int_equal(source_next_file(&walk, &source, &error), INGOT_OK);
    assert_memory_equal(source.name, "empty.bin", 9);
    assert_int_equal(source_file_bytes(rebuild, &walk, &source, &sink, &error), INGOT_OK);
    assert_int_equal(found.n_bytes, 0);
    assert_int_equal(source_next_file(&walk, &source, &error), INGOT_OK);
    assert_int_equal(source.n_bytes, whole.n_bytes);
    assert_int_equal(source_file_bytes(rebuild, &walk, &source, &sink, &error), INGOT_OK);
    assert_int_equal(found.n_bytes, whole.n_bytes);
    assert_memory_equal(found.data, whole.data, whole.n_bytes);
    assert_int_equal(source_next_file(&walk, &source, &error), INGOT_END);
    source_rebuild_close(rebuild);
    ingot_file_close(file);
    written_release(&w);
    buffer_release(&found);
    buffer_release(&whole);
}

/* A form of a known kind has one length. */
static void test_long_form(void **state)
{
    (void)state;
    struct byte_buffer whole = {0};
    struct written w;
    struct judgement j;
    build_whole(&whole);
    write_sources(&w, &whole, "\1\1");
    written_end(&w);
    judge(w.bytes.data, w.bytes.n_bytes, &j);
    assert_true(j.opened);
    assert_int_equal(j.n_found, 1);
    assert_int_equal(j.found[0].rule, 725);
    written_release(&w);
    buffer_release(&whole);
}

/* A form that this library does not know breaks no rule, but the file cannot be restored. */
static void test_unknown_form(void **state)
{
    (void)state;
    struct byte_buffer whole = {0};
    struct written w;
    struct judgement j;
    build_whole(&whole);
    write_sources(&w, &whole, "foreign");
    written_end(&w);
    judge(w.bytes.data, w.bytes.n_bytes, &j);
    assert_true(j.opened);
    assert_int_equal(j.status, INGOT_OK);
    assert_int_equal(j.n_found, 0);
    written_release(&w);
    buffer_release(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attachments),        cmocka_unit_test(test_names_of_blobs),
        cmocka_unit_test(test_long_media_type),    cmocka_unit_test(test_odd_receipts),
        cmocka_unit_test(test_bad_receipts),       cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_metadata_cut_short), cmocka_unit_test(test_source_bytes),
        cmocka_unit_test(test_unknown_form),       cmocka_unit_test(test_long_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

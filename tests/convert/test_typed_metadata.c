/* Typed metadata into GGUF, byte by byte, and into safetensors as text. */
#include "tests/convert/conversions.h"
#include "tests/convert/gguf_bytes.h"
#include "tests/convert/heard.h"

#include "format/buffer.h"
#include "format/metadata.h"
#include "format/writer.h"

static void put_key(struct byte_buffer *out, const char *key, uint32_t type)
{
    buffer_u32(out, (uint32_t)strlen(key));
    buffer_append(out, key, strlen(key));
    buffer_u32(out, type);
}

/* An array of the container's metadata: its type, count and length before the elements. */
static void put_array(struct byte_buffer *out, uint32_t type, uint64_t count, const void *elements,
                      uint64_t n_bytes)
{
    buffer_u32(out, type);
    buffer_u64(out, count);
    buffer_u64(out, n_bytes);
    buffer_append(out, elements, n_bytes);
}

static const uint8_t numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
static const char texts[] = "\1\0\0\0\0\0\0\0a\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0bc";
enum { TEXTS_BYTES = sizeof texts - 1 };

/* Every type that there is; the alignment is among the entries. */
static uint64_t put_all_types(struct byte_buffer *out, uint32_t alignment)
{
    static const struct {
        uint32_t type;
        uint32_t n_bytes;
    } scalars[] = {{0, 1}, {1, 1}, {2, 2},  {3, 2},  {4, 4},
                   {5, 4}, {6, 4}, {10, 8}, {11, 8}, {12, 8}};
    const uint8_t yes = 1;
    char key[16];
    for (size_t i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "scalar.%u", scalars[i].type);
        put_key(out, key, scalars[i].type);
        buffer_append(out, numbers, scalars[i].n_bytes);
    }
    put_key(out, "bool", 7);
    buffer_u8(out, yes);
    put_key(out, "numbers", 9);
    put_array(out, 2, 4, numbers, 8);
    put_key(out, "texts", 9);
    put_array(out, 8, 3, texts, TEXTS_BYTES);
    put_key(out, "nothing", 9);
    put_array(out, 8, 0, NULL, 0);
    put_key(out, "general.alignment", 4);
    buffer_u32(out, alignment);
    put_key(out, "general.architecture", 8);
    buffer_u64(out, 5);
    buffer_append(out, "llama", 5);
    return 16;
}

/* A container of one f32 vector "v" of 3 with that metadata. */
static void write_container(const char *path, const struct byte_buffer *entries, uint64_t n)
{
    static const float values[3] = {1, 2, 3};
    const uint64_t dims[1] = {3};
    struct byte_buffer blob = {0};
    ingot_writer *writer;
    ingot_error error = {0};
    metadata_begin(&blob, n);
    buffer_append(&blob, entries->data, entries->n_bytes);
    const struct span span = {blob.data, blob.n_bytes};
    const struct byte_source source = memory_bytes(&span);
    assert_ok(ingot_writer_create(path, true, INGOT_COMPRESS_NONE, NULL, &writer, &error), &error);
    assert_ok(ingot_writer_add(writer, "v", INGOT_F32, 1, dims, values, &error), &error);
    assert_ok(ingot_writer_blob(writer, INGOT_BLOB_METADATA, NULL, NULL, blob.n_bytes, &source,
                                NULL, &error),
              &error);
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    buffer_release(&blob);
}

static const struct gguf_entry *entry_of(const struct gguf_bytes *g, const char *key)
{
    for (uint64_t i = 0; i < g->n_entries; i++) {
        if (strcmp(g->entries[i].key, key) == 0) return &g->entries[i];
    }
    return NULL;
}

static void test_typed_metadata(void **state)
{
    static const float values[3] = {1, 2, 3};
    char *source = scratch_path(state, "types.ingot");
    char *target = scratch_path(state, "types.gguf");
    struct byte_buffer entries = {0};
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    const uint64_t n = put_all_types(&entries, 128);
    write_container(source, &entries, n);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_int_equal(heard.n_notes, 0);
    struct gguf_bytes g = gguf_read(target, 128);
    assert_int_equal(g.n_entries, n);
    for (uint64_t i = 0; i < 10; i++) {
        assert_memory_equal(g.entries[i].value, numbers, g.entries[i].n_bytes);
    }
    assert_int_equal(g.entries[10].type, 7);
    assert_int_equal(g.entries[10].value[0], 1);
    const struct gguf_entry *e = entry_of(&g, "numbers");
    assert_int_equal(e->n_bytes, 4 + 8 + 8);
    assert_memory_equal(e->value, "\2\0\0\0\4\0\0\0\0\0\0\0\1\2\3\4\5\6\7\10", 20);
    e = entry_of(&g, "texts");
    assert_int_equal(e->n_bytes, 4 + 8 + TEXTS_BYTES);
    assert_memory_equal(e->value + 12, texts, TEXTS_BYTES);
    assert_int_equal(entry_of(&g, "nothing")->n_bytes, 12);
    gguf_expect_data(&g, 0, values, sizeof values, 128);
    assert_int_equal(g.at, g.n_bytes);
    gguf_release(&g);
    buffer_release(&entries);
    free(target);
    free(source);
}

static void test_odd_metadata(void **state)
{
    char *source = scratch_path(state, "odd.ingot");
    char *target = scratch_path(state, "odd.gguf");
    struct byte_buffer entries = {0};
    struct byte_buffer inner = {0};
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    put_array(&inner, 2, 1, numbers, 2);
    put_array(&inner, 8, 3, texts, TEXTS_BYTES);
    put_key(&entries, "nested", 9);
    put_array(&entries, 9, 2, inner.data, inner.n_bytes);
    put_key(&entries, "", 7);
    buffer_u8(&entries, 0);
    put_key(&entries, "split.no", 2);
    buffer_u16(&entries, 0);
    put_key(&entries, "split.count", 2);
    buffer_u16(&entries, 2);
    put_key(&entries, "split.tensors.count", 5);
    buffer_u32(&entries, 1);
    write_container(source, &entries, 5);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_true(heard_note(&heard, "empty key"));
    assert_true(heard_note(&heard, "holds arrays"));
    assert_true(heard_note(&heard, "split.no"));
    assert_true(heard_note(&heard, "general.architecture"));
    struct gguf_bytes g = gguf_read(target, 32);
    assert_int_equal(g.n_entries, 2);
    assert_int_equal(g.entries[0].n_bytes, 4 + 8 + (4 + 8 + 2) + (4 + 8 + TEXTS_BYTES));
    assert_memory_equal(g.entries[0].value, "\11\0\0\0\2\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\1\2",
                        26);
    gguf_release(&g);
    buffer_release(&inner);
    buffer_release(&entries);
    free(target);
    free(source);
}

static void test_alignment(void **state)
{
    static const uint32_t wrong[] = {0, 3, 48, 1u << 21};
    char *source = scratch_path(state, "align.ingot");
    char *text = scratch_path(state, "align.safetensors");
    char *target = scratch_path(state, "align.gguf");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct byte_buffer entries = {0};
        write_container(source, &entries, put_all_types(&entries, wrong[i]));
        assert_int_equal(convert_heard(source, target, NULL, &heard, &result, &error),
                         INGOT_REFUSED);
        assert_string_equal(error.field, "general.alignment");
        buffer_release(&entries);
    }
    safetensors_write(text,
                      "{\"__metadata__\":{\"general.alignment\":\"32\"},"
                      "\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                      "x", 1);
    assert_int_equal(convert_heard(text, target, NULL, &heard, &result, &error), INGOT_REFUSED);
    assert_string_equal(error.field, "general.alignment");
    assert_false(exists(target));
    free(target);
    free(text);
    free(source);
}

/* What safetensors makes of the same metadata. */
static void test_metadata_as_text(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"scalar.0\":\"1\",\"scalar.1\":\"1\",\"scalar.2\":\"513\","
        "\"scalar.3\":\"513\",\"scalar.4\":\"67305985\",\"scalar.5\":\"67305985\","
        "\"scalar.6\":\"1.5399896e-36\",\"scalar.10\":\"578437695752307201\","
        "\"scalar.11\":\"578437695752307201\",\"scalar.12\":\"5.447603722011605e-270\","
        "\"bool\":\"true\",\"general.alignment\":\"32\",\"general.architecture\":\"llama\"},"
        "\"v\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}";
    char *source = scratch_path(state, "text.ingot");
    char *target = scratch_path(state, "text.safetensors");
    struct byte_buffer entries = {0};
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    write_container(source, &entries, put_all_types(&entries, 32));
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_int_equal(result.n_metadata_lost, 3);
    assert_true(heard_note(&heard, "12 metadata values are written as text"));
    assert_true(heard_note(&heard, "3 metadata entries are left out"));
    assert_true(heard_note(&heard, "'numbers' and others"));
    size_t n_bytes;
    uint8_t *bytes = file_read(target, &n_bytes);
    assert_true(n_bytes > 8 + sizeof header - 1);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    free(bytes);
    buffer_release(&entries);
    free(target);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typed_metadata),
        cmocka_unit_test(test_odd_metadata),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_metadata_as_text),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

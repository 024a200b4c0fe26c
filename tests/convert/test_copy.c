/* Containers copied tensor by tensor: everything that the writer can write comes through with its
 * terms, codings and streams as they were. */
#include "tests/convert/conversions.h"

#include "convert/streams.h"
#include "format/floats.h"
#include "tests/support/random.h"

enum { ROWS = 8, COLS = 16 };

static struct coding_slot table_slot(const struct ingot_coding *table, uint64_t group_cols)
{
    return (struct coding_slot){.has_table = true,
                                .group = GROUP_BLOCK,
                                .group_rows = 1,
                                .group_cols = group_cols,
                                .table = table};
}

/* A term of each kind that is not common: a codebook with scales that have a codebook, a mask of
 * blocks, an optional adapter with magnitudes. */
struct sample {
    struct ingot_coding f16, f32, codes, scales;
    struct writer_term terms[3];
    struct writer_tensor tensor;
    struct streams streams;
};

static void plan(struct sample *s, uint32_t values_book, uint32_t scales_book)
{
    s->f16 = raw_coding(INGOT_F16);
    s->f32 = raw_coding(INGOT_F32);
    s->scales = (struct ingot_coding){.map = MAP_CODEBOOK,
                                      .bits = 2,
                                      .format = INGOT_F32,
                                      .n_entries = 4,
                                      .codebook_stream = scales_book,
                                      .name = "scales"};
    s->codes = (struct ingot_coding){.map = MAP_CODEBOOK,
                                     .bits = 4,
                                     .format = INGOT_F16,
                                     .n_entries = 16,
                                     .codebook_stream = values_book,
                                     .name = "book4-g4"};
    s->codes.slots[SLOT_SCALE] = table_slot(&s->scales, 4);
    s->terms[0] = (struct writer_term){.kind = TERM_DENSE, .coding = &s->codes};
    s->terms[1] = (struct writer_term){.kind = TERM_SPARSE,
                                       .combine = COMBINE_SET,
                                       .mask = MASK_BLOCKS,
                                       .coding = &s->f16,
                                       .block_rows = 4,
                                       .block_cols = 8,
                                       .n_kept = 32};
    s->terms[2] = (struct writer_term){.kind = TERM_LOWRANK,
                                       .combine = COMBINE_ADD,
                                       .optional = true,
                                       .name = "adapter",
                                       .coding = &s->f16,
                                       .coding_b = &s->f16,
                                       .multiplier = 0.5f,
                                       .rank = 2,
                                       .magnitude = &s->f32};
    s->tensor = (struct writer_tensor){.name = "t",
                                       .name_bytes = 1,
                                       .dtype = INGOT_BF16,
                                       .rank = 2,
                                       .dims = {ROWS, COLS},
                                       .split = 1,
                                       .n_terms = 3,
                                       .terms = s->terms};
}

/* Any bytes do for codes and floats; the mask of blocks holds the first block. */
static void fill_streams(struct sample *s)
{
    ingot_error error = {0};
    assert_ok(streams_add(&s->streams, &s->tensor, &error), &error);
    assert_int_equal(s->streams.n_streams, 2 + 3 + 3);
    for (uint32_t i = 0; i < s->streams.n_streams; i++) {
        for (uint64_t k = 0; k < s->streams.list[i].shape.n_bytes; k++) {
            s->streams.data[i][k] = (uint8_t)(k * 7 + i) & 0x3b;
        }
    }
    memset(s->streams.data[2], 0, s->streams.list[2].shape.n_bytes);
    s->streams.data[2][0] = 1;
    for (uint32_t r = 0; r <= ROWS; r++) {
        store_u32(s->streams.data[3] + 4 * r, 8 * (r < 4 ? r : 4));
    }
}

static void write_sample(const char *path)
{
    struct sample *s = calloc(1, sizeof *s);
    assert_non_null(s);
    ingot_writer *writer;
    ingot_error error = {0};
    uint8_t values[32], scales[16];
    uint32_t values_book, scales_book;
    for (uint32_t i = 0; i < 16; i++) store_u16(values + 2 * i, f16_from_f32((float)i - 7.5f));
    for (uint32_t i = 0; i < 4; i++) store_f32(scales + 4 * i, (float)i + 0.25f);
    assert_ok(ingot_writer_create(path, true, INGOT_COMPRESS_NONE, NULL, &writer, &error), &error);
    assert_ok(ingot_writer_codebook(writer, values, 32, &values_book, &error), &error);
    assert_ok(ingot_writer_codebook(writer, scales, 16, &scales_book, &error), &error);
    plan(s, values_book, scales_book);
    fill_streams(s);
    const struct writer_source source = streams_source(&s->streams);
    assert_ok(ingot_writer_tensor(writer, &s->tensor, &source, &error), &error);
    s->tensor.name = "u";
    assert_ok(ingot_writer_tensor(writer, &s->tensor, &source, &error), &error);
    assert_ok(ingot_writer_alias(writer, "v", 1, 0, &error), &error);
    assert_ok(ingot_writer_attach(writer, "note.txt", "hello", 5, &error), &error);
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    streams_release(&s->streams);
    free(s);
}

static void test_sample(void **state)
{
    char *first = scratch_path(state, "sample.ingot");
    char *second = scratch_path(state, "copy.ingot");
    struct convert_result result;
    ingot_error error = {0};
    write_sample(first);
    assert_ok(convert_path(first, second, NULL, &result, &error), &error);
    assert_false(result.restorable);
    ingot_file *a = open_valid(first);
    ingot_file *b = open_valid(second);
    assert_memory_equal(ingot_file_content_id(a), ingot_file_content_id(b), 16);
    for (uint32_t i = 0; i < 3; i++) {
        ingot_tensor ta, tb;
        float values_a[ROWS * COLS], values_b[ROWS * COLS];
        ingot_file_tensor(a, i, &ta);
        ingot_file_tensor(b, i, &tb);
        assert_string_equal(ta.encoding, tb.encoding);
        assert_int_equal(ta.alias_of, tb.alias_of);
        assert_ok(ingot_file_decode_f32(a, i, 0, ROWS, values_a, &error), &error);
        assert_ok(ingot_file_decode_f32(b, i, 0, ROWS, values_b, &error), &error);
        assert_memory_equal(values_a, values_b, sizeof values_a);
    }
    struct file_term term;
    ingot_file_term(b, 1, 2, &term);
    assert_true(term.optional && term.multiplier == 0.5f && term.magnitude != NULL);
    assert_int_equal(term.name_bytes, 7);
    assert_memory_equal(term.name, "adapter", 7);
    char text[5];
    const uint32_t note = ingot_file_find_blob(b, INGOT_BLOB_ATTACHMENT, "note.txt", 8);
    assert_ok(ingot_file_read_blob(b, note, 0, 5, text, &error), &error);
    assert_memory_equal(text, "hello", 5);
    ingot_file_close(b);
    ingot_file_close(a);
    free(second);
    free(first);
}

/* Encoding anew leaves the alias one. */
static void test_alias_encoded(void **state)
{
    char *first = scratch_path(state, "sample.ingot");
    char *second = scratch_path(state, "encoded.ingot");
    struct convert_result result;
    ingot_error error = {0};
    write_sample(first);
    assert_ok(convert_path(first, second, "f32", &result, &error), &error);
    assert_int_equal(result.n_encoded, 2);
    ingot_file *b = open_valid(second);
    ingot_tensor t;
    ingot_file_tensor(b, 2, &t);
    assert_int_equal(t.alias_of, 0);
    assert_int_equal(t.dtype, INGOT_F32);
    ingot_file_close(b);
    free(second);
    free(first);
}

/* Raw tensors, an alias of one and no receipt: as other writers may make them. */
static void test_raw_alias(void **state)
{
    char *first = scratch_path(state, "raw.ingot");
    char *second = scratch_path(state, "raw-copy.ingot");
    static const uint64_t dims[] = {3};
    struct convert_result result;
    ingot_writer *writer;
    ingot_error error = {0};
    assert_ok(ingot_writer_create(first, true, INGOT_COMPRESS_NONE, NULL, &writer, &error), &error);
    assert_ok(ingot_writer_add(writer, "a", INGOT_U8, 1, dims, "xyz", &error), &error);
    assert_ok(ingot_writer_alias(writer, "b", 1, 0, &error), &error);
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    assert_ok(convert_path(first, second, NULL, &result, &error), &error);
    assert_false(result.restorable);
    ingot_file *b = open_valid(second);
    char bytes[3];
    assert_ok(ingot_file_read_raw(b, 1, 0, 3, bytes, &error), &error);
    assert_memory_equal(bytes, "xyz", 3);
    ingot_file_close(b);
    free(second);
    free(first);
}

static void test_copies(void **state)
{
    static const char *const encodings[] = {
        NULL, "int4", "int8", "f16", "sparse50", "lowrank16", "int4+lowrank16", "sparse50+int8"};
    char *source = scratch_path(state, "copied.safetensors");
    char *first = scratch_path(state, "first.ingot");
    char *second = scratch_path(state, "second.ingot");
    float w[40 * 60];
    struct random random = {2};
    for (size_t i = 0; i < 40 * 60; i++) w[i] = (float)random_below(&random, 1000) - 500.0f;
    write_matrix(source, 40, 60, w);
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        struct convert_result result;
        ingot_error error = {0};
        assert_ok(convert_path(source, first, encodings[i], &result, &error), &error);
        assert_ok(convert_path(first, second, NULL, &result, &error), &error);
        assert_int_equal(result.n_encoded, 0);
        assert_int_equal(result.restorable, encodings[i] == NULL);
        ingot_file *a = open_valid(first);
        ingot_file *b = open_valid(second);
        assert_memory_equal(ingot_file_content_id(a), ingot_file_content_id(b), 16);
        ingot_tensor ta, tb;
        ingot_file_tensor(a, 0, &ta);
        ingot_file_tensor(b, 0, &tb);
        assert_string_equal(ta.encoding, tb.encoding);
        ingot_file_close(b);
        ingot_file_close(a);
    }
    free(second);
    free(first);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_alias_encoded),
        cmocka_unit_test(test_raw_alias),
        cmocka_unit_test(test_copies),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

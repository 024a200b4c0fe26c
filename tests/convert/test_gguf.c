/* GGUF files of every kind: what they say as models, and that they come back byte for byte. */
#include "tests/convert/checkpoint.h"
#include "tests/convert/conversions.h"

#include "convert/gguf_types.h"
#include "format/metadata.h"
#include "tests/support/gguf_maker.h"

/* ------------------------------------------------------------------ there and back */

static struct model *open_paths(const char *const *paths, uint32_t n, enum dialect_assumed dialect)
{
    const struct assumptions assumptions = {dialect};
    struct model *model;
    ingot_error error = {0};
    assert_ok(model_open_assuming(paths, n, &assumptions, NULL, &model, &error), &error);
    return model;
}

static void convert_to(const struct model *model, const char *target)
{
    const struct convert_options options = {.compression = INGOT_COMPRESS_FAST, .replace = true};
    struct convert_result result;
    ingot_error error = {0};
    assert_ok(convert_model(model, target, &options, &result, &error), &error);
    assert_true(result.restorable);
}

static void restore_to(const char *container, const char *target)
{
    struct restore_result result;
    ingot_error error = {0};
    ingot_file *file = open_valid(container);
    assert_ok(restore_model(file, target, true, 0, NULL, &result, &error), &error);
    ingot_file_close(file);
}

/* The file comes back from a container, and from a container of that container. */
static void comes_back(void **state, const struct gguf_maker *m, enum dialect_assumed dialect)
{
    char *source = scratch_path(state, "source.gguf");
    char *kept = scratch_path(state, "kept.ingot");
    char *again = scratch_path(state, "again.ingot");
    char *back = scratch_path(state, "back.gguf");
    assert_false(m->bytes.failed);
    file_write(source, m->bytes.data, m->bytes.n_bytes);
    struct model *model = open_paths((const char *const *)&source, 1, dialect);
    convert_to(model, kept);
    model_close(model);
    restore_to(kept, back);
    assert_same_file(back, source);
    model = open_paths((const char *const *)&kept, 1, DIALECT_UNSAID);
    convert_to(model, again);
    model_close(model);
    restore_to(again, back);
    assert_same_file(back, source);
    free(back);
    free(again);
    free(kept);
    free(source);
}

/* ------------------------------------------------------------------ kinds of files */

/* Metadata of every type, and tensors of every shape. */
static void make_rich(struct gguf_maker *m, uint32_t version, bool big_endian, uint32_t alignment)
{
    static const uint64_t matrix[2] = {32, 3}, vector[1] = {5}, cube[3] = {4, 2, 3};
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    const uint64_t step = alignment;
    make_gguf(m, version, big_endian, 4, 17);
    make_number_entry(m, "general.alignment", META_U32, alignment, 4);
    for (uint32_t type = 0; type <= META_F64; type++) {
        char key[16];
        snprintf(key, sizeof key, "of.%u", type);
        if (sizes[type]) make_number_entry(m, key, type, 0x0102030405060701, sizes[type]);
    }
    make_text_entry(m, "text", "\xff\x00 not UTF-8");
    make_key(m, "halves", META_ARRAY);
    make_array(m, META_U16, 3);
    for (uint32_t i = 1; i <= 3; i++) make_number(m, i, 2);
    make_key(m, "words", META_ARRAY);
    make_array(m, META_STRING, 3);
    make_text(m, "one");
    make_text(m, "");
    make_text(m, "three");
    make_key(m, "deep", META_ARRAY);
    make_array(m, META_ARRAY, 2);
    make_array(m, META_ARRAY, 1);
    make_array(m, META_ARRAY, 1);
    make_array(m, META_U32, 1);
    make_number(m, 7, 4);
    make_array(m, META_STRING, 1);
    make_text(m, "inner");
    make_key(m, "none", META_ARRAY);
    make_array(m, META_F64, 0);
    make_tensor(m, "matrix.weight", 2, matrix, 2, 0); /* Q4_0: 54 bytes */
    make_tensor(m, "vector", 1, vector, 0, step > 54 ? step : 64);
    make_tensor(m, "blk.0.ffn_up_exps.weight", 3, cube, 1, 2 * (step > 54 ? step : 64));
    make_tensor(m, "scalar", 0, NULL, 28, 3 * (step > 54 ? step : 64));
    make_aligned(m, alignment);
    const uint64_t begin = m->bytes.n_bytes;
    static const uint32_t lengths[4] = {54, 20, 48, 8};
    for (uint32_t i = 0; i < 4; i++) {
        while (m->bytes.n_bytes < begin + i * (step > 54 ? step : 64)) buffer_u8(&m->bytes, 0);
        make_data(m, i, lengths[i]);
    }
    make_aligned(m, alignment);
}

static void test_kinds(void **state)
{
    static const struct {
        uint32_t version;
        bool big_endian;
        uint32_t alignment;
    } rows[] = {{1, false, 32}, {2, false, 32}, {3, false, 32}, {3, true, 32},   {1, true, 64},
                {2, true, 32},  {3, false, 8},  {3, false, 64}, {3, true, 4096}, {3, false, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gguf_maker m;
        make_rich(&m, rows[i].version, rows[i].big_endian, rows[i].alignment);
        comes_back(state, &m, DIALECT_UNSAID);
        make_end(&m);
    }
}

/* Whatever the byte order, a model says the same. */
static void test_as_model(void **state)
{
    struct model *models[2];
    for (int i = 0; i < 2; i++) {
        struct gguf_maker m;
        char *path = scratch_path(state, i ? "big.gguf" : "little.gguf");
        make_rich(&m, 3, i == 1, 32);
        file_write(path, m.bytes.data, m.bytes.n_bytes);
        models[i] = open_paths((const char *const *)&path, 1, DIALECT_UNSAID);
        make_end(&m);
        free(path);
    }
    const struct span little = model_metadata(models[0]);
    const struct span big = model_metadata(models[1]);
    assert_int_equal(little.n_bytes, big.n_bytes);
    assert_memory_equal(little.data, big.data, little.n_bytes);
    for (int i = 0; i < 2; i++) {
        struct model_tensor t;
        ingot_error error = {0};
        assert_int_equal(model_n_tensors(models[i]), 4);
        model_tensor(models[i], 0, &t);
        assert_string_equal(t.foreign.name, i ? "ggml-be:Q4_0" : "ggml:Q4_0");
        assert_int_equal(t.foreign.block_weights, 32);
        assert_int_equal(t.foreign.block_bytes, 18);
        assert_int_equal(t.foreign.n_bytes, 54);
        assert_int_equal(t.dims[0], 3);
        assert_int_equal(t.dims[1], 32);
        assert_int_equal(t.n_rows, 3);
        assert_false(t.raw);
        /* Blocks in the other byte order are bytes to us. */
        float values[32];
        const ingot_status decoded = model_decode_f32(models[i], 0, 0, 1, values, &error);
        assert_int_equal(decoded, i ? INGOT_UNSUPPORTED : INGOT_OK);
        if (i) assert_string_equal(error.field, "matrix.weight");
        if (i) assert_non_null(strstr(error.what, t.foreign.name));
        uint8_t block[18];
        assert_ok(model_read_foreign(models[i], 0, 36, sizeof block, block, &error), &error);
        assert_int_equal(model_read_foreign(models[i], 0, 37, sizeof block, block, &error),
                         INGOT_INVALID);
        assert_int_equal(model_read_foreign(models[i], 1, 0, 1, block, &error), INGOT_REFUSED);
        model_tensor(models[i], 2, &t);
        assert_int_equal(t.dtype, INGOT_F16);
        assert_int_equal(t.stack, 1); /* experts */
        assert_int_equal(t.dims[0], 3);
        assert_int_equal(t.dims[2], 4);
        model_tensor(models[i], 3, &t);
        assert_int_equal(t.rank, 0);
        assert_int_equal(t.dtype, INGOT_F64);
    }
    model_close(models[1]);
    model_close(models[0]);
}

/* Any range of a big-endian tensor is that of its little-endian bytes. */
static void test_ranges_of_big_endian(void **state)
{
    static const uint64_t ne[1] = {16};
    struct gguf_maker m;
    ingot_error error = {0};
    uint8_t part[64];
    char *path = scratch_path(state, "big.gguf");
    make_gguf(&m, 3, true, 1, 0);
    make_tensor(&m, "t", 1, ne, 26, 0); /* I32 */
    make_aligned(&m, 32);
    for (uint32_t i = 0; i < 16; i++) make_number(&m, 0x01020300 + i, 4);
    file_write(path, m.bytes.data, m.bytes.n_bytes);
    struct model *model = open_paths((const char *const *)&path, 1, DIALECT_UNSAID);
    for (uint64_t begin = 0; begin <= 64; begin++) {
        for (uint64_t end = begin; end <= 64; end++) {
            assert_ok(model_read_raw(model, 0, begin, end - begin, part, &error), &error);
            for (uint64_t k = begin; k < end; k++) {
                const uint32_t v = 0x01020300 + (uint32_t)(k / 4);
                assert_int_equal(part[k - begin], (uint8_t)(v >> 8 * (k % 4)));
            }
        }
    }
    float values[16];
    assert_ok(model_decode_f32(model, 0, 0, 1, values, &error), &error);
    assert_true(values[15] == (float)0x0102030f);
    model_close(model);
    make_end(&m);
    free(path);
}

/* What lies between and after tensors comes back too, and is told. */
static void test_gaps(void **state)
{
    static const uint64_t ne[1] = {8};
    struct gguf_maker m;
    char *path = scratch_path(state, "gaps.gguf");
    make_gguf(&m, 3, false, 3, 0);
    make_tensor(&m, "second", 1, ne, 0, 128);
    make_tensor(&m, "first", 1, ne, 0, 33); /* not aligned either */
    make_tensor(&m, "empty", 1, (const uint64_t[]){0}, 0, 9999);
    make_data(&m, 1, 32 - m.bytes.n_bytes % 32); /* padding that is not zero */
    make_data(&m, 2, 160 + 77);
    comes_back(state, &m, DIALECT_UNSAID);
    file_write(path, m.bytes.data, m.bytes.n_bytes);
    struct model *model = open_paths((const char *const *)&path, 1, DIALECT_UNSAID);
    assert_int_equal(model_n_notes(model), 3);
    assert_non_null(strstr(model_note(model, 0), "another order"));
    assert_non_null(strstr(model_note(model, 1), "65 bytes between tensors"));
    assert_non_null(strstr(model_note(model, 2), "77 bytes after the last tensor"));
    model_close(model);
    make_end(&m);
    free(path);
}

/* Files without tensors: with metadata that ends before the data would begin, and with nothing. */
static void test_without_tensors(void **state)
{
    struct gguf_maker m;
    make_gguf(&m, 3, false, 0, 1);
    make_text_entry(&m, "tokenizer.chat_template", "{{ ''.__class__ }}");
    comes_back(state, &m, DIALECT_UNSAID);
    make_data(&m, 1, 3);
    comes_back(state, &m, DIALECT_UNSAID);
    make_end(&m);
    for (uint32_t version = 1; version <= 3; version++) {
        make_gguf(&m, version, false, 0, 0);
        comes_back(state, &m, DIALECT_UNSAID);
        make_end(&m);
    }
}

/* A key that is there again with the same value is one key; both places come back. */
static void test_repeated_key(void **state)
{
    struct gguf_maker m;
    char *path = scratch_path(state, "twice.gguf");
    make_gguf(&m, 3, true, 0, 4);
    make_text_entry(&m, "a", "x");
    make_number_entry(&m, "b", META_U16, 258, 2);
    make_text_entry(&m, "a", "x");
    make_number_entry(&m, "c", META_U16, 772, 2);
    comes_back(state, &m, DIALECT_UNSAID);
    file_write(path, m.bytes.data, m.bytes.n_bytes);
    struct model *model = open_paths((const char *const *)&path, 1, DIALECT_UNSAID);
    assert_int_equal(load_u64(model_metadata(model).data), 3);
    assert_int_equal(model_n_notes(model), 1);
    model_close(model);
    make_end(&m);
    free(path);
}

/* A million words are not held twice. */
static void test_many_words(void **state)
{
    enum { WORDS = 1000000 };
    struct gguf_maker m;
    make_gguf(&m, 3, false, 0, 1);
    make_key(&m, "tokenizer.ggml.tokens", META_ARRAY);
    make_array(&m, META_STRING, WORDS);
    for (uint32_t i = 0; i < WORDS; i++) {
        char word[16];
        snprintf(word, sizeof word, "w%u", i);
        make_text(&m, word);
    }
    comes_back(state, &m, DIALECT_UNSAID);
    char *kept = scratch_path(state, "kept.ingot");
    ingot_file *file = open_valid(kept);
    ingot_blob source;
    ingot_file_blob(file, ingot_file_find_blob(file, INGOT_BLOB_SOURCE, "", 0), &source);
    assert_true(source.n_bytes < 200);
    ingot_file_close(file);
    free(kept);
    make_end(&m);
}

/* ------------------------------------------------------------------ types */

static void test_every_type(void **state)
{
    struct gguf_maker m;
    for (uint32_t id = 0; id < 64; id++) {
        const struct gguf_type *type = gguf_type_of(id);
        if (type == NULL) continue;
        const uint64_t ne[2] = {type->block_weights * 2, 3};
        make_gguf(&m, 3, id % 2 == 1, 1, 0);
        make_tensor(&m, "t", 2, ne, id, 0);
        make_aligned(&m, 32);
        make_data(&m, id, 6 * (uint64_t)type->block_bytes);
        comes_back(state, &m, DIALECT_UNSAID);
        make_end(&m);
    }
}

/* A file of three tensors of which the middle one has a type of a fork: `bytes` long. */
static void make_forked(struct gguf_maker *m, uint32_t type, uint64_t bytes)
{
    static const uint64_t ne[2] = {128, 2};
    make_gguf(m, 3, false, 3, 0);
    make_tensor(m, "before", 1, ne, 24, 0);
    make_tensor(m, "forked", 2, ne, type, 128);
    make_tensor(m, "after", 1, ne, 24, 128 + bytes);
    make_aligned(m, 32);
    make_data(m, type, 256 + bytes);
}

static ingot_status try_dialect(void **state, const struct gguf_maker *m,
                                enum dialect_assumed dialect, ingot_error *error)
{
    const struct assumptions assumptions = {dialect};
    struct model *model = NULL;
    char *path = scratch_path(state, "forked.gguf");
    file_write(path, m->bytes.data, m->bytes.n_bytes);
    const ingot_status status =
        model_open_assuming((const char *const *)&path, 1, &assumptions, NULL, &model, error);
    model_close(model);
    free(path);
    return status;
}

static void test_dialects(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t bytes; /* of 256 weights */
        ingot_status status[3];
        const char *told;
    } rows[] = {
        /* 41 is ggml's Q1_0 when it is as long as that, 42 its Q2_0 */
        {41, 64, {INGOT_OK, INGOT_OK, INGOT_OK}, NULL},
        {41, 96, {INGOT_REFUSED, INGOT_OK, INGOT_OK}, "ik_llama.cpp"},
        {42, 32, {INGOT_REFUSED, INGOT_INVALID, INGOT_OK}, "--assume dialect=ggml"},
        {36, 64, {INGOT_UNSUPPORTED, INGOT_UNSUPPORTED, INGOT_OK}, "IQ4_NL_4_4"},
        {107, 64, {INGOT_UNSUPPORTED, INGOT_UNSUPPORTED, INGOT_OK}, "ROCmFPX"},
        {133, 64, {INGOT_UNSUPPORTED, INGOT_UNSUPPORTED, INGOT_OK}, "--assume dialect=opaque"},
        {4, 64, {INGOT_UNSUPPORTED, INGOT_UNSUPPORTED, INGOT_OK}, "Q4_2 and removed it"},
        {9999, 64, {INGOT_UNSUPPORTED, INGOT_UNSUPPORTED, INGOT_OK}, "its type is 9999"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int d = 0; d < 3; d++) {
            struct gguf_maker m;
            ingot_error error = {0};
            make_forked(&m, rows[i].type, rows[i].bytes);
            const ingot_status status = try_dialect(state, &m, (enum dialect_assumed)d, &error);
            assert_int_equal(status, rows[i].status[d]);
            if (status == INGOT_OK) comes_back(state, &m, (enum dialect_assumed)d);
            if (d == 0 && status != INGOT_OK) {
                if (!strstr(error.what, rows[i].told)) fail_msg("%s", error.what);
                assert_string_equal(error.field, "forked");
                assert_true(error.offset > 40 && error.offset < 200);
            }
            make_end(&m);
        }
    }
}

/* ------------------------------------------------------------------ parts */

/* Part `number` of three, which together have two tensors and one more in each but the first. */
static void write_part(void **state, const char *name, uint32_t number, uint32_t count,
                       uint32_t n_tensors)
{
    static const uint64_t ne[1] = {4};
    struct gguf_maker m;
    char *path = scratch_path(state, name);
    char tensor[16];
    snprintf(tensor, sizeof tensor, "t%u", number);
    make_gguf(&m, 3, false, number ? 1 : 0, number ? 3 : 5);
    if (number == 0) make_text_entry(&m, "general.name", "parts");
    make_number_entry(&m, "split.no", META_U16, number, 2);
    make_number_entry(&m, "split.count", META_U16, count, 2);
    make_number_entry(&m, "split.tensors.count", META_I32, n_tensors, 4);
    if (number == 0) make_text_entry(&m, "general.tail", "of the first");
    if (number) make_tensor(&m, tensor, 1, ne, 0, 0);
    make_aligned(&m, 32);
    if (number) make_data(&m, number, 16);
    file_write(path, m.bytes.data, m.bytes.n_bytes);
    make_end(&m);
    free(path);
}

static void test_parts(void **state)
{
    static const char *const names[3] = {"parts/m-00001-of-00003.gguf",
                                         "parts/m-00002-of-00003.gguf",
                                         "parts/m-00003-of-00003.gguf"};
    char *folder = scratch_path(state, "parts");
    char *kept = scratch_path(state, "parts.ingot");
    char *back = scratch_path(state, "parts.back");
    char *paths[3];
    make_folder(folder, "");
    for (uint32_t i = 0; i < 3; i++) {
        write_part(state, names[i], i, 3, 2);
        paths[i] = scratch_path(state, names[i]);
    }
    const char *const backwards[3] = {paths[2], paths[0], paths[1]};
    const struct {
        const char *const *paths;
        uint32_t n;
    } ways[] = {{(const char *const *)paths, 1}, {backwards, 3}, {(const char *const *)&folder, 1}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct model *model = open_paths(ways[i].paths, ways[i].n, DIALECT_UNSAID);
        assert_int_equal(model_n_tensors(model), 2);
        /* Which part a file is does not belong to the model. */
        assert_int_equal(load_u64(model_metadata(model).data), 2);
        assert_int_equal(model_n_notes(model), 0);
        convert_to(model, kept);
        model_close(model);
        restore_to(kept, back);
        assert_true(same_folders(folder, back));
    }
    for (uint32_t i = 0; i < 3; i++) free(paths[i]);
    free(back);
    free(kept);
    free(folder);
}

/* Files beside the parts are attached. */
static void test_folder_with_files(void **state)
{
    char *folder = scratch_path(state, "folder");
    char *kept = scratch_path(state, "folder.ingot");
    char *back = scratch_path(state, "folder.back");
    struct gguf_maker m;
    make_folder(folder, "");
    make_rich(&m, 3, false, 32);
    char *path = scratch_path(state, "folder/model.gguf");
    file_write(path, m.bytes.data, m.bytes.n_bytes);
    put(folder, "README.md", "# a model\n");
    make_folder(folder, "other");
    put(folder, "other/vision.gguf", "GGUF");
    struct model *model = open_paths((const char *const *)&folder, 1, DIALECT_UNSAID);
    assert_string_equal(model_format(model), "gguf");
    assert_int_equal(model_n_attachments(model), 2);
    convert_to(model, kept);
    model_close(model);
    restore_to(kept, back);
    assert_true(same_folders(folder, back));
    make_end(&m);
    free(path);
    free(back);
    free(kept);
    free(folder);
}

/* Sets of files that are no model. */
static void test_parts_refused(void **state)
{
    static const struct {
        uint32_t n; /* files, as parts 0, 1 .. */
        uint32_t numbers[3];
        uint32_t counts[3];
        uint32_t n_tensors;
        ingot_status status;
        const char *told;
    } rows[] = {
        {1, {1}, {3}, 2, INGOT_REFUSED, "part 2 of 3, but 1 file is given"},
        {1, {0}, {3}, 2, INGOT_REFUSED, "part 1 of 3"},
        {2, {0, 1}, {3, 3}, 2, INGOT_REFUSED, "but 2 files are given"},
        {3, {0, 1, 1}, {3, 3, 3}, 2, INGOT_REFUSED, "another file says so too"},
        {2, {0, 0}, {2, 2}, 0, INGOT_REFUSED, "another file says so too"},
        {2, {0, 7}, {2, 2}, 1, INGOT_REFUSED, "part 8 of 2"},
        {2, {0, 1}, {2, 1}, 1, INGOT_REFUSED, "a whole model"},
        {2, {0, 1}, {2, 2}, 5, INGOT_INVALID, "split.tensors.count"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *paths[3];
        struct model *model;
        ingot_error error = {0};
        for (uint32_t k = 0; k < rows[i].n; k++) {
            char name[32];
            snprintf(name, sizeof name, "part%u.gguf", k);
            write_part(state, name, rows[i].numbers[k], rows[i].counts[k], rows[i].n_tensors);
            paths[k] = scratch_path(state, name);
        }
        const ingot_status status =
            model_open((const char *const *)paths, rows[i].n, NULL, &model, &error);
        char text[512];
        snprintf(text, sizeof text, "%s: %s", error.field, error.what);
        if (status == INGOT_OK || strstr(text, rows[i].told) == NULL) {
            fail_msg("row %zu: status %d, %s", i, (int)status, text);
        }
        for (uint32_t k = 0; k < rows[i].n; k++) free(paths[k]);
    }
}

/* A part that is not beside the first one is missed by name. */
static void test_missing_part(void **state)
{
    char *path = scratch_path(state, "m-00001-of-00002.gguf");
    struct model *model;
    ingot_error error = {0};
    write_part(state, "m-00001-of-00002.gguf", 0, 2, 1);
    assert_int_equal(model_open((const char *const *)&path, 1, NULL, &model, &error),
                     INGOT_NOT_FOUND);
    assert_non_null(strstr(error.field, "m-00002-of-00002.gguf"));
    free(path);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_begin, scratch_end)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_kinds),         IN_FOLDER(test_as_model),
        IN_FOLDER(test_gaps),          IN_FOLDER(test_ranges_of_big_endian),
        IN_FOLDER(test_repeated_key),  IN_FOLDER(test_without_tensors),
        IN_FOLDER(test_many_words),    IN_FOLDER(test_every_type),
        IN_FOLDER(test_dialects),      IN_FOLDER(test_parts),
        IN_FOLDER(test_parts_refused), IN_FOLDER(test_folder_with_files),
        IN_FOLDER(test_missing_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

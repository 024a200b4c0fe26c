/* Models of safetensors files and folders: what they say of themselves, and what is refused when
 * they are opened or read. */
#include "tests/convert/checkpoint.h"
#include "tests/convert/conversions.h"

#include "format/metadata.h"
#include "tests/convert/meter.h"

static void test_folder(void **state)
{
    char *root = make_checkpoint(state, "checkpoint");
    ingot_error error = {0};
    struct model *model;
    const char *path = root;
    assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
    assert_string_equal(model_format(model), "safetensors");
    assert_int_equal(model_n_tensors(model), 2);
    struct model_tensor tensor;
    model_tensor(model, 0, &tensor);
    assert_string_equal(tensor.name, "a"); /* m-1 comes first */
    assert_int_equal(model_n_attachments(model), 4);
    /* both: m-1 has y, m-2 x; the first is kept and that is noted. */
    assert_int_equal(model_n_notes(model), 1);
    assert_non_null(strstr(model_note(model, 0), "'both'"));
    struct metadata_walk walk;
    struct metadata_value value;
    const char *key;
    uint32_t key_bytes, n = 0;
    assert_ok(metadata_open(model_metadata(model), &walk, &error), &error);
    while (metadata_next(&walk, &key, &key_bytes, &value, &error) == INGOT_OK) {
        if (key_bytes == 4 && memcmp(key, "both", 4) == 0) assert_int_equal(*value.bytes.data, 'y');
        n++;
    }
    assert_int_equal(n, 3);
    uint32_t index;
    assert_int_equal(model_find(model, "b", 1, &index), INGOT_OK);
    assert_int_equal(index, 1);
    assert_int_equal(model_find(model, "c", 1, &index), INGOT_NOT_FOUND);
    model_close(model);
    free(root);
}

/* What a folder must not hold, and what an index must not say. */
static void test_folder_refused(void **state)
{
    static const struct {
        const char *name; /* of a file that is put into a good folder */
        const char *text; /* NULL: a symbolic link */
        ingot_status status;
        const char *told; /* in field or what */
    } rows[] = {
        {"link", NULL, INGOT_REFUSED, "symbolic link"},
        {"sub/link", NULL, INGOT_REFUSED, "sub/link"},
        {"a\\b", "x", INGOT_REFUSED, "safe path"},
        {"c:d", "x", INGOT_REFUSED, "safe path"},
        {"new\nline", "x", INGOT_REFUSED, "new?line"},
        {"m-3.safetensors", "12345678", INGOT_INVALID, "m-3.safetensors"},
        {"m-3.safetensors", "", INGOT_INVALID, "m-3.safetensors"},
        {"model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../m-1.safetensors\"}}",
         INGOT_REFUSED, "../m-1"},
        {"model.safetensors.index.json", "{\"weight_map\":{\"a\":\"sub/m-1.safetensors\"}}",
         INGOT_REFUSED, "sub/m-1"},
        {"model.safetensors.index.json", "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", INGOT_REFUSED,
         "/etc/passwd"},
        {"model.safetensors.index.json", "{\"weight_map\":{\"a\":\"c:m-1.safetensors\"}}",
         INGOT_REFUSED, "c:m-1"},
        {"model.safetensors.index.json", "{\"weight_map\":{\"a\":\"m-9.safetensors\"}}",
         INGOT_INVALID, "m-9"},
        {"model.safetensors.index.json", "{\"weight_map\":{\"a\":\"m-2.safetensors\"}}",
         INGOT_INVALID, "'a' is not in"},
        {"model.safetensors.index.json", "{\"weight_map\":{\"a\":3}}", INGOT_INVALID, "string"},
        {"model.safetensors.index.json", "{\"weight_map\":[]}", INGOT_INVALID, "object"},
        {"model.safetensors.index.json", "{\"weight_map\":", INGOT_INVALID, "JSON"},
        {"model.safetensors.index.json", "[]", INGOT_INVALID, "object"},
    };
    char *root = make_checkpoint(state, "refused");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[256], saved[256];
        ingot_error error = {0};
        struct model *model;
        const char *source = root;
        snprintf(path, sizeof path, "%s/%s", root, rows[i].name);
        snprintf(saved, sizeof saved, "%s.saved", root);
        const bool was_there = rename(path, saved) == 0;
        if (rows[i].text) {
            file_write(path, rows[i].text, strlen(rows[i].text));
        } else {
            assert_int_equal(symlink("config.json", path), 0);
        }
        const ingot_status status = model_open(&source, 1, NULL, &model, &error);
        if (status != rows[i].status ||
            (!strstr(error.what, rows[i].told) && !strstr(error.field, rows[i].told))) {
            fail_msg("%s: %s: %s: %s", rows[i].name, ingot_status_name(status), error.field,
                     error.what);
        }
        assert_int_equal(remove(path), 0);
        if (was_there) assert_int_equal(rename(saved, path), 0);
    }
    char fifo[256];
    snprintf(fifo, sizeof fifo, "%s/pipe", root);
    assert_int_equal(mkfifo(fifo, 0666), 0);
    struct model *model;
    ingot_error error = {0};
    const char *source = root;
    assert_int_equal(model_open(&source, 1, NULL, &model, &error), INGOT_REFUSED);
    assert_string_equal(error.field, "pipe");
    free(root);
}

static void test_paths_refused(void **state)
{
    char *root = make_checkpoint(state, "paths");
    char *one = scratch_path(state, "paths/m-1.safetensors");
    char *two = scratch_path(state, "paths/m-2.safetensors");
    char *text = scratch_path(state, "paths/config.json");
    char *missing = scratch_path(state, "missing.safetensors");
    char *empty = scratch_path(state, "empty-folder");
    char *unnamed = scratch_path(state, "unnamed");
    assert_int_equal(mkdir(empty, 0777), 0);
    struct model *model;
    ingot_error error;
    const char *both[] = {one, two};
    assert_int_equal(model_open(both, 2, NULL, &model, &error), INGOT_OK);
    assert_int_equal(model_n_tensors(model), 2);
    model_close(model);
    const char *twice[] = {one, one};
    assert_int_equal(model_open(twice, 2, NULL, &model, &error), INGOT_REFUSED);
    const char *mixed[] = {one, root};
    assert_int_equal(model_open(mixed, 2, NULL, &model, &error), INGOT_REFUSED);
    const char *folders[] = {root, root};
    assert_int_equal(model_open(folders, 2, NULL, &model, &error), INGOT_REFUSED);
    const char *unknown = text;
    assert_int_equal(model_open(&unknown, 1, NULL, &model, &error), INGOT_UNSUPPORTED);
    assert_non_null(strstr(error.what, ".safetensors"));
    const char *gone = missing;
    assert_int_equal(model_open(&gone, 1, NULL, &model, &error), INGOT_NOT_FOUND);
    const char *nothing = empty;
    assert_int_equal(model_open(&nothing, 1, NULL, &model, &error), INGOT_UNSUPPORTED);
    assert_int_equal(model_open(NULL, 0, NULL, &model, &error), INGOT_REFUSED);
    /* Without a suffix, the first bytes tell. */
    safetensors_write(unnamed, "{}", NULL, 0);
    const char *sniffed = unnamed;
    assert_int_equal(model_open(&sniffed, 1, NULL, &model, &error), INGOT_OK);
    model_close(model);
    free(unnamed);
    free(empty);
    free(missing);
    free(text);
    free(two);
    free(one);
    free(root);
}

/* The same tensor in two files. */
static void test_duplicate_across_files(void **state)
{
    char *one = scratch_path(state, "one.safetensors");
    char *two = scratch_path(state, "two.safetensors");
    static const char header[] = "{\"t\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}";
    safetensors_write(one, header, "x", 1);
    safetensors_write(two, header, "y", 1);
    const char *both[] = {one, two};
    struct model *model;
    ingot_error error;
    assert_int_equal(model_open(both, 2, NULL, &model, &error), INGOT_INVALID);
    assert_string_equal(error.field, "t");
    assert_non_null(strstr(error.what, "one.safetensors"));
    assert_non_null(strstr(error.what, "two.safetensors"));
    free(two);
    free(one);
}

/* Every prefix of a file is refused, and so is a header longer than the file or the format allows.
 */
static void test_file_prefixes(void **state)
{
    static const char header[] =
        "{\"t\":{\"dtype\":\"U16\",\"shape\":[2],\"data_offsets\":[0,4]}}  ";
    char *whole = scratch_path(state, "whole.safetensors");
    char *part = scratch_path(state, "part.safetensors");
    size_t n_bytes;
    safetensors_write(whole, header, "abcd", 4);
    uint8_t *bytes = file_read(whole, &n_bytes);
    const char *path = part;
    struct model *model;
    ingot_error error;
    for (size_t n = 0; n < n_bytes; n++) {
        file_write(part, bytes, n);
        assert_int_equal(model_open(&path, 1, NULL, &model, &error), INGOT_INVALID);
    }
    static const uint64_t lengths[] = {0, 1, 100000001, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        store_u64(bytes, lengths[i]);
        file_write(part, bytes, n_bytes);
        assert_int_equal(model_open(&path, 1, NULL, &model, &error), INGOT_INVALID);
    }
    free(bytes);
    free(part);
    free(whole);
}

static void test_layout(void **state)
{
    static const uint8_t data[24] = {0};
    static const struct {
        const char *name, *shape;
        uint8_t stack, split;
        uint64_t n_rows, n_cols;
    } rows[] = {
        {"s", "[]", 0, 0, 1, 1},
        {"v", "[24]", 0, 0, 1, 24},
        {"m", "[4,6]", 0, 1, 4, 6},
        {"conv", "[4,3,2,1]", 0, 1, 4, 6},
        {"three", "[2,3,4]", 0, 1, 2, 12},
        {"mlp.experts.gate", "[2,3,4]", 1, 2, 6, 4},
        {"mlp.experts.gate", "[2,3,2,2]", 0, 1, 2, 12},
        {"mlp.experts.0.w", "[6,4]", 0, 1, 6, 4},
    };
    char *path = scratch_path(state, "layout.safetensors");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t n_bytes = rows[i].n_rows * rows[i].n_cols;
        char header[160];
        snprintf(header, sizeof header,
                 "{\"%s\":{\"dtype\":\"U8\",\"shape\":%s,\"data_offsets\":[0,%zu]}}", rows[i].name,
                 rows[i].shape, n_bytes);
        safetensors_write(path, header, data, n_bytes);
        struct model *model;
        struct model_tensor t;
        ingot_error error = {0};
        const char *source = path;
        assert_ok(model_open(&source, 1, NULL, &model, &error), &error);
        model_tensor(model, 0, &t);
        assert_int_equal(t.stack, rows[i].stack);
        assert_int_equal(t.split, rows[i].split);
        assert_int_equal(t.n_rows, rows[i].n_rows);
        assert_int_equal(t.n_cols, rows[i].n_cols);
        model_close(model);
    }
    free(path);
}

/* Opening fails cleanly wherever memory runs out. */
static void test_no_memory(void **state)
{
    char *root = make_checkpoint(state, "scarce");
    char *file = scratch_path(state, "scarce.ingot");
    struct convert_result result;
    ingot_error error = {0};
    assert_ok(convert_path(root, file, NULL, &result, &error), &error);
    const char *const paths[] = {root, file};
    for (size_t i = 0; i < 2; i++) {
        struct meter meter = {0, 0};
        const ingot_allocator allocator = meter_allocator(&meter);
        ingot_status status = INGOT_NO_MEMORY;
        for (int n = 0; status != INGOT_OK; n++) {
            struct model *model = NULL;
            assert_true(n < 2000);
            meter.left = n;
            status = model_open(&paths[i], 1, &allocator, &model, &error);
            if (status == INGOT_OK) model_close(model);
            assert_true(status == INGOT_OK || status == INGOT_NO_MEMORY);
            assert_int_equal(meter.held, 0);
        }
    }
    free(file);
    free(root);
}

/* ------------------------------------------------------------------ sources that change */

struct changer {
    const char *path;
    bool grow;
    bool done;
};

/* Changes the source while it is being converted: at the first sign of progress. */
static void change(void *context, const char *what, uint64_t done_bytes, uint64_t total_bytes)
{
    struct changer *c = context;
    (void)what;
    (void)done_bytes;
    (void)total_bytes;
    if (c->done) return;
    c->done = true;
    FILE *file = fopen(c->path, c->grow ? "ab" : "r+b");
    assert_non_null(file);
    if (!c->grow) fseek(file, -1, SEEK_END);
    fputc('!', file);
    fclose(file);
}

static void test_changing_source(void **state)
{
    uint8_t data[64] = {0};
    char *path = scratch_path(state, "changing.safetensors");
    char *target = scratch_path(state, "changing.ingot");
    for (int grow = 0; grow < 2; grow++) {
        struct changer changer = {path, grow, false};
        const struct progress progress = {&changer, change};
        const struct convert_options options = {.progress = &progress};
        struct convert_result result;
        struct model *model;
        ingot_error error = {0};
        const char *source = path;
        safetensors_write(path, "{\"t\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[0,64]}}",
                          data, sizeof data);
        assert_ok(model_open(&source, 1, NULL, &model, &error), &error);
        assert_int_equal(convert_model(model, target, &options, &result, &error), INGOT_REFUSED);
        assert_non_null(strstr(error.what, "changed"));
        assert_false(exists(target));
        model_close(model);
    }
    /* A file that becomes shorter while it is open. */
    struct model *model;
    ingot_error error = {0};
    const char *source = path;
    safetensors_write(path, "{\"t\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[0,64]}}",
                      data, sizeof data);
    assert_ok(model_open(&source, 1, NULL, &model, &error), &error);
    assert_int_equal(truncate(path, 70), 0);
    assert_int_equal(model_read_raw(model, 0, 0, 64, data, &error), INGOT_REFUSED);
    assert_int_equal(model_unchanged(model, &error), INGOT_REFUSED);
    model_close(model);
    free(target);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),        cmocka_unit_test(test_folder_refused),
        cmocka_unit_test(test_paths_refused), cmocka_unit_test(test_duplicate_across_files),
        cmocka_unit_test(test_file_prefixes), cmocka_unit_test(test_layout),
        cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_changing_source),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

/* Files to containers and back: byte for byte, of every shape of source. */
#include "tests/convert/checkpoint.h"
#include "tests/convert/conversions.h"

#include "convert/hash.h"
#include "format/rules.h"
#include "format/source.h"
#include "format/writer.h"
#include "tests/support/random.h"

/* Converts a path to a container and restores it; the caller frees the restored path. */
static char *round_trip(void **state, const char *source, bool folder)
{
    struct convert_result result;
    struct restore_result restored;
    ingot_error error = {0};
    char *target = scratch_path(state, "trip.ingot");
    char *back = scratch_path(state, folder ? "restored" : "restored.safetensors");
    if (folder && exists(back)) nftw(back, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
    assert_ok(convert_path(source, target, NULL, &result, &error), &error);
    assert_true(result.restorable);
    assert_int_equal(result.n_encoded, 0);
    size_t n_bytes;
    free(file_read(target, &n_bytes));
    assert_int_equal(result.target_bytes, n_bytes);
    ingot_file *file = open_valid(target);
    assert_ok(restore_model(file, back, true, 0, NULL, &restored, &error), &error);
    assert_int_equal(restored.n_bytes, result.source_bytes);
    ingot_file_close(file);
    free(target);
    return back;
}

static void trip_file(void **state, const char *header, const void *data, size_t n_bytes)
{
    char *source = scratch_path(state, "made.safetensors");
    safetensors_write(source, header, data, n_bytes);
    char *back = round_trip(state, source, false);
    assert_same_file(source, back);
    free(back);
    free(source);
}

static void test_made_files(void **state)
{
    static const char *const headers[] = {
        "{}",
        "{ }     \n\t ",
        "{\"__metadata__\":null}  ",
        "{\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
        "{\"n\":{\"dtype\":\"BF16\",\"shape\":[0,3],\"data_offsets\":[0,0]}}",
        "{\"n\":{\"dtype\":\"BF16\",\"shape\":[3,0,2],\"data_offsets\":[0,0]},"
        "\"m\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        /* A gap at the start and between, no order, odd offsets. */
        "{\"z\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[21,27]},"
        "\"__metadata__\":{\"\\u0000k\":\"\\ud83d\\ude00\"},"
        "\"a\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[3,11]},"
        "\"\\u00e9\\n\":{\"dtype\":\"BOOL\",\"shape\":[2,2],\"data_offsets\":[15,19]}}",
        "{\"e\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,2,2],\"data_offsets\":[0,8]},"
        "\"l\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[8,16]}}",
        "{\"four\":{\"dtype\":\"F4\",\"shape\":[3,2],\"data_offsets\":[0,3]},"
        "\"six\":{\"dtype\":\"F6_E3M2\",\"shape\":[3,4],\"data_offsets\":[3,12]},"
        "\"nine\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[12,15]}}",
        "{\"x.experts.w\":{\"dtype\":\"U8\",\"shape\":[2,3,4],\"data_offsets\":[0,24]}}",
    };
    static const size_t n_bytes[] = {0, 0, 0, 4, 0, 1, 27, 16, 15, 24};
    uint8_t data[27];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 37 + 250);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        trip_file(state, headers[i], data, n_bytes[i]);
    }
}

/* Tensors of many slabs, with rows that do not fit them, and one row longer than a slab. */
static void test_large_file(void **state)
{
    enum { N_BYTES = 2 * 1000 * 999 + 1500000 + 2 * 3 * 700001 };
    struct random random = {1};
    uint8_t *data = malloc(N_BYTES);
    assert_non_null(data);
    for (size_t i = 0; i < N_BYTES; i++) data[i] = (uint8_t)random_bits(&random);
    trip_file(
        state,
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[1000,999],\"data_offsets\":[0,1998000]},"
        "\"b\":{\"dtype\":\"F6_E3M2\",\"shape\":[1000,2000],\"data_offsets\":[1998000,3498000]},"
        "\"c\":{\"dtype\":\"F16\",\"shape\":[3,700001],\"data_offsets\":[3498000,7698006]}}",
        data, N_BYTES);
    free(data);
}

static void test_folder(void **state)
{
    char *root = make_checkpoint(state, "checkpoint");
    char *back = round_trip(state, root, true);
    assert_true(same_folders(root, back));
    free(back);
    free(root);
}

/* A folder's links are not followed out of it. */
static void test_restore_stays_inside(void **state)
{
    char *root = make_checkpoint(state, "inside");
    char *target = scratch_path(state, "inside.ingot");
    char *back = scratch_path(state, "inside-back");
    char *link = scratch_path(state, "inside-back/sub");
    char *elsewhere = scratch_path(state, "elsewhere");
    struct convert_result result;
    struct restore_result restored;
    ingot_error error = {0};
    assert_ok(convert_path(root, target, NULL, &result, &error), &error);
    assert_int_equal(mkdir(back, 0777), 0);
    assert_int_equal(mkdir(elsewhere, 0777), 0);
    assert_int_equal(symlink(elsewhere, link), 0);
    ingot_file *file = open_valid(target);
    assert_int_equal(restore_model(file, back, true, 0, NULL, &restored, &error), INGOT_EXISTS);
    assert_int_equal(rmdir(elsewhere), 0); /* still empty */
    ingot_file_close(file);
    free(elsewhere);
    free(link);
    free(back);
    free(target);
    free(root);
}

/* A source blob that is not what it should be: nothing gets a name. */
struct hostile {
    const char *names[2]; /* of one file or two */
    uint64_t n_bytes;
    uint32_t tensor;
    const char *form;
    bool attachment; /* a segment that names blob 0, which is the source itself */
    bool good_hash;
    uint32_t n_segments;
    ingot_status status;
    uint32_t rule;
};

static void put_hostile(struct byte_buffer *blob, const struct hostile *h)
{
    source_begin(blob, h->names[1] ? 2 : 1);
    for (int i = 0; i < 2 && h->names[i]; i++) {
        struct source_file file = {.name = h->names[i],
                                   .name_bytes = (uint32_t)strlen(h->names[i]),
                                   .n_bytes = h->n_bytes,
                                   .n_segments = h->n_segments};
        if (h->good_hash) hash_of("xyz", 3, file.hash);
        source_put_file(blob, &file);
        if (h->attachment) {
            source_put_attachment(blob, 0);
        } else {
            source_put_tensor(blob, h->tensor, h->form, (uint32_t)strlen(h->form));
        }
    }
}

static void test_hostile_source(void **state)
{
    static const struct hostile rows[] = {
        {{"f"}, 3, 0, "", false, true, 1, INGOT_OK, 0},
        {{"../f"}, 3, 0, "", false, true, 1, INGOT_INVALID, R_721},
        {{"/f"}, 3, 0, "", false, true, 1, INGOT_INVALID, R_721},
        {{"a/../f"}, 3, 0, "", false, true, 1, INGOT_INVALID, R_721},
        {{"a\\f"}, 3, 0, "", false, true, 1, INGOT_INVALID, R_721},
        {{"f", "f"}, 3, 0, "", false, true, 1, INGOT_INVALID, R_721},
        {{"f", "f/g"}, 3, 0, "", false, true, 1, INGOT_EXISTS, 0},
        {{"f"}, 3, 7, "", false, true, 1, INGOT_INVALID, R_720},
        {{"f"}, 3, 0, "", true, true, 1, INGOT_INVALID, R_720},
        {{"f"}, 3, 0, "blocks", false, true, 1, INGOT_UNSUPPORTED, 0},
        {{"f"}, 4, 0, "", false, true, 1, INGOT_INVALID, R_722},
        {{"f"}, 2, 0, "", false, true, 1, INGOT_INVALID, R_722},
        {{"f"}, 3, 0, "", false, false, 1, INGOT_INVALID, R_723},
        {{"f"}, 3, 0, "", false, true, 0xffffffff, INGOT_INVALID, R_720},
    };
    static const uint64_t dims[] = {3};
    char *path = scratch_path(state, "hostile.ingot");
    char *folder = scratch_path(state, "hostile");
    char *target = scratch_path(state, "hostile/f");
    assert_int_equal(mkdir(folder, 0777), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct byte_buffer blob = {0};
        struct restore_result restored;
        ingot_writer *writer;
        ingot_file *file;
        ingot_error error = {0};
        put_hostile(&blob, &rows[i]);
        const struct span span = {blob.data, blob.n_bytes};
        const struct byte_source source = memory_bytes(&span);
        assert_ok(ingot_writer_create(path, true, INGOT_COMPRESS_NONE, NULL, &writer, &error),
                  &error);
        assert_ok(ingot_writer_add(writer, "t", INGOT_U8, 1, dims, "xyz", &error), &error);
        assert_ok(ingot_writer_blob(writer, INGOT_BLOB_SOURCE, NULL, NULL, span.n_bytes, &source,
                                    NULL, &error),
                  &error);
        assert_ok(ingot_writer_finish(writer, &error), &error);
        ingot_writer_close(writer);
        buffer_release(&blob);
        assert_ok(ingot_file_open(path, NULL, &file, &error), &error);
        const ingot_status status = restore_model(file, folder, true, 0, NULL, &restored, &error);
        if (status != rows[i].status || (status != INGOT_OK && error.rule != rows[i].rule)) {
            fail_msg("%zu: %s: %s: %s", i, ingot_status_name(status), error.field, error.what);
        }
        if (status != INGOT_EXISTS) assert_int_equal(exists(target), status == INGOT_OK);
        ingot_file_close(file);
        (void)remove(target);
    }
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
    free(target);
    free(folder);
    free(path);
}

static void test_copy_restores(void **state)
{
    char *root = make_checkpoint(state, "twice");
    char *first = scratch_path(state, "first.ingot");
    char *second = scratch_path(state, "second.ingot");
    char *third = scratch_path(state, "third.ingot");
    char *back = scratch_path(state, "twice-back");
    struct convert_result result;
    struct restore_result restored;
    ingot_error error = {0};
    assert_ok(convert_path(root, first, NULL, &result, &error), &error);
    assert_ok(convert_path(first, second, "bf16", &result, &error), &error); /* no floats in it */
    assert_true(result.restorable);
    assert_ok(convert_path(first, third, NULL, &result, &error), &error);
    assert_same_file(first, third);
    ingot_file *file = open_valid(second);
    assert_ok(restore_model(file, back, false, 0, NULL, &restored, &error), &error);
    assert_int_equal(restored.n_files, 6);
    assert_true(same_folders(root, back));
    ingot_file_close(file);
    free(back);
    free(third);
    free(second);
    free(first);
    free(root);
}

/* ------------------------------------------------------------------ real files */

static void trip_real(void **state, const char *path, bool folder)
{
    if (!exists(path)) {
        print_message("note: %s: skipped, it is not there\n", path);
        return;
    }
    char *back = round_trip(state, path, folder);
    if (folder) {
        assert_true(same_folders(path, back));
    } else {
        assert_same_file(path, back);
    }
    free(back);
}

static void test_real_files(void **state)
{
    trip_real(state, "fixtures/shakespeare-3m", true);
    trip_real(state, "../shared/data/safetensors/burn_mnist.safetensors", false);
    trip_real(state, "../shared/data/safetensors/hadamards.safetensors", false);
    trip_real(state, "../shared/data/safetensors/silero_vad_16k.safetensors", false);
    trip_real(state, "../shared/data/safetensors/empty.safetensors", false);
    trip_real(state, "../shared/data/adapters/rerun_step230.safetensors", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_files),     cmocka_unit_test(test_large_file),
        cmocka_unit_test(test_folder),         cmocka_unit_test(test_restore_stays_inside),
        cmocka_unit_test(test_hostile_source), cmocka_unit_test(test_copy_restores),
        cmocka_unit_test(test_real_files),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

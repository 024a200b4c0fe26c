/* Source blobs of files whose tensors have passed, beside those of files that are read again. */
#include "tests/convert/files.h"

#include <stdlib.h>

#include "convert/source_passing.h"

enum { DATA_BYTES = 3 << 20 };

/* A source blob and the hashes of up to three tensors. */
struct outcome {
    ingot_status status;
    struct byte_buffer blob;
    uint8_t tensors[3][16];
};

static struct model *open_model(const char *path)
{
    struct model *model;
    ingot_error error = {0};
    assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
    return model;
}

static struct outcome blob_of(const struct model *model, struct source_passing *passing,
                              uint8_t (*tensors)[16], ingot_error *error)
{
    struct outcome o = {0};
    struct model_hashes hashes = {o.tensors, NULL};
    if (tensors) memcpy(o.tensors, tensors, sizeof o.tensors);
    o.status = model_source_blob(model, NULL, NULL, passing, &o.blob, &hashes, error);
    return o;
}

/* Lets the first n_tensors pass in pieces of piece_bytes; their hashes go to `tensors`. */
static void pass(const struct model *model, struct source_passing *passing, uint32_t n_tensors,
                 uint64_t piece_bytes, uint8_t (*tensors)[16])
{
    uint8_t *bytes = malloc(DATA_BYTES);
    ingot_error error = {0};
    for (uint32_t i = 0; i < n_tensors; i++) {
        struct model_tensor t;
        model_tensor(model, i, &t);
        assert_ok(model_read_raw(model, i, 0, t.stored_bytes, bytes, &error), &error);
        hash_of(bytes, t.stored_bytes, tensors[i]);
        for (uint64_t at = 0; at < t.stored_bytes; at += piece_bytes) {
            assert_ok(source_passing_tensor(passing, i, at, bytes + at,
                                            min_u64(piece_bytes, t.stored_bytes - at), &error),
                      &error);
        }
    }
    free(bytes);
}

static const struct {
    const char *header;
    bool in_order;
} files[] = {
    /* Without gaps, with gaps that are longer than what is read of them at once, with an empty
     * tensor, and in another order. */
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1048576],\"data_offsets\":[0,1048576]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[1048576],\"data_offsets\":[1048576,2097152]},"
     "\"c\":{\"dtype\":\"U8\",\"shape\":[1048576],\"data_offsets\":[2097152,3145728]}}",
     true},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[99],\"data_offsets\":[1,100]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[300],\"data_offsets\":[1048576,1048876]},"
     "\"c\":{\"dtype\":\"U8\",\"shape\":[728],\"data_offsets\":[3145000,3145728]}}",
     true},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1048576],\"data_offsets\":[0,1048576]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[7,7]},"
     "\"c\":{\"dtype\":\"U8\",\"shape\":[1045728],\"data_offsets\":[2100000,3145728]}}",
     true},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1048576],\"data_offsets\":[1048576,2097152]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[1048576],\"data_offsets\":[0,1048576]},"
     "\"c\":{\"dtype\":\"U8\",\"shape\":[1048576],\"data_offsets\":[2097152,3145728]}}",
     false},
};

static void test_same_blob(void **state)
{
    uint8_t *data = malloc(DATA_BYTES);
    char *path = scratch_path(state, "passing.safetensors");
    for (uint32_t i = 0; i < DATA_BYTES; i++) data[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        ingot_error error = {0};
        safetensors_write(path, files[f].header, data, DATA_BYTES);
        struct model *model = open_model(path);
        struct outcome read = blob_of(model, NULL, NULL, &error);
        assert_ok(read.status, &error);
        /* All tensors pass, or some, or none. */
        for (uint32_t n = 0; n <= 3; n++) {
            struct source_passing *passing;
            struct model_place place;
            uint8_t tensors[3][16] = {{0}};
            assert_ok(source_passing_create(model, NULL, &passing, &error), &error);
            assert_non_null(passing);
            pass(model, passing, n, n == 3 ? DATA_BYTES : 1000, tensors);
            assert_true(model_place(model, 0, &place));
            assert_int_equal(source_passing_file(passing, place.input) != NULL, files[f].in_order);
            struct outcome passed = blob_of(model, passing, tensors, &error);
            assert_ok(passed.status, &error);
            assert_int_equal(passed.blob.n_bytes, read.blob.n_bytes);
            assert_memory_equal(passed.blob.data, read.blob.data, read.blob.n_bytes);
            assert_memory_equal(passed.tensors, read.tensors, sizeof read.tensors);
            buffer_release(&passed.blob);
            source_passing_close(passing);
        }
        buffer_release(&read.blob);
        model_close(model);
    }
    free(path);
    free(data);
}

/* What lies between the tensors is read anew for the blob, and must be what has passed. */
static void test_changed(void **state)
{
    uint8_t *data = calloc(DATA_BYTES, 1);
    char *path = scratch_path(state, "changed.safetensors");
    uint8_t tensors[3][16] = {{0}};
    struct source_passing *passing;
    ingot_error error = {0};
    safetensors_write(path, files[1].header, data, DATA_BYTES);
    struct model *model = open_model(path);
    assert_ok(source_passing_create(model, NULL, &passing, &error), &error);
    pass(model, passing, 3, DATA_BYTES, tensors);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, (long)(8 + strlen(files[1].header) + 500), SEEK_SET);
    fputc('!', file);
    fclose(file);
    struct outcome passed = blob_of(model, passing, tensors, &error);
    assert_int_equal(passed.status, INGOT_REFUSED);
    assert_non_null(strstr(error.what, "changed"));
    buffer_release(&passed.blob);
    source_passing_close(passing);
    model_close(model);
    free(path);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_blob),
                                       cmocka_unit_test(test_changed)};
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

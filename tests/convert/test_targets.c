/* Targets: their names, what a safetensors file takes and how it is written, the receipt. */
#include "tests/convert/conversions.h"

#include <jansson.h>
#include <string.h>
#include <zstd.h>

static void test_targets(void **state)
{
    static const uint8_t data[4] = {1, 2, 3, 4};
    char *source = scratch_path(state, "t.safetensors");
    char *target = scratch_path(state, "t.ingot");
    char *unknown = scratch_path(state, "t.unknown");
    struct convert_options options = {.replace = false};
    struct convert_result result;
    struct restore_result restored;
    struct model *model;
    ingot_error error = {0};
    const char *path = source;
    safetensors_write(source, "{\"t\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
                      data, 4);
    assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
    assert_int_equal(convert_model(model, unknown, &options, &result, &error), INGOT_UNSUPPORTED);
    assert_non_null(strstr(error.what, ".ingot, .safetensors, .gguf"));
    options.encode = "int7";
    assert_int_equal(convert_model(model, target, &options, &result, &error), INGOT_UNSUPPORTED);
    options.encode = NULL;
    assert_ok(convert_model(model, target, &options, &result, &error), &error);
    assert_int_equal(convert_model(model, target, &options, &result, &error), INGOT_EXISTS);
    ingot_file *file = open_valid(target);
    assert_int_equal(restore_model(file, source, false, 0, NULL, &restored, &error), INGOT_EXISTS);
    const struct scratch *scratch = *state;
    assert_int_equal(restore_model(file, scratch->folder, false, 0, NULL, &restored, &error),
                     INGOT_EXISTS);
    assert_non_null(strstr(error.what, "not empty"));
    ingot_file_close(file);
    model_close(model);
    free(unknown);
    free(target);
    free(source);
}

static void test_to_safetensors(void **state)
{
    static const uint8_t data[4 + 2 + 8] = {0, 0, 0x80, 0x3f, 0x80, 0x3f, 1, 2, 3, 4, 5, 6, 7, 8};
    char *source = scratch_path(state, "st.safetensors");
    char *middle = scratch_path(state, "st.ingot");
    char *target = scratch_path(state, "out.safetensors");
    char *again = scratch_path(state, "again.safetensors");
    struct convert_result result;
    ingot_error error = {0};
    safetensors_write(source,
                      "{\"__metadata__\":{\"q\\\"\\\\\":\"\\u0001\"},"
                      "\"f\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                      "\"\\u00e9\":{\"dtype\":\"BF16\",\"shape\":[1,1],\"data_offsets\":[4,6]},"
                      "\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[6,14]}}",
                      data, sizeof data);
    assert_ok(convert_path(source, middle, NULL, &result, &error), &error);
    assert_ok(convert_path(middle, target, NULL, &result, &error), &error);
    size_t n_bytes;
    uint8_t *bytes = file_read(target, &n_bytes);
    assert_int_equal(result.target_bytes, n_bytes);
    static const char header[] =
        "{\"__metadata__\":{\"q\\\"\\\\\":\"\\u0001\"},"
        "\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
        "\"f\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]},"
        "\"\xc3\xa9\":{\"dtype\":\"BF16\",\"shape\":[1,1],\"data_offsets\":[12,14]}}";
    const uint64_t header_bytes = load_u64(bytes);
    assert_int_equal(header_bytes % 8, 0);
    assert_true(header_bytes >= sizeof header - 1 && header_bytes < sizeof header + 7);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    assert_memory_equal(bytes + 8 + header_bytes, data + 6, 8);
    assert_memory_equal(bytes + 8 + header_bytes + 8, data, 6);
    free(bytes);
    assert_ok(convert_path(target, again, NULL, &result, &error), &error);
    assert_same_file(target, again);
    assert_ok(convert_path(source, again, "f32", &result, &error), &error);
    assert_int_equal(result.n_encoded, 1);
    assert_int_equal(convert_path(source, again, "int8", &result, &error), INGOT_REFUSED);
    free(again);
    free(target);
    free(middle);
    free(source);
}

static void test_dequantizing(void **state)
{
    char *source = scratch_path(state, "q.safetensors");
    char *middle = scratch_path(state, "q.ingot");
    char *target = scratch_path(state, "q-out.safetensors");
    float w[16 * 32];
    for (int i = 0; i < 512; i++) w[i] = (float)(i % 15 - 8);
    struct convert_result result;
    ingot_error error = {0};
    write_matrix(source, 16, 32, w);
    assert_ok(convert_path(source, middle, "int4", &result, &error), &error);
    assert_int_equal(result.n_encoded, 1);
    assert_false(result.restorable);
    assert_int_equal(convert_path(middle, target, NULL, &result, &error), INGOT_REFUSED);
    assert_string_equal(error.field, "w");
    assert_non_null(strstr(error.what, "int4-g32"));
    assert_false(exists(target));
    assert_ok(convert_path(middle, target, "f32", &result, &error), &error);
    struct restore_result restored;
    ingot_file *file = open_valid(middle);
    assert_int_equal(restore_model(file, target, true, 0, NULL, &restored, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "int4-g32"));
    ingot_file_close(file);
    struct model *a, *b;
    struct tensor_error compared;
    const char *paths[] = {middle, target};
    assert_ok(model_open(&paths[0], 1, NULL, &a, &error), &error);
    assert_ok(model_open(&paths[1], 1, NULL, &b, &error), &error);
    assert_ok(compare_tensors(a, 0, b, 0, NULL, &compared, &error), &error);
    assert_int_equal(compared.n, 512);
    assert_int_equal(compared.n_different, 0);
    model_close(b);
    model_close(a);
    free(target);
    free(middle);
    free(source);
}

static void test_receipt(void **state)
{
    char *source = scratch_path(state, "r.safetensors");
    char *target = scratch_path(state, "r.ingot");
    char *copy = scratch_path(state, "r2.ingot");
    float w[16 * 32];
    for (int i = 0; i < 512; i++) w[i] = (float)(i * 7919 % 1009) - 500.0f;
    struct convert_result result;
    ingot_error error = {0};
    write_matrix(source, 16, 32, w);
    assert_ok(convert_path(source, target, "int4", &result, &error), &error);
    assert_ok(convert_path(target, copy, NULL, &result, &error), &error);
    const char *const paths[] = {target, copy};
    for (int i = 0; i < 2; i++) {
        ingot_blob blob;
        ingot_file *file = open_valid(paths[i]);
        const uint32_t index = ingot_file_find_blob(file, INGOT_BLOB_RECEIPT, "", 0);
        assert_int_not_equal(index, INGOT_NONE);
        ingot_file_blob(file, index, &blob);
        char *text = malloc(blob.n_bytes);
        assert_non_null(text);
        assert_ok(ingot_file_read_blob(file, index, 0, blob.n_bytes, text, &error), &error);
        json_t *root = json_loadb(text, blob.n_bytes, 0, NULL);
        assert_non_null(root);
        assert_string_equal(json_string_value(json_object_get(root, "ingot")), INGOT_VERSION);
        assert_string_equal(json_string_value(json_object_get(root, "zstd")), ZSTD_versionString());
        const json_t *recipe = json_object_get(root, i ? "earlier_recipe" : "recipe");
        assert_string_equal(json_string_value(json_object_get(recipe, "encode")), "int4");
        const json_t *tensor = json_array_get(json_object_get(root, "tensors"), 0);
        assert_string_equal(json_string_value(json_object_get(tensor, "name")), "w");
        assert_string_equal(json_string_value(json_object_get(tensor, "source_dtype")), "f32");
        assert_int_equal(strlen(json_string_value(json_object_get(tensor, "source_hash"))), 32);
        assert_true(json_real_value(json_object_get(tensor, "sqnr_db")) > 15.0);
        assert_true(json_real_value(json_object_get(tensor, "bits_per_weight")) == 4.5);
        assert_true(json_real_value(json_object_get(tensor, "max_error")) > 0.0);
        json_decref(root);
        free(text);
        ingot_file_close(file);
    }
    free(copy);
    free(target);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_to_safetensors),
        cmocka_unit_test(test_dequantizing),
        cmocka_unit_test(test_receipt),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

/* Source files followed through the streams of a container: found whole where they can be, and
 * never where a byte differs. */
#include "tests/convert/conversions.h"

#include "format/source_follow.h"

enum { DATA_BYTES = 3000000 };

static const char in_order[] =
    "{\"a\":{\"dtype\":\"U8\",\"shape\":[1000000],\"data_offsets\":[10,1000010]},"
    "\"n\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
    "\"b\":{\"dtype\":\"BF16\",\"shape\":[99,10000],\"data_offsets\":[1000020,2980020]},"
    "\"c\":{\"dtype\":\"U8\",\"shape\":[19980],\"data_offsets\":[2980020,3000000]}}";
static const char out_of_order[] =
    "{\"a\":{\"dtype\":\"U8\",\"shape\":[1000000],\"data_offsets\":[2000000,3000000]},"
    "\"b\":{\"dtype\":\"U8\",\"shape\":[2000000],\"data_offsets\":[0,2000000]}}";
/* Codes of 4 bits are not the source's bytes. */
static const char narrow[] =
    "{\"a\":{\"dtype\":\"F4\",\"shape\":[1000,4000],\"data_offsets\":[0,2000000]},"
    "\"b\":{\"dtype\":\"U8\",\"shape\":[1000000],\"data_offsets\":[2000000,3000000]}}";

/* Lets all streams of a file pass; where `flip` is one of them, with one bit of it changed. */
static struct source_follow *follow_all(const ingot_file *file, uint32_t flip)
{
    ingot_error error = {0};
    uint8_t *bytes = malloc(DATA_BYTES);
    struct source_follow *follow;
    assert_ok(source_follow_open(file, &follow, &error), &error);
    assert_non_null(follow);
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        const uint64_t n = ingot_file_stream_bytes(file, i);
        if (!source_follow_wants(follow, i)) continue;
        assert_true(n <= DATA_BYTES);
        assert_ok(ingot_file_read_stream(file, i, 0, n, bytes, &error), &error);
        if (i == flip) bytes[n / 2] ^= 1;
        source_follow_put(follow, bytes, n / 3);
        source_follow_put(follow, bytes + n / 3, n - n / 3);
    }
    assert_ok(source_follow_end(follow, &error), &error);
    free(bytes);
    return follow;
}

static bool proved(void **state, const char *header, uint32_t flip)
{
    struct convert_result result;
    ingot_error error = {0};
    char *source = scratch_path(state, "follow.safetensors");
    char *target = scratch_path(state, "follow.ingot");
    uint8_t *data = malloc(DATA_BYTES);
    for (uint32_t i = 0; i < DATA_BYTES; i++) data[i] = (uint8_t)(i * 2654435761u >> 27);
    safetensors_write(source, header, data, DATA_BYTES);
    assert_ok(convert_path(source, target, NULL, &result, &error), &error);
    ingot_file *file = open_valid(target);
    struct source_follow *follow = follow_all(file, flip);
    const bool found = source_follow_proved(follow, 0);
    assert_false(source_follow_proved(follow, 1));
    source_follow_close(follow);
    ingot_file_close(file);
    free(data);
    free(target);
    free(source);
    return found;
}

/* Each tensor of these is one stream, and these come first. */
static void test_follow(void **state)
{
    assert_true(proved(state, in_order, INGOT_NONE));
    assert_false(proved(state, in_order, 0));
    assert_false(proved(state, in_order, 2));
    assert_false(proved(state, in_order, 3));
    assert_false(proved(state, out_of_order, INGOT_NONE));
    assert_false(proved(state, narrow, INGOT_NONE));
}

/* A file that has no source. */
static void test_none(void **state)
{
    struct convert_result result;
    ingot_error error = {0};
    const float values[512] = {1};
    char *source = scratch_path(state, "none.safetensors");
    char *target = scratch_path(state, "none.ingot");
    write_matrix(source, 8, 64, values);
    assert_ok(convert_path(source, target, "int8", &result, &error), &error);
    ingot_file *file = open_valid(target);
    struct source_follow *follow;
    assert_ok(source_follow_open(file, &follow, &error), &error);
    assert_null(follow);
    assert_false(source_follow_wants(follow, 0));
    assert_ok(source_follow_end(follow, &error), &error);
    assert_false(source_follow_proved(follow, 0));
    source_follow_close(follow);
    ingot_file_close(file);
    free(target);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_follow), cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

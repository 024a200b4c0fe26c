/* Safetensors headers: what is proved of good ones, and each way in which a bad one is refused. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/safetensors.h"
#include "format/metadata.h"
#include "tests/convert/meter.h"

/* Parses from memory of exactly the header's length. */
static ingot_status parse(const char *header, size_t n_bytes, uint64_t data_bytes,
                          struct safetensors *st, ingot_error *error)
{
    uint8_t *exact = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(exact);
    memcpy(exact, header, n_bytes);
    const ingot_status status =
        safetensors_parse((struct span){exact, n_bytes}, data_bytes, NULL, st, error);
    free(exact);
    return status;
}

static const char good[] =
    "{\"__metadata__\":{\"format\":\"pt\",\"\\u00e9\":\"\"},"
    "\"w\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
    "\"scalar\":{\"data_offsets\":[0,4],\"dtype\":\"F32\",\"shape\":[]},"
    "\"none\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[16,16]}}   ";

static void test_good(void **state)
{
    (void)state;
    struct safetensors st;
    assert_int_equal(parse(good, sizeof good - 1, 16, &st, NULL), INGOT_OK);
    assert_int_equal(st.n_entries, 3);
    const struct safetensors_entry *w = safetensors_entry_at(&st, 0);
    assert_string_equal(safetensors_name(&st, 0), "w");
    assert_int_equal(w->dtype, INGOT_F16);
    assert_int_equal(w->rank, 2);
    assert_int_equal(w->dims[0], 2);
    assert_int_equal(w->dims[1], 3);
    assert_int_equal(w->begin, 4);
    assert_int_equal(w->end, 16);
    assert_int_equal(safetensors_entry_at(&st, 1)->rank, 0);
    assert_int_equal(safetensors_entry_at(&st, 2)->dims[1], 7);
    assert_int_equal(st.n_ordered, 2);
    assert_int_equal(st.by_data[0], 1);
    assert_int_equal(st.by_data[1], 0);
    assert_int_equal(load_u64(st.metadata.data), 2);
    safetensors_release(&st);
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        uint64_t data_bytes;
    } rows[] = {
        {"{}", 0},
        {"{}      ", 0},
        {"{\"__metadata__\":null}", 0},
        {"{\"__metadata__\":{}}", 0},
        /* A gap before, one between, and no order: as other writers make them. */
        {"{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[9,11]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
         11},
        /* An empty tensor may lie anywhere. */
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[2,2]}}",
         4},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[2,3],\"data_offsets\":[0,3]}}", 3},
        {"{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0,144115188075855871],\"data_offsets\":[0,0]}}", 0},
        {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct safetensors st;
        ingot_error error = {0};
        const ingot_status status =
            parse(rows[i].header, strlen(rows[i].header), rows[i].data_bytes, &st, &error);
        if (status != INGOT_OK) fail_msg("%s: %s: %s", rows[i].header, error.field, error.what);
        safetensors_release(&st);
    }
}

static void test_dtypes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ingot_dtype dtype;
    } rows[] = {
        {"BOOL", INGOT_BOOL},
        {"F4", INGOT_F4_E2M1},
        {"F6_E2M3", INGOT_F6_E2M3},
        {"F6_E3M2", INGOT_F6_E3M2},
        {"U8", INGOT_U8},
        {"I8", INGOT_I8},
        {"F8_E5M2", INGOT_F8_E5M2},
        {"F8_E4M3", INGOT_F8_E4M3},
        {"F8_E8M0", INGOT_F8_E8M0},
        {"F8_E4M3FNUZ", INGOT_F8_E4M3FNUZ},
        {"F8_E5M2FNUZ", INGOT_F8_E5M2FNUZ},
        {"I16", INGOT_I16},
        {"U16", INGOT_U16},
        {"F16", INGOT_F16},
        {"BF16", INGOT_BF16},
        {"I32", INGOT_I32},
        {"U32", INGOT_U32},
        {"F32", INGOT_F32},
        {"C64", INGOT_C64},
        {"F64", INGOT_F64},
        {"I64", INGOT_I64},
        {"U64", INGOT_U64},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct safetensors st;
        char header[128];
        const unsigned n_bytes = 8 * ingot_dtype_bits(rows[i].dtype) / 8;
        sprintf(header, "{\"t\":{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,%u]}}",
                rows[i].name, n_bytes);
        assert_int_equal(parse(header, strlen(header), n_bytes, &st, NULL), INGOT_OK);
        assert_int_equal(safetensors_entry_at(&st, 0)->dtype, rows[i].dtype);
        assert_string_equal(safetensors_dtype_name(rows[i].dtype), rows[i].name);
        safetensors_release(&st);
    }
}

#define ENTRY(dtype, shape, offsets) \
    "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        uint64_t data_bytes;
        ingot_status status;
        const char *field;
        const char *what; /* part of it */
    } rows[] = {
        {"", 0, INGOT_INVALID, "header", "begin"},
        {" {}", 0, INGOT_INVALID, "header", "begin"},
        {"[]", 0, INGOT_INVALID, "header", "begin"},
        {"{}x", 0, INGOT_INVALID, "header", "after"},
        {"{} {}", 0, INGOT_INVALID, "header", "after"},
        {"{\"t\":3}", 0, INGOT_INVALID, "t", "object"},
        {"{\"t\":[]}", 0, INGOT_INVALID, "t", "object"},
        {"{\"t\":{}}", 0, INGOT_INVALID, "t.dtype", "missing"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[]}}", 0, INGOT_INVALID, "t.data_offsets", "missing"},
        {"{\"t\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, INGOT_INVALID, "t.shape",
         "missing"},
        {"{\"t\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1,
         INGOT_INVALID, "t.dtype", "twice"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1],\"strides\":[]}}", 1,
         INGOT_UNSUPPORTED, "t.strides", "unknown"},
        {"{\"t\":{\"dtype\":4,\"shape\":[],\"data_offsets\":[0,1]}}", 1, INGOT_INVALID, "t.dtype",
         "string"},
        {ENTRY("INT4", "[2]", "[0,1]"), 1, INGOT_UNSUPPORTED, "t.dtype", "INT4"},
        {ENTRY("f16", "[1]", "[0,2]"), 2, INGOT_UNSUPPORTED, "t.dtype", "f16"},
        {ENTRY("", "[1]", "[0,2]"), 2, INGOT_UNSUPPORTED, "t.dtype", "unknown"},
        {ENTRY("U8", "4", "[0,4]"), 4, INGOT_INVALID, "t.shape", "array"},
        {ENTRY("U8", "[4.0]", "[0,4]"), 4, INGOT_INVALID, "t.shape", "integer"},
        {ENTRY("U8", "[-4]", "[0,4]"), 4, INGOT_INVALID, "t.shape", "integer"},
        {ENTRY("U8", "[\"4\"]", "[0,4]"), 4, INGOT_INVALID, "t.shape", "integer"},
        {ENTRY("U8", "[[4]]", "[0,4]"), 4, INGOT_INVALID, "t.shape", "integer"},
        {ENTRY("U8", "[18446744073709551616]", "[0,4]"), 4, INGOT_INVALID, "t.shape", "integer"},
        {ENTRY("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, INGOT_UNSUPPORTED, "t.shape", "8"},
        {ENTRY("U8", "[4294967296,4294967296]", "[0,0]"), 0, INGOT_INVALID, "t.shape", "product"},
        {ENTRY("U8", "[18446744073709551615,2]", "[0,0]"), 0, INGOT_INVALID, "t.shape", "product"},
        {ENTRY("F64", "[2305843009213693952]", "[0,0]"), 0, INGOT_INVALID, "t.shape", "product"},
        {ENTRY("U8", "[0,18446744073709551615]", "[0,0]"), 0, INGOT_INVALID, "t.shape", "product"},
        {ENTRY("F4", "[3]", "[0,1]"), 1, INGOT_INVALID, "t.shape", "whole bytes"},
        {ENTRY("F6_E3M2", "[2]", "[0,1]"), 1, INGOT_INVALID, "t.shape", "whole bytes"},
        {ENTRY("U8", "[4]", "[4,0]"), 4, INGOT_INVALID, "t.data_offsets", "before"},
        {ENTRY("U8", "[4]", "[0,4]"), 3, INGOT_INVALID, "t.data_offsets", "after"},
        {ENTRY("U8", "[4]", "[18446744073709551612,18446744073709551615]"), 4, INGOT_INVALID,
         "t.data_offsets", "after"},
        {ENTRY("U8", "[4]", "[0,3]"), 3, INGOT_INVALID, "t.data_offsets", "as many"},
        {ENTRY("F32", "[4]", "[0,4]"), 4, INGOT_INVALID, "t.data_offsets", "as many"},
        {ENTRY("U8", "[4]", "[4]"), 4, INGOT_INVALID, "t.data_offsets", "two"},
        {ENTRY("U8", "[4]", "[]"), 4, INGOT_INVALID, "t.data_offsets", "two"},
        {ENTRY("U8", "[4]", "[0,4,4]"), 4, INGOT_INVALID, "t.data_offsets", "more"},
        {ENTRY("U8", "[4]", "{}"), 4, INGOT_INVALID, "t.data_offsets", "array"},
        {ENTRY("U8", "[4]", "[0,4]"), 5, INGOT_INVALID, "data", "1 bytes after"},
        {"{}", 1, INGOT_INVALID, "data", "after"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
         7, INGOT_INVALID, "b.data_offsets", "'a'"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
         4, INGOT_INVALID, "b.data_offsets", "overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, INGOT_INVALID, "a", "two tensors"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, INGOT_INVALID, "__metadata__", "twice"},
        {"{\"__metadata__\":{\"k\":1}}", 0, INGOT_INVALID, "__metadata__", "string"},
        {"{\"__metadata__\":{\"k\":null}}", 0, INGOT_INVALID, "__metadata__", "string"},
        {"{\"__metadata__\":{\"k\":{}}}", 0, INGOT_INVALID, "__metadata__", "string"},
        {"{\"__metadata__\":[]}", 0, INGOT_INVALID, "__metadata__", "object"},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, INGOT_INVALID, "__metadata__", "'k'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct safetensors st;
        ingot_error error = {0};
        const ingot_status status =
            parse(rows[i].header, strlen(rows[i].header), rows[i].data_bytes, &st, &error);
        if (status != rows[i].status || strcmp(error.field, rows[i].field) != 0 ||
            strstr(error.what, rows[i].what) == NULL || error.offset == INGOT_NO_OFFSET) {
            fail_msg("%s: %s: %s: %s", rows[i].header, ingot_status_name(status), error.field,
                     error.what);
        }
    }
}

static void test_prefixes(void **state)
{
    (void)state;
    const size_t n_text = (size_t)(strrchr(good, '}') - good);
    for (size_t n = 0; n <= n_text; n++) {
        struct safetensors st;
        if (parse(good, n, 16, &st, NULL) == INGOT_OK) fail_msg("the first %zu bytes are taken", n);
    }
}

/* Any one byte changed: taken or refused, and nothing read or kept that should not be. */
static void test_changed_bytes(void **state)
{
    (void)state;
    char changed[sizeof good];
    for (size_t i = 0; i + 1 < sizeof good; i++) {
        memcpy(changed, good, sizeof good);
        for (int c = 0; c < 256; c++) {
            struct safetensors st;
            changed[i] = (char)c;
            if (parse(changed, sizeof good - 1, 16, &st, NULL) == INGOT_OK) {
                safetensors_release(&st);
            }
        }
    }
}

/* What fails when memory runs out is told, and everything is given back. */
static void test_no_memory(void **state)
{
    (void)state;
    struct meter meter = {0, 0};
    const ingot_allocator allocator = meter_allocator(&meter);
    ingot_status status = INGOT_NO_MEMORY;
    for (int n = 0; status != INGOT_OK; n++) {
        struct safetensors st;
        assert_true(n < 1000);
        meter.left = n;
        status = safetensors_parse((struct span){(const uint8_t *)good, sizeof good - 1}, 16,
                                   &allocator, &st, NULL);
        if (status == INGOT_OK) {
            safetensors_release(&st);
        } else {
            assert_int_equal(status, INGOT_NO_MEMORY);
        }
        assert_int_equal(meter.held, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_dtypes),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_prefixes),  cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

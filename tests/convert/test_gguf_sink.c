/* GGUF as a target: every byte of the file, what is refused and what is told. */
#include "tests/convert/conversions.h"
#include "tests/convert/gguf_bytes.h"
#include "tests/convert/heard.h"

#include "format/buffer.h"

static void expect_tensor(const struct gguf_bytes *g, uint64_t index, const char *name,
                          uint32_t type, uint32_t rank, const uint64_t *ne)
{
    const struct gguf_tensor *t = &g->tensors[index];
    assert_string_equal(t->name, name);
    assert_int_equal(t->type, type);
    assert_int_equal(t->rank, rank);
    for (uint32_t k = 0; k < rank; k++) assert_int_equal(t->ne[k], ne[k]);
}

static void test_every_byte(void **state)
{
    char *source = scratch_path(state, "g.safetensors");
    char *middle = scratch_path(state, "g.ingot");
    char *target = scratch_path(state, "g.gguf");
    char *again = scratch_path(state, "again.gguf");
    uint8_t data[24 + 40 + 14 + 3 + 16 + 2 + 4 + 8];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7 + 1);
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    safetensors_write(source,
                      "{\"__metadata__\":{\"format\":\"pt\",\"\xc3\xa9\":\"\"},"
                      "\"f\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                      "\"b\":{\"dtype\":\"BF16\",\"shape\":[4,1,5],\"data_offsets\":[24,64]},"
                      "\"h\":{\"dtype\":\"F16\",\"shape\":[7],\"data_offsets\":[64,78]},"
                      "\"i8\":{\"dtype\":\"I8\",\"shape\":[3,1],\"data_offsets\":[78,81]},"
                      "\"i64\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[81,97]},"
                      "\"i16\":{\"dtype\":\"I16\",\"shape\":[1,1,1,1],\"data_offsets\":[97,99]},"
                      "\"i32\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[99,103]},"
                      "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[103,111]}}",
                      data, sizeof data);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_int_equal(heard.n_notes, 1);
    assert_true(heard_note(&heard, "general.architecture"));
    struct gguf_bytes g = gguf_read(target, 32);
    assert_int_equal(g.n_entries, 2);
    assert_string_equal(g.entries[0].key, "format");
    assert_int_equal(g.entries[0].type, 8);
    assert_memory_equal(g.entries[0].value, "\2\0\0\0\0\0\0\0pt", 10);
    assert_string_equal(g.entries[1].key, "\xc3\xa9");
    assert_int_equal(g.entries[1].n_bytes, 8);
    assert_int_equal(g.n_tensors, 8);
    expect_tensor(&g, 0, "f", 0, 2, (const uint64_t[]){3, 2});
    expect_tensor(&g, 1, "b", 30, 3, (const uint64_t[]){5, 1, 4});
    expect_tensor(&g, 2, "h", 1, 1, (const uint64_t[]){7});
    expect_tensor(&g, 3, "i8", 24, 2, (const uint64_t[]){1, 3});
    expect_tensor(&g, 4, "i64", 27, 2, (const uint64_t[]){2, 1});
    expect_tensor(&g, 5, "i16", 25, 4, (const uint64_t[]){1, 1, 1, 1});
    expect_tensor(&g, 6, "i32", 26, 1, (const uint64_t[]){1});
    expect_tensor(&g, 7, "d", 28, 1, (const uint64_t[]){1});
    const size_t ends[] = {0, 24, 64, 78, 81, 97, 99, 103, 111};
    for (uint64_t i = 0; i < 8; i++) {
        gguf_expect_data(&g, i, data + ends[i], ends[i + 1] - ends[i], 32);
    }
    assert_int_equal(g.at, g.n_bytes);
    gguf_release(&g);
    /* By way of a container it is the same file. */
    assert_ok(convert_path(source, middle, NULL, &result, &error), &error);
    assert_ok(convert_path(middle, again, NULL, &result, &error), &error);
    assert_same_file(target, again);
    free(again);
    free(target);
    free(middle);
    free(source);
}

static void test_refusals(void **state)
{
    static const char *const expected[] = {
        "u: GGUF has no type for u8: its plain types are f64, f32, f16, bf16, i8, i16, i32, i64",
        "bool: GGUF has no type for bool: its plain types are f64, f32, f16, bf16, i8, i16, i32, "
        "i64",
        "e4m3: GGUF has no type for f8_e4m3: its plain types are f64, f32, f16, bf16, i8, i16, "
        "i32, "
        "i64",
        "five: it has 5 dimensions, and GGUF's tensors have at most 4",
        "scalar: it is a scalar, without dimensions, and GGUF's tensors have at least one",
        "empty: it is empty, and GGUF's readers refuse a dimension of 0",
        "n23456789012345678901234567890123456789012345678901234567890abcd: its name has 64 bytes, "
        "and GGUF's have at most 63",
    };
    static const uint8_t data[64] = {0};
    char *source = scratch_path(state, "r.safetensors");
    char *target = scratch_path(state, "r.gguf");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    safetensors_write(source,
                      "{\"good\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                      "\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]},"
                      "\"bool\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[2,3]},"
                      "\"e4m3\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[3,4]},"
                      "\"five\":{\"dtype\":\"I8\",\"shape\":[1,1,1,1,1],\"data_offsets\":[4,5]},"
                      "\"scalar\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[5,6]},"
                      "\"empty\":{\"dtype\":\"I8\",\"shape\":[2,0],\"data_offsets\":[6,6]},"
                      "\"n23456789012345678901234567890123456789012345678901234567890abcd\":"
                      "{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[6,7]},"
                      "\"n2345678901234567890123456789012345678901234567890123456789abcd\":"
                      "{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[7,8]}}",
                      data, 8);
    assert_int_equal(convert_heard(source, target, NULL, &heard, &result, &error), INGOT_REFUSED);
    assert_int_equal(heard.n_refused, 7);
    for (size_t i = 0; i < 7; i++) assert_string_equal(heard.refused[i], expected[i]);
    assert_string_equal(error.field, "u");
    assert_non_null(strstr(error.what, "(7 tensors cannot be written)"));
    assert_false(exists(target));
    assert_int_equal(convert_heard(source, target, "int4", &heard, &result, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "GGUF holds plain types"));
    free(target);
    free(source);
}

static void test_casts(void **state)
{
    char *source = scratch_path(state, "c.safetensors");
    char *middle = scratch_path(state, "c.ingot");
    char *target = scratch_path(state, "c.gguf");
    float w[16 * 32];
    uint8_t halves[2 * 16 * 32];
    for (int i = 0; i < 512; i++) {
        w[i] = (float)(i % 15 - 8);
        store_u16(halves + 2 * i, (uint16_t)(f32_bits(w[i]) >> 16));
    }
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    write_matrix(source, 16, 32, w);
    assert_ok(convert_heard(source, target, "bf16", &heard, &result, &error), &error);
    assert_int_equal(result.n_encoded, 1);
    struct gguf_bytes g = gguf_read(target, 32);
    expect_tensor(&g, 0, "w", 30, 2, (const uint64_t[]){32, 16});
    gguf_expect_data(&g, 0, halves, sizeof halves, 32);
    gguf_release(&g);
    /* What a type holds exactly is repacked, other codings decoded only when that is asked for. */
    assert_ok(convert_path(source, middle, "int4", &result, &error), &error);
    assert_ok(convert_heard(middle, target, NULL, &heard, &result, &error), &error);
    assert_int_equal(result.n_encoded, 0);
    g = gguf_read(target, 32);
    expect_tensor(&g, 0, "w", 2, 2, (const uint64_t[]){32, 16}); /* Q4_0 */
    gguf_release(&g);
    assert_ok(convert_path(source, middle, "int8", &result, &error), &error);
    assert_int_equal(convert_heard(middle, target, NULL, &heard, &result, &error), INGOT_REFUSED);
    assert_non_null(strstr(heard.refused[0], "w: it is held as int8-row, and Q8_0 cannot hold it"));
    assert_non_null(strstr(heard.refused[0], "is not an f16; encode f32"));
    assert_ok(convert_heard(middle, target, "f32", &heard, &result, &error), &error);
    assert_int_equal(result.n_encoded, 1);
    free(target);
    free(middle);
    free(source);
}

/* Vectors are held in f32 whatever the cast. */
static void test_cast_vectors(void **state)
{
    static const uint8_t data[] = {0, 0x80, 0x3f, 0xc0, 0, 0, 0x80, 0x40, 0x80, 0x3f};
    static const uint8_t half[2] = {0, 0x3c};
    static const uint8_t wide[] = {0, 0, 0, 0x80, 0, 0, 0x3f, 0xc0};
    char *source = scratch_path(state, "v.safetensors");
    char *target = scratch_path(state, "v.gguf");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    safetensors_write(source,
                      "{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]},"
                      "\"f\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]},"
                      "\"m\":{\"dtype\":\"BF16\",\"shape\":[1,1],\"data_offsets\":[8,10]}}",
                      data, sizeof data);
    assert_ok(convert_heard(source, target, "f16", &heard, &result, &error), &error);
    assert_int_equal(result.n_encoded, 2);
    struct gguf_bytes g = gguf_read(target, 32);
    expect_tensor(&g, 0, "b", 0, 1, (const uint64_t[]){2});
    expect_tensor(&g, 1, "f", 0, 1, (const uint64_t[]){1});
    expect_tensor(&g, 2, "m", 1, 2, (const uint64_t[]){1, 1});
    gguf_expect_data(&g, 0, wide, sizeof wide, 32);
    gguf_expect_data(&g, 1, data + 4, 4, 32);
    gguf_expect_data(&g, 2, half, sizeof half, 32);
    gguf_release(&g);
    free(target);
    free(source);
}

/* Blocks go through a container as they are: the file comes back. */
static void test_blocks(void **state)
{
    static const char wanted[] = "it is held as Q4_0";
    struct byte_buffer file = {0};
    char *source = scratch_path(state, "q.gguf");
    char *middle = scratch_path(state, "q.ingot");
    char *target = scratch_path(state, "q2.gguf");
    char *plain = scratch_path(state, "q.safetensors");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    buffer_append(&file, "GGUF\3\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 24);
    buffer_append(&file, "\24\0\0\0\0\0\0\0general.architecture\10\0\0\0", 32);
    buffer_append(&file, "\5\0\0\0\0\0\0\0llama", 13);
    for (uint32_t i = 0; i < 2; i++) { /* Q4_0, of 1 and of 3 rows */
        buffer_u64(&file, 1);
        buffer_u8(&file, (uint8_t)('s' + i));
        buffer_u32(&file, 2);
        buffer_u64(&file, 32);
        buffer_u64(&file, i ? 3 : 1);
        buffer_u32(&file, 2);
        buffer_u64(&file, i ? 32 : 0);
    }
    buffer_align(&file, 32);
    for (uint8_t k = 0; k < 18; k++) buffer_u8(&file, (uint8_t)(k * 5));
    buffer_align(&file, 32);
    for (uint8_t k = 0; k < 3 * 18; k++) buffer_u8(&file, (uint8_t)(k * 3));
    buffer_align(&file, 32);
    file_write(source, file.data, file.n_bytes);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    assert_same_file(source, target);
    assert_int_equal(heard.n_notes, 0);
    assert_ok(convert_path(source, middle, NULL, &result, &error), &error);
    assert_ok(convert_path(middle, target, NULL, &result, &error), &error);
    assert_same_file(source, target);
    assert_int_equal(convert_heard(middle, plain, NULL, &heard, &result, &error), INGOT_REFUSED);
    assert_int_equal(heard.n_refused, 2);
    assert_non_null(strstr(heard.refused[1], wanted));
    assert_false(exists(plain));
    buffer_release(&file);
    free(plain);
    free(target);
    free(middle);
    free(source);
}

static void test_nothing(void **state)
{
    char *source = scratch_path(state, "n.safetensors");
    char *target = scratch_path(state, "n.gguf");
    struct convert_result result;
    struct heard heard;
    ingot_error error = {0};
    safetensors_write(source, "{}", NULL, 0);
    assert_ok(convert_heard(source, target, NULL, &heard, &result, &error), &error);
    struct gguf_bytes g = gguf_read(target, 32);
    assert_int_equal(g.n_tensors + g.n_entries, 0);
    assert_int_equal(g.n_bytes, 32);
    gguf_release(&g);
    free(target);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_casts),      cmocka_unit_test(test_cast_vectors),
        cmocka_unit_test(test_blocks),     cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

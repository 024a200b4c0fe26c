/* One tensor or file of a model: .npy files that NumPy reads, bytes as they are; and every type
 * that safetensors has on its whole way. */
#include "tests/convert/conversions.h"

#include "convert/blocks.h"
#include "convert/extract.h"
#include "convert/npy.h"
#include "convert/safetensors.h"
#include "format/dense_bits.h"
#include "format/floats.h"
#include "tests/support/gguf_maker.h"

static void test_npy_header(void **state)
{
    (void)state;
    static const struct {
        uint32_t rank;
        uint64_t dims[INGOT_MAX_RANK];
        const char *shape;
    } rows[] = {
        {0, {0}, "'shape': ()"},
        {1, {3}, "'shape': (3,)"},
        {2, {2, 0}, "'shape': (2, 0)"},
        {8,
         {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
          UINT64_MAX},
         "18446744073709551615)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t header[NPY_MAX_HEADER_BYTES];
        const uint32_t n = npy_header(INGOT_F16, rows[i].rank, rows[i].dims, header);
        assert_int_equal(n % 64, 0);
        assert_true(n <= sizeof header);
        assert_memory_equal(header, "\x93NUMPY\1\0", 8);
        assert_int_equal(load_u16(header + 8), n - 10);
        assert_int_equal(header[n - 1], '\n');
        header[n - 1] = '\0';
        const char *text = (const char *)header + 10;
        assert_non_null(strstr(text, "{'descr': '<f2', 'fortran_order': False, "));
        assert_non_null(strstr(text, rows[i].shape));
    }
}

/* Every type: 24 elements of bytes that hold each bit pattern of the narrow ones. */
enum { N_ELEMENTS = 24 };

static float value_of(ingot_dtype dtype, const uint8_t *data, uint64_t i)
{
    const uint32_t bits = ingot_dtype_bits(dtype);
    return ingot_float_decode(dtype,
                              bits < 8 ? dense_load(data, i * bits, (uint8_t)bits) : data[i]);
}

static void check_type(void **state, ingot_dtype dtype)
{
    uint8_t data[N_ELEMENTS * 8];
    char header[256];
    ingot_error error = {0};
    struct convert_result result;
    struct restore_result restored;
    const uint64_t n_data = ingot_raw_bytes(dtype, N_ELEMENTS);
    char *source = scratch_path(state, "typed.safetensors");
    char *container = scratch_path(state, "typed.ingot");
    char *back = scratch_path(state, "typed-back.safetensors");
    char *part = scratch_path(state, "typed.part");
    const struct extract_options options = {part, true, NULL};
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 77 + 19);
    snprintf(header, sizeof header,
             "{\"t\":{\"dtype\":\"%s\",\"shape\":[3,8],\"data_offsets\":[0,%u]}}",
             safetensors_dtype_name(dtype), (unsigned)n_data);
    safetensors_write(source, header, data, n_data);
    assert_ok(convert_path(source, container, NULL, &result, &error), &error);
    assert_true(result.restorable);
    ingot_file *file = open_valid(container);
    assert_ok(restore_model(file, back, true, 0, NULL, &restored, &error), &error);
    ingot_file_close(file);
    assert_same_file(source, back);

    const char *const paths[] = {source, container};
    for (size_t i = 0; i < 2; i++) {
        struct model *model;
        struct model_tensor t;
        uint64_t n_bytes;
        size_t n_read;
        assert_ok(model_open(&paths[i], 1, NULL, &model, &error), &error);
        model_tensor(model, 0, &t);
        assert_ok(extract_raw(model, 0, &options, &n_bytes, &error), &error);
        uint8_t *bytes = file_read(part, &n_read);
        assert_int_equal(n_read, n_data);
        assert_int_equal(n_bytes, n_data);
        assert_memory_equal(bytes, data, n_data);
        free(bytes);
        assert_ok(extract_npy(model, 0, &options, &n_bytes, &error), &error);
        bytes = file_read(part, &n_read);
        const size_t n_header = 10u + load_u16(bytes + 8);
        const bool as_is = npy_descr(dtype) != NULL;
        assert_int_equal(extract_npy_dtype(&t), as_is ? dtype : INGOT_F32);
        assert_int_equal(n_read, n_header + (as_is ? n_data : N_ELEMENTS * 4));
        if (as_is) {
            assert_memory_equal(bytes + n_header, data, n_data);
        } else if (ingot_dtype_bits(dtype) <= 8) {
            for (uint64_t k = 0; k < N_ELEMENTS; k++) {
                const float wanted = value_of(dtype, data, k);
                const float found = load_f32(bytes + n_header + 4 * k);
                assert_true(found == wanted || (found != found && wanted != wanted));
            }
        }
        free(bytes);
        model_close(model);
    }
    free(part);
    free(back);
    free(container);
    free(source);
}

static void test_every_type(void **state)
{
    for (uint32_t dtype = 1; dtype < 32; dtype++) {
        if (safetensors_dtype_name((ingot_dtype)dtype) == NULL) continue;
        check_type(state, (ingot_dtype)dtype);
    }
}

/* Rows of a narrow type that begin within a byte, from any row on. */
static void test_narrow_rows(void **state)
{
    uint8_t data[21];
    float all[28], some[28];
    struct model *model;
    ingot_error error = {0};
    char *path = scratch_path(state, "narrow.safetensors");
    const char *source = path;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 91 + 7);
    safetensors_write(path,
                      "{\"t\":{\"dtype\":\"F6_E2M3\",\"shape\":[4,7],\"data_offsets\":[0,21]}}",
                      data, sizeof data);
    assert_ok(model_open(&source, 1, NULL, &model, &error), &error);
    assert_ok(model_decode_f32(model, 0, 0, 4, all, &error), &error);
    for (uint64_t i = 0; i < 28; i++) {
        assert_true(all[i] == value_of(INGOT_F6_E2M3, data, i));
    }
    for (uint64_t row = 0; row < 4; row++) {
        assert_ok(model_decode_f32(model, 0, row, 1, some, &error), &error);
        assert_memory_equal(some, all + row * 7, 7 * sizeof *some);
    }
    model_close(model);
    free(path);
}

static void test_encoded(void **state)
{
    float values[512];
    struct convert_result result;
    struct model *model;
    ingot_error error = {0};
    uint64_t n_bytes;
    size_t n_read;
    char *source = scratch_path(state, "w.safetensors");
    char *coded = scratch_path(state, "w.ingot");
    char *part = scratch_path(state, "w.npy");
    const struct extract_options options = {part, true, NULL};
    const struct extract_options careful = {part, false, NULL};
    for (size_t i = 0; i < 512; i++) values[i] = (float)i - 256;
    write_matrix(source, 8, 64, values);
    assert_ok(convert_path(source, coded, "int8", &result, &error), &error);
    const char *path = coded;
    assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
    assert_int_equal(extract_raw(model, 0, &options, &n_bytes, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "int8"));
    assert_false(exists(part));
    assert_ok(extract_npy(model, 0, &options, &n_bytes, &error), &error);
    uint8_t *bytes = file_read(part, &n_read);
    assert_ok(model_decode_f32(model, 0, 0, 8, values, &error), &error);
    assert_memory_equal(bytes + (n_read - sizeof values), values, sizeof values);
    free(bytes);
    assert_int_equal(extract_npy(model, 0, &careful, &n_bytes, &error), INGOT_EXISTS);
    model_close(model);
    free(part);
    free(coded);
    free(source);
}

/* Blocks of TQ1_0 without sense: hardly one comes back from its digits, so that they are held as
 * bytes; which are read as blocks all the same. */
static void test_opaque_blocks(void **state)
{
    enum { TQ1_0 = 34, N_BYTES = 64 * 54, N_WEIGHTS = 64 * 256 };
    static const uint64_t ne[2] = {1024, 16};
    struct gguf_maker m;
    struct convert_result result;
    ingot_error error = {0};
    uint64_t n_bytes;
    size_t n_read;
    char *source = scratch_path(state, "t.gguf");
    char *held = scratch_path(state, "t.ingot");
    char *part = scratch_path(state, "t.bin");
    const struct extract_options options = {part, true, NULL};
    make_gguf(&m, 3, false, 1, 0);
    make_tensor(&m, "t", 2, ne, TQ1_0, 0);
    make_aligned(&m, 32);
    const uint64_t data = m.bytes.n_bytes;
    make_data(&m, 5, N_BYTES);
    file_write(source, m.bytes.data, m.bytes.n_bytes);
    assert_ok(convert_path(source, held, NULL, &result, &error), &error);
    for (int i = 0; i < 2; i++) {
        const char *path = i ? held : source;
        struct model_tensor t;
        struct model *model;
        float *ours = calloc(N_WEIGHTS, sizeof *ours);
        assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
        model_tensor(model, 0, &t);
        assert_string_equal(t.foreign.name, "ggml:TQ1_0");
        assert_ok(extract_raw(model, 0, &options, &n_bytes, &error), &error);
        uint8_t *bytes = file_read(part, &n_read);
        assert_int_equal(n_read, N_BYTES);
        assert_memory_equal(bytes, m.bytes.data + data, N_BYTES);
        free(bytes);
        assert_ok(extract_npy(model, 0, &options, &n_bytes, &error), &error);
        bytes = file_read(part, &n_read);
        assert_ok(blocks_decode(TQ1_0, m.bytes.data + data, 16, 1024, ours, &error), &error);
        assert_memory_equal(bytes + n_read - N_WEIGHTS * 4, ours, N_WEIGHTS * 4);
        free(bytes);
        free(ours);
        model_close(model);
    }
    make_end(&m);
    free(part);
    free(held);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy_header),    cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_narrow_rows),   cmocka_unit_test(test_encoded),
        cmocka_unit_test(test_opaque_blocks),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

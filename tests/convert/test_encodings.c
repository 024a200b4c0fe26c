/* What holds for all encodings: the sums that presets make, what they refuse, what is told of them,
 * and that the same comes of the same. */
#include "tests/convert/trips.h"

#include <math.h>

#include "convert/encoding.h"

/* ------------------------------------------------------------------ sums */

static double sum_noise(void **state, const char *encode, const float *w)
{
    struct trip t = trip_of(state, encode, 96, 160, w);
    const double noise = noise_of(w, t.values, t.n);
    trip_end(&t);
    return noise;
}

static void test_sums(void **state)
{
    float *w = random_values(10, 96 * 160);
    const double int4 = sum_noise(state, "int4", w);
    const double int8 = sum_noise(state, "int8", w);
    const double sparse = sum_noise(state, "sparse50", w);
    assert_true(int8 < int4 && int4 < sparse);
    assert_true(sum_noise(state, "int4+lowrank16", w) < 0.9 * int4);
    assert_true(sum_noise(state, "int4+sparse50", w) < 0.3 * int4);
    assert_true(sum_noise(state, "sparse50+int8", w) < int8);
    assert_true(sum_noise(state, "int4+int4", w) < 0.01 * int4);
    assert_true(sum_noise(state, "int4+f32", w) < 1e-9 * int4);
    assert_true(sum_noise(state, "int4+sparse50+lowrank16", w) <
                sum_noise(state, "int4+sparse50", w));
    free(w);
}

/* Residuals whole and by slabs are the same: int4 is first in both, and the rest is int8's. */
static void test_slabs_equal_whole(void **state)
{
    float *w = random_values(11, 64 * 100);
    struct trip slabs = trip_of(state, "int4+int8", 64, 100, w);
    struct trip whole = trip_of(state, "int4+int8+sparse50", 64, 100, w);
    struct file_term a, b;
    uint8_t bytes_a[6400], bytes_b[6400];
    for (uint32_t k = 0; k < 2; k++) {
        ingot_file_term(slabs.file, 0, k, &a);
        ingot_file_term(whole.file, 0, k, &b);
        const uint64_t n = ingot_file_stream_bytes(slabs.file, a.first_stream);
        assert_int_equal(n, ingot_file_stream_bytes(whole.file, b.first_stream));
        assert_int_equal(ingot_file_read_stream(slabs.file, a.first_stream, 0, n, bytes_a, NULL),
                         INGOT_OK);
        assert_int_equal(ingot_file_read_stream(whole.file, b.first_stream, 0, n, bytes_b, NULL),
                         INGOT_OK);
        assert_memory_equal(bytes_a, bytes_b, n);
    }
    trip_end(&whole);
    trip_end(&slabs);
    free(w);
}

/* Rows of all kinds of lengths, in tensors of several slabs: what is written decodes as well as
 * what one slab holds, row for row. */
static void test_slab_borders(void **state)
{
    static const char *const encodings[] = {"int4", "int8",     "f16",   "int4+int8", "q3_k",
                                            "q4_k", "int5-g24", "mxfp6", "q4_1"};
    enum { ROWS = 3000 };
    for (uint64_t n_cols = 1001; n_cols <= 1009; n_cols += 4) {
        float *w = random_values(n_cols, ROWS * n_cols);
        for (size_t k = 0; k < sizeof encodings / sizeof *encodings; k++) {
            struct trip all = trip_of(state, encodings[k], ROWS, n_cols, w);
            struct trip tail = trip_of(state, encodings[k], 9, n_cols, w + (ROWS - 9) * n_cols);
            assert_memory_equal(all.values + (ROWS - 9) * n_cols, tail.values,
                                9 * n_cols * sizeof(float));
            trip_end(&tail);
            trip_end(&all);
        }
        free(w);
    }
}

/* Ranks 0 to 4, stacks of experts, nothing at all: one file, every kind of preset. What is no
 * matrix of 256 weights is kept. */
static void test_ranks(void **state)
{
    static const char *const encodings[] = {"int4",    "q4_k",      "nvfp4",      "nf4-bnb",
                                            "code3",   "fp8-b128",  "columns2",   "outliers2+int4",
                                            "int5-g7", "lowrank16", "int8-tensor"};
    static const char header[] =
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[300],\"data_offsets\":[4,1204]},"
        "\"c\":{\"dtype\":\"F32\",\"shape\":[0,64],\"data_offsets\":[1204,1204]},"
        "\"d\":{\"dtype\":\"F32\",\"shape\":[64,0],\"data_offsets\":[1204,1204]},"
        "\"e\":{\"dtype\":\"F32\",\"shape\":[100,3],\"data_offsets\":[1204,2404]},"
        "\"f\":{\"dtype\":\"F32\",\"shape\":[3,20,33],\"data_offsets\":[2404,10324]},"
        "\"g\":{\"dtype\":\"F32\",\"shape\":[2,5,7,9],\"data_offsets\":[10324,12844]},"
        "\"h\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[12844,12848]}}";
    float *w = random_values(15, 3212);
    char *source = scratch_path(state, "ranks.safetensors");
    char *target = scratch_path(state, "ranks.ingot");
    safetensors_write(source, header, w, 12848);
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        static const uint64_t begins[] = {0, 1, 301, 301, 301, 601, 2581, 3211, 3212};
        struct convert_result result;
        ingot_error error = {0};
        assert_ok(convert_path(source, target, encodings[i], &result, &error), &error);
        assert_int_equal(result.n_encoded, 3);
        ingot_file *file = open_valid(target);
        for (uint32_t t = 0; t < 8; t++) {
            float values[2000];
            const uint64_t n = begins[t + 1] - begins[t];
            ingot_tensor described;
            ingot_file_tensor(file, t, &described);
            const uint64_t n_rows = described.n_matrices * described.n_rows;
            assert_int_equal(n_rows * described.n_cols, n);
            assert_ok(ingot_file_decode_f32(file, t, 0, n_rows, values, &error), &error);
            const double noise = noise_of(w + begins[t], values, n);
            if (t < 4 || t == 7) assert_true(noise == 0);
            assert_true(noise < 1e4);
        }
        ingot_file_close(file);
    }
    free(target);
    free(source);
    free(w);
}

/* ------------------------------------------------------------------ what all presets share */

static void test_not_finite(void **state)
{
    static const char *const encodings[] = {"int8", "int4",  "lowrank16", "int4+lowrank16", "code4",
                                            "q4_k", "nvfp4", "fp8-b128",  "columns1"};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        for (size_t k = 0; k < 3; k++) {
            ingot_error error = {0};
            float *w = random_values(12, 512);
            w[300] = bad[k];
            assert_int_equal(try_matrix(state, encodings[i], 16, 32, w, &error), INGOT_REFUSED);
            assert_string_equal(error.field, "w");
            assert_non_null(strstr(error.what, "element 300 "));
            free(w);
        }
    }
}

/* The same bytes from one thread and from several, and a second time. */
static void test_deterministic(void **state)
{
    static const char *const encodings[] = {
        "int4",  "int8+int4", "sparse50", "lowrank16",      "int4+lowrank16+sparse50", "q4_k",
        "code4", "nvfp4",     "nf4-bnb",  "outliers1+int4", "columns1+int8",           "fp8-b128"};
    static const uint32_t n_threads[] = {1, 1, 4};
    float *w = random_values(13, 400 * 300);
    char *source = scratch_path(state, "w.safetensors");
    char *first = scratch_path(state, "1.ingot");
    char *other = scratch_path(state, "2.ingot");
    write_matrix(source, 400, 300, w);
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        for (size_t k = 0; k < sizeof n_threads / sizeof *n_threads; k++) {
            const struct convert_options options = {
                .encode = encodings[i], .replace = true, .n_threads = n_threads[k]};
            struct convert_result result;
            struct model *model;
            ingot_error error = {0};
            const char *path = source;
            assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
            assert_ok(convert_model(model, k ? other : first, &options, &result, &error), &error);
            model_close(model);
            if (k) assert_same_file(first, other);
        }
    }
    free(other);
    free(first);
    free(source);
    free(w);
}

struct heard {
    const struct model_tensor *tensor;
    char encoding[96];
    uint64_t coded_bytes;
    struct tensor_error error;
};

static void hear(void *context, const struct model_tensor *tensor, const char *encoding,
                 uint64_t coded_bytes, const struct tensor_error *error)
{
    struct heard *heard = context;
    (void)tensor;
    snprintf(heard->encoding, sizeof heard->encoding, "%s", encoding);
    heard->coded_bytes = coded_bytes;
    if (error) heard->error = *error;
}

/* What tensor_done hears is what the file says, and the error is that of the decoded file. */
static void test_told(void **state)
{
    static const char *const encodings[] = {
        "int4",    "int8+int4",      "bf16",  "sparse50+int8", "q2_k",           "iq4_xs",
        "nf4-bnb", "int4+lowrank16", "code3", "nvfp4",         "nf4+int2-affine"};
    float *w = random_values(14, 50 * 70);
    char *source = scratch_path(state, "w.safetensors");
    char *target = scratch_path(state, "w.ingot");
    write_matrix(source, 50, 70, w);
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        struct heard heard = {0};
        const struct convert_options options = {
            .encode = encodings[i], .replace = true, .context = &heard, .tensor_done = hear};
        struct convert_result result;
        ingot_error error = {0};
        struct model *model, *encoded;
        struct tensor_error measured;
        ingot_tensor described;
        const char *paths[] = {source, target};
        assert_ok(model_open(&paths[0], 1, NULL, &model, &error), &error);
        assert_ok(convert_model(model, target, &options, &result, &error), &error);
        assert_ok(model_open(&paths[1], 1, NULL, &encoded, &error), &error);
        ingot_file_tensor(model_container(encoded), 0, &described);
        assert_string_equal(heard.encoding, described.encoding);
        assert_int_equal(heard.coded_bytes, described.coded_bytes);
        assert_ok(compare_tensors(model, 0, encoded, 0, NULL, &measured, &error), &error);
        assert_true(heard.error.noise == measured.noise);
        assert_true(heard.error.sqnr_db == measured.sqnr_db);
        assert_true(heard.error.max_error == measured.max_error);
        assert_int_equal(heard.error.n_different, measured.n_different);
        model_close(encoded);
        model_close(model);
    }
    free(target);
    free(source);
    free(w);
}

static void test_what_is_encoded(void **state)
{
    (void)state;
    static const struct {
        const char *encoding;
        ingot_dtype dtype;
        uint32_t rank;
        uint64_t n_rows, n_cols;
        bool raw;
        bool applies;
    } rows[] = {
        {"int4", INGOT_BF16, 2, 16, 16, true, true},
        {"int4", INGOT_BF16, 2, 16, 15, true, false},
        {"int4", INGOT_BF16, 1, 1, 4096, true, false},
        {"int4", INGOT_I8, 2, 64, 64, true, false},
        {"int4", INGOT_F8_E4M3, 2, 64, 64, true, false},
        {"int4", INGOT_F64, 3, 64, 64, true, true},
        {"int4", INGOT_F32, 2, 64, 64, false, true},
        {"bf16", INGOT_F32, 1, 1, 5, true, true},
        {"bf16", INGOT_BF16, 2, 64, 64, true, false},
        {"bf16", INGOT_BF16, 2, 64, 64, false, true},
        {"bf16", INGOT_I32, 2, 64, 64, true, false},
        {"bf16+int4", INGOT_BF16, 2, 64, 64, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct encoding encoding;
        const struct model_tensor tensor = {.dtype = rows[i].dtype,
                                            .rank = rows[i].rank,
                                            .n_rows = rows[i].n_rows,
                                            .n_cols = rows[i].n_cols,
                                            .raw = rows[i].raw};
        assert_int_equal(encoding_parse(rows[i].encoding, &encoding, NULL), INGOT_OK);
        assert_int_equal(encoding_applies(&encoding, &tensor), rows[i].applies);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "int7",
                                      "int4+",
                                      "+int4",
                                      "int4++int8",
                                      "INT4",
                                      "int4 ",
                                      "int4-",
                                      "int4--row",
                                      "int4-g0",
                                      "int4-g",
                                      "int4-g064",
                                      "int4-g99999",
                                      "int4-rows",
                                      "f16-g32",
                                      "sparse50-row",
                                      "ternary-sym",
                                      "g32-int4",
                                      "int4+int4+int4+int4+int4+int4+int4+int4+int4",
                                      "int4-g32-g32-g32-g32-g32-g32-g32-g32"};
    struct encoding encoding;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ingot_error error = {0};
        assert_int_equal(encoding_parse(bad[i], &encoding, &error), INGOT_UNSUPPORTED);
        assert_string_equal(error.field, "encoding");
    }
    const struct preset *preset;
    for (uint32_t i = 0; (preset = preset_at(i)) != NULL; i++) {
        assert_int_equal(encoding_parse(preset_name(preset), &encoding, NULL), INGOT_OK);
        assert_string_equal(encoding.presets[0].name, preset_name(preset));
        assert_true(strlen(preset_help(preset)) > 0);
    }
    assert_null(preset_at(1000));
}

static void test_bits_per_weight(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double bits;
    } rows[] = {
        {"f32", 32},
        {"f16", 16},
        {"bf16", 16},
        {"int8", 8 + 32.0 / 4096},
        {"int4", 4.5},
        {"int4-g64-affine", 4.5},
        {"int3-g128-f32", 3.25},
        {"int2-row", 2 + 16.0 / 4096},
        {"sparse50", 9 + 32.0 / 4096 + 32.0 / (4096.0 * 4096)},
        {"lowrank16", 2 * 16 * 16 / 4096.0},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct preset preset;
        assert_true(preset_parse(rows[i].name, strlen(rows[i].name), &preset));
        assert_true(preset_bits_per_weight(&preset, 4096, 4096) == rows[i].bits);
    }
    assert_null(preset_at(1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),         cmocka_unit_test(test_slabs_equal_whole),
        cmocka_unit_test(test_slab_borders), cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_not_finite),   cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_told),         cmocka_unit_test(test_what_is_encoded),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_bits_per_weight),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

/* Quantized tensors that are several plain ones: their values are those of fixtures/dialects, which
 * were computed apart from this project's code; and every byte comes back. Run in the top folder.
 */
#include "tests/convert/checkpoint.h"
#include "tests/convert/trips.h"

#include "convert/composite.h"
#include "convert/names.h"

static const char *const fixtures[] = {"bitsandbytes", "mxfp4"};
enum { N_FIXTURES = sizeof fixtures / sizeof *fixtures, MAX_TENSORS = 64 };

static uint8_t *read_fixture(const char *name, const char *suffix, size_t *n_bytes)
{
    char path[128];
    snprintf(path, sizeof path, "fixtures/dialects/%s.%s", name, suffix);
    return file_read(path, n_bytes);
}

static struct model *open_model(const char *path, enum dialect_assumed dialect)
{
    const struct assumptions assumptions = {dialect};
    struct model *model;
    ingot_error error = {0};
    assert_ok(model_open_assuming(&path, 1, &assumptions, NULL, &model, &error), &error);
    return model;
}

/* The values of all tensors in the order of names, in steps of step rows. */
static void assert_values(const struct model *model, const char *fixture, uint64_t step)
{
    size_t n_bytes, at = 0;
    uint8_t *expected = read_fixture(fixture, "values", &n_bytes);
    struct name_ref names[MAX_TENSORS];
    const uint32_t n = model_n_tensors(model);
    assert_true(n < MAX_TENSORS);
    for (uint32_t i = 0; i < n; i++) {
        struct model_tensor t;
        model_tensor(model, i, &t);
        names[i] = (struct name_ref){t.name, t.name_bytes, i};
    }
    names_sort(names, n);
    for (uint32_t i = 0; i < n; i++) {
        struct model_tensor t;
        ingot_error error = {0};
        model_tensor(model, names[i].index, &t);
        float *values = calloc(t.n_rows * t.n_cols, sizeof *values);
        for (uint64_t row = 0; row < t.n_rows; row += step) {
            const uint64_t n_rows = min_u64(step, t.n_rows - row);
            assert_ok(model_decode_f32(model, names[i].index, row, n_rows, values + row * t.n_cols,
                                       &error),
                      &error);
        }
        for (uint64_t k = 0; k < t.n_rows * t.n_cols; k++, at += 4) {
            const uint32_t bits = values[k] == values[k] ? f32_bits(values[k]) : 0x7fc00000;
            assert_true(at + 4 <= n_bytes);
            if (bits == load_u32(expected + at)) continue;
            fail_msg("%.*s: element %llu is %a", (int)t.name_bytes, t.name, (unsigned long long)k,
                     (double)values[k]);
        }
        free(values);
    }
    assert_int_equal(at, n_bytes);
    free(expected);
}

/* Converts a model to a container and back; returns the container, which is valid. */
static ingot_file *restored(void **state, const struct model *model, const char *source)
{
    const struct convert_options options = {.compression = INGOT_COMPRESS_FAST, .replace = true};
    struct convert_result result;
    struct restore_result back;
    ingot_error error = {0};
    char *target = scratch_path(state, "held.ingot");
    char *again = scratch_path(state, "again.safetensors");
    assert_ok(convert_model(model, target, &options, &result, &error), &error);
    assert_true(result.restorable);
    ingot_file *file = open_valid(target);
    assert_ok(restore_model(file, again, true, 0, NULL, &back, &error), &error);
    assert_same_file(again, source);
    free(again);
    free(target);
    return file;
}

static void test_values(void **state)
{
    for (uint32_t i = 0; i < N_FIXTURES; i++) {
        char path[128];
        snprintf(path, sizeof path, "fixtures/dialects/%s.safetensors", fixtures[i]);
        struct model *model = open_model(path, DIALECT_UNSAID);
        assert_int_equal(model_n_notes(model), 0);
        assert_values(model, fixtures[i], 1);
        assert_values(model, fixtures[i], 3);
        assert_values(model, fixtures[i], 1000);
        ingot_file_close(restored(state, model, path));
        model_close(model);
        char *target = scratch_path(state, "held.ingot");
        model = open_model(target, DIALECT_UNSAID);
        assert_values(model, fixtures[i], 7);
        model_close(model);
        free(target);
    }
}

/* No tensor of them is raw bytes of a code. */
static void test_held(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_FIXTURES; i++) {
        char path[128];
        snprintf(path, sizeof path, "fixtures/dialects/%s.safetensors", fixtures[i]);
        struct model *model = open_model(path, DIALECT_UNSAID);
        uint32_t n_composites = 0;
        for (uint32_t k = 0; k < model_n_tensors(model); k++) {
            struct model_tensor t;
            model_tensor(model, k, &t);
            assert_int_equal(t.raw, model_composite(model, k) == NULL);
            n_composites += !t.raw;
        }
        assert_int_equal(n_composites, model_n_tensors(model) - 1);
        model_close(model);
        model = open_model(path, DIALECT_PLAIN);
        for (uint32_t k = 0; k < model_n_tensors(model); k++) {
            struct model_tensor t;
            model_tensor(model, k, &t);
            assert_true(t.raw);
        }
        model_close(model);
    }
}

/* What does not fit stays apart, with a note that says why, and comes back too. The texts are as
 * long as what they replace. */
static void test_left_apart(void **state)
{
    static const struct {
        uint32_t fixture;
        const char *from, *to;
        const char *told; /* NULL: nothing looks like the dialect any more */
    } rows[] = {
        {0, "\"odd.weight.absmax\"", "\"odd.weight.absmex\"", "absmax are not there"},
        {0, "\"odd.weight\"", "\"Odd.weight\"", "codes are not there"},
        {0, "bitsandbytes__fp4\"", "bitsandbytes__fp5\"", NULL},
        {0, "{\"quant_type\": \"nf4\", \"blocksize\": 64",
         "{\"quant_type\": \"nf4\", \"blocksize\": 16", "absmax"},
        {0, "\"shape\": [5, 13]", "\"shape\": [0, 13]", "shape"},
        {0, "\"shape\": [5, 13]", "\"shape\": [5, 15]", "codes"},
        {0, "\"dtype\": \"float32\"", "\"dtype\": \"float64\"", "dtype"},
        {0, "\"nested_offset\": 0.125", "\"nested_offset\": 1e999", "quant_state"},
        {0, "\"nested_offset\": 0.125", "\"nested_offset\": \"125\"", "offset"},
        {0, "\"nested_offset\": 0.125}", "\"nested_offset\": 0.125]", "quant_state"},
        {1, "\"shape\":[3,8,3]", "\"shape\":[3,4,6]", "blocks are to be"},
        {1, "matrix.scales", "matrix.scalez", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n_bytes;
        char *path = scratch_path(state, "changed.safetensors");
        uint8_t *bytes = read_fixture(fixtures[rows[i].fixture], "safetensors", &n_bytes);
        const size_t n = strlen(rows[i].from);
        uint8_t *at = memmem(bytes, n_bytes, rows[i].from, n);
        assert_int_equal(n, strlen(rows[i].to));
        if (at == NULL) fail_msg("no %s", rows[i].from);
        memcpy(at, rows[i].to, n);
        file_write(path, bytes, n_bytes);
        free(bytes);
        struct model *model = open_model(path, DIALECT_UNSAID);
        bool told = false;
        for (uint32_t k = 0; k < model_n_notes(model); k++) {
            if (rows[i].told && strstr(model_note(model, k), rows[i].told)) told = true;
        }
        if (told != (rows[i].told != NULL)) {
            fail_msg("%s: %s", rows[i].to, model_n_notes(model) ? model_note(model, 0) : "no note");
        }
        ingot_file_close(restored(state, model, path));
        model_close(model);
        free(path);
    }
}

/* ------------------------------------------------------------------ out */

static ingot_status export_as(const char *source, const char *target, const char *dialect,
                              ingot_error *error)
{
    const struct convert_options options = {
        .dialect = dialect, .compression = INGOT_COMPRESS_FAST, .replace = true};
    struct convert_result result;
    struct model *model = open_model(source, DIALECT_UNSAID);
    const ingot_status status = convert_model(model, target, &options, &result, error);
    model_close(model);
    return status;
}

/* That every tensor of one file is in the other with the same type and bytes; texts differ. */
static void assert_same_tensors(const char *path_a, const char *path_b)
{
    struct model *a = open_model(path_a, DIALECT_PLAIN), *b = open_model(path_b, DIALECT_PLAIN);
    assert_int_equal(model_n_tensors(a), model_n_tensors(b));
    for (uint32_t i = 0; i < model_n_tensors(a); i++) {
        struct model_tensor t, u;
        uint32_t index;
        ingot_error error = {0};
        uint8_t in_a[1 << 14], in_b[1 << 14];
        model_tensor(a, i, &t);
        if (memmem(t.name, t.name_bytes, ".quant_state.", 13)) continue;
        /* The one pair of other names, and bytes as u16. */
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)t.name_bytes, t.name);
        if (strncmp(name, "matrix.", 7) == 0) name[6] = '_';
        assert_ok(model_find(b, name, strlen(name), &index), &error);
        model_tensor(b, index, &u);
        assert_int_equal(t.stored_bytes, u.stored_bytes);
        if (strcmp(name, "stored.weight") != 0) {
            assert_int_equal(t.dtype, u.dtype);
            assert_int_equal(t.rank, u.rank);
            assert_memory_equal(t.dims, u.dims, sizeof t.dims);
        }
        assert_true(t.stored_bytes <= sizeof in_a);
        assert_ok(model_read_raw(a, i, 0, t.stored_bytes, in_a, &error), &error);
        assert_ok(model_read_raw(b, index, 0, t.stored_bytes, in_b, &error), &error);
        if (strcmp(name, "odd.weight") == 0) in_a[t.stored_bytes - 1] &= 0xf0;
        assert_memory_equal(in_a, in_b, t.stored_bytes);
    }
    model_close(b);
    model_close(a);
}

static void test_exported(void **state)
{
    for (uint32_t i = 0; i < N_FIXTURES; i++) {
        char path[128];
        ingot_error error = {0};
        snprintf(path, sizeof path, "fixtures/dialects/%s.safetensors", fixtures[i]);
        char *held = scratch_path(state, "held.ingot");
        char *target = scratch_path(state, "target.safetensors");
        char *copy = scratch_path(state, "copy.safetensors");
        struct model *model = open_model(path, DIALECT_UNSAID);
        ingot_file_close(restored(state, model, path));
        model_close(model);
        assert_ok(export_as(held, target, fixtures[i], &error), &error);
        assert_same_tensors(path, target);
        model = open_model(target, DIALECT_UNSAID);
        assert_values(model, fixtures[i], 1000);
        model_close(model);
        /* From safetensors to safetensors they stay what they are. */
        assert_ok(export_as(path, copy, NULL, &error), &error);
        model = open_model(copy, DIALECT_UNSAID);
        assert_values(model, fixtures[i], 1000);
        model_close(model);
        free(copy);
        free(target);
        free(held);
    }
}

/* Presets that a dialect can hold, and what is refused. */
static void test_presets(void **state)
{
    static const struct {
        const char *encode, *dialect;
        ingot_status status;
    } rows[] = {
        {"nf4", "bitsandbytes", INGOT_OK},
        {"nf4-bnb", "bitsandbytes", INGOT_OK},
        {"nf4-g32-bf16", "bitsandbytes", INGOT_OK},
        {"fp4-f32", "bitsandbytes", INGOT_OK},
        {"mxfp4", "mxfp4", INGOT_OK},
        {"mxfp4_gguf", "mxfp4", INGOT_OK},
        {"nf4-g16", "bitsandbytes", INGOT_REFUSED},
        {"nf4-g64-nested8", "bitsandbytes", INGOT_REFUSED},
        {"code4", "bitsandbytes", INGOT_REFUSED},
        {"int4", "bitsandbytes", INGOT_REFUSED},
        {"mxfp4", "bitsandbytes", INGOT_REFUSED},
        {"nvfp4", "mxfp4", INGOT_REFUSED},
        {"mxfp8", "mxfp4", INGOT_REFUSED},
        {"mxfp4-g16", "mxfp4", INGOT_REFUSED},
        {"nf4", "mxfp4", INGOT_REFUSED},
        {"nf4", NULL, INGOT_REFUSED},
        {"nf4", "awq", INGOT_UNSUPPORTED},
        {"nf4+lowrank2", "bitsandbytes", INGOT_REFUSED},
    };
    enum { ROWS = 24, COLS = 192 };
    float *values = random_values(3, ROWS * COLS);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ingot_error error = {0};
        char *path = scratch_path(state, "w.ingot");
        char *target = scratch_path(state, "w.out.safetensors");
        float *decoded = calloc(ROWS * COLS, sizeof *decoded);
        struct trip trip = trip_of(state, rows[i].encode, ROWS, COLS, values);
        const ingot_status status = export_as(path, target, rows[i].dialect, &error);
        if (status != rows[i].status) fail_msg("%s: %s", rows[i].encode, error.what);
        assert_int_equal(exists(target), status == INGOT_OK);
        if (status == INGOT_OK) {
            struct model *model = open_model(target, DIALECT_UNSAID);
            assert_int_equal(model_n_tensors(model), 1);
            assert_non_null(model_composite(model, 0));
            assert_ok(model_decode_f32(model, 0, 0, ROWS, decoded, &error), &error);
            for (uint32_t k = 0; k < ROWS * COLS; k++) {
                assert_true(decoded[k] == trip.values[k]);
            }
            model_close(model);
            remove(target);
        }
        trip_end(&trip);
        free(decoded);
        free(target);
        free(path);
    }
    free(values);
}

static void test_refused(void **state)
{
    ingot_error error = {0};
    char *held = scratch_path(state, "held.ingot");
    char *gguf = scratch_path(state, "x.gguf");
    char *target = scratch_path(state, "x.safetensors");
    struct model *model = open_model("fixtures/dialects/mxfp4.safetensors", DIALECT_UNSAID);
    ingot_file_close(restored(state, model, "fixtures/dialects/mxfp4.safetensors"));
    model_close(model);
    assert_int_equal(export_as(held, gguf, "mxfp4", &error), INGOT_REFUSED);
    /* A scale of 2^128 is a NaN of OCP, and no NaN of ggml: no block holds it. */
    assert_int_equal(export_as(held, gguf, NULL, &error), INGOT_REFUSED);
    /* Directly from the dialect: told to go by way of a container. */
    assert_int_equal(export_as("fixtures/dialects/mxfp4.safetensors", gguf, NULL, &error),
                     INGOT_REFUSED);
    assert_non_null(strstr(error.what, ".ingot"));
    assert_false(exists(gguf));
    free(target);
    free(gguf);
    free(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, scratch_begin, scratch_end),
        cmocka_unit_test(test_held),
        cmocka_unit_test_setup_teardown(test_left_apart, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_exported, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_presets, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_refused, scratch_begin, scratch_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

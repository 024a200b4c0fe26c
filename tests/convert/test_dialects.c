/* Quantized tensors that are several plain ones: their values are those of fixtures/dialects, which
 * were computed apart from this project's code; and every byte comes back. Run in the top folder.
 */
#include "tests/convert/conversions.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, scratch_begin, scratch_end),
        cmocka_unit_test(test_held),
        cmocka_unit_test_setup_teardown(test_left_apart, scratch_begin, scratch_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

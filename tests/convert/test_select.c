/* Patterns, parts of models, and plans: what is left out is really out, and what a plan says of a
 * conversion is what the conversion does. */
#include "tests/convert/checkpoint.h"
#include "tests/convert/conversions.h"

#include "convert/glob.h"
#include "convert/select.h"
#include "format/writer.h"

static void test_globs(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "a.b/c", true},
        {"**", "x", true},
        {"a*", "a", true},
        {"a*c", "abbc", true},
        {"a*c", "abbd", false},
        {"*.mlp.*", "model.layers.0.mlp.up.weight", true},
        {"*.mlp", "model.mlp.up", false},
        {"?", "", false},
        {"?", "a", true},
        {"?b", "ab", true},
        {"[ab]", "b", true},
        {"[ab]", "c", false},
        {"[a-c]x", "bx", true},
        {"[!a-c]x", "bx", false},
        {"[^a-c]x", "dx", true},
        {"[]a]", "]", true},
        {"[a-]", "-", true},
        {"[", "[", true},
        {"[a", "[a", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\?", "a", false},
        {"a\\", "a\\", true},
        {"layers.[0-3].*", "layers.2.w", true},
        {"layers.[0-3].*", "layers.4.w", false},
        {"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (glob_matches(rows[i].pattern, rows[i].name, strlen(rows[i].name)) != rows[i].matches) {
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].name);
        }
    }
    assert_true(glob_matches("a*b", "a\0b", 3));
    assert_false(glob_matches("a", "a\0", 2));
}

static ingot_status open_part(const char *path, const struct selection *selection,
                              struct model **model, ingot_error *error)
{
    struct model *all;
    ingot_status status = model_open(&path, 1, NULL, &all, error);
    if (status != INGOT_OK) return status;
    status = model_select(all, selection, NULL, model, error);
    if (status != INGOT_OK) model_close(all);
    return status;
}

#define LIST(list) (list), sizeof(list) / sizeof *(list)

static void test_selection(void **state)
{
    static const char *const only_b[] = {"b"};
    static const char *const files[] = {"*.json", "sub/*"};
    static const char *const nothing[] = {"a", "nope*"};
    static const char *const all[] = {"*"};
    char *root = make_checkpoint(state, "parts");
    struct model *model;
    ingot_error error = {0};
    uint32_t index;

    const struct selection b = {LIST(only_b), LIST(files)};
    assert_ok(open_part(root, &b, &model, &error), &error);
    assert_int_equal(model_n_tensors(model), 1);
    struct model_tensor t;
    model_tensor(model, 0, &t);
    assert_string_equal(t.name, "b");
    assert_int_equal(t.number, 1);
    uint8_t bytes[4];
    assert_ok(model_read_raw(model, 0, 0, 4, bytes, &error), &error);
    assert_memory_equal(bytes, "\1\2\3\4", 4);
    assert_int_equal(model_find(model, "b", 1, &index), INGOT_OK);
    assert_int_equal(index, 0);
    assert_int_equal(model_find(model, "a", 1, &index), INGOT_NOT_FOUND);
    assert_int_equal(model_n_attachments(model), 1);
    struct model_attachment a;
    model_attachment(model, 0, &a);
    assert_string_equal(a.name, ".hidden");
    assert_string_equal(model_format(model), "safetensors");
    const struct left_out left = model_left_out(model);
    assert_int_equal(left.n_tensors, 1);
    assert_int_equal(left.n_attachments, 3);
    assert_non_null(strstr(model_note(model, model_n_notes(model) - 1), "1 tensor and 3 attached"));
    model_close(model);

    const struct selection unused = {LIST(nothing), NULL, 0};
    assert_int_equal(open_part(root, &unused, &model, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "nope*"));

    /* All that there is: still the whole, and restorable. */
    const struct selection whole = {LIST(all), NULL, 0};
    struct convert_result result;
    char *target = scratch_path(state, "whole.ingot");
    const struct convert_options options = {.replace = true};
    assert_ok(open_part(root, &whole, &model, &error), &error);
    assert_ok(convert_model(model, target, &options, &result, &error), &error);
    assert_true(result.restorable);
    model_close(model);

    /* Nothing at all is a file without tensors. */
    const struct selection none = {NULL, 0, LIST(all)};
    assert_ok(open_part(root, &none, &model, &error), &error);
    assert_ok(convert_model(model, target, &options, &result, &error), &error);
    assert_int_equal(result.n_tensors, 0);
    assert_false(result.restorable);
    model_close(model);
    ingot_file_close(open_valid(target));
    free(target);
    free(root);
}

/* Of a container: terms are copied, other names of a tensor stay or become the tensor, the receipt
 * tells of what was kept. */
static void test_selection_of_container(void **state)
{
    static const char *const last[] = {"*3.mlp*", "model.norm*"};
    struct convert_result result;
    ingot_error error = {0};
    struct model *model, *of;
    char *coded = scratch_path(state, "coded.ingot");
    char *part = scratch_path(state, "part.ingot");
    assert_ok(convert_path("fixtures/shakespeare-3m", coded, "int4", &result, &error), &error);
    const struct selection selection = {LIST(last), NULL, 0};
    const struct convert_options options = {.replace = true};
    assert_ok(open_part(coded, &selection, &model, &error), &error);
    assert_ok(convert_model(model, part, &options, &result, &error), &error);
    assert_int_equal(result.n_tensors, 4);
    model_close(model);
    const char *paths[] = {coded, part};
    assert_ok(model_open(&paths[0], 1, NULL, &model, &error), &error);
    assert_ok(model_open(&paths[1], 1, NULL, &of, &error), &error);
    for (uint32_t i = 0; i < 4; i++) {
        struct model_tensor t;
        struct tensor_error e;
        uint32_t index;
        model_tensor(of, i, &t);
        assert_int_equal(model_find(model, t.name, t.name_bytes, &index), INGOT_OK);
        assert_ok(compare_tensors(model, index, of, i, NULL, &e, &error), &error);
        assert_int_equal(e.n_different, 0);
    }
    const ingot_file *file = model_container(of);
    const uint32_t receipt = ingot_file_find_blob(file, INGOT_BLOB_RECEIPT, "", 0);
    ingot_blob blob;
    ingot_file_blob(file, receipt, &blob);
    char *text = calloc(blob.n_bytes + 1, 1);
    assert_non_null(text);
    assert_ok(ingot_file_read_blob(file, receipt, 0, blob.n_bytes, text, &error), &error);
    assert_non_null(strstr(text, "sqnr_db"));
    assert_non_null(strstr(text, "left out"));
    free(text);
    model_close(of);
    model_close(model);
    free(part);
    free(coded);
}

static void test_aliases(void **state)
{
    static const float values[4] = {1, 2, 3, 4};
    static const uint64_t dims[2] = {2, 2};
    static const char *const first[] = {"first"};
    ingot_writer *writer;
    ingot_error error = {0};
    struct convert_result result;
    struct model *model;
    char *tied = scratch_path(state, "tied.ingot");
    char *part = scratch_path(state, "untied.ingot");
    assert_ok(ingot_writer_create(tied, true, INGOT_COMPRESS_NONE, NULL, &writer, &error), &error);
    assert_ok(ingot_writer_add(writer, "first", INGOT_F32, 2, dims, values, &error), &error);
    assert_ok(ingot_writer_alias(writer, "second", 6, 0, &error), &error);
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    const struct selection selection = {NULL, 0, LIST(first)};
    const struct convert_options options = {.replace = true};
    assert_ok(open_part(tied, &selection, &model, &error), &error);
    assert_int_equal(model_alias_of(model, 0), INGOT_NONE);
    assert_ok(convert_model(model, part, &options, &result, &error), &error);
    model_close(model);
    ingot_file *file = open_valid(part);
    float again[4];
    assert_int_equal(ingot_file_n_tensors(file), 1);
    assert_ok(ingot_file_decode_f32(file, 0, 0, 2, again, &error), &error);
    assert_memory_equal(again, values, sizeof values);
    ingot_file_close(file);
    const char *path = tied;
    assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
    assert_int_equal(model_alias_of(model, 1), 0);
    model_close(model);
    free(part);
    free(tied);
}

/* ------------------------------------------------------------------ plans */

struct told {
    uint64_t bytes[64];
    bool encoded[64];
    uint32_t n;
};

static void tell_planned(void *context, const struct model_tensor *tensor, const char *encoding,
                         uint64_t coded_bytes, bool encoded)
{
    struct told *told = context;
    (void)tensor;
    (void)encoding;
    assert_true(told->n < 64);
    told->bytes[told->n] = coded_bytes;
    told->encoded[told->n++] = encoded;
}

static void tell_done(void *context, const struct model_tensor *tensor, const char *encoding,
                      uint64_t coded_bytes, const struct tensor_error *error)
{
    tell_planned(context, tensor, encoding, coded_bytes, error != NULL);
}

static void test_plans(void **state)
{
    static const struct {
        const char *encode, *target;
    } rows[] = {
        {NULL, "p.ingot"},       {"int4", "p.ingot"},
        {"int8", "p.ingot"},     {"int4+lowrank16", "p.ingot"},
        {"sparse50", "p.ingot"}, {"f16", "p.ingot"},
        {NULL, "p.safetensors"}, {"f32", "p.safetensors"},
    };
    static const char source[] = "fixtures/shakespeare-3m";
    const char *path = source;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct told planned = {.n = 0};
        struct told done = {.n = 0};
        struct convert_plan plan = {.context = &planned, .tensor = tell_planned};
        struct convert_result result;
        struct model *model;
        ingot_error error = {0};
        char *target = scratch_path(state, rows[i].target);
        const struct convert_options options = {
            .encode = rows[i].encode, .replace = true, .context = &done, .tensor_done = tell_done};
        assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
        assert_ok(convert_plan(model, target, &options, &plan, &error), &error);
        assert_false(exists(target));
        assert_ok(convert_model(model, target, &options, &result, &error), &error);
        assert_memory_equal(&planned, &done, sizeof done);
        assert_int_equal(plan.n_encoded, result.n_encoded);
        assert_int_equal(plan.restorable, result.restorable);
        assert_int_equal(plan.n_attachments_lost, result.n_attachments_lost);
        assert_false(plan.at_most);
        assert_true(plan.tensor_bytes + plan.attachment_bytes < result.target_bytes);
        if (plan.target_bytes) assert_int_equal(plan.target_bytes, result.target_bytes);
        assert_int_equal(remove(target), 0);
        model_close(model);
        free(target);
    }
    struct model *model;
    ingot_error error = {0};
    struct convert_plan plan = {0};
    const struct convert_options options = {.encode = "int4"};
    assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
    assert_int_equal(convert_plan(model, "x.safetensors", &options, &plan, &error), INGOT_REFUSED);
    assert_int_equal(convert_plan(model, "x.unknown", &options, &plan, &error), INGOT_UNSUPPORTED);
    model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_selection_of_container),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_plans),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

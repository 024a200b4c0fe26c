/* What a dry run says of an .ingot file's size: within a percent of what is then written, whether
 * the whole model was its sample or some rows of each tensor. */
#include "tests/convert/conversions.h"

#include "convert/estimate.h"
#include "convert/thin.h"
#include "format/floats.h"
#include "tests/support/trial.h"

enum { N_TENSORS = 5 };
static const struct {
    const char *name;
    uint32_t rank;
    uint64_t dims[3];
} tensors[N_TENSORS] = {{"model.embed_tokens.weight", 2, {3000, 300}},
                        {"model.layers.0.mlp.down_proj.weight", 2, {700, 1024}},
                        {"model.layers.0.mlp.experts.w1", 3, {6, 500, 200}},
                        {"model.layers.0.norm.weight", 1, {1024}},
                        {"model.layers.0.few.weight", 2, {40, 70}}};

static uint64_t n_weights(uint32_t index)
{
    uint64_t n = 1;
    for (uint32_t k = 0; k < tensors[index].rank; k++) n *= tensors[index].dims[k];
    return n;
}

/* bf16, of rows of unlike sizes. */
static void write_source(const char *path)
{
    char header[1024] = "{";
    uint64_t n_bytes = 0, at = 0, seed = 3;
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        char shape[64] = "";
        for (uint32_t k = 0; k < tensors[i].rank; k++) {
            snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%u", k ? "," : "",
                     (unsigned)tensors[i].dims[k]);
        }
        snprintf(header + strlen(header), sizeof header - strlen(header),
                 "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%u,%u]}",
                 i ? "," : "", tensors[i].name, shape, (unsigned)n_bytes,
                 (unsigned)(n_bytes + 2 * n_weights(i)));
        n_bytes += 2 * n_weights(i);
    }
    strcat(header, "}");
    uint8_t *bytes = malloc(n_bytes);
    assert_non_null(bytes);
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        const uint64_t n_cols = tensors[i].dims[tensors[i].rank - 1];
        for (uint64_t k = 0; k < n_weights(i); k++, at += 2) {
            const float size = 0.01f * (float)(1 + k / n_cols * 7 % 5);
            store_u16(bytes + at, bf16_from_f32(size * trial_normal(&seed)));
        }
    }
    safetensors_write(path, header, bytes, n_bytes);
    free(bytes);
}

static struct convert_options options_of(const char *encode, ingot_compression compression)
{
    return (struct convert_options){.encode = encode, .compression = compression, .replace = true};
}

static void check(const char *source, const char *target, const struct convert_options *options)
{
    const char *encode = options->encode ? options->encode : "keep";
    struct convert_plan plan = {0};
    struct convert_result result;
    struct model *model;
    ingot_error error = {0};
    assert_ok(model_open(&source, 1, NULL, &model, &error), &error);
    assert_ok(convert_plan(model, target, options, &plan, &error), &error);
    assert_false(exists(target));
    assert_ok(convert_model(model, target, options, &result, &error), &error);
    const double off = (double)plan.expected_bytes / (double)result.target_bytes - 1;
    if (!(off > -0.01 && off < 0.01)) {
        fail_msg("%s, %s: %llu bytes were expected, %llu written", source, encode,
                 (unsigned long long)plan.expected_bytes, (unsigned long long)result.target_bytes);
    }
    if (plan.most_bytes) assert_true(result.target_bytes <= plan.most_bytes);
    model_close(model);
    assert_int_equal(remove(target), 0);
}

static void test_sizes(void **state)
{
    static const char *const encodings[] = {NULL,       "bf16",    "int4",           "q4_k",
                                            "nf4-bnb",  "code3",   "int4+lowrank16", "sparse50",
                                            "fp8-b128", "iq2_xxs", "outliers1+int3"};
    char *source = scratch_path(state, "large.safetensors");
    char *gguf = scratch_path(state, "large.gguf");
    char *blocks = scratch_path(state, "blocks.gguf");
    char *target = scratch_path(state, "sized.ingot");
    struct convert_result result;
    ingot_error error = {0};
    write_source(source);
    assert_ok(convert_path(source, gguf, NULL, &result, &error), &error);
    assert_ok(convert_path(source, blocks, "q8_0", &result, &error), &error);
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        for (int none = 0; none < 2; none++) {
            const struct convert_options options =
                options_of(encodings[i], none ? INGOT_COMPRESS_NONE : INGOT_COMPRESS_FAST);
            check(source, target, &options);
        }
    }
    const struct convert_options kept = options_of(NULL, INGOT_COMPRESS_FAST);
    const struct convert_options encoded = options_of("int5", INGOT_COMPRESS_FAST);
    check(gguf, target, &kept);
    check(gguf, target, &encoded);
    check(blocks, target, &kept);
    check(blocks, target, &encoded);
    free(target);
    free(blocks);
    free(gguf);
    free(source);
}

/* Codes of a container that are kept would be copied whole: of those nothing is expected. */
static void test_unknown(void **state)
{
    char *source = scratch_path(state, "large.safetensors");
    char *coded = scratch_path(state, "coded.ingot");
    char *target = scratch_path(state, "again.ingot");
    struct convert_options options = options_of(NULL, INGOT_COMPRESS_FAST);
    struct convert_plan plan = {0};
    struct convert_result result;
    struct model *model;
    ingot_error error = {0};
    const char *path = coded;
    write_source(source);
    assert_ok(convert_path(source, coded, "int4", &result, &error), &error);
    assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
    assert_ok(convert_plan(model, target, &options, &plan, &error), &error);
    assert_int_equal(plan.expected_bytes, 0);
    model_close(model);
    options.encode = "int3";
    check(coded, target, &options);
    free(target);
    free(coded);
    free(source);
}

/* Each row of the thin model is one of the whole, in order. */
static void test_thin(void **state)
{
    char *source = scratch_path(state, "large.safetensors");
    struct model *all, *thin;
    ingot_error error = {0};
    const char *path = source;
    write_source(source);
    assert_ok(model_open(&path, 1, NULL, &all, &error), &error);
    for (uint64_t most = 1; most < 1000000; most = most * 7 + 100) {
        assert_ok(model_thin(all, most, &thin, &error), &error);
        for (uint32_t i = 0; i < N_TENSORS; i++) {
            struct model_tensor t, whole;
            float row[1024], other[1024];
            uint8_t raw[2048];
            model_tensor(thin, i, &t);
            model_tensor(all, i, &whole);
            assert_int_equal(t.n_rows * t.n_cols * 2, t.stored_bytes);
            assert_true(t.n_cols == whole.n_cols && t.n_rows <= whole.n_rows);
            uint64_t at = 0;
            for (uint64_t r = 0; r < t.n_rows; r++, at++) {
                assert_ok(model_decode_f32(thin, i, r, 1, row, &error), &error);
                assert_ok(model_read_raw(thin, i, r * t.n_cols * 2, t.n_cols * 2, raw, &error),
                          &error);
                assert_true(f32_from_bf16(load_u16(raw)) == row[0]);
                do {
                    assert_true(at < whole.n_rows);
                    assert_ok(model_decode_f32(all, i, at, 1, other, &error), &error);
                } while (memcmp(row, other, t.n_cols * sizeof *row) != 0 && ++at);
            }
        }
        model_close(thin);
    }
    model_close(all);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thin),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

/* Conversions whose allocations fail one after the other, the n-th or all from the n-th on: each
 * says so, gives back what it took and leaves no file. For what goes through the caller's
 * allocator; tests/faults/test_memory.c does the same with the process's own. */
#include "tests/convert/trips.h"

#include "convert/presets.h"
#include "tests/support/failing_memory.h"

struct attempt {
    const char *source;
    const char *target;
    const char *encode;
    const char *gguf_type;
    uint64_t target_bytes;
    const char *imatrix;
};

static ingot_status attempt_convert(void *context, const ingot_allocator *allocator,
                                    ingot_error *error)
{
    const struct attempt *a = context;
    const struct convert_options options = {.encode = a->encode,
                                            .gguf_type = a->gguf_type,
                                            .target_bytes = a->target_bytes,
                                            .imatrix = a->imatrix,
                                            .compression = INGOT_COMPRESS_FAST,
                                            .n_threads = 2,
                                            .allocator = allocator};
    struct convert_result result;
    struct model *model = NULL;
    ingot_status status = model_open(&a->source, 1, allocator, &model, error);
    if (status != INGOT_OK) return status;
    status = convert_model(model, a->target, &options, &result, error);
    model_close(model);
    if (status == INGOT_OK) {
        assert_int_equal(remove(a->target), 0);
    } else {
        assert_false(exists(a->target));
    }
    return status;
}

static void write_source(const char *path)
{
    enum { ROWS = 6, COLS = 512 };
    float *w = random_values(3, ROWS * COLS);
    write_matrix(path, ROWS, COLS, w);
    free(w);
}

static void test_every_preset(void **state)
{
    static const char *const sums[] = {"int4-g64-affine-nested6", "fp8-b128", "int8-tensor",
                                       "outliers1+int4", "columns1+code3+lowrank4"};
    char *source = scratch_path(state, "w.safetensors");
    char *target = scratch_path(state, "w.ingot");
    const struct preset *preset;
    uint32_t i = 0;
    write_source(source);
    for (; (preset = preset_at(i)) != NULL; i++) {
        struct attempt a = {source, target, preset_name(preset), NULL, 0, NULL};
        assert_true(fail_every_allocation(attempt_convert, &a) > 20);
    }
    for (i = 0; i < sizeof sums / sizeof *sums; i++) {
        struct attempt a = {source, target, sums[i], NULL, 0, NULL};
        assert_true(fail_every_allocation(attempt_convert, &a) > 20);
    }
    free(target);
    free(source);
}

static ingot_status attempt_plan(void *context, const ingot_allocator *allocator,
                                 ingot_error *error)
{
    const struct attempt *a = context;
    const struct convert_options options = {
        .encode = a->encode, .n_threads = 1, .allocator = allocator};
    struct convert_plan plan = {0};
    struct model *model = NULL;
    ingot_status status = model_open(&a->source, 1, allocator, &model, error);
    if (status != INGOT_OK) return status;
    status = convert_plan(model, a->target, &options, &plan, error);
    model_close(model);
    assert_true(status != INGOT_OK || plan.expected_bytes > 0);
    return status;
}

/* Of a tensor that is its own sample, and of one that is not. */
static void test_dry_run(void **state)
{
    enum { ROWS = 5200, COLS = 64 };
    char *source = scratch_path(state, "large.safetensors");
    char *target = scratch_path(state, "w.ingot");
    float *w = random_values(4, ROWS * COLS);
    struct attempt kept = {source, target, NULL, NULL, 0, NULL};
    struct attempt encoded = {source, target, "q4_0", NULL, 0, NULL};
    for (int large = 0; large < 2; large++) {
        write_matrix(source, large ? ROWS : 8, COLS, w);
        assert_true(fail_every_allocation(attempt_plan, &kept) > 20);
        assert_true(fail_every_allocation(attempt_plan, &encoded) > 20);
    }
    free(w);
    free(target);
    free(source);
}

/* Blocks for llama.cpp, choices under a size, and importance. */
static void test_targets(void **state)
{
    char *source = scratch_path(state, "w.safetensors");
    char *gguf = scratch_path(state, "w.gguf");
    char *target = scratch_path(state, "w.ingot");
    char *imatrix = scratch_path(state, "w.dat");
    uint8_t entry[4 + 4 + 1 + 8 + 512 * 4] = {1, 0, 0, 0, 1, 0, 0, 0, 'w', 1, 0, 0, 0, 0, 2};
    for (int i = 0; i < 512; i++) store_f32(entry + 17 + 4 * i, (float)(1 + i % 9));
    write_source(source);
    file_write(imatrix, entry, sizeof entry);
    struct attempt attempts[] = {
        {source, gguf, NULL, "Q4_K_M", 0, NULL},   {source, gguf, NULL, "IQ2_S", 0, imatrix},
        {source, gguf, "q5_1", NULL, 0, imatrix},  {source, gguf, NULL, NULL, 2000, NULL},
        {source, target, NULL, NULL, 14000, NULL}, {source, target, "q4_k", NULL, 0, imatrix},
    };
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        assert_true(fail_every_allocation(attempt_convert, &attempts[i]) > 20);
    }
    free(imatrix);
    free(target);
    free(gguf);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_preset),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_dry_run),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

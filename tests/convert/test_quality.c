/* The errors of encodings: on normal weights against what is known to be reachable, with importance
 * against without, and what each does with weights of odd shapes and sizes. */
#include "tests/convert/trips.h"

#include <float.h>
#include <math.h>

#include "tests/support/trial.h"

enum { ROWS = 160, COLS = 4096 };

static float *normal_values(uint64_t seed, uint64_t n)
{
    float *values = calloc(n, sizeof *values);
    assert_non_null(values);
    for (uint64_t i = 0; i < n; i++) values[i] = trial_normal(&seed);
    return values;
}

static void run(struct trial *t, const char *name)
{
    ingot_error error = {0};
    t->name = name;
    if (!trial_run(t, &error)) fail_msg("%s: %s %s", name, error.field, error.what);
    if (!t->told) fail_msg("%s decodes to other values than its encoder says", name);
}

/* Noise over signal, rows of 4096 normal weights. */
static void test_goals(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double most_bits, most_noise;
    } goals[] = {
        {"int8", 8.01, 8e-5},
        {"int4", 4.5, 0.00660},
        {"int4-g128", 4.125, 0.0094},
        {"int3-g128", 3.125, 0.0348},
        {"int2-g64", 2.25, 0.1245},
        {"int4-g64-affine", 4.5, 0.00680},
        {"int2-g64-affine", 2.5, 0.1170},
        {"int4-absmax", 4.5, 0.00745},
        {"int4-fast", 4.5, 0.00669},
        {"nf4", 4.25, 0.0069},
        {"nf4-absmax", 4.25, 0.00850},
        {"nf4-bnb", 4.13, 0.0074},
        {"code4", 4.126, 0.0078},
        {"code3", 3.126, 0.0317},
        {"code2", 2.126, 0.1180},
        {"nf4-g16-nested6", 4.44, 0.0050},
        {"int4-g32-affine-nested6", 4.5, 0.0050},
        {"ternary", 2.25, 0.1902},
        {"mxfp4", 4.25, 0.01309},
        {"nvfp4", 4.51, 0.01062},
        {"fp8", 8.01, 0.00069},
        {"q4_0", 4.5, 0.0067},
        {"q4_1", 5.0, 0.0049},
        {"q5_0", 5.5, 0.00164},
        {"q5_1", 6.0, 0.00114},
        {"q8_0", 8.5, 0.00003},
        {"q2_k", 2.625, 0.0717},
        {"q3_k", 3.4375, 0.0209},
        {"q4_k", 4.5, 0.00501},
        {"q5_k", 5.5, 0.00125},
        {"q6_k", 6.5625, 0.00030},
        {"iq4_xs", 4.25, 0.0057},
        {"iq4_nl", 4.5, 0.0056},
        {"mxfp4_gguf", 4.25, 0.01309},
        {"nvfp4_gguf", 4.5, 0.0075},
        {"iq3_s", 3.4375, 0.0170},
        {"iq3_xxs", 3.0625, 0.0313},
        {"iq2_s", 2.5625, 0.0573},
        {"iq2_xs", 2.3125, 0.0816},
        {"iq2_xxs", 2.0625, 0.1072},
        {"iq1_m", 1.75, 0.1785},
        {"iq1_s", 1.5625, 0.2087},
        {"iq2_xs-fast", 2.3125, 0.0825},
        {"tq2_0", 2.0625, 0.1903},
        {"q2_0", 2.25, 0.1320},
        {"q1_0", 1.125, 0.3650},
    };
    float *values = normal_values(1, ROWS * COLS);
    float *decoded = calloc(ROWS * COLS, sizeof *decoded);
    assert_non_null(decoded);
    struct trial t = {.stack = {1, ROWS, COLS}, .values = values, .decoded = decoded};
    for (size_t i = 0; i < sizeof goals / sizeof *goals; i++) {
        run(&t, goals[i].name);
        if (t.nmse > goals[i].most_noise * 1.01 || t.bits > goals[i].most_bits) {
            fail_msg("%s: %g at %g bits", goals[i].name, t.nmse, t.bits);
        }
    }
    free(decoded);
    free(values);
}

/* What is listed of every preset that holds all weights is what it does. */
static void test_listed(void **state)
{
    (void)state;
    enum { FEW_ROWS = 40 };
    const struct preset *preset;
    float *values = normal_values(9, FEW_ROWS * COLS);
    float *decoded = calloc(FEW_ROWS * COLS, sizeof *decoded);
    assert_non_null(decoded);
    struct trial t = {.stack = {1, FEW_ROWS, COLS}, .values = values, .decoded = decoded};
    for (uint32_t i = 0; (preset = preset_at(i)) != NULL; i++) {
        const double listed = preset_normal_error(preset);
        const bool leaves_out = preset->kept_percent > 0 || preset->rank > 0;
        assert_int_equal(isnan(listed), leaves_out);
        if (leaves_out) continue;
        run(&t, preset_name(preset));
        if (fabs(t.nmse - listed) > 0.03 * listed) {
            fail_msg("%s: %g is measured, %g listed", preset_name(preset), t.nmse, listed);
        }
    }
    free(decoded);
    free(values);
}

/* Weighing errors makes the weighted error less, and more so the more channels differ. */
static void test_importance(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double share; /* of the error without */
    } rows[] = {
        {"int4", 0.92},  {"int2-g64-affine", 0.90},
        {"nf4", 0.95},   {"q4_k", 0.92},
        {"q2_k", 0.88},  {"q6_k", 0.96},
        {"code4", 0.97}, {"nvfp4", 0.97},
        {"iq3_s", 0.93}, {"iq2_xxs", 0.93},
    };
    float *values = normal_values(2, 64 * 1024);
    float *decoded = calloc(64 * 1024, sizeof *decoded);
    float importance[2 * 1024];
    uint64_t seed = 3;
    assert_non_null(decoded);
    for (int i = 0; i < 2 * 1024; i++) importance[i] = (float)exp((double)trial_normal(&seed));
    struct trial t = {.stack = {2, 32, 1024}, .values = values, .decoded = decoded};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        t.importance = NULL;
        run(&t, rows[i].name);
        double noise = 0, signal = 0;
        for (uint64_t k = 0; k < 64 * 1024; k++) {
            const double h = (double)importance[k / (32 * 1024) * 1024 + k % 1024];
            noise += h * pow((double)values[k] - (double)decoded[k], 2);
            signal += h * pow((double)values[k], 2);
        }
        t.importance = importance;
        run(&t, rows[i].name);
        if (t.nmse > rows[i].share * noise / signal) {
            fail_msg("%s: %g with importance, %g without", rows[i].name, t.nmse, noise / signal);
        }
    }
    free(decoded);
    free(values);
}

/* ------------------------------------------------------------------ odd input */

/* Every row of the table, and some with options, that makes a single dense term. */
static const char *const with_options[] = {
    "int4-row",         "int4-g64-affine",  "int3-g24-f32",  "int5-g100-bf16",
    "int4-affine-fast", "int2-g16-nested4", "int8-tensor",   "int4-b128",
    "fp8-tensor",       "fp8-b128",         "nf4-b3-absmax", "int6-g20-affine-nested6",
    "nf4-g16-nested8",  "int4-g32-absmax",  "code4-g32",     "int8-g32-f16",
};
enum { N_WITH_OPTIONS = sizeof with_options / sizeof *with_options };

static const char *dense_name(uint32_t index)
{
    const struct preset *preset;
    uint32_t n = 0;
    for (uint32_t i = 0; (preset = preset_at(i)) != NULL; i++) {
        if (preset->grid.bits == 0 && preset->block_type == 0) continue;
        if (n++ == index) return preset_name(preset);
    }
    return index - n < N_WITH_OPTIONS ? with_options[index - n] : NULL;
}

/* Shapes whose rows are no multiple of any group, down to nothing. */
static void test_shapes(void **state)
{
    (void)state;
    static const struct stack_shape shapes[] = {
        {1, 1, 1},   {1, 1, 7},  {1, 3, 33}, {2, 5, 31}, {3, 1, 257},  {1, 9, 64},   {4, 130, 40},
        {1, 300, 3}, {1, 17, 0}, {1, 0, 16}, {0, 4, 16}, {1, 2, 1000}, {2, 129, 129}};
    float *values = normal_values(4, 1 << 16);
    float *decoded = calloc(1 << 16, sizeof *decoded);
    assert_non_null(decoded);
    const char *name;
    for (uint32_t i = 0; (name = dense_name(i)) != NULL; i++) {
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            struct trial t = {.stack = shapes[s], .values = values, .decoded = decoded};
            run(&t, name);
            const uint64_t n = shapes[s].n_matrices * shapes[s].n_rows * shapes[s].n_cols;
            if (n > 0 && !(t.nmse < 0.5)) {
                fail_msg("%s: noise %g for shape %zu", name, t.nmse, s);
            }
        }
    }
    free(decoded);
    free(values);
}

/* Every row of the table with every pair of options is either no name or a preset that works. */
static void test_all_options(void **state)
{
    (void)state;
    static const char *const options[] = {"-g1",      "-g4",      "-g24",    "-g256",   "-g300",
                                          "-row",     "-b2",      "-b128",   "-tensor", "-affine",
                                          "-sym",     "-f32",     "-f16",    "-bf16",   "-nested4",
                                          "-nested6", "-nested8", "-absmax", "-fast"};
    enum { N_OPTIONS = sizeof options / sizeof *options };
    static float values[3 * 70], decoded[3 * 70];
    const struct preset *row;
    uint32_t n_run = 0;
    uint64_t seed = 7;
    for (int i = 0; i < 3 * 70; i++) values[i] = trial_normal(&seed);
    for (uint32_t i = 0; (row = preset_at(i)) != NULL; i++) {
        for (uint32_t k = 0; k < N_OPTIONS * N_OPTIONS; k++) {
            char name[64];
            struct trial t = {.stack = {1, 3, 70}, .values = values, .decoded = decoded};
            snprintf(name, sizeof name, "%s%s%s", preset_name(row), options[k / N_OPTIONS],
                     options[k % N_OPTIONS]);
            if (!preset_exists(name)) continue;
            run(&t, name);
            /* A sign times the largest weight says little else than the sign. */
            const bool blunt = strncmp(name, "q1_0", 4) == 0 && strstr(name, "-absmax");
            if (!(t.nmse < (blunt ? 8 : 0.8))) fail_msg("%s: noise %g", name, t.nmse);
            n_run++;
        }
    }
    assert_true(n_run > 2000);
}

/* Zeros, one huge weight among small ones, equal ones, and numbers too small for an f16 scale. What
 * comes out is finite and no further off than the largest weight. */
static void test_sizes(void **state)
{
    (void)state;
    enum { N_KINDS = 7, N = 8 * 300 };
    static float values[N], decoded[N];
    const char *name;
    for (uint32_t i = 0; (name = dense_name(i)) != NULL; i++) {
        for (int kind = 0; kind < N_KINDS; kind++) {
            uint64_t seed = 5;
            float largest = 0.0f;
            for (int k = 0; k < N; k++) {
                const float normal = trial_normal(&seed);
                const float kinds[N_KINDS] = {0.0f,
                                              k % 300 == 77 ? 2500.0f : 1e-3f * normal,
                                              0.25f,
                                              0x1p-130f * normal,
                                              0x1p-24f * normal,
                                              k % 64 < 32 ? 0.0f : normal,
                                              5.0f + 0.01f * normal};
                values[k] = kinds[kind];
                largest = fmaxf(largest, fabsf(values[k]));
            }
            struct trial t = {.stack = {1, 8, 300}, .values = values, .decoded = decoded};
            run(&t, name);
            for (int k = 0; k < N; k++) {
                if (!(fabsf(decoded[k] - values[k]) <= largest * 1.0001f + 0x1p-20f)) {
                    fail_msg("%s: %g becomes %g (kind %d)", name, (double)values[k],
                             (double)decoded[k], kind);
                }
                if (kind == 0) assert_true(decoded[k] == 0.0f);
            }
        }
    }
}

/* What no code can hold is refused by name and place; what is too large for the scales, too, and
 * nothing infinite is ever written. */
static void test_refused(void **state)
{
    (void)state;
    enum { N = 8 * 300 };
    static float values[N], decoded[N];
    const float bad[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 1e9f};
    const char *name;
    for (uint32_t i = 0; (name = dense_name(i)) != NULL; i++) {
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
            uint64_t seed = 6;
            ingot_error error = {0};
            for (int k = 0; k < N; k++) values[k] = trial_normal(&seed);
            values[1234] = bad[b];
            struct trial t = {
                .name = name, .stack = {1, 8, 300}, .values = values, .decoded = decoded};
            if (trial_run(&t, &error)) {
                if (!isfinite(bad[b])) fail_msg("%s takes %g", name, (double)bad[b]);
                assert_true(t.told);
                for (int k = 0; k < N; k++) {
                    if (!isfinite(decoded[k])) fail_msg("%s: %g", name, (double)bad[b]);
                }
                continue;
            }
            assert_string_equal(error.field, name);
            if (strstr(error.what, "element 1234 ") == NULL) fail_msg("%s: %s", name, error.what);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goals),      cmocka_unit_test(test_listed),
        cmocka_unit_test(test_importance), cmocka_unit_test(test_all_options),
        cmocka_unit_test(test_shapes),     cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

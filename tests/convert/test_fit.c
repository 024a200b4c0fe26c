/* The kernels of the searches: every CPU level gives the bits of the plain one. And what a search
 * finds, against one over far more scales. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convert/fit_search.h"
#include "convert/sums.h"
#include "format/bytes.h"
#include "tests/support/random.h"

enum { MAX_N = 70 };

static struct levels some_levels(uint32_t i)
{
    static const ingot_dtype formats[] = {INGOT_F8_E4M3, INGOT_F8_E5M2, INGOT_F6_E3M2,
                                          INGOT_F6_E2M3, INGOT_F4_E2M1};
    static const float three[] = {0.5f, -1.0f, 0.0f};
    if (i < 5) return levels_float(formats[i]);
    if (i == 5) return levels_codebook(codebook_nf4.entries, 16);
    if (i == 6) return levels_codebook(codebook_fp4.entries, 16);
    if (i == 7) return levels_codebook(three, 3);
    if (i == 8) return levels_uniform(0, 3, 0);
    if (i == 9) return levels_uniform(-127, 127, 0);
    return levels_uniform(-(1 << (i - 10)), (1 << (i - 10)) - 1, 1 << (i - 10));
}
enum { N_LEVELS = 18 };

struct some_lanes {
    struct lanes lanes;
    float weights[MAX_N * LANES];
    float importance[MAX_N * LANES];
};

/* Normal-like weights, some huge, tiny or zero; importance with zeros. */
static void fill(struct some_lanes *s, struct random *random, bool weighted)
{
    static const float sizes[] = {1.0f, 1.0f, 1.0f, 0.0f, 0x1p-140f, 0x1p-30f, 1e20f, 1e38f};
    s->lanes = (struct lanes){1 + (uint32_t)random_below(random, MAX_N), s->weights,
                              weighted ? s->importance : NULL, 0};
    for (uint32_t k = 0; k < LANES; k++) {
        const float size = sizes[random_below(random, 8)];
        for (uint32_t i = 0; i < s->lanes.n; i++) {
            const float a = (float)random_below(random, 2001) / 1000.0f - 1.0f;
            const float b = (float)random_below(random, 2001) / 1000.0f - 1.0f;
            s->weights[i * LANES + k] = (a + b) * size;
            s->importance[i * LANES + k] = (float)random_below(random, 4) / 2.0f;
        }
    }
}

static void assert_same(const void *a, const void *b, size_t n_bytes)
{
    assert_memory_equal(a, b, n_bytes);
}

static void compare_survey(const struct fit_kernels *a, const struct fit_kernels *b,
                           const struct lanes *lanes)
{
    struct survey one, other;
    a->survey(lanes, &one);
    b->survey(lanes, &other);
    assert_same(&one, &other, sizeof one);
}

static void compare_search(const struct fit_kernels *a, const struct fit_kernels *b,
                           const struct lanes *lanes, const struct levels *levels)
{
    float first[LANES], step[LANES];
    float gain[2][LANES] = {{0}}, scale[2][LANES] = {{0}}, bias[2][LANES] = {{0}};
    struct affine_line line;
    for (uint32_t k = 0; k < LANES; k++) {
        first[k] = line.first[k] = levels->high * (k % 2 ? 0.5f : -0.4f);
        step[k] = line.step[k] = levels->high * 0.07f;
        line.offset_first[k] = (float)k - 3.0f;
        line.offset_step[k] = 0.3f;
        line.total[k] = (float)(lanes->n + k);
        line.mean[k] = 0.01f * (float)k;
    }
    a->search(lanes, levels, 2 * CANDIDATES, first, step, gain[0], scale[0]);
    b->search(lanes, levels, 2 * CANDIDATES, first, step, gain[1], scale[1]);
    assert_same(gain[0], gain[1], sizeof gain[0]);
    assert_same(scale[0], scale[1], sizeof scale[0]);
    if (levels->kind != LEVELS_UNIFORM) return;
    a->search_affine(lanes, levels, CANDIDATES, &line, gain[0], scale[0], bias[0]);
    b->search_affine(lanes, levels, CANDIDATES, &line, gain[1], scale[1], bias[1]);
    assert_same(gain[0], gain[1], sizeof gain[0]);
    assert_same(scale[0], scale[1], sizeof scale[0]);
    assert_same(bias[0], bias[1], sizeof bias[0]);
}

/* Packed lanes, and what is found in them. */
static void compare_packed(const struct fit_kernels *a, const struct fit_kernels *b,
                           const struct lanes *lanes, const struct levels *levels)
{
    static struct packed packed[2];
    const struct lanes even = {lanes->n / 2 * 2, lanes->weights, NULL, ALL_LANES};
    struct survey survey;
    float first[LANES], step[LANES];
    float gain[2][LANES] = {{0}}, scale[2][LANES] = {{0}}, bias[2][LANES] = {{0}};
    struct affine_line line;
    if (levels->kind != LEVELS_UNIFORM || even.n == 0) return;
    a->survey(&even, &survey);
    for (uint32_t k = 0; k < LANES; k++) {
        const float peak = fabsf(survey.peak[k]);
        const float size = peak / (float)PACKED_HIGH;
        const float inverse = peak > 0x1p-100f ? levels->high / peak : 1.0f;
        packed[0].size[k] = size > 0x1p-100f ? size : 0.0f;
        packed[0].middle[k] = k % 3 ? 0.0f : 0.1f * peak;
        first[k] = line.first[k] = inverse * (k % 2 ? 0.5f : -0.4f);
        step[k] = line.step[k] = inverse * (k == 5 ? 5.0f : 0.17f);
        line.offset_first[k] = (float)k - 3.0f;
        line.offset_step[k] = 0.3f;
    }
    packed[1] = packed[0];
    a->pack(&even, &packed[0]);
    b->pack(&even, &packed[1]);
    assert_same(packed[0].mean, packed[1].mean, sizeof packed[0].mean);
    assert_same(packed[0].weights, packed[1].weights, even.n * LANES * sizeof(int16_t));
    a->search_packed_affine(&packed[0], levels, CANDIDATES, &line, gain[0], scale[0], bias[0]);
    b->search_packed_affine(&packed[1], levels, CANDIDATES, &line, gain[1], scale[1], bias[1]);
    for (uint32_t i = 0; i < 2; i++) {
        assert_same(gain[0], gain[1], sizeof gain[0]);
        assert_same(scale[0], scale[1], sizeof scale[0]);
        assert_same(bias[0], bias[1], sizeof bias[0]);
        if (i == 1) break;
        for (uint32_t k = 0; k < LANES; k++) gain[0][k] = gain[1][k] = 0.0f;
        a->search_packed(&packed[0], levels, 2 * CANDIDATES, first, step, gain[0], scale[0]);
        b->search_packed(&packed[1], levels, 2 * CANDIDATES, first, step, gain[1], scale[1]);
    }
}

static void compare_errors(const struct fit_kernels *a, const struct fit_kernels *b,
                           const struct lanes *lanes, const struct levels *levels)
{
    float scale[CANDIDATES][LANES], bias[CANDIDATES][LANES];
    float error[2][CANDIDATES][LANES];
    for (uint32_t c = 0; c < CANDIDATES; c++) {
        for (uint32_t k = 0; k < LANES; k++) {
            scale[c][k] = k == 3 ? 0.0f : (c % 2 ? 0.3f : -0.7f) * (float)(k + 1) / levels->high;
            bias[c][k] = c == 0 ? -0.0f : 0.05f * (float)k;
        }
    }
    a->error(lanes, levels, scale, bias, error[0]);
    b->error(lanes, levels, scale, bias, error[1]);
    assert_same(error[0], error[1], sizeof error[0]);
}

/* Rows of all lengths up to the lanes', a byte and a float beyond which must stay. */
static void compare_codes(const struct fit_kernels *a, const struct fit_kernels *b,
                          const struct lanes *lanes, const struct levels *levels)
{
    static uint8_t codes[2][LANES][MAX_N + 1];
    static float values[2][LANES][MAX_N + 1];
    static const float sizes[LANES] = {1.0f, -0.7f, 0.3f, 0.0f, 0x1p-30f, 0x1p-140f, 1e20f, 0.1f};
    float scale[LANES], bias[LANES];
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 2; i++) {
            struct group_rows rows;
            for (uint32_t k = 0; k < LANES; k++) {
                memset(codes[i][k], 0xa5, sizeof codes[i][k]);
                for (uint32_t j = 0; j <= MAX_N; j++) values[i][k][j] = 77.0f;
                scale[k] = sizes[k] / levels->high;
                bias[k] = round ? 0.05f * (float)k : -0.0f;
                rows.n[k] = lanes->n - lanes->n * k / LANES;
                rows.weights[k] = lanes->weights + k;
                rows.codes[k] = codes[i][k];
                rows.values[k] = values[i][k];
            }
            (i ? b : a)->encode(levels, &rows, scale, bias);
            for (uint32_t k = 0; k < LANES; k++) {
                assert_int_equal(codes[i][k][rows.n[k]], 0xa5);
                assert_true(values[i][k][rows.n[k]] == 77.0f);
            }
        }
        assert_same(codes[0], codes[1], sizeof codes[0]);
        assert_same(values[0], values[1], sizeof values[0]);
    }
}

/* Rows of whole steps, of any size, some of one large weight. */
static void compare_powers(const struct fit_kernels *a, const struct fit_kernels *b,
                           const struct lanes *lanes, const struct levels *levels)
{
    float scale[2][LANES];
    struct group_rows rows;
    if (levels->kind != LEVELS_FLOAT) return;
    for (uint32_t k = 0; k < LANES; k++) {
        rows.n[k] = lanes->n * LANES / POWER_STEP % (k + 2) * POWER_STEP;
        if (rows.n[k] > lanes->n * LANES) rows.n[k] = 0;
        rows.weights[k] = lanes->weights + (lanes->n * LANES - rows.n[k]) * k / LANES;
    }
    a->search_powers(levels, &rows, scale[0]);
    b->search_powers(levels, &rows, scale[1]);
    assert_same(scale[0], scale[1], sizeof scale[0]);
}

static void compare_load(const struct fit_kernels *a, const struct fit_kernels *b,
                         const struct some_lanes *s)
{
    static float loaded[2][MAX_N * LANES];
    const float *sources[LANES];
    for (uint32_t k = 0; k < LANES; k++) sources[k] = s->weights + k * s->lanes.n;
    a->load(sources, s->lanes.n, loaded[0]);
    b->load(sources, s->lanes.n, loaded[1]);
    assert_same(loaded[0], loaded[1], sizeof loaded[0]);
}

static void compare_all(const struct fit_kernels *plain, const struct fit_kernels *other)
{
    static struct some_lanes s;
    struct random random = {1};
    for (uint32_t round = 0; round < 60; round++) {
        fill(&s, &random, round % 2);
        compare_survey(plain, other, &s.lanes);
        compare_load(plain, other, &s);
        for (uint32_t i = 0; i < N_LEVELS; i++) {
            const struct levels levels = some_levels(i);
            compare_search(plain, other, &s.lanes, &levels);
            compare_packed(plain, other, &s.lanes, &levels);
            compare_errors(plain, other, &s.lanes, &levels);
            compare_powers(plain, other, &s.lanes, &levels);
            compare_codes(plain, other, &s.lanes, &levels);
        }
    }
}

static void test_levels_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"avx2", "avx512"};
    const struct fit_kernels *plain = fit_kernels_find("plain");
    assert_non_null(plain);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct fit_kernels *other = fit_kernels_find(names[i]);
        if (other) {
            compare_all(plain, other);
        } else {
            print_message("note: this CPU has no %s\n", names[i]);
        }
    }
}

/* ------------------------------------------------------------------ sums of errors */

static void compare_sums(const struct sums_kernels *plain, const struct sums_kernels *best)
{
    enum { N = 333 };
    float a[N], b[N];
    struct random random = {3};
    struct error_sums one, other;
    memset(&one, 0, sizeof one);
    memset(&other, 0, sizeof other);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < N; i++) {
            a[i] = (float)random_below(&random, 2001) / 1000.0f - 1.0f;
            b[i] = random_below(&random, 3) ? a[i] : a[i] * 1.01f;
        }
        const uint64_t n = random_below(&random, N / SUM_LANES + 1) * SUM_LANES;
        assert_int_equal(plain->add_errors(&one, a, b, n), best->add_errors(&other, a, b, n));
        assert_same(&one, &other, sizeof one);
        assert_true(plain->all_finite(a, N) && best->all_finite(a, N));
        a[random_below(&random, N)] = round % 2 ? NAN : -INFINITY;
        assert_false(plain->all_finite(a, N) || best->all_finite(a, N));
    }
}

static void test_sums_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"avx2", "avx512"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct sums_kernels *other = sums_kernels_find(names[i]);
        if (other) compare_sums(sums_kernels_find("plain"), other);
    }
}

/* ------------------------------------------------------------------ how good a search is */

static double error_of(const struct fit *fit, const struct lanes *lanes, const float scale[LANES],
                       const float bias[LANES], uint32_t lane)
{
    float scales[CANDIDATES][LANES], biases[CANDIDATES][LANES], error[CANDIDATES][LANES];
    for (uint32_t c = 0; c < CANDIDATES; c++) {
        memcpy(scales[c], scale, sizeof scales[c]);
        memcpy(biases[c], bias, sizeof biases[c]);
    }
    fit->kernels->error(lanes, &fit->levels, scales, biases, error);
    return (double)error[0][lane];
}

/* The least error over a dense set of scales, each with its best fit for the codes. */
static double dense_error(const struct fit *fit, const struct lanes *lanes, uint32_t lane)
{
    float largest = 0.0f, gain[LANES] = {0}, scale[LANES] = {0}, none[LANES];
    float first[LANES], step[LANES];
    for (uint32_t i = 0; i < lanes->n; i++) {
        largest = fmaxf(largest, fabsf(lanes->weights[i * LANES + lane]));
    }
    for (uint32_t side = 0; side < 2; side++) {
        for (uint32_t k = 0; k < LANES; k++) {
            const float inverse = (side ? fit->levels.low : -fit->levels.low) / largest;
            first[k] = 0.5f * inverse;
            step[k] = 2.5f * inverse / 1024.0f;
            none[k] = -0.0f;
        }
        fit->kernels->search(lanes, &fit->levels, 1024, first, step, gain, scale);
    }
    return error_of(fit, lanes, scale, none, lane);
}

static void test_near_the_least(void **state)
{
    (void)state;
    static struct some_lanes s;
    static const uint32_t sizes[] = {16, 32, 64};
    struct random random = {2};
    for (uint32_t i = 0; i < 10; i++) {
        const uint32_t bits = 2 + i / 2;
        const int32_t half = 1 << (bits - 1);
        const struct fit fit = {fit_kernels_find(NULL), levels_uniform(-half, half - 1, half),
                                EFFORT_SEARCH, false, i % 2 == 1};
        double found = 0, least = 0;
        for (uint32_t round = 0; round < 48; round++) {
            s.lanes = (struct lanes){sizes[round % 3], s.weights, NULL, ALL_LANES};
            for (uint32_t at = 0; at < s.lanes.n * LANES; at++) {
                s.weights[at] = 0.0f;
                for (int j = 0; j < 8; j++) {
                    s.weights[at] += (float)random_below(&random, 65536) / 32768.0f - 1.0f;
                }
            }
            float scale[LANES], none[LANES];
            for (uint32_t k = 0; k < LANES; k++) none[k] = -0.0f;
            fit_scales(&fit, &s.lanes, scale);
            for (uint32_t k = 0; k < LANES; k++) {
                found += error_of(&fit, &s.lanes, scale, none, k);
                least += dense_error(&fit, &s.lanes, k);
            }
        }
        if (found > 1.03 * least) fail_msg("%u bits: %g, least %g", bits, found, least);
        assert_true(found >= 0.9999 * least);
    }
}

/* Weights that a group's levels hold exactly are found exactly, or where scales are to be rounded
 * anyhow, to 17 bits. */
static void check_exact(bool rough)
{
    static struct some_lanes s;
    const struct fit fit = {fit_kernels_find(NULL), levels_uniform(0, 15, 0), EFFORT_SEARCH, false,
                            rough};
    float scale[LANES], bias[LANES];
    s.lanes = (struct lanes){32, s.weights, NULL, ALL_LANES};
    for (uint32_t i = 0; i < 32; i++) {
        for (uint32_t k = 0; k < LANES; k++) {
            s.weights[i * LANES + k] = (float)(i % 16) * (float)(k + 1) * 0.25f - (float)k;
        }
    }
    fit_affine(&fit, &s.lanes, scale, bias);
    for (uint32_t k = 0; k < LANES; k++) {
        const float wanted = (float)(k + 1) * 0.25f;
        assert_true(fabsf(scale[k] - wanted) < (rough ? 0x1p-17f * wanted : 1e-5f));
        assert_true(error_of(&fit, &s.lanes, scale, bias, k) < (rough ? 1e-6 * wanted : 1e-6));
    }
}

static void test_exact(void **state)
{
    (void)state;
    check_exact(false);
    check_exact(true);
}

/* Of groups with a power of two no other has less error, whatever the weights. */
static void check_powers(const struct levels *levels, float shape, struct random *random)
{
    static float weights[LANES][32];
    const struct fit_kernels *kernels = fit_kernels_find(NULL);
    const struct fit_kernels *plain = fit_kernels_find("plain");
    struct some_lanes s = {.lanes = {32, s.weights, NULL, ALL_LANES}};
    struct group_rows rows;
    float found[LANES], scale[CANDIDATES][LANES], bias[CANDIDATES][LANES] = {{0}};
    float error[CANDIDATES][LANES], least[LANES];
    const float *sources[LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        for (uint32_t i = 0; i < 32; i++) {
            const float share = (float)random_below(random, 20001) / 10000.0f - 1.0f;
            weights[k][i] = copysignf(powf(fabsf(share), shape), share);
        }
        rows.n[k] = 32;
        sources[k] = rows.weights[k] = weights[k];
        least[k] = INFINITY;
    }
    kernels->search_powers(levels, &rows, found);
    plain->load(sources, 32, s.weights);
    for (int32_t exponent = -24; exponent < 12; exponent += CANDIDATES) {
        for (uint32_t c = 0; c < CANDIDATES; c++) {
            for (uint32_t k = 0; k < LANES; k++) {
                scale[c][k] = ldexpf(1.0f, exponent + (int32_t)c);
            }
        }
        plain->error(&s.lanes, levels, scale, bias, error);
        for (uint32_t i = 0; i < CANDIDATES * LANES; i++) {
            least[i % LANES] = fminf(least[i % LANES], error[i / LANES][i % LANES]);
        }
    }
    for (uint32_t k = 0; k < LANES; k++) {
        memcpy(scale[0], found, sizeof found);
        plain->error(&s.lanes, levels, scale, bias, error);
        assert_true(error[0][k] <= least[k] * 1.00001f);
    }
}

static void test_powers(void **state)
{
    (void)state;
    static const float shapes[] = {0.1f, 0.5f, 1.0f, 2.0f, 4.0f, 10.0f};
    struct random random = {5};
    for (uint32_t round = 0; round < 300; round++) {
        for (uint32_t i = 0; i < 5; i++) {
            const struct levels levels = some_levels(i);
            check_powers(&levels, shapes[round % 6], &random);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_agree),   cmocka_unit_test(test_sums_agree),
        cmocka_unit_test(test_near_the_least), cmocka_unit_test(test_exact),
        cmocka_unit_test(test_powers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

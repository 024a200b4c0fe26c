/* The inner loops of models: the fast ones against the plain, which is against the C library. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/floats.h"
#include "runtime/lm_kernels.h"
#include "tests/support/random.h"

static const struct lm_kernels *levels[] = {
    &lm_kernels_plain,
#ifdef INGOT_X86_64
    &lm_kernels_avx2,
#endif
};
enum { N_LEVELS = sizeof levels / sizeof *levels };

static bool has_level(uint32_t i)
{
#ifdef INGOT_X86_64
    if (i == 1 && !lm_kernels_avx2_available()) return false;
#endif
    return i < N_LEVELS;
}

static float unit(struct random *random)
{
    return (float)(int32_t)(random_bits(random) >> 32) * 0x1p-31f;
}

enum { ROWS = 7, INNER = 19, COLS = 40 };

/* |c - exact| <= (n + 1) 2^-24 sum |a b|, what n sums and products in any order keep. */
static void check_product(const struct lm_kernels *kernels, bool half, uint32_t n_rows,
                          uint32_t n_inner, uint32_t n_cols)
{
    struct random random = {n_rows * 1000 + n_inner * 100 + n_cols};
    float a[ROWS * INNER], b[INNER * COLS], c[ROWS * COLS], c0[ROWS * COLS];
    uint16_t halves[INNER * COLS];
    for (uint32_t i = 0; i < ROWS * INNER; i++) a[i] = unit(&random);
    for (uint32_t i = 0; i < ROWS * COLS; i++) c[i] = c0[i] = unit(&random);
    for (uint32_t i = 0; i < INNER * COLS; i++) {
        halves[i] = f16_from_f32(unit(&random));
        b[i] = f32_from_f16(halves[i]);
    }
    const struct lm_product p = {a, INNER, n_rows, half ? (const void *)halves : b, COLS, n_inner,
                                 c, COLS,  n_cols};
    (half ? kernels->multiply_f16 : kernels->multiply_f32)(&p);
    for (uint32_t r = 0; r < ROWS; r++) {
        for (uint32_t j = 0; j < COLS; j++) {
            double exact = (double)c0[r * COLS + j], size = fabs(exact);
            const bool inside = r < n_rows && j < n_cols;
            for (uint32_t i = 0; inside && i < n_inner; i++) {
                const double product = (double)a[r * INNER + i] * (double)b[i * COLS + j];
                exact += product;
                size += fabs(product);
            }
            const double bound = inside ? (n_inner + 1) * 0x1p-24 * size : 0;
            assert_true(fabs((double)c[r * COLS + j] - exact) <= bound);
        }
    }
}

static void test_products(void **state)
{
    (void)state;
    for (uint32_t level = 0; has_level(level); level++) {
        for (uint32_t n_rows = 1; n_rows <= ROWS; n_rows++) {
            for (uint32_t n_cols = 8; n_cols <= COLS; n_cols += 8) {
                check_product(levels[level], false, n_rows, INNER, n_cols);
                check_product(levels[level], true, n_rows, INNER - 2, n_cols);
            }
        }
    }
}

/* From the largest result to those that are 0, with all lengths of a rest. */
static void test_exponents(void **state)
{
    (void)state;
    for (uint32_t level = 0; has_level(level); level++) {
        for (uint32_t n = 1; n < 40; n++) {
            float x[40], given[40];
            double sum = 0;
            for (uint32_t i = 0; i < 40; i++) given[i] = x[i] = 3.0f - (float)i * (float)n / 13.0f;
            const float got = levels[level]->exponents(x, n, 3.0f);
            for (uint32_t i = 0; i < n; i++) {
                const double exact = exp((double)given[i] - 3.0);
                sum += exact;
                assert_true(fabs((double)x[i] - exact) <= 3 * 0x1p-24 * exact + 0x1p-149);
            }
            assert_true(fabs((double)got - sum) <= 1e-6 * sum);
            for (uint32_t i = n; i < 40; i++) assert_true(memcmp(&x[i], &given[i], 4) == 0);
        }
        float far[2] = {-INFINITY, 0};
        assert_true(levels[level]->exponents(far, 2, 0) < 1.0000001f);
        assert_true(far[0] <= 0x1p-149f && far[1] >= 1);
    }
}

static void test_silu(void **state)
{
    (void)state;
    static const float edges[] = {0, -0.0f, 1e-30f, -1e-30f, 88, -88, 104, -104, 1000, -1000};
    for (uint32_t level = 0; has_level(level); level++) {
        for (uint32_t n = 1; n < 40; n++) {
            float gate[40], given[40], up[40];
            for (uint32_t i = 0; i < 40; i++) {
                given[i] = gate[i] = i % 4 == 3 ? edges[i / 4] : ((float)i - 20) * 0.7f;
                up[i] = 1.5f - (float)i * 0.1f;
            }
            levels[level]->silu_times(gate, up, n);
            for (uint32_t i = 0; i < n; i++) {
                const double g = (double)given[i];
                const double exact = g / (1 + exp(-g)) * (double)up[i];
                assert_true(fabs((double)gate[i] - exact) <= 4e-7 * fabs(exact) + 1e-37);
            }
            for (uint32_t i = n; i < 40; i++) assert_true(memcmp(&gate[i], &given[i], 4) == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_exponents),
        cmocka_unit_test(test_silu),
    };
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (!has_level(i))
            printf("note: not run: level %s, which this CPU lacks\n", levels[i]->name);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Float formats: every code of every small format against the formula of [6.6], and rounding to
 * f16 and bf16 against a search for the nearest value. */
#include "tests/support/unit.h"

#include <math.h>

#include "format/floats.h"
#include "tests/support/formula.h"
#include "tests/support/random.h"

static void check_code(ingot_dtype format, uint32_t code)
{
    const float found = ingot_float_decode(format, code);
    const float expected = (float)formula_float(format, code);
    if (same_f32(found, expected)) return;
    fail_msg("%s code 0x%x gives %a, not %a", ingot_dtype_name(format), code, (double)found,
             (double)expected);
}

static void test_every_code(void **state)
{
    (void)state;
    static const ingot_dtype formats[] = {
        INGOT_F16,     INGOT_BF16,    INGOT_F8_E5M2, INGOT_F8_E4M3,     INGOT_F6_E3M2,
        INGOT_F6_E2M3, INGOT_F4_E2M1, INGOT_F8_E8M0, INGOT_F8_E4M3FNUZ, INGOT_F8_E5M2FNUZ,
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const uint32_t n = 1u << ingot_dtype_bits(formats[i]);
        for (uint32_t code = 0; code < n; code++) check_code(formats[i], code);
    }
}

static void test_f32_codes(void **state)
{
    (void)state;
    static const uint32_t edges[] = {
        0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff,
        0x7f800000, 0xff800000, 0x7f800001, 0xffc00000, 0x3f800000, 0xbf800001,
    };
    struct random random = {1};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) check_code(INGOT_F32, edges[i]);
    for (int i = 0; i < 100000; i++) check_code(INGOT_F32, (uint32_t)random_bits(&random));
}

/* The values that the standards themselves name. */
static void test_named_values(void **state)
{
    (void)state;
    static const struct {
        ingot_dtype format;
        uint32_t code;
        float value;
    } named[] = {
        {INGOT_F16, 0x7bff, 65504.0f},       {INGOT_F16, 0x0001, 0x1p-24f},
        {INGOT_F16, 0x0400, 0x1p-14f},       {INGOT_F16, 0xfc00, -INFINITY},
        {INGOT_BF16, 0x7f7f, 0x1.fep127f},   {INGOT_BF16, 0x0001, 0x1p-133f},
        {INGOT_F8_E5M2, 0x7b, 57344.0f},     {INGOT_F8_E5M2, 0x01, 0x1p-16f},
        {INGOT_F8_E5M2, 0x7c, INFINITY},     {INGOT_F8_E5M2, 0x7d, NAN},
        {INGOT_F8_E4M3, 0x7e, 448.0f},       {INGOT_F8_E4M3, 0x01, 0x1p-9f},
        {INGOT_F8_E4M3, 0x7f, NAN},          {INGOT_F8_E4M3, 0xff, NAN},
        {INGOT_F6_E3M2, 0x1f, 28.0f},        {INGOT_F6_E3M2, 0x01, 0.0625f},
        {INGOT_F6_E2M3, 0x1f, 7.5f},         {INGOT_F6_E2M3, 0x21, -0.125f},
        {INGOT_F4_E2M1, 0x7, 6.0f},          {INGOT_F4_E2M1, 0x1, 0.5f},
        {INGOT_F4_E2M1, 0x8, -0.0f},         {INGOT_F8_E8M0, 0, 0x1p-127f},
        {INGOT_F8_E8M0, 254, 0x1p127f},      {INGOT_F8_E8M0, 255, NAN},
        {INGOT_F8_E4M3FNUZ, 0x7f, 240.0f},   {INGOT_F8_E4M3FNUZ, 0x01, 0x1p-10f},
        {INGOT_F8_E4M3FNUZ, 0x80, NAN},      {INGOT_F8_E5M2FNUZ, 0x7f, 57344.0f},
        {INGOT_F8_E5M2FNUZ, 0x01, 0x1p-17f}, {INGOT_F8_E5M2FNUZ, 0x80, NAN},
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const float found = ingot_float_decode(named[i].format, named[i].code);
        if (same_f32(found, named[i].value)) continue;
        fail_msg("%s code 0x%x gives %a, not %a", ingot_dtype_name(named[i].format), named[i].code,
                 (double)found, (double)named[i].value);
    }
}

/* ---- rounding ---- */

/* A 16-bit format to round to. Its codes below `infinity` ascend from +0; infinity stands for the
 * power of two that would follow the largest value. */
struct target {
    ingot_dtype format;
    uint16_t infinity;
    double beyond;
    uint16_t (*from_f32)(float v);
};
static const struct target f16 = {INGOT_F16, 0x7c00, 65536.0, f16_from_f32};
static const struct target bf16 = {INGOT_BF16, 0x7f80, 0x1p128, bf16_from_f32};

static double step(const struct target *t, uint32_t code)
{
    return code == t->infinity ? t->beyond : formula_float(t->format, code);
}

/* The code nearest to |v|, ties to the even one. */
static uint16_t nearest(const struct target *t, double magnitude)
{
    uint32_t low = 0, high = t->infinity;
    if (magnitude >= t->beyond) return t->infinity;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (step(t, middle) <= magnitude) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const double down = magnitude - step(t, low), up = step(t, high) - magnitude;
    if (down == up) return (uint16_t)(low % 2 == 0 ? low : high);
    return (uint16_t)(down < up ? low : high);
}

static void check_rounding(const struct target *t, float v)
{
    const uint16_t sign = signbit(v) ? 0x8000 : 0;
    const uint16_t found = t->from_f32(v);
    if (isnan(v)) {
        /* A NaN stays one, and keeps its sign. */
        if (isnan(ingot_float_decode(t->format, found)) && (found & 0x8000) == sign) return;
        fail_msg("%s of a NaN is 0x%x", ingot_dtype_name(t->format), found);
    }
    const uint16_t expected = (uint16_t)(nearest(t, fabs((double)v)) | sign);
    if (found == expected) return;
    fail_msg("%s of %a is 0x%x, not 0x%x", ingot_dtype_name(t->format), (double)v, found, expected);
}

static void check_both_signs(const struct target *t, float v)
{
    check_rounding(t, v);
    check_rounding(t, -v);
}

/* Every value, every midpoint of neighbours, and the f32 values next to all of them. */
static void check_neighbours(const struct target *t)
{
    for (uint32_t code = 0; code < t->infinity; code++) {
        const float value = (float)step(t, code);
        const float middle = (float)((step(t, code) + step(t, code + 1)) / 2.0);
        check_both_signs(t, value);
        check_both_signs(t, nextafterf(value, INFINITY));
        check_both_signs(t, middle);
        check_both_signs(t, nextafterf(middle, 0.0f));
        check_both_signs(t, nextafterf(middle, INFINITY));
    }
}

static void check_random(const struct target *t)
{
    struct random random = {2};
    check_both_signs(t, INFINITY);
    check_both_signs(t, f32_from_bits(0x7f7fffff));
    check_both_signs(t, f32_from_bits(0x7f800001)); /* a NaN whose low bits alone are set */
    check_both_signs(t, f32_from_bits(1));
    for (int i = 0; i < 100000; i++) {
        check_rounding(t, f32_from_bits((uint32_t)random_bits(&random)));
        /* Exponents where f16 has values. */
        const uint32_t near_one = (uint32_t)(random_bits(&random) % 0x12000000) + 0x32000000;
        check_rounding(t, f32_from_bits(near_one));
    }
}

static void test_f16_rounding(void **state)
{
    (void)state;
    check_neighbours(&f16);
    check_random(&f16);
}

static void test_bf16_rounding(void **state)
{
    (void)state;
    check_neighbours(&bf16);
    check_random(&bf16);
}

/* Decoding and rounding back is the identity, NaN codes staying NaN. */
static void test_round_trip(void **state)
{
    (void)state;
    const struct target *targets[] = {&f16, &bf16};
    for (size_t i = 0; i < 2; i++) {
        for (uint32_t code = 0; code < 65536; code++) {
            const float v = ingot_float_decode(targets[i]->format, code);
            const uint16_t back = targets[i]->from_f32(v);
            if (isnan(v)) {
                assert_true(isnan(ingot_float_decode(targets[i]->format, back)));
            } else {
                assert_int_equal(back, code);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code),    cmocka_unit_test(test_f32_codes),
        cmocka_unit_test(test_named_values),  cmocka_unit_test(test_f16_rounding),
        cmocka_unit_test(test_bf16_rounding), cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

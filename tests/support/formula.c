/* The formulas of [6.6] and of rounding. */
#include "tests/support/formula.h"

#include <math.h>
#include <string.h>

enum top { TOP_INFINITY_NAN, TOP_VALUES, TOP_VALUES_ALL_ONES_NAN, TOP_VALUES_80_NAN };

/* The table of [6.6], row by row. */
static const struct {
    ingot_dtype format;
    int n_sign, n_exponent, n_fraction;
    int bias;
    enum top top;
} rows[] = {
    {INGOT_F64, 1, 11, 52, 1023, TOP_INFINITY_NAN},
    {INGOT_F32, 1, 8, 23, 127, TOP_INFINITY_NAN},
    {INGOT_F16, 1, 5, 10, 15, TOP_INFINITY_NAN},
    {INGOT_BF16, 1, 8, 7, 127, TOP_INFINITY_NAN},
    {INGOT_F8_E5M2, 1, 5, 2, 15, TOP_INFINITY_NAN},
    {INGOT_F8_E4M3, 1, 4, 3, 7, TOP_VALUES_ALL_ONES_NAN},
    {INGOT_F6_E3M2, 1, 3, 2, 3, TOP_VALUES},
    {INGOT_F6_E2M3, 1, 2, 3, 1, TOP_VALUES},
    {INGOT_F4_E2M1, 1, 2, 1, 1, TOP_VALUES},
    {INGOT_F8_E4M3FNUZ, 1, 4, 3, 8, TOP_VALUES_80_NAN},
    {INGOT_F8_E5M2FNUZ, 1, 5, 2, 16, TOP_VALUES_80_NAN},
};

static uint64_t low_bits(uint64_t v, int n)
{
    return v & ((UINT64_C(1) << n) - 1);
}

double formula_float(ingot_dtype format, uint64_t code)
{
    if (format == INGOT_F8_E8M0) return code == 255 ? NAN : pow(2.0, (double)code - 127.0);
    size_t i = 0;
    while (rows[i].format != format) i++;
    const int k = rows[i].n_fraction;
    const uint64_t f = low_bits(code, k);
    const uint64_t e = low_bits(code >> k, rows[i].n_exponent);
    const double sign = code >> (k + rows[i].n_exponent) & 1 ? -1.0 : 1.0;
    const bool top = e == low_bits(UINT64_MAX, rows[i].n_exponent);
    if (top && rows[i].top == TOP_INFINITY_NAN) return f == 0 ? sign * INFINITY : (double)NAN;
    if (top && rows[i].top == TOP_VALUES_ALL_ONES_NAN && f == low_bits(UINT64_MAX, k)) return NAN;
    if (rows[i].top == TOP_VALUES_80_NAN && code == 0x80) return NAN;
    if (e == 0) return sign * ldexp((double)f, 1 - rows[i].bias - k);
    return sign * ldexp((double)((UINT64_C(1) << k) + f), (int)e - rows[i].bias - k);
}

float formula_integer(uint64_t magnitude, bool negative)
{
    /* Halves until 24 bits are left; what was cut off decides. */
    int n_halved = 0;
    uint64_t kept = magnitude, half = 0, rest = 0;
    while (kept >> 24) {
        rest |= half;
        half = kept & 1;
        kept >>= 1;
        n_halved++;
    }
    if (half && (rest || (kept & 1))) kept++;
    const float v = (float)ldexp((double)kept, n_halved);
    return negative ? -v : v;
}

bool same_f32(float a, float b)
{
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Small float formats: one table row a format, one routine for all. Knows nothing of codings. */
#include "format/floats.h"

#include <math.h>

/* Layout of a binary float: sign (if any), exponent, fraction, from the high bit down. What its
 * highest exponent means differs: IEEE formats hold infinity and NaN there; e4m3 has only the NaN
 * of all ones; the 6- and 4-bit formats have neither; the FNUZ formats use "negative zero" as their
 * only NaN. Sources: IEEE 754-2019; OCP 8-bit Floating Point (OFP8) 1.0; OCP Microscaling 1.0. */
enum specials { SPECIALS_IEEE, SPECIALS_ALL_ONES_NAN, SPECIALS_NONE, SPECIALS_MINUS_ZERO_NAN };

struct float_layout {
    uint8_t exponent_bits;
    uint8_t fraction_bits;
    int16_t bias;
    uint8_t specials;
};

static const struct float_layout layouts[] = {
    [INGOT_F32] = {8, 23, 127, SPECIALS_IEEE},
    [INGOT_F16] = {5, 10, 15, SPECIALS_IEEE},
    [INGOT_BF16] = {8, 7, 127, SPECIALS_IEEE},
    [INGOT_F8_E5M2] = {5, 2, 15, SPECIALS_IEEE},
    [INGOT_F8_E4M3] = {4, 3, 7, SPECIALS_ALL_ONES_NAN},
    [INGOT_F6_E3M2] = {3, 2, 3, SPECIALS_NONE},
    [INGOT_F6_E2M3] = {2, 3, 1, SPECIALS_NONE},
    [INGOT_F4_E2M1] = {2, 1, 1, SPECIALS_NONE},
    [INGOT_F8_E4M3FNUZ] = {4, 3, 8, SPECIALS_MINUS_ZERO_NAN},
    [INGOT_F8_E5M2FNUZ] = {5, 2, 16, SPECIALS_MINUS_ZERO_NAN},
};

static float quiet_nan(uint32_t sign)
{
    return f32_from_bits(sign << 31 | 0x7fc00000u);
}

/* e8m0 holds no sign and no fraction: 2^(code - 127), 255 is NaN. */
static float decode_e8m0(uint32_t code)
{
    return code == 255 ? quiet_nan(0) : ldexpf(1.0f, (int)code - 127);
}

float ingot_float_decode(ingot_dtype format, uint32_t code)
{
    if (format == INGOT_F32) return f32_from_bits(code);
    if (format == INGOT_F16) return f32_from_f16((uint16_t)code);
    if (format == INGOT_BF16) return f32_from_bf16((uint16_t)code);
    if (format == INGOT_F8_E8M0) return decode_e8m0(code);

    const struct float_layout *l = &layouts[format];
    const uint32_t sign = code >> (l->exponent_bits + l->fraction_bits) & 1;
    const uint32_t top = (1u << l->exponent_bits) - 1;
    const uint32_t exponent = code >> l->fraction_bits & top;
    const uint32_t n_fractions = 1u << l->fraction_bits;
    const uint32_t fraction = code & (n_fractions - 1);
    if (l->specials == SPECIALS_IEEE && exponent == top) {
        return fraction ? quiet_nan(sign) : f32_from_bits(sign << 31 | 0x7f800000u);
    }
    if (l->specials == SPECIALS_ALL_ONES_NAN && exponent == top && fraction == n_fractions - 1) {
        return quiet_nan(sign);
    }
    if (l->specials == SPECIALS_MINUS_ZERO_NAN && sign && exponent == 0 && fraction == 0) {
        return quiet_nan(0);
    }
    /* Subnormals have exponent 1 and no hidden bit. Every value here is exact in f32. */
    const uint32_t significand = exponent ? fraction + n_fractions : fraction;
    const int power = (exponent ? (int)exponent : 1) - l->bias - l->fraction_bits;
    const float magnitude = ldexpf((float)significand, power);
    return sign ? -magnitude : magnitude;
}

uint16_t f16_from_f32(float v)
{
    const uint32_t bits = f32_bits(v);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds past 65504 */
    if (magnitude < 0x38800000u) {
        /* Subnormal f16: a multiple of 2^-24. Adding 0.5 puts the last kept bit at the last bit of
         * the f32 fraction, so that the addition itself rounds to even. */
        const float shifted = f32_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (f32_bits(shifted) - f32_bits(0.5f)));
    }
    const uint32_t odd = magnitude >> 13 & 1;
    const uint32_t rounded = magnitude + 0xfffu + odd - (112u << 23);
    return (uint16_t)(sign | rounded >> 13);
}

uint16_t bf16_from_f32(float v)
{
    const uint32_t bits = f32_bits(v);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

/* Small float formats to and from f32, one function a format, exact as the specification's chapter
 * on maps says. Every value of f16, bf16 and the 8-bit and smaller formats is an f32. */
#ifndef INGOT_FLOATS_H
#define INGOT_FLOATS_H

#include <stdint.h>

#include "format/bytes.h"
#include "format/ingot.h"

/* f16 bits to f32. Infinities stay, a NaN keeps its payload bits and becomes quiet. */
static inline float f32_from_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 31u;
    uint32_t fraction = h & 0x3ffu;
    if (exponent == 31) {
        return f32_from_bits(sign | 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0));
    }
    if (exponent != 0) return f32_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    /* Subnormal: fraction * 2^-24, exact in f32. */
    const float magnitude = (float)fraction * 0x1p-24f;
    return f32_from_bits(sign | f32_bits(magnitude));
}

static inline float f32_from_bf16(uint16_t b)
{
    return f32_from_bits((uint32_t)b << 16);
}

/* f32 to the nearest, ties to even. Overflow gives infinity; NaN stays NaN (quiet). */
uint16_t f16_from_f32(float v);
uint16_t bf16_from_f32(float v);

/* Value of a code of a float format (a float dtype of at most 32 bits), NaN and infinity as the
 * format has them. */
float ingot_float_decode(ingot_dtype format, uint32_t code);

#endif

/* f16 to f32 in integer arithmetic; GLSL and C. Knows nothing of where the bits come from.
 *
 *     15  14..10  9..0        normal:    exponent + 112, fraction << 13
 *      s  eeeee   ffff...     eeeee = 0: fraction * 2^-24, through an integer-to-float conversion:
 *                                        a device may flush subnormal f32, never this
 *                             eeeee = 31: exponent 255, a NaN stays a NaN with its fraction */
SHARED_FUNCTION float f32_from_half(uint half_bits)
{
    const uint sign = (half_bits & 0x8000u) << 16;
    const uint exponent = half_bits & 0x7c00u;
    uint magnitude = ((half_bits & 0x7fffu) << 13) + (112u << 23);
    if (exponent == 0x7c00u) magnitude += 112u << 23;
    if (exponent == 0u) {
        magnitude = floatBitsToUint(TO_FLOAT(half_bits & 0x3ffu) * 5.9604644775390625e-8f);
    }
    return uintBitsToFloat(sign | magnitude);
}

/* f16 to f32 and back in integer arithmetic; GLSL and C. Knows nothing of where the bits come from.
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

/* Rounds to the nearest, ties to even; what is too large becomes infinite, a NaN a quiet one. */
SHARED_FUNCTION uint half_from_f32(float value)
{
    const uint bits = floatBitsToUint(value);
    const uint sign = (bits >> 16) & 0x8000u;
    const uint magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return sign | 0x7e00u;
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u;
    if (magnitude < 0x33000000u) return sign; /* below half of 2^-24 */
    /* Bits below those that stay: 13, and more for a subnormal result. */
    uint n_below = 13u;
    uint kept = magnitude - (112u << 23);
    if (magnitude < 0x38800000u) {
        n_below = 126u - (magnitude >> 23);
        kept = (magnitude & 0x7fffffu) | 0x800000u;
    }
    const uint below = kept & ((1u << n_below) - 1u);
    const uint tie = 1u << (n_below - 1u);
    uint rounded = kept >> n_below;
    if (below > tie || (below == tie && (rounded & 1u) == 1u)) rounded += 1u;
    return sign | rounded;
}

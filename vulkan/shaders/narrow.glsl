/* Powers of two that bring numbers into the range of f16; GLSL and C. */

/* 2^(exponent - e) for a number in [2^e, 2^(e + 1)), given by its bits; 1 for a zero or a subnormal.
 * Held within [2^-100, 2^100], so that it and its reciprocal are normal. */
SHARED_FUNCTION float narrow_unit(uint bits, int exponent)
{
    const int e = TO_INT(bits >> 23) - 127;
    int power = exponent - e;
    if (power > 100) power = 100;
    if (power < -100) power = -100;
    if (e == -127) power = 0;
    return uintBitsToFloat(TO_UINT(power + 127) << 23);
}

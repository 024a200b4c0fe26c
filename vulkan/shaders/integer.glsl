/* Map: integers of up to 8 bits less a constant zero. GLSL and C; the includer has FLIP and ZERO.
 *
 * A two's complement code with its sign bit flipped is the value plus 2^(bits - 1):
 *
 *     code   1000 .. 1111 0000 .. 0111
 *     value    -8 ..   -1    0 ..    7
 *     ^ 1000 0000 .. 0111 1000 .. 1111  =  value + 8
 *
 * so FLIP = 2^(bits - 1) and ZERO = zero + 2^(bits - 1) read it, FLIP = 0 and ZERO = zero an
 * unsigned one. The subtraction rounds as map(code) - zero does, because the caller takes only
 * a ZERO that is exact. */
SHARED_FUNCTION float integer_value(uint code)
{
    return TO_FLOAT(code ^ FLIP) - ZERO;
}

/* The same for the code at bits [at, at + bits) of a word, without moving it there first: under the
 * exponent of 2^23 it is a number of its own.
 *
 *     0 10010110 ....cccc.......      2^23 + c * 2^at, then * 2^-at - 2^(23 - at)
 *
 * Both steps are exact, also as one, and so is a small whole zero taken off with them. Any other
 * zero is not: compilers add constants up before they subtract them. */
SHARED_FUNCTION float integer_in_place(uint word, uint at, uint bits)
{
    if (!(FLOOR(ZERO) == ZERO && ZERO > -65536.0f && ZERO < 65536.0f)) {
        return integer_value((word >> at) & ((1u << bits) - 1u));
    }
    if (at + bits > 23u) {
        word >>= 16;
        at -= 16u;
    }
    const uint mask = ((1u << bits) - 1u) << at;
    const float placed = uintBitsToFloat((word & mask) ^ (0x4b000000u | (FLIP << at)));
    const float unit = uintBitsToFloat((127u - at) << 23);
    const float offset = uintBitsToFloat((150u - at) << 23);
    return placed * unit - (offset + ZERO);
}

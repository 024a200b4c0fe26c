/* Map: entries of vector codebooks and their signs. GLSL and C. */

/* Byte j of a word as a signed integer. */
SHARED_FUNCTION float signed_byte(uint word, uint j)
{
    const uint byte = (word >> (8u * j)) & 0xffu;
    return TO_FLOAT(TO_INT(byte ^ 0x80u) - 128);
}

/* Sign codes of 7 bits leave the eighth sign to the parity of the seven. */
SHARED_FUNCTION uint all_signs(uint code, uint bits)
{
    uint parity = code ^ (code >> 4);
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return bits == 7u ? code | ((parity & 1u) << 7) : code;
}

SHARED_FUNCTION float with_sign(float value, uint signs, uint j)
{
    return uintBitsToFloat(floatBitsToUint(value) ^ (((signs >> j) & 1u) << 31));
}

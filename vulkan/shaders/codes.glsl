/* Codes out of words; GLSL and C. A plane of w bits (1, 2, 4, 8, 16) holds element j of a row at
 * bits j * w, low bits first; the widest plane holds the lowest bits of a code. */
SHARED_FUNCTION uint plane_element(uint word, uint j, uint width)
{
    return (word >> ((j * width) & 31u)) & ((1u << width) - 1u);
}

/* Bits of the widest plane of codes of so many bits. */
SHARED_FUNCTION uint widest_plane(uint bits)
{
    return bits == 8u ? 8u : bits >= 4u ? 4u : bits >= 2u ? 2u : 1u;
}

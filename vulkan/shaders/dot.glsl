/* Codes of up to 8 bits, four to a word, as dot products of 8-bit integers take them; GLSL and C. The
 * order of the columns is that of the widest plane of a code, so that a shift and a mask bring four
 * codes at a time:
 *
 *     4 bits, word c:  7777 6666 5555 4444 3333 2222 1111 0000     codes 8 c + ...
 *     slot 2 c         .... 6666 .... 4444 .... 2222 .... 0000
 *     slot 2 c + 1     .... 7777 .... 5555 .... 3333 .... 1111
 *
 * A step of 32 codes has 8 slots. */

/* The column, of a step, of a byte of a slot. */
SHARED_FUNCTION uint slot_column(uint slot, uint byte, uint width)
{
    const uint n_slots = 8u / width; /* of a word */
    return slot / n_slots * (32u / width) + slot % n_slots + n_slots * byte;
}

/* Fields of `width` bits, `stride` bits apart, the first at bit 0, as the low bits of bytes. */
SHARED_FUNCTION uint spread_fields(uint word, uint stride, uint width)
{
    const uint mask = ((1u << width) - 1u) * 0x01010101u;
    if (stride == 4u) {
        const uint pairs = ((word & 0xffffu) | (word << 8)) & 0x00ff00ffu;
        return (pairs | (pairs << 4)) & mask;
    }
    if (stride == 2u) {
        const uint pairs = ((word & 0xffu) | (word << 12)) & 0x000f000fu;
        return (pairs | (pairs << 6)) & mask;
    }
    return word & mask;
}

/* What one plane has of a slot's codes; `word` has the plane's bits of the slot's first code. */
SHARED_FUNCTION uint slot_of_plane(uint word, uint slot, uint width, uint widest)
{
    const uint first = slot_column(slot, 0u, widest);
    return spread_fields(word >> ((first * width) & 31u), 8u / widest * width, width);
}

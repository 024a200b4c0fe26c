/* Codes of up to 8 bits in pairs, as arithmetic on two f16 takes them; GLSL and C. Again the widest
 * plane tells the order of the columns:
 *
 *     4 bits, word c:  7777 6666 5555 4444 3333 2222 1111 0000     codes 8 c + ...
 *     pair 4 c         .... .... .... 4444 .... .... .... 0000
 *     pair 4 c + 1     .... .... .... 5555 .... .... .... 1111
 *
 * A step of 32 codes has 16 pairs. */

/* The column, of a step, of a half (0 or 1) of a pair. */
SHARED_FUNCTION uint pair_column(uint pair, uint part, uint width)
{
    const uint n_pairs = 16u / width; /* of a word */
    return pair / n_pairs * (32u / width) + pair % n_pairs + n_pairs * part;
}

/* What one plane has of a pair's codes; `word` has the plane's bits of the pair's first code. */
SHARED_FUNCTION uint pair_of_plane(uint word, uint pair, uint width, uint widest)
{
    const uint mask = (1u << width) - 1u;
    const uint stride = 16u / widest * width;
    const uint fields = word >> ((pair_column(pair, 0u, widest) * width) & 31u);
    return (fields & mask) | (((fields >> stride) & mask) << 16);
}

/* Whole numbers below 1024 as f16, plus 1024: the lowest bits of its fraction are ones. */
SHARED_FUNCTION uint pair_in_place(uint codes)
{
    return codes | 0x64006400u;
}

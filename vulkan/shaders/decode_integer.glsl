/* Map: integers of CODE_BITS bits, 32 / CODE_BITS codes a word, low bits first, less a constant
 * zero. GLSL and C; the includer defines CODE_BITS, FLIP and ZERO.
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
#define DECODE_PER_WORD (32 / CODE_BITS)

SHARED_FUNCTION float decode_weight(uint word, uint j)
{
    const uint code = (word >> (j * CODE_BITS)) & ((1u << CODE_BITS) - 1u);
    return TO_FLOAT(code ^ FLIP) - ZERO;
}

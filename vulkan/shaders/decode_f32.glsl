/* Map: f32, one code a word, so j is 0. GLSL and C. */
#define DECODE_PER_WORD 1

SHARED_FUNCTION float decode_weight(uint word, uint j)
{
    return uintBitsToFloat(word >> j);
}

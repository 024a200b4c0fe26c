/* Map: bf16, two codes a word, low half first. A bf16 is the upper half of an f32. GLSL and C. */
#define DECODE_PER_WORD 2

SHARED_FUNCTION float decode_weight(uint word, uint j)
{
    return uintBitsToFloat((word >> (16u * j)) << 16);
}

/* Map: f16, two codes a word, low half first. GLSL and C; the includer has half.glsl. */
#define DECODE_PER_WORD 2

SHARED_FUNCTION float decode_weight(uint word, uint j)
{
    return f32_from_half((word >> (16u * j)) & 0xffffu);
}

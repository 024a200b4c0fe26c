/* bf16 to f32; GLSL and C. A bf16 is the upper half of an f32; two to a word, low half first. */
SHARED_FUNCTION float f32_from_brain(uint word, uint j)
{
    return uintBitsToFloat(j == 0u ? word << 16 : word & 0xffff0000u);
}

/* Kept values of f16. */
void values_begin() {}

float value_at(uint i)
{
    return f32_from_half((WORD(HEADER.values + i / 2u) >> (16u * (i & 1u))) & 0xffffu);
}

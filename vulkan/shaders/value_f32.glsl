/* Kept values of f32. */
void values_begin() {}

float value_at(uint i)
{
    return uintBitsToFloat(WORD(HEADER.values + i));
}

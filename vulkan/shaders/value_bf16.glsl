/* Kept values of bf16. */
void values_begin() {}

float value_at(uint i)
{
    return f32_from_brain(WORD(HEADER.values + i / 2u), i & 1u);
}

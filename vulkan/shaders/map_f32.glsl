/* Map: f32, 8 to a step. */
#define STEP_QUARTERS 1
struct Step
{
    uvec4 low;
    uvec4 high;
};

void map_begin() {}

Step step_load(uint row, uint step)
{
    const uint at = (HEADER.codes + row * HEADER.row_words) / 4u + step * 2u;
    return Step(AT(Words4, base, at), AT(Words4, base, at + 1u));
}

vec4 step_weights(Step step, uint i)
{
    return uintBitsToFloat(i == 0u ? step.low : step.high);
}

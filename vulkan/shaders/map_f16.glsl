/* Map: f16, 8 to a step. */
#define STEP_QUARTERS 1
#define Step uvec4

void map_begin() {}

Step step_load(uint row, uint step)
{
    return AT(Words4, base, (HEADER.codes + row * HEADER.row_words) / 4u + step);
}

vec4 step_weights(Step step, uint i)
{
    vec4 w;
    [[unroll]] for (uint j = 0; j < 4; j++) {
        w[j] = f32_from_half((step[i * 2u + j / 2u] >> (16u * (j & 1u))) & 0xffffu);
    }
    return w;
}

/* Map: integers of up to 8 bits, 32 to a step. */
layout(constant_id = SPEC_FLIP) const uint FLIP = 0;
layout(constant_id = SPEC_ZERO) const float ZERO = 0.0;
#include "codes.glsl"
#include "integer.glsl"
#include "step_codes.glsl"

void map_begin() {}

float step_weight(Step s, uint j)
{
    if (BITS == 8) return integer_in_place(eight_word(s, j), (j & 3u) * 8u, 8u);
    if (BITS == 4) return integer_in_place(s.four[j / 8u], (j & 7u) * 4u, 4u);
    if (BITS == 2) return integer_in_place(s.two[j / 16u], (j & 15u) * 2u, 2u);
    if (BITS == 1) return integer_in_place(s.one, j, 1u);
    return integer_value(step_code(s, j));
}

vec4 step_weights(Step s, uint i)
{
    return vec4(step_weight(s, i * 4u), step_weight(s, i * 4u + 1u), step_weight(s, i * 4u + 2u),
                step_weight(s, i * 4u + 3u));
}

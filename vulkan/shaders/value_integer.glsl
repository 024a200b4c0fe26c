/* Kept values of integers of up to 8 bits. */
layout(constant_id = SPEC_FLIP) const uint FLIP = 0;
layout(constant_id = SPEC_ZERO) const float ZERO = 0.0;
#include "integer.glsl"
#include "value_codes.glsl"

void values_begin() {}

float value_at(uint i)
{
    return integer_value(value_code(i));
}

/* Codes of kept values of up to 8 bits: one row of them. */
#include "codes.glsl"
layout(constant_id = SPEC_BITS) const uint BITS = 4;

uint value_code(uint i)
{
    uint at = HEADER.values;
    uint code = 0u;
    uint shift = 0u;
    [[unroll]] for (uint width = 8u; width > 0u; width /= 2u) {
        if ((BITS & width) == 0u) continue;
        code |= plane_element(WORD(at + i * width / 32u), i, width) << shift;
        at += HEADER.value_room * width;
        shift += width;
    }
    return code;
}

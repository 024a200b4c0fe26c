/* What every kernel is given: references to memory, push constants, the common specialization
 * constants, and the reduction over the lanes of a team. The includer defines the element types
 * CODES_ELEMENT and VECTOR_ELEMENT first, with their alignments. Knows no map. */
#include "constants.glsl"

#define SHARED_FUNCTION
#define TO_FLOAT(v) float(v)

layout(buffer_reference, std430, buffer_reference_align = CODES_ALIGN) readonly buffer Codes
{
    CODES_ELEMENT v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Words
{
    uint v[];
};
layout(buffer_reference, std430, buffer_reference_align = VECTOR_ELEMENT_ALIGN) readonly buffer
    Vectors
{
    VECTOR_ELEMENT v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats
{
    float v[];
};

layout(push_constant) uniform Push
{
#define ADDRESS(type) type
#define UINT uint
#define FLOAT float
#include "push.glsl"
} push;

layout(local_size_x = GROUP_THREADS) in;
layout(constant_id = SPEC_LANES) const uint LANES = 1;
layout(constant_id = SPEC_ADD) const bool ADD = false;

/* Lanes [0, LANES) of a team share rows; a workgroup is GROUP_THREADS / LANES teams. */
uint lane_index()
{
    return gl_LocalInvocationID.x & (LANES - 1u);
}

uint team_index()
{
    const uint group = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
    return (group * GROUP_THREADS + gl_LocalInvocationID.x) / LANES;
}

void store(uint vector, uint row, float sum)
{
    const uint at = vector * push.y_stride + row;
    const float scaled = push.multiplier * sum;
    push.y.v[at] = ADD ? push.y.v[at] + scaled : scaled;
}

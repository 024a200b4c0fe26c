/* What every kernel is given: references to memory, push constants, and the common specialization
 * constants. The includer defines GROUP_THREADS, or leaves it to SPEC_THREADS. Knows no map. */
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require
#include "constants.glsl"

#define SHARED_FUNCTION
#define TO_FLOAT(v) float(v)
#define TO_INT(v) int(v)
#define TO_UINT(v) uint(v)
#define FLOOR(v) floor(v)

#define UINT uint
#define FLOAT float
struct Table
{
#include "table.glsl"
};
#define TABLE Table
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Header
{
#include "header.glsl"
};
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Words
{
    uint v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Words2
{
    uvec2 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Words4
{
    uvec4 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Vectors
{
    vec4 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats
{
    float v[];
};

layout(push_constant) uniform Push
{
#define ADDRESS(type) type
#include "push.glsl"
} push;

#ifdef GROUP_THREADS
layout(local_size_x = GROUP_THREADS) in;
#else
layout(local_size_x_id = SPEC_THREADS) in;
#define GROUP_THREADS gl_WorkGroupSize.x
#endif
layout(constant_id = SPEC_ADD) const bool ADD = false;

#define HEADER Header(push.base)
#define WORD(at) (push.base.v[at])

void store(uint vector, uint row, float sum)
{
    const uint at = vector * push.y_stride + row;
    const float scaled = push.multiplier * sum;
    push.y.v[at] = ADD ? push.y.v[at] + scaled : scaled;
}

/* The same of one slice of the columns: with several, each has results of its own. */
void store_sum(uint slice, uint vector, uint row, float sum)
{
    if (push.n_slices > 1u) {
        push.y.v[slice * push.slice_stride + vector * push.y_stride + row] = sum;
    } else {
        store(vector, row, sum);
    }
}

/* Results to their rows: y[list[i]] = factors[i] * x[i], or added to y; for every vector. */
#version 460
#define GROUP_THREADS SIMPLE_THREADS
#include "interface.glsl"

void main()
{
    const uint i = push.first_row + gl_GlobalInvocationID.x;
    const uint vector = gl_WorkGroupID.y;
    if (i >= push.end_row) return;
    const float value = AT(Floats, x, vector * push.x_stride + i) * AT(Floats, factors, i);
    store(vector, AT(Words, list, i), value);
}

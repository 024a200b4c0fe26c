/* Inputs in another order: y[i] = x[list[i]] * factors[i], zero where list[i] is no column; for
 * every vector, y_stride of them. */
#version 460
#define GROUP_THREADS SIMPLE_THREADS
#include "interface.glsl"

void main()
{
    const uint i = gl_GlobalInvocationID.x;
    const uint vector = gl_WorkGroupID.y;
    if (i >= push.y_stride) return;
    const uint column = i < push.end_row ? push.list.v[i] : 0xffffffffu;
    float value = 0.0;
    if (column != 0xffffffffu) {
        value = Floats(push.x).v[vector * push.x_stride + column] * push.factors.v[i];
    }
    push.y.v[vector * push.y_stride + i] = value;
}

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
    const uint column = i < push.end_row ? AT(Words, list, i) : 0xffffffffu;
    float value = 0.0;
    if (column != 0xffffffffu) {
        value = AT(Floats, x, vector * push.x_stride + column) * AT(Floats, factors, i);
    }
    AT(Floats, y, vector * push.y_stride + i) = value;
}

/* Adds up the slices of a split matrix-matrix product, in their order: y = multiplier * sum, or
 * added to y. x holds the slices, of n_vectors rows of x_stride floats each. */
#version 460
#define GROUP_THREADS SIMPLE_THREADS
#include "interface.glsl"

void main()
{
    const uint row = push.first_row + gl_GlobalInvocationID.x;
    const uint vector = gl_WorkGroupID.y;
    if (row >= push.end_row) return;
    float sum = 0.0;
    for (uint i = 0; i < push.n_slices; i++) {
        sum += AT(Floats, x, i * push.slice_stride + vector * push.x_stride + row);
    }
    store(vector, row, sum);
}

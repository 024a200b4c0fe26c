/* The kernel over a list of weights: row r has the values [offsets[r], offsets[r + 1]), each with
 * its column. y = multiplier * S x, or added to y. A team of LANES lanes takes a row. The order of
 * every sum is fixed. */
#version 460
#define GROUP_THREADS GEMV_THREADS
#include "interface.glsl"
#include "half.glsl"
#include "brain.glsl"
#if defined(MAP_F32)
#include "value_f32.glsl"
#elif defined(MAP_F16)
#include "value_f16.glsl"
#elif defined(MAP_BF16)
#include "value_bf16.glsl"
#endif
layout(constant_id = SPEC_LANES) const uint LANES = 1;

shared float partial[GROUP_THREADS];

void main()
{
    const uint group = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
    const uint thread = gl_LocalInvocationID.x;
    const uint lane = thread & (LANES - 1u);
    const uint row = push.first_row + (group * GROUP_THREADS + thread) / LANES;
    const uint at = HEADER.codes + min(row, push.end_row - 1u);
    const uint end = row < push.end_row ? WORD(at + 1u) : 0u;
    for (uint vector = 0; vector < push.n_vectors; vector++) {
        float sum = 0.0;
        for (uint i = WORD(at) + lane; i < end; i += LANES) {
            const uint column = WORD(HEADER.columns + i);
            sum = fma(value_at(i), AT(Floats, x, vector * push.x_stride + column), sum);
        }
        partial[thread] = sum;
        for (uint half_lanes = LANES / 2u; half_lanes > 0u; half_lanes /= 2u) {
            barrier();
            if (lane < half_lanes) partial[thread] += partial[thread + half_lanes];
        }
        if (lane == 0u && row < push.end_row) store(vector, row, partial[thread]);
        barrier(); /* the next vector overwrites what the other lanes still read */
    }
}

/* How fast f32 products are added up in registers: 32 fused multiply-adds a turn, n_slices turns. */
#version 460
#define GROUP_THREADS SIMPLE_THREADS
#include "interface.glsl"

void main()
{
    vec4 sums[8];
    const vec4 factor = vec4(push.multiplier);
    [[unroll]] for (uint i = 0; i < 8; i++) sums[i] = vec4(float(gl_GlobalInvocationID.x + i));
    for (uint turn = 0; turn < push.n_slices; turn++) {
        [[unroll]] for (uint i = 0; i < 8; i++) sums[i] = fma(sums[i], factor, vec4(1.0));
    }
    vec4 sum = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 8; i++) sum += sums[i];
    push.y.v[gl_GlobalInvocationID.x] = sum.x + sum.y + sum.z + sum.w;
}

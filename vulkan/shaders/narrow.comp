/* Vectors as f16 for matrix units: each is divided by a power of two that brings its largest
 * magnitude to NARROW_X_EXPONENT, and rounded; the power stands behind it. A workgroup takes a
 * vector. */
#version 460
#extension GL_EXT_control_flow_attributes : require
#define GROUP_THREADS NARROW_THREADS
#include "interface.glsl"
#include "half.glsl"
#include "narrow.glsl"

shared uint largest[GROUP_THREADS];

/* Of the finite elements: the others stay what they are. */
uint largest_of(vec4 x)
{
    uint bits = 0u;
    [[unroll]] for (uint j = 0; j < 4; j++) {
        const uint magnitude = floatBitsToUint(x[j]) & 0x7fffffffu;
        if (magnitude < 0x7f800000u) bits = max(bits, magnitude);
    }
    return bits;
}

uint pair(float low, float high)
{
    return half_from_f32(low) | (half_from_f32(high) << 16);
}

void main()
{
    const uint thread = gl_LocalInvocationID.x;
    const uint vector = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
    if (vector >= push.n_vectors) return;
    const uint n_quads = push.x_stride / 4u;
    const uint from = vector * n_quads;
    uint bits = 0u;
    for (uint i = thread; i < n_quads; i += GROUP_THREADS) {
        bits = max(bits, largest_of(AT(Vectors, x, from + i)));
    }
    largest[thread] = bits;
    for (uint n = GROUP_THREADS / 2u; n > 0u; n /= 2u) {
        barrier();
        if (thread < n) largest[thread] = max(largest[thread], largest[thread + n]);
    }
    barrier();
    const float unit = narrow_unit(largest[0], NARROW_X_EXPONENT);
    const uint to = vector * push.y_stride;
    for (uint i = thread; i < (push.y_stride - 4u) / 2u; i += GROUP_THREADS) {
        const vec4 x = i < n_quads ? AT(Vectors, x, from + i) * unit : vec4(0.0);
        AT(Floats, y, to + i * 2u) = uintBitsToFloat(pair(x.x, x.y));
        AT(Floats, y, to + i * 2u + 1u) = uintBitsToFloat(pair(x.z, x.w));
    }
    if (thread == 0u) AT(Floats, y, to + push.y_stride - 4u) = 1.0 / unit;
}

/* Inputs as pairs of f16, in the order of pair.glsl for codes of BITS bits, each step of 32 columns
 * divided by a power of two that brings its largest magnitude to NARROW_X_EXPONENT. Of a step, 24
 * words: 16 pairs, the power, and the sums of quarters. An invocation takes a step. */
#version 460
#define GROUP_THREADS SIMPLE_THREADS
#include "interface.glsl"
#include "codes.glsl"
#include "half.glsl"
#include "narrow.glsl"
#include "pair.glsl"
layout(constant_id = SPEC_BITS) const uint BITS = 4;

void main()
{
    const uint n_steps = push.x_stride / STEP_COLS;
    const uint step = gl_GlobalInvocationID.x;
    const uint vector = gl_WorkGroupID.y;
    if (step >= n_steps) return;
    const uint from = (vector * n_steps + step) * (STEP_COLS / 4);
    const uint to = vector * push.y_stride + step * PAIRED_WORDS;
    vec4 x[STEP_COLS / 4];
    uint bits = 0u;
    [[unroll]] for (uint i = 0; i < STEP_COLS / 4; i++) {
        x[i] = AT(Vectors, x, from + i);
        [[unroll]] for (uint j = 0; j < 4; j++) {
            const uint magnitude = floatBitsToUint(x[i][j]) & 0x7fffffffu;
            if (magnitude < 0x7f800000u) bits = max(bits, magnitude);
        }
    }
    const float unit = narrow_unit(bits, NARROW_X_EXPONENT);
    uint halves[STEP_COLS];
    [[unroll]] for (uint i = 0; i < STEP_COLS; i++) {
        halves[i] = half_from_f32(x[i / 4u][i % 4u] * unit);
    }
    [[unroll]] for (uint pair = 0; pair < STEP_COLS / 2; pair++) {
        const uint low = halves[pair_column(pair, 0u, widest_plane(BITS))];
        const uint high = halves[pair_column(pair, 1u, widest_plane(BITS))];
        AT(Floats, y, to + pair) = uintBitsToFloat(low | (high << 16));
    }
    AT(Floats, y, to + 16u) = 1.0 / unit;
    [[unroll]] for (uint quarter = 0; quarter < 4; quarter++) {
        float sum = 0.0;
        [[unroll]] for (uint j = 0; j < QUARTER_COLS; j++) {
            sum += f32_from_half(halves[quarter * QUARTER_COLS + j]);
        }
        AT(Floats, y, to + 17u + quarter) = sum;
    }
    [[unroll]] for (uint i = 21u; i < PAIRED_WORDS; i++) AT(Floats, y, to + i) = 0.0;
}

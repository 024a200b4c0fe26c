/* Inputs as 8-bit integers times a scale for each step of 32 columns, in the order of dot.glsl for
 * codes of BITS bits. Of a step, 12 words: 8 slots, the scale, the sums of quarters as 16-bit
 * integers. A step that holds what is not finite gets a scale that is no number. An invocation takes
 * a step. */
#version 460
#define GROUP_THREADS SIMPLE_THREADS
#include "interface.glsl"
#include "codes.glsl"
#include "dot.glsl"
layout(constant_id = SPEC_BITS) const uint BITS = 4;

/* Less than this is taken for zero: its reciprocal would be infinite. */
#define LEAST 1e-30

void main()
{
    const uint n_steps = push.x_stride / STEP_COLS;
    const uint step = gl_GlobalInvocationID.x;
    const uint vector = gl_WorkGroupID.y;
    if (step >= n_steps) return;
    const uint from = (vector * n_steps + step) * (STEP_COLS / 4);
    const uint to = vector * push.y_stride + step * ROUNDED_WORDS;
    vec4 x[STEP_COLS / 4];
    uint bits = 0u;
    [[unroll]] for (uint i = 0; i < STEP_COLS / 4; i++) {
        x[i] = AT(Vectors, x, from + i);
        [[unroll]] for (uint j = 0; j < 4; j++) {
            bits = max(bits, floatBitsToUint(x[i][j]) & 0x7fffffffu);
        }
    }
    const float largest = uintBitsToFloat(bits);
    const bool is_finite = bits < 0x7f800000u;
    const bool is_zero = !is_finite || largest < LEAST;
    const float inverse = is_zero ? 0.0 : 127.0 / largest;
    int q[STEP_COLS];
    [[unroll]] for (uint i = 0; i < STEP_COLS; i++) {
        q[i] = is_zero ? 0 : clamp(int(roundEven(x[i / 4u][i % 4u] * inverse)), -127, 127);
    }
    [[unroll]] for (uint slot = 0; slot < STEP_COLS / 4; slot++) {
        uint word = 0u;
        [[unroll]] for (uint j = 0; j < 4; j++) {
            word |= uint(q[slot_column(slot, j, widest_plane(BITS))] & 0xff) << (8u * j);
        }
        AT(Floats, y, to + slot) = uintBitsToFloat(word);
    }
    uint sums[2] = uint[2](0u, 0u);
    [[unroll]] for (uint quarter = 0; quarter < 4; quarter++) {
        int sum = 0;
        [[unroll]] for (uint j = 0; j < QUARTER_COLS; j++) sum += q[quarter * QUARTER_COLS + j];
        sums[quarter / 2u] |= uint(sum & 0xffff) << (16u * (quarter & 1u));
    }
    const float scale = is_zero ? 0.0 : largest / 127.0;
    AT(Floats, y, to + 8u) = is_finite ? scale : uintBitsToFloat(0x7fc00000u);
    AT(Floats, y, to + 9u) = uintBitsToFloat(sums[0]);
    AT(Floats, y, to + 10u) = uintBitsToFloat(sums[1]);
    AT(Floats, y, to + 11u) = 0.0;
}

/* Weights as they are: rows [first_row, end_row) to rows of y_stride f32, or as many f16, of which
 * two make a word; or the largest magnitude of them all, which does not depend on an order. An
 * invocation takes a quarter of a row. */
#version 460
#define GROUP_THREADS SIMPLE_THREADS
#include "interface.glsl"
#include "map.glsl"
#include "tables.glsl"
layout(constant_id = SPEC_RESULT) const uint RESULT = RESULT_F32;

void keep_largest(vec4 w)
{
    const uvec4 magnitudes = floatBitsToUint(w) & 0x7fffffffu;
    const uint largest = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
    /* Of what is not finite, no scale makes an f16. */
    if (largest < 0x7f800000u) atomicMax(AT(Counters, y, 0), largest);
}

void main()
{
    map_begin();
    const uint n_steps = HEADER.row_steps;
    const uint quarter = gl_GlobalInvocationID.x;
    const uint row = push.first_row + gl_WorkGroupID.y;
    const uint step = quarter / STEP_QUARTERS;
    if (step >= n_steps || quarter * QUARTER_COLS >= push.y_stride) return;
    const Step codes = step_load(row, step);
    const Entries entries = entries_at(table_rows(row), quarter);
    const uint at = gl_WorkGroupID.y * push.y_stride + quarter * QUARTER_COLS;
    [[unroll]] for (uint k = 0; k < 2; k++) {
        const vec4 mapped = step_weights(codes, (quarter % STEP_QUARTERS) * 2u + k);
        const vec4 w = complete_weights(mapped, entries);
        if (RESULT == RESULT_LARGEST) keep_largest(w);
        [[unroll]] for (uint j = 0; j < 4; j++) {
            if (RESULT == RESULT_F32) AT(Floats, y, at + k * 4u + j) = w[j];
        }
        [[unroll]] for (uint j = 0; j < 4; j += 2) {
            const uint pair = half_from_f32(w[j]) | (half_from_f32(w[j + 1u]) << 16);
            if (RESULT == RESULT_F16) AT(Floats, y, (at + k * 4u + j) / 2u) = uintBitsToFloat(pair);
        }
    }
}

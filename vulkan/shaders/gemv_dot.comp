/* The matrix-vector kernel in dot products of 8-bit integers: as gemv.comp, of inputs as round.comp
 * makes them, which stay exact from there to the sums of a grain. */
#version 460
#define GROUP_THREADS GEMV_THREADS
#include "interface.glsl"
#include "map.glsl"
#include "tables.glsl"
#include "dot_codes.glsl"
#include "team.glsl"

Rounded load_rounded(uint vector, uint step)
{
    const uint at = (min(vector, push.n_vectors - 1u) * push.x_stride + step * ROUNDED_WORDS) / 4u;
    return Rounded(ivec4(AT(Words4, x, at)), ivec4(AT(Words4, x, at + 1u)), AT(Words4, x, at + 2u));
}

/* sum ((q - zero) * scale + bias) x  =  d * (scale * (sum q X - zero * sum X) + bias * sum X) for
 * x = d X: within a step, all but the products with scale, bias and d are exact. */
void sum_rows(uint first_row)
{
    const uint n_steps = HEADER.row_steps;
    uint rows[ROWS];
    TableRows entries[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        rows[r] = min(first_row + r, push.end_row - 1u);
        entries[r] = table_rows(rows[r]);
    }
    [[unroll]] for (uint i = 0; i < N_SUMS; i++) sums[i] = 0.0;
    for (uint step = lane_index(); step < n_steps; step += LANES) {
        Step codes[ROWS];
        Rounded x[VECTORS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) codes[r] = step_load(rows[r], step);
        [[unroll]] for (uint v = 0; v < VECTORS; v++) x[v] = load_rounded(v, step);
        [[unroll]] for (uint grain = 0; grain < STEP_GRAINS; grain++) {
            const uint at = step * STEP_QUARTERS + grain * GRAIN;
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                int dots[VECTORS];
                [[unroll]] for (uint v = 0; v < VECTORS; v++) dots[v] = 0;
                [[unroll]] for (uint i = 0; i < GRAIN_SLOTS; i++) {
                    const uint slot = grain * GRAIN_SLOTS + i;
                    const int w = step_slot(codes[r], slot);
                    [[unroll]] for (uint v = 0; v < VECTORS; v++) {
                        dots[v] += signed_dot(w, rounded_slot(x[v], slot), 0);
                    }
                }
                const float scale = scale_entry(entries[r], at);
                const float zero = SLOT_ZERO + zero_entry(entries[r], at);
                const float bias = bias_entry(entries[r], at);
                [[unroll]] for (uint v = 0; v < VECTORS; v++) {
                    const float x_sum = float(rounded_sum(x[v].more, grain));
                    const float d = rounded_scale(x[v].more);
                    const uint i = r * VECTORS + v;
                    sums[i] = fma(d * scale, fma(-zero, x_sum, float(dots[v])), sums[i]);
                    if (BIAS_TABLE_FORM != ENTRIES_NONE) sums[i] = fma(d * bias, x_sum, sums[i]);
                }
            }
        }
    }
}

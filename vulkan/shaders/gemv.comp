/* The matrix-vector kernel: y = multiplier * W x, or added to y, for up to VECTORS vectors. A team
 * of LANES lanes takes ROWS rows; a lane takes every LANES-th step of codes. The order of every sum
 * is fixed.
 *
 * NaN and infinity pass through as the device's arithmetic has them, zeros lose their sign, and a
 * device may flush subnormal f32 weights, products and sums to zero. */
#version 460
#define GROUP_THREADS GEMV_THREADS
#include "interface.glsl"
#include "map.glsl"
#include "tables.glsl"
#include "team.glsl"

/* With tables, the sums over a grain of columns are scaled as they end:
 *
 *     sum ((q - zero) * scale + bias) x  =  scale * sum q x + (bias - zero * scale) * sum x */
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
        float chains[N_SUMS];
        float x_sums[VECTORS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) codes[r] = step_load(rows[r], step);
        [[unroll]] for (uint quarter = 0; quarter < STEP_QUARTERS; quarter++) {
            if (has_tables() && quarter % GRAIN == 0) {
                [[unroll]] for (uint i = 0; i < N_SUMS; i++) chains[i] = 0.0;
                [[unroll]] for (uint v = 0; v < VECTORS; v++) x_sums[v] = 0.0;
            }
            [[unroll]] for (uint quad = quarter * 2; quad < quarter * 2 + 2; quad++) {
                vec4 x[VECTORS];
                [[unroll]] for (uint v = 0; v < VECTORS; v++) {
                    const uint vector = min(v, push.n_vectors - 1u);
                    x[v] = AT(Vectors, x, vector * (push.x_stride / 4u) + step * STEP_QUADS + quad);
                    if (has_offset()) x_sums[v] += (x[v].x + x[v].y) + (x[v].z + x[v].w);
                }
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    const vec4 w = step_weights(codes[r], quad);
                    [[unroll]] for (uint v = 0; v < VECTORS; v++) {
                        const uint i = r * VECTORS + v;
                        float sum = has_tables() ? chains[i] : sums[i];
                        [[unroll]] for (uint j = 0; j < 4; j++) sum = fma(w[j], x[v][j], sum);
                        if (has_tables()) chains[i] = sum;
                        else sums[i] = sum;
                    }
                }
            }
            if (has_tables() && (quarter % GRAIN == GRAIN - 1u || quarter == STEP_QUARTERS - 1u)) {
                const uint at = step * STEP_QUARTERS + quarter;
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    const float scale = scale_entry(entries[r], at);
                    float offset = 0.0;
                    if (has_offset()) {
                        offset = fma(-zero_entry(entries[r], at), scale, bias_entry(entries[r], at));
                    }
                    [[unroll]] for (uint v = 0; v < VECTORS; v++) {
                        const uint i = r * VECTORS + v;
                        sums[i] = fma(scale, chains[i], sums[i]);
                        if (has_offset()) sums[i] = fma(offset, x_sums[v], sums[i]);
                    }
                }
            }
        }
    }
}

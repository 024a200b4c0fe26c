/* The matrix-matrix kernel in dot products of 8-bit integers: as gemm.comp, of inputs as round.comp
 * makes them. */
#version 460
#define GROUP_THREADS GEMM_THREADS
#include "interface.glsl"
#include "map.glsl"
#include "tables.glsl"
#include "dot_codes.glsl"

/* A step of W and of x: tile[slot][row or vector], and what belongs to their grains. */
shared ivec4 tile_w[STEP_SLOTS][GEMM_ROWS / 4];
shared ivec4 tile_x[STEP_SLOTS][GEMM_VECTORS / 4];
shared float row_scales[STEP_GRAINS][GEMM_ROWS];
shared float row_zeros[STEP_GRAINS][GEMM_ROWS];
shared float row_biases[STEP_GRAINS][GEMM_ROWS];
shared uvec4 x_more[GEMM_VECTORS];

/* A thread brings the step of one row. */
void load_weights(uint row, TableRows rows, uint step)
{
    const uint r = gl_LocalInvocationID.x;
    const Step codes = step_load(row, step);
    [[unroll]] for (uint slot = 0; slot < STEP_SLOTS; slot++) {
        tile_w[slot][r / 4u][r % 4u] = step_slot(codes, slot);
    }
    [[unroll]] for (uint grain = 0; grain < STEP_GRAINS; grain++) {
        const uint at = step * STEP_QUARTERS + grain * GRAIN;
        row_scales[grain][r] = scale_entry(rows, at);
        row_zeros[grain][r] = SLOT_ZERO + zero_entry(rows, at);
        if (BIAS_TABLE_FORM != ENTRIES_NONE) row_biases[grain][r] = bias_entry(rows, at);
    }
}

void load_vectors(uint first_vector, uint step)
{
    const uint part = gl_LocalInvocationID.x / GEMM_VECTORS;
    const uint v = gl_LocalInvocationID.x % GEMM_VECTORS;
    if (part >= ROUNDED_WORDS / 4u) return;
    const uint vector = min(first_vector + v, push.n_vectors - 1u);
    const uint at = (vector * push.x_stride + step * ROUNDED_WORDS) / 4u + part;
    const uvec4 words = AT(Words4, x, at);
    if (part == 2u) x_more[v] = words;
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (part < 2u) tile_x[part * 4u + i][v / 4u][v % 4u] = int(words[i]);
    }
}

void main()
{
    const uint n_steps = HEADER.row_steps;
    const uint first_row = push.first_row + gl_WorkGroupID.x * GEMM_ROWS;
    const uint first_vector = gl_WorkGroupID.y * GEMM_VECTORS;
    const uint slice = gl_WorkGroupID.z;
    const uint end = min((slice + 1u) * push.slice_blocks, n_steps);
    /* A thread has rows 4 m .. and, half of the rows on, 4 more; and vectors 4 n .. */
    const uint m = gl_LocalInvocationID.x % (GEMM_ROWS / 8);
    const uint n = gl_LocalInvocationID.x / (GEMM_ROWS / 8);
    float sums[8][4];
    [[unroll]] for (uint i = 0; i < 8; i++) {
        [[unroll]] for (uint j = 0; j < 4; j++) sums[i][j] = 0.0;
    }
    const uint row = min(first_row + gl_LocalInvocationID.x, push.end_row - 1u);
    const TableRows rows = table_rows(row);
    for (uint step = slice * push.slice_blocks; step < end; step++) {
        load_weights(row, rows, step);
        load_vectors(first_vector, step);
        barrier();
        for (uint grain = 0; grain < STEP_GRAINS; grain++) {
            int dots[8][4];
            [[unroll]] for (uint i = 0; i < 8; i++) {
                [[unroll]] for (uint j = 0; j < 4; j++) dots[i][j] = 0;
            }
            [[unroll]] for (uint k = 0; k < GRAIN_SLOTS; k++) {
                const uint slot = grain * GRAIN_SLOTS + k;
                const ivec4 low = tile_w[slot][m];
                const ivec4 high = tile_w[slot][m + GEMM_ROWS / 8];
                const ivec4 x = tile_x[slot][n];
                [[unroll]] for (uint i = 0; i < 8; i++) {
                    const int w = i < 4u ? low[i % 4u] : high[i % 4u];
                    [[unroll]] for (uint j = 0; j < 4; j++) {
                        dots[i][j] += signed_dot(w, x[j], 0);
                    }
                }
            }
            [[unroll]] for (uint j = 0; j < 4; j++) {
                const uvec4 more = x_more[n * 4u + j];
                const float d = rounded_scale(more);
                const float x_sum = float(rounded_sum(more, grain));
                [[unroll]] for (uint i = 0; i < 8; i++) {
                    const uint r = (i / 4u) * (GEMM_ROWS / 2) + m * 4u + i % 4u;
                    const float exact = fma(-row_zeros[grain][r], x_sum, float(dots[i][j]));
                    sums[i][j] = fma(d * row_scales[grain][r], exact, sums[i][j]);
                    if (BIAS_TABLE_FORM != ENTRIES_NONE) {
                        sums[i][j] = fma(d * row_biases[grain][r], x_sum, sums[i][j]);
                    }
                }
            }
        }
        barrier();
    }
    [[unroll]] for (uint j = 0; j < 4; j++) {
        const uint vector = first_vector + n * 4u + j;
        if (vector >= push.n_vectors) continue;
        [[unroll]] for (uint i = 0; i < 8; i++) {
            const uint to = first_row + (i / 4u) * (GEMM_ROWS / 2) + m * 4u + i % 4u;
            if (to >= push.end_row) continue;
            store_sum(slice, vector, to, sums[i][j]);
        }
    }
}

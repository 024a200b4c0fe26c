/* The matrix-matrix kernel in f32: y = multiplier * W x, or added to y, for GEMM_ROWS rows and
 * GEMM_VECTORS vectors a workgroup, over one slice of the columns. With several slices each writes
 * its own results, which reduce.comp adds up. The order of every sum is fixed. */
#version 460
#define GROUP_THREADS GEMM_THREADS
#include "interface.glsl"
#include "map.glsl"
#include "tables.glsl"

/* A block of STEP_COLS columns of W, scaled, and of x: tile[column][row or vector]. */
shared vec4 tile_w[STEP_COLS][GEMM_ROWS / 4];
shared vec4 tile_x[STEP_COLS][GEMM_VECTORS / 4 + 1];

#define BLOCK_QUARTERS (STEP_COLS / QUARTER_COLS)
#define BLOCK_STEPS (BLOCK_QUARTERS / STEP_QUARTERS)

/* A thread decodes the block of one row. Steps behind the end of a row are zeros. */
void load_weights(uint row, TableRows rows, uint block)
{
    const uint r = gl_LocalInvocationID.x;
    const uint n_steps = HEADER.row_steps;
    Entries entries = Entries(0.0, 1.0, 0.0);
    [[unroll]] for (uint i = 0; i < BLOCK_STEPS; i++) {
        const uint step = block * BLOCK_STEPS + i;
        const bool inside = step < n_steps;
        const Step codes = step_load(row, inside ? step : 0u);
        [[unroll]] for (uint quad = 0; quad < STEP_QUADS; quad++) {
            const uint quarter = i * STEP_QUARTERS + quad / 2u;
            if (quad % 2u == 0u && quarter % GRAIN == 0u) {
                entries = entries_at(rows, block * BLOCK_QUARTERS + quarter);
            }
            const vec4 w = complete_weights(step_weights(codes, quad), entries);
            [[unroll]] for (uint j = 0; j < 4; j++) {
                tile_w[(i * STEP_QUADS + quad) * 4u + j][r / 4u][r % 4u] = inside ? w[j] : 0.0;
            }
        }
    }
}

void load_vectors(uint first_vector, uint block)
{
    const uint quad = gl_LocalInvocationID.x % (STEP_COLS / 4);
    const uint first = gl_LocalInvocationID.x / (STEP_COLS / 4);
    [[unroll]] for (uint i = 0; i < GEMM_VECTORS; i += GROUP_THREADS / (STEP_COLS / 4)) {
        const uint v = first + i;
        const uint vector = min(first_vector + v, push.n_vectors - 1u);
        const uint at = vector * (push.x_stride / 4u) + block * (STEP_COLS / 4) + quad;
        const vec4 x = AT(Vectors, x, at);
        [[unroll]] for (uint j = 0; j < 4; j++) tile_x[quad * 4u + j][v / 4u][v % 4u] = x[j];
    }
}

void main()
{
    const uint n_blocks = (HEADER.row_steps + BLOCK_STEPS - 1u) / BLOCK_STEPS;
    const uint first_row = push.first_row + gl_WorkGroupID.x * GEMM_ROWS;
    const uint first_vector = gl_WorkGroupID.y * GEMM_VECTORS;
    const uint slice = gl_WorkGroupID.z;
    const uint end = min((slice + 1u) * push.slice_blocks, n_blocks);
    /* A thread has rows 4 m .. and, half of the rows on, 4 more; and vectors 4 n .. */
    const uint m = gl_LocalInvocationID.x % (GEMM_ROWS / 8);
    const uint n = gl_LocalInvocationID.x / (GEMM_ROWS / 8);
    vec4 low[4];
    vec4 high[4];
    [[unroll]] for (uint j = 0; j < 4; j++) {
        low[j] = vec4(0.0);
        high[j] = vec4(0.0);
    }
    const uint row = min(first_row + gl_LocalInvocationID.x, push.end_row - 1u);
    const TableRows rows = table_rows(row);
    map_begin();
    for (uint block = slice * push.slice_blocks; block < end; block++) {
        load_weights(row, rows, block);
        load_vectors(first_vector, block);
        barrier();
        for (uint k = 0; k < STEP_COLS; k++) {
            const vec4 w_low = tile_w[k][m];
            const vec4 w_high = tile_w[k][m + GEMM_ROWS / 8];
            const vec4 x = tile_x[k][n];
            [[unroll]] for (uint j = 0; j < 4; j++) {
                low[j] = fma(w_low, vec4(x[j]), low[j]);
                high[j] = fma(w_high, vec4(x[j]), high[j]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint j = 0; j < 4; j++) {
        const uint vector = first_vector + n * 4u + j;
        if (vector >= push.n_vectors) continue;
        [[unroll]] for (uint i = 0; i < 8; i++) {
            const uint to = first_row + (i / 4u) * (GEMM_ROWS / 2) + m * 4u + i % 4u;
            const float sum = i < 4u ? low[j][i % 4u] : high[j][i % 4u];
            if (to >= push.end_row) continue;
            store_sum(slice, vector, to, sum);
        }
    }
}

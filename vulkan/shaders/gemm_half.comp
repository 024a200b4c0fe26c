/* The matrix-matrix kernel in pairs of f16: as gemm.comp, of weights and inputs rounded to f16, the
 * inputs as narrow.comp makes them. Eight products are added up in f16, and what comes of that in
 * f32. */
#version 460
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define GROUP_THREADS GEMM_THREADS
#include "interface.glsl"
#include "map.glsl"
#include "tables.glsl"
#define BLOCK_QUARTERS (STEP_COLS / QUARTER_COLS)
#define BLOCK_STEPS (BLOCK_QUARTERS / STEP_QUARTERS)
#define BLOCK_PAIRS (STEP_COLS / 2)
#define CHAIN_PAIRS 8
#define HALF_UNIT exp2(float(HALF_W_EXPONENT - NARROW_W_EXPONENT))

/* A block of W and of x: tile[pair of columns][row or vector]. */
shared uvec4 tile_w[BLOCK_PAIRS][GEMM_ROWS / 4];
shared uvec4 tile_x[BLOCK_PAIRS][GEMM_VECTORS / 4 + 1];

void load_weights(uint row, TableRows rows, uint block)
{
    const uint r = gl_LocalInvocationID.x;
    const uint n_steps = HEADER.row_steps;
    const float unit = push.unit * HALF_UNIT;
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
            const vec4 w = complete_weights(step_weights(codes, quad), entries) * unit;
            [[unroll]] for (uint j = 0; j < 2; j++) {
                const uint pair = packFloat2x16(f16vec2(vec2(w[2u * j], w[2u * j + 1u])));
                tile_w[(i * STEP_QUADS + quad) * 2u + j][r / 4u][r % 4u] = inside ? pair : 0u;
            }
        }
    }
}

void load_vectors(uint first_vector, uint block)
{
    const uint v = gl_LocalInvocationID.x / (GEMM_THREADS / GEMM_VECTORS);
    const uint part = gl_LocalInvocationID.x % (GEMM_THREADS / GEMM_VECTORS);
    const uint vector = min(first_vector + v, push.n_vectors - 1u);
    const uint at = vector * (push.x_stride / 4u) + block * (BLOCK_PAIRS / 4u) + part;
    const uvec4 pairs = AT(Words4, x, at);
    [[unroll]] for (uint j = 0; j < 4; j++) tile_x[part * 4u + j][v / 4u][v % 4u] = pairs[j];
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
    float sums[8][4];
    [[unroll]] for (uint i = 0; i < 8; i++) {
        [[unroll]] for (uint j = 0; j < 4; j++) sums[i][j] = 0.0;
    }
    const uint row = min(first_row + gl_LocalInvocationID.x, push.end_row - 1u);
    const TableRows rows = table_rows(row);
    map_begin();
    for (uint block = slice * push.slice_blocks; block < end; block++) {
        load_weights(row, rows, block);
        load_vectors(first_vector, block);
        barrier();
        for (uint first = 0; first < BLOCK_PAIRS; first += CHAIN_PAIRS) {
            f16vec2 chains[8][4];
            [[unroll]] for (uint i = 0; i < 8; i++) {
                [[unroll]] for (uint j = 0; j < 4; j++) chains[i][j] = f16vec2(0.0);
            }
            for (uint k = first; k < first + CHAIN_PAIRS; k++) {
                const uvec4 low = tile_w[k][m];
                const uvec4 high = tile_w[k][m + GEMM_ROWS / 8];
                const uvec4 x = tile_x[k][n];
                [[unroll]] for (uint i = 0; i < 8; i++) {
                    const f16vec2 w = unpackFloat2x16(i < 4u ? low[i % 4u] : high[i % 4u]);
                    [[unroll]] for (uint j = 0; j < 4; j++) {
                        chains[i][j] = fma(w, unpackFloat2x16(x[j]), chains[i][j]);
                    }
                }
            }
            [[unroll]] for (uint i = 0; i < 8; i++) {
                [[unroll]] for (uint j = 0; j < 4; j++) {
                    sums[i][j] += float(chains[i][j].x) + float(chains[i][j].y);
                }
            }
        }
        barrier();
    }
    [[unroll]] for (uint j = 0; j < 4; j++) {
        const uint vector = first_vector + n * 4u + j;
        if (vector >= push.n_vectors) continue;
        const float factor =
            AT(Floats, x, (vector + 1u) * push.x_stride - 4u) / (push.unit * HALF_UNIT);
        [[unroll]] for (uint i = 0; i < 8; i++) {
            const uint to = first_row + (i / 4u) * (GEMM_ROWS / 2) + m * 4u + i % 4u;
            if (to >= push.end_row) continue;
            store_sum(slice, vector, to, sums[i][j] * factor);
        }
    }
}

/* The matrix-matrix kernel on matrix units: y = multiplier * W x, or added to y, with W and x
 * rounded to f16 and sums in f32, over one slice of the columns; x is what narrow.comp made. A
 * module serves all shapes that units have. The order of every sum is the device's own, and fixed.
 *
 * While a block of MATRIX_COLS columns is multiplied, the codes of the next are on their way. */
#version 460
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "interface.glsl"
#include "map.glsl"
#include "tables.glsl"
layout(constant_id = SPEC_LANES) const uint LANES = 8;
layout(constant_id = SPEC_TILE_M) const uint TILE_M = 8;
layout(constant_id = SPEC_TILE_N) const uint TILE_N = 8;
layout(constant_id = SPEC_TILE_K) const uint TILE_K = 8;
layout(constant_id = SPEC_GRID_M) const uint GRID_M = 1;
layout(constant_id = SPEC_GRID_N) const uint GRID_N = 1;
layout(constant_id = SPEC_TILES_M) const uint TILES_M = 1;
layout(constant_id = SPEC_TILES_N) const uint TILES_N = 1;

const uint N_ROWS = GRID_M * TILES_M * TILE_M; /* of a workgroup */
const uint N_VECTORS = GRID_N * TILES_N * TILE_N;
const uint TILE_SIZE = TILE_M * TILE_N;
const uint BLOCK_STEPS = MATRIX_COLS / (STEP_QUARTERS * QUARTER_COLS);
const uint BLOCK_OCTETS = MATRIX_COLS / 8; /* of f16: 16 bytes */
const uint STEP_GRAINS = (STEP_QUARTERS + GRAIN - 1) / GRAIN;
/* Shared memory in four f16. */
const uint ROW_QUADS = (MATRIX_COLS + MATRIX_PAD) / 4;
const uint TILE_QUADS = TILE_K / 4;

/* What a thread brings: steps of rows, and octets of vectors. */
const uint N_STEPS = (N_ROWS * BLOCK_STEPS + GROUP_THREADS - 1) / GROUP_THREADS;
const uint N_OCTETS = (N_VECTORS * BLOCK_OCTETS + GROUP_THREADS - 1) / GROUP_THREADS;

shared f16vec4 tile_w[N_ROWS * ROW_QUADS];
shared f16vec4 tile_x[N_VECTORS * ROW_QUADS];
shared float results[GRID_M * GRID_N * TILE_SIZE];

Step steps[N_STEPS];
Entries entries[N_STEPS * STEP_GRAINS];
uvec4 octets[N_OCTETS];

void fetch_steps(uint first_row, uint block)
{
    [[unroll]] for (uint i = 0; i < N_STEPS; i++) {
        const uint at = i * GROUP_THREADS + gl_LocalInvocationID.x;
        const uint row = min(first_row + at / BLOCK_STEPS, push.end_row - 1u);
        const uint step = min(block * BLOCK_STEPS + at % BLOCK_STEPS, HEADER.row_steps - 1u);
        const TableRows rows = table_rows(row);
        steps[i] = step_load(row, step);
        [[unroll]] for (uint g = 0; g < STEP_GRAINS; g++) {
            entries[i * STEP_GRAINS + g] = entries_at(rows, step * STEP_QUARTERS + g * GRAIN);
        }
    }
}

void fetch_vectors(uint first_vector, uint block)
{
    [[unroll]] for (uint i = 0; i < N_OCTETS; i++) {
        const uint at = i * GROUP_THREADS + gl_LocalInvocationID.x;
        const uint vector = min(first_vector + at / BLOCK_OCTETS, push.n_vectors - 1u);
        const uint octet = block * BLOCK_OCTETS + at % BLOCK_OCTETS;
        octets[i] = AT(Words4, x, vector * (push.x_stride / 4u) + octet);
    }
}

/* Steps behind the end of a row are zeros: what is held there need not be a number. */
void place_steps(uint block)
{
    [[unroll]] for (uint i = 0; i < N_STEPS; i++) {
        const uint at = i * GROUP_THREADS + gl_LocalInvocationID.x;
        const uint step = at % BLOCK_STEPS;
        const uint to = at / BLOCK_STEPS * ROW_QUADS + step * STEP_QUADS;
        const bool inside = block * BLOCK_STEPS + step < HEADER.row_steps;
        if (at >= N_ROWS * BLOCK_STEPS) continue;
        [[unroll]] for (uint quad = 0; quad < STEP_QUADS; quad++) {
            const vec4 w = complete_weights(step_weights(steps[i], quad),
                                            entries[i * STEP_GRAINS + quad / 2u / GRAIN]);
            tile_w[to + quad] = inside ? f16vec4(w * push.unit) : f16vec4(0.0);
        }
    }
}

void place_vectors()
{
    [[unroll]] for (uint i = 0; i < N_OCTETS; i++) {
        const uint at = i * GROUP_THREADS + gl_LocalInvocationID.x;
        const uint to = at / BLOCK_OCTETS * ROW_QUADS + at % BLOCK_OCTETS * 2u;
        if (at >= N_VECTORS * BLOCK_OCTETS) continue;
        tile_x[to] = f16vec4(unpackFloat2x16(octets[i].x), unpackFloat2x16(octets[i].y));
        tile_x[to + 1u] = f16vec4(unpackFloat2x16(octets[i].z), unpackFloat2x16(octets[i].w));
    }
}

void store_results(uint base, uint first_row, uint first_vector)
{
    for (uint i = gl_SubgroupInvocationID; i < TILE_SIZE; i += LANES) {
        const uint row = first_row + i % TILE_M;
        const uint vector = first_vector + i / TILE_M;
        if (row >= push.end_row || vector >= push.n_vectors) continue;
        const uint behind = (vector + 1u) * push.x_stride - 4u;
        const float sum = results[base + i] * (AT(Floats, x, behind) / push.unit);
        store_sum(gl_WorkGroupID.z, vector, row, sum);
    }
}

void main()
{
    const uint n_blocks = (HEADER.row_steps + BLOCK_STEPS - 1u) / BLOCK_STEPS;
    const uint first_row = push.first_row + gl_WorkGroupID.x * N_ROWS;
    const uint first_vector = gl_WorkGroupID.y * N_VECTORS;
    const uint begin = gl_WorkGroupID.z * push.slice_blocks;
    const uint end = min(begin + push.slice_blocks, n_blocks);
    /* Of this subgroup, in the workgroup's share. */
    const uint m = gl_SubgroupID % GRID_M * TILES_M * TILE_M;
    const uint n = gl_SubgroupID / GRID_M * TILES_N * TILE_N;
    coopmat<float, gl_ScopeSubgroup, TILE_M, TILE_N, gl_MatrixUseAccumulator>
        sums[TILES_M * TILES_N];
    [[unroll]] for (uint i = 0; i < TILES_M * TILES_N; i++) {
        sums[i] = coopmat<float, gl_ScopeSubgroup, TILE_M, TILE_N, gl_MatrixUseAccumulator>(0.0);
    }
    map_begin();
    fetch_steps(first_row, begin);
    fetch_vectors(first_vector, begin);
    for (uint block = begin; block < end; block++) {
        place_steps(block);
        place_vectors();
        barrier();
        if (block + 1u < end) {
            fetch_steps(first_row, block + 1u);
            fetch_vectors(first_vector, block + 1u);
        }
        [[unroll]] for (uint k = 0; k < MATRIX_COLS / TILE_K; k++) {
            coopmat<float16_t, gl_ScopeSubgroup, TILE_M, TILE_K, gl_MatrixUseA> w[TILES_M];
            [[unroll]] for (uint i = 0; i < TILES_M; i++) {
                coopMatLoad(w[i], tile_w, (m + i * TILE_M) * ROW_QUADS + k * TILE_QUADS, ROW_QUADS,
                            gl_CooperativeMatrixLayoutRowMajor);
            }
            [[unroll]] for (uint j = 0; j < TILES_N; j++) {
                coopmat<float16_t, gl_ScopeSubgroup, TILE_K, TILE_N, gl_MatrixUseB> x;
                coopMatLoad(x, tile_x, (n + j * TILE_N) * ROW_QUADS + k * TILE_QUADS, ROW_QUADS,
                            gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0; i < TILES_M; i++) {
                    sums[i * TILES_N + j] = coopMatMulAdd(w[i], x, sums[i * TILES_N + j]);
                }
            }
        }
        barrier();
    }
    const uint base = gl_SubgroupID * TILE_SIZE;
    [[unroll]] for (uint i = 0; i < TILES_M; i++) {
        [[unroll]] for (uint j = 0; j < TILES_N; j++) {
            coopMatStore(sums[i * TILES_N + j], results, base, TILE_M,
                         gl_CooperativeMatrixLayoutColumnMajor);
            barrier();
            store_results(base, first_row + m + i * TILE_M, first_vector + n + j * TILE_N);
            barrier();
        }
    }
}

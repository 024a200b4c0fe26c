/* How fast matrix units multiply what is in registers: TILES_M x TILES_N products a turn and
 * subgroup, n_slices turns. */
#version 460
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "interface.glsl"
layout(constant_id = SPEC_TILE_M) const uint TILE_M = 8;
layout(constant_id = SPEC_TILE_N) const uint TILE_N = 8;
layout(constant_id = SPEC_TILE_K) const uint TILE_K = 8;
layout(constant_id = SPEC_TILES_M) const uint TILES_M = 1;
layout(constant_id = SPEC_TILES_N) const uint TILES_N = 1;
#define SUMS coopmat<float, gl_ScopeSubgroup, TILE_M, TILE_N, gl_MatrixUseAccumulator>

void main()
{
    coopmat<float16_t, gl_ScopeSubgroup, TILE_M, TILE_K, gl_MatrixUseA> w[TILES_M];
    coopmat<float16_t, gl_ScopeSubgroup, TILE_K, TILE_N, gl_MatrixUseB> x[TILES_N];
    SUMS sums[TILES_M * TILES_N];
    [[unroll]] for (uint i = 0; i < TILES_M; i++) {
        w[i] = coopmat<float16_t, gl_ScopeSubgroup, TILE_M, TILE_K, gl_MatrixUseA>(
            float16_t(push.multiplier + float(i)));
    }
    [[unroll]] for (uint j = 0; j < TILES_N; j++) {
        x[j] = coopmat<float16_t, gl_ScopeSubgroup, TILE_K, TILE_N, gl_MatrixUseB>(
            float16_t(push.multiplier - float(j)));
    }
    [[unroll]] for (uint i = 0; i < TILES_M * TILES_N; i++) sums[i] = SUMS(0.0);
    for (uint turn = 0; turn < push.n_slices; turn++) {
        [[unroll]] for (uint i = 0; i < TILES_M; i++) {
            [[unroll]] for (uint j = 0; j < TILES_N; j++) {
                sums[i * TILES_N + j] = coopMatMulAdd(w[i], x[j], sums[i * TILES_N + j]);
            }
        }
    }
    SUMS sum = SUMS(0.0);
    [[unroll]] for (uint i = 0; i < TILES_M * TILES_N; i++) sum += sums[i];
    const uint at = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * TILE_M * TILE_N;
    coopMatStore(sum, push.y.v, at, TILE_M, gl_CooperativeMatrixLayoutColumnMajor);
}

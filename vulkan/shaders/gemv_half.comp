/* The matrix-vector kernel in pairs of f16: as gemv.comp, of inputs as pair.comp makes them. Codes
 * less a whole zero are exact; four products are added up in f16, and what comes of that in f32. */
#version 460
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define GROUP_THREADS GEMV_THREADS
#include "interface.glsl"
#include "map.glsl"
#include "tables.glsl"
#include "pair.glsl"
#include "team.glsl"
#define WIDEST widest_plane(BITS)
#define CHAIN_PAIRS 4
#define STEP_GRAINS (STEP_QUARTERS / GRAIN)

struct Paired
{
    uvec4 pairs[4];
    uvec4 more[2]; /* the power of two, and sums of quarters */
};

Paired load_paired(uint vector, uint step)
{
    const uint at = (min(vector, push.n_vectors - 1u) * push.x_stride + step * PAIRED_WORDS) / 4u;
    Paired x;
    [[unroll]] for (uint i = 0; i < 4; i++) x.pairs[i] = AT(Words4, x, at + i);
    [[unroll]] for (uint i = 0; i < 2; i++) x.more[i] = AT(Words4, x, at + 4u + i);
    return x;
}

float paired_sum(Paired x, uint grain)
{
    float sum = 0.0;
    [[unroll]] for (uint q = grain * GRAIN; q < (grain + 1u) * GRAIN; q++) {
        sum += uintBitsToFloat(x.more[(1u + q) / 4u][(1u + q) & 3u]);
    }
    return sum;
}

/* Codes less the constant zero. */
f16vec2 step_pair(Step s, uint pair)
{
    uint codes = 0u;
    if (BITS == 8) codes = pair_of_plane(eight_word(s, pair * 2u), pair, 8u, 8u);
    if ((BITS & 4) != 0) codes = pair_of_plane(s.four[pair / 4u], pair, 4u, WIDEST);
    if ((BITS & 2) != 0) {
        codes |= pair_of_plane(s.two[pair / 8u], pair, 2u, WIDEST) << (BITS & 4);
    }
    if ((BITS & 1) != 0) codes |= pair_of_plane(s.one, pair, 1u, WIDEST) << (BITS & 6);
    const uint placed = pair_in_place(codes ^ (FLIP * 0x00010001u));
    return unpackFloat2x16(placed) - f16vec2(1024.0 + ZERO);
}

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
        Paired x[VECTORS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) codes[r] = step_load(rows[r], step);
        [[unroll]] for (uint v = 0; v < VECTORS; v++) x[v] = load_paired(v, step);
        [[unroll]] for (uint grain = 0; grain < STEP_GRAINS; grain++) {
            const uint at = step * STEP_QUARTERS + grain * GRAIN;
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                float grain_sums[VECTORS];
                [[unroll]] for (uint v = 0; v < VECTORS; v++) grain_sums[v] = 0.0;
                [[unroll]] for (uint c = grain * GRAIN; c < (grain + 1u) * GRAIN; c++) {
                    f16vec2 chains[VECTORS];
                    [[unroll]] for (uint i = 0; i < CHAIN_PAIRS; i++) {
                        const uint pair = c * CHAIN_PAIRS + i;
                        const f16vec2 w = step_pair(codes[r], pair);
                        [[unroll]] for (uint v = 0; v < VECTORS; v++) {
                            const f16vec2 xs = unpackFloat2x16(x[v].pairs[c][i]);
                            chains[v] = i == 0u ? w * xs : fma(w, xs, chains[v]);
                        }
                    }
                    [[unroll]] for (uint v = 0; v < VECTORS; v++) {
                        grain_sums[v] += float(chains[v].x) + float(chains[v].y);
                    }
                }
                const float scale = scale_entry(entries[r], at);
                [[unroll]] for (uint v = 0; v < VECTORS; v++) {
                    const float d = uintBitsToFloat(x[v].more[0].x);
                    const uint i = r * VECTORS + v;
                    float sum = scale * grain_sums[v];
                    if (has_offset()) {
                        const float offset = fma(-zero_entry(entries[r], at), scale,
                                                 bias_entry(entries[r], at));
                        sum = fma(offset, paired_sum(x[v], grain), sum);
                    }
                    sums[i] = fma(d, sum, sums[i]);
                }
            }
        }
    }
}

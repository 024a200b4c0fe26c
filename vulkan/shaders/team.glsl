/* Teams of a matrix-vector kernel: their rows, and the sums of their lanes. The includer has
 * interface.glsl and a function sum_rows(first_row), declared here, that fills `sums`. */
layout(constant_id = SPEC_LANES) const uint LANES = 1;
layout(constant_id = SPEC_ROWS) const uint ROWS = 4;
layout(constant_id = SPEC_VECTORS) const uint VECTORS = 1;
#define N_SUMS (ROWS * VECTORS)

shared float partial[N_SUMS * GROUP_THREADS];
float sums[N_SUMS]; /* of this lane */

/* Lanes [0, LANES) of a team share rows; a workgroup is GROUP_THREADS / LANES teams. */
uint lane_index()
{
    return gl_LocalInvocationID.x & (LANES - 1u);
}

uint team_index()
{
    const uint group = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
    return (group * GROUP_THREADS + gl_LocalInvocationID.x) / LANES;
}

/* Rows past the end read the last row, and are not stored; so with vectors. */
void sum_rows(uint first_row);

/* The sums of a team's lanes, halves folded onto each other; lane 0 has the result. */
void reduce()
{
    const uint thread = gl_LocalInvocationID.x;
    [[unroll]] for (uint i = 0; i < N_SUMS; i++) partial[i * GROUP_THREADS + thread] = sums[i];
    for (uint half_lanes = LANES / 2u; half_lanes > 0u; half_lanes /= 2u) {
        barrier();
        if (lane_index() < half_lanes) {
            [[unroll]] for (uint i = 0; i < N_SUMS; i++) {
                const uint at = i * GROUP_THREADS + thread;
                partial[at] += partial[at + half_lanes];
            }
        }
    }
    [[unroll]] for (uint i = 0; i < N_SUMS; i++) sums[i] = partial[i * GROUP_THREADS + thread];
}

void main()
{
    map_begin();
    const uint first_row = push.first_row + team_index() * ROWS;
    sum_rows(first_row);
    if (LANES > 1u) reduce();
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = first_row + r;
        if (lane_index() != 0u || row >= push.end_row) continue;
        [[unroll]] for (uint v = 0; v < VECTORS; v++) {
            if (v < push.n_vectors) store(v, row, sums[r * VECTORS + v]);
        }
    }
}

/* The matrix-vector kernel: y = multiplier * (codes * scales) x, or added to y. A team of lanes
 * takes GEMV_ROWS rows; a lane takes every LANES-th step of 16 bytes of codes. The includer has
 * interface.glsl and one decode_*.glsl. The order of every sum is fixed.
 *
 * NaN and infinity pass through as the device's arithmetic has them, zeros lose their sign, and a
 * device may flush subnormal f32 weights, products and sums to zero. */
layout(constant_id = SPEC_SCALE) const uint SCALE = SCALE_NONE;
layout(constant_id = SPEC_GROUP_STEPS) const uint GROUP_STEPS = 1;
layout(constant_id = SPEC_SCALE_EACH) const bool SCALE_EACH = false;

/* A step is 4 words of DECODE_PER_WORD weights: as many weights as this many vec4 of x. */
#define STEP_VECTORS DECODE_PER_WORD

shared float partial[GEMV_ROWS][GROUP_THREADS];

float scale_of(uint row, uint step)
{
    const uint at = row * push.table_row + step / GROUP_STEPS;
    if (SCALE == SCALE_CONSTANT) return push.scale;
    if (SCALE == SCALE_F32) return uintBitsToFloat(push.table.v[at]);
    const uint pair = push.table.v[at / 2];
    return f32_from_half((pair >> (16 * (at % 2))) & 0xffffu);
}

/* `sum` plus the weights of one step times x. Without a scale, and with each weight scaled, one
 * chain of additions runs through all steps. */
float add_step(float sum, uvec4 codes, float scale, vec4 x[STEP_VECTORS])
{
    const bool one_chain = SCALE == SCALE_NONE || SCALE_EACH;
    float chain = one_chain ? sum : 0.0;
    [[unroll]] for (uint i = 0; i < 4 * DECODE_PER_WORD; i++) {
        float weight = decode_weight(codes[i / DECODE_PER_WORD], i % DECODE_PER_WORD);
        if (SCALE_EACH) weight *= scale;
        chain = fma(weight, x[i / 4][i % 4], chain);
    }
    return one_chain ? chain : fma(scale, chain, sum);
}

/* Rows past the end read the last row, and are not stored. */
void sum_rows(uint vector, uint first_row, out float sums[GEMV_ROWS])
{
    const uint x_row = vector * (push.x_stride / 4);
    [[unroll]] for (uint r = 0; r < GEMV_ROWS; r++) sums[r] = 0.0;
    for (uint step = lane_index(); step < push.row_units; step += LANES) {
        vec4 x[STEP_VECTORS];
        [[unroll]] for (uint i = 0; i < STEP_VECTORS; i++) {
            x[i] = push.x.v[x_row + step * STEP_VECTORS + i];
        }
        [[unroll]] for (uint r = 0; r < GEMV_ROWS; r++) {
            const uint row = min(first_row + r, push.end_row - 1u);
            const uvec4 codes = push.codes.v[row * push.row_units + step];
            const float scale = SCALE == SCALE_NONE ? 1.0 : scale_of(row, step);
            sums[r] = add_step(sums[r], codes, scale, x);
        }
    }
}

/* The sums of a team's lanes, halves folded onto each other; lane 0 has the result. */
void reduce(inout float sums[GEMV_ROWS])
{
    const uint thread = gl_LocalInvocationID.x;
    [[unroll]] for (uint r = 0; r < GEMV_ROWS; r++) partial[r][thread] = sums[r];
    for (uint half_lanes = LANES / 2u; half_lanes > 0u; half_lanes /= 2u) {
        barrier();
        if (lane_index() < half_lanes) {
            [[unroll]] for (uint r = 0; r < GEMV_ROWS; r++) {
                partial[r][thread] += partial[r][thread + half_lanes];
            }
        }
    }
    [[unroll]] for (uint r = 0; r < GEMV_ROWS; r++) sums[r] = partial[r][thread];
    barrier(); /* the next vector overwrites what the other lanes still read */
}

void main()
{
    const uint first_row = push.first_row + team_index() * GEMV_ROWS;
    for (uint vector = 0; vector < push.n_vectors; vector++) {
        float sums[GEMV_ROWS];
        sum_rows(vector, first_row, sums);
        if (LANES > 1u) reduce(sums);
        [[unroll]] for (uint r = 0; r < GEMV_ROWS; r++) {
            const uint row = first_row + r;
            if (lane_index() == 0u && row < push.end_row) store(vector, row, sums[r]);
        }
    }
}

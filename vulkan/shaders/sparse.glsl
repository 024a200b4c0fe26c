/* The sparse kernel: y = multiplier * S x, or added to y, where bit c of a row's mask says that
 * weight c is held, and held weights lie packed. A team of lanes takes a row; a lane takes every
 * LANES-th block of SPARSE_BLOCK_WORDS mask words, whose first value the table tells. The includer
 * has interface.glsl and one decode_*.glsl. The order of every sum is fixed. */
shared float partial[GROUP_THREADS];

float value_at(uint i)
{
    return decode_weight(push.values.v[i / DECODE_PER_WORD], i % DECODE_PER_WORD);
}

/* `sum` plus the held weights of one mask block times x. */
float add_block(float sum, uint row, uint block, uint x_row)
{
    uint at = push.table.v[row * push.table_row + block];
    const uint first = block * SPARSE_BLOCK_WORDS;
    const uint end = min(first + SPARSE_BLOCK_WORDS, push.row_units);
    for (uint word = first; word < end; word++) {
        uint mask = push.codes.v[row * push.row_units + word];
        while (mask != 0u) {
            const uint column = word * 32u + uint(findLSB(mask));
            sum = fma(value_at(at), push.x.v[x_row + column], sum);
            at++;
            mask &= mask - 1u;
        }
    }
    return sum;
}

/* The sums of a team's lanes, halves folded onto each other; lane 0 has the result. */
float reduce(float sum)
{
    const uint thread = gl_LocalInvocationID.x;
    partial[thread] = sum;
    for (uint half_lanes = LANES / 2u; half_lanes > 0u; half_lanes /= 2u) {
        barrier();
        if (lane_index() < half_lanes) partial[thread] += partial[thread + half_lanes];
    }
    const float total = partial[thread];
    barrier(); /* the next vector overwrites what the other lanes still read */
    return total;
}

void main()
{
    const uint row = push.first_row + team_index();
    for (uint vector = 0; vector < push.n_vectors; vector++) {
        float sum = 0.0;
        if (row < push.end_row) {
            for (uint block = lane_index(); block < push.table_row; block += LANES) {
                sum = add_block(sum, row, block, vector * push.x_stride);
            }
        }
        if (LANES > 1u) sum = reduce(sum);
        if (lane_index() == 0u && row < push.end_row) store(vector, row, sum);
    }
}

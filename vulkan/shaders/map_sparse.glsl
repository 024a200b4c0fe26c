/* Map: weights of which bit c of a row's mask says that weight c is held; held weights lie packed.
 * A step is a mask word. The includer has one value_*.glsl. */
#define STEP_QUARTERS 4
struct Step
{
    uint mask;
    uint first; /* number of the first value of the step */
};

void map_begin()
{
    values_begin();
}

/* Rows of the mask have room for whole blocks. */
Step step_load(uint row, uint step)
{
    const uint block = step / MASK_BLOCK_WORDS;
    const uint at = (HEADER.codes + row * HEADER.row_words) / 4u + block * 2u;
    const uvec4 low = AT(Words4, base, at);
    const uvec4 high = AT(Words4, base, at + 1u);
    const uint last = step % MASK_BLOCK_WORDS;
    Step s = Step(0u, WORD(HEADER.blocks + row * HEADER.row_blocks + block));
    [[unroll]] for (uint i = 0; i < MASK_BLOCK_WORDS; i++) {
        const uint word = i < 4u ? low[i & 3u] : high[i & 3u];
        if (i < last) s.first += bitCount(word);
        if (i == last) s.mask = word;
    }
    return s;
}

vec4 step_weights(Step s, uint i)
{
    vec4 w = vec4(0.0);
    [[unroll]] for (uint j = 0; j < 4; j++) {
        const uint bit = i * 4u + j;
        if (((s.mask >> bit) & 1u) == 0u) continue;
        w[j] = value_at(s.first + uint(bitCount(s.mask & ((1u << bit) - 1u))));
    }
    return w;
}

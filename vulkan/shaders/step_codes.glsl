/* A step of 32 codes of BITS bits, up to 8: one load a plane. The includer has interface.glsl and
 * codes.glsl. */
#define STEP_QUARTERS 4
layout(constant_id = SPEC_BITS) const uint BITS = 4;

struct Step
{
    uvec4 eight_low;
    uvec4 eight_high;
    uvec4 four;
    uvec2 two;
    uint one;
};

/* Rows of planes lie behind each other, the widest first; `room` steps are a multiple of 4. */
Step step_load(uint row, uint step)
{
    const uint at = HEADER.codes + row * HEADER.row_words;
    Step s = Step(uvec4(0), uvec4(0), uvec4(0), uvec2(0), 0u);
    if (BITS == 8) {
        s.eight_low = AT(Words4, base, at / 4u + step * 2u);
        s.eight_high = AT(Words4, base, at / 4u + step * 2u + 1u);
    }
    if ((BITS & 4) != 0) s.four = AT(Words4, base, at / 4u + step);
    if ((BITS & 2) != 0) s.two = AT(Words2, base, (at + HEADER.room * (BITS & 4)) / 2u + step);
    if ((BITS & 1) != 0) s.one = WORD(at + HEADER.room * (BITS & 6) + step);
    return s;
}

/* Of a plane of 8 bits: the word of code j. */
uint eight_word(Step s, uint j)
{
    return j < 16u ? s.eight_low[(j / 4u) & 3u] : s.eight_high[(j / 4u) & 3u];
}

/* Code j of the step. */
uint step_code(Step s, uint j)
{
    if (BITS == 8) return plane_element(eight_word(s, j), j, 8u);
    uint code = 0u;
    if ((BITS & 4) != 0) code = plane_element(s.four[j / 8u], j, 4u);
    if ((BITS & 2) != 0) code |= plane_element(s.two[j / 16u], j, 2u) << (BITS & 4);
    if ((BITS & 1) != 0) code |= plane_element(s.one, j, 1u) << (BITS & 6);
    return code;
}

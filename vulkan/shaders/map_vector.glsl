/* Map: vector codebooks of entries of LENGTH weights, 32 weights to a step. The codebook is read
 * from memory, where a cache holds it. */
#define STEP_QUARTERS 4
layout(constant_id = SPEC_BITS) const uint BITS = 8;
layout(constant_id = SPEC_ZERO) const float ZERO = 0.0;
layout(constant_id = SPEC_LENGTH) const uint LENGTH = 8;
layout(constant_id = SPEC_SIGNS) const uint SIGNS = 0;
layout(constant_id = SPEC_BOOK) const uint BOOK = BOOK_I8;
#include "codes.glsl"
#include "vector.glsl"

struct Step
{
    uint codes; /* first word of the row's codes */
    uint signs;
    uint step;
};

void map_begin() {}

Step step_load(uint row, uint step)
{
    return Step(HEADER.codes + row * HEADER.row_words, HEADER.signs + row * HEADER.sign_words,
                step);
}

/* Code j of a row whose planes lie behind each other from word `at` on, each with room for `room`
 * codes: a multiple of 32. */
uint row_code(uint at, uint bits, uint room, uint j)
{
    uint code = 0u;
    uint shift = 0u;
    [[unroll]] for (uint width = 16u; width > 0u; width /= 2u) {
        if ((bits & width) == 0u) continue;
        code |= plane_element(WORD(at + j * width / 32u), j, width) << shift;
        at += room * width / 32u;
        shift += width;
    }
    return code;
}

/* Weights 4 i .. 4 i + 3. */
vec4 step_weights(Step s, uint i)
{
    const uint n_codes = STEP_COLS / LENGTH;
    const uint code = row_code(s.codes, BITS, HEADER.room * n_codes,
                               s.step * n_codes + i * 4u / LENGTH);
    const uint quad = code * (LENGTH / 4u) + (i & (LENGTH / 4u - 1u)); /* four weights of the book */
    vec4 w;
    [[unroll]] for (uint j = 0; j < 4; j++) {
        if (BOOK == BOOK_I8) w[j] = signed_byte(WORD(HEADER.book + quad), j);
        if (BOOK == BOOK_F16) {
            const uint word = WORD(HEADER.book + quad * 2u + j / 2u);
            w[j] = f32_from_half((word >> (16u * (j & 1u))) & 0xffffu);
        }
        if (BOOK == BOOK_F32) w[j] = uintBitsToFloat(WORD(HEADER.book + quad * 4u + j));
    }
    if (SIGNS != 0u) {
        const uint signs =
            all_signs(row_code(s.signs, SIGNS, HEADER.room * 4u, s.step * 4u + i / 2u), SIGNS);
        [[unroll]] for (uint j = 0; j < 4; j++) w[j] = with_sign(w[j], signs, (i & 1u) * 4u + j);
    }
    return w - vec4(ZERO);
}

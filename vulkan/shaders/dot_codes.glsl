/* Dot products of four 8-bit integers, and the codes of a step as such. The includer has
 * map_integer.glsl. */
#extension GL_EXT_spirv_intrinsics : require
#include "dot.glsl"

/* OpSDot on words, with the capabilities DotProduct and DotProductInput4x8BitPacked; the last
 * operand is the format PackedVectorFormat4x8Bit, 0. */
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018],
                  id = 4450) int signed_dot(int a, int b, spirv_literal int format);

#define STEP_SLOTS 8
#define WIDEST widest_plane(BITS)
#define GRAIN_SLOTS (2u * GRAIN)
#define STEP_GRAINS (STEP_QUARTERS / GRAIN)

/* Inputs as round.comp makes them. */
struct Rounded
{
    ivec4 low;
    ivec4 high;
    uvec4 more; /* the scale, and sums of quarters */
};

int rounded_slot(Rounded x, uint slot)
{
    return slot < 4u ? x.low[slot & 3u] : x.high[slot & 3u];
}

float rounded_scale(uvec4 more)
{
    return uintBitsToFloat(more.x);
}

/* Of the columns of a grain. */
int rounded_sum(uvec4 more, uint grain)
{
    int sum = 0;
    [[unroll]] for (uint q = grain * GRAIN; q < (grain + 1u) * GRAIN; q++) {
        sum += int(more[1u + q / 2u] << (16u - 16u * (q & 1u))) >> 16;
    }
    return sum;
}

/* Codes less 128 where they have 8 bits: what is signed then. */
int step_slot(Step s, uint slot)
{
    uint codes = 0u;
    if (BITS == 8) codes = slot < 4u ? s.eight_low[slot & 3u] : s.eight_high[slot & 3u];
    if ((BITS & 4) != 0) codes = slot_of_plane(s.four[slot / 2u], slot, 4u, WIDEST);
    if ((BITS & 2) != 0) {
        codes |= slot_of_plane(s.two[slot / 4u], slot, 2u, WIDEST) << (BITS & 4);
    }
    if ((BITS & 1) != 0) codes |= slot_of_plane(s.one, slot, 1u, WIDEST) << (BITS & 6);
    return int(codes ^ (FLIP * 0x01010101u) ^ (BITS == 8 ? 0x80808080u : 0u));
}

#define SLOT_ZERO (BITS == 8 ? ZERO - 128.0 : ZERO)

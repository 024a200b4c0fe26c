/* Map: codes of up to 8 bits through a table of values, 32 to a step: codebooks and narrow floats.
 * The table stands in shared memory. */
#include "codes.glsl"
#include "step_codes.glsl"

shared float lookup[1 << 8];

void map_begin()
{
    for (uint i = gl_LocalInvocationID.x; i < (1u << BITS); i += GROUP_THREADS) {
        lookup[i] = uintBitsToFloat(WORD(HEADER.book + i));
    }
    barrier();
}

vec4 step_weights(Step s, uint i)
{
    return vec4(lookup[step_code(s, i * 4u)], lookup[step_code(s, i * 4u + 1u)],
                lookup[step_code(s, i * 4u + 2u)], lookup[step_code(s, i * 4u + 3u)]);
}

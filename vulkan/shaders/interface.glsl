/* What every kernel is given: references to memory, push constants, and the common specialization
 * constants. The includer defines GROUP_THREADS, or leaves it to SPEC_THREADS. Knows no map. */
#extension GL_EXT_control_flow_attributes : require
#include "constants.glsl"

#define SHARED_FUNCTION
#define TO_FLOAT(v) float(v)
#define TO_INT(v) int(v)
#define TO_UINT(v) uint(v)
#define FLOOR(v) floor(v)

#include "memory.glsl"

#ifdef GROUP_THREADS
layout(local_size_x = GROUP_THREADS) in;
#else
layout(local_size_x_id = SPEC_THREADS) in;
#define GROUP_THREADS gl_WorkGroupSize.x
#endif
layout(constant_id = SPEC_ADD) const bool ADD = false;

#define WORD(at) AT(Words, base, at)

void store(uint vector, uint row, float sum)
{
    const uint at = vector * push.y_stride + row;
    const float scaled = push.multiplier * sum;
    AT(Floats, y, at) = ADD ? AT(Floats, y, at) + scaled : scaled;
}

/* The same of one slice of the columns: with several, each has results of its own. */
void store_sum(uint slice, uint vector, uint row, float sum)
{
    if (push.n_slices > 1u) {
        AT(Floats, y, slice * push.slice_stride + vector * push.y_stride + row) = sum;
    } else {
        store(vector, row, sum);
    }
}

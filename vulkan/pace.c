/* How much work one submission holds. */
#include "vulkan/pace.h"

#include "format/bytes.h"

/* A submission that takes longer than this makes the next ones smaller, one of less than half of it
 * twice as large. A quarter of the most: clocks change. */
static const double aim_seconds = MOST_SUBMIT_SECONDS / 4;
static const uint64_t least_weights = UINT64_C(1) << 18;
static const uint64_t most_weights = UINT64_C(1) << 40;

uint64_t ingot_vk_pace_next(uint64_t allowed, uint64_t n_weights, double seconds)
{
    if (seconds > aim_seconds) {
        const double kept = (double)n_weights * aim_seconds / seconds;
        return max_u64((uint64_t)kept, least_weights);
    }
    const bool is_short = seconds < aim_seconds / 2 && n_weights > allowed / 2;
    return is_short ? min_u64(allowed * 2, most_weights) : allowed;
}

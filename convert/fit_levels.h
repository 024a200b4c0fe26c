/* The levels of the CPU that fit.h's kernels exist for: for the files of the kernels alone. */
#ifndef INGOT_CONVERT_FIT_LEVELS_H
#define INGOT_CONVERT_FIT_LEVELS_H

#include <math.h>

#include "convert/fit.h"
#include "format/bytes.h"
#include "format/compiler.h"

/* weight / scale is (weight * lift) * inverse: the lift keeps the inverse of a small scale finite.
 */
struct divisor {
    float lift, inverse;
};

static inline struct divisor divisor_of(float scale)
{
    const float lift = fabsf(scale) < 0x1p-64f ? 0x1p64f : 1.0f;
    return (struct divisor){lift, scale == 0.0f ? 0.0f : 1.0f / (scale * lift)};
}

static inline bool power_suits(float peak)
{
    return peak >= 1.0f / POWER_PEAK && peak <= POWER_PEAK;
}

/* The least power of two that times high is peak or more; both are normal. */
static inline float power_above(float peak, float high)
{
    const uint32_t ratio = f32_bits(peak) + f32_bits(1.0f) - f32_bits(high);
    return f32_from_bits((ratio + 0x7fffffu) & 0x7f800000u);
}

static inline float power_inverse(float power)
{
    return f32_from_bits(2 * f32_bits(1.0f) - f32_bits(power));
}

/* The power, or half of it where that has less error, each error in its own levels: without a jump,
 * which would be guessed in vain. */
static inline float power_better(float power, float error, float error_of_half)
{
    const uint32_t less = error_of_half * 0.25f < error;
    return f32_from_bits(f32_bits(power) - (less << 23));
}

extern const struct fit_kernels fit_plain;
#ifdef INGOT_X86_64
extern const struct fit_kernels fit_avx2;
extern const struct fit_kernels fit_avx512;
typedef void fit_search_function(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                                 const float first[LANES], const float step[LANES],
                                 float gain[LANES], float scale[LANES]);
typedef void fit_search_affine_function(const struct lanes *lanes, const struct levels *levels,
                                        uint32_t n, const struct affine_line *line,
                                        float gain[LANES], float scale[LANES], float bias[LANES]);
fit_search_function fit_search_avx2, fit_search_avx512;
fit_search_affine_function fit_search_affine_avx2, fit_search_affine_avx512;
void fit_error_avx2(const struct lanes *lanes, const struct levels *levels,
                    const float scale[CANDIDATES][LANES], const float bias[CANDIDATES][LANES],
                    float error[CANDIDATES][LANES]);
typedef void fit_search_powers_function(const struct levels *levels, const struct group_rows *rows,
                                        float scale[LANES]);
fit_search_powers_function fit_search_powers_avx2, fit_search_powers_avx512;
typedef void fit_encode_function(const struct levels *levels, const struct group_rows *rows,
                                 const float scale[LANES], const float bias[LANES]);
fit_encode_function fit_encode_avx2, fit_encode_avx512;
#endif

#endif

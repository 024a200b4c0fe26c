/* What the levels of the CPU share of the searches over packed lanes. */
#ifndef INGOT_CONVERT_FIT_PACKED_H
#define INGOT_CONVERT_FIT_PACKED_H

#include "convert/fit.h"
#include "format/compiler.h"

/* Levels in fixed point:
 *
 *     integer of a weight * multiplier / 2^15 + offset    = level * 2^shift
 *     (that + 2^(shift - 1)) / 2^shift, clamped           = level - centre
 *
 * Products stay in 16 bits up to four times the outermost level, or eight. */
struct fixed_levels {
    int16_t low, high; /* less the centre */
    float centre;
    int16_t rounding; /* 2^(15 - shift): a product with it rounds to levels */
    float one;        /* 2^shift */
};

static inline struct fixed_levels fixed_levels(const struct levels *levels, bool centred)
{
    const int32_t low = (int32_t)levels->low, high = (int32_t)levels->high;
    const int32_t centre = centred ? (low + high + 1) / 2 : 0;
    int32_t outermost = high - centre > centre - low ? high - centre : centre - low;
    int32_t shift = 12;
    for (; outermost > 1 && shift > 6; outermost = (outermost + 1) / 2) shift--;
    return (struct fixed_levels){(int16_t)(low - centre), (int16_t)(high - centre), (float)centre,
                                 (int16_t)(1 << (15 - shift)), (float)(1 << shift)};
}

/* What an inverse scale times a weight's size is multiplied with. */
static inline float fixed_unit(const struct fixed_levels *f)
{
    return f->one * 32768.0f;
}

/* What weights of each lane are multiplied with. */
static inline void packed_units(const struct packed *packed, float unit[LANES])
{
    for (uint32_t k = 0; k < LANES; k++) {
        unit[k] = packed->size[k] == 0.0f ? 0.0f : 1.0f / packed->size[k];
    }
}

typedef void fit_pack_function(const struct lanes *lanes, struct packed *packed);
typedef void fit_packed_function(const struct packed *packed, const struct levels *levels,
                                 uint32_t n, const float first[LANES], const float step[LANES],
                                 float gain[LANES], float scale[LANES]);
typedef void fit_packed_affine_function(const struct packed *packed, const struct levels *levels,
                                        uint32_t n, const struct affine_line *line,
                                        float gain[LANES], float scale[LANES], float bias[LANES]);
fit_pack_function fit_pack_plain;
fit_packed_function fit_search_packed_plain;
fit_packed_affine_function fit_search_packed_affine_plain;
#ifdef INGOT_X86_64
fit_pack_function fit_pack_avx2, fit_pack_avx512;
fit_packed_function fit_search_packed_avx2, fit_search_packed_avx512;
fit_packed_affine_function fit_search_packed_affine_avx2, fit_search_packed_affine_avx512;
#endif

#endif

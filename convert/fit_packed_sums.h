/* The sums over packed lanes and the best by them, for registers of any width, as in fit_sums.h.
 * What is made of the sums is that of fit_packed.c, in its order. */
#ifndef INGOT_CONVERT_FIT_PACKED_SUMS_H
#define INGOT_CONVERT_FIT_PACKED_SUMS_H

#include "convert/fit_packed.h"

#ifdef WIDE

INGOT_TEMPLATE WIDE_TARGET wide_words to_fixed(wide v)
{
    const wide limit = WIDE(set1_ps)((float)PACKED_HIGH);
    const wide low = WIDE(set1_ps)(-(float)PACKED_HIGH);
    return WIDE(cvtps_epi32)(WIDE(min_ps)(WIDE(max_ps)(v, low), limit));
}

INGOT_TEMPLATE WIDE_TARGET wide unit_of(const struct packed *packed, const struct fixed_levels *f)
{
    return WIDE(mul_ps)(wide_load(packed->size), WIDE(set1_ps)(fixed_unit(f)));
}

struct fixed_range {
    wide_words low, high, rounding, one;
};

INGOT_TEMPLATE WIDE_TARGET struct fixed_range open_range(const struct fixed_levels *f)
{
    return (struct fixed_range){WIDE(set1_epi16)(f->low), WIDE(set1_epi16)(f->high),
                                WIDE(set1_epi16)(f->rounding), WIDE(set1_epi16)(1)};
}

struct fixed_sums {
    wide_words sum, square, cross;
};

struct packed_lanes {
    wide unit, size, middle, mean, share;
    wide centre, one;
};

INGOT_TEMPLATE WIDE_TARGET struct packed_lanes open_packed(const struct packed *packed,
                                                           const struct fixed_levels *f)
{
    return (struct packed_lanes){unit_of(packed, f),
                                 wide_load(packed->size),
                                 wide_load(packed->middle),
                                 wide_load(packed->mean),
                                 WIDE(set1_ps)(1.0f / (float)packed->n),
                                 WIDE(set1_ps)(f->centre),
                                 WIDE(set1_ps)(f->one)};
}

INGOT_TEMPLATE WIDE_TARGET struct best affine_best(const struct packed_lanes *p,
                                                   struct fixed_sums s, struct best best)
{
    const wide sum = WIDE(cvtepi32_ps)(s.sum);
    const wide level_mean = WIDE(mul_ps)(sum, p->share);
    const wide spread = WIDE(sub_ps)(WIDE(cvtepi32_ps)(s.square), WIDE(mul_ps)(sum, level_mean));
    const wide shared = WIDE(sub_ps)(WIDE(cvtepi32_ps)(s.cross), WIDE(mul_ps)(sum, p->mean));
    const wide scale = WIDE(div_ps)(shared, spread);
    const wide from_middle =
        WIDE(sub_ps)(p->mean, WIDE(mul_ps)(scale, WIDE(add_ps)(level_mean, p->centre)));
    return keep(best, WIDE(mul_ps)(scale, shared), WIDE(mul_ps)(scale, p->size),
                WIDE(add_ps)(p->middle, WIDE(mul_ps)(from_middle, p->size)));
}

/* Where the middle is, in fixed point. */
INGOT_TEMPLATE WIDE_TARGET wide offsets(const struct packed_lanes *p, wide inverse, wide offset)
{
    const wide at_middle =
        WIDE(sub_ps)(WIDE(add_ps)(offset, WIDE(mul_ps)(p->middle, inverse)), p->centre);
    return WIDE(mul_ps)(at_middle, p->one);
}

#endif

#endif

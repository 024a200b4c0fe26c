/* The sums of the searches, the best by them, and a function for each kind of levels, for registers
 * of any width: fit_avx2.h or fit_avx512.h is included before and says which. Every operation is
 * that of fit_plain.c, in its order. */
#ifndef INGOT_CONVERT_FIT_SUMS_H
#define INGOT_CONVERT_FIT_SUMS_H

#ifdef WIDE

struct pair {
    wide cross, square;
};

INGOT_TEMPLATE WIDE_TARGET struct pair pair_zero(void)
{
    return (struct pair){WIDE(setzero_ps)(), WIDE(setzero_ps)()};
}

INGOT_TEMPLATE WIDE_TARGET struct pair pair_add(const struct snapper *s, snap_function *snap,
                                                bool weighted, wide weight, wide importance,
                                                wide inverse, struct pair sums)
{
    const wide level = snap(s, WIDE(mul_ps)(weight, inverse));
    const wide scaled = weighted ? WIDE(mul_ps)(importance, level) : level;
    return (struct pair){WIDE(add_ps)(sums.cross, WIDE(mul_ps)(scaled, weight)),
                         WIDE(add_ps)(sums.square, WIDE(mul_ps)(scaled, level))};
}

INGOT_TEMPLATE WIDE_TARGET struct best pair_best(struct pair sums, struct best best)
{
    const wide scale = WIDE(div_ps)(sums.cross, sums.square);
    return keep(best, WIDE(mul_ps)(scale, sums.cross), scale, scale);
}

struct triple {
    wide sum, square, cross;
};

INGOT_TEMPLATE WIDE_TARGET struct triple triple_zero(void)
{
    return (struct triple){WIDE(setzero_ps)(), WIDE(setzero_ps)(), WIDE(setzero_ps)()};
}

INGOT_TEMPLATE WIDE_TARGET struct triple triple_add(const struct snapper *s, bool weighted,
                                                    wide weight, wide importance, wide inverse,
                                                    wide offset, struct triple t)
{
    const wide level = snap_uniform(s, WIDE(add_ps)(WIDE(mul_ps)(weight, inverse), offset));
    const wide scaled = weighted ? WIDE(mul_ps)(importance, level) : level;
    return (struct triple){WIDE(add_ps)(t.sum, scaled),
                           WIDE(add_ps)(t.square, WIDE(mul_ps)(scaled, level)),
                           WIDE(add_ps)(t.cross, WIDE(mul_ps)(scaled, weight))};
}

INGOT_TEMPLATE WIDE_TARGET struct best triple_best(struct triple t, wide total, wide mean,
                                                   struct best best)
{
    const wide level_mean = WIDE(div_ps)(t.sum, total);
    const wide spread = WIDE(sub_ps)(t.square, WIDE(mul_ps)(t.sum, level_mean));
    const wide shared = WIDE(sub_ps)(t.cross, WIDE(mul_ps)(t.sum, mean));
    const wide scale = WIDE(div_ps)(shared, spread);
    const wide bias = WIDE(sub_ps)(mean, WIDE(mul_ps)(scale, level_mean));
    return keep(best, WIDE(mul_ps)(scale, shared), scale, bias);
}

/* ------------------------------------------------------------------ the functions of a width */

/* The loops, which a width's own file has. */
INGOT_TEMPLATE WIDE_TARGET void search_as(const struct lanes *lanes, const struct levels *levels,
                                          snap_function *snap, enum level_kind kind, bool weighted,
                                          uint32_t n, const float first_of[LANES],
                                          const float step_of[LANES], float gain[LANES],
                                          float scale[LANES]);
INGOT_TEMPLATE WIDE_TARGET void affine_as(const struct lanes *lanes, const struct levels *levels,
                                          bool weighted, uint32_t n, const struct affine_line *line,
                                          float gain[LANES], float scale[LANES], float bias[LANES]);

#define SEARCH(name, snap, kind, weighted)                                                      \
    WIDE_TARGET static void name(const struct lanes *lanes, const struct levels *levels,        \
                                 uint32_t n, const float first[LANES], const float step[LANES], \
                                 float gain[LANES], float scale[LANES])                         \
    {                                                                                           \
        search_as(lanes, levels, snap, kind, weighted, n, first, step, gain, scale);            \
    }
SEARCH(search_uniform, snap_uniform, LEVELS_UNIFORM, false)
SEARCH(search_uniform_weighted, snap_uniform, LEVELS_UNIFORM, true)
SEARCH(search_float, snap_float, LEVELS_FLOAT, false)
SEARCH(search_float_weighted, snap_float, LEVELS_FLOAT, true)
SEARCH(search_codebook, snap_codebook, LEVELS_CODEBOOK, false)
SEARCH(search_codebook_weighted, snap_codebook, LEVELS_CODEBOOK, true)

/* By whether there is importance. */
static fit_search_function *const searches[N_LEVEL_KINDS][2] = {
    [LEVELS_UNIFORM] = {search_uniform, search_uniform_weighted},
    [LEVELS_FLOAT] = {search_float, search_float_weighted},
    [LEVELS_CODEBOOK] = {search_codebook, search_codebook_weighted},
};

WIDE_TARGET static void affine_plain(const struct lanes *lanes, const struct levels *levels,
                                     uint32_t n, const struct affine_line *line, float gain[LANES],
                                     float scale[LANES], float bias[LANES])
{
    affine_as(lanes, levels, false, n, line, gain, scale, bias);
}

WIDE_TARGET static void affine_weighted(const struct lanes *lanes, const struct levels *levels,
                                        uint32_t n, const struct affine_line *line,
                                        float gain[LANES], float scale[LANES], float bias[LANES])
{
    affine_as(lanes, levels, true, n, line, gain, scale, bias);
}

#endif

#endif

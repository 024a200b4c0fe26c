/* The searches: inverse scales from where nothing is clipped to where too much is, each time with
 * the best scale for the levels that they give; then again around the best of them. */
#include "convert/fit_search.h"

#include <math.h>

/* How many inverse scales are tried from either end, and how many around the best. */
static const struct {
    uint32_t n_coarse, n_fine;
} efforts[N_EFFORTS] = {
    [EFFORT_FAST] = {CANDIDATES, 0},
    [EFFORT_BRIEF] = {CANDIDATES, CANDIDATES},
    [EFFORT_SEARCH] = {CANDIDATES, CANDIDATES},
};

/* The largest inverse scale is at least WIDEST times that which makes the peak the outermost level,
 * and this much beyond what the levels' load asks for. With WIDEST the first is below that by half
 * as much as WIDEST is above, so that one of the candidates is it; else it is the first itself: a
 * group of one peak and little else wants it. */
static const float WIDEST = 1.15f, BEYOND = 1.1f;
/* Candidates around the best are this far apart. */
static const float FINE = 0.02f;

/* The lanes to be searched in 16-bit integers: it is for each to say, not for its neighbours. */
static uint32_t lanes_to_pack(const struct fit *fit, const struct lanes *lanes)
{
    const bool suits = fit->rough && fit->levels.kind == LEVELS_UNIFORM && lanes->n % 2 == 0 &&
                       lanes->n <= MAX_PACKED;
    return suits ? lanes->whole : 0;
}

static void take_lanes(uint32_t taken, const float from[LANES], float to[LANES])
{
    for (uint32_t k = 0; k < LANES; k++) {
        if (taken >> k & 1) to[k] = from[k];
    }
}

/* Where weights are in [middle - reach, middle + reach]. */
static void pack_lanes(const struct fit *fit, const struct lanes *lanes, const float middle[LANES],
                       const float reach[LANES], struct packed *packed)
{
    for (uint32_t k = 0; k < LANES; k++) {
        const float size = reach[k] / (float)PACKED_HIGH;
        packed->size[k] = isfinite(1.0f / size) && isfinite(size) ? size : 0.0f;
        packed->middle[k] = middle[k];
    }
    fit->kernels->pack(lanes, packed);
}

/* Whether a scale and its opposite give the same values. */
static bool is_mirrored(const struct levels *levels)
{
    return levels->low == -levels->high && levels->kind != LEVELS_CODEBOOK;
}

/* Of each lane: the inverse of the peak, or 0 where there is none, and how much further inverse
 * scales are tried than that which puts the peak at the outermost level. */
struct reach {
    float inverse[LANES];
    float widest[LANES];
};

static struct reach find_reach(const struct fit *fit, const struct survey *survey)
{
    struct reach reach;
    const bool any_sign = !fit->positive && !is_mirrored(&fit->levels);
    for (uint32_t k = 0; k < LANES; k++) {
        const float size = fabsf(survey->peak[k]);
        const float mean_square = survey->square[k] / survey->total[k];
        const float wanted = BEYOND * size / (fit->levels.load * sqrtf(mean_square));
        const float inverse = 1.0f / (any_sign ? survey->peak[k] : size);
        const bool none = !(mean_square > 0.0f) || !isfinite(inverse);
        reach.widest[k] = wanted > WIDEST ? wanted : WIDEST;
        reach.inverse[k] = none ? 0.0f : inverse;
    }
    return reach;
}

/* In packed lanes where there are any. */
static void search_scales(const struct fit *fit, const struct lanes *lanes,
                          const struct packed *packed, uint32_t n, const float first[LANES],
                          const float step[LANES], float gain[LANES], float scale[LANES])
{
    if (packed) {
        fit->kernels->search_packed(packed, &fit->levels, n, first, step, gain, scale);
    } else {
        fit->kernels->search(lanes, &fit->levels, n, first, step, gain, scale);
    }
}

/* Tries inverse scales that put the peak at the level `outermost` and beyond. */
static void search_from(const struct fit *fit, const struct lanes *lanes,
                        const struct packed *packed, const struct reach *reach, float outermost,
                        float gain[LANES], float scale[LANES])
{
    const uint32_t n = efforts[fit->effort].n_coarse;
    const float level = fit->positive || is_mirrored(&fit->levels) ? fabsf(outermost) : outermost;
    const float share = 1.0f / (float)(n - 1);
    float first[LANES];
    float step[LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        const float inverse = level * reach->inverse[k];
        const float widest = reach->widest[k];
        const float tightest = widest > WIDEST ? 1.0f : 1.0f - (widest - 1.0f) * 0.5f;
        first[k] = inverse * tightest;
        step[k] = inverse * (widest - tightest) * share;
    }
    search_scales(fit, lanes, packed, n, first, step, gain, scale);
}

static void search_all(const struct fit *fit, const struct lanes *lanes,
                       const struct survey *survey, const struct packed *packed, float scale[LANES])
{
    const struct levels *levels = &fit->levels;
    const uint32_t n_fine = efforts[fit->effort].n_fine;
    const struct reach reach = find_reach(fit, survey);
    float gain[LANES] = {0};
    float first[LANES];
    float step[LANES];
    search_from(fit, lanes, packed, &reach, levels->low, gain, scale);
    if (!is_mirrored(levels)) {
        search_from(fit, lanes, packed, &reach, levels->high, gain, scale);
    }
    for (uint32_t k = 0; k < LANES; k++) {
        const float inverse = gain[k] > 0.0f ? 1.0f / scale[k] : 0.0f;
        first[k] = inverse * (1.0f - FINE * 0.5f * (float)(n_fine - 1));
        step[k] = inverse * FINE;
    }
    if (n_fine) search_scales(fit, lanes, packed, n_fine, first, step, gain, scale);
}

static void search_all_packed(const struct fit *fit, const struct lanes *lanes,
                              const struct survey *survey, float scale[LANES])
{
    const float none[LANES] = {0};
    float size[LANES];
    struct packed packed;
    for (uint32_t k = 0; k < LANES; k++) size[k] = fabsf(survey->peak[k]);
    pack_lanes(fit, lanes, none, size, &packed);
    search_all(fit, lanes, survey, &packed, scale);
}

void fit_scales_surveyed(const struct fit *fit, const struct lanes *lanes,
                         const struct survey *survey, float scale[LANES])
{
    const struct levels *levels = &fit->levels;
    const bool even = levels->low == -levels->high;
    const float outermost = -levels->low >= levels->high ? levels->low : levels->high;
    const uint32_t packs = lanes_to_pack(fit, lanes);
    float found[LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        const float absmax = survey->peak[k] / outermost;
        scale[k] = found[k] = even || fit->positive ? fabsf(absmax) : absmax;
    }
    if (fit->effort == EFFORT_ABSMAX) return;
    if (packs != ALL_LANES) search_all(fit, lanes, survey, NULL, scale);
    if (packs == 0) return;
    search_all_packed(fit, lanes, survey, found);
    take_lanes(packs, found, scale);
}

void fit_scales(const struct fit *fit, const struct lanes *lanes, float scale[LANES])
{
    struct survey survey;
    fit->kernels->survey(lanes, &survey);
    fit_scales_surveyed(fit, lanes, &survey, scale);
}

/* ------------------------------------------------------------------ with a bias */

/* Candidates on lines of inverse scales for which a point of the weights stays at a point of the
 * levels, the middle or either end; then, around the best, of biases, and of inverse scales. The
 * least and the largest inverse scale are shares of that which clips nothing. */
static const struct affine_effort {
    uint32_t n_middle, n_ends, n_biases, n_fine;
    float tightest, widest;
} affine_efforts[N_EFFORTS] = {
    [EFFORT_FAST] = {CANDIDATES, 0, CANDIDATES, 0, 1.0f, 1.2f},
    [EFFORT_BRIEF] = {CANDIDATES, 0, CANDIDATES, CANDIDATES, 1.0f, 1.2f},
    [EFFORT_SEARCH] = {2 * CANDIDATES, 2 * CANDIDATES, CANDIDATES, CANDIDATES, 0.94f, 1.3f},
};
/* Biases are this many levels apart. */
static const float APART = 0.25f;

struct affine_search {
    const struct fit *fit;
    const struct lanes *lanes;
    const struct packed *packed; /* or NULL */
    struct affine_line line;
    float gain[LANES];
    float *scale, *bias;
};

static void search_affine(struct affine_search *s, uint32_t n)
{
    const struct fit_kernels *kernels = s->fit->kernels;
    const struct levels *levels = &s->fit->levels;
    if (s->packed) {
        kernels->search_packed_affine(s->packed, levels, n, &s->line, s->gain, s->scale, s->bias);
    } else {
        kernels->search_affine(s->lanes, levels, n, &s->line, s->gain, s->scale, s->bias);
    }
}

/* n inverse scales, shares from .. to of `inverse`, with the weight `fixed` at the level `level`.
 */
static void search_line(struct affine_search *s, uint32_t n, const float inverse[LANES], float from,
                        float to, const float fixed[LANES], float level)
{
    struct affine_line *line = &s->line;
    const float share = (to - from) / (float)(n - 1);
    for (uint32_t k = 0; k < LANES; k++) {
        line->first[k] = inverse[k] * from;
        line->step[k] = inverse[k] * share;
        line->offset_first[k] = level - fixed[k] * line->first[k];
        line->offset_step[k] = -fixed[k] * line->step[k];
    }
    search_affine(s, n);
}

static float found_inverse(const struct affine_search *s, uint32_t lane)
{
    return s->gain[lane] > 0.0f ? 1.0f / s->scale[lane] : 0.0f;
}

/* n biases around the best, with its scale. */
static void search_biases(struct affine_search *s, uint32_t n)
{
    struct affine_line *line = &s->line;
    for (uint32_t k = 0; k < LANES; k++) {
        line->first[k] = found_inverse(s, k);
        line->step[k] = 0.0f;
        line->offset_first[k] = -s->bias[k] * line->first[k] - APART * 0.5f * (float)(n - 1);
        line->offset_step[k] = APART;
    }
    search_affine(s, n);
}

/* n scales around the best. */
static void search_fine(struct affine_search *s, uint32_t n)
{
    const struct levels *levels = &s->fit->levels;
    const float level = 0.5f * (levels->low + levels->high);
    const float reach = FINE * 0.5f * (float)(n - 1);
    float inverse[LANES];
    float middle[LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        inverse[k] = found_inverse(s, k);
        middle[k] = s->bias[k] + level * s->scale[k];
    }
    search_line(s, n, inverse, 1.0f - reach, 1.0f + reach, middle, level);
}

/* What clips nothing: scale and bias, and the inverse scale, 0 where there is none. */
static void begin_affine(struct affine_search *s, const struct survey *survey, float inverse[LANES],
                         float middle[LANES])
{
    const struct levels *levels = &s->fit->levels;
    const float span = levels->high - levels->low;
    for (uint32_t k = 0; k < LANES; k++) {
        const float width = survey->high[k] - survey->low[k];
        const float wanted = span / width;
        s->scale[k] = width / span;
        s->bias[k] = survey->low[k] - levels->low * s->scale[k];
        inverse[k] = width > 0.0f && isfinite(wanted) ? wanted : 0.0f;
        middle[k] = 0.5f * survey->high[k] + 0.5f * survey->low[k];
        s->line.total[k] = survey->total[k] > 0.0f ? survey->total[k] : 1.0f;
        s->line.mean[k] = survey->sum[k] / s->line.total[k];
    }
}

static void search_affine_all(struct affine_search *s, const struct survey *survey,
                              const struct affine_effort *effort, const float inverse[LANES],
                              const float middle[LANES])
{
    const struct levels *levels = &s->fit->levels;
    const float from = effort->tightest, to = effort->widest;
    search_line(s, effort->n_middle, inverse, from, to, middle,
                0.5f * (levels->high + levels->low));
    if (effort->n_ends) {
        search_line(s, effort->n_ends, inverse, from, to, survey->low, levels->low);
        search_line(s, effort->n_ends, inverse, from, to, survey->high, levels->high);
    }
    if (effort->n_biases) search_biases(s, effort->n_biases);
    if (effort->n_fine) search_fine(s, effort->n_fine);
}

static void search_affine_packed(const struct affine_search *from, const struct survey *survey,
                                 const float inverse[LANES], const float middle[LANES],
                                 float scale[LANES], float bias[LANES])
{
    struct affine_search s = *from;
    struct packed packed;
    float reach[LANES];
    s.scale = scale;
    s.bias = bias;
    s.packed = &packed;
    for (uint32_t k = 0; k < LANES; k++) reach[k] = survey->high[k] - middle[k];
    pack_lanes(s.fit, s.lanes, middle, reach, &packed);
    search_affine_all(&s, survey, &affine_efforts[s.fit->effort], inverse, middle);
}

void fit_affine_surveyed(const struct fit *fit, const struct lanes *lanes,
                         const struct survey *survey, float scale[LANES], float bias[LANES])
{
    struct affine_search s = {.fit = fit, .lanes = lanes, .scale = scale, .bias = bias};
    const bool brief = fit->effort == EFFORT_BRIEF;
    const uint32_t packs = lanes_to_pack(fit, lanes);
    float inverse[LANES], middle[LANES];
    float found_scale[LANES], found_bias[LANES];
    begin_affine(&s, survey, inverse, middle);
    if (fit->effort == EFFORT_ABSMAX) return;
    for (uint32_t k = 0; k < LANES; k++) {
        found_scale[k] = scale[k];
        found_bias[k] = bias[k];
    }
    if (packs) search_affine_packed(&s, survey, inverse, middle, found_scale, found_bias);
    if (packs != ALL_LANES) {
        search_affine_all(&s, survey, &affine_efforts[brief ? EFFORT_SEARCH : fit->effort], inverse,
                          middle);
    }
    take_lanes(packs, found_scale, scale);
    take_lanes(packs, found_bias, bias);
}

void fit_affine(const struct fit *fit, const struct lanes *lanes, float scale[LANES],
                float bias[LANES])
{
    struct survey survey;
    fit->kernels->survey(lanes, &survey);
    fit_affine_surveyed(fit, lanes, &survey, scale, bias);
}

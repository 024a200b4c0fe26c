/* The searches: inverse scales from where nothing is clipped to where too much is, each time with
 * the best scale for the levels that they give; then again around the best of them. */
#include "convert/fit_search.h"

#include <math.h>

/* How many inverse scales are tried from either end, and how many around the best. */
static const struct {
    uint32_t n_coarse, n_fine;
} efforts[N_EFFORTS] = {{0, 0}, {CANDIDATES, 0}, {CANDIDATES, CANDIDATES}};

/* The largest inverse scale is at least WIDEST times that which makes the peak the outermost level,
 * and this much beyond what the levels' load asks for. With WIDEST the first is below that by half
 * as much as WIDEST is above, so that one of the candidates is it; else it is the first itself: a
 * group of one peak and little else wants it. With a bias the first is TIGHTEST. */
static const float TIGHTEST = 0.94f, WIDEST = 1.15f, BEYOND = 1.1f;
/* Candidates around the best are this far apart. */
static const float FINE = 0.02f;

/* Groups of weights that all count alike are searched in 16-bit integers where their levels are. */
static bool can_pack(const struct fit *fit, const struct lanes *lanes)
{
    return fit->rough && fit->levels.kind == LEVELS_UNIFORM && lanes->importance == NULL &&
           lanes->n % 2 == 0 && lanes->n <= MAX_PACKED;
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

void fit_scales_surveyed(const struct fit *fit, const struct lanes *lanes,
                         const struct survey *survey, float scale[LANES])
{
    float gain[LANES] = {0};
    float first[LANES];
    float step[LANES];
    struct packed room;
    const struct packed *packed = NULL;
    const struct levels *levels = &fit->levels;
    const bool even = levels->low == -levels->high;
    const uint32_t n_fine = efforts[fit->effort].n_fine;
    const float outermost = -levels->low >= levels->high ? levels->low : levels->high;
    for (uint32_t k = 0; k < LANES; k++) {
        const float absmax = survey->peak[k] / outermost;
        scale[k] = even || fit->positive ? fabsf(absmax) : absmax;
    }
    if (fit->effort == EFFORT_ABSMAX) return;
    const struct reach reach = find_reach(fit, survey);
    if (can_pack(fit, lanes)) {
        float size[LANES];
        const float none[LANES] = {0};
        for (uint32_t k = 0; k < LANES; k++) size[k] = fabsf(survey->peak[k]);
        pack_lanes(fit, lanes, none, size, &room);
        packed = &room;
    }
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

void fit_scales(const struct fit *fit, const struct lanes *lanes, float scale[LANES])
{
    struct survey survey;
    fit->kernels->survey(lanes, &survey);
    fit_scales_surveyed(fit, lanes, &survey, scale);
}

/* ------------------------------------------------------------------ with a bias */

/* Candidates on a line of inverse scales for which a point of the weights stays at a point of the
 * levels: both ends, and the middle. */
static const struct {
    uint32_t n_middle, n_ends, n_fine;
} affine_efforts[N_EFFORTS] = {{0, 0, 0}, {CANDIDATES, 0, CANDIDATES}, {8, 8, CANDIDATES}};
static const float AFFINE_WIDEST = 1.3f;

/* inverse = from .. to, with the weight `fixed` at the level `level`. */
static void search_line(const struct fit *fit, const struct lanes *lanes,
                        const struct packed *packed, uint32_t n, struct affine_line *line,
                        const float inverse[LANES], float from, float to, const float fixed[LANES],
                        float level, float gain[LANES], float scale[LANES], float bias[LANES])
{
    for (uint32_t k = 0; k < LANES; k++) {
        line->first[k] = inverse[k] * from;
        line->step[k] = inverse[k] * (to - from) / (float)(n - 1);
        line->offset_first[k] = level - fixed[k] * line->first[k];
        line->offset_step[k] = -fixed[k] * line->step[k];
    }
    if (packed) {
        fit->kernels->search_packed_affine(packed, &fit->levels, n, line, gain, scale, bias);
    } else {
        fit->kernels->search_affine(lanes, &fit->levels, n, line, gain, scale, bias);
    }
}

void fit_affine_surveyed(const struct fit *fit, const struct lanes *lanes,
                         const struct survey *survey, float scale[LANES], float bias[LANES])
{
    struct affine_line line;
    float gain[LANES] = {0};
    float inverse[LANES];
    float middle[LANES];
    struct packed room;
    const struct packed *packed = NULL;
    const struct levels *levels = &fit->levels;
    const float span = levels->high - levels->low;
    const uint32_t n_middle = affine_efforts[fit->effort].n_middle;
    const uint32_t n_ends = affine_efforts[fit->effort].n_ends;
    const uint32_t n_fine = affine_efforts[fit->effort].n_fine;
    for (uint32_t k = 0; k < LANES; k++) {
        const float width = survey->high[k] - survey->low[k];
        const float wanted = span / width;
        scale[k] = width / span;
        bias[k] = survey->low[k] - levels->low * scale[k];
        inverse[k] = width > 0.0f && isfinite(wanted) ? wanted : 0.0f;
        middle[k] = 0.5f * survey->high[k] + 0.5f * survey->low[k];
        line.total[k] = survey->total[k] > 0.0f ? survey->total[k] : 1.0f;
        line.mean[k] = survey->sum[k] / line.total[k];
    }
    if (n_middle == 0) return;
    if (can_pack(fit, lanes)) {
        float reach[LANES];
        for (uint32_t k = 0; k < LANES; k++) reach[k] = survey->high[k] - middle[k];
        pack_lanes(fit, lanes, middle, reach, &room);
        packed = &room;
    }
    search_line(fit, lanes, packed, n_middle, &line, inverse, TIGHTEST, AFFINE_WIDEST, middle,
                0.5f * (levels->high + levels->low), gain, scale, bias);
    if (n_ends) {
        search_line(fit, lanes, packed, n_ends, &line, inverse, TIGHTEST, AFFINE_WIDEST,
                    survey->low, levels->low, gain, scale, bias);
        search_line(fit, lanes, packed, n_ends, &line, inverse, TIGHTEST, AFFINE_WIDEST,
                    survey->high, levels->high, gain, scale, bias);
    }
    for (uint32_t k = 0; k < LANES; k++) inverse[k] = gain[k] > 0.0f ? 1.0f / scale[k] : 0.0f;
    for (uint32_t k = 0; k < LANES; k++) middle[k] = bias[k];
    if (n_fine) {
        const float reach = FINE * 0.5f * (float)(n_fine - 1);
        search_line(fit, lanes, packed, n_fine, &line, inverse, 1.0f - reach, 1.0f + reach, middle,
                    0.0f, gain, scale, bias);
    }
}

void fit_affine(const struct fit *fit, const struct lanes *lanes, float scale[LANES],
                float bias[LANES])
{
    struct survey survey;
    fit->kernels->survey(lanes, &survey);
    fit_affine_surveyed(fit, lanes, &survey, scale, bias);
}

/* The kernels in C alone: what all others must equal bit for bit. Groups lie side by side, so that
 * no sum is ever taken across lanes. */
#include "convert/fit_levels.h"
#include "convert/fit_packed.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

static float least(float a, float b)
{
    return a < b ? a : b;
}

static float most(float a, float b)
{
    return a > b ? a : b;
}

/* To the nearest integer, ties to even: adding 1.5 * 2^23 leaves no room for a fraction, so that
 * the addition itself rounds. Of more than 2^22 something large is left, which is clamped. */
static float round_even(float v)
{
    return (v + 0x1.8p23f) - 0x1.8p23f;
}

static float snap_uniform(const struct levels *levels, float v)
{
    return least(most(round_even(v), levels->low), levels->high);
}

/* The step between neighbours is the power of two of the number's exponent, less the fraction's
 * bits; rounding to a multiple of it is rounding to an integer with another constant. */
static float snap_float(const struct levels *levels, float v)
{
    const float size = least(f32_from_bits(f32_bits(v) & 0x7fffffffu), levels->high);
    const float power = f32_from_bits(f32_bits(size) & 0x7f800000u);
    const float step = most(power, levels->min_normal) *
                       f32_from_bits((uint32_t)(127 - levels->fraction_bits) << 23);
    const float magic = step * 0x1.8p23f;
    const float rounded = (size + magic) - magic;
    return f32_from_bits(f32_bits(rounded) | (f32_bits(v) & 0x80000000u));
}

static uint32_t find_level(const struct levels *levels, float v)
{
    uint32_t i = 0;
    for (uint32_t half = MAX_LEVELS / 2; half > 0; half /= 2) {
        if (v > levels->threshold[i + half - 1]) i += half;
    }
    return i;
}

static float snap_codebook(const struct levels *levels, float v)
{
    return levels->level[find_level(levels, v)];
}

static float (*const snap[N_LEVEL_KINDS])(const struct levels *levels, float v) = {
    [LEVELS_UNIFORM] = snap_uniform,
    [LEVELS_FLOAT] = snap_float,
    [LEVELS_CODEBOOK] = snap_codebook,
};

static uint8_t code_uniform(const struct levels *levels, float level)
{
    return (uint8_t)((int32_t)level + levels->zero);
}

/* The code of a number of the format itself. */
static uint8_t code_float(const struct levels *levels, float level)
{
    const uint32_t bits = f32_bits(level);
    const uint32_t size = bits & 0x7fffffffu;
    const uint32_t normal = (size >> (23 - levels->fraction_bits)) -
                            ((uint32_t)levels->exponent_shift << levels->fraction_bits);
    const float units = f32_from_bits(size) * (float)(1u << levels->fraction_bits);
    const uint32_t subnormal = (uint32_t)(units / levels->min_normal);
    const uint32_t code = f32_from_bits(size) < levels->min_normal ? subnormal : normal;
    return (uint8_t)(code | bits >> 31 << levels->sign_bit);
}

static uint8_t code_codebook(const struct levels *levels, float level)
{
    uint32_t i = 0;
    while (levels->level[i] < level) i++;
    return levels->code[i];
}

static uint8_t (*const code_of[N_LEVEL_KINDS])(const struct levels *levels, float level) = {
    [LEVELS_UNIFORM] = code_uniform,
    [LEVELS_FLOAT] = code_float,
    [LEVELS_CODEBOOK] = code_codebook,
};

static float importance_of(const struct lanes *lanes, size_t i)
{
    return lanes->importance ? lanes->importance[i] : 1.0f;
}

static void survey(const struct lanes *lanes, struct survey *survey)
{
    *survey = (struct survey){0};
    for (uint32_t k = 0; k < LANES; k++) {
        for (uint32_t i = 0; i < lanes->n; i++) {
            const size_t at = (size_t)i * LANES + k;
            const float h = importance_of(lanes, at);
            const float weight = h > 0.0f ? lanes->weights[at] : 0.0f;
            const float scaled = h * weight;
            if (fabsf(weight) > fabsf(survey->peak[k])) survey->peak[k] = weight;
            if (i == 0 || (h > 0.0f && weight < survey->low[k])) survey->low[k] = weight;
            if (i == 0 || (h > 0.0f && weight > survey->high[k])) survey->high[k] = weight;
            survey->total[k] = survey->total[k] + h;
            survey->sum[k] = survey->sum[k] + scaled;
            survey->square[k] = survey->square[k] + scaled * weight;
        }
    }
}

static void load(const float *const sources[LANES], uint32_t n, float *weights)
{
    for (uint32_t k = 0; k < LANES; k++) {
        for (uint32_t i = 0; i < n; i++) weights[(size_t)i * LANES + k] = sources[k][i];
    }
}

/* Keeps what explains more than the best so far. */
static void search(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                   const float first[LANES], const float step[LANES], float gain[LANES],
                   float scale[LANES])
{
    for (uint32_t j = 0; j < n; j++) {
        for (uint32_t k = 0; k < LANES; k++) {
            const float inverse = first[k] + step[k] * (float)j;
            float cross = 0.0f;
            float square = 0.0f;
            for (uint32_t i = 0; i < lanes->n; i++) {
                const size_t at = (size_t)i * LANES + k;
                const float weight = lanes->weights[at];
                const float level = snap[levels->kind](levels, weight * inverse);
                const float scaled = importance_of(lanes, at) * level;
                cross = cross + scaled * weight;
                square = square + scaled * level;
            }
            const float best = cross / square;
            const float explained = best * cross;
            if (explained > gain[k] && explained <= FLT_MAX) {
                gain[k] = explained;
                scale[k] = best;
            }
        }
    }
}

static void search_affine(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                          const struct affine_line *line, float gain[LANES], float scale[LANES],
                          float bias[LANES])
{
    for (uint32_t j = 0; j < n; j++) {
        for (uint32_t k = 0; k < LANES; k++) {
            const float inverse = line->first[k] + line->step[k] * (float)j;
            const float offset = line->offset_first[k] + line->offset_step[k] * (float)j;
            float sum = 0.0f;
            float square = 0.0f;
            float cross = 0.0f;
            for (uint32_t i = 0; i < lanes->n; i++) {
                const size_t at = (size_t)i * LANES + k;
                const float weight = lanes->weights[at];
                const float level = snap_uniform(levels, weight * inverse + offset);
                const float scaled = importance_of(lanes, at) * level;
                sum = sum + scaled;
                square = square + scaled * level;
                cross = cross + scaled * weight;
            }
            const float level_mean = sum / line->total[k];
            const float spread = square - sum * level_mean;
            const float shared = cross - sum * line->mean[k];
            const float best = shared / spread;
            const float explained = best * shared;
            if (explained > gain[k] && explained <= FLT_MAX) {
                gain[k] = explained;
                scale[k] = best;
                bias[k] = line->mean[k] - best * level_mean;
            }
        }
    }
}

static float power_error(const struct levels *levels, const float *weights, uint32_t n,
                         float inverse)
{
    float sums[POWER_STEP] = {0};
    for (uint32_t i = 0; i < n; i++) {
        const float v = weights[i] * inverse;
        const float difference = v - snap_float(levels, v);
        sums[i % POWER_STEP] = sums[i % POWER_STEP] + difference * difference;
    }
    for (uint32_t half = POWER_STEP / 2; half > 0; half /= 2) {
        for (uint32_t i = 0; i < half; i++) sums[i] = sums[i] + sums[i + half];
    }
    return sums[0];
}

/* Errors are in levels, so that none is too small or too large. */
static void search_powers(const struct levels *levels, const struct group_rows *rows,
                          float scale[LANES])
{
    for (uint32_t k = 0; k < LANES; k++) {
        const float *weights = rows->weights[k];
        float peak = 0.0f;
        for (uint32_t i = 0; i < rows->n[k]; i++) peak = most(peak, fabsf(weights[i]));
        scale[k] = peak == 0.0f ? 0.0f : -1.0f;
        if (!power_suits(peak)) continue;
        const float power = power_above(peak, levels->high);
        const float whole = power_error(levels, weights, rows->n[k], power_inverse(power));
        const float half = power_error(levels, weights, rows->n[k], 2.0f * power_inverse(power));
        scale[k] = power_better(power, whole, half);
    }
}

static float reciprocal(float scale)
{
    return scale == 0.0f ? 0.0f : 1.0f / scale;
}

static void error(const struct lanes *lanes, const struct levels *levels,
                  const float scale[CANDIDATES][LANES], const float bias[CANDIDATES][LANES],
                  float result[CANDIDATES][LANES])
{
    for (uint32_t c = 0; c < CANDIDATES; c++) {
        for (uint32_t k = 0; k < LANES; k++) {
            const float inverse = reciprocal(scale[c][k]);
            float sum = 0.0f;
            for (uint32_t i = 0; i < lanes->n; i++) {
                const size_t at = (size_t)i * LANES + k;
                const float weight = lanes->weights[at];
                const float level = snap[levels->kind](levels, (weight - bias[c][k]) * inverse);
                const float difference = weight - (level * scale[c][k] + bias[c][k]);
                sum = sum + importance_of(lanes, at) * difference * difference;
            }
            result[c][k] = sum;
        }
    }
}

static void encode(const struct levels *levels, const struct group_rows *rows,
                   const float scale[LANES], const float bias[LANES])
{
    for (uint32_t k = 0; k < LANES; k++) {
        const struct divisor d = divisor_of(scale[k]);
        for (uint32_t i = 0; i < rows->n[k]; i++) {
            const float from_bias = rows->weights[k][i] - bias[k];
            const float snapped = snap[levels->kind](levels, from_bias * d.lift * d.inverse);
            const float level = levels->kind == LEVELS_UNIFORM ? snapped + 0.0f : snapped;
            rows->codes[k][i] = code_of[levels->kind](levels, level);
            rows->values[k][i] = level * scale[k] + bias[k];
        }
    }
}

static bool available(void)
{
    return true;
}

const struct fit_kernels fit_plain = {
    .name = "plain",
    .available = available,
    .survey = survey,
    .load = load,
    .search = search,
    .search_affine = search_affine,
    .pack = fit_pack_plain,
    .search_packed = fit_search_packed_plain,
    .search_packed_affine = fit_search_packed_affine_plain,
    .error = error,
    .search_powers = search_powers,
    .encode = encode,
};

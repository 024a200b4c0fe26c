/* The searches over packed lanes in C alone: what all others must equal bit for bit. */
#include "convert/fit_packed.h"

#include <float.h>
#include <stddef.h>

static float least(float a, float b)
{
    return a < b ? a : b;
}

static float most(float a, float b)
{
    return a > b ? a : b;
}

/* To the nearest integer of 16 bits, ties to even. */
static int32_t to_fixed(float v)
{
    const float within = least(most(v, -(float)PACKED_HIGH), (float)PACKED_HIGH);
    return (int32_t)((within + 0x1.8p23f) - 0x1.8p23f);
}

void fit_pack_plain(const struct lanes *lanes, struct packed *packed)
{
    const float share = 1.0f / (float)lanes->n;
    float unit[LANES];
    packed_units(packed, unit);
    packed->n = lanes->n;
    for (uint32_t k = 0; k < LANES; k++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < lanes->n; i++) {
            const float from_middle = lanes->weights[(size_t)i * LANES + k] - packed->middle[k];
            const int32_t weight = to_fixed(from_middle * unit[k]);
            packed->weights[((size_t)i / 2 * LANES + k) * 2 + i % 2] = (int16_t)weight;
            sum += weight;
        }
        packed->mean[k] = (float)sum * share;
    }
}

/* The product of two numbers of 16 bits over 2^15, rounded. */
static int32_t multiply(int32_t a, int32_t b)
{
    return (a * b + (1 << 14)) >> 15;
}

static int32_t clamp(int32_t v, int32_t low, int32_t high)
{
    return v < low ? low : v > high ? high : v;
}

struct sums {
    int32_t sum, square, cross;
};

static struct sums add_up(const struct packed *packed, const struct fixed_levels *f, uint32_t lane,
                          int32_t multiplier, int32_t offset)
{
    struct sums s = {0, 0, 0};
    for (uint32_t i = 0; i < packed->n; i++) {
        const int32_t weight = packed->weights[((size_t)i / 2 * LANES + lane) * 2 + i % 2];
        const int32_t v =
            clamp(multiply(weight, multiplier) + offset, -PACKED_HIGH - 1, PACKED_HIGH);
        const int32_t level = clamp(multiply(v, f->rounding), f->low, f->high);
        s.sum += level;
        s.square += level * level;
        s.cross += level * weight;
    }
    return s;
}

void fit_search_packed_plain(const struct packed *packed, const struct levels *levels, uint32_t n,
                             const float first[LANES], const float step[LANES], float gain[LANES],
                             float scale[LANES])
{
    const struct fixed_levels f = fixed_levels(levels, false);
    const float unit = fixed_unit(&f);
    for (uint32_t j = 0; j < n; j++) {
        for (uint32_t k = 0; k < LANES; k++) {
            const float inverse = first[k] + step[k] * (float)j;
            const struct sums s =
                add_up(packed, &f, k, to_fixed(inverse * (packed->size[k] * unit)), 0);
            const float cross = (float)s.cross;
            const float best = cross / (float)s.square;
            const float explained = best * cross;
            if (explained > gain[k] && explained <= FLT_MAX) {
                gain[k] = explained;
                scale[k] = best * packed->size[k];
            }
        }
    }
}

void fit_search_packed_affine_plain(const struct packed *packed, const struct levels *levels,
                                    uint32_t n, const struct affine_line *line, float gain[LANES],
                                    float scale[LANES], float bias[LANES])
{
    const struct fixed_levels f = fixed_levels(levels, true);
    const float unit = fixed_unit(&f);
    const float share = 1.0f / (float)packed->n;
    for (uint32_t j = 0; j < n; j++) {
        for (uint32_t k = 0; k < LANES; k++) {
            const float inverse = line->first[k] + line->step[k] * (float)j;
            const float offset = line->offset_first[k] + line->offset_step[k] * (float)j;
            const float at_middle = (offset + packed->middle[k] * inverse) - f.centre;
            const struct sums s =
                add_up(packed, &f, k, to_fixed(inverse * (packed->size[k] * unit)),
                       to_fixed(at_middle * f.one));
            const float sum = (float)s.sum;
            const float mean = packed->mean[k];
            const float level_mean = sum * share;
            const float spread = (float)s.square - sum * level_mean;
            const float shared = (float)s.cross - sum * mean;
            const float best = shared / spread;
            const float explained = best * shared;
            if (explained > gain[k] && explained <= FLT_MAX) {
                const float from_middle = mean - best * (level_mean + f.centre);
                gain[k] = explained;
                scale[k] = best * packed->size[k];
                bias[k] = packed->middle[k] + from_middle * packed->size[k];
            }
        }
    }
}

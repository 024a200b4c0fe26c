/* Levels, from a few parameters each. */
#include "convert/levels.h"

#include <assert.h>
#include <math.h>

#include "format/bytes.h"
#include "format/floats.h"

/* How many standard deviations of normal weights the highest level of a good scale stands for, by
 * the bits of its number: less than that, and nothing is gained by clipping more. */
static float load_of(int32_t low)
{
    static const float loads[] = {1.1f, 1.25f, 2.0f, 2.6f, 3.0f, 3.3f, 3.7f, 4.0f};
    uint32_t bits = 0;
    while (bits < 7 && (1 << bits) < -low) bits++;
    return loads[bits];
}

struct levels levels_uniform(int32_t low, int32_t high, int32_t zero)
{
    return (struct levels){.kind = LEVELS_UNIFORM,
                           .low = (float)low,
                           .high = (float)high,
                           .zero = zero,
                           .load = load_of(low)};
}

struct levels levels_float(ingot_dtype format)
{
    static const struct {
        ingot_dtype format;
        uint8_t exponent_bits, fraction_bits, bias;
        float high, load;
    } rows[] = {
        {INGOT_F8_E4M3, 4, 3, 7, 448.0f, 1.0f}, {INGOT_F8_E5M2, 5, 2, 15, 57344.0f, 1.0f},
        {INGOT_F6_E3M2, 3, 2, 3, 28.0f, 3.0f},  {INGOT_F6_E2M3, 2, 3, 1, 7.5f, 2.6f},
        {INGOT_F4_E2M1, 2, 1, 1, 6.0f, 2.6f},
    };
    uint32_t i = 0;
    while (rows[i].format != format) i++;
    return (struct levels){
        .kind = LEVELS_FLOAT,
        .low = -rows[i].high,
        .high = rows[i].high,
        .fraction_bits = rows[i].fraction_bits,
        .exponent_shift = (uint8_t)(127 - rows[i].bias),
        .sign_bit = (uint8_t)(rows[i].exponent_bits + rows[i].fraction_bits),
        .min_normal = ldexpf(1.0f, 1 - rows[i].bias),
        .load = rows[i].load,
    };
}

struct levels levels_codebook(const float *entries, uint32_t n_entries)
{
    struct levels levels = {.kind = LEVELS_CODEBOOK, .load = 2.4f};
    uint32_t n = 0;
    assert(n_entries > 0 && n_entries <= MAX_LEVELS);
    for (uint32_t code = 0; code < n_entries; code++) {
        uint32_t at = n;
        while (at > 0 && levels.level[at - 1] > entries[code]) at--;
        if (at > 0 && levels.level[at - 1] == entries[code]) continue;
        for (uint32_t i = n; i > at; i--) {
            levels.level[i] = levels.level[i - 1];
            levels.code[i] = levels.code[i - 1];
        }
        levels.level[at] = entries[code];
        levels.code[at] = (uint8_t)code;
        n++;
    }
    for (uint32_t i = 0; i < MAX_LEVELS; i++) {
        const bool last = i + 1 >= n;
        if (i >= n) levels.level[i] = INFINITY;
        levels.threshold[i] = last ? INFINITY : 0.5f * levels.level[i] + 0.5f * levels.level[i + 1];
    }
    levels.low = levels.level[0];
    levels.high = levels.level[n - 1];
    return levels;
}

static const float nf4[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};
const struct codebook codebook_nf4 = {"nf4", 16, nf4};

/* A sign, and 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4 of the largest. */
static const float fp4[16] = {
    0.0f,  0.005208333333f,  0.66666667f,  1.0f,  0.33333333f,  0.5f,  0.16666667f,  0.25f,
    -0.0f, -0.005208333333f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f,
};
const struct codebook codebook_fp4 = {"fp4", 16, fp4};

static const float iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                              1,    13,   25,  38,  53,  69,  89,  113};
const struct codebook codebook_iq4 = {"iq4", 16, iq4};

static const float mxfp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
const struct codebook codebook_mxfp4 = {"mxfp4", 16, mxfp4};

/* Fitting scales and offsets to groups of weights by least squares. LANES groups are fitted at
 * once, side by side, and each as if it were alone: a group's result depends on its own weights
 * only.
 *
 * A code stands for a level; a weight is rounded to the nearest level of its group,
 *
 *     value = level * scale + bias,    level = snap((weight - bias) / scale)
 *
 * and what is sought is the scale, and the bias where there is one, with the least sum of
 * importance * (weight - value)^2. Knows no files, no tables and how none are stored. */
#ifndef INGOT_CONVERT_FIT_H
#define INGOT_CONVERT_FIT_H

#include <stdbool.h>
#include <stdint.h>

enum { LANES = 8, CANDIDATES = 4, MAX_LEVELS = 16 };

/* The levels that codes stand for. */
enum level_kind {
    LEVELS_UNIFORM,  /* the integers from low to high: code - zero */
    LEVELS_FLOAT,    /* the numbers of a small float format */
    LEVELS_CODEBOOK, /* at most MAX_LEVELS of any value, ascending */
    N_LEVEL_KINDS
};

struct levels {
    uint8_t kind;    /* enum level_kind */
    int32_t zero;    /* uniform */
    float low, high; /* the lowest and highest level */
    float load;      /* standard deviations of normal weights that `high` is worth at least */
    /* float: sign, exponent, fraction bits of a code, the smallest normal number and how far the
     * exponents of a code and an f32 are apart */
    uint8_t fraction_bits;
    uint8_t exponent_shift;
    uint8_t sign_bit;
    float min_normal;
    /* codebook: what codes mean, the levels in ascending order with +infinity in the places past
     * the last one, the thresholds between neighbours, and the codes of the levels */
    float level[MAX_LEVELS];
    float threshold[MAX_LEVELS];
    uint8_t code[MAX_LEVELS];
};

/* Weights of LANES groups: number i of lane k at [i * LANES + k]. A shorter group is filled up with
 * weights of importance 0. */
struct lanes {
    uint32_t n;
    const float *weights;
    const float *importance; /* NULL: 1 for all */
    uint32_t whole;          /* bit k: lane k has n weights that all count alike */
};
enum { ALL_LANES = (1 << LANES) - 1 };

/* LANES groups as they lie in their rows, which may be of different length. */
struct group_rows {
    uint32_t n[LANES];
    const float *weights[LANES];
    uint8_t *codes[LANES];
    float *values[LANES];
};

/* Of groups with powers of two: weights come in so many, and peaks are between the inverse of the
 * furthest and itself. */
enum { POWER_STEP = 16 };
static const float POWER_PEAK = 0x1p100f;

/* The most weights of a group that is packed, and the largest of them. */
enum { MAX_PACKED = 256, PACKED_HIGH = 32767 };

/* Lanes in 16-bit integers, for searches over uniform levels whose sums are exact and do not depend
 * on their order. A weight is middle + size * its integer, and all count alike. */
struct packed {
    uint32_t n;        /* even, at most MAX_PACKED */
    float size[LANES]; /* 0 for a lane of which nothing can be found */
    float middle[LANES];
    float mean[LANES]; /* of the integers */
    /* Number i of lane k at [(i / 2 * LANES + k) * 2 + i % 2]. */
    int16_t weights[MAX_PACKED * LANES];
};

/* What there is to know of groups before a search. */
struct survey {
    float peak[LANES]; /* the weight of largest magnitude, the first of them */
    float low[LANES];  /* the least weight, and the largest */
    float high[LANES];
    float total[LANES];  /* sum of importance */
    float sum[LANES];    /* of importance * weight */
    float square[LANES]; /* of importance * weight^2 */
};

struct affine_line {
    float first[LANES], step[LANES];
    float offset_first[LANES], offset_step[LANES];
    float total[LANES], mean[LANES];
};

/* One row a level of the CPU: all give the same bits. */
struct fit_kernels {
    const char *name;
    bool (*available)(void);
    /* Weights of importance 0 count for peak, low and high only when importance is NULL. A group
     * without weights has zeros. */
    void (*survey)(const struct lanes *lanes, struct survey *survey);
    /* From rows to lanes: sources[k] has n weights of lane k. */
    void (*load)(const float *const sources[LANES], uint32_t n, float *weights);
    /* Tries n inverse scales, first + step * j for j < n, a multiple of CANDIDATES. With
     * l = snap(weight * inverse), the best scale for these levels is cross / square, of
     * cross = sum of importance * l * weight and square = sum of importance * l^2, and what it
     * explains of the sum of squares is cross^2 / square. Where that is finite and above the gain
     * of a lane, sets gain and scale. */
    void (*search)(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                   const float first[LANES], const float step[LANES], float gain[LANES],
                   float scale[LANES]);
    /* The same with a bias, for uniform levels: l = snap(weight * inverse + offset), the offset
     * being offset_first + offset_step * j. total and mean are the sum of importance and the
     * weighted mean of the weights. */
    void (*search_affine)(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                          const struct affine_line *line, float gain[LANES], float scale[LANES],
                          float bias[LANES]);
    /* Packs lanes of an even number of weights; size and middle are given. */
    void (*pack)(const struct lanes *lanes, struct packed *packed);
    /* The searches over packed lanes, without and with a bias. Levels are found from fixed-point
     * products: those next to a threshold may differ from what search finds. */
    void (*search_packed)(const struct packed *packed, const struct levels *levels, uint32_t n,
                          const float first[LANES], const float step[LANES], float gain[LANES],
                          float scale[LANES]);
    void (*search_packed_affine)(const struct packed *packed, const struct levels *levels,
                                 uint32_t n, const struct affine_line *line, float gain[LANES],
                                 float scale[LANES], float bias[LANES]);
    /* The sums of importance * (weight - value)^2 for scales and biases. */
    void (*error)(const struct lanes *lanes, const struct levels *levels,
                  const float scale[CANDIDATES][LANES], const float bias[CANDIDATES][LANES],
                  float error[CANDIDATES][LANES]);
    /* Scales that are powers of two, for levels that are floats: the least that clips nothing, or
     * half of that where its error is less. Rows have a multiple of POWER_STEP weights, which count
     * alike. 0 for zeros, -1 for other peaks than POWER_PEAK says.
     * An error is of 16 sums, of every sixteenth weight, that are folded in halves. */
    void (*search_powers)(const struct levels *levels, const struct group_rows *rows,
                          float scale[LANES]);
    /* The codes, and the values that decoding gives. A scale of 0 has the level nearest to 0. An
     * integer level 0 is +0; a bias of -0 changes nothing, as if it were not there. */
    void (*encode)(const struct levels *levels, const struct group_rows *rows,
                   const float scale[LANES], const float bias[LANES]);
};

/* The best kernels of this CPU, or those of that name, or NULL. */
const struct fit_kernels *fit_kernels_find(const char *name);

#endif

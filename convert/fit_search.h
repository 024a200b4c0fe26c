/* Searches for scales and biases, on top of the kernels. */
#ifndef INGOT_CONVERT_FIT_SEARCH_H
#define INGOT_CONVERT_FIT_SEARCH_H

#include "convert/levels.h"

enum effort {
    EFFORT_ABSMAX, /* from the extremes alone: nothing is clipped */
    EFFORT_FAST,   /* a few candidates */
    EFFORT_BRIEF,  /* with a bias: some more; weights that do not count alike: as EFFORT_SEARCH */
    EFFORT_SEARCH, /* near the least error */
    N_EFFORTS
};

struct fit {
    const struct fit_kernels *kernels;
    struct levels levels;
    enum effort effort;
    bool positive; /* scales without a bias must not be negative */
    bool rough;    /* scales will be rounded: 1e-5 of one more or less is nothing */
};

/* Scales for groups without a bias; 0 for a group of zeros. The scale may be negative where the
 * levels are not the same on both sides. */
void fit_scales(const struct fit *fit, const struct lanes *lanes, float scale[LANES]);
/* The same of groups that were surveyed. */
void fit_scales_surveyed(const struct fit *fit, const struct lanes *lanes,
                         const struct survey *survey, float scale[LANES]);
/* Scales and biases; a group of equal weights has scale 0. Uniform levels. */
void fit_affine(const struct fit *fit, const struct lanes *lanes, float scale[LANES],
                float bias[LANES]);
void fit_affine_surveyed(const struct fit *fit, const struct lanes *lanes,
                         const struct survey *survey, float scale[LANES], float bias[LANES]);

#endif

/* One matrix through a preset in memory: encoded whole, decoded by the reference decoder, compared.
 * For presets that make one dense term. */
#ifndef INGOT_TESTS_SUPPORT_TRIAL_H
#define INGOT_TESTS_SUPPORT_TRIAL_H

#include "convert/encode.h"

struct trial {
    const char *name;
    struct stack_shape stack;
    const float *values;
    const float *importance; /* as of an encode_input */
    /* Results. */
    float *decoded; /* n values: the caller's room */
    double bits;    /* a weight */
    double seconds; /* CPU time of encoding */
    double nmse;    /* noise over signal, both weighted by importance */
    bool told;      /* what the encoder said it gives, where it says so, is what decoding gives */
};

/* False, with *error set, when there is no such preset or it refuses the values. */
bool trial_run(struct trial *trial, ingot_error *error);

/* A normal number, from a state of 64 bits. */
float trial_normal(uint64_t *state);

#endif

/* Sums over many floats, as fast as the CPU allows, with the same bits everywhere. */
#ifndef INGOT_CONVERT_SUMS_H
#define INGOT_CONVERT_SUMS_H

#include <stdbool.h>
#include <stdint.h>

/* Sums that do not wait for each other: value i goes to lane i % SUM_LANES. */
enum { SUM_LANES = 8 };

struct error_sums {
    double signal[SUM_LANES];    /* of source^2 */
    double noise[SUM_LANES];     /* of (value - source)^2 */
    double max_error[SUM_LANES]; /* largest |value - source| */
};

struct sums_kernels {
    const char *name;
    bool (*available)(void);
    /* Whether no value is infinite or NaN. */
    bool (*all_finite)(const float *values, uint64_t n);
    /* Adds n values, a multiple of SUM_LANES below 2^31; returns how many differ. Where one is not
     * finite, a sum of noise or signal is not. */
    uint64_t (*add_errors)(struct error_sums *sums, const float *source, const float *values,
                           uint64_t n);
};

/* The best of this CPU, or those of that name, or NULL. */
const struct sums_kernels *sums_kernels_find(const char *name);

#endif

/* The error of values against the source's. Knows nothing of where either come from. */
#ifndef INGOT_CONVERT_MEASURE_H
#define INGOT_CONVERT_MEASURE_H

#include "convert/convert.h"

/* Adds n values to the sums; begin with a zeroed struct. Two NaNs are equal, and so are two equal
 * infinities; a difference that is not finite makes noise and max_error infinite. signal counts
 * finite source values. */
void measure_add(struct tensor_error *e, const float *source, const float *values, uint64_t n);
/* Adds the sums of `part`. */
void measure_merge(struct tensor_error *e, const struct tensor_error *part);
/* Fills in the ratios. */
void measure_finish(struct tensor_error *e);

#endif

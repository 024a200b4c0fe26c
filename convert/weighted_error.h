/* The error of an encoded tensor where some columns matter more than others. */
#ifndef INGOT_CONVERT_WEIGHTED_ERROR_H
#define INGOT_CONVERT_WEIGHTED_ERROR_H

#include "convert/model.h"

/* Sets *relative to the sum of importance * (weight - value)^2 over that of importance * weight^2,
 * 0 where the latter is: the values are those of the only tensor of a container in memory.
 * importance: of each matrix n_cols floats. */
ingot_status weighted_error(const struct model *model, uint32_t index, struct span container,
                            const float *importance, double *relative, ingot_error *error);

#endif

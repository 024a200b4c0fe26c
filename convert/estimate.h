/* About how large an .ingot file will be: by a conversion of some rows of each tensor. */
#ifndef INGOT_CONVERT_ESTIMATE_H
#define INGOT_CONVERT_ESTIMATE_H

#include "convert/sink.h"

/* Sets plan->expected_bytes, or leaves it 0 where tensors in codes would be copied, or where the
 * sample has values that an encoding refuses. */
ingot_status estimate_ingot(const struct conversion *c, struct convert_plan *plan,
                            ingot_error *error);

#endif

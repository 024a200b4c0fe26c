/* Choices under a target size: measures each tensor's candidates and lets the budget decide. */
#ifndef INGOT_CONVERT_TARGET_H
#define INGOT_CONVERT_TARGET_H

#include "convert/sink.h"

/* What takes the place of a recipe when only a size is asked for. */
struct recipe target_recipe(void);

/* Makes the choices of a conversion so that its target holds: options->target_bytes of the whole
 * file (lossless compression not counted on), or options->target_bpw bits a weight of all tensors.
 * `plan` is the sink's. Tensors that are one (aliases) or that runtimes fuse (attention's q, k and
 * v, the gate and the up of a layer) get the same encoding. Their errors weigh by their number of
 * weights and relative to their own signal. INGOT_REFUSED when the smallest choice is too large. */
ingot_status target_choose(struct conversion *c, const struct recipe *recipe, bool blocks,
                           ingot_status (*plan)(struct conversion *c, struct convert_plan *plan,
                                                ingot_error *error),
                           ingot_error *error);

#endif

/* What a conversion would write, printed instead of written. */
#ifndef CLI_DRY_RUN_H
#define CLI_DRY_RUN_H

#include <jansson.h>

#include "convert/convert.h"

/* Prints the plan on stdout, tensor by tensor unless brief, and sets *exits to the exit status.
 * Fails where the plan does, and has then printed nothing. */
struct dry_run {
    const struct model *model;
    const char *target;
    const struct convert_options *options;
    json_t *told; /* the notes, when it is to be JSON; else NULL */
    bool brief;
};
ingot_status dry_run(const struct dry_run *run, int *exits, ingot_error *error);

#endif

/* What a conversion would write, printed instead of written. */
#ifndef CLI_DRY_RUN_H
#define CLI_DRY_RUN_H

#include "convert/convert.h"

/* Prints the plan on stdout, tensor by tensor unless brief. `source` is what errors call the model.
 * Returns the exit status. */
struct dry_run {
    const struct model *model;
    const char *source;
    const char *target;
    const struct convert_options *options;
    bool json;
    bool brief;
};
int dry_run(const struct dry_run *run);

#endif

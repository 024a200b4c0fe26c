/* What was measured of a model, into the receipt of its file. */
#ifndef CLI_WRITE_QUALITY_H
#define CLI_WRITE_QUALITY_H

#include <jansson.h>

#include "format/ingot.h"

/* Writes the container anew, beside itself and renamed: the same tensors, layout and content id,
 * with `quality` in its receipt, to which the content id is added. The exit status; what failed was
 * said. `file` is open and stays as it was. */
int write_quality(const char *path, const ingot_file *file, json_t *quality, bool quiet);

/* The quality of a file's receipt, if it is one of its tensors as they are; else NULL. */
json_t *read_quality(const ingot_file *file);

#endif

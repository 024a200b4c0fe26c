/* Codings, terms and metadata in words and as JSON. */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include <jansson.h>
#include <stdio.h>

#include "format/metadata.h"
#include "format/reader.h"

/* The terms of a tensor of an open file, a few lines each. */
void describe_terms(const ingot_file *file, uint32_t tensor, FILE *out);
json_t *describe_terms_json(const ingot_file *file, uint32_t tensor, bool *failed);

/* The metadata, a line each; values past max_bytes bytes are cut (0: never). */
ingot_status describe_metadata(struct span blob, size_t max_bytes, FILE *out, ingot_error *error);
/* Appends to an array; a failure of the metadata itself is the status. */
ingot_status describe_metadata_json(struct span blob, json_t *array, bool *failed,
                                    ingot_error *error);

#endif

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

/* The metadata, a line each; unless whole, long texts and arrays are cut, and it is said how long
 * they are. */
ingot_status describe_metadata(struct span blob, bool whole, FILE *out, ingot_error *error);
/* Appends to an array; a failure of the metadata itself is the status. Only arrays are cut. */
ingot_status describe_metadata_json(struct span blob, bool whole, json_t *array, bool *failed,
                                    ingot_error *error);

/* One value, whole: a text as it is but for what would steer a terminal, an array's elements a line
 * each. */
void describe_value(const struct metadata_value *value, FILE *out);
json_t *describe_entry_json(const char *key, uint32_t key_bytes, const struct metadata_value *value,
                            bool whole, bool *failed);

#endif

/* Facts of a model that inspect prints, as text and as JSON. */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "convert/model.h"
#include "format/metadata.h"
#include "format/reader.h"

/* Aliases are counted as tensors, and their weights and bytes not at all. */
struct inspect_sum {
    const char *encoding; /* lives as long as the model; NULL for that of all */
    uint32_t n_tensors;
    uint64_t n_weights;
    uint64_t stored_bytes;
};
struct inspect_totals {
    struct inspect_sum all;
    uint32_t n_encodings;
    struct inspect_sum *encodings; /* most bytes first, then by name */
};
/* False: no memory. Release it with inspect_totals_release. */
bool inspect_totals(const struct model *model, struct inspect_totals *totals);
void inspect_totals_release(struct inspect_totals *totals);
double inspect_bits_per_weight(uint64_t n_bytes, uint64_t n_weights);
bool inspect_restorable(const struct model *model);

/* What the values of a tensor are, as f32. */
enum { INSPECT_FIRST_VALUES = 8 };
struct inspect_values {
    uint64_t n;
    uint64_t n_zero;
    uint64_t n_nan;
    uint64_t n_infinite;
    double min; /* this and the next three are of the finite ones, and 0 where there is none */
    double max;
    double mean;
    double deviation; /* root of the mean squared distance from the mean */
    uint32_t n_first;
    float first[INSPECT_FIRST_VALUES];
};
/* Reads the whole tensor. INGOT_UNSUPPORTED or INGOT_REFUSED when it has no values in f32. */
ingot_status inspect_values(const struct model *model, uint32_t index,
                            const struct progress *progress, struct inspect_values *values,
                            ingot_error *error);
/* Whether a failure of inspect_values says that there are no values, not that reading failed. */
bool inspect_has_no_values(ingot_status status);

/* Finds an entry of the metadata. INGOT_NOT_FOUND; *nearest, which the caller frees, is then the
 * nearest key there is, or NULL. */
ingot_status inspect_find_key(const struct model *model, const char *key,
                              struct metadata_value *value, char **nearest, ingot_error *error);

/* Both print on stdout and return the exit status. Unless whole, long arrays of the metadata are
 * cut. */
int inspect_json(const struct model *model, const char *path, bool whole);
int inspect_tensor_json(const struct model *model, const char *path, uint32_t index);

#endif

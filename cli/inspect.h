/* Facts of a model that inspect prints, as text and as JSON. */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "convert/model.h"
#include "format/reader.h"

struct inspect_totals {
    uint32_t n_tensors;
    uint64_t n_weights; /* aliases are counted once, here and in the bytes */
    uint64_t stored_bytes;
};
struct inspect_totals inspect_totals(const struct model *model);
double inspect_bits_per_weight(uint64_t n_bytes, uint64_t n_weights);
bool inspect_is_alias(const struct model *model, uint32_t index, uint32_t *alias_of);
bool inspect_restorable(const struct model *model);

/* Both print on stdout and return the exit status. */
int inspect_json(const struct model *model, const char *path);
int inspect_tensor_json(const struct model *model, uint32_t index);

#endif

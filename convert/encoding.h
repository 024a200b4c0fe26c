/* An encoding as it is asked for: one preset, or several joined by '+', of which each encodes what
 * those before it leave. And the rule for what gets encoded. */
#ifndef INGOT_CONVERT_ENCODING_H
#define INGOT_CONVERT_ENCODING_H

#include "convert/encode.h"
#include "convert/imatrix.h"
#include "convert/model.h"

enum { ENCODING_MAX_TERMS = 8 };

struct encoding {
    uint32_t n_terms;
    struct preset presets[ENCODING_MAX_TERMS];
    bool by_rows;                  /* every preset is */
    bool by_slabs;                 /* the same, but that the first may be by parts */
    ingot_dtype cast;              /* of a single cast: the type; else 0 */
    const struct imatrix *imatrix; /* NULL, or the importance of columns */
};

/* INGOT_UNSUPPORTED, listing the presets, for a name that is none. */
ingot_status encoding_parse(const char *text, struct encoding *encoding, ingot_error *error);

/* Presets that search do so briefly. */
void encoding_hurry(struct encoding *encoding);
/* The same, and those whose type is usually encoded without a search do not search. */
void encoding_rush(struct encoding *encoding);

/* Whether a tensor is encoded; all others are kept as they are.
 *
 * Only f64, f32, f16 and bf16 are. A single cast is of every such tensor that is not in its type
 * already. Any other encoding is of matrices of at least 256 weights: norms, biases and other
 * vectors are small, act on every activation, and lose more than they save. Which matrices are
 * worth how many bits is a recipe's affair. */
bool cast_applies(ingot_dtype cast, const struct model_tensor *tensor);
bool encoding_applies(const struct encoding *encoding, const struct model_tensor *tensor);

#endif

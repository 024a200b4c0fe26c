/* Scalars of the metadata as numbers and as text. Knows no key. */
#ifndef INGOT_CONVERT_METADATA_SCALAR_H
#define INGOT_CONVERT_METADATA_SCALAR_H

#include "format/metadata.h"

enum scalar_kind { SCALAR_NONE, SCALAR_UNSIGNED, SCALAR_SIGNED, SCALAR_FLOAT, SCALAR_BOOL };

/* SCALAR_NONE for strings and arrays. */
enum scalar_kind metadata_scalar_kind(const struct metadata_value *value);
/* The value of the kind that it is; bools are unsigned. */
uint64_t metadata_unsigned(const struct metadata_value *value);
int64_t metadata_signed(const struct metadata_value *value);
double metadata_float(const struct metadata_value *value);

/* As JSON has it: "true", "-3", floats in the fewest digits that give the same value of their own
 * type again. NaN and the infinities, which JSON has not, are NaN, Infinity and -Infinity. */
struct scalar_text {
    char at[32];
};
struct scalar_text metadata_scalar_text(const struct metadata_value *value);

#endif

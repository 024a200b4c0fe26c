/* Presets whose codes are the blocks of a GGUF type. */
#ifndef INGOT_CONVERT_GGUF_PRESETS_H
#define INGOT_CONVERT_GGUF_PRESETS_H

#include "convert/encoding.h"
#include "convert/gguf_types.h"

/* The type that holds what an encoding makes, or NULL. Casts have none. */
const struct gguf_type *gguf_type_of_encoding(const struct encoding *encoding);
/* The preset to take in place of one whose type's blocks do not divide a row of n_cols weights; the
 * preset itself where they do. f16 is always there. */
const char *gguf_preset_for(const char *preset, uint64_t n_cols);

#endif

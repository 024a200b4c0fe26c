/* The tensor types of GGUF: one row an id. Knows sizes and names; what the bits of a block mean is
 * said elsewhere. Source: ggml's include/ggml.h and src/ggml-common.h. */
#ifndef INGOT_CONVERT_GGUF_TYPES_H
#define INGOT_CONVERT_GGUF_TYPES_H

#include <stdint.h>

#include "format/ingot.h"

struct gguf_type {
    uint32_t id;
    const char *name;       /* as in ggml: "Q4_K" */
    uint32_t block_weights; /* along the innermost dimension; 1 for plain numbers */
    uint32_t block_bytes;
    ingot_dtype dtype; /* of plain numbers; 0 for blocks */
};

/* NULL for an id that is unknown or that ggml has removed. */
const struct gguf_type *gguf_type_of(uint32_t id);
/* By name, letter case ignored; NULL when there is none. */
const struct gguf_type *gguf_type_named(const char *name, size_t name_bytes);
/* The plain type of a dtype, or NULL. */
const struct gguf_type *gguf_type_of_dtype(ingot_dtype dtype);
/* The name of an id that ggml once had and removed, or NULL. */
const char *gguf_type_removed(uint32_t id);

/* Who, besides ggml, is known to have given an id another meaning; NULL when nobody is. */
const char *gguf_type_reused(uint32_t id);

#endif

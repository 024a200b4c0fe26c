/* The JSON beside a weight of bitsandbytes: of what shape and type it is, and in what blocks. */
#ifndef INGOT_CONVERT_BITSANDBYTES_STATE_H
#define INGOT_CONVERT_BITSANDBYTES_STATE_H

#include "format/bytes.h"
#include "format/ingot.h"

struct quant_state {
    ingot_dtype dtype;
    uint32_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint64_t n; /* elements */
    uint64_t block;
    bool nested;
    uint64_t nested_block;
    bool has_offset;
    float offset;
    char type[8]; /* "nf4" */
};

/* Reads it, of a state that is zero. NULL, or why it is none that is understood. */
const char *quant_state_read(struct span text, struct quant_state *q);
/* The name of f32, f16 or bf16 there; NULL for any other type. */
const char *quant_state_dtype(ingot_dtype dtype);

#endif

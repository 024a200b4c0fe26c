/* The packed form of chapter 8.7: a sequence of codes of a tensor, or a codebook, as bytes of a
 * source file. */
#ifndef INGOT_SOURCE_PACKED_H
#define INGOT_SOURCE_PACKED_H

#include "format/sequences.h"
#include "format/source.h"

enum packed_what { PACKED_CODES = 0, PACKED_CODEBOOK = 1 };

struct packed_form {
    uint8_t what;      /* enum packed_what */
    bool first_high;   /* of the codes of a byte, the first is the highest */
    uint8_t rest;      /* the bits of the last byte that hold no code, in place */
    uint32_t sequence; /* whose codes, or whose codebook */
};

void form_packed_write(struct byte_buffer *form, const struct packed_form *packed);
/* Gives the bytes of a tensor in a form of this kind to `sink`, in order. */
ingot_status form_packed_put(const ingot_file *file, uint32_t tensor, struct span form,
                             const struct byte_sink *sink, ingot_error *error);

#endif

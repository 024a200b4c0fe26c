/* Codes and their map: the planes of a part of a coding, opened, and what its codes mean before
 * tables [6.2, 6.4]. For the decoder alone. */
#ifndef INGOT_CODES_H
#define INGOT_CODES_H

#include "format/decode.h"

/* The planes of the codes (or sign codes) of one coding, with the bytes of the wanted part. */
struct planes {
    uint32_t n;
    struct {
        uint8_t bits;
        uint8_t shift; /* rank of its lowest bit in a code */
        uint64_t row_bits;
        uint64_t first_bit; /* of data, from the start of the stream */
        const uint8_t *data;
    } planes[CODING_MAX_PLANES];
};

/* A coding with its bytes at hand. */
struct open_coding {
    const struct ingot_coding *coding;
    const struct stream_provider *provider;
    struct planes codes;
    struct planes signs;
    const uint8_t *codebook;
    const uint8_t *column_index; /* of all columns */
    ingot_error *error;
};

/* Opens codes, signs, codebook and column index of the part, whose codes have the shape `codes`;
 * *next_stream moves past their streams. c->coding, provider and error must be set. */
ingot_status open_codes(struct open_coding *c, struct stack_shape codes, struct stack_part part,
                        uint64_t n_all_cols, uint32_t *next_stream);

/* The codes of columns [first_col, first_col + n) of a row. */
void gather_codes(const struct planes *planes, uint64_t row, uint64_t first_col, uint64_t n,
                  uint64_t *codes);

/* map(code) of columns [first_col, first_col + n) of a row. */
ingot_status map_row(const struct open_coding *c, uint64_t row, uint64_t first_col, uint64_t n,
                     float *dst);

/* map(code) of the codes from 0 on, fewer than 2^bits: of a scalar map. */
ingot_status map_levels(const struct open_coding *c, uint32_t n, float *dst);

/* The bytes of a row of codes that are one plane, whose rows begin at bytes. */
const uint8_t *plane_bytes(const struct planes *planes, uint64_t row);

#endif

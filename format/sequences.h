/* The sequences of codes that a coding's streams are [spec 8.7]: a column index, the codes, the
 * sign codes, and those of its tables, each as planes of its own; and their codes packed without
 * the planes. */
#ifndef INGOT_SEQUENCES_H
#define INGOT_SEQUENCES_H

#include "format/coding.h"
#include "format/reader.h"

struct code_sequence {
    uint32_t first_stream; /* counted from the coding's first */
    uint8_t bits;          /* of a code */
    struct stack_shape shape;
    const struct ingot_coding *coding; /* whose codes they are; NULL: an index or signs */
};

/* The sequence of that number over a stack, counted in the order of 6.5; false when there are not
 * so many. Not for opaque codings. */
bool coding_sequence(const struct ingot_coding *coding, struct stack_shape stack, uint32_t number,
                     struct code_sequence *out);

/* Bytes of all its codes, one after the other. */
uint64_t sequence_bytes(const struct code_sequence *sequence);

/* Bytes of those, code i being bits [i * bits, (i + 1) * bits) of the whole. first_stream is the
 * number in the file of the coding's first stream. */
ingot_status sequence_read(const ingot_file *file, uint32_t first_stream,
                           const struct code_sequence *sequence, uint64_t offset, uint64_t n_bytes,
                           uint8_t *dst, ingot_error *error);

/* Turns the codes of each byte around, so that the first is the highest; and back. Codes are of 1,
 * 2 or 4 bits. */
void turn_codes(uint8_t *bytes, uint64_t n_bytes, uint8_t bits);

#endif

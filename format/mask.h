/* Which positions the mask of a sparse term holds [7.3]. One row a mask kind in mask.c. */
#ifndef INGOT_MASK_H
#define INGOT_MASK_H

#include "format/decode.h"
#include "format/reader.h"

/* Kept positions of some rows of the stack, in the order of the kept values. */
struct positions {
    uint64_t first; /* number of the first of these kept values in the term */
    uint64_t n;
    uint64_t *rows; /* of the stack */
    uint64_t *cols;
};

/* Finds the kept positions in rows [first_row, first_row + n_rows). first_stream is the number of
 * the term's first stream for the provider. Release with positions_release. Checks offsets against
 * the mask and lists for order and bounds. */
ingot_status mask_positions(const struct file_term *term, struct stack_shape stack,
                            uint32_t first_stream, const struct stream_provider *provider,
                            uint64_t first_row, uint64_t n_rows, struct positions *positions,
                            ingot_error *error);
void positions_release(struct positions *positions, const ingot_allocator *allocator);

#endif

/* Random masks of sparse terms, as the streams of [7.3]. */
#ifndef INGOT_TESTS_SUPPORT_MADE_MASK_H
#define INGOT_TESTS_SUPPORT_MADE_MASK_H

#include "format/reader.h"
#include "tests/support/made.h"

/* Appends the mask's streams and returns the shape of the codes of the values that it keeps. Block
 * sizes are for MASK_BLOCKS. */
struct stack_shape made_mask(struct made *made, struct random *random, uint8_t mask,
                             struct stack_shape stack, uint32_t block_rows, uint32_t block_cols);

#endif

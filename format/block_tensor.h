/* A tensor of an open file as ggml's blocks: its streams, put together. */
#ifndef INGOT_BLOCK_TENSOR_H
#define INGOT_BLOCK_TENSOR_H

#include "format/blocks.h"
#include "format/reader.h"

struct block_tensor {
    const ingot_file *file;
    const struct block_layout *layout;
    uint32_t first_stream;
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint64_t n_rows;   /* over the whole stack */
    uint64_t n_blocks; /* a row */
};

/* INGOT_REFUSED when the type has no layout, or when the tensor is not one dense term whose streams
 * are those of the type over whole blocks. What the codes mean is not looked at. */
ingot_status block_tensor_open(const ingot_file *file, uint32_t tensor, uint32_t type,
                               struct block_tensor *out, ingot_error *error);

/* Blocks [first, first + n), counted over the rows; dst: n * layout->n_bytes. INGOT_REFUSED when a
 * code is one that no block can hold. */
ingot_status block_tensor_read(const struct block_tensor *tensor, uint64_t first, uint64_t n,
                               uint8_t *dst, ingot_error *error);

#endif

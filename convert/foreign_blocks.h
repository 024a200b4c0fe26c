/* Tensors of models whose foreign type is one of ggml's blocks. */
#ifndef INGOT_CONVERT_FOREIGN_BLOCKS_H
#define INGOT_CONVERT_FOREIGN_BLOCKS_H

#include "convert/blocks.h"
#include "convert/gguf_types.h"
#include "convert/model.h"

/* The type of a foreign tensor; NULL when it is none that has a layout, or the tensor is not whole
 * blocks of it. */
const struct gguf_type *foreign_blocks_type(const struct model_tensor *tensor);

/* Rows of a tensor of such a type as f32. */
ingot_status foreign_blocks_decode(const struct model *model, uint32_t index, uint64_t first_row,
                                   uint64_t n_rows, float *dst, ingot_error *error);

#endif

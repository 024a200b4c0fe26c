/* Tensors of ggml blocks on their way into a container and out of it: proved, written as streams,
 * put together again, decoded. Knows no file format. */
#ifndef INGOT_CONVERT_BLOCKS_H
#define INGOT_CONVERT_BLOCKS_H

#include "convert/block_codings.h"
#include "format/blocks.h"
#include "format/buffer.h"
#include "format/writer.h"

/* Rows of n_cols weights (whole blocks), held as blocks, as f32: what the reference decoder gives
 * for them. */
ingot_status blocks_decode(uint32_t type, const uint8_t *blocks, uint64_t n_rows, uint64_t n_cols,
                           float *dst, ingot_error *error);

#endif

/* ggml's block types as streams: where each bit of a block lies in the streams of the coding that
 * the specification's chapter 14 gives the type. Takes blocks apart and puts them together; knows
 * neither what the bits mean nor any file. */
#ifndef INGOT_BLOCKS_H
#define INGOT_BLOCKS_H

#include "format/coding.h"

enum { BLOCK_MAX_STREAMS = 8, BLOCK_MAX_BYTES = 210, BLOCK_MAX_DIMS = 3 };

/* Where the bits that a block gives to a stream lie in the block: the stream's bits, in order, are
 * pieces of `bits` bits; piece i, with i written in the mixed radix of the dims, the first dim
 * varying fastest, begins at bit first_bit + the sum of digit * step. A dim of n = 0 is none. */
struct block_place {
    uint8_t bits;
    uint16_t first_bit;
    struct {
        uint16_t n;
        uint16_t step;
    } dims[BLOCK_MAX_DIMS];
};

struct block_layout {
    uint32_t type; /* ggml's number */
    uint16_t n_weights;
    uint16_t n_bytes;
    bool ternary; /* the first stream has no place: its codes are the base-3 digits of bytes */
    uint8_t n_streams;
    struct block_place places[BLOCK_MAX_STREAMS];
};

/* NULL for a type that is not held as streams. */
const struct block_layout *block_layout_of(uint32_t type);

/* Bits that a block gives to a stream: a multiple of 8. */
uint32_t block_stream_bits(const struct block_layout *layout, uint32_t stream);

/* Whether the streams of a coding over a stack are those of whole blocks of the type: as many, each
 * with a row for each row of the stack, of as many bits as the row's blocks give it. */
bool block_streams_fit(const struct block_layout *layout, struct stack_shape stack,
                       const struct stream_shape *shapes, uint32_t n_streams);

/* Some rows of a tensor as blocks and as streams. Rows of every stream begin at whole bytes. */
struct block_rows {
    const struct block_layout *layout;
    const struct stream_shape *shapes; /* of the streams, which fit */
    uint64_t n_rows;
    uint64_t n_blocks; /* a row */
};

/* Takes blocks apart. streams[i] has room for the rows, and is zero. */
void blocks_apart(const struct block_rows *rows, const uint8_t *blocks, uint8_t *const *streams);
/* Puts blocks together. Returns the number of the first code that no block can hold, counted over
 * the rows' weights: 3 where digits are of base 3; UINT64_MAX when all is well. */
uint64_t blocks_together(const struct block_rows *rows, const uint8_t *const *streams,
                         uint8_t *blocks);

#endif

/* The reference decoder: from streams to f32, every rounding as the specification's chapter 6 says.
 * It takes bytes from whoever has them and knows nothing of files. */
#ifndef INGOT_DECODE_H
#define INGOT_DECODE_H

#include "format/coding.h"

/* Who has the bytes. get points *data at bytes [offset, offset + n_bytes) of stream number `stream`
 * (counted from the coding's first stream); they stay valid until the decode call returns.
 * codebook gives the entries of a coding's codebook as their stored bytes, likewise. */
struct stream_provider {
    void *context;
    ingot_status (*get)(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                        const uint8_t **data, ingot_error *error);
    ingot_status (*codebook)(void *context, const struct ingot_coding *coding,
                             const uint8_t **entries, ingot_error *error);
    const ingot_allocator *allocator;
};

/* Rows [first_row, first_row + n_rows) of the stack (all matrices), columns [first_col, first_col +
 * n_cols). first_stream is the number of the coding's first stream. dst: n_rows * n_cols floats.
 * An opaque coding is INGOT_UNSUPPORTED. */
struct stack_part {
    uint64_t first_row;
    uint64_t n_rows;
    uint64_t first_col;
    uint64_t n_cols;
};
ingot_status coding_decode(const struct ingot_coding *coding, struct stack_shape stack,
                           uint32_t first_stream, const struct stream_provider *provider,
                           struct stack_part part, float *dst, ingot_error *error);

/* The codes themselves (not of MAP_OPAQUE), one u64 each. */
ingot_status coding_codes(const struct ingot_coding *coding, struct stack_shape stack,
                          uint32_t first_stream, const struct stream_provider *provider,
                          struct stack_part part, uint64_t *codes, ingot_error *error);

/* Values [first, first + n) of a sparse term: codes number `first` on, of the plane shape `codes`,
 * at the positions (rows[i] of the stack, cols[i]) of `stack`, with rows ascending. */
ingot_status coding_decode_at(const struct ingot_coding *coding, struct stack_shape codes,
                              struct stack_shape stack, uint32_t first_stream,
                              const struct stream_provider *provider, uint64_t first, uint64_t n,
                              const uint64_t *rows, const uint64_t *cols, float *dst,
                              ingot_error *error);

/* A provider over whole streams in memory, for encoders and tests. */
struct memory_streams {
    const uint8_t *const *streams;   /* in coding_streams order */
    const uint8_t *const *codebooks; /* by codebook_stream; may be
                                        NULL when no coding has one */
};
struct stream_provider memory_provider(const struct memory_streams *streams,
                                       const ingot_allocator *allocator);

#endif

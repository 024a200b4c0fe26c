/* Tensors of ggml blocks on their way into a container and out of it: proved, written as streams,
 * put together again, decoded. Knows no file format. */
#ifndef INGOT_CONVERT_BLOCKS_H
#define INGOT_CONVERT_BLOCKS_H

#include "convert/block_codings.h"
#include "format/blocks.h"
#include "format/source_blocks.h"
#include "format/writer.h"

/* Rows of n_cols weights (whole blocks), held as blocks, as f32: what the reference decoder gives
 * for them. */
ingot_status blocks_decode(uint32_t type, const uint8_t *blocks, uint64_t n_rows, uint64_t n_cols,
                           float *dst, ingot_error *error);

/* Codebooks that a writer has been given: each once. Begins zeroed but for the writer. */
struct block_books_written {
    ingot_writer *writer;
    uint32_t streams[N_BLOCK_BOOKS]; /* 1 + the stream; 0 for none yet */
};

/* A tensor of blocks and what is known of it. */
struct block_import {
    uint32_t type; /* one that has a layout */
    struct stack_shape stack;
    struct byte_source bytes; /* the tensor's, as blocks; read in ascending order */
    struct byte_buffer form;  /* when proved: the form of 8.2 that gives the bytes again */
    uint64_t n_exceptions;
    char why_not[128]; /* when not proved: else empty */
};

/* Reads the tensor once and takes it apart and together. Blocks whose codes come back and whose
 * bytes do not are exceptions of the form; with many of them, or a shape that is not whole blocks,
 * the tensor is not proved, which is no failure. Release the form. */
ingot_status block_import_prove(struct block_import *import, ingot_error *error);

/* Adds a proved tensor, whose n_terms, terms and rescale are ignored, to the writer of `books`.
 * *coded_bytes: of its streams; may be NULL. */
ingot_status block_import_write(struct block_import *import, const struct writer_tensor *tensor,
                                struct block_books_written *books, uint64_t *coded_bytes,
                                ingot_error *error);
/* What the streams of a tensor of that type would take; 0 when they do not fit. */
uint64_t blocks_coded_bytes(uint32_t type, struct stack_shape stack);

#endif

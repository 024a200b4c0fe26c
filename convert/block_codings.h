/* The codings of ggml's block types: what the codes mean whose places format/blocks.h knows. One
 * row a type; the codebooks are constants of ggml. [spec 14] */
#ifndef INGOT_CONVERT_BLOCK_CODINGS_H
#define INGOT_CONVERT_BLOCK_CODINGS_H

#include "format/coding.h"

enum block_book {
    BOOK_NONE,
    BOOK_IQ4_NL,   /* 16 scalars */
    BOOK_E2M1,     /* twice the values of e2m1; code 8 is +0 */
    BOOK_E8M0,     /* 2^(code - 128), without a NaN */
    BOOK_UE4M3,    /* half of e4m3 without its sign; 7F is 0 */
    BOOK_SIGN,     /* -1, 1 */
    BOOK_DELTA,    /* -1/8, 1/8 */
    BOOK_HALVES,   /* (code + 1/2) / 2 */
    BOOK_QUARTERS, /* (code + 1/2) / 4 */
    BOOK_ODD3,     /* 2 * code + 1, codes of 3 bits */
    BOOK_ODD4,     /* the same of 4 bits */
    BOOK_IQ2_XXS,  /* the grids */
    BOOK_IQ2_XS,
    BOOK_IQ2_S,
    BOOK_IQ3_XXS,
    BOOK_IQ3_S,
    BOOK_IQ1_S,
    N_BLOCK_BOOKS
};
enum { BLOCK_BOOK_MAX_BYTES = 2048 * 8 };

/* Bytes of a codebook, written to dst, which has room for BLOCK_BOOK_MAX_BYTES. */
uint32_t block_book_write(enum block_book book, uint8_t *dst);

/* A codebook of vectors as it is kept: of each entry the codes of its levels, the first in the
 * lowest of 3 bits each where vectors are of four, else of 2. The entries ascend. */
struct block_grid {
    uint32_t n_entries;
    uint32_t vector_length;
    uint32_t n_levels;
    const int8_t *levels;
    const uint16_t *packed;
};
void block_book_grid(enum block_book book, struct block_grid *grid);

/* Who knows the stream of a codebook. */
struct block_books {
    void *context;
    ingot_status (*stream)(void *context, enum block_book book, uint32_t *stream,
                           ingot_error *error);
};

/* A type's coding with its tables, which it points at: it stays where it was made. */
struct block_coding {
    struct ingot_coding coding;
    struct ingot_coding tables[N_SLOTS];
    struct ingot_coding factors[N_SLOTS]; /* of the tables */
};

/* Makes the coding of a type that has a layout. The first failure of `books` is returned. */
ingot_status block_coding_make(uint32_t type, const struct block_books *books,
                               struct block_coding *out, ingot_error *error);

#endif

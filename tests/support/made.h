/* Codings made up at random, and streams of random codes for them: every map, slot and group that
 * the specification allows. */
#ifndef INGOT_TESTS_SUPPORT_MADE_H
#define INGOT_TESTS_SUPPORT_MADE_H

#include "format/coding.h"
#include "tests/support/naive.h"
#include "tests/support/random.h"

enum { MADE_MAX_CODINGS = 64 };

/* Owns what it points to until made_release. Starts as all zeros. */
struct made {
    struct ingot_coding codings[MADE_MAX_CODINGS];
    uint32_t n_codings;
    uint8_t *codebooks[MADE_MAX_CODINGS];
    uint64_t codebook_bytes[MADE_MAX_CODINGS];
    uint32_t n_codebooks;
    uint8_t *streams[4 * CODING_MAX_STREAMS];
    uint64_t stream_bytes[4 * CODING_MAX_STREAMS];
    uint32_t n_streams;
    bool stray; /* codes of codebooks and indices may be out of range */
};

/* What a coding may be. */
struct made_limits {
    bool vectors;   /* MAP_VECTOR */
    bool codebooks; /* maps with a codebook */
    bool as_table;  /* what a table may use: no vectors, no column index, no post */
};

/* A random coding with group sizes that are of interest for `stack`. It lives in `made`. */
const struct ingot_coding *made_coding(struct made *made, struct random *random,
                                       struct stack_shape stack, const struct made_limits *limits);

/* Appends the streams of a coding, filled with random codes: codes over `codes`, tables over
 * `stack`. Bits that hold no code are zero. */
void made_fill(struct made *made, struct random *random, const struct ingot_coding *coding,
               struct stack_shape codes, struct stack_shape stack);

/* Appends a zeroed stream and returns it. */
uint8_t *made_stream(struct made *made, uint64_t n_bytes);
/* Sets n_bits bits from first_bit on, which are zero. */
void made_put(uint8_t *data, uint64_t first_bit, uint64_t n_bits, uint64_t value);

void made_release(struct made *made);

#endif

/* Tokens that are cut out of a text before anything else is done to it: those of control and those
 * that a tokenizer's users added. */
#ifndef INGOT_ADDED_TOKENS_H
#define INGOT_ADDED_TOKENS_H

#include "format/bytes.h"
#include "runtime/vocabulary.h"

struct added_token {
    uint32_t number;
    bool strips_left, strips_right; /* it takes the white space beside it along */
    bool is_special;                /* only cut out where the caller wants special tokens */
};

struct added_tokens {
    const ingot_allocator *allocator;
    struct added_token *tokens; /* by their first byte, the longest first */
    uint32_t n_tokens, capacity;
    uint32_t first[257]; /* those that begin with byte b: [first[b], first[b + 1]) */
};

struct added_match {
    const struct added_token *token; /* NULL: none */
    uint64_t begin, end;             /* with the white space it takes along */
};

ingot_status added_tokens_add(struct added_tokens *added, const struct added_token *token,
                              ingot_error *error);
/* To be called after the last, and before the first match. */
void added_tokens_end(struct added_tokens *added, const struct vocabulary *vocabulary);
/* The first one at or after `from`, and of several that begin there the longest. */
struct added_match added_tokens_find(const struct added_tokens *added,
                                     const struct vocabulary *vocabulary, struct span text,
                                     uint64_t from, bool with_special);
void added_tokens_release(struct added_tokens *added);

#endif

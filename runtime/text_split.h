/* Cuts text into words by patterns, before any of it becomes tokens. The patterns come from the
 * file of a tokenizer and are PCRE2's, over UTF-8; text that is not is cut all the same. */
#ifndef INGOT_TEXT_SPLIT_H
#define INGOT_TEXT_SPLIT_H

#include "format/buffer.h"
#include "format/bytes.h"

enum { MAX_SPLITTERS = 8 };

/* What becomes of what a pattern matches. */
struct split_way {
    const char *name; /* as tokenizer.json calls it */
    bool cuts_before, cuts_after;
    bool keeps; /* else it is dropped */
};
/* NULL when there is none of that name. */
const struct split_way *split_way(const char *name);

struct splitter {
    void *code; /* compiled */
    const struct split_way *way;
    bool inverted; /* what lies between matches is meant */
};

struct text_split {
    const ingot_allocator *allocator;
    struct splitter splitters[MAX_SPLITTERS];
    uint32_t n_splitters;
};

/* A word: bytes [offset, offset + n_bytes) of the text. */
struct word {
    uint32_t offset, n_bytes;
};

/* Adds a pattern, or with `is_literal` a text, to those that cut one after the other. */
ingot_status text_split_add(struct text_split *split, struct span pattern, bool is_literal,
                            const struct split_way *way, bool inverted, ingot_error *error);
/* Appends the words of the text to *words, as struct word. Fewer than 4 GiB. */
ingot_status text_split_run(const struct text_split *split, struct span text,
                            struct byte_buffer *words, ingot_error *error);
void text_split_release(struct text_split *split);

#endif

/* How the tokenizers that GGUF knows by a name cut words: tokenizer.ggml.pre. */
#ifndef INGOT_WORD_PATTERNS_H
#define INGOT_WORD_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

struct word_patterns {
    const char *names;       /* each between blanks */
    const char *patterns[4]; /* applied one after the other; NULL: no more */
    bool has_whole_words;    /* a word that is a token becomes it, whatever the merges */
};

/* NULL when there is none of that name. */
const struct word_patterns *word_patterns_find(const char *name, size_t n_bytes);

#endif

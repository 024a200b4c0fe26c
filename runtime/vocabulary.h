/* The tokens of a tokenizer: their text, score and kind, and which token has a text. Knows no file
 * and no way of cutting text. */
#ifndef INGOT_VOCABULARY_H
#define INGOT_VOCABULARY_H

#include "format/buffer.h"
#include "format/bytes.h"
#include "format/ingot.h"

/* The numbers are those of SentencePiece's pieces and of GGUF. */
enum token_kind {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER = 4, /* cut out of text before anything else is */
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6, /* stands for a byte that no other token holds */
    N_TOKEN_KINDS
};

struct token {
    uint64_t text_offset, piece_offset;
    uint32_t text_bytes;  /* what is looked up */
    uint32_t piece_bytes; /* what is written for it */
    float score;
    uint32_t kind; /* an enum token_kind; 0: no token has this number */
};

struct vocabulary {
    struct byte_buffer bytes; /* texts and pieces */
    struct token *tokens;
    uint32_t n_tokens;
    uint32_t *places;  /* numbers of tokens by the hash of their text, INGOT_NONE where empty */
    uint64_t n_places; /* a power of two */
    uint32_t byte_tokens[256]; /* INGOT_NONE where there is none */
    uint32_t longest_bytes;    /* of the texts that are looked up */
    float lowest_score;        /* of normal tokens, or 0 */
};

/* Makes room for tokens 0 to n_tokens - 1, none of which is there yet. vocabulary->bytes.allocator
 * is set. */
ingot_status vocabulary_begin(struct vocabulary *vocabulary, uint32_t n_tokens, ingot_error *error);
/* Sets a token; one that is there already is replaced. The piece is what the text says. Failures
 * are kept until vocabulary_end. */
void vocabulary_set(struct vocabulary *vocabulary, uint32_t number, const void *text,
                    uint64_t n_bytes, float score, uint32_t kind);
/* Makes normal and user tokens findable, and finds which byte each token of a byte ("<0x0A>") is:
 * that is its piece. Kinds may change afterwards, texts may not. */
ingot_status vocabulary_end(struct vocabulary *vocabulary, ingot_error *error);
void vocabulary_release(struct vocabulary *vocabulary);

/* INGOT_NONE when no findable token has that text; of several, the first. */
uint32_t vocabulary_find(const struct vocabulary *vocabulary, const void *text, uint64_t n_bytes);
struct span vocabulary_text(const struct vocabulary *vocabulary, uint32_t number);
/* The token of whatever kind that has that text, by looking at all. */
uint32_t vocabulary_search(const struct vocabulary *vocabulary, const void *text, uint64_t n_bytes);
/* The byte that "<0x0A>" names, or -1. */
int vocabulary_named_byte(const void *text, uint64_t n_bytes);

/* SentencePiece's way of writing a space: U+2581. */
#define SPACE_MARK "\xe2\x96\x81"
enum { SPACE_MARK_BYTES = 3 };
/* Makes each piece its text with spaces for their marks. */
void vocabulary_unmark_spaces(struct vocabulary *vocabulary);

#endif

/* Text to tokens and back, by the tokenizer that a file carries: an attachment (tokenizer.json,
 * tokenizer.model, tok512.bin) or keys of GGUF in its metadata. Never changes after it was opened,
 * so that threads share it. */
#ifndef INGOT_TOKENIZER_H
#define INGOT_TOKENIZER_H

#include "format/ingot.h"

typedef struct ingot_tokenizer ingot_tokenizer;

/* INGOT_NOT_FOUND when the file has no tokenizer, INGOT_UNSUPPORTED when it has only one of a kind
 * that is not known, INGOT_INVALID when it breaks its format. Keeps no pointer into the file; the
 * allocator must outlive it. */
ingot_status tokenizer_open(const ingot_file *file, const ingot_allocator *allocator,
                            ingot_tokenizer **tokenizer, ingot_error *error);
/* Takes NULL. */
void tokenizer_close(ingot_tokenizer *tokenizer);

/* Tokens have numbers below this; not every one needs to have a text. */
uint32_t tokenizer_n_tokens(const ingot_tokenizer *tokenizer);
/* INGOT_NONE when there is none. */
uint32_t tokenizer_bos(const ingot_tokenizer *tokenizer);
uint32_t tokenizer_eos(const ingot_tokenizer *tokenizer);

/* The tokens of n_bytes bytes of text, which need not be UTF-8. add_bos puts the token of the
 * beginning first, where there is one; with parse_special, texts of special tokens become those
 * tokens, otherwise they are text like any other. *tokens is from the tokenizer's allocator and the
 * caller's to release. */
ingot_status tokenizer_encode(const ingot_tokenizer *tokenizer, const char *text, size_t n_bytes,
                              bool add_bos, bool parse_special, uint32_t **tokens, size_t *n,
                              ingot_error *error);
/* The bytes that a token stands for when text is written token by token; none for special tokens of
 * control. Characters may be split between tokens. *bytes lives as long as the tokenizer.
 * INGOT_NOT_FOUND when there is no such token. */
ingot_status tokenizer_piece(const ingot_tokenizer *tokenizer, uint32_t token, const char **bytes,
                             size_t *n_bytes);

#endif

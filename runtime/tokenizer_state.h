/* What a tokenizer consists of, for the files that fill one and those that run it.
 *
 *     text -> cut at added tokens -> normalized -> cut into words -> tokens of each word */
#ifndef INGOT_TOKENIZER_STATE_H
#define INGOT_TOKENIZER_STATE_H

#include "runtime/added_tokens.h"
#include "runtime/merges.h"
#include "runtime/merging.h"
#include "runtime/normalizer.h"
#include "runtime/text_split.h"
#include "runtime/tokenizer.h"
#include "runtime/vocabulary.h"

struct encoding;

/* A way to cut a word into tokens. */
struct token_model {
    ingot_status (*encode)(struct encoding *encoding, struct span word, ingot_error *error);
};
/* Byte-pair encoding (Sennrich et al. 2016): pairs by the order of `merges`. */
extern const struct token_model token_model_merges;
/* SentencePiece's: pairs whose text is a token, by its score. */
extern const struct token_model token_model_scores;
/* SentencePiece's unigram model (Kudo 2018): the tokens with the greatest sum of scores. */
extern const struct token_model token_model_unigram;

struct ingot_tokenizer {
    const ingot_allocator *allocator;
    const struct token_model *model;
    struct vocabulary vocabulary;
    struct merges merges;
    struct added_tokens added;
    struct normalizer normalizer;
    struct text_split split;
    bool has_byte_texts;  /* texts of tokens are bytes, and words begin as bytes, not characters */
    bool has_whole_words; /* a word that is a token becomes it, whatever the merges */
    bool falls_back_to_bytes;   /* a character without token becomes the tokens of its bytes */
    bool fuses_unknown;         /* characters without token that follow each other become one */
    uint32_t unknown, bos, eos; /* INGOT_NONE where there is none */
};

/* One text on its way. */
struct encoding {
    const struct ingot_tokenizer *tokenizer;
    struct merging merging;
    struct byte_buffer tokens; /* u32 */
    struct byte_buffer scratch;
    bool was_unknown; /* the last token */
};

/* Appends a token. */
void encoding_put(struct encoding *encoding, uint32_t token);
/* Appends what characters become that no token holds. */
ingot_status encoding_put_unknown(struct encoding *encoding, struct span text, ingot_error *error);
/* The length of the character that begins at text, at least 1. */
uint64_t character_bytes(struct span text);

/* ------------------------------------------------------------------ where tokenizers come from */

/* Each fills *tokenizer, whose allocators are set and all else zero but for the numbers of special
 * tokens, which are INGOT_NONE, and leaves it to be closed. */
ingot_status tokenizer_from_json(struct ingot_tokenizer *tokenizer, struct span bytes,
                                 ingot_error *error);
ingot_status tokenizer_from_sentencepiece(struct ingot_tokenizer *tokenizer, struct span bytes,
                                          ingot_error *error);
ingot_status tokenizer_from_llama2c(struct ingot_tokenizer *tokenizer, struct span bytes,
                                    ingot_error *error);
/* INGOT_NOT_FOUND when the metadata has no tokenizer. */
ingot_status tokenizer_from_gguf(struct ingot_tokenizer *tokenizer, const ingot_metadata *metadata,
                                 ingot_error *error);

/* Special tokens that are not known yet, as a configuration beside the tokenizer names them. */
ingot_status tokenizer_read_config(struct ingot_tokenizer *tokenizer, struct span bytes,
                                   ingot_error *error);

/* A tokenizer from the bytes of the attachment of that name, as tokenizer_open has it. */
ingot_status tokenizer_open_bytes(const char *attachment, const void *bytes, uint64_t n_bytes,
                                  const ingot_allocator *allocator, ingot_tokenizer **tokenizer,
                                  ingot_error *error);

/* Adds what llama's SentencePiece models do to text: a space before each part, or only before the
 * first, or before none; then spaces become marks. */
enum space_prefix { PREFIX_NONE, PREFIX_FIRST, PREFIX_EACH };
ingot_status tokenizer_mark_spaces(struct ingot_tokenizer *tokenizer, enum space_prefix prefix,
                                   ingot_error *error);
/* Adds to the tokens that are cut out of text those of the user and of control. */
ingot_status tokenizer_add_kinds(struct ingot_tokenizer *tokenizer, ingot_error *error);
/* Adds the merge of two texts to one that stands for both. */
ingot_status tokenizer_add_merge(struct ingot_tokenizer *tokenizer, uint32_t rank, struct span left,
                                 struct span right, ingot_error *error);
/* The same from both texts with a space between them; none of them begins with one. */
ingot_status tokenizer_add_merge_text(struct ingot_tokenizer *tokenizer, uint32_t rank,
                                      struct span text, ingot_error *error);

/* GPT-2's way of writing bytes as characters: appends the bytes that a text stands for; false, and
 * nothing is appended, when one of its characters stands for none. */
bool bytes_of_byte_text(struct span text, struct byte_buffer *bytes);

#endif

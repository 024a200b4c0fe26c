/* Parts of a tokenizer.json. */
#ifndef INGOT_TOKENIZER_JSON_H
#define INGOT_TOKENIZER_JSON_H

#include <jansson.h>

#include "runtime/tokenizer_state.h"

/* What "normalizer" and "pre_tokenizer" say becomes steps and patterns of the tokenizer. */
ingot_status tokenizer_json_normalizer(const json_t *normalizer, struct ingot_tokenizer *tokenizer,
                                       ingot_error *error);
ingot_status tokenizer_json_words(const json_t *pre_tokenizer, struct ingot_tokenizer *tokenizer,
                                  ingot_error *error);

/* The string of a key, or "" . */
const char *json_text(const json_t *object, const char *key);
struct span json_text_span(const json_t *string);

#endif

/* A tokenizer from the attachment tokenizer.json, as Hugging Face's tokenizers write it, and what
 * the configurations beside it say of its special tokens. */
#include "runtime/tokenizer_json.h"

#include "format/fail.h"

struct tokenizer_json {
    const json_t *root;
    struct ingot_tokenizer *tokenizer;
    ingot_error *error;
};

static ingot_status wrong(const struct tokenizer_json *json, const char *field, const char *what)
{
    return ingot_fail(json->error, INGOT_INVALID, INGOT_NO_OFFSET, field, "%s", what);
}

static ingot_status load(struct span bytes, const char *name, json_t **root, ingot_error *error)
{
    json_error_t found;
    *root = json_loadb((const char *)bytes.data, (size_t)bytes.n_bytes, JSON_ALLOW_NUL, &found);
    if (*root != NULL) return INGOT_OK;
    if (json_error_code(&found) == json_error_out_of_memory) {
        return ingot_fail_memory(error, bytes.n_bytes, name);
    }
    return ingot_fail(error, INGOT_INVALID, (uint64_t)found.position, name, "%s", found.text);
}

/* ------------------------------------------------------------------ vocabulary */

/* The largest number of a token, which may not be far above how many there are. */
static ingot_status count_tokens(const struct tokenizer_json *json, const json_t *vocabulary,
                                 uint32_t *n_tokens)
{
    const json_t *added = json_object_get(json->root, "added_tokens");
    const size_t n_listed =
        json_is_array(vocabulary) ? json_array_size(vocabulary) : json_object_size(vocabulary);
    const uint64_t most = 2 * (uint64_t)(n_listed + json_array_size(added)) + 4096;
    uint64_t n = json_is_array(vocabulary) ? n_listed : 0;
    const char *text;
    json_t *number;
    json_object_foreach((json_t *)(uintptr_t)vocabulary, text, number)
    {
        if (json_integer_value(number) < 0) return wrong(json, "vocab", "a number is negative");
        n = max_u64(n, (uint64_t)json_integer_value(number) + 1);
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *id = json_object_get(json_array_get(added, i), "id");
        if (!json_is_integer(id) || json_integer_value(id) < 0) {
            return wrong(json, "added_tokens", "a token has no number");
        }
        n = max_u64(n, (uint64_t)json_integer_value(id) + 1);
    }
    if (n == 0 || n > most || n > INT32_MAX) {
        return wrong(json, "vocab", "its numbers are not those of its tokens");
    }
    *n_tokens = (uint32_t)n;
    return INGOT_OK;
}

static ingot_status set_token(const struct tokenizer_json *json, uint32_t number, struct span text,
                              double score)
{
    struct ingot_tokenizer *tokenizer = json->tokenizer;
    struct byte_buffer bytes = {.allocator = tokenizer->allocator};
    const bool is_byte =
        tokenizer->falls_back_to_bytes && vocabulary_named_byte(text.data, text.n_bytes) >= 0;
    if (text.n_bytes > UINT16_MAX) return wrong(json, "vocab", "a token is over 64 KiB");
    if (tokenizer->has_byte_texts && bytes_of_byte_text(text, &bytes)) {
        text = (struct span){bytes.data, bytes.n_bytes};
    }
    if (bytes.failed) tokenizer->vocabulary.bytes.failed = true;
    vocabulary_set(&tokenizer->vocabulary, number, text.data, text.n_bytes, (float)score,
                   is_byte ? TOKEN_BYTE : TOKEN_NORMAL);
    buffer_release(&bytes);
    return INGOT_OK;
}

/* {"text": number, ...} */
static ingot_status read_numbered(const struct tokenizer_json *json, json_t *vocabulary)
{
    const char *key;
    size_t n_bytes;
    json_t *number;
    json_object_keylen_foreach(vocabulary, key, n_bytes, number)
    {
        const struct span text = {(const uint8_t *)key, n_bytes};
        if (!json_is_integer(number)) return wrong(json, "vocab", "a token has no number");
        const ingot_status status = set_token(json, (uint32_t)json_integer_value(number), text, 0);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

/* [["text", score], ...] */
static ingot_status read_scored(const struct tokenizer_json *json, const json_t *vocabulary)
{
    for (size_t i = 0; i < json_array_size(vocabulary); i++) {
        const json_t *entry = json_array_get(vocabulary, i);
        const json_t *text = json_array_get(entry, 0), *score = json_array_get(entry, 1);
        if (!json_is_string(text) || !json_is_number(score)) {
            return wrong(json, "vocab", "an entry is not a text and a score");
        }
        const ingot_status status =
            set_token(json, (uint32_t)i, json_text_span(text), json_number_value(score));
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

/* Those that the model does not list have no other way to be found than to be cut out. */
static ingot_status read_added_texts(const struct tokenizer_json *json)
{
    struct vocabulary *vocabulary = &json->tokenizer->vocabulary;
    const json_t *added = json_object_get(json->root, "added_tokens");
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        const uint32_t number = (uint32_t)json_integer_value(json_object_get(token, "id"));
        const json_t *content = json_object_get(token, "content");
        if (!json_is_string(content)) return wrong(json, "added_tokens", "a token has no text");
        if (json_string_length(content) > UINT16_MAX) {
            return wrong(json, "added_tokens", "a token is over 64 KiB");
        }
        if (json_is_true(json_object_get(token, "single_word"))) {
            return ingot_fail(json->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "added_tokens",
                              "tokens that only stand alone (single_word) are not supported");
        }
        if (vocabulary->tokens[number].kind != 0) continue;
        vocabulary_set(vocabulary, number, json_string_value(content), json_string_length(content),
                       0, TOKEN_CONTROL);
    }
    return INGOT_OK;
}

/* After the vocabulary was made findable: what is special is no longer written. */
static ingot_status mark_added(const struct tokenizer_json *json)
{
    struct ingot_tokenizer *tokenizer = json->tokenizer;
    const json_t *added = json_object_get(json->root, "added_tokens");
    ingot_status status = INGOT_OK;
    for (size_t i = 0; i < json_array_size(added) && status == INGOT_OK; i++) {
        const json_t *token = json_array_get(added, i);
        const struct added_token row = {
            .number = (uint32_t)json_integer_value(json_object_get(token, "id")),
            .strips_left = json_is_true(json_object_get(token, "lstrip")),
            .strips_right = json_is_true(json_object_get(token, "rstrip")),
            .is_special = json_is_true(json_object_get(token, "special"))};
        tokenizer->vocabulary.tokens[row.number].kind = row.is_special ? TOKEN_CONTROL : TOKEN_USER;
        status = added_tokens_add(&tokenizer->added, &row, json->error);
    }
    return status;
}

static ingot_status read_vocabulary(const struct tokenizer_json *json, const json_t *model)
{
    struct ingot_tokenizer *tokenizer = json->tokenizer;
    json_t *vocabulary = json_object_get(model, "vocab");
    uint32_t n_tokens = 0;
    ingot_status status = count_tokens(json, vocabulary, &n_tokens);
    if (status != INGOT_OK) return status;
    status = vocabulary_begin(&tokenizer->vocabulary, n_tokens, json->error);
    if (status != INGOT_OK) return status;
    status =
        json_is_array(vocabulary) ? read_scored(json, vocabulary) : read_numbered(json, vocabulary);
    if (status == INGOT_OK) status = read_added_texts(json);
    if (status != INGOT_OK) return status;
    if (!tokenizer->has_byte_texts) vocabulary_unmark_spaces(&tokenizer->vocabulary);
    return vocabulary_end(&tokenizer->vocabulary, json->error);
}

/* ------------------------------------------------------------------ models */

static ingot_status read_merges(const struct tokenizer_json *json, const json_t *model)
{
    const json_t *merges = json_object_get(model, "merges");
    const size_t n = json_array_size(merges);
    if (n > INT32_MAX) return wrong(json, "merges", "is too long");
    ingot_status status = merges_begin(&json->tokenizer->merges, n, json->error);
    for (size_t i = 0; i < n && status == INGOT_OK; i++) {
        const json_t *merge = json_array_get(merges, i);
        const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
        if (json_is_string(merge)) {
            status = tokenizer_add_merge_text(json->tokenizer, (uint32_t)i, json_text_span(merge),
                                              json->error);
        } else if (json_is_string(left) && json_is_string(right)) {
            status = tokenizer_add_merge(json->tokenizer, (uint32_t)i, json_text_span(left),
                                         json_text_span(right), json->error);
        } else {
            status = wrong(json, "merges", "one is not two texts");
        }
    }
    return status;
}

static ingot_status open_bpe(const struct tokenizer_json *json, const json_t *model)
{
    struct ingot_tokenizer *tokenizer = json->tokenizer;
    static const char *const refused[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (*json_text(model, refused[i]) != '\0') {
            return ingot_fail(json->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, refused[i],
                              "tokenizers that mark where words begin or end are not supported");
        }
    }
    tokenizer->has_whole_words = json_is_true(json_object_get(model, "ignore_merges"));
    tokenizer->fuses_unknown = json_is_true(json_object_get(model, "fuse_unk"));
    const ingot_status status = read_vocabulary(json, model);
    if (status != INGOT_OK) return status;
    const char *unknown = json_text(model, "unk_token");
    if (*unknown != '\0') {
        tokenizer->unknown = vocabulary_search(&tokenizer->vocabulary, unknown, strlen(unknown));
    }
    return read_merges(json, model);
}

static ingot_status open_unigram(const struct tokenizer_json *json, const json_t *model)
{
    struct ingot_tokenizer *tokenizer = json->tokenizer;
    const ingot_status status = read_vocabulary(json, model);
    const json_t *unknown = json_object_get(model, "unk_id");
    tokenizer->fuses_unknown = true;
    if (status == INGOT_OK && json_is_integer(unknown) && json_integer_value(unknown) >= 0 &&
        json_integer_value(unknown) < (json_int_t)tokenizer->vocabulary.n_tokens) {
        tokenizer->unknown = (uint32_t)json_integer_value(unknown);
    }
    return status;
}

static const struct json_model {
    const char *type;
    ingot_status (*open)(const struct tokenizer_json *json, const json_t *model);
    const struct token_model *model;
} models[] = {
    {"BPE", open_bpe, &token_model_merges},
    {"Unigram", open_unigram, &token_model_unigram},
};

static ingot_status open_root(const struct tokenizer_json *json)
{
    struct ingot_tokenizer *tokenizer = json->tokenizer;
    const json_t *model = json_object_get(json->root, "model");
    /* Older files leave the type out. */
    const char *type = json_text(model, "type");
    if (*type == '\0' && json_object_get(model, "merges") != NULL) type = "BPE";
    ingot_status status = tokenizer_json_normalizer(json_object_get(json->root, "normalizer"),
                                                    tokenizer, json->error);
    if (status != INGOT_OK) return status;
    status =
        tokenizer_json_words(json_object_get(json->root, "pre_tokenizer"), tokenizer, json->error);
    if (status != INGOT_OK) return status;
    tokenizer->falls_back_to_bytes = json_is_true(json_object_get(model, "byte_fallback"));
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (strcmp(type, models[i].type) != 0) continue;
        tokenizer->model = models[i].model;
        status = models[i].open(json, model);
        return status == INGOT_OK ? mark_added(json) : status;
    }
    return ingot_fail(json->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "model",
                      "tokenizer.json has a model of type \"%s\", which is not supported", type);
}

/* ------------------------------------------------------------------ special tokens */

/* A text, or an object with the text as its "content". */
static uint32_t named_token(const struct ingot_tokenizer *tokenizer, const json_t *config,
                            const char *key)
{
    const json_t *value = json_object_get(config, key);
    if (json_is_object(value)) value = json_object_get(value, "content");
    if (!json_is_string(value)) return INGOT_NONE;
    const struct span text = json_text_span(value);
    return vocabulary_search(&tokenizer->vocabulary, text.data, text.n_bytes);
}

/* A number, or a list of which the first counts. */
static uint32_t numbered_token(const struct ingot_tokenizer *tokenizer, const json_t *config,
                               const char *key)
{
    const json_t *value = json_object_get(config, key);
    if (json_is_array(value)) value = json_array_get(value, 0);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) >= (json_int_t)tokenizer->vocabulary.n_tokens) {
        return INGOT_NONE;
    }
    return (uint32_t)json_integer_value(value);
}

ingot_status tokenizer_read_config(struct ingot_tokenizer *tokenizer, struct span bytes,
                                   ingot_error *error)
{
    json_t *root;
    const ingot_status status = load(bytes, "config.json", &root, error);
    if (status != INGOT_OK) return status;
    if (tokenizer->bos == INGOT_NONE) tokenizer->bos = named_token(tokenizer, root, "bos_token");
    if (tokenizer->eos == INGOT_NONE) tokenizer->eos = named_token(tokenizer, root, "eos_token");
    if (tokenizer->bos == INGOT_NONE) {
        tokenizer->bos = numbered_token(tokenizer, root, "bos_token_id");
    }
    if (tokenizer->eos == INGOT_NONE) {
        tokenizer->eos = numbered_token(tokenizer, root, "eos_token_id");
    }
    json_decref(root);
    return INGOT_OK;
}

ingot_status tokenizer_from_json(struct ingot_tokenizer *tokenizer, struct span bytes,
                                 ingot_error *error)
{
    json_t *root;
    ingot_status status = load(bytes, "tokenizer.json", &root, error);
    if (status != INGOT_OK) return status;
    const struct tokenizer_json json = {root, tokenizer, error};
    status = open_root(&json);
    json_decref(root);
    return status;
}

/* A tokenizer from the metadata keys that GGUF gives it ("tokenizer.ggml.*"). */
#include "format/fail.h"
#include "runtime/tokenizer_state.h"
#include "runtime/word_patterns.h"

struct gguf_keys {
    const ingot_metadata *metadata;
    struct ingot_tokenizer *tokenizer;
    ingot_error *error;
};

static bool find(const struct gguf_keys *keys, const char *key, ingot_value *value)
{
    return ingot_metadata_find(keys->metadata, key, strlen(key), value) == INGOT_OK;
}

static ingot_status wrong(const struct gguf_keys *keys, const char *key, const char *what)
{
    return ingot_fail(keys->error, INGOT_INVALID, INGOT_NO_OFFSET, key, "%s", what);
}

/* An integer of any width; `fallback` where there is none. */
static uint64_t number(const struct gguf_keys *keys, const char *key, uint64_t fallback)
{
    ingot_value value;
    if (!find(keys, key, &value)) return fallback;
    switch (value.type) {
    case INGOT_VALUE_I8:
    case INGOT_VALUE_I16:
    case INGOT_VALUE_I32:
    case INGOT_VALUE_I64: return (uint64_t)value.i;
    case INGOT_VALUE_F32:
    case INGOT_VALUE_F64:
    case INGOT_VALUE_STRING:
    case INGOT_VALUE_ARRAY: return fallback;
    default: return value.u;
    }
}

/* A token's number, or INGOT_NONE when none of the vocabulary has it. */
static uint32_t token_key(const struct gguf_keys *keys, const char *key, uint64_t fallback)
{
    const uint64_t value = number(keys, key, fallback);
    return value < keys->tokenizer->vocabulary.n_tokens ? (uint32_t)value : INGOT_NONE;
}

/* ------------------------------------------------------------------ vocabulary */

/* The array of that key, of elements of that type; n_elements 0 when there is none. */
static ingot_status array_key(const struct gguf_keys *keys, const char *key,
                              ingot_value_type element_type, uint64_t n_elements,
                              ingot_value *array)
{
    if (!find(keys, key, array)) {
        *array = (ingot_value){.type = INGOT_VALUE_ARRAY};
        return INGOT_OK;
    }
    if (array->type != INGOT_VALUE_ARRAY || array->element_type != element_type) {
        return wrong(keys, key, "is no array of the right type");
    }
    if (n_elements != UINT64_MAX && array->n_elements != n_elements) {
        return wrong(keys, key, "does not have one element a token");
    }
    return INGOT_OK;
}

static void set_token(struct ingot_tokenizer *tokenizer, uint32_t i, const ingot_value *text,
                      float score, uint32_t kind)
{
    struct byte_buffer bytes = {.allocator = tokenizer->allocator};
    const struct span name = {text->data, text->n_bytes};
    if (tokenizer->has_byte_texts && kind == TOKEN_NORMAL && bytes_of_byte_text(name, &bytes) &&
        !bytes.failed) {
        vocabulary_set(&tokenizer->vocabulary, i, bytes.data, bytes.n_bytes, score, kind);
    } else {
        vocabulary_set(&tokenizer->vocabulary, i, text->data, text->n_bytes, score, kind);
    }
    if (bytes.failed) tokenizer->vocabulary.bytes.failed = true;
    buffer_release(&bytes);
}

static ingot_status read_tokens(const struct gguf_keys *keys)
{
    struct ingot_tokenizer *tokenizer = keys->tokenizer;
    ingot_value texts, scores, kinds, text, score = {.f = 0}, kind = {.i = TOKEN_NORMAL};
    uint64_t at = 0, score_at = 0, kind_at = 0;
    ingot_status status =
        array_key(keys, "tokenizer.ggml.tokens", INGOT_VALUE_STRING, UINT64_MAX, &texts);
    if (status != INGOT_OK) return status;
    if (texts.n_elements == 0 || texts.n_elements > INT32_MAX) {
        return wrong(keys, "tokenizer.ggml.tokens", "is missing, empty or too long");
    }
    status = array_key(keys, "tokenizer.ggml.scores", INGOT_VALUE_F32, texts.n_elements, &scores);
    if (status != INGOT_OK) return status;
    status =
        array_key(keys, "tokenizer.ggml.token_type", INGOT_VALUE_I32, texts.n_elements, &kinds);
    if (status != INGOT_OK) return status;
    status = vocabulary_begin(&tokenizer->vocabulary, (uint32_t)texts.n_elements, keys->error);
    for (uint32_t i = 0; status == INGOT_OK && i < texts.n_elements; i++) {
        (void)ingot_value_next(&texts, &at, &text);
        if (scores.n_elements > 0) (void)ingot_value_next(&scores, &score_at, &score);
        if (kinds.n_elements > 0) (void)ingot_value_next(&kinds, &kind_at, &kind);
        if (kind.i <= 0 || kind.i >= N_TOKEN_KINDS || text.n_bytes > UINT16_MAX) {
            return wrong(keys, "tokenizer.ggml.token_type",
                         "holds a kind that is not known, or one token is over 64 KiB");
        }
        set_token(tokenizer, i, &text, (float)score.f, (uint32_t)kind.i);
    }
    return status;
}

static ingot_status read_merges(const struct gguf_keys *keys)
{
    ingot_value merges, merge;
    uint64_t at = 0;
    ingot_status status =
        array_key(keys, "tokenizer.ggml.merges", INGOT_VALUE_STRING, UINT64_MAX, &merges);
    if (status != INGOT_OK) return status;
    if (merges.n_elements > INT32_MAX) return wrong(keys, "tokenizer.ggml.merges", "is too long");
    status = merges_begin(&keys->tokenizer->merges, merges.n_elements, keys->error);
    for (uint32_t i = 0; status == INGOT_OK && i < merges.n_elements; i++) {
        (void)ingot_value_next(&merges, &at, &merge);
        const struct span text = {merge.data, merge.n_bytes};
        status = tokenizer_add_merge_text(keys->tokenizer, i, text, keys->error);
    }
    return status;
}

/* ------------------------------------------------------------------ kinds of tokenizers */

static ingot_status open_scores(const struct gguf_keys *keys)
{
    struct ingot_tokenizer *tokenizer = keys->tokenizer;
    ingot_status status = read_tokens(keys);
    if (status != INGOT_OK) return status;
    vocabulary_unmark_spaces(&tokenizer->vocabulary);
    tokenizer->falls_back_to_bytes = true;
    tokenizer->bos = token_key(keys, "tokenizer.ggml.bos_token_id", 1);
    tokenizer->eos = token_key(keys, "tokenizer.ggml.eos_token_id", 2);
    tokenizer->unknown = token_key(keys, "tokenizer.ggml.unknown_token_id", 0);
    status = vocabulary_end(&tokenizer->vocabulary, keys->error);
    if (status != INGOT_OK) return status;
    const bool has_prefix = number(keys, "tokenizer.ggml.add_space_prefix", 1) != 0;
    return tokenizer_mark_spaces(tokenizer, has_prefix ? PREFIX_EACH : PREFIX_NONE, keys->error);
}

static ingot_status open_unigram(const struct gguf_keys *keys)
{
    struct ingot_tokenizer *tokenizer = keys->tokenizer;
    ingot_value map;
    if (find(keys, "tokenizer.ggml.precompiled_charsmap", &map) && map.n_elements > 0) {
        return ingot_fail(keys->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET,
                          "tokenizer.ggml.precompiled_charsmap",
                          "tokenizers that map characters are not supported");
    }
    if (number(keys, "tokenizer.ggml.remove_extra_whitespaces", 0) != 0) {
        const ingot_status status =
            normalizer_add(&tokenizer->normalizer, STEP_SQUEEZE_SPACES, false, (struct span){0},
                           (struct span){0}, keys->error);
        if (status != INGOT_OK) return status;
    }
    tokenizer->fuses_unknown = true;
    return open_scores(keys);
}

static ingot_status open_merges(const struct gguf_keys *keys)
{
    struct ingot_tokenizer *tokenizer = keys->tokenizer;
    ingot_value name = {.data = "default", .n_bytes = 7, .type = INGOT_VALUE_STRING};
    (void)find(keys, "tokenizer.ggml.pre", &name);
    const struct word_patterns *row =
        name.type == INGOT_VALUE_STRING ? word_patterns_find(name.data, name.n_bytes) : NULL;
    if (row == NULL) {
        return ingot_fail(keys->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "tokenizer.ggml.pre",
                          "no way to cut words is known under that name: %.*s",
                          (int)min_u64(name.n_bytes, 64), (const char *)name.data);
    }
    tokenizer->has_byte_texts = true;
    tokenizer->has_whole_words = row->has_whole_words;
    ingot_status status = read_tokens(keys);
    if (status == INGOT_OK) status = vocabulary_end(&tokenizer->vocabulary, keys->error);
    if (status == INGOT_OK) status = read_merges(keys);
    for (size_t i = 0; i < sizeof row->patterns / sizeof *row->patterns && status == INGOT_OK;
         i++) {
        if (row->patterns[i] == NULL) break;
        const struct span pattern = {(const uint8_t *)row->patterns[i], strlen(row->patterns[i])};
        status = text_split_add(&tokenizer->split, pattern, false, split_way("Isolated"), false,
                                keys->error);
    }
    tokenizer->bos = token_key(keys, "tokenizer.ggml.bos_token_id", UINT64_MAX);
    tokenizer->eos = token_key(keys, "tokenizer.ggml.eos_token_id", UINT64_MAX);
    tokenizer->unknown = token_key(keys, "tokenizer.ggml.unknown_token_id", UINT64_MAX);
    return status;
}

static const struct gguf_model {
    const char *name;
    ingot_status (*open)(const struct gguf_keys *keys);
    const struct token_model *model;
} models[] = {
    {"gpt2", open_merges, &token_model_merges},
    {"llama", open_scores, &token_model_scores},
    {"t5", open_unigram, &token_model_unigram},
};

static ingot_status open_model(const struct gguf_keys *keys, const ingot_value *name)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const struct gguf_model *row = &models[i];
        if (name->n_bytes != strlen(row->name) ||
            memcmp(name->data, row->name, strlen(row->name)) != 0) {
            continue;
        }
        keys->tokenizer->model = row->model;
        const ingot_status status = row->open(keys);
        return status == INGOT_OK ? tokenizer_add_kinds(keys->tokenizer, keys->error) : status;
    }
    return ingot_fail(keys->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "tokenizer.ggml.model",
                      "no such tokenizer is supported: %.*s", (int)min_u64(name->n_bytes, 64),
                      (const char *)name->data);
}

ingot_status tokenizer_from_gguf(struct ingot_tokenizer *tokenizer, const ingot_metadata *metadata,
                                 ingot_error *error)
{
    const struct gguf_keys keys = {metadata, tokenizer, error};
    ingot_value name;
    if (!find(&keys, "tokenizer.ggml.model", &name)) return INGOT_NOT_FOUND;
    if (name.type != INGOT_VALUE_STRING) {
        return wrong(&keys, "tokenizer.ggml.model", "is no string");
    }
    return open_model(&keys, &name);
}

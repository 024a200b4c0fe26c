/* The way of a text through a tokenizer. Knows no file and no way of cutting words. */
#include "runtime/tokenizer.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "runtime/tokenizer_state.h"

/* ------------------------------------------------------------------ opening */

static const struct origin {
    const char *attachment;
    ingot_status (*fill)(struct ingot_tokenizer *, struct span, ingot_error *);
} origins[] = {
    {"tokenizer.json", tokenizer_from_json},
    {"tokenizer.model", tokenizer_from_sentencepiece},
    {"tokenizer.bin", tokenizer_from_llama2c},
};

/* In the order in which they are asked. */
static const char *const configs[] = {"tokenizer_config.json", "config.json"};

void tokenizer_close(ingot_tokenizer *tokenizer)
{
    if (tokenizer == NULL) return;
    text_split_release(&tokenizer->split);
    added_tokens_release(&tokenizer->added);
    merges_release(&tokenizer->merges);
    vocabulary_release(&tokenizer->vocabulary);
    ingot_release(tokenizer->allocator, tokenizer);
}

static ingot_status begin(const ingot_allocator *allocator, struct ingot_tokenizer **tokenizer,
                          ingot_error *error)
{
    struct ingot_tokenizer *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "tokenizer");
    made->allocator = allocator;
    made->vocabulary.bytes.allocator = allocator;
    made->merges.allocator = allocator;
    made->added.allocator = allocator;
    made->split.allocator = allocator;
    made->unknown = made->bos = made->eos = INGOT_NONE;
    *tokenizer = made;
    return INGOT_OK;
}

/* Hands *made over when all went well, and else closes it. */
static ingot_status end(struct ingot_tokenizer *made, ingot_status status,
                        ingot_tokenizer **tokenizer)
{
    if (status != INGOT_OK) {
        tokenizer_close(made);
        return status;
    }
    added_tokens_end(&made->added, &made->vocabulary);
    *tokenizer = made;
    return INGOT_OK;
}

/* Calls fill with the attachment of that name. INGOT_NOT_FOUND without one. */
static ingot_status fill_from(const ingot_file *file, const char *name,
                              ingot_status (*fill)(struct ingot_tokenizer *, struct span,
                                                   ingot_error *),
                              struct ingot_tokenizer *tokenizer, ingot_error *error)
{
    uint32_t index;
    ingot_blob blob;
    ingot_status status = ingot_file_find_attachment(file, name, strlen(name), &index);
    if (status != INGOT_OK) return status;
    ingot_file_blob(file, index, &blob);
    uint8_t *bytes = ingot_allocate(tokenizer->allocator, blob.n_bytes);
    if (bytes == NULL) return ingot_fail_memory(error, blob.n_bytes, name);
    status = ingot_file_read_blob(file, index, 0, blob.n_bytes, bytes, error);
    if (status == INGOT_OK) status = fill(tokenizer, (struct span){bytes, blob.n_bytes}, error);
    ingot_release(tokenizer->allocator, bytes);
    return status;
}

static ingot_status fill_from_metadata(const ingot_file *file, struct ingot_tokenizer *tokenizer,
                                       ingot_error *error)
{
    ingot_metadata *metadata;
    ingot_status status = ingot_metadata_open(file, &metadata, error);
    if (status != INGOT_OK) return status;
    status = tokenizer_from_gguf(tokenizer, metadata, error);
    ingot_metadata_close(metadata);
    return status;
}

static ingot_status fill_from_attachments(const ingot_file *file, struct ingot_tokenizer *tokenizer,
                                          ingot_error *error)
{
    ingot_status status = INGOT_NOT_FOUND;
    for (size_t i = 0; i < sizeof origins / sizeof *origins && status == INGOT_NOT_FOUND; i++) {
        status = fill_from(file, origins[i].attachment, origins[i].fill, tokenizer, error);
    }
    for (size_t i = 0; i < sizeof configs / sizeof *configs && status == INGOT_OK; i++) {
        status = fill_from(file, configs[i], tokenizer_read_config, tokenizer, error);
        if (status == INGOT_NOT_FOUND) status = INGOT_OK;
    }
    return status;
}

ingot_status tokenizer_open(const ingot_file *file, const ingot_allocator *allocator,
                            ingot_tokenizer **tokenizer, ingot_error *error)
{
    struct ingot_tokenizer *made;
    ingot_status status = begin(allocator, &made, error);
    if (status != INGOT_OK) return status;
    status = fill_from_metadata(file, made, error);
    if (status == INGOT_NOT_FOUND) status = fill_from_attachments(file, made, error);
    if (status == INGOT_NOT_FOUND) {
        status = ingot_fail(error, INGOT_NOT_FOUND, INGOT_NO_OFFSET, "tokenizer",
                            "the file holds none: no tokenizer.json, tokenizer.model or "
                            "tokenizer.bin, and no metadata of one");
    }
    return end(made, status, tokenizer);
}

ingot_status tokenizer_open_bytes(const char *attachment, const void *bytes, uint64_t n_bytes,
                                  const ingot_allocator *allocator, ingot_tokenizer **tokenizer,
                                  ingot_error *error)
{
    struct ingot_tokenizer *made;
    ingot_status status = begin(allocator, &made, error);
    if (status != INGOT_OK) return status;
    status = INGOT_NOT_FOUND;
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
        if (strcmp(attachment, origins[i].attachment) != 0) continue;
        status = origins[i].fill(made, (struct span){bytes, n_bytes}, error);
    }
    return end(made, status, tokenizer);
}

ingot_status tokenizer_mark_spaces(struct ingot_tokenizer *tokenizer, enum space_prefix prefix,
                                   ingot_error *error)
{
    const struct span space = {(const uint8_t *)" ", 1};
    const struct span mark = {(const uint8_t *)SPACE_MARK, SPACE_MARK_BYTES};
    const struct span nothing = {NULL, 0};
    ingot_status status = INGOT_OK;
    if (prefix != PREFIX_NONE) {
        status = normalizer_add(&tokenizer->normalizer, STEP_PREPEND, prefix == PREFIX_FIRST, space,
                                nothing, error);
    }
    if (status != INGOT_OK) return status;
    return normalizer_add(&tokenizer->normalizer, STEP_REPLACE, false, space, mark, error);
}

ingot_status tokenizer_add_kinds(struct ingot_tokenizer *tokenizer, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < tokenizer->vocabulary.n_tokens && status == INGOT_OK; i++) {
        const uint32_t kind = tokenizer->vocabulary.tokens[i].kind;
        const struct added_token added = {.number = i, .is_special = kind == TOKEN_CONTROL};
        if (kind != TOKEN_CONTROL && kind != TOKEN_USER) continue;
        status = added_tokens_add(&tokenizer->added, &added, error);
    }
    return status;
}

/* Appends the bytes that the text of a token stands for. */
static void append_text(const struct ingot_tokenizer *tokenizer, struct span text,
                        struct byte_buffer *to)
{
    if (tokenizer->has_byte_texts && bytes_of_byte_text(text, to)) return;
    buffer_append(to, text.data, text.n_bytes);
}

ingot_status tokenizer_add_merge(struct ingot_tokenizer *tokenizer, uint32_t rank, struct span left,
                                 struct span right, ingot_error *error)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    struct byte_buffer both = {.allocator = tokenizer->allocator};
    append_text(tokenizer, left, &both);
    const uint64_t n_left = both.n_bytes;
    append_text(tokenizer, right, &both);
    if (both.failed) {
        buffer_release(&both);
        return ingot_fail_memory(error, left.n_bytes + right.n_bytes, "merge");
    }
    const struct merge merge = {
        vocabulary_find(vocabulary, both.data, n_left),
        vocabulary_find(vocabulary, both.data + n_left, both.n_bytes - n_left), rank,
        vocabulary_find(vocabulary, both.data, both.n_bytes)};
    buffer_release(&both);
    if (merge.left == INGOT_NONE || merge.right == INGOT_NONE || merge.token == INGOT_NONE) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "merges",
                          "merge %u names a token that is not in the vocabulary", rank);
    }
    merges_add(&tokenizer->merges, &merge);
    return INGOT_OK;
}

ingot_status tokenizer_add_merge_text(struct ingot_tokenizer *tokenizer, uint32_t rank,
                                      struct span text, ingot_error *error)
{
    const uint8_t *space =
        text.n_bytes > 2 ? memchr(text.data + 1, ' ', (size_t)text.n_bytes - 2) : NULL;
    if (space == NULL) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "merges",
                          "merge %u is not two texts with a space between them", rank);
    }
    const uint64_t n = (uint64_t)(space - text.data);
    const struct span left = {text.data, n}, right = {space + 1, text.n_bytes - n - 1};
    return tokenizer_add_merge(tokenizer, rank, left, right, error);
}

/* ------------------------------------------------------------------ what it says of itself */

uint32_t tokenizer_n_tokens(const ingot_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.n_tokens;
}

uint32_t tokenizer_bos(const ingot_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

uint32_t tokenizer_eos(const ingot_tokenizer *tokenizer)
{
    return tokenizer->eos;
}

ingot_status tokenizer_piece(const ingot_tokenizer *tokenizer, uint32_t token, const char **bytes,
                             size_t *n_bytes)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    if (token >= vocabulary->n_tokens || vocabulary->tokens[token].kind == 0) {
        return INGOT_NOT_FOUND;
    }
    const struct token *found = &vocabulary->tokens[token];
    *bytes = (const char *)vocabulary->bytes.data + found->piece_offset;
    *n_bytes = found->kind == TOKEN_CONTROL ? 0 : found->piece_bytes;
    return INGOT_OK;
}

/* ------------------------------------------------------------------ encoding */

void encoding_put(struct encoding *encoding, uint32_t token)
{
    buffer_u32(&encoding->tokens, token);
    encoding->was_unknown = false;
}

uint64_t character_bytes(struct span text)
{
    uint64_t n = 1;
    if (text.data[0] < 0xC0) return 1;
    while (n < text.n_bytes && n < 4 && (text.data[n] & 0xC0) == 0x80) n++;
    return n;
}

ingot_status encoding_put_unknown(struct encoding *encoding, struct span text, ingot_error *error)
{
    const struct ingot_tokenizer *tokenizer = encoding->tokenizer;
    bool has_bytes = tokenizer->falls_back_to_bytes;
    for (uint64_t i = 0; i < text.n_bytes && has_bytes; i++) {
        has_bytes = tokenizer->vocabulary.byte_tokens[text.data[i]] != INGOT_NONE;
    }
    for (uint64_t i = 0; i < text.n_bytes && has_bytes; i++) {
        encoding_put(encoding, tokenizer->vocabulary.byte_tokens[text.data[i]]);
    }
    if (has_bytes) return INGOT_OK;
    if (tokenizer->unknown == INGOT_NONE) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "text",
                          "the tokenizer has no token for the byte 0x%02X", text.data[0]);
    }
    if (!(encoding->was_unknown && tokenizer->fuses_unknown)) {
        encoding_put(encoding, tokenizer->unknown);
    }
    encoding->was_unknown = true;
    return INGOT_OK;
}

/* A part of the text between added tokens. */
static ingot_status encode_part(struct encoding *encoding, struct span part, bool is_first,
                                ingot_error *error)
{
    const struct ingot_tokenizer *tokenizer = encoding->tokenizer;
    struct byte_buffer text = {.allocator = tokenizer->allocator};
    struct byte_buffer words = {.allocator = tokenizer->allocator};
    ingot_status status = normalizer_run(&tokenizer->normalizer, part, is_first, &text, error);
    if (status == INGOT_OK && text.n_bytes > UINT32_MAX / 2) {
        status = ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "text", "is longer than 2 GiB");
    }
    const struct span normal = {text.data, text.n_bytes};
    if (status == INGOT_OK) status = text_split_run(&tokenizer->split, normal, &words, error);
    for (uint64_t at = 0; at < words.n_bytes && status == INGOT_OK; at += sizeof(struct word)) {
        struct word word;
        memcpy(&word, words.data + at, sizeof word);
        const struct span bytes = {normal.data + word.offset, word.n_bytes};
        status = tokenizer->model->encode(encoding, bytes, error);
    }
    buffer_release(&words);
    buffer_release(&text);
    return status;
}

static ingot_status encode_text(struct encoding *encoding, struct span text, bool with_special,
                                ingot_error *error)
{
    const struct ingot_tokenizer *tokenizer = encoding->tokenizer;
    ingot_status status = INGOT_OK;
    for (uint64_t at = 0; at < text.n_bytes && status == INGOT_OK;) {
        const struct added_match match =
            added_tokens_find(&tokenizer->added, &tokenizer->vocabulary, text, at, with_special);
        const struct span part = {text.data + at, match.begin - at};
        if (part.n_bytes > 0) status = encode_part(encoding, part, at == 0, error);
        if (status == INGOT_OK && match.token != NULL) {
            encoding_put(encoding, match.token->number);
        }
        at = match.end;
    }
    return status;
}

ingot_status tokenizer_encode(const ingot_tokenizer *tokenizer, const char *text, size_t n_bytes,
                              bool add_bos, bool parse_special, uint32_t **tokens, size_t *n,
                              ingot_error *error)
{
    struct encoding encoding = {.tokenizer = tokenizer,
                                .merging.allocator = tokenizer->allocator,
                                .tokens.allocator = tokenizer->allocator,
                                .scratch.allocator = tokenizer->allocator};
    buffer_reserve(&encoding.tokens, sizeof(uint32_t));
    if (add_bos && tokenizer->bos != INGOT_NONE) encoding_put(&encoding, tokenizer->bos);
    const struct span bytes = {(const uint8_t *)text, n_bytes};
    ingot_status status = encode_text(&encoding, bytes, parse_special, error);
    if (status == INGOT_OK && encoding.tokens.failed) {
        status = ingot_fail_memory(error, encoding.tokens.n_bytes, "tokens");
    }
    merging_release(&encoding.merging);
    buffer_release(&encoding.scratch);
    if (status != INGOT_OK) {
        buffer_release(&encoding.tokens);
        return status;
    }
    *tokens = (uint32_t *)(void *)encoding.tokens.data;
    *n = encoding.tokens.n_bytes / sizeof(uint32_t);
    return INGOT_OK;
}

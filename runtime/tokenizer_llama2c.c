/* A tokenizer from the attachment tokenizer.bin, as llama2.c exports one: the length of the longest
 * text as an i32; then for each token an f32 score, an i32 length and the text, in which spaces are
 * spaces. Tokens 0, 1 and 2 are unknown, beginning and end, 3 to 258 are bytes. */
#include "format/fail.h"
#include "runtime/tokenizer_state.h"

enum { HEADER_BYTES = 4, TOKEN_BYTES = 8, FIRST_BYTE = 3, N_BYTES = 256 };

static uint32_t kind_of(uint32_t number)
{
    if (number == 0) return TOKEN_UNKNOWN;
    if (number < FIRST_BYTE) return TOKEN_CONTROL;
    return number < FIRST_BYTE + N_BYTES ? TOKEN_BYTE : TOKEN_NORMAL;
}

/* The number of tokens, or 0 when the file is damaged. */
static uint64_t count(struct span bytes)
{
    struct cursor at = cursor_over(bytes.data, bytes.n_bytes);
    uint64_t n = 0;
    (void)cursor_u32(&at);
    for (; !at.failed && cursor_left(&at) > 0; n++) {
        (void)cursor_u32(&at);
        (void)cursor_bytes(&at, cursor_u32(&at));
    }
    return at.failed || n >= INT32_MAX ? 0 : n;
}

static ingot_status fill(struct ingot_tokenizer *tokenizer, struct span bytes, ingot_error *error)
{
    const uint64_t n_tokens = count(bytes);
    struct cursor at = cursor_over(bytes.data, bytes.n_bytes);
    if (n_tokens == 0) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "tokenizer.bin",
                          "is no tokenizer of llama2.c, or is damaged");
    }
    const ingot_status status = vocabulary_begin(&tokenizer->vocabulary, (uint32_t)n_tokens, error);
    if (status != INGOT_OK) return status;
    (void)cursor_u32(&at);
    for (uint32_t i = 0; i < n_tokens; i++) {
        const float score = f32_from_bits(cursor_u32(&at));
        const uint32_t n_bytes = cursor_u32(&at);
        if (n_bytes > UINT16_MAX) {
            return ingot_fail(error, INGOT_INVALID, at.offset, "tokenizer.bin",
                              "token %u is over 64 KiB", i);
        }
        vocabulary_set(&tokenizer->vocabulary, i, cursor_bytes(&at, n_bytes), n_bytes, score,
                       kind_of(i));
    }
    tokenizer->model = &token_model_scores;
    tokenizer->falls_back_to_bytes = true;
    tokenizer->unknown = 0;
    tokenizer->bos = n_tokens > 1 ? 1 : INGOT_NONE;
    tokenizer->eos = n_tokens > 2 ? 2 : INGOT_NONE;
    const struct span space = {(const uint8_t *)" ", 1}, nothing = {0};
    return normalizer_add(&tokenizer->normalizer, STEP_PREPEND, false, space, nothing, error);
}

ingot_status tokenizer_from_llama2c(struct ingot_tokenizer *tokenizer, struct span bytes,
                                    ingot_error *error)
{
    ingot_status status = fill(tokenizer, bytes, error);
    if (status == INGOT_OK) status = vocabulary_end(&tokenizer->vocabulary, error);
    return status == INGOT_OK ? tokenizer_add_kinds(tokenizer, error) : status;
}

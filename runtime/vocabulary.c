/* Open addressing over the texts of tokens. */
#include "runtime/vocabulary.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/xxh3.h"

ingot_status vocabulary_begin(struct vocabulary *vocabulary, uint32_t n_tokens, ingot_error *error)
{
    const ingot_allocator *allocator = vocabulary->bytes.allocator;
    vocabulary->tokens = ingot_allocate_zeroed(allocator, n_tokens, sizeof *vocabulary->tokens);
    if (vocabulary->tokens == NULL) {
        return ingot_fail_memory(error, (uint64_t)n_tokens * sizeof *vocabulary->tokens, "tokens");
    }
    /* Room for something, so that empty texts have an address. */
    buffer_reserve(&vocabulary->bytes, n_tokens);
    if (vocabulary->bytes.failed) return ingot_fail_memory(error, n_tokens, "texts of tokens");
    vocabulary->n_tokens = n_tokens;
    for (uint32_t byte = 0; byte < 256; byte++) vocabulary->byte_tokens[byte] = INGOT_NONE;
    return INGOT_OK;
}

void vocabulary_set(struct vocabulary *vocabulary, uint32_t number, const void *text,
                    uint64_t n_bytes, float score, uint32_t kind)
{
    struct token *token = &vocabulary->tokens[number];
    *token = (struct token){.text_offset = vocabulary->bytes.n_bytes,
                            .piece_offset = vocabulary->bytes.n_bytes,
                            .text_bytes = (uint32_t)n_bytes,
                            .piece_bytes = (uint32_t)n_bytes,
                            .score = score,
                            .kind = kind};
    buffer_append(&vocabulary->bytes, text, n_bytes);
}

/* What is written for a token in place of its text. */
static void set_piece(struct vocabulary *vocabulary, uint32_t number, const void *piece,
                      uint64_t n_bytes)
{
    struct token *token = &vocabulary->tokens[number];
    token->piece_offset = vocabulary->bytes.n_bytes;
    token->piece_bytes = (uint32_t)n_bytes;
    buffer_append(&vocabulary->bytes, piece, n_bytes);
}

struct span vocabulary_text(const struct vocabulary *vocabulary, uint32_t number)
{
    const struct token *token = &vocabulary->tokens[number];
    return (struct span){vocabulary->bytes.data + token->text_offset, token->text_bytes};
}

/* ------------------------------------------------------------------ finding */

static uint32_t *place_of(const struct vocabulary *vocabulary, const void *text, uint64_t n_bytes)
{
    uint64_t i = XXH3_64bits(text, n_bytes) & (vocabulary->n_places - 1);
    for (;; i = (i + 1) & (vocabulary->n_places - 1)) {
        uint32_t *place = &vocabulary->places[i];
        if (*place == INGOT_NONE) return place;
        const struct span found = vocabulary_text(vocabulary, *place);
        if (found.n_bytes == n_bytes && memcmp(found.data, text, n_bytes) == 0) return place;
    }
}

uint32_t vocabulary_find(const struct vocabulary *vocabulary, const void *text, uint64_t n_bytes)
{
    if (n_bytes > vocabulary->longest_bytes) return INGOT_NONE;
    return *place_of(vocabulary, text, n_bytes);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int vocabulary_named_byte(const void *text, uint64_t n_bytes)
{
    const uint8_t *c = text;
    if (n_bytes != 6 || memcmp(c, "<0x", 3) != 0 || c[5] != '>') return -1;
    const int high = hex_digit(c[3]), low = hex_digit(c[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

uint32_t vocabulary_search(const struct vocabulary *vocabulary, const void *text, uint64_t n_bytes)
{
    for (uint32_t i = 0; i < vocabulary->n_tokens; i++) {
        const struct span found = vocabulary_text(vocabulary, i);
        if (vocabulary->tokens[i].kind != 0 && found.n_bytes == n_bytes &&
            memcmp(found.data, text, (size_t)n_bytes) == 0) {
            return i;
        }
    }
    return INGOT_NONE;
}

static const bool findable_kinds[N_TOKEN_KINDS] = {[TOKEN_NORMAL] = true, [TOKEN_USER] = true};

/* Adds one token to the table and to the tokens of bytes. */
static void index_token(struct vocabulary *vocabulary, uint32_t number)
{
    const uint32_t kind = vocabulary->tokens[number].kind;
    const struct span text = vocabulary_text(vocabulary, number);
    const int byte = vocabulary_named_byte(text.data, text.n_bytes);
    if (byte >= 0 && kind == TOKEN_BYTE) {
        const uint8_t value = (uint8_t)byte;
        if (vocabulary->byte_tokens[byte] == INGOT_NONE) vocabulary->byte_tokens[byte] = number;
        set_piece(vocabulary, number, &value, 1);
    }
    if (kind == TOKEN_NORMAL && vocabulary->tokens[number].score < vocabulary->lowest_score) {
        vocabulary->lowest_score = vocabulary->tokens[number].score;
    }
    if (text.n_bytes == 0 || !findable_kinds[kind]) return;
    uint32_t *place = place_of(vocabulary, text.data, text.n_bytes);
    if (*place == INGOT_NONE) *place = number;
    if (text.n_bytes > vocabulary->longest_bytes) {
        vocabulary->longest_bytes = (uint32_t)text.n_bytes;
    }
}

ingot_status vocabulary_end(struct vocabulary *vocabulary, ingot_error *error)
{
    uint64_t n_places = 64;
    while (n_places < (uint64_t)vocabulary->n_tokens * 2) n_places *= 2;
    /* Pieces of bytes are appended below: room for them first, so that no text moves. */
    buffer_reserve(&vocabulary->bytes, vocabulary->n_tokens);
    if (vocabulary->bytes.failed) return ingot_fail_memory(error, 0, "texts of tokens");
    vocabulary->places =
        ingot_allocate(vocabulary->bytes.allocator, n_places * sizeof *vocabulary->places);
    if (vocabulary->places == NULL) {
        return ingot_fail_memory(error, n_places * sizeof *vocabulary->places, "table of tokens");
    }
    vocabulary->n_places = n_places;
    for (uint64_t i = 0; i < n_places; i++) vocabulary->places[i] = INGOT_NONE;
    for (uint32_t i = 0; i < vocabulary->n_tokens; i++) {
        if (vocabulary->tokens[i].kind != 0) index_token(vocabulary, i);
    }
    return INGOT_OK;
}

void vocabulary_release(struct vocabulary *vocabulary)
{
    ingot_release(vocabulary->bytes.allocator, vocabulary->places);
    ingot_release(vocabulary->bytes.allocator, vocabulary->tokens);
    buffer_release(&vocabulary->bytes);
}

/* ------------------------------------------------------------------ pieces */

void vocabulary_unmark_spaces(struct vocabulary *vocabulary)
{
    for (uint32_t i = 0; i < vocabulary->n_tokens && !vocabulary->bytes.failed; i++) {
        struct token *token = &vocabulary->tokens[i];
        const uint64_t begin = vocabulary->bytes.n_bytes;
        buffer_reserve(&vocabulary->bytes, token->text_bytes);
        if (vocabulary->bytes.failed) return;
        const struct span text = vocabulary_text(vocabulary, i);
        for (uint64_t at = 0; at < text.n_bytes; at++) {
            const bool is_mark = text.n_bytes - at >= SPACE_MARK_BYTES &&
                                 memcmp(text.data + at, SPACE_MARK, SPACE_MARK_BYTES) == 0;
            buffer_u8(&vocabulary->bytes, is_mark ? ' ' : text.data[at]);
            if (is_mark) at += SPACE_MARK_BYTES - 1;
        }
        token->piece_offset = begin;
        token->piece_bytes = (uint32_t)(vocabulary->bytes.n_bytes - begin);
    }
}

/* A list in order, and where each first byte begins in it. */
#include "runtime/added_tokens.h"

#include "format/alloc.h"
#include "format/fail.h"

ingot_status added_tokens_add(struct added_tokens *added, const struct added_token *token,
                              ingot_error *error)
{
    if (added->n_tokens == added->capacity) {
        const uint32_t capacity = added->capacity ? added->capacity * 2 : 16;
        struct added_token *tokens =
            ingot_allocate(added->allocator, (uint64_t)capacity * sizeof *tokens);
        if (tokens == NULL) {
            return ingot_fail_memory(error, (uint64_t)capacity * sizeof *tokens, "added tokens");
        }
        if (added->n_tokens) memcpy(tokens, added->tokens, added->n_tokens * sizeof *tokens);
        ingot_release(added->allocator, added->tokens);
        added->tokens = tokens;
        added->capacity = capacity;
    }
    added->tokens[added->n_tokens++] = *token;
    return INGOT_OK;
}

static bool is_before(const struct vocabulary *vocabulary, const struct added_token *a,
                      const struct added_token *b)
{
    const struct span x = vocabulary_text(vocabulary, a->number);
    const struct span y = vocabulary_text(vocabulary, b->number);
    if (x.data[0] != y.data[0]) return x.data[0] < y.data[0];
    if (x.n_bytes != y.n_bytes) return x.n_bytes > y.n_bytes;
    return a->number < b->number;
}

/* Heap sort: files may list a million of them. */
static void sift(const struct vocabulary *vocabulary, struct added_token *tokens, uint32_t root,
                 uint32_t n)
{
    const struct added_token moved = tokens[root];
    for (uint64_t child = 2 * (uint64_t)root + 1; child < n; child = 2 * (uint64_t)root + 1) {
        if (child + 1 < n && is_before(vocabulary, &tokens[child], &tokens[child + 1])) child++;
        if (!is_before(vocabulary, &moved, &tokens[child])) break;
        tokens[root] = tokens[child];
        root = (uint32_t)child;
    }
    tokens[root] = moved;
}

void added_tokens_end(struct added_tokens *added, const struct vocabulary *vocabulary)
{
    /* Those without text match nothing. */
    uint32_t n = 0;
    for (uint32_t i = 0; i < added->n_tokens; i++) {
        const bool has_text = vocabulary->tokens[added->tokens[i].number].text_bytes > 0;
        if (has_text) added->tokens[n++] = added->tokens[i];
    }
    added->n_tokens = n;
    for (uint32_t i = n / 2; i-- > 0;) sift(vocabulary, added->tokens, i, n);
    for (uint32_t end = n; end > 1; end--) {
        const struct added_token last = added->tokens[end - 1];
        added->tokens[end - 1] = added->tokens[0];
        added->tokens[0] = last;
        sift(vocabulary, added->tokens, 0, end - 1);
    }
    uint32_t i = 0;
    for (uint32_t byte = 0; byte <= 256; byte++) {
        while (i < n && vocabulary_text(vocabulary, added->tokens[i].number).data[0] < byte) i++;
        added->first[byte] = i;
    }
}

void added_tokens_release(struct added_tokens *added)
{
    ingot_release(added->allocator, added->tokens);
}

/* ------------------------------------------------------------------ finding */

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct added_match matched(const struct added_token *token, struct span text, uint64_t from,
                                  uint64_t begin, uint64_t end)
{
    while (token->strips_left && begin > from && is_space(text.data[begin - 1])) begin--;
    while (token->strips_right && end < text.n_bytes && is_space(text.data[end])) end++;
    return (struct added_match){token, begin, end};
}

struct added_match added_tokens_find(const struct added_tokens *added,
                                     const struct vocabulary *vocabulary, struct span text,
                                     uint64_t from, bool with_special)
{
    for (uint64_t at = from; at < text.n_bytes && added->n_tokens > 0; at++) {
        const uint8_t byte = text.data[at];
        for (uint32_t i = added->first[byte]; i < added->first[byte + 1]; i++) {
            const struct added_token *token = &added->tokens[i];
            const struct span found = vocabulary_text(vocabulary, token->number);
            if ((token->is_special && !with_special) || found.n_bytes > text.n_bytes - at) continue;
            if (memcmp(text.data + at, found.data, (size_t)found.n_bytes) != 0) continue;
            return matched(token, text, from, at, at + found.n_bytes);
        }
    }
    return (struct added_match){NULL, text.n_bytes, text.n_bytes};
}

/* Patterns over text, by PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/text_split.h"

#include <pcre2.h>

#include "format/alloc.h"
#include "format/fail.h"

enum {
    /* Steps that one match may take; patterns of real tokenizers need a few a byte. */
    MATCH_LIMIT = 5000000
};

static const struct split_way ways[] = {
    {"Isolated", true, true, true},
    {"Removed", true, true, false},
    {"MergedWithPrevious", false, true, true},
    {"MergedWithNext", true, false, true},
};

const struct split_way *split_way(const char *name)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(ways[i].name, name) == 0) return &ways[i];
    }
    return NULL;
}

/* ------------------------------------------------------------------ patterns */

ingot_status text_split_add(struct text_split *split, struct span pattern, bool is_literal,
                            const struct split_way *way, bool inverted, ingot_error *error)
{
    if (split->n_splitters == MAX_SPLITTERS) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "pre_tokenizer",
                          "has more than %d patterns", (int)MAX_SPLITTERS);
    }
    if (inverted && !(way->cuts_before && way->cuts_after)) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "pre_tokenizer",
                          "%s of what a pattern does not match is not supported", way->name);
    }
    int reason;
    PCRE2_SIZE at;
    const uint32_t options = is_literal ? PCRE2_LITERAL | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF
                                        : PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF;
    pcre2_code *code =
        pcre2_compile(pattern.data, (PCRE2_SIZE)pattern.n_bytes, options, &reason, &at, NULL);
    if (code == NULL) {
        PCRE2_UCHAR text[128];
        if (reason == PCRE2_ERROR_NOMEMORY ||
            pcre2_get_error_message(reason, text, sizeof text) < 0) {
            return ingot_fail_memory(error, pattern.n_bytes, "pattern of words");
        }
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "pre_tokenizer",
                          "the pattern is wrong at its byte %zu: %s", (size_t)at,
                          (const char *)text);
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* faster, where the system allows it */
    split->splitters[split->n_splitters++] = (struct splitter){code, way, inverted};
    return INGOT_OK;
}

void text_split_release(struct text_split *split)
{
    for (uint32_t i = 0; i < split->n_splitters; i++) pcre2_code_free(split->splitters[i].code);
    split->n_splitters = 0;
}

/* ------------------------------------------------------------------ cutting */

struct cut {
    const struct splitter *splitter;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    struct byte_buffer *words;
    uint32_t begin; /* of the word that goes on */
};

static void emit(struct cut *cut, uint32_t end)
{
    const struct word word = {cut->begin, end - cut->begin};
    if (word.n_bytes > 0) buffer_append(cut->words, &word, sizeof word);
    cut->begin = end;
}

/* Bytes [first, end) that the pattern means. */
static void emit_hit(struct cut *cut, uint32_t first, uint32_t end)
{
    const struct split_way *way = cut->splitter->way;
    if (first == end) return;
    if (way->cuts_before) emit(cut, first);
    if (!way->keeps) cut->begin = end;
    if (way->cuts_after) emit(cut, end);
}

static int match(const struct cut *cut, struct span text, uint64_t first)
{
    int n = pcre2_match(cut->splitter->code, text.data, (PCRE2_SIZE)text.n_bytes, (PCRE2_SIZE)first,
                        0, cut->match, cut->limits);
    /* Compiled patterns have a small stack; the other way has none. */
    if (n == PCRE2_ERROR_JIT_STACKLIMIT) {
        n = pcre2_match(cut->splitter->code, text.data, (PCRE2_SIZE)text.n_bytes, (PCRE2_SIZE)first,
                        PCRE2_NO_JIT, cut->match, cut->limits);
    }
    return n;
}

static uint64_t next_character(struct span text, uint64_t at)
{
    do at++;
    while (at < text.n_bytes && (text.data[at] & 0xC0) == 0x80);
    return at;
}

/* Cuts one word, which is text [word->offset ...), further. */
static ingot_status cut_word(struct cut *cut, struct span text, struct word word,
                             ingot_error *error)
{
    const struct span inside = {text.data + word.offset, word.n_bytes};
    const bool inverted = cut->splitter->inverted;
    uint64_t last = 0, from = 0;
    cut->begin = word.offset;
    while (from <= inside.n_bytes) {
        const int n = match(cut, inside, from);
        if (n == PCRE2_ERROR_NOMATCH) break;
        if (n < 0) {
            return ingot_fail(error, n == PCRE2_ERROR_NOMEMORY ? INGOT_NO_MEMORY : INGOT_INVALID,
                              word.offset + from, "pre_tokenizer",
                              "the pattern gives up on the text at byte %llu (PCRE2 says %d)",
                              (unsigned long long)(word.offset + from), n);
        }
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(cut->match);
        if (ends[1] <= ends[0]) {
            from = next_character(inside, ends[0]);
            continue;
        }
        const uint32_t first = word.offset + (uint32_t)ends[0];
        const uint32_t end = word.offset + (uint32_t)ends[1];
        if (inverted) {
            emit_hit(cut, word.offset + (uint32_t)last, first);
            emit(cut, end);
        } else {
            emit_hit(cut, first, end);
        }
        from = last = ends[1];
    }
    if (inverted) emit_hit(cut, word.offset + (uint32_t)last, word.offset + word.n_bytes);
    emit(cut, word.offset + word.n_bytes);
    return INGOT_OK;
}

static ingot_status cut_all(struct cut *cut, struct span text, const struct byte_buffer *from,
                            ingot_error *error)
{
    for (uint64_t at = 0; at < from->n_bytes; at += sizeof(struct word)) {
        struct word word;
        memcpy(&word, from->data + at, sizeof word);
        const ingot_status status = cut_word(cut, text, word, error);
        if (status != INGOT_OK) return status;
    }
    if (cut->words->failed) return ingot_fail_memory(error, from->n_bytes, "words");
    return INGOT_OK;
}

ingot_status text_split_run(const struct text_split *split, struct span text,
                            struct byte_buffer *words, ingot_error *error)
{
    struct byte_buffer from = {.allocator = split->allocator};
    struct byte_buffer to = {.allocator = split->allocator};
    const struct word whole = {0, (uint32_t)text.n_bytes};
    struct cut cut = {.words = &to};
    ingot_status status = INGOT_OK;
    if (text.n_bytes > 0) buffer_append(&from, &whole, sizeof whole);
    cut.match = pcre2_match_data_create(1, NULL);
    cut.limits = pcre2_match_context_create(NULL);
    if (cut.match == NULL || cut.limits == NULL) {
        status = ingot_fail_memory(error, 1024, "words");
        goto done;
    }
    pcre2_set_match_limit(cut.limits, MATCH_LIMIT);
    for (uint32_t i = 0; i < split->n_splitters && status == INGOT_OK; i++) {
        cut.splitter = &split->splitters[i];
        to.n_bytes = 0;
        status = cut_all(&cut, text, &from, error);
        const struct byte_buffer swapped = from;
        from = to;
        to = swapped;
    }
    if (status != INGOT_OK) goto done;
    buffer_append(words, from.data, from.n_bytes);
    if (words->failed || from.failed) status = ingot_fail_memory(error, from.n_bytes, "words");
done:
    pcre2_match_context_free(cut.limits);
    pcre2_match_data_free(cut.match);
    buffer_release(&to);
    buffer_release(&from);
    return status;
}

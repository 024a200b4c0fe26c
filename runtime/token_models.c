/* The ways to cut a word into tokens. */
#include "format/alloc.h"
#include "format/fail.h"
#include "runtime/tokenizer_state.h"

/* ------------------------------------------------------------------ pairs */

/* The word's bytes or characters become symbols. */
static ingot_status begin_symbols(struct encoding *encoding, struct span word, ingot_error *error)
{
    const struct ingot_tokenizer *tokenizer = encoding->tokenizer;
    const ingot_status status = merging_begin(&encoding->merging, (uint32_t)word.n_bytes, error);
    if (status != INGOT_OK) return status;
    for (uint64_t at = 0; at < word.n_bytes;) {
        const struct span rest = {word.data + at, word.n_bytes - at};
        const uint64_t n = tokenizer->has_byte_texts ? 1 : character_bytes(rest);
        merging_symbol(&encoding->merging, (uint32_t)at, (uint32_t)n,
                       vocabulary_find(&tokenizer->vocabulary, rest.data, n));
        at += n;
    }
    return INGOT_OK;
}

static ingot_status put_symbols(struct encoding *encoding, struct span word, ingot_error *error)
{
    const struct merging *merging = &encoding->merging;
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i != INGOT_NONE && status == INGOT_OK; i = merging->symbols[i].next) {
        const struct symbol *symbol = &merging->symbols[i];
        if (symbol->token != INGOT_NONE) {
            encoding_put(encoding, symbol->token);
        } else {
            const struct span text = {word.data + symbol->offset, symbol->n_bytes};
            status = encoding_put_unknown(encoding, text, error);
        }
    }
    return status;
}

static bool join_by_merges(const void *context, const struct symbol *left,
                           const struct symbol *right, struct joint *joint)
{
    const struct encoding *encoding = context;
    const struct merge *merge =
        merges_find(&encoding->tokenizer->merges, left->token, right->token);
    if (merge == NULL) return false;
    *joint = (struct joint){merge->rank, merge->token};
    return true;
}

static ingot_status encode_merges(struct encoding *encoding, struct span word, ingot_error *error)
{
    if (encoding->tokenizer->has_whole_words) {
        const uint32_t whole =
            vocabulary_find(&encoding->tokenizer->vocabulary, word.data, word.n_bytes);
        if (whole != INGOT_NONE) {
            encoding_put(encoding, whole);
            return INGOT_OK;
        }
    }
    const ingot_status status = begin_symbols(encoding, word, error);
    if (status != INGOT_OK) return status;
    merging_run(&encoding->merging, join_by_merges, encoding);
    return put_symbols(encoding, word, error);
}

struct word_in {
    const struct vocabulary *vocabulary;
    const uint8_t *text;
};

static bool join_by_scores(const void *context, const struct symbol *left,
                           const struct symbol *right, struct joint *joint)
{
    const struct word_in *word = context;
    const uint32_t token = vocabulary_find(word->vocabulary, word->text + left->offset,
                                           left->n_bytes + right->n_bytes);
    if (token == INGOT_NONE) return false;
    *joint = (struct joint){-(double)word->vocabulary->tokens[token].score, token};
    return true;
}

static ingot_status encode_scores(struct encoding *encoding, struct span word, ingot_error *error)
{
    const ingot_status status = begin_symbols(encoding, word, error);
    if (status != INGOT_OK) return status;
    const struct word_in context = {&encoding->tokenizer->vocabulary, word.data};
    merging_run(&encoding->merging, join_by_scores, &context);
    return put_symbols(encoding, word, error);
}

const struct token_model token_model_merges = {encode_merges};
const struct token_model token_model_scores = {encode_scores};

/* ------------------------------------------------------------------ unigram */

/* The best way to the end of each character. */
struct best {
    double score;
    uint32_t token;   /* the last; INGOT_NONE: a character without one */
    uint32_t n_bytes; /* of it */
    uint32_t next;    /* on the best way to the end of the word */
    bool is_reached;
};

struct lattice {
    const struct vocabulary *vocabulary;
    struct span word;
    struct best *best; /* word.n_bytes + 1 of them */
};

static void reach(const struct lattice *lattice, uint64_t at, uint64_t n, uint32_t token,
                  double score)
{
    struct best *end = &lattice->best[at + n];
    const double sum = lattice->best[at].score + score;
    if (end->is_reached && sum <= end->score) return;
    *end = (struct best){sum, token, (uint32_t)n, 0, true};
}

/* Viterbi's algorithm over the bytes at which characters begin. */
static void find_best(const struct lattice *lattice)
{
    const struct vocabulary *vocabulary = lattice->vocabulary;
    const struct span word = lattice->word;
    /* As SentencePiece has it. */
    const double unknown = vocabulary->lowest_score - 10.0;
    for (uint64_t at = 0; at < word.n_bytes; at++) {
        if (!lattice->best[at].is_reached) continue;
        const struct span rest = {word.data + at, word.n_bytes - at};
        const uint64_t first = character_bytes(rest);
        const uint64_t longest = min_u64(rest.n_bytes, vocabulary->longest_bytes);
        uint64_t n = 0;
        bool is_known = false;
        while (n < longest) {
            n += character_bytes((struct span){rest.data + n, rest.n_bytes - n});
            const uint32_t token = vocabulary_find(vocabulary, rest.data, n);
            if (token == INGOT_NONE) continue;
            is_known = is_known || n == first;
            reach(lattice, at, n, token, vocabulary->tokens[token].score);
        }
        if (!is_known) reach(lattice, at, first, INGOT_NONE, unknown);
    }
}

static ingot_status encode_unigram(struct encoding *encoding, struct span word, ingot_error *error)
{
    const struct ingot_tokenizer *tokenizer = encoding->tokenizer;
    ingot_status status = INGOT_OK;
    struct best *best = ingot_allocate_zeroed(tokenizer->allocator, word.n_bytes + 1, sizeof *best);
    if (best == NULL)
        return ingot_fail_memory(error, word.n_bytes * sizeof *best, "text to tokens");
    best[0].is_reached = true;
    const struct lattice lattice = {&tokenizer->vocabulary, word, best};
    find_best(&lattice);
    for (uint64_t end = word.n_bytes; end > 0;) {
        const uint64_t begin = end - best[end].n_bytes;
        best[begin].next = (uint32_t)end;
        end = begin;
    }
    for (uint64_t at = 0; at < word.n_bytes && status == INGOT_OK; at = best[at].next) {
        const struct best *last = &best[best[at].next];
        if (last->token != INGOT_NONE) {
            encoding_put(encoding, last->token);
        } else {
            status =
                encoding_put_unknown(encoding, (struct span){word.data + at, last->n_bytes}, error);
        }
    }
    ingot_release(tokenizer->allocator, best);
    return status;
}

const struct token_model token_model_unigram = {encode_unigram};

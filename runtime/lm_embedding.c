/* Rows of the embedding as they are needed: a row is decoded once and kept while there is room, so
 * that a large vocabulary costs no more memory than its file's. */
#include "format/fail.h"
#include "runtime/lm_state.h"

#include <string.h>

struct missing {
    struct lm *lm;
    uint32_t first_slot;
    ingot_status *statuses;
    ingot_error *errors;
};

enum { MOST_AT_ONCE = 64 };

static void decode_task(void *context, uint64_t i)
{
    const struct missing *m = context;
    const struct lm_embedding *e = &m->lm->embedding;
    const uint32_t slot = m->first_slot + (uint32_t)i;
    m->statuses[i] =
        ingot_file_decode(m->lm->file, e->tensor.tensor, e->token_of[slot], 1, INGOT_F32,
                          m->lm->options.adapters, m->lm->options.n_adapters,
                          e->rows + (uint64_t)slot * m->lm->config.n_hidden, &m->errors[i]);
}

/* Decodes the rows of slots [first, first + n). */
static ingot_status decode_rows(struct lm *lm, uint32_t first, uint32_t n, ingot_error *error)
{
    ingot_status statuses[MOST_AT_ONCE];
    ingot_error errors[MOST_AT_ONCE];
    for (uint32_t at = 0; at < n; at += MOST_AT_ONCE) {
        struct missing missing = {lm, first + at, statuses, errors};
        const uint32_t n_now = n - at < MOST_AT_ONCE ? n - at : MOST_AT_ONCE;
        lm_run(lm, n_now, decode_task, &missing);
        for (uint32_t i = 0; i < n_now; i++) {
            if (statuses[i] == INGOT_OK) continue;
            if (error != NULL) *error = errors[i];
            return statuses[i];
        }
    }
    return INGOT_OK;
}

/* Gives the next slot to a token. */
static void take_slot(struct lm_embedding *e, uint32_t token)
{
    const uint32_t slot = e->next;
    if (e->token_of[slot] != INGOT_NONE) e->slot_of[e->token_of[slot]] = INGOT_NONE;
    e->token_of[slot] = token;
    e->slot_of[token] = slot;
    e->next = slot + 1;
}

static void forget(struct lm_embedding *e, uint32_t first, uint32_t n)
{
    for (uint32_t slot = first; slot < first + n; slot++) {
        if (e->token_of[slot] != INGOT_NONE) e->slot_of[e->token_of[slot]] = INGOT_NONE;
        e->token_of[slot] = INGOT_NONE;
    }
}

/* There are as many slots as a pass has tokens at least: those of one run are filled at once. */
static ingot_status fill(struct lm *lm, const uint32_t *tokens, uint32_t n, ingot_error *error)
{
    struct lm_embedding *e = &lm->embedding;
    if (e->next + n > e->n_slots) {
        uint32_t n_new = 0;
        for (uint32_t i = 0; i < n; i++) n_new += e->slot_of[tokens[i]] == INGOT_NONE;
        if (e->next + n_new > e->n_slots) { /* starts anew, with all of them in one run */
            forget(e, 0, e->n_slots);
            e->next = 0;
        }
    }
    const uint32_t first = e->next;
    for (uint32_t i = 0; i < n; i++) {
        if (e->slot_of[tokens[i]] == INGOT_NONE) take_slot(e, tokens[i]);
    }
    const ingot_status status = decode_rows(lm, first, e->next - first, error);
    if (status != INGOT_OK) forget(e, first, e->next - first);
    return status;
}

ingot_status lm_embed(struct lm *lm, const uint32_t *tokens, uint32_t n, ingot_error *error)
{
    struct lm_embedding *e = &lm->embedding;
    const uint64_t n_hidden = lm->config.n_hidden;
    const ingot_status status = fill(lm, tokens, n, error);
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        memcpy(lm->scratch.hidden + i * n_hidden, e->rows + e->slot_of[tokens[i]] * n_hidden,
               n_hidden * sizeof(float));
    }
    return status;
}

/* Tasks with a known answer. Owns the tokens of one task and some rows of logits. */
#include "runtime/lm_task.h"

#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "runtime/lm_eval.h"

enum { LOGIT_ROWS = 64 };

struct lm_tasks {
    const ingot_allocator *allocator;
    struct lm *lm;
    const ingot_tokenizer *tokenizer;
    bool add_bos;
    uint32_t n_vocab;
    float *after;  /* logits after the last token of what came first */
    float *logits; /* LOGIT_ROWS rows */
};

/* ------------------------------------------------------------------ tokens */

struct tokens {
    uint32_t *at;
    size_t n;
};

struct prepared {
    struct tokens context;
    struct tokens *texts; /* each with the context before it */
    uint32_t n_texts;
    size_t n_shared; /* first tokens that all have */
};

static void release(const struct lm_tasks *t, struct prepared *p)
{
    for (uint32_t i = 0; p->texts != NULL && i < p->n_texts; i++) {
        ingot_release(t->allocator, p->texts[i].at);
    }
    ingot_release(t->allocator, p->texts);
    ingot_release(t->allocator, p->context.at);
}

static ingot_status encode(const struct lm_tasks *t, struct lm_text first, struct lm_text second,
                           struct tokens *tokens, ingot_error *error)
{
    struct byte_buffer all = {.allocator = t->allocator};
    buffer_append(&all, first.bytes, first.n_bytes);
    buffer_append(&all, second.bytes, second.n_bytes);
    const ingot_status status =
        all.failed ? ingot_fail_memory(error, first.n_bytes + second.n_bytes, "text")
                   : tokenizer_encode(t->tokenizer, all.n_bytes ? (const char *)all.data : "",
                                      (size_t)all.n_bytes, t->add_bos, false, &tokens->at,
                                      &tokens->n, error);
    buffer_release(&all);
    return status;
}

static size_t count_shared(struct tokens a, struct tokens b, size_t most)
{
    size_t n = 0;
    while (n < most && n < a.n && n < b.n && a.at[n] == b.at[n]) n++;
    return n;
}

static ingot_status prepare_context(const struct lm_tasks *t, const struct lm_task *task,
                                    const char *field, struct prepared *p, ingot_error *error)
{
    const ingot_status status =
        encode(t, task->context, (struct lm_text){"", 0}, &p->context, error);
    p->n_shared = p->context.n;
    if (status != INGOT_OK || p->context.n <= lm_n_context(t->lm)) return status;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, field,
                      "%zu tokens, and the model has room for %lu", p->context.n,
                      (unsigned long)lm_n_context(t->lm));
}

static ingot_status check_beginning(const struct prepared *p, const char *field, ingot_error *error)
{
    if (p->n_shared > 0) return INGOT_OK;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, field,
                      "it has no token before those of the answer, and there is none of the "
                      "beginning");
}

/* The last token of a text is predicted, not taken in. */
static ingot_status check_text(const struct lm_tasks *t, const struct prepared *p, uint32_t index,
                               const char *field, ingot_error *error)
{
    const size_t n = p->texts[index].n;
    const uint32_t room = lm_n_context(t->lm);
    char name[32];
    snprintf(name, sizeof name, "%s", field);
    if (p->n_texts > 1) snprintf(name, sizeof name, "%s[%lu]", field, (unsigned long)index);
    if (n <= p->n_shared) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name,
                          "it has no token of its own");
    }
    if (n - 1 <= room) return INGOT_OK;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name,
                      "%zu tokens with the context, and the model has room for %lu", n,
                      (unsigned long)room);
}

static ingot_status prepare_texts(const struct lm_tasks *t, const struct lm_task *task,
                                  const char *field, struct prepared *p, ingot_error *error)
{
    ingot_status status = prepare_context(t, task, "context", p, error);
    p->texts = ingot_allocate_zeroed(t->allocator, task->n_texts, sizeof *p->texts);
    if (p->texts == NULL) return ingot_fail_memory(error, task->n_texts, "tokens");
    p->n_texts = task->n_texts;
    for (uint32_t i = 0; i < p->n_texts && status == INGOT_OK; i++) {
        status = encode(t, task->context, task->texts[i], &p->texts[i], error);
        if (status == INGOT_OK) p->n_shared = count_shared(p->context, p->texts[i], p->n_shared);
    }
    if (status == INGOT_OK) status = check_beginning(p, "context", error);
    for (uint32_t i = 0; i < p->n_texts && status == INGOT_OK; i++) {
        status = check_text(t, p, i, field, error);
    }
    return status;
}

static ingot_status prepare_choice(const struct lm_tasks *t, const struct lm_task *task,
                                   struct prepared *p, ingot_error *error)
{
    return prepare_texts(t, task, "choices", p, error);
}

static ingot_status prepare_cloze(const struct lm_tasks *t, const struct lm_task *task,
                                  struct prepared *p, ingot_error *error)
{
    return prepare_texts(t, task, "answer", p, error);
}

static ingot_status prepare_exact(const struct lm_tasks *t, const struct lm_task *task,
                                  struct prepared *p, ingot_error *error)
{
    ingot_status status = prepare_context(t, task, "prompt", p, error);
    if (status == INGOT_OK) status = check_beginning(p, "prompt", error);
    if (status != INGOT_OK) return status;
    const uint32_t room = lm_n_context(t->lm) - (uint32_t)p->context.n;
    if (task->max_tokens - 1 <= room) return INGOT_OK;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "max_tokens",
                      "%lu tokens after %zu of the prompt, and the model has room for %lu",
                      (unsigned long)task->max_tokens, p->context.n,
                      (unsigned long)lm_n_context(t->lm));
}

/* ------------------------------------------------------------------ likelihood */

struct scored {
    double log_likelihood;
    bool greedy; /* each token was the most likely */
};

static void score_row(const struct lm_tasks *t, const float *logits, uint32_t target,
                      struct scored *scored)
{
    scored->log_likelihood += lm_log_probability(logits, t->n_vocab, target);
    scored->greedy = scored->greedy && lm_most_likely(logits, t->n_vocab) == target;
}

/* Takes the first tokens in, which are at least one. */
static ingot_status begin(struct lm_tasks *t, const struct prepared *p, ingot_error *error)
{
    lm_rewind(t->lm, 0);
    const ingot_status status = lm_feed(t->lm, p->context.at, (uint32_t)p->n_shared, error);
    if (status != INGOT_OK) return status;
    return lm_logits(t->lm, lm_n_last(t->lm) - 1, 1, t->after, error);
}

/* Of the tokens of one text after the shared ones. */
static ingot_status score(struct lm_tasks *t, const struct prepared *p, uint32_t index,
                          struct scored *scored, ingot_error *error)
{
    const uint32_t *targets = p->texts[index].at + p->n_shared;
    const uint32_t n_fed = (uint32_t)(p->texts[index].n - p->n_shared) - 1;
    const uint32_t n_batch = lm_n_batch(t->lm) < LOGIT_ROWS ? lm_n_batch(t->lm) : LOGIT_ROWS;
    *scored = (struct scored){0, true};
    lm_rewind(t->lm, (uint32_t)p->n_shared);
    score_row(t, t->after, targets[0], scored);
    for (uint32_t at = 0; at < n_fed; at += n_batch) {
        const uint32_t n = n_fed - at < n_batch ? n_fed - at : n_batch;
        ingot_status status = lm_feed(t->lm, targets + at, n, error);
        if (status == INGOT_OK) status = lm_logits(t->lm, 0, n, t->logits, error);
        if (status != INGOT_OK) return status;
        for (uint32_t i = 0; i < n; i++) {
            score_row(t, t->logits + (size_t)i * t->n_vocab, targets[at + i + 1], scored);
        }
    }
    return INGOT_OK;
}

static ingot_status answer_choice(struct lm_tasks *t, const struct lm_task *task,
                                  const struct prepared *p, struct lm_answer *answer,
                                  ingot_error *error)
{
    const double *found = answer->log_likelihoods;
    uint32_t best = 0, best_per_byte = 0;
    for (uint32_t i = 0; i < task->n_texts; i++) {
        struct scored scored;
        const ingot_status status = score(t, p, i, &scored, error);
        if (status != INGOT_OK) return status;
        answer->log_likelihoods[i] = scored.log_likelihood;
        if (found[i] > found[best]) best = i;
        if (found[i] / (double)task->texts[i].n_bytes >
            found[best_per_byte] / (double)task->texts[best_per_byte].n_bytes) {
            best_per_byte = i;
        }
    }
    answer->chosen = best;
    answer->chosen_per_byte = best_per_byte;
    answer->right = best == task->right;
    answer->right_per_byte = best_per_byte == task->right;
    return INGOT_OK;
}

static ingot_status answer_cloze(struct lm_tasks *t, const struct lm_task *task,
                                 const struct prepared *p, struct lm_answer *answer,
                                 ingot_error *error)
{
    (void)task;
    struct scored scored;
    const ingot_status status = score(t, p, 0, &scored, error);
    if (status != INGOT_OK) return status;
    answer->log_likelihoods[0] = scored.log_likelihood;
    answer->right = scored.greedy;
    return INGOT_OK;
}

/* ------------------------------------------------------------------ writing */

/* Cuts the text where `stop` begins. */
static bool cut_at(struct byte_buffer *text, struct lm_text stop)
{
    if (stop.n_bytes == 0 || text->n_bytes < stop.n_bytes) return false;
    for (uint64_t at = 0; at <= text->n_bytes - stop.n_bytes; at++) {
        if (memcmp(text->data + at, stop.bytes, stop.n_bytes) != 0) continue;
        text->n_bytes = at;
        return true;
    }
    return false;
}

static struct lm_text trimmed(struct lm_text text)
{
    static const char white[] = " \t\n\v\f\r";
    const size_t n_white = sizeof white - 1;
    while (text.n_bytes > 0 && memchr(white, text.bytes[0], n_white)) {
        text.bytes++;
        text.n_bytes--;
    }
    while (text.n_bytes > 0 && memchr(white, text.bytes[text.n_bytes - 1], n_white)) text.n_bytes--;
    return text;
}

static bool same_trimmed(struct lm_text a, struct lm_text b)
{
    a = trimmed(a);
    b = trimmed(b);
    return a.n_bytes == b.n_bytes && (a.n_bytes == 0 || memcmp(a.bytes, b.bytes, a.n_bytes) == 0);
}

static ingot_status answer_exact(struct lm_tasks *t, const struct lm_task *task,
                                 const struct prepared *p, struct lm_answer *answer,
                                 ingot_error *error)
{
    (void)p;
    struct byte_buffer *text = &answer->text;
    ingot_status status = INGOT_OK;
    for (uint32_t n_made = 0; n_made < task->max_tokens; n_made++) {
        const uint32_t token = lm_most_likely(t->after, t->n_vocab);
        const char *bytes;
        size_t n_bytes;
        if (token == tokenizer_eos(t->tokenizer)) break;
        if (tokenizer_piece(t->tokenizer, token, &bytes, &n_bytes) == INGOT_OK) {
            buffer_append(text, bytes, n_bytes);
        }
        if (cut_at(text, task->stop) || n_made + 1 == task->max_tokens) break;
        status = lm_feed(t->lm, &token, 1, error);
        if (status == INGOT_OK) status = lm_logits(t->lm, 0, 1, t->after, error);
        if (status != INGOT_OK) return status;
    }
    if (text->failed) return ingot_fail_memory(error, text->n_bytes, "text");
    const struct lm_text made = {text->n_bytes ? (const char *)text->data : "",
                                 (size_t)text->n_bytes};
    answer->right = same_trimmed(made, task->texts[0]);
    return INGOT_OK;
}

/* ------------------------------------------------------------------ kinds */

static const struct {
    ingot_status (*prepare)(const struct lm_tasks *t, const struct lm_task *task,
                            struct prepared *p, ingot_error *error);
    ingot_status (*answer)(struct lm_tasks *t, const struct lm_task *task, const struct prepared *p,
                           struct lm_answer *answer, ingot_error *error);
} kinds[LM_N_TASK_KINDS] = {
    [LM_TASK_CHOICE] = {prepare_choice, answer_choice},
    [LM_TASK_CLOZE] = {prepare_cloze, answer_cloze},
    [LM_TASK_EXACT] = {prepare_exact, answer_exact},
};

ingot_status lm_tasks_check(const struct lm_tasks *tasks, const struct lm_task *task,
                            ingot_error *error)
{
    struct prepared p = {0};
    const ingot_status status = kinds[task->kind].prepare(tasks, task, &p, error);
    release(tasks, &p);
    return status;
}

ingot_status lm_tasks_answer(struct lm_tasks *tasks, const struct lm_task *task,
                             struct lm_answer *answer, ingot_error *error)
{
    struct prepared p = {0};
    ingot_status status = kinds[task->kind].prepare(tasks, task, &p, error);
    if (status == INGOT_OK) status = begin(tasks, &p, error);
    if (status == INGOT_OK) status = kinds[task->kind].answer(tasks, task, &p, answer, error);
    release(tasks, &p);
    return status;
}

ingot_status lm_tasks_open(struct lm *lm, const ingot_tokenizer *tokenizer, bool add_bos,
                           const ingot_allocator *allocator, struct lm_tasks **tasks,
                           ingot_error *error)
{
    const uint32_t n_vocab = lm_config(lm)->n_vocab;
    const uint64_t row_bytes = n_vocab * (uint64_t)sizeof(float);
    struct lm_tasks *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "tasks");
    *made = (struct lm_tasks){
        .allocator = allocator,
        .lm = lm,
        .tokenizer = tokenizer,
        .add_bos = add_bos,
        .n_vocab = n_vocab,
        .after = ingot_allocate(allocator, row_bytes),
        .logits = ingot_allocate(allocator, row_bytes * LOGIT_ROWS),
    };
    if (made->after == NULL || made->logits == NULL) {
        lm_tasks_close(made);
        return ingot_fail_memory(error, row_bytes * (LOGIT_ROWS + 1), "logits");
    }
    *tasks = made;
    return INGOT_OK;
}

void lm_tasks_close(struct lm_tasks *tasks)
{
    if (tasks == NULL) return;
    ingot_release(tasks->allocator, tasks->logits);
    ingot_release(tasks->allocator, tasks->after);
    ingot_release(tasks->allocator, tasks);
}

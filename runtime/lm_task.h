/* Tasks with a known answer that a language model is put to: a choice by likelihood, a gap at the
 * end of a text, a text to be written word by word. Knows texts, not where they come from. */
#ifndef INGOT_LM_TASK_H
#define INGOT_LM_TASK_H

#include "format/buffer.h"
#include "runtime/lm.h"
#include "runtime/tokenizer.h"

enum lm_task_kind {
    LM_TASK_CHOICE, /* the likeliest of the texts after the context is to be the right one */
    LM_TASK_CLOZE,  /* each token of the one text is to be the most likely */
    LM_TASK_EXACT,  /* the most likely tokens are to be the one text, but for white space around */
    LM_N_TASK_KINDS
};

struct lm_text {
    const char *bytes;
    size_t n_bytes;
};

struct lm_task {
    enum lm_task_kind kind;
    struct lm_text context;      /* of an exact one, the prompt */
    const struct lm_text *texts; /* choices, or the answer alone */
    uint32_t n_texts;
    uint32_t right;      /* of a choice: the index of the right one */
    uint32_t max_tokens; /* of an exact one, at least 1 */
    struct lm_text stop; /* of an exact one: what ends the answer; no bytes: nothing does */
};

/* What a model answered. */
struct lm_answer {
    bool right;
    /* Of a choice, by the sum and by the sum over the bytes of the text; of equals the first. */
    uint32_t chosen;
    uint32_t chosen_per_byte;
    bool right_per_byte;
    double *log_likelihoods; /* nats of n_texts texts, the caller's; an exact one has none */
    struct byte_buffer text; /* of an exact one: what was written; the caller's to release */
};

struct lm_tasks;

/* What is put to the model begins with the tokenizer's token of the beginning where add_bos is
 * true and there is one. The model and the tokenizer must outlive it; the allocator is the one of
 * the tokenizer. */
ingot_status lm_tasks_open(struct lm *lm, const ingot_tokenizer *tokenizer, bool add_bos,
                           const ingot_allocator *allocator, struct lm_tasks **tasks,
                           ingot_error *error);
/* Takes NULL. */
void lm_tasks_close(struct lm_tasks *tasks);

/* Whether the model can be put to it: INGOT_REFUSED when there is no room, or nothing that the
 * first token would follow. The error names the task's field. */
ingot_status lm_tasks_check(const struct lm_tasks *tasks, const struct lm_task *task,
                            ingot_error *error);
/* The context goes through the model once. Where tokens of the context and of a text are merged,
 * the likelihoods of all texts count from the same token on: the first that is not the same after
 * the context alone and in all of them. */
ingot_status lm_tasks_answer(struct lm_tasks *tasks, const struct lm_task *task,
                             struct lm_answer *answer, ingot_error *error);

#endif

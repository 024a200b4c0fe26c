/* How well a model predicts text, and how far its predictions are from those of a baseline on the
 * same tokens. Knows tokens only. */
#ifndef INGOT_LM_EVAL_H
#define INGOT_LM_EVAL_H

#include "runtime/lm.h"

/* How text is cut into windows that are predicted on their own, and what of them counts. */
enum lm_protocol {
    /* Each window is the token of the beginning and n_window - 1 tokens; it predicts the n_window
     * tokens after its first. Without a token of the beginning it is n_window tokens, of which the
     * first is not predicted. What is left over after whole windows does not count, but a text
     * shorter than one is a window of its own. */
    LM_WHOLE_WINDOWS,
    /* As llama-perplexity counts: the text with its token of the beginning is cut into whole
     * windows, whose first token that token takes the place of; what follows the first n_window / 2
     * tokens of one counts. */
    LM_SECOND_HALVES
};

struct lm_eval_options {
    enum lm_protocol protocol;
    uint32_t n_window; /* at least 2, and at most what both models have room for */
    uint32_t bos;      /* INGOT_NONE: the model has none */
    /* Heard of tokens that were predicted; may be NULL. */
    void (*progress)(void *context, uint64_t n_done);
    void *progress_context;
};

/* A mean over tokens, and the standard error of it. */
struct lm_mean {
    uint64_t n;
    double mean;
    double error;
};

enum { LM_N_QUANTILES = 7 };
extern const double lm_quantiles[LM_N_QUANTILES];

struct lm_evaluation {
    struct lm_mean nll; /* nats a token */
    double perplexity;  /* exp of its mean */
    double perplexity_error;
    bool compared; /* to a baseline; the rest is 0 without */
    struct lm_mean baseline_nll;
    struct lm_mean nll_difference; /* of this model over the baseline */
    /* Kullback-Leibler divergence of this model's distribution from the baseline's, nats:
     * sum of p_baseline (log p_baseline - log p). */
    struct lm_mean kld;
    double kld_quantiles[LM_N_QUANTILES];
    double kld_largest;
    struct lm_mean same_top; /* share of tokens with the same most likely token */
};

struct lm_evaluator;

/* baseline may be NULL; both models have the same number of tokens, else INGOT_REFUSED. They must
 * outlive it, and begin each window anew. */
ingot_status lm_evaluator_open(struct lm *lm, struct lm *baseline,
                               const struct lm_eval_options *options,
                               const ingot_allocator *allocator, struct lm_evaluator **evaluator,
                               ingot_error *error);
void lm_evaluator_close(struct lm_evaluator *evaluator);
/* Adds one text, its tokens without one of the beginning. Nothing of it is known to the next. */
ingot_status lm_evaluator_add(struct lm_evaluator *evaluator, const uint32_t *tokens, uint64_t n,
                              ingot_error *error);
/* INGOT_REFUSED when nothing was predicted. */
ingot_status lm_evaluator_result(struct lm_evaluator *evaluator, struct lm_evaluation *result,
                                 ingot_error *error);

/* log of the softmax of n logits at `token`, as a double. */
double lm_log_probability(const float *logits, uint32_t n, uint32_t token);
/* The first of the largest. */
uint32_t lm_most_likely(const float *logits, uint32_t n);

#endif

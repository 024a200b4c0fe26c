/* Sampling: temperature first, then the most likely k, then the nucleus of probability p
 * [Holtzman et al. 2019, arXiv 1904.09751], as most programs order them. */
#include "runtime/lm_sample.h"

#include <math.h>
#include <stdlib.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "runtime/lm_eval.h"

struct candidate {
    float logit;
    uint32_t token;
    double weight;
};

struct lm_sampler {
    const ingot_allocator *allocator;
    struct lm_sampling sampling;
    uint32_t n_vocab;
    uint64_t state;
    struct candidate *candidates;
};

ingot_status lm_sampler_open(const struct lm_sampling *sampling, uint32_t n_vocab,
                             const ingot_allocator *allocator, struct lm_sampler **sampler,
                             ingot_error *error)
{
    struct lm_sampler *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "sampler");
    made->allocator = allocator;
    made->sampling = *sampling;
    made->n_vocab = n_vocab;
    made->state = sampling->seed;
    made->candidates = ingot_allocate_zeroed(allocator, n_vocab, sizeof *made->candidates);
    if (made->candidates == NULL) {
        lm_sampler_close(made);
        return ingot_fail_memory(error, n_vocab * sizeof *made->candidates, "sampler");
    }
    *sampler = made;
    return INGOT_OK;
}

void lm_sampler_close(struct lm_sampler *sampler)
{
    if (sampler == NULL) return;
    ingot_release(sampler->allocator, sampler->candidates);
    ingot_release(sampler->allocator, sampler);
}

/* From 0 to below 1: the 53 high bits of splitmix64 [Steele et al. 2014]. */
static double next_uniform(struct lm_sampler *s)
{
    s->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = s->state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

/* The most likely first; of equals the lower number. */
static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->logit > b->logit || a->logit < b->logit) return a->logit > b->logit ? -1 : 1;
    return a->token < b->token ? -1 : a->token > b->token;
}

/* Sorting a whole vocabulary takes longer than a small model's pass. What is less likely than the
 * most likely token by e^-40 is left out: all of it together is below the rounding of the sum. */
static uint32_t take_candidates(struct lm_sampler *sampler, const float *logits)
{
    const double most = (double)logits[lm_most_likely(logits, sampler->n_vocab)];
    const double least = most - 40 * sampler->sampling.temperature;
    uint32_t n = 0;
    for (uint32_t i = 0; i < sampler->n_vocab; i++) {
        if ((double)logits[i] < least) continue;
        sampler->candidates[n++] = (struct candidate){logits[i], i, 0};
    }
    qsort(sampler->candidates, n, sizeof *sampler->candidates, compare_candidates);
    return n;
}

uint32_t lm_sampler_next(struct lm_sampler *sampler, const float *logits)
{
    const struct lm_sampling *how = &sampler->sampling;
    struct candidate *c = sampler->candidates;
    if (!(how->temperature > 0)) return lm_most_likely(logits, sampler->n_vocab);
    uint32_t n = take_candidates(sampler, logits);
    if (how->top_k > 0 && how->top_k < n) n = how->top_k;
    double sum = 0, kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        c[i].weight = exp(((double)c[i].logit - (double)c[0].logit) / how->temperature);
        sum += c[i].weight;
    }
    uint32_t n_kept = 0;
    while (n_kept < n && (n_kept == 0 || kept < how->top_p * sum)) kept += c[n_kept++].weight;
    double at = next_uniform(sampler) * kept;
    for (uint32_t i = 0; i + 1 < n_kept; i++) {
        at -= c[i].weight;
        if (at < 0) return c[i].token;
    }
    return c[n_kept - 1].token;
}

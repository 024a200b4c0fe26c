/* The choice of the next token. */
#ifndef INGOT_LM_SAMPLE_H
#define INGOT_LM_SAMPLE_H

#include "format/ingot.h"

struct lm_sampling {
    double temperature; /* 0: always the most likely token */
    uint32_t top_k;     /* only so many of the most likely; 0: all */
    double top_p;       /* only as many of them as have this probability together; 1: all */
    uint64_t seed;
};

struct lm_sampler;

ingot_status lm_sampler_open(const struct lm_sampling *sampling, uint32_t n_vocab,
                             const ingot_allocator *allocator, struct lm_sampler **sampler,
                             ingot_error *error);
void lm_sampler_close(struct lm_sampler *sampler);
/* The same seed and logits give the same tokens. */
uint32_t lm_sampler_next(struct lm_sampler *sampler, const float *logits);

#endif

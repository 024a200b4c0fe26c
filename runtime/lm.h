/* A language model of the llama family on a device: its matrices as the file has them coded, keys
 * and values of the tokens so far, and the forward pass over ingot_matmul. */
#ifndef INGOT_LM_H
#define INGOT_LM_H

#include "runtime/lm_config.h"

struct lm;

struct lm_options {
    uint32_t n_context; /* positions there is room for; 0: what the model was trained for */
    uint32_t n_batch;   /* most tokens of one pass; 0: LM_DEFAULT_BATCH */
    ingot_dtype cache;  /* INGOT_F16 or INGOT_F32, of keys and values */
    ingot_activations activations;
    const char *const *adapters; /* that are on */
    uint32_t n_adapters;
};
enum { LM_DEFAULT_BATCH = 512, LM_DEFAULT_CONTEXT = 4096 };

/* Bytes, by what they are for. Before a model is opened, those of matrices are the most that it may
 * take. */
struct lm_memory {
    uint64_t matrices; /* on the device */
    uint64_t vectors;  /* norms and biases */
    uint64_t embedding;
    uint64_t cache;
    uint64_t scratch;
    uint64_t total;
};

/* What opening would take, from the index of the file alone. Fails where opening would for what the
 * file is. */
ingot_status lm_forecast(const ingot_file *file, ingot_device *device,
                         const struct lm_options *options, struct lm_memory *memory,
                         ingot_error *error);

/* The file and the device, whose threads do the rest of the work, must outlive it. All memory that
 * it will need is allocated here. */
ingot_status lm_open(const ingot_file *file, ingot_device *device, const struct lm_options *options,
                     const ingot_allocator *allocator, struct lm **lm, ingot_error *error);
/* Takes NULL. */
void lm_close(struct lm *lm);

const struct lm_config *lm_config(const struct lm *lm);
const struct lm_memory *lm_memory(const struct lm *lm);
uint32_t lm_n_context(const struct lm *lm);
uint32_t lm_n_batch(const struct lm *lm);
/* Tokens so far: the position of the next. */
uint32_t lm_n_past(const struct lm *lm);

/* Takes n tokens in after those so far, in passes of at most lm_n_batch. INGOT_REFUSED when there
 * is no room for them, or a token is none of the vocabulary. After a failure only lm_rewind and
 * lm_close make sense. */
ingot_status lm_feed(struct lm *lm, const uint32_t *tokens, uint32_t n, ingot_error *error);
/* Logits that follow token `first` and the n - 1 after it, counted from the first of the last pass,
 * whose tokens there are lm_n_last of: n x n_vocab floats. */
uint32_t lm_n_last(const struct lm *lm);
ingot_status lm_logits(struct lm *lm, uint32_t first, uint32_t n, float *logits,
                       ingot_error *error);
/* Forgets all but the first n_past tokens, which there are so many of. */
void lm_rewind(struct lm *lm, uint32_t n_past);

#endif

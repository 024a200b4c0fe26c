/* Small models with random weights, written as files with the names of Hugging Face or of GGUF, and
 * their logits by a forward pass in double precision that shares no code with the runtime. */
#ifndef INGOT_TESTS_SUPPORT_TOY_LM_H
#define INGOT_TESTS_SUPPORT_TOY_LM_H

#include "format/ingot.h"

enum {
    TOY_VOCAB = 37,
    TOY_HIDDEN = 24,
    TOY_LAYERS = 2,
    TOY_HEADS = 6,
    TOY_KV_HEADS = 2,
    TOY_HEAD_DIM = 8, /* not TOY_HIDDEN / TOY_HEADS */
    TOY_FFN = 40,
    TOY_EXPERT_FFN = 16,
    TOY_SHARED_FFN = 20,
    TOY_MAX_TOKENS = 96,
    TOY_MAX_TENSORS = 96
};

struct toy_tensor {
    char name[96];
    char gguf[64];
    uint64_t dims[3];
    uint32_t rank;
    float *data;
};

struct toy_lm {
    /* What it is: set before toy_make. */
    const char *architecture; /* model_type */
    bool gguf;
    bool mixtral_names;
    bool biases;
    bool qk_norms;
    bool tied;
    uint32_t n_experts; /* 0: none */
    uint32_t n_experts_used;
    bool norm_topk;
    bool shared_expert;
    bool interleaved; /* q and k rows are permuted in the file */
    uint32_t window;  /* of all layers; 0: none */
    uint32_t n_context;
    const char *rope;      /* members of config.json */
    double frequencies[4]; /* what they come to; all 0: plain */
    double magnitude;
    const char *more;      /* further members */
    const char *leave_out; /* a tensor, by its name in the file */
    const char *widen;     /* one that gets a row too many */
    const char *extra;     /* one that no model has */
    const char *adapter;   /* by names of Hugging Face: is in the file, off by default */

    struct toy_tensor tensors[TOY_MAX_TENSORS];
    uint32_t n_tensors;
};

/* Makes the weights. */
void toy_make(struct toy_lm *toy, uint64_t seed);
void toy_write(const struct toy_lm *toy, const char *path);
void toy_release(struct toy_lm *toy);

/* The values of a tensor by its name of Hugging Face (qwen's, for experts); NULL: there is none. */
const float *toy_values(const struct toy_lm *toy, const char *name);

/* The logits after each of n tokens from position 0 on: n x TOY_VOCAB. */
void toy_logits(const struct toy_lm *toy, const uint32_t *tokens, uint32_t n, double *logits);

#endif

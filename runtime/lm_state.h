/* A model's insides, for the files of the model alone. */
#ifndef INGOT_LM_STATE_H
#define INGOT_LM_STATE_H

#include "runtime/lm.h"
#include "runtime/device.h"
#include "runtime/lm_attention.h"
#include "runtime/lm_rope.h"
#include "runtime/lm_tensors.h"

struct lm_linear {
    ingot_matrix *matrix; /* NULL: there is none */
    float *bias;          /* NULL: none */
};

struct lm_ffn {
    struct lm_linear gate;
    struct lm_linear up;
    struct lm_linear down;
};

struct lm_layer {
    float *attn_norm;
    float *ffn_norm;
    float *q_norm; /* NULL: none */
    float *k_norm;
    struct lm_linear q, k, v, o;
    struct lm_ffn ffn; /* of a layer without experts */
    struct lm_linear router;
    struct lm_ffn *experts;
    struct lm_ffn shared;
    struct lm_linear shared_router;
    void *keys;
    void *values;
};

/* Rows of the embedding that were decoded: each of the last n_slots distinct tokens. */
struct lm_embedding {
    struct lm_tensor tensor;
    uint32_t n_slots;
    uint32_t next;      /* the slot that is given away next */
    uint32_t *slot_of;  /* by token; INGOT_NONE: not there */
    uint32_t *token_of; /* by slot */
    float *rows;
};

/* Room for one pass, n_batch rows of each. */
struct lm_scratch {
    float *hidden; /* what goes from layer to layer; stays for lm_logits */
    float *normed;
    float *q, *k, *v;
    float *attended;
    float *gate, *up;
    float *added;     /* what a part adds to hidden */
    float *turns;     /* cosines and sines */
    float *routed;    /* scores of the experts */
    float *gathered;  /* rows of the tokens of one expert */
    uint32_t *chosen; /* n_experts_used a token */
    float *weights;
    uint32_t *rows; /* tokens of one expert */
    float *row_weights;
};

struct lm {
    const ingot_allocator *allocator;
    const ingot_file *file;
    ingot_device *device;
    const struct lm_kernels *kernels;
    struct lm_options options; /* with nothing left to default */
    struct lm_config config;
    struct lm_memory memory;
    struct lm_cache_shape cache;
    struct lm_turns turns;
    struct lm_embedding embedding;
    struct lm_layer *layers;
    float *output_norm;
    struct lm_linear output;
    struct lm_scratch scratch;
    uint32_t n_past;
    uint32_t n_last;
};

/* Calls task(context, i) for every i below n_tasks on the device's threads: others of its own would
 * wait for their cores. */
void lm_run(const struct lm *lm, uint64_t n_tasks, void (*task)(void *context, uint64_t i),
            void *context);

/* The rows of the tokens to scratch.hidden. */
ingot_status lm_embed(struct lm *lm, const uint32_t *tokens, uint32_t n, ingot_error *error);

/* out = x W^T + bias for n rows. */
ingot_status lm_multiply(const struct lm_linear *linear, const float *x, uint32_t n, float *out,
                         ingot_error *error);
/* scratch.added = the feed-forward part of n rows of x. */
ingot_status lm_ffn(struct lm *lm, const struct lm_ffn *ffn, const float *x, uint32_t n,
                    ingot_error *error);
/* hidden += what the experts of a layer make of normed. */
ingot_status lm_experts(struct lm *lm, const struct lm_layer *layer, uint32_t n,
                        ingot_error *error);

#endif

/* The tensors of a language model by what they are for: the one table of their names and shapes. */
#ifndef INGOT_LM_TENSORS_H
#define INGOT_LM_TENSORS_H

#include "runtime/lm_config.h"

enum lm_role {
    LM_EMBEDDING,
    LM_OUTPUT_NORM,
    LM_OUTPUT,
    LM_ROPE_FACTORS, /* what frequencies are divided by, in files of GGUF */
    LM_ATTN_NORM,
    LM_ATTN_Q,
    LM_ATTN_K,
    LM_ATTN_V,
    LM_ATTN_O,
    LM_ATTN_Q_BIAS,
    LM_ATTN_K_BIAS,
    LM_ATTN_V_BIAS,
    LM_ATTN_O_BIAS,
    LM_ATTN_Q_NORM,
    LM_ATTN_K_NORM,
    LM_FFN_NORM,
    LM_FFN_GATE,
    LM_FFN_UP,
    LM_FFN_DOWN,
    LM_FFN_GATE_BIAS,
    LM_FFN_UP_BIAS,
    LM_FFN_DOWN_BIAS,
    LM_ROUTER,
    LM_EXPERT_GATE,
    LM_EXPERT_UP,
    LM_EXPERT_DOWN,
    LM_SHARED_GATE,
    LM_SHARED_UP,
    LM_SHARED_DOWN,
    LM_SHARED_ROUTER, /* one row: the gate of the shared expert */
    LM_N_ROLES
};

/* A matrix of a tensor's stack; rows and columns are the tensor's. */
struct lm_tensor {
    uint32_t tensor; /* INGOT_NONE: the model has none */
    uint64_t matrix;
};

/* Finds the tensor of a role; layer and expert count where the role has them. One that the model
 * needs and the file lacks is INGOT_INVALID with its name, as is one of another shape or of a type
 * that is no float. config->n_vocab must be set. */
ingot_status lm_tensor_find(const ingot_file *file, const struct lm_config *config,
                            enum lm_role role, uint32_t layer, uint32_t expert,
                            struct lm_tensor *found, ingot_error *error);

/* The rows of the embedding. */
ingot_status lm_vocabulary(const ingot_file *file, const struct lm_config *config,
                           uint32_t *n_vocab, ingot_error *error);

/* Whether every tensor of the file has a role in the model: INGOT_UNSUPPORTED names the first that
 * has none, as a model whose tensors are not all used computes something else. */
ingot_status lm_tensors_known(const ingot_file *file, const struct lm_config *config,
                              ingot_error *error);

#endif

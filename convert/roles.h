/* What a tensor does in a model, read from its name: one table of Hugging Face's and llama.cpp's
 * names. Knows no encoding. */
#ifndef INGOT_CONVERT_ROLES_H
#define INGOT_CONVERT_ROLES_H

#include "convert/model.h"

enum role {
    ROLE_OTHER = 1 << 0, /* no name of the table */
    ROLE_NORM = 1 << 1,
    ROLE_BIAS = 1 << 2,
    ROLE_ROUTER = 1 << 3, /* chooses experts */
    ROLE_EMBEDDING = 1 << 4,
    ROLE_OUTPUT = 1 << 5,
    ROLE_ATTN_Q = 1 << 6,
    ROLE_ATTN_K = 1 << 7,
    ROLE_ATTN_V = 1 << 8,
    ROLE_ATTN_QKV = 1 << 9,
    ROLE_ATTN_OUTPUT = 1 << 10,
    ROLE_FFN_GATE = 1 << 11,
    ROLE_FFN_UP = 1 << 12,
    ROLE_FFN_DOWN = 1 << 13,
};

struct place {
    uint32_t role;  /* one of enum role */
    uint32_t layer; /* INGOT_NONE: in none */
};

struct place place_of(const char *name, uint32_t name_bytes);

/* What rules ask of the model as a whole. */
struct model_facts {
    uint32_t n_layers; /* one more than the greatest that a name has */
    uint32_t
        n_shared; /* query heads to a head of keys: of the first layer's matrices; 1 at least */
    uint32_t n_experts; /* rows of the first router, or 0 */
    bool has_output;    /* a matrix of its own; if not, the embedding is the output as well */
    bool has_imatrix;   /* the conversion has one: the caller's to set */
};
struct model_facts model_facts_of(const struct model *model);

/* The role of a word, as recipes write it ("attn_q"); 0 for none. NULL past the end of the list. */
uint32_t role_named(const char *word);
const char *role_word_at(uint32_t index);

#endif

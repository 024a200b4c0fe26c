/* What a language model is: its architecture and sizes, as a file's config.json (Hugging Face) or
 * its metadata (GGUF) tells them. Reads no tensor. */
#ifndef INGOT_LM_CONFIG_H
#define INGOT_LM_CONFIG_H

#include "format/ingot.h"

enum {
    LM_MAX_LAYERS = 1024,
    LM_MAX_EXPERTS = 1024,
    LM_MAX_HEAD_DIM = 256,
};

/* Which layers look back at a window only, where config.json has one. */
enum lm_window_rule {
    LM_WINDOW_IGNORED,
    LM_WINDOW_COUNTS,
    LM_WINDOW_ASKED /* with use_sliding_window, from layer max_window_layers on */
};

/* What tells one architecture from the others. */
struct lm_architecture {
    const char *name; /* model_type of config.json */
    const char *gguf; /* general.architecture of GGUF */
    bool qkv_bias;
    bool qk_norm; /* RMS norms over each head of q and k */
    bool experts;
    bool norm_topk;     /* weights of the experts taken sum to 1, where nothing says otherwise */
    bool shared_expert; /* one more, for every token, behind a gate */
    enum lm_window_rule window;
    bool gguf_interleaved; /* its q and k rows are permuted there, so that pairs lie side by side */
};

enum lm_rope_scaling {
    LM_ROPE_PLAIN,
    LM_ROPE_LINEAR,
    LM_ROPE_LLAMA3,
    LM_ROPE_YARN,
    LM_ROPE_DYNAMIC /* NTK-aware, by the length of the context that is planned for */
};

/* Rotary positions [Su et al. 2021, arXiv 2104.09864]. Values that nothing gives are 0. */
struct lm_rope {
    bool interleaved; /* pairs (2i, 2i + 1), else (i, i + n_dims / 2) */
    uint32_t n_dims;  /* of a head that are rotated; even */
    double base;
    enum lm_rope_scaling scaling;
    double factor;
    double original_context;
    double low_freq_factor; /* llama3 */
    double high_freq_factor;
    double beta_fast; /* yarn */
    double beta_slow;
    double attention_factor;
    double mscale;
    double mscale_all_dim;
    bool truncate;
};

enum lm_layer_flags { LM_LAYER_EXPERTS = 1, LM_LAYER_WINDOWED = 2 };

struct lm_config {
    const struct lm_architecture *architecture;
    bool gguf;         /* names and facts are those of GGUF */
    uint32_t n_vocab;  /* 0: as many as the embedding has rows */
    uint32_t n_hidden; /* values of a token between layers */
    uint32_t n_ffn;    /* of the feed-forward part of a layer without experts */
    uint32_t n_layers;
    uint32_t n_heads;
    uint32_t n_kv_heads; /* divides n_heads */
    uint32_t head_dim;
    uint32_t n_context; /* that it was trained for; 0: not told */
    double norm_eps;
    bool tied;           /* the embedding is the output matrix */
    bool attention_bias; /* q, k, v and o */
    bool mlp_bias;
    uint32_t n_experts; /* 0: none */
    uint32_t n_experts_used;
    uint32_t n_expert_ffn;
    uint32_t n_shared_ffn;
    bool norm_topk;
    uint32_t window; /* positions that a windowed layer looks back at, its own included; 0: all */
    struct lm_rope rope;
    uint8_t layers[LM_MAX_LAYERS]; /* enum lm_layer_flags */
};

/* Every count is in bounds and fits the others. INGOT_REFUSED when the file has neither
 * config.json nor general.architecture, INGOT_UNSUPPORTED with the name of what is not supported,
 * INGOT_INVALID for facts that are missing or contradict each other. */
ingot_status lm_config_read(const ingot_file *file, const ingot_allocator *allocator,
                            struct lm_config *config, ingot_error *error);

#endif

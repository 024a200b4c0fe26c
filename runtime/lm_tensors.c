/* Names: Hugging Face's transformers (modeling_llama.py and its siblings), and llama.cpp's
 * src/llama-arch.cpp. In a name, # stands for the number of the layer and @ for that of the
 * expert. */
#include "runtime/lm_tensors.h"

#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "format/fail.h"

/* A side of a shape. */
enum side {
    ONE,
    VOCAB,
    HIDDEN,
    FFN,
    HEADS,    /* all values of q */
    KV_HEADS, /* of k and v */
    HEAD,
    HALF_ROPE,
    EXPERTS,
    EXPERT_FFN,
    SHARED_FFN,
};

/* When a model has a tensor of the role. */
enum need {
    ALWAYS,
    MAYBE,
    IF_UNTIED,
    IF_QKV_BIAS,
    IF_O_BIAS,
    IF_QK_NORM,
    IF_DENSE,
    IF_DENSE_BIAS,
    IF_EXPERTS,
    IF_SHARED,
};

enum { MAX_NAMES = 3 };

struct role {
    const char *hf[MAX_NAMES]; /* the first that the file has */
    const char *gguf[MAX_NAMES];
    enum side rows;
    enum side cols;
    enum need need;
};

#define LAYER "model.layers.#."
static const struct role roles[LM_N_ROLES] = {
    [LM_EMBEDDING] = {{"model.embed_tokens.weight"}, {"token_embd.weight"}, VOCAB, HIDDEN, ALWAYS},
    [LM_OUTPUT_NORM] = {{"model.norm.weight"}, {"output_norm.weight"}, ONE, HIDDEN, ALWAYS},
    [LM_OUTPUT] = {{"lm_head.weight"}, {"output.weight"}, VOCAB, HIDDEN, IF_UNTIED},
    [LM_ROPE_FACTORS] = {{NULL}, {"rope_freqs.weight"}, ONE, HALF_ROPE, MAYBE},
    [LM_ATTN_NORM] =
        {{LAYER "input_layernorm.weight"}, {"blk.#.attn_norm.weight"}, ONE, HIDDEN, ALWAYS},
    [LM_ATTN_Q] =
        {{LAYER "self_attn.q_proj.weight"}, {"blk.#.attn_q.weight"}, HEADS, HIDDEN, ALWAYS},
    [LM_ATTN_K] =
        {{LAYER "self_attn.k_proj.weight"}, {"blk.#.attn_k.weight"}, KV_HEADS, HIDDEN, ALWAYS},
    [LM_ATTN_V] =
        {{LAYER "self_attn.v_proj.weight"}, {"blk.#.attn_v.weight"}, KV_HEADS, HIDDEN, ALWAYS},
    [LM_ATTN_O] =
        {{LAYER "self_attn.o_proj.weight"}, {"blk.#.attn_output.weight"}, HIDDEN, HEADS, ALWAYS},
    [LM_ATTN_Q_BIAS] =
        {{LAYER "self_attn.q_proj.bias"}, {"blk.#.attn_q.bias"}, ONE, HEADS, IF_QKV_BIAS},
    [LM_ATTN_K_BIAS] =
        {{LAYER "self_attn.k_proj.bias"}, {"blk.#.attn_k.bias"}, ONE, KV_HEADS, IF_QKV_BIAS},
    [LM_ATTN_V_BIAS] =
        {{LAYER "self_attn.v_proj.bias"}, {"blk.#.attn_v.bias"}, ONE, KV_HEADS, IF_QKV_BIAS},
    [LM_ATTN_O_BIAS] =
        {{LAYER "self_attn.o_proj.bias"}, {"blk.#.attn_output.bias"}, ONE, HIDDEN, IF_O_BIAS},
    [LM_ATTN_Q_NORM] =
        {{LAYER "self_attn.q_norm.weight"}, {"blk.#.attn_q_norm.weight"}, ONE, HEAD, IF_QK_NORM},
    [LM_ATTN_K_NORM] =
        {{LAYER "self_attn.k_norm.weight"}, {"blk.#.attn_k_norm.weight"}, ONE, HEAD, IF_QK_NORM},
    [LM_FFN_NORM] =
        {{LAYER "post_attention_layernorm.weight"}, {"blk.#.ffn_norm.weight"}, ONE, HIDDEN, ALWAYS},
    [LM_FFN_GATE] =
        {{LAYER "mlp.gate_proj.weight"}, {"blk.#.ffn_gate.weight"}, FFN, HIDDEN, IF_DENSE},
    [LM_FFN_UP] = {{LAYER "mlp.up_proj.weight"}, {"blk.#.ffn_up.weight"}, FFN, HIDDEN, IF_DENSE},
    [LM_FFN_DOWN] =
        {{LAYER "mlp.down_proj.weight"}, {"blk.#.ffn_down.weight"}, HIDDEN, FFN, IF_DENSE},
    [LM_FFN_GATE_BIAS] =
        {{LAYER "mlp.gate_proj.bias"}, {"blk.#.ffn_gate.bias"}, ONE, FFN, IF_DENSE_BIAS},
    [LM_FFN_UP_BIAS] = {{LAYER "mlp.up_proj.bias"}, {"blk.#.ffn_up.bias"}, ONE, FFN, IF_DENSE_BIAS},
    [LM_FFN_DOWN_BIAS] =
        {{LAYER "mlp.down_proj.bias"}, {"blk.#.ffn_down.bias"}, ONE, HIDDEN, IF_DENSE_BIAS},
    [LM_ROUTER] = {{LAYER "mlp.gate.weight", LAYER "block_sparse_moe.gate.weight"},
                   {"blk.#.ffn_gate_inp.weight"},
                   EXPERTS,
                   HIDDEN,
                   IF_EXPERTS},
    [LM_EXPERT_GATE] = {{LAYER "mlp.experts.@.gate_proj.weight",
                         LAYER "block_sparse_moe.experts.@.w1.weight"},
                        {"blk.#.ffn_gate_exps.weight", "blk.#.ffn_gate.@.weight"},
                        EXPERT_FFN,
                        HIDDEN,
                        IF_EXPERTS},
    [LM_EXPERT_UP] = {{LAYER "mlp.experts.@.up_proj.weight",
                       LAYER "block_sparse_moe.experts.@.w3.weight"},
                      {"blk.#.ffn_up_exps.weight", "blk.#.ffn_up.@.weight"},
                      EXPERT_FFN,
                      HIDDEN,
                      IF_EXPERTS},
    [LM_EXPERT_DOWN] = {{LAYER "mlp.experts.@.down_proj.weight",
                         LAYER "block_sparse_moe.experts.@.w2.weight"},
                        {"blk.#.ffn_down_exps.weight", "blk.#.ffn_down.@.weight"},
                        HIDDEN,
                        EXPERT_FFN,
                        IF_EXPERTS},
    [LM_SHARED_GATE] = {{LAYER "mlp.shared_expert.gate_proj.weight"},
                        {"blk.#.ffn_gate_shexp.weight"},
                        SHARED_FFN,
                        HIDDEN,
                        IF_SHARED},
    [LM_SHARED_UP] = {{LAYER "mlp.shared_expert.up_proj.weight"},
                      {"blk.#.ffn_up_shexp.weight"},
                      SHARED_FFN,
                      HIDDEN,
                      IF_SHARED},
    [LM_SHARED_DOWN] = {{LAYER "mlp.shared_expert.down_proj.weight"},
                        {"blk.#.ffn_down_shexp.weight"},
                        HIDDEN,
                        SHARED_FFN,
                        IF_SHARED},
    [LM_SHARED_ROUTER] = {{LAYER "mlp.shared_expert_gate.weight"},
                          {"blk.#.ffn_gate_inp_shexp.weight"},
                          ONE,
                          HIDDEN,
                          IF_SHARED},
};

/* Tensors that files have and models do without: what they hold follows from the configuration. */
static const char *const unused[] = {LAYER "self_attn.rotary_emb.inv_freq",
                                     "model.rotary_emb.inv_freq"};

/* ------------------------------------------------------------------ what a model has */

static uint64_t side_of(const struct lm_config *config, enum side side)
{
    const uint64_t sides[] = {
        [ONE] = 1,
        [VOCAB] = config->n_vocab,
        [HIDDEN] = config->n_hidden,
        [FFN] = config->n_ffn,
        [HEADS] = (uint64_t)config->n_heads * config->head_dim,
        [KV_HEADS] = (uint64_t)config->n_kv_heads * config->head_dim,
        [HEAD] = config->head_dim,
        [HALF_ROPE] = config->rope.n_dims / 2,
        [EXPERTS] = config->n_experts,
        [EXPERT_FFN] = config->n_expert_ffn,
        [SHARED_FFN] = config->n_shared_ffn,
    };
    return sides[side];
}

enum has { HAS_NOT, HAS_MAYBE, HAS };

/* Biases that no configuration tells of are taken where they are. */
static enum has has_role(const struct lm_config *config, enum lm_role role, uint32_t layer)
{
    const struct lm_architecture *a = config->architecture;
    const bool experts = config->layers[layer] & LM_LAYER_EXPERTS;
    const bool shared = experts && a->shared_expert;
    const enum has by_need[] = {
        [ALWAYS] = HAS,
        [MAYBE] = HAS_MAYBE,
        [IF_UNTIED] = config->tied   ? HAS_NOT
                      : config->gguf ? HAS_MAYBE
                                     : HAS,
        [IF_QKV_BIAS] = a->qkv_bias || config->attention_bias ? HAS : HAS_MAYBE,
        [IF_O_BIAS] = config->attention_bias && !a->qkv_bias ? HAS : HAS_MAYBE,
        [IF_QK_NORM] = a->qk_norm ? HAS : HAS_NOT,
        [IF_DENSE] = experts ? HAS_NOT : HAS,
        [IF_DENSE_BIAS] = experts            ? HAS_NOT
                          : config->mlp_bias ? HAS
                                             : HAS_MAYBE,
        [IF_EXPERTS] = experts ? HAS : HAS_NOT,
        [IF_SHARED] = shared ? HAS : HAS_NOT,
    };
    return by_need[roles[role].need];
}

/* ------------------------------------------------------------------ names */

enum { NAME_BYTES = 96 };

/* Writes the numbers into a name. */
static void expand(const char *pattern, uint32_t layer, uint32_t expert, char name[NAME_BYTES])
{
    size_t n = 0;
    for (; *pattern && n + 12 < NAME_BYTES; pattern++) {
        if (*pattern == '#' || *pattern == '@') {
            n += (size_t)snprintf(name + n, NAME_BYTES - n, "%lu",
                                  (unsigned long)(*pattern == '#' ? layer : expert));
        } else {
            name[n++] = *pattern;
        }
    }
    name[n] = '\0';
}

static const char *const *names_of(const struct lm_config *config, enum lm_role role)
{
    return config->gguf ? roles[role].gguf : roles[role].hf;
}

/* Reads a number without leading zeros. */
static const char *read_count(const char *at, const char *end, uint32_t *count)
{
    const char *begin = at;
    uint32_t n = 0;
    while (at < end && *at >= '0' && *at <= '9' && at - begin < 6) {
        n = n * 10 + (uint32_t)(*at++ - '0');
    }
    if (at == begin || (*begin == '0' && at - begin > 1)) return NULL;
    *count = n;
    return at;
}

static bool matches(const char *pattern, const char *name, uint32_t name_bytes, uint32_t *layer,
                    uint32_t *expert)
{
    const char *end = name + name_bytes;
    *layer = *expert = 0;
    for (; *pattern; pattern++) {
        if (*pattern == '#' || *pattern == '@') {
            name = read_count(name, end, *pattern == '#' ? layer : expert);
            if (name == NULL) return false;
        } else if (name == end || *name++ != *pattern) {
            return false;
        }
    }
    return name == end;
}

static bool is_known(const struct lm_config *config, const ingot_tensor *t)
{
    uint32_t layer, expert;
    for (size_t i = 0; i < sizeof unused / sizeof *unused; i++) {
        if (matches(unused[i], t->name, t->name_bytes, &layer, &expert)) return true;
    }
    for (uint32_t role = 0; role < LM_N_ROLES; role++) {
        const char *const *names = names_of(config, role);
        for (uint32_t i = 0; i < MAX_NAMES && names[i] != NULL; i++) {
            if (!matches(names[i], t->name, t->name_bytes, &layer, &expert)) continue;
            if (layer >= config->n_layers || (expert > 0 && expert >= config->n_experts)) continue;
            /* A head beside a tied embedding is one that Hugging Face does not read. */
            if (has_role(config, role, layer) != HAS_NOT || role == LM_OUTPUT) return true;
        }
    }
    return false;
}

ingot_status lm_tensors_known(const ingot_file *file, const struct lm_config *config,
                              ingot_error *error)
{
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        ingot_tensor t;
        ingot_file_tensor(file, i, &t);
        if (is_known(config, &t)) continue;
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "model",
                          "tensor %.*s is none of a model of architecture %s with %lu layers",
                          (int)min_u64(t.name_bytes, 100), t.name, config->architecture->name,
                          (unsigned long)config->n_layers);
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ finding */

static ingot_status check_shape(const struct lm_config *config, enum lm_role role, const char *name,
                                const ingot_tensor *t, uint32_t expert, ingot_error *error)
{
    const uint64_t rows = side_of(config, roles[role].rows);
    const uint64_t cols = side_of(config, roles[role].cols);
    const bool stacked = strstr(name, "_exps.") != NULL;
    if (t->dtype >= INGOT_I8) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name,
                          "holds %s, which are no weights", ingot_dtype_name(t->dtype));
    }
    if (t->n_rows == rows && t->n_cols == cols &&
        t->n_matrices == (stacked ? config->n_experts : 1) &&
        expert < (stacked ? t->n_matrices : UINT32_MAX)) {
        return INGOT_OK;
    }
    if (!stacked && t->n_matrices == 1) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name,
                          "is %llu x %llu, and by the configuration %llu x %llu",
                          (unsigned long long)t->n_rows, (unsigned long long)t->n_cols,
                          (unsigned long long)rows, (unsigned long long)cols);
    }
    return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name,
                      "is %llu x %llu x %llu, and by the configuration %llu x %llu x %llu",
                      (unsigned long long)t->n_matrices, (unsigned long long)t->n_rows,
                      (unsigned long long)t->n_cols,
                      (unsigned long long)(stacked ? config->n_experts : 1),
                      (unsigned long long)rows, (unsigned long long)cols);
}

static bool find_name(const ingot_file *file, const struct lm_config *config, enum lm_role role,
                      uint32_t layer, uint32_t expert, char name[NAME_BYTES], uint32_t *tensor)
{
    const char *const *names = names_of(config, role);
    for (uint32_t i = 0; i < MAX_NAMES && names[i] != NULL; i++) {
        expand(names[i], layer, expert, name);
        if (ingot_file_find(file, name, strlen(name), tensor) == INGOT_OK) return true;
    }
    if (names[0] != NULL) expand(names[0], layer, expert, name);
    return false;
}

ingot_status lm_tensor_find(const ingot_file *file, const struct lm_config *config,
                            enum lm_role role, uint32_t layer, uint32_t expert,
                            struct lm_tensor *found, ingot_error *error)
{
    const enum has has = has_role(config, role, layer);
    const struct lm_tensor none = {.tensor = INGOT_NONE};
    char name[NAME_BYTES] = "";
    uint32_t tensor;
    ingot_tensor t;
    if (has == HAS_NOT) {
        *found = none;
        return INGOT_OK;
    }
    if (!find_name(file, config, role, layer, expert, name, &tensor)) {
        if (has == HAS) {
            return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name,
                              "the file lacks this tensor of architecture %s",
                              config->architecture->name);
        }
        *found = none;
        return INGOT_OK;
    }
    ingot_file_tensor(file, tensor, &t);
    const ingot_status status = check_shape(config, role, name, &t, expert, error);
    if (status != INGOT_OK) return status;
    *found = (struct lm_tensor){tensor, t.n_matrices > 1 ? expert : 0};
    return INGOT_OK;
}

ingot_status lm_vocabulary(const ingot_file *file, const struct lm_config *config,
                           uint32_t *n_vocab, ingot_error *error)
{
    char name[NAME_BYTES] = "";
    uint32_t tensor;
    ingot_tensor t;
    if (!find_name(file, config, LM_EMBEDDING, 0, 0, name, &tensor)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name,
                          "the file lacks this tensor of architecture %s",
                          config->architecture->name);
    }
    ingot_file_tensor(file, tensor, &t);
    if (t.n_rows == 0 || t.n_rows > INT32_MAX) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name, "has %llu rows",
                          (unsigned long long)t.n_rows);
    }
    *n_vocab = (uint32_t)t.n_rows;
    return INGOT_OK;
}

/* The table of architectures, the table of facts, and what must hold between facts. Names of
 * config.json are those of Hugging Face's transformers, keys of GGUF those of ggml's gguf.md and
 * llama.cpp's src/llama-arch.cpp. */
#include "runtime/lm_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/fail.h"
#include "runtime/lm_facts.h"

/* Of GGUF, the first row with experts or the first without is taken. */
static const struct lm_architecture architectures[] = {
    {.name = "llama", .gguf = "llama", .gguf_interleaved = true},
    {.name = "mistral", .gguf = "llama", .window = LM_WINDOW_COUNTS, .gguf_interleaved = true},
    {.name = "mixtral",
     .gguf = "llama",
     .experts = true,
     .norm_topk = true,
     .window = LM_WINDOW_COUNTS,
     .gguf_interleaved = true},
    {.name = "qwen2", .gguf = "qwen2", .qkv_bias = true, .window = LM_WINDOW_ASKED},
    {.name = "qwen2_moe",
     .gguf = "qwen2moe",
     .qkv_bias = true,
     .experts = true,
     .shared_expert = true,
     .window = LM_WINDOW_ASKED},
    {.name = "qwen3", .gguf = "qwen3", .qk_norm = true, .window = LM_WINDOW_ASKED},
    {.name = "qwen3_moe",
     .gguf = "qwen3moe",
     .qk_norm = true,
     .experts = true,
     .norm_topk = true,
     .window = LM_WINDOW_ASKED},
};
enum { N_ARCHITECTURES = sizeof architectures / sizeof *architectures };

static ingot_status no_architecture(const struct lm_facts *facts, ingot_error *error)
{
    char known[128] = "";
    size_t n = 0;
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "",
                              architectures[i].name);
    }
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "architecture",
                      "%s is not supported; what is: %s", facts->architecture, known);
}

static ingot_status find_architecture(const struct lm_facts *facts, struct lm_config *config,
                                      ingot_error *error)
{
    ingot_value value;
    uint32_t n_experts = 0;
    const ingot_status status = lm_fact(facts, NULL, "expert_count", &value, error);
    if (status == INGOT_OK) {
        const ingot_status counted =
            lm_value_count(&value, "expert_count", LM_MAX_EXPERTS, &n_experts, error);
        if (counted != INGOT_OK) return counted;
    } else if (status != INGOT_NOT_FOUND) {
        return status;
    }
    config->gguf = facts->config == NULL;
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        const struct lm_architecture *a = &architectures[i];
        if (strcmp(config->gguf ? a->gguf : a->name, facts->architecture) != 0) continue;
        if (config->gguf && a->experts != (n_experts > 0)) continue;
        config->architecture = a;
        return INGOT_OK;
    }
    return no_architecture(facts, error);
}

/* ------------------------------------------------------------------ facts that are numbers */

enum fact_kind { FACT_COUNT, FACT_NUMBER, FACT_TRUTH };

struct fact {
    const char *key;
    const char *gguf;
    enum fact_kind kind;
    uint32_t most; /* counts */
    bool required;
    bool of_rope;
    size_t offset; /* in struct lm_config */
};

#define AT(member) .offset = offsetof(struct lm_config, member)
enum { MAX_WIDTH = 1 << 20, MAX_VOCAB = 1 << 24, MAX_HEADS = 1 << 12, MAX_CONTEXT = 1 << 30 };

static const struct fact facts_table[] = {
    {"vocab_size", "vocab_size", FACT_COUNT, MAX_VOCAB, AT(n_vocab)},
    {"hidden_size", "embedding_length", FACT_COUNT, MAX_WIDTH, .required = true, AT(n_hidden)},
    {"intermediate_size", "feed_forward_length", FACT_COUNT, MAX_WIDTH, AT(n_ffn)},
    {"num_hidden_layers", "block_count", FACT_COUNT, LM_MAX_LAYERS, .required = true, AT(n_layers)},
    {"num_attention_heads", "attention.head_count", FACT_COUNT, MAX_HEADS, .required = true,
     AT(n_heads)},
    {"num_key_value_heads", "attention.head_count_kv", FACT_COUNT, MAX_HEADS, AT(n_kv_heads)},
    {"head_dim", "attention.key_length", FACT_COUNT, LM_MAX_HEAD_DIM, AT(head_dim)},
    {"max_position_embeddings", "context_length", FACT_COUNT, MAX_CONTEXT, AT(n_context)},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", FACT_NUMBER, .required = true,
     AT(norm_eps)},
    {"tie_word_embeddings", NULL, FACT_TRUTH, AT(tied)},
    {"attention_bias", NULL, FACT_TRUTH, AT(attention_bias)},
    {"mlp_bias", NULL, FACT_TRUTH, AT(mlp_bias)},
    {"num_local_experts", "expert_count", FACT_COUNT, LM_MAX_EXPERTS, AT(n_experts)},
    {"num_experts", NULL, FACT_COUNT, LM_MAX_EXPERTS, AT(n_experts)},
    {"num_experts_per_tok", "expert_used_count", FACT_COUNT, LM_MAX_EXPERTS, AT(n_experts_used)},
    {"moe_intermediate_size", "expert_feed_forward_length", FACT_COUNT, MAX_WIDTH,
     AT(n_expert_ffn)},
    {"shared_expert_intermediate_size", "expert_shared_feed_forward_length", FACT_COUNT, MAX_WIDTH,
     AT(n_shared_ffn)},
    {"norm_topk_prob", "expert_weights_norm", FACT_TRUTH, AT(norm_topk)},
    {"rope_theta", "rope.freq_base", FACT_NUMBER, .of_rope = true, AT(rope.base)},
    {NULL, "rope.dimension_count", FACT_COUNT, LM_MAX_HEAD_DIM, AT(rope.n_dims)},
    {"factor", "rope.scaling.factor", FACT_NUMBER, .of_rope = true, AT(rope.factor)},
    {"original_max_position_embeddings", "rope.scaling.original_context_length", FACT_NUMBER,
     .of_rope = true, AT(rope.original_context)},
    {"low_freq_factor", NULL, FACT_NUMBER, .of_rope = true, AT(rope.low_freq_factor)},
    {"high_freq_factor", NULL, FACT_NUMBER, .of_rope = true, AT(rope.high_freq_factor)},
    {"beta_fast", "rope.scaling.yarn_beta_fast", FACT_NUMBER, .of_rope = true, AT(rope.beta_fast)},
    {"beta_slow", "rope.scaling.yarn_beta_slow", FACT_NUMBER, .of_rope = true, AT(rope.beta_slow)},
    {"attention_factor", "rope.scaling.attn_factor", FACT_NUMBER, .of_rope = true,
     AT(rope.attention_factor)},
    {"mscale", NULL, FACT_NUMBER, .of_rope = true, AT(rope.mscale)},
    {"mscale_all_dim", NULL, FACT_NUMBER, .of_rope = true, AT(rope.mscale_all_dim)},
    {"truncate", NULL, FACT_TRUTH, .of_rope = true, AT(rope.truncate)},
};

static ingot_status take_fact(const struct lm_facts *facts, const struct fact *fact,
                              struct lm_config *config, ingot_error *error)
{
    unsigned char *place = (unsigned char *)config + fact->offset;
    const char *name = facts->config ? fact->key : fact->gguf;
    ingot_value value;
    ingot_status status = fact->of_rope
                              ? lm_fact_of_rope(facts, fact->key, fact->gguf, &value, error)
                              : lm_fact(facts, fact->key, fact->gguf, &value, error);
    if (status == INGOT_NOT_FOUND) {
        if (!fact->required) return INGOT_OK;
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name, "the file does not tell it");
    }
    if (status != INGOT_OK) return status;
    if (fact->kind == FACT_NUMBER) return lm_value_number(&value, name, (double *)place, error);
    uint32_t count = 0;
    status = lm_value_count(&value, name, fact->kind == FACT_TRUTH ? 1 : fact->most, &count, error);
    if (status != INGOT_OK) return status;
    if (fact->kind == FACT_TRUTH) {
        *(bool *)place = count != 0;
    } else {
        memcpy(place, &count, sizeof count);
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ facts that are words */

static const struct {
    const char *name;
    enum lm_rope_scaling scaling;
} scalings[] = {
    {"default", LM_ROPE_PLAIN}, {"none", LM_ROPE_PLAIN}, {"linear", LM_ROPE_LINEAR},
    {"llama3", LM_ROPE_LLAMA3}, {"yarn", LM_ROPE_YARN},  {"dynamic", LM_ROPE_DYNAMIC},
};

static ingot_status take_scaling(const struct lm_facts *facts, struct lm_config *config,
                                 ingot_error *error)
{
    ingot_value value;
    ingot_status status = lm_fact_of_rope(facts, "rope_type", "rope.scaling.type", &value, error);
    /* `type` is the older name, and may say the same beside the newer. */
    if (status == INGOT_NOT_FOUND && facts->rope != NULL) {
        status = lm_fact_of_rope(facts, "type", NULL, &value, error);
        if (status == INGOT_NOT_FOUND && json_object_get(facts->rope, "rope_theta") == NULL) {
            return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "rope_scaling",
                              "it has no type");
        }
    }
    if (status == INGOT_NOT_FOUND) return INGOT_OK;
    if (status != INGOT_OK) return status;
    for (size_t i = 0; i < sizeof scalings / sizeof *scalings; i++) {
        if (!lm_value_is(&value, scalings[i].name)) continue;
        config->rope.scaling = scalings[i].scaling;
        return INGOT_OK;
    }
    if (value.type != INGOT_VALUE_STRING) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "rope_type", "is no text");
    }
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "rope_type",
                      "positions scaled by \"%.*s\" are not supported",
                      (int)(value.n_bytes < 40 ? value.n_bytes : 40), (const char *)value.data);
}

static ingot_status check_activation(const struct lm_facts *facts, ingot_error *error)
{
    ingot_value value;
    const ingot_status status = lm_fact(facts, "hidden_act", NULL, &value, error);
    if (status == INGOT_NOT_FOUND) return INGOT_OK;
    if (status != INGOT_OK) return status;
    if (lm_value_is(&value, "silu") || lm_value_is(&value, "swish")) return INGOT_OK;
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "hidden_act",
                      "only silu is supported");
}

/* ------------------------------------------------------------------ what differs by layer */

static ingot_status take_window(const struct lm_facts *facts, struct lm_config *config,
                                ingot_error *error)
{
    ingot_value value;
    uint32_t used = 1, first = 0;
    if (!config->gguf && config->architecture->window == LM_WINDOW_IGNORED) return INGOT_OK;
    ingot_status status =
        lm_fact(facts, "sliding_window", "attention.sliding_window", &value, error);
    if (status == INGOT_NOT_FOUND) return INGOT_OK;
    if (status == INGOT_OK) {
        status = lm_value_count(&value, "sliding_window", MAX_CONTEXT, &config->window, error);
    }
    if (status == INGOT_OK && !config->gguf && config->architecture->window == LM_WINDOW_ASKED) {
        used = 0;
        if (lm_fact(facts, "use_sliding_window", NULL, &value, error) == INGOT_OK) {
            status = lm_value_count(&value, "use_sliding_window", 1, &used, error);
        }
        if (status == INGOT_OK &&
            lm_fact(facts, "max_window_layers", NULL, &value, error) == INGOT_OK) {
            status = lm_value_count(&value, "max_window_layers", MAX_CONTEXT, &first, error);
        }
    }
    for (uint32_t i = first; used && status == INGOT_OK && i < config->n_layers; i++) {
        if (config->window > 0) config->layers[i] |= LM_LAYER_WINDOWED;
    }
    return status;
}

/* layer_types says of each layer what the facts above say together. */
static ingot_status take_layer_types(const struct lm_facts *facts, struct lm_config *config,
                                     ingot_error *error)
{
    const json_t *types = json_object_get(facts->config, "layer_types");
    if (types == NULL || json_is_null(types)) return INGOT_OK;
    if (json_array_size(types) != config->n_layers) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "layer_types",
                          "is no array of one type for each of %lu layers",
                          (unsigned long)config->n_layers);
    }
    for (uint32_t i = 0; i < config->n_layers; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        const bool windowed = type && strcmp(type, "sliding_attention") == 0;
        if (!windowed && (type == NULL || strcmp(type, "full_attention") != 0)) {
            return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "layer_types",
                              "layer %lu is \"%.40s\"", (unsigned long)i, type ? type : "?");
        }
        if (windowed && config->window == 0) {
            return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "layer_types",
                              "layer %lu has a window, and there is no sliding_window",
                              (unsigned long)i);
        }
        config->layers[i] &= (uint8_t)~LM_LAYER_WINDOWED;
        if (windowed) config->layers[i] |= LM_LAYER_WINDOWED;
    }
    return INGOT_OK;
}

static ingot_status take_sparse_layers(const struct lm_facts *facts, struct lm_config *config,
                                       ingot_error *error)
{
    ingot_value value;
    uint32_t step = 1;
    if (!config->architecture->experts) return INGOT_OK;
    ingot_status status = lm_fact(facts, "decoder_sparse_step", NULL, &value, error);
    if (status == INGOT_OK) {
        status = lm_value_count(&value, "decoder_sparse_step", LM_MAX_LAYERS, &step, error);
    }
    if (status != INGOT_OK && status != INGOT_NOT_FOUND) return status;
    for (uint32_t i = 0; i < config->n_layers; i++) {
        if (step > 0 && (i + 1) % step == 0) config->layers[i] |= LM_LAYER_EXPERTS;
    }
    const json_t *dense = json_object_get(facts->config, "mlp_only_layers");
    for (size_t i = 0; i < json_array_size(dense); i++) {
        const json_t *layer = json_array_get(dense, i);
        const json_int_t number = json_is_integer(layer) ? json_integer_value(layer) : -1;
        if (number < 0 || number >= config->n_layers) {
            return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "mlp_only_layers",
                              "entry %zu is the number of no layer", i);
        }
        config->layers[number] &= (uint8_t)~LM_LAYER_EXPERTS;
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ what must hold */

static ingot_status wrong(ingot_error *error, const char *name, const char *what)
{
    return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name, "%s", what);
}

static ingot_status check_rope(const struct lm_config *config, ingot_error *error)
{
    const struct lm_rope *r = &config->rope;
    if (r->n_dims == 0 || r->n_dims % 2 != 0 || r->n_dims > config->head_dim) {
        return wrong(error, "rotary dimensions", "are no even number from 2 to those of a head");
    }
    if (!(r->base > 1 && r->base < 1e30)) {
        return wrong(error, config->gguf ? "rope.freq_base" : "rope_theta", "is not above 1");
    }
    if (r->scaling == LM_ROPE_PLAIN) return INGOT_OK;
    if (!(r->factor >= 1 && r->factor < 1e9)) {
        return wrong(error, "rope scaling factor", "is missing, or below 1");
    }
    const bool by_context = r->scaling != LM_ROPE_LINEAR;
    if (by_context && !(r->original_context >= 1 && r->original_context < 1e12)) {
        return wrong(error, "original_max_position_embeddings",
                     "is missing, as is max_position_embeddings");
    }
    if (r->scaling == LM_ROPE_LLAMA3 &&
        !(r->low_freq_factor > 0 && r->high_freq_factor > r->low_freq_factor)) {
        return wrong(error, "high_freq_factor", "is missing, or not above low_freq_factor");
    }
    if (r->scaling == LM_ROPE_DYNAMIC && r->n_dims < 4) {
        return wrong(error, "rotary dimensions", "are too few for dynamic scaling");
    }
    return INGOT_OK;
}

static ingot_status check_experts(const struct lm_config *config, ingot_error *error)
{
    if (!config->architecture->experts) return INGOT_OK;
    if (config->n_experts == 0) return wrong(error, "number of experts", "is missing, or 0");
    if (config->n_experts_used == 0 || config->n_experts_used > config->n_experts) {
        return wrong(error, "experts used", "are none, or more than there are");
    }
    return config->n_expert_ffn > 0 ? INGOT_OK : wrong(error, "width of experts", "is missing");
}

static ingot_status check(const struct lm_config *config, ingot_error *error)
{
    const struct {
        const char *key, *gguf;
        uint32_t count;
    } counts[] = {
        {"hidden_size", "embedding_length", config->n_hidden},
        {"num_hidden_layers", "block_count", config->n_layers},
        {"num_attention_heads", "attention.head_count", config->n_heads},
        {"num_key_value_heads", "attention.head_count_kv", config->n_kv_heads},
        {"head_dim", "attention.key_length", config->head_dim},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const char *name = config->gguf ? counts[i].gguf : counts[i].key;
        if (counts[i].count == 0) return wrong(error, name, "is 0");
    }
    if (config->head_dim > LM_MAX_HEAD_DIM) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "head_dim",
                          "heads of %lu values; the most that is supported is %d",
                          (unsigned long)config->head_dim, LM_MAX_HEAD_DIM);
    }
    if (config->n_heads % config->n_kv_heads != 0) {
        return wrong(error, config->gguf ? counts[3].gguf : counts[3].key,
                     "does not divide the number of heads");
    }
    if (!(config->norm_eps >= 0 && config->norm_eps < 1)) {
        return wrong(error, "rms_norm_eps", "is not from 0 to 1");
    }
    for (uint32_t i = 0; i < config->n_layers; i++) {
        if (!(config->layers[i] & LM_LAYER_EXPERTS) && config->n_ffn == 0) {
            return wrong(error, config->gguf ? "feed_forward_length" : "intermediate_size",
                         "is missing, or 0");
        }
    }
    const ingot_status status = check_experts(config, error);
    return status == INGOT_OK ? check_rope(config, error) : status;
}

/* ------------------------------------------------------------------ reading */

/* What a fact that is not told follows from. */
static ingot_status derive(const struct lm_facts *facts, struct lm_config *config,
                           ingot_error *error)
{
    struct lm_rope *rope = &config->rope;
    ingot_value value;
    double share = 1;
    if (config->n_kv_heads == 0) config->n_kv_heads = config->n_heads;
    if (config->head_dim == 0 && config->n_heads > 0) {
        config->head_dim = config->n_hidden / config->n_heads;
    }
    if (!config->architecture->experts) config->n_experts = 0;
    /* An expert without a width of its own is as wide as a layer without experts. */
    if (config->architecture->experts && config->n_expert_ffn == 0) {
        config->n_expert_ffn = config->n_ffn;
    }
    ingot_status status = lm_fact_of_rope(facts, "partial_rotary_factor", NULL, &value, error);
    if (status == INGOT_OK)
        status = lm_value_number(&value, "partial_rotary_factor", &share, error);
    if (status != INGOT_OK && status != INGOT_NOT_FOUND) return status;
    if (!(share > 0 && share <= 1)) {
        return wrong(error, "partial_rotary_factor", "is not above 0 and at most 1");
    }
    if (rope->n_dims == 0) rope->n_dims = (uint32_t)(share * config->head_dim);
    if (!(rope->original_context > 0)) rope->original_context = config->n_context;
    rope->interleaved = config->gguf && config->architecture->gguf_interleaved;
    return INGOT_OK;
}

ingot_status lm_config_read(const ingot_file *file, const ingot_allocator *allocator,
                            struct lm_config *config, ingot_error *error)
{
    struct lm_facts facts;
    struct lm_config made = {.rope = {.base = 10000, .beta_fast = 32, .beta_slow = 1}};
    ingot_status status = lm_facts_open(file, allocator, &facts, error);
    if (status != INGOT_OK) return status;
    made.rope.truncate = true;
    status = find_architecture(&facts, &made, error);
    if (status == INGOT_OK) made.norm_topk = made.architecture->norm_topk;
    for (size_t i = 0; i < sizeof facts_table / sizeof *facts_table && status == INGOT_OK; i++) {
        status = take_fact(&facts, &facts_table[i], &made, error);
    }
    if (status == INGOT_OK) status = derive(&facts, &made, error);
    if (status == INGOT_OK) status = take_scaling(&facts, &made, error);
    if (status == INGOT_OK) status = check_activation(&facts, error);
    if (status == INGOT_OK) status = take_window(&facts, &made, error);
    if (status == INGOT_OK) status = take_layer_types(&facts, &made, error);
    if (status == INGOT_OK) status = take_sparse_layers(&facts, &made, error);
    if (status == INGOT_OK) status = check(&made, error);
    if (status == INGOT_OK) *config = made;
    lm_facts_close(&facts);
    return status;
}

/* Making toy models and writing them. */
#include "tests/support/toy_lm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "format/writer.h"
#include "tests/support/random.h"
#include "tests/support/toy_adapter.h"
#include "tests/support/unit.h"

/* ------------------------------------------------------------------ making */

static void add(struct toy_lm *toy, struct random *random, const char *name, const char *gguf,
                uint64_t rows, uint64_t cols)
{
    assert_true(toy->n_tensors < TOY_MAX_TENSORS);
    struct toy_tensor *t = &toy->tensors[toy->n_tensors++];
    const bool is_norm = strstr(name, "norm") != NULL;
    const double spread = rows > 1 ? 1.7 / sqrt((double)cols) : 0.5;
    snprintf(t->name, sizeof t->name, "%s", name);
    snprintf(t->gguf, sizeof t->gguf, "%s", gguf);
    t->rank = rows > 1 || strstr(name, "expert_gate") ? 2 : 1;
    t->dims[0] = t->rank == 2 ? rows : cols;
    t->dims[1] = cols;
    t->data = calloc(rows * cols, sizeof *t->data);
    assert_non_null(t->data);
    for (uint64_t i = 0; i < rows * cols; i++) {
        const double unit = (double)(random_bits(random) >> 11) * 0x1p-52 - 1;
        t->data[i] = (float)(unit * spread + (is_norm ? 1 : 0));
    }
}

static void add_layered(struct toy_lm *toy, struct random *random, uint32_t layer, const char *name,
                        const char *gguf, uint64_t rows, uint64_t cols)
{
    char full[96], full_gguf[64];
    snprintf(full, sizeof full, "model.layers.%u.%s", (unsigned)layer, name);
    snprintf(full_gguf, sizeof full_gguf, "blk.%u.%s", (unsigned)layer, gguf);
    add(toy, random, full, full_gguf, rows, cols);
}

static void add_expert(struct toy_lm *toy, struct random *random, uint32_t layer, uint32_t expert,
                       const char *part, const char *gguf, uint64_t rows, uint64_t cols)
{
    char name[64], gguf_name[32];
    snprintf(name, sizeof name, "mlp.experts.%u.%s_proj.weight", (unsigned)expert, part);
    snprintf(gguf_name, sizeof gguf_name, "ffn_%s.%u.weight", gguf, (unsigned)expert);
    add_layered(toy, random, layer, name, gguf_name, rows, cols);
}

static void add_ffn(struct toy_lm *toy, struct random *random, uint32_t i)
{
    const uint64_t hidden = TOY_HIDDEN;
    if (toy->n_experts == 0) {
        add_layered(toy, random, i, "mlp.gate_proj.weight", "ffn_gate.weight", TOY_FFN, hidden);
        add_layered(toy, random, i, "mlp.up_proj.weight", "ffn_up.weight", TOY_FFN, hidden);
        add_layered(toy, random, i, "mlp.down_proj.weight", "ffn_down.weight", hidden, TOY_FFN);
        return;
    }
    add_layered(toy, random, i, "mlp.gate.weight", "ffn_gate_inp.weight", toy->n_experts, hidden);
    for (uint32_t e = 0; e < toy->n_experts; e++) {
        add_expert(toy, random, i, e, "gate", "gate", TOY_EXPERT_FFN, hidden);
        add_expert(toy, random, i, e, "up", "up", TOY_EXPERT_FFN, hidden);
        add_expert(toy, random, i, e, "down", "down", hidden, TOY_EXPERT_FFN);
    }
    if (!toy->shared_expert) return;
    add_layered(toy, random, i, "mlp.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight",
                TOY_SHARED_FFN, hidden);
    add_layered(toy, random, i, "mlp.shared_expert.up_proj.weight", "ffn_up_shexp.weight",
                TOY_SHARED_FFN, hidden);
    add_layered(toy, random, i, "mlp.shared_expert.down_proj.weight", "ffn_down_shexp.weight",
                hidden, TOY_SHARED_FFN);
    add_layered(toy, random, i, "mlp.shared_expert_gate.weight", "ffn_gate_inp_shexp.weight", 1,
                hidden);
}

void toy_make(struct toy_lm *toy, uint64_t seed)
{
    struct random random = {seed};
    const uint64_t q = TOY_HEADS * TOY_HEAD_DIM, kv = TOY_KV_HEADS * TOY_HEAD_DIM;
    add(toy, &random, "model.embed_tokens.weight", "token_embd.weight", TOY_VOCAB, TOY_HIDDEN);
    add(toy, &random, "model.norm.weight", "output_norm.weight", 1, TOY_HIDDEN);
    if (!toy->tied) add(toy, &random, "lm_head.weight", "output.weight", TOY_VOCAB, TOY_HIDDEN);
    for (uint32_t i = 0; i < TOY_LAYERS; i++) {
        add_layered(toy, &random, i, "input_layernorm.weight", "attn_norm.weight", 1, TOY_HIDDEN);
        add_layered(toy, &random, i, "self_attn.q_proj.weight", "attn_q.weight", q, TOY_HIDDEN);
        add_layered(toy, &random, i, "self_attn.k_proj.weight", "attn_k.weight", kv, TOY_HIDDEN);
        add_layered(toy, &random, i, "self_attn.v_proj.weight", "attn_v.weight", kv, TOY_HIDDEN);
        add_layered(toy, &random, i, "self_attn.o_proj.weight", "attn_output.weight", TOY_HIDDEN,
                    q);
        add_layered(toy, &random, i, "post_attention_layernorm.weight", "ffn_norm.weight", 1,
                    TOY_HIDDEN);
        if (toy->biases) {
            add_layered(toy, &random, i, "self_attn.q_proj.bias", "attn_q.bias", 1, q);
            add_layered(toy, &random, i, "self_attn.k_proj.bias", "attn_k.bias", 1, kv);
            add_layered(toy, &random, i, "self_attn.v_proj.bias", "attn_v.bias", 1, kv);
        }
        if (toy->qk_norms) {
            add_layered(toy, &random, i, "self_attn.q_norm.weight", "attn_q_norm.weight", 1,
                        TOY_HEAD_DIM);
            add_layered(toy, &random, i, "self_attn.k_norm.weight", "attn_k_norm.weight", 1,
                        TOY_HEAD_DIM);
        }
        add_ffn(toy, &random, i);
    }
}

void toy_release(struct toy_lm *toy)
{
    for (uint32_t i = 0; i < toy->n_tensors; i++) free(toy->tensors[i].data);
    toy->n_tensors = 0;
}

const float *toy_values(const struct toy_lm *toy, const char *name)
{
    for (uint32_t i = 0; i < toy->n_tensors; i++) {
        if (strcmp(toy->tensors[i].name, name) == 0) return toy->tensors[i].data;
    }
    return NULL;
}

/* ------------------------------------------------------------------ configurations */

static void put_count(ingot_writer *writer, const char *architecture, const char *key, uint32_t n)
{
    char name[128];
    const ingot_value value = {.type = INGOT_VALUE_U32, .u = n};
    snprintf(name, sizeof name, "%s.%s", architecture, key);
    assert_int_equal(ingot_writer_metadata(writer, name, &value, NULL), INGOT_OK);
}

static const char *gguf_architecture(const struct toy_lm *toy)
{
    static const char *const names[][2] = {{"mistral", "llama"},
                                           {"mixtral", "llama"},
                                           {"qwen2_moe", "qwen2moe"},
                                           {"qwen3_moe", "qwen3moe"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i][0], toy->architecture) == 0) return names[i][1];
    }
    return toy->architecture;
}

static void put_metadata(const struct toy_lm *toy, ingot_writer *writer)
{
    const char *a = gguf_architecture(toy);
    char name[128];
    const ingot_value kind = {.type = INGOT_VALUE_STRING, .data = a, .n_bytes = strlen(a)};
    const ingot_value eps = {.type = INGOT_VALUE_F32, .f = (double)1e-5f};
    assert_int_equal(ingot_writer_metadata(writer, "general.architecture", &kind, NULL), INGOT_OK);
    snprintf(name, sizeof name, "%s.attention.layer_norm_rms_epsilon", a);
    assert_int_equal(ingot_writer_metadata(writer, name, &eps, NULL), INGOT_OK);
    put_count(writer, a, "embedding_length", TOY_HIDDEN);
    put_count(writer, a, "feed_forward_length", TOY_FFN);
    put_count(writer, a, "block_count", TOY_LAYERS);
    put_count(writer, a, "attention.head_count", TOY_HEADS);
    put_count(writer, a, "attention.head_count_kv", TOY_KV_HEADS);
    put_count(writer, a, "attention.key_length", TOY_HEAD_DIM);
    put_count(writer, a, "context_length", toy->n_context);
    if (toy->window) put_count(writer, a, "attention.sliding_window", toy->window);
    if (toy->n_experts == 0) return;
    put_count(writer, a, "expert_count", toy->n_experts);
    put_count(writer, a, "expert_used_count", toy->n_experts_used);
    put_count(writer, a, "expert_feed_forward_length", TOY_EXPERT_FFN);
    put_count(writer, a, "expert_shared_feed_forward_length", TOY_SHARED_FFN);
}

static void put_config(const struct toy_lm *toy, ingot_writer *writer)
{
    char text[2048], window[96] = "", experts[256] = "";
    if (toy->window) {
        snprintf(window, sizeof window,
                 "\"sliding_window\": %u, \"use_sliding_window\": true, \"max_window_layers\": 0,",
                 (unsigned)toy->window);
    }
    if (toy->n_experts) {
        snprintf(experts, sizeof experts,
                 "\"%s\": %u, \"num_experts_per_tok\": %u, \"moe_intermediate_size\": %u,"
                 "\"shared_expert_intermediate_size\": %u, \"norm_topk_prob\": %s,",
                 toy->mixtral_names ? "num_local_experts" : "num_experts", (unsigned)toy->n_experts,
                 (unsigned)toy->n_experts_used, TOY_EXPERT_FFN, TOY_SHARED_FFN,
                 toy->norm_topk ? "true" : "false");
    }
    const int n = snprintf(
        text, sizeof text,
        "{\"model_type\": \"%s\", \"hidden_size\": %d, \"intermediate_size\": %d,"
        "\"num_hidden_layers\": %d, \"num_attention_heads\": %d,"
        "\"num_key_value_heads\": %d, \"head_dim\": %d, \"vocab_size\": %d,"
        "\"max_position_embeddings\": %u, \"rms_norm_eps\": 1e-5, \"hidden_act\": "
        "\"silu\", %s %s %s %s \"tie_word_embeddings\": %s}",
        toy->architecture, TOY_HIDDEN, TOY_FFN, TOY_LAYERS, TOY_HEADS, TOY_KV_HEADS, TOY_HEAD_DIM,
        TOY_VOCAB, (unsigned)toy->n_context, window, experts, toy->rope ? toy->rope : "",
        toy->more ? toy->more : "", toy->tied ? "true" : "false");
    assert_true(n > 0 && (size_t)n < sizeof text);
    assert_int_equal(ingot_writer_attach(writer, "config.json", text, (uint64_t)n, NULL), INGOT_OK);
}

/* ------------------------------------------------------------------ tensors */

static void write_tensor(const struct toy_lm *toy, ingot_writer *writer, const char *name,
                         uint32_t rank, const uint64_t *dims, const float *data)
{
    uint64_t shape[3] = {dims[0], rank > 1 ? dims[1] : 1, rank > 2 ? dims[2] : 1};
    const uint64_t n = shape[0] * shape[1] * shape[2];
    if (toy->leave_out && strcmp(name, toy->leave_out) == 0) return;
    float *copy = calloc(n + shape[1] * shape[2], sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, data, n * sizeof *copy);
    if (toy->widen && strcmp(name, toy->widen) == 0) shape[0]++;
    struct writer_tensor tensor = {
        .name = name,
        .name_bytes = (uint32_t)strlen(name),
        .dtype = INGOT_F32,
        .rank = rank,
        .stack = rank == 3,
        .split = (uint8_t)(rank - 1),
    };
    const struct span span = {(const uint8_t *)copy, UINT64_MAX};
    const struct byte_source source = memory_bytes(&span);
    memcpy(tensor.dims, shape, rank * sizeof *shape);
    assert_int_equal(ingot_writer_raw(writer, &tensor, &source, NULL), INGOT_OK);
    free(copy);
}

/* Row i + half * k of a head becomes row 2 i + k, k 0 or 1. */
static void write_interleaved(const struct toy_lm *toy, ingot_writer *writer,
                              const struct toy_tensor *t)
{
    const uint64_t cols = t->dims[1], half = TOY_HEAD_DIM / 2;
    float *rows = calloc(t->dims[0] * cols, sizeof *rows);
    assert_non_null(rows);
    for (uint64_t r = 0; r < t->dims[0]; r++) {
        const uint64_t head = r / TOY_HEAD_DIM, in_head = r % TOY_HEAD_DIM;
        const uint64_t to = head * TOY_HEAD_DIM + in_head % half * 2 + in_head / half;
        memcpy(rows + to * cols, t->data + r * cols, cols * sizeof *rows);
    }
    write_tensor(toy, writer, t->gguf, t->rank, t->dims, rows);
    free(rows);
}

/* The experts of GGUF are one tensor. */
static void write_stack(const struct toy_lm *toy, ingot_writer *writer, uint32_t layer,
                        const char *part)
{
    char name[96];
    snprintf(name, sizeof name, "model.layers.%u.mlp.experts.0.%s_proj.weight", (unsigned)layer,
             part);
    const float *first = toy_values(toy, name);
    const struct toy_tensor *t = toy->tensors;
    while (t->data != first) t++;
    const uint64_t n = t->dims[0] * t->dims[1];
    const uint64_t dims[3] = {toy->n_experts, t->dims[0], t->dims[1]};
    float *all = calloc(n * toy->n_experts, sizeof *all);
    assert_non_null(all);
    for (uint32_t e = 0; e < toy->n_experts; e++) {
        snprintf(name, sizeof name, "model.layers.%u.mlp.experts.%u.%s_proj.weight",
                 (unsigned)layer, (unsigned)e, part);
        memcpy(all + e * n, toy_values(toy, name), n * sizeof *all);
    }
    snprintf(name, sizeof name, "blk.%u.ffn_%s_exps.weight", (unsigned)layer, part);
    write_tensor(toy, writer, name, 3, dims, all);
    free(all);
}

/* mlp.experts.E.gate_proj is block_sparse_moe.experts.E.w1, up_proj w3 and down_proj w2. */
static void mixtral_name(const char *name, char out[96])
{
    static const char *const parts[][2] = {
        {"gate_proj", "w1"}, {"up_proj", "w3"}, {"down_proj", "w2"}};
    unsigned layer, expert;
    char part[32];
    snprintf(out, 96, "%s", name);
    if (sscanf(name, "model.layers.%u.mlp.experts.%u.%31[a-z_]", &layer, &expert, part) == 3) {
        for (size_t i = 0; i < 3; i++) {
            if (strcmp(parts[i][0], part) != 0) continue;
            snprintf(out, 96, "model.layers.%u.block_sparse_moe.experts.%u.%s.weight", layer,
                     expert, parts[i][1]);
        }
    } else if (sscanf(name, "model.layers.%u.mlp.gate.%31[a-z]", &layer, part) == 2) {
        snprintf(out, 96, "model.layers.%u.block_sparse_moe.gate.weight", layer);
    }
}

static void write_gguf(const struct toy_lm *toy, ingot_writer *writer)
{
    for (uint32_t i = 0; i < toy->n_tensors; i++) {
        const struct toy_tensor *t = &toy->tensors[i];
        const bool turned = strstr(t->gguf, "attn_q.w") || strstr(t->gguf, "attn_k.w");
        if (strstr(t->name, ".experts.")) continue;
        if (toy->interleaved && turned) {
            write_interleaved(toy, writer, t);
        } else {
            write_tensor(toy, writer, t->gguf, t->rank, t->dims, t->data);
        }
    }
    for (uint32_t i = 0; toy->n_experts && i < TOY_LAYERS; i++) {
        write_stack(toy, writer, i, "gate");
        write_stack(toy, writer, i, "up");
        write_stack(toy, writer, i, "down");
    }
}

void toy_write(const struct toy_lm *toy, const char *path)
{
    const float zero = 0;
    const uint64_t one = 1;
    ingot_writer *writer = NULL;
    assert_int_equal(ingot_writer_create(path, true, INGOT_COMPRESS_NONE, NULL, &writer, NULL),
                     INGOT_OK);
    if (toy->gguf) {
        put_metadata(toy, writer);
        write_gguf(toy, writer);
    } else {
        put_config(toy, writer);
        for (uint32_t i = 0; i < toy->n_tensors; i++) {
            const struct toy_tensor *t = &toy->tensors[i];
            char name[96];
            snprintf(name, sizeof name, "%s", t->name);
            if (toy->mixtral_names) mixtral_name(t->name, name);
            if (toy->adapter && toy_adapter_holds(name)) {
                toy_adapter_write(toy, writer, name, t->dims, t->data);
            } else {
                write_tensor(toy, writer, name, t->rank, t->dims, t->data);
            }
        }
    }
    if (toy->extra) write_tensor(toy, writer, toy->extra, 1, &one, &zero);
    assert_int_equal(ingot_writer_finish(writer, NULL), INGOT_OK);
    ingot_writer_close(writer);
}

/* The forward pass of toy models: in double, one token after the other, written from the papers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/toy_lm.h"
#include "tests/support/unit.h"

enum { Q = TOY_HEADS * TOY_HEAD_DIM, KV = TOY_KV_HEADS * TOY_HEAD_DIM, MOST = 64 };

struct past {
    double k[TOY_LAYERS][TOY_MAX_TOKENS][KV];
    double v[TOY_LAYERS][TOY_MAX_TOKENS][KV];
};

static const float *weights(const struct toy_lm *toy, uint32_t layer, const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "model.layers.%u.%s", (unsigned)layer, name);
    return toy_values(toy, full);
}

static void multiply(const float *w, const float *bias, const double *x, uint32_t rows,
                     uint32_t cols, double *y)
{
    for (uint32_t r = 0; r < rows; r++) {
        y[r] = bias ? (double)bias[r] : 0;
        for (uint32_t c = 0; c < cols; c++) y[r] += (double)w[r * cols + c] * x[c];
    }
}

static void norm(const float *w, const double *x, uint32_t n, double *y)
{
    double squares = 0;
    for (uint32_t i = 0; i < n; i++) squares += x[i] * x[i];
    const double factor = 1 / sqrt(squares / n + (double)1e-5f);
    for (uint32_t i = 0; i < n; i++) y[i] = x[i] * factor * (double)w[i];
}

static void turn(const struct toy_lm *toy, double *head, uint32_t position)
{
    const double magnitude = toy->magnitude > 0 ? toy->magnitude : 1;
    for (uint32_t i = 0; i < TOY_HEAD_DIM / 2; i++) {
        const double plain = pow(10000, -2.0 * i / TOY_HEAD_DIM);
        const double angle = position * (toy->frequencies[0] > 0 ? toy->frequencies[i] : plain);
        const double a = head[i], b = head[i + TOY_HEAD_DIM / 2];
        head[i] = (a * cos(angle) - b * sin(angle)) * magnitude;
        head[i + TOY_HEAD_DIM / 2] = (b * cos(angle) + a * sin(angle)) * magnitude;
    }
}

static void turn_heads(const struct toy_lm *toy, const float *w, double *heads, uint32_t n,
                       uint32_t position)
{
    for (uint32_t h = 0; h < n; h++) {
        double *head = heads + h * TOY_HEAD_DIM;
        if (w) norm(w, head, TOY_HEAD_DIM, head);
        turn(toy, head, position);
    }
}

static void attend(const struct toy_lm *toy, struct past *past, uint32_t layer, uint32_t position,
                   const double *x, double *out)
{
    double q[Q], mixed[Q] = {0};
    double *k = past->k[layer][position], *v = past->v[layer][position];
    multiply(weights(toy, layer, "self_attn.q_proj.weight"),
             weights(toy, layer, "self_attn.q_proj.bias"), x, Q, TOY_HIDDEN, q);
    multiply(weights(toy, layer, "self_attn.k_proj.weight"),
             weights(toy, layer, "self_attn.k_proj.bias"), x, KV, TOY_HIDDEN, k);
    multiply(weights(toy, layer, "self_attn.v_proj.weight"),
             weights(toy, layer, "self_attn.v_proj.bias"), x, KV, TOY_HIDDEN, v);
    turn_heads(toy, weights(toy, layer, "self_attn.q_norm.weight"), q, TOY_HEADS, position);
    turn_heads(toy, weights(toy, layer, "self_attn.k_norm.weight"), k, TOY_KV_HEADS, position);
    const uint32_t first = toy->window && position >= toy->window ? position - toy->window + 1 : 0;
    for (uint32_t h = 0; h < TOY_HEADS; h++) {
        const uint32_t from = h / (TOY_HEADS / TOY_KV_HEADS) * TOY_HEAD_DIM;
        double e[TOY_MAX_TOKENS], sum = 0;
        for (uint32_t t = first; t <= position; t++) {
            double dot = 0;
            for (uint32_t i = 0; i < TOY_HEAD_DIM; i++) {
                dot += q[h * TOY_HEAD_DIM + i] * past->k[layer][t][from + i];
            }
            e[t] = exp(dot / sqrt(TOY_HEAD_DIM));
            sum += e[t];
        }
        for (uint32_t t = first; t <= position; t++) {
            for (uint32_t i = 0; i < TOY_HEAD_DIM; i++) {
                mixed[h * TOY_HEAD_DIM + i] += e[t] / sum * past->v[layer][t][from + i];
            }
        }
    }
    multiply(weights(toy, layer, "self_attn.o_proj.weight"), NULL, mixed, TOY_HIDDEN, Q, out);
}

/* prefix: "mlp." and what else stands before gate_proj. */
static void feed_forward(const struct toy_lm *toy, uint32_t layer, const char *prefix, uint32_t n,
                         const double *x, double *out)
{
    double gate[MOST], up[MOST];
    char name[3][64];
    static const char *const parts[] = {"gate", "up", "down"};
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(name[i], sizeof name[i], "%s%s_proj.weight", prefix, parts[i]);
    }
    multiply(weights(toy, layer, name[0]), NULL, x, n, TOY_HIDDEN, gate);
    multiply(weights(toy, layer, name[1]), NULL, x, n, TOY_HIDDEN, up);
    for (uint32_t i = 0; i < n; i++) gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    multiply(weights(toy, layer, name[2]), NULL, gate, TOY_HIDDEN, n, out);
}

static void mix_experts(const struct toy_lm *toy, uint32_t layer, const double *x, double *out)
{
    double scores[MOST], one[TOY_HIDDEN], sum = 0, chosen_sum = 0;
    bool chosen[MOST] = {false};
    multiply(weights(toy, layer, "mlp.gate.weight"), NULL, x, toy->n_experts, TOY_HIDDEN, scores);
    for (uint32_t e = 0; e < toy->n_experts; e++) sum += scores[e] = exp(scores[e]);
    for (uint32_t k = 0; k < toy->n_experts_used; k++) {
        uint32_t best = 0;
        double most = -1;
        for (uint32_t e = 0; e < toy->n_experts; e++) {
            if (chosen[e] || scores[e] <= most) continue;
            most = scores[e];
            best = e;
        }
        chosen[best] = true;
        chosen_sum += scores[best];
    }
    memset(out, 0, TOY_HIDDEN * sizeof *out);
    for (uint32_t e = 0; e < toy->n_experts; e++) {
        char prefix[32];
        if (!chosen[e]) continue;
        snprintf(prefix, sizeof prefix, "mlp.experts.%u.", (unsigned)e);
        feed_forward(toy, layer, prefix, TOY_EXPERT_FFN, x, one);
        const double share = scores[e] / (toy->norm_topk ? chosen_sum : sum);
        for (uint32_t i = 0; i < TOY_HIDDEN; i++) out[i] += share * one[i];
    }
    if (!toy->shared_expert) return;
    double gate;
    multiply(weights(toy, layer, "mlp.shared_expert_gate.weight"), NULL, x, 1, TOY_HIDDEN, &gate);
    feed_forward(toy, layer, "mlp.shared_expert.", TOY_SHARED_FFN, x, one);
    for (uint32_t i = 0; i < TOY_HIDDEN; i++) out[i] += one[i] / (1 + exp(-gate));
}

void toy_logits(const struct toy_lm *toy, const uint32_t *tokens, uint32_t n, double *logits)
{
    struct past *past = calloc(1, sizeof *past);
    const float *embedding = toy_values(toy, "model.embed_tokens.weight");
    const float *head = toy->tied ? embedding : toy_values(toy, "lm_head.weight");
    assert_non_null(past);
    assert_true(n <= TOY_MAX_TOKENS);
    for (uint32_t t = 0; t < n; t++) {
        double x[TOY_HIDDEN], h[TOY_HIDDEN], added[TOY_HIDDEN];
        for (uint32_t i = 0; i < TOY_HIDDEN; i++)
            x[i] = (double)embedding[tokens[t] * TOY_HIDDEN + i];
        for (uint32_t l = 0; l < TOY_LAYERS; l++) {
            norm(weights(toy, l, "input_layernorm.weight"), x, TOY_HIDDEN, h);
            attend(toy, past, l, t, h, added);
            for (uint32_t i = 0; i < TOY_HIDDEN; i++) x[i] += added[i];
            norm(weights(toy, l, "post_attention_layernorm.weight"), x, TOY_HIDDEN, h);
            if (toy->n_experts) {
                mix_experts(toy, l, h, added);
            } else {
                feed_forward(toy, l, "mlp.", TOY_FFN, h, added);
            }
            for (uint32_t i = 0; i < TOY_HIDDEN; i++) x[i] += added[i];
        }
        norm(toy_values(toy, "model.norm.weight"), x, TOY_HIDDEN, h);
        multiply(head, NULL, h, TOY_VOCAB, TOY_HIDDEN, logits + (uint64_t)t * TOY_VOCAB);
    }
    free(past);
}

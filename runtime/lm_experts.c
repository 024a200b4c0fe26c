/* Experts: for each token the best few of them by the router's scores, summed by their weights
 * [Jiang et al. 2024, arXiv 2401.04088]. */
#include <math.h>
#include <string.h>

#include "format/bytes.h"
#include "runtime/lm_state.h"

/* Chooses the experts of one token, the best first and of equals the one with the lower number, and
 * gives each the softmax of its score: over all experts, or over those chosen (norm_topk). */
static void choose(const struct lm_config *config, const float *scores, uint32_t *chosen,
                   float *weights)
{
    bool taken[LM_MAX_EXPERTS] = {false};
    double sum = 0, chosen_sum = 0;
    float most = scores[0];
    for (uint32_t e = 1; e < config->n_experts; e++) most = fmaxf(most, scores[e]);
    for (uint32_t e = 0; e < config->n_experts; e++) sum += exp((double)(scores[e] - most));
    for (uint32_t k = 0; k < config->n_experts_used; k++) {
        uint32_t best = INGOT_NONE;
        for (uint32_t e = 0; e < config->n_experts; e++) {
            if (!taken[e] && (best == INGOT_NONE || scores[e] > scores[best])) best = e;
        }
        taken[best] = true;
        chosen[k] = best;
        const double share = exp((double)(scores[best] - most)) / sum;
        weights[k] = (float)share;
        chosen_sum += share;
    }
    for (uint32_t k = 0; config->norm_topk && k < config->n_experts_used; k++) {
        weights[k] = (float)((double)weights[k] / chosen_sum);
    }
}

/* The tokens that chose an expert, with its weight for each. */
static uint32_t list_rows(const struct lm *lm, uint32_t expert, uint32_t n)
{
    const struct lm_scratch *s = &lm->scratch;
    const uint32_t n_used = lm->config.n_experts_used;
    uint32_t n_rows = 0;
    for (uint32_t t = 0; t < n; t++) {
        for (uint32_t k = 0; k < n_used; k++) {
            if (s->chosen[t * n_used + k] != expert) continue;
            s->rows[n_rows] = t;
            s->row_weights[n_rows++] = s->weights[t * n_used + k];
        }
    }
    return n_rows;
}

static void add_weighted(struct lm *lm, uint32_t n_rows)
{
    const struct lm_scratch *s = &lm->scratch;
    const uint64_t n_hidden = lm->config.n_hidden;
    for (uint32_t i = 0; i < n_rows; i++) {
        float *hidden = s->hidden + s->rows[i] * n_hidden;
        const float *added = s->added + i * n_hidden;
        for (uint64_t c = 0; c < n_hidden; c++) hidden[c] += s->row_weights[i] * added[c];
    }
}

static ingot_status add_expert(struct lm *lm, const struct lm_ffn *expert, uint32_t n_rows,
                               ingot_error *error)
{
    const struct lm_scratch *s = &lm->scratch;
    const uint64_t n_hidden = lm->config.n_hidden;
    for (uint32_t i = 0; i < n_rows; i++) {
        memcpy(s->gathered + i * n_hidden, s->normed + s->rows[i] * n_hidden,
               n_hidden * sizeof(float));
    }
    const ingot_status status = lm_ffn(lm, expert, s->gathered, n_rows, error);
    if (status == INGOT_OK) add_weighted(lm, n_rows);
    return status;
}

/* Every token goes through the shared expert, times the sigmoid of its own score. */
static ingot_status add_shared(struct lm *lm, const struct lm_layer *layer, uint32_t n,
                               ingot_error *error)
{
    const struct lm_scratch *s = &lm->scratch;
    ingot_status status = lm_multiply(&layer->shared_router, s->normed, n, s->row_weights, error);
    if (status != INGOT_OK) return status;
    for (uint32_t t = 0; t < n; t++) {
        s->rows[t] = t;
        s->row_weights[t] = 1.0f / (1.0f + expf(-s->row_weights[t]));
    }
    status = lm_ffn(lm, &layer->shared, s->normed, n, error);
    if (status == INGOT_OK) add_weighted(lm, n);
    return status;
}

ingot_status lm_experts(struct lm *lm, const struct lm_layer *layer, uint32_t n, ingot_error *error)
{
    const struct lm_config *c = &lm->config;
    const struct lm_scratch *s = &lm->scratch;
    ingot_status status = lm_multiply(&layer->router, s->normed, n, s->routed, error);
    if (status != INGOT_OK) return status;
    for (uint32_t t = 0; t < n; t++) {
        choose(c, s->routed + (uint64_t)t * c->n_experts,
               s->chosen + (uint64_t)t * c->n_experts_used,
               s->weights + (uint64_t)t * c->n_experts_used);
    }
    for (uint32_t e = 0; e < c->n_experts && status == INGOT_OK; e++) {
        const uint32_t n_rows = list_rows(lm, e, n);
        if (n_rows > 0) status = add_expert(lm, &layer->experts[e], n_rows, error);
    }
    if (status == INGOT_OK && c->architecture->shared_expert) {
        status = add_shared(lm, layer, n, error);
    }
    return status;
}

/* The forward pass: which products and sums a token goes through, and their order. Leaves products
 * to ingot.h, attention to lm_attention.c and experts to lm_experts.c. */
#include "runtime/lm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "runtime/lm_state.h"

enum { FEW_VALUES = 1 << 14 }; /* not worth a second thread */

/* ------------------------------------------------------------------ parts */

void lm_run(const struct lm *lm, uint64_t n_tasks, void (*task)(void *context, uint64_t i),
            void *context)
{
    device_lock(lm->device);
    ingot_pool_run(lm->device->pool, n_tasks, task, context);
    device_unlock(lm->device);
}

ingot_status lm_multiply(const struct lm_linear *linear, const float *x, uint32_t n, float *out,
                         ingot_error *error)
{
    const ingot_status status = ingot_matmul(linear->matrix, INGOT_F32, x, n, out, error);
    if (status != INGOT_OK || linear->bias == NULL) return status;
    const uint64_t n_rows = ingot_matrix_rows(linear->matrix);
    for (uint64_t t = 0; t < n; t++) {
        for (uint64_t i = 0; i < n_rows; i++) out[t * n_rows + i] += linear->bias[i];
    }
    return INGOT_OK;
}

/* out = x / sqrt(mean(x^2) + eps) * weights [Zhang & Sennrich 2019, arXiv 1910.07467]. May be in
 * place. */
static void normalize(const float *x, const float *weights, uint64_t n, double eps, float *out)
{
    double parts[4] = {0};
    uint64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (uint32_t k = 0; k < 4; k++) parts[k] += (double)x[i + k] * (double)x[i + k];
    }
    for (; i < n; i++) parts[0] += (double)x[i] * (double)x[i];
    const double squares = parts[0] + parts[1] + (parts[2] + parts[3]);
    const float factor = (float)(1.0 / sqrt(squares / (double)n + eps));
    for (i = 0; i < n; i++) out[i] = x[i] * factor * weights[i];
}

/* Work on the rows of tokens, a task a token. */
struct token_work {
    const struct lm *lm;
    const struct lm_layer *layer;
    const float *weights;
    const float *in;
    const float *in2;
    float *out;
};

static void run_tokens(const struct lm *lm, uint32_t n, uint64_t n_values,
                       void (*task)(void *, uint64_t), struct token_work *work)
{
    if (n * n_values <= FEW_VALUES) {
        for (uint32_t i = 0; i < n; i++) task(work, i);
    } else {
        lm_run(lm, n, task, work);
    }
}

static void normalize_task(void *context, uint64_t i)
{
    const struct token_work *w = context;
    const uint64_t n = w->lm->config.n_hidden;
    normalize(w->in + i * n, w->weights, n, w->lm->config.norm_eps, w->out + i * n);
}

static void normalize_rows(const struct lm *lm, const float *in, const float *weights, uint32_t n,
                           float *out)
{
    struct token_work work = {.lm = lm, .weights = weights, .in = in, .out = out};
    run_tokens(lm, n, lm->config.n_hidden, normalize_task, &work);
}

static void add_task(void *context, uint64_t i)
{
    const struct token_work *w = context;
    const uint64_t n = w->lm->config.n_hidden;
    for (uint64_t k = i * n; k < (i + 1) * n; k++) w->out[k] += w->in[k];
}

static void add_rows(const struct lm *lm, const float *in, uint32_t n, float *out)
{
    struct token_work work = {.lm = lm, .in = in, .out = out};
    run_tokens(lm, n, lm->config.n_hidden, add_task, &work);
}

/* ------------------------------------------------------------------ attention */

static void turn_heads(const struct lm *lm, const float *norm, uint32_t n_heads, const float *row,
                       float *heads)
{
    const uint32_t dim = lm->config.head_dim;
    for (uint32_t h = 0; h < n_heads; h++, heads += dim) {
        if (norm != NULL) normalize(heads, norm, dim, lm->config.norm_eps, heads);
        lm_rope_apply(&lm->turns, row, heads);
    }
}

static void turn_task(void *context, uint64_t i)
{
    const struct token_work *w = context;
    const struct lm_config *c = &w->lm->config;
    const struct lm_scratch *s = &w->lm->scratch;
    const float *row = s->turns + i * 2 * w->lm->turns.n_pairs;
    turn_heads(w->lm, w->layer->q_norm, c->n_heads, row, s->q + i * c->n_heads * c->head_dim);
    turn_heads(w->lm, w->layer->k_norm, c->n_kv_heads, row, s->k + i * c->n_kv_heads * c->head_dim);
}

/* scratch.added = attention of n rows of normed. */
static ingot_status attend(struct lm *lm, uint32_t layer_index, uint32_t n, ingot_error *error)
{
    const struct lm_config *c = &lm->config;
    const struct lm_layer *layer = &lm->layers[layer_index];
    const struct lm_scratch *s = &lm->scratch;
    ingot_status status = lm_multiply(&layer->q, s->normed, n, s->q, error);
    if (status == INGOT_OK) status = lm_multiply(&layer->k, s->normed, n, s->k, error);
    if (status == INGOT_OK) status = lm_multiply(&layer->v, s->normed, n, s->v, error);
    if (status != INGOT_OK) return status;
    struct token_work work = {.lm = lm, .layer = layer};
    run_tokens(lm, n, (uint64_t)c->n_heads * c->head_dim, turn_task, &work);
    const struct lm_attention attention = {
        .kernels = lm->kernels,
        .shape = &lm->cache,
        .keys = layer->keys,
        .values = layer->values,
        .n_heads = c->n_heads,
        .n_tokens = n,
        .first_position = lm->n_past,
        .window = c->layers[layer_index] & LM_LAYER_WINDOWED ? c->window : 0,
        .q = s->q,
        .k = s->k,
        .v = s->v,
        .out = s->attended,
    };
    device_lock(lm->device);
    lm_attend(&attention, lm->device->pool);
    device_unlock(lm->device);
    return lm_multiply(&layer->o, s->attended, n, s->added, error);
}

/* ------------------------------------------------------------------ feed-forward */

enum { SILU_VALUES = 1 << 12 }; /* of one task */

struct silu_work {
    const struct lm_kernels *kernels;
    float *gate;
    const float *up;
    uint64_t n;
};

static void silu_task(void *context, uint64_t i)
{
    const struct silu_work *w = context;
    const uint64_t at = i * SILU_VALUES;
    w->kernels->silu_times(w->gate + at, w->up + at, min_u64(SILU_VALUES, w->n - at));
}

ingot_status lm_ffn(struct lm *lm, const struct lm_ffn *ffn, const float *x, uint32_t n,
                    ingot_error *error)
{
    const struct lm_scratch *s = &lm->scratch;
    ingot_status status = lm_multiply(&ffn->gate, x, n, s->gate, error);
    if (status == INGOT_OK) status = lm_multiply(&ffn->up, x, n, s->up, error);
    if (status != INGOT_OK) return status;
    struct silu_work work = {lm->kernels, s->gate, s->up, n * ingot_matrix_rows(ffn->gate.matrix)};
    lm_run(lm, ceil_div(work.n, SILU_VALUES), silu_task, &work);
    return lm_multiply(&ffn->down, s->gate, n, s->added, error);
}

/* ------------------------------------------------------------------ all of it */

static ingot_status run_layer(struct lm *lm, uint32_t index, uint32_t n, ingot_error *error)
{
    const struct lm_layer *layer = &lm->layers[index];
    const struct lm_scratch *s = &lm->scratch;
    normalize_rows(lm, s->hidden, layer->attn_norm, n, s->normed);
    ingot_status status = attend(lm, index, n, error);
    if (status != INGOT_OK) return status;
    add_rows(lm, s->added, n, s->hidden);
    normalize_rows(lm, s->hidden, layer->ffn_norm, n, s->normed);
    if (lm->config.layers[index] & LM_LAYER_EXPERTS) return lm_experts(lm, layer, n, error);
    status = lm_ffn(lm, &layer->ffn, s->normed, n, error);
    if (status == INGOT_OK) add_rows(lm, s->added, n, s->hidden);
    return status;
}

static ingot_status run_pass(struct lm *lm, const uint32_t *tokens, uint32_t n, ingot_error *error)
{
    ingot_status status = lm_embed(lm, tokens, n, error);
    lm_rope_table(&lm->turns, lm->n_past, n, lm->scratch.turns);
    for (uint32_t i = 0; i < lm->config.n_layers && status == INGOT_OK; i++) {
        status = run_layer(lm, i, n, error);
    }
    if (status != INGOT_OK) return status;
    lm->n_past += n;
    lm->n_last = n;
    return INGOT_OK;
}

ingot_status lm_feed(struct lm *lm, const uint32_t *tokens, uint32_t n, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    if (n > lm->options.n_context - lm->n_past) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "context",
                          "%lu tokens after %lu: there is room for %lu", (unsigned long)n,
                          (unsigned long)lm->n_past, (unsigned long)lm->options.n_context);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (tokens[i] < lm->config.n_vocab) continue;
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "token",
                          "%lu is none of the model's %lu", (unsigned long)tokens[i],
                          (unsigned long)lm->config.n_vocab);
    }
    for (uint32_t at = 0; at < n && status == INGOT_OK; at += lm->options.n_batch) {
        const uint32_t rest = n - at;
        status = run_pass(lm, tokens + at, rest < lm->options.n_batch ? rest : lm->options.n_batch,
                          error);
    }
    return status;
}

ingot_status lm_logits(struct lm *lm, uint32_t first, uint32_t n, float *logits, ingot_error *error)
{
    const float *hidden = lm->scratch.hidden + (uint64_t)first * lm->config.n_hidden;
    assert(first <= lm->n_last && n <= lm->n_last - first);
    normalize_rows(lm, hidden, lm->output_norm, n, lm->scratch.normed);
    return lm_multiply(&lm->output, lm->scratch.normed, n, logits, error);
}

void lm_rewind(struct lm *lm, uint32_t n_past)
{
    assert(n_past <= lm->n_past);
    lm->n_past = n_past;
    lm->n_last = 0;
}

/* ------------------------------------------------------------------ what it is */

const struct lm_config *lm_config(const struct lm *lm)
{
    return &lm->config;
}

const struct lm_memory *lm_memory(const struct lm *lm)
{
    return &lm->memory;
}

uint32_t lm_n_context(const struct lm *lm)
{
    return lm->options.n_context;
}

uint32_t lm_n_batch(const struct lm *lm)
{
    return lm->options.n_batch;
}

uint32_t lm_n_past(const struct lm *lm)
{
    return lm->n_past;
}

uint32_t lm_n_last(const struct lm *lm)
{
    return lm->n_last;
}

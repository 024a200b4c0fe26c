/* Windows of tokens through one model, or two in step, row of logits by row of logits; none is
 * kept. */
#include "runtime/lm_eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/alloc.h"
#include "format/buffer.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "runtime/lm_state.h"

enum { LOGIT_ROWS = 64, BLOCK = 512 }; /* rows of logits, and values of one, at a time */

const double lm_quantiles[LM_N_QUANTILES] = {0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999};

/* What one predicted token gave. */
struct scored {
    double nll;
    double baseline_nll;
    double kld;
    bool same_top;
};

struct lm_evaluator {
    const ingot_allocator *allocator;
    struct lm *models[2]; /* the second may be NULL */
    struct lm_eval_options options;
    uint32_t n_vocab;
    float *logits[2];
    uint32_t *window; /* n_window + 1 tokens */
    struct scored *row;
    struct byte_buffer scored; /* struct scored, of every token that counts */
};

/* ------------------------------------------------------------------ rows of logits */

/* The largest of n logits, and the logarithm of the sum of exp(logit - largest). */
struct norm {
    float most;
    double log_sum;
};

static struct norm norm_of(const float *logits, uint32_t n)
{
    const struct lm_kernels *kernels = lm_kernels_find();
    struct norm norm = {logits[0], 0};
    float block[BLOCK];
    double sum = 0;
    for (uint32_t i = 1; i < n; i++) norm.most = logits[i] > norm.most ? logits[i] : norm.most;
    for (uint32_t at = 0; at < n; at += BLOCK) {
        const uint32_t n_now = n - at < BLOCK ? n - at : BLOCK;
        memcpy(block, logits + at, n_now * sizeof *block);
        sum += (double)kernels->exponents(block, n_now, norm.most);
    }
    norm.log_sum = log(sum);
    return norm;
}

static double log_probability(const float *logits, struct norm norm, uint32_t token)
{
    return (double)logits[token] - (double)norm.most - norm.log_sum;
}

double lm_log_probability(const float *logits, uint32_t n, uint32_t token)
{
    return log_probability(logits, norm_of(logits, n), token);
}

uint32_t lm_most_likely(const float *logits, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++) best = logits[i] > logits[best] ? i : best;
    return best;
}

static double divergence(const float *logits, struct norm norm, const float *baseline,
                         struct norm baseline_norm, uint32_t n)
{
    const struct lm_kernels *kernels = lm_kernels_find();
    float block[BLOCK];
    double sum = 0;
    for (uint32_t at = 0; at < n; at += BLOCK) {
        const uint32_t n_now = n - at < BLOCK ? n - at : BLOCK;
        memcpy(block, baseline + at, n_now * sizeof *block);
        kernels->exponents(block, n_now, baseline_norm.most);
        for (uint32_t i = 0; i < n_now; i++) {
            sum += (double)block[i] * (log_probability(baseline, baseline_norm, at + i) -
                                       log_probability(logits, norm, at + i));
        }
    }
    /* Rounding may bring what is 0 below it. */
    return fmax(sum / exp(baseline_norm.log_sum), 0);
}

struct rows {
    struct lm_evaluator *evaluator;
    const uint32_t *targets;
};

static void score_task(void *context, uint64_t i)
{
    const struct rows *rows = context;
    const struct lm_evaluator *e = rows->evaluator;
    const uint32_t n = e->n_vocab, target = rows->targets[i];
    const float *logits = e->logits[0] + i * n;
    const struct norm norm = norm_of(logits, n);
    struct scored scored = {.nll = -log_probability(logits, norm, target)};
    if (e->models[1] != NULL) {
        const float *baseline = e->logits[1] + i * n;
        const struct norm baseline_norm = norm_of(baseline, n);
        scored.baseline_nll = -log_probability(baseline, baseline_norm, target);
        scored.kld = divergence(logits, norm, baseline, baseline_norm, n);
        scored.same_top = lm_most_likely(logits, n) == lm_most_likely(baseline, n);
    }
    e->row[i] = scored;
}

/* ------------------------------------------------------------------ windows */

/* Scores rows [first, first + n) of the last pass; targets are the tokens after them. */
static ingot_status score_rows(struct lm_evaluator *e, uint32_t first, uint32_t n,
                               const uint32_t *targets, ingot_error *error)
{
    for (uint32_t at = 0; at < n; at += LOGIT_ROWS) {
        const uint32_t n_now = n - at < LOGIT_ROWS ? n - at : LOGIT_ROWS;
        struct rows rows = {e, targets + at};
        for (uint32_t m = 0; m < 2 && e->models[m] != NULL; m++) {
            const ingot_status status =
                lm_logits(e->models[m], first + at, n_now, e->logits[m], error);
            if (status != INGOT_OK) return status;
        }
        lm_run(e->models[0], n_now, score_task, &rows);
        buffer_append(&e->scored, e->row, n_now * sizeof *e->row);
        if (e->options.progress) e->options.progress(e->options.progress_context, n_now);
    }
    return e->scored.failed ? ingot_fail_memory(error, e->scored.n_bytes, "scores") : INGOT_OK;
}

/* Feeds n tokens of the window and scores what follows those from `first` on: window[i + 1] after
 * window[i]. */
static ingot_status run_window(struct lm_evaluator *e, uint32_t n, uint32_t first,
                               ingot_error *error)
{
    uint32_t n_batch = lm_n_batch(e->models[0]);
    ingot_status status = INGOT_OK;
    if (e->models[1] != NULL && lm_n_batch(e->models[1]) < n_batch) {
        n_batch = lm_n_batch(e->models[1]);
    }
    for (uint32_t m = 0; m < 2 && e->models[m] != NULL; m++) lm_rewind(e->models[m], 0);
    for (uint32_t at = 0; at < n && status == INGOT_OK; at += n_batch) {
        const uint32_t n_now = n - at < n_batch ? n - at : n_batch;
        for (uint32_t m = 0; m < 2 && e->models[m] != NULL && status == INGOT_OK; m++) {
            status = lm_feed(e->models[m], e->window + at, n_now, error);
        }
        if (status != INGOT_OK || at + n_now <= first) continue;
        const uint32_t skipped = first > at ? first - at : 0;
        status = score_rows(e, skipped, n_now - skipped, e->window + at + skipped + 1, error);
    }
    return status;
}

static ingot_status add_whole_windows(struct lm_evaluator *e, const uint32_t *tokens, uint64_t n,
                                      ingot_error *error)
{
    const uint32_t n_bos = e->options.bos != INGOT_NONE;
    ingot_status status = INGOT_OK;
    for (uint64_t at = 0; at < n && status == INGOT_OK; at += e->options.n_window) {
        const uint32_t n_now = (uint32_t)min_u64(e->options.n_window, n - at);
        if (at > 0 && n_now < e->options.n_window) break;
        e->window[0] = e->options.bos;
        memcpy(e->window + n_bos, tokens + at, n_now * sizeof *tokens);
        const uint32_t n_fed = n_now + n_bos - 1;
        if (n_fed > 0) status = run_window(e, n_fed, 0, error);
    }
    return status;
}

static ingot_status add_second_halves(struct lm_evaluator *e, const uint32_t *tokens, uint64_t n,
                                      ingot_error *error)
{
    const uint32_t n_bos = e->options.bos != INGOT_NONE, n_window = e->options.n_window;
    const uint64_t n_all = n + n_bos;
    ingot_status status = INGOT_OK;
    for (uint64_t at = 0; at + n_window <= n_all && status == INGOT_OK; at += n_window) {
        /* Token i of all is token i - n_bos of the text. */
        const uint64_t first = at > 0 ? at - n_bos : 0;
        const uint32_t n_kept = at > 0 ? 0 : n_bos; /* place of the first one's own beginning */
        memcpy(e->window + n_kept, tokens + first, (n_window - n_kept) * sizeof *tokens);
        if (n_bos) e->window[0] = e->options.bos;
        status = run_window(e, n_window - 1, n_window / 2, error);
    }
    return status;
}

static ingot_status (*const add_text[])(struct lm_evaluator *, const uint32_t *, uint64_t,
                                        ingot_error *) = {
    [LM_WHOLE_WINDOWS] = add_whole_windows,
    [LM_SECOND_HALVES] = add_second_halves,
};

ingot_status lm_evaluator_add(struct lm_evaluator *evaluator, const uint32_t *tokens, uint64_t n,
                              ingot_error *error)
{
    return add_text[evaluator->options.protocol](evaluator, tokens, n, error);
}

/* ------------------------------------------------------------------ opening */

static ingot_status check(const struct lm *lm, const struct lm *baseline,
                          const struct lm_eval_options *options, ingot_error *error)
{
    if (baseline != NULL && baseline->config.n_vocab != lm->config.n_vocab) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "baseline",
                          "it has %lu tokens and the model %lu: they cannot be compared",
                          (unsigned long)baseline->config.n_vocab,
                          (unsigned long)lm->config.n_vocab);
    }
    if (options->n_window < 2 || options->n_window > lm->options.n_context ||
        (baseline != NULL && options->n_window > baseline->options.n_context)) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "window",
                          "%lu tokens are fewer than 2, or more than there is room for",
                          (unsigned long)options->n_window);
    }
    return INGOT_OK;
}

ingot_status lm_evaluator_open(struct lm *lm, struct lm *baseline,
                               const struct lm_eval_options *options,
                               const ingot_allocator *allocator, struct lm_evaluator **evaluator,
                               ingot_error *error)
{
    ingot_status status = check(lm, baseline, options, error);
    if (status != INGOT_OK) return status;
    struct lm_evaluator *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "evaluation");
    made->allocator = made->scored.allocator = allocator;
    made->models[0] = lm;
    made->models[1] = baseline;
    made->options = *options;
    made->n_vocab = lm->config.n_vocab;
    const uint64_t logit_bytes = (uint64_t)made->n_vocab * LOGIT_ROWS * sizeof(float);
    for (uint32_t m = 0; m < 2 && made->models[m] != NULL; m++) {
        made->logits[m] = ingot_allocate(allocator, logit_bytes);
        if (made->logits[m] == NULL) status = ingot_fail_memory(error, logit_bytes, "logits");
    }
    made->window =
        ingot_allocate_zeroed(allocator, (uint64_t)options->n_window + 1, sizeof *made->window);
    made->row = ingot_allocate_zeroed(allocator, LOGIT_ROWS, sizeof *made->row);
    if (made->window == NULL || made->row == NULL) {
        status = ingot_fail_memory(error, options->n_window, "window");
    }
    if (status == INGOT_OK) {
        *evaluator = made;
    } else {
        lm_evaluator_close(made);
    }
    return status;
}

void lm_evaluator_close(struct lm_evaluator *evaluator)
{
    if (evaluator == NULL) return;
    buffer_release(&evaluator->scored);
    ingot_release(evaluator->allocator, evaluator->row);
    ingot_release(evaluator->allocator, evaluator->window);
    ingot_release(evaluator->allocator, evaluator->logits[1]);
    ingot_release(evaluator->allocator, evaluator->logits[0]);
    ingot_release(evaluator->allocator, evaluator);
}

/* ------------------------------------------------------------------ results */

static struct scored at(const struct lm_evaluator *e, uint64_t i)
{
    struct scored scored;
    memcpy(&scored, e->scored.data + i * sizeof scored, sizeof scored);
    return scored;
}

static double nll_of(struct scored s)
{
    return s.nll;
}
static double baseline_nll_of(struct scored s)
{
    return s.baseline_nll;
}
static double difference_of(struct scored s)
{
    return s.nll - s.baseline_nll;
}
static double kld_of(struct scored s)
{
    return s.kld;
}
static double same_top_of(struct scored s)
{
    return s.same_top;
}

/* In two passes: the second is exact where values are nearly equal. */
static struct lm_mean mean_of(const struct lm_evaluator *e, double (*value)(struct scored))
{
    struct lm_mean m = {.n = e->scored.n_bytes / sizeof(struct scored)};
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < m.n; i++) sum += value(at(e, i));
    m.mean = sum / (double)m.n;
    for (uint64_t i = 0; i < m.n; i++) {
        const double d = value(at(e, i)) - m.mean;
        squares += d * d;
    }
    if (m.n > 1) m.error = sqrt(squares / (double)(m.n - 1) / (double)m.n);
    return m;
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static ingot_status take_quantiles(struct lm_evaluator *e, struct lm_evaluation *result,
                                   ingot_error *error)
{
    const uint64_t n = result->kld.n;
    double *values = ingot_allocate(e->allocator, n * sizeof *values);
    if (values == NULL) return ingot_fail_memory(error, n * sizeof *values, "divergences");
    for (uint64_t i = 0; i < n; i++) values[i] = at(e, i).kld;
    qsort(values, n, sizeof *values, compare_doubles);
    for (uint32_t q = 0; q < LM_N_QUANTILES; q++) {
        const double place = lm_quantiles[q] * (double)(n - 1);
        const uint64_t low = (uint64_t)place;
        const double share = place - (double)low;
        const double high = values[low + 1 < n ? low + 1 : low];
        result->kld_quantiles[q] = values[low] + share * (high - values[low]);
    }
    result->kld_largest = values[n - 1];
    ingot_release(e->allocator, values);
    return INGOT_OK;
}

ingot_status lm_evaluator_result(struct lm_evaluator *evaluator, struct lm_evaluation *result,
                                 ingot_error *error)
{
    struct lm_evaluation made = {.compared = evaluator->models[1] != NULL};
    ingot_status status = INGOT_OK;
    if (evaluator->scored.n_bytes == 0) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "text",
                          "it is too short: no token of it could be predicted");
    }
    made.nll = mean_of(evaluator, nll_of);
    made.perplexity = exp(made.nll.mean);
    made.perplexity_error = made.perplexity * made.nll.error;
    if (made.compared) {
        made.baseline_nll = mean_of(evaluator, baseline_nll_of);
        made.nll_difference = mean_of(evaluator, difference_of);
        made.kld = mean_of(evaluator, kld_of);
        made.same_top = mean_of(evaluator, same_top_of);
        status = take_quantiles(evaluator, &made, error);
    }
    if (status == INGOT_OK) *result = made;
    return status;
}

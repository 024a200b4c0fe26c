/* Perplexity and divergence: the text, the protocol, and what is said of the result. */
#include "cli/eval_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/read_text.h"
#include "cli/report.h"
#include "cli/text.h"
#include "format/alloc.h"

const struct choice protocol_choices[] = {
    {"windows", LM_WHOLE_WINDOWS}, {"second-halves", LM_SECOND_HALVES}, {0}};

/* ------------------------------------------------------------------ text */

static const char *find_bytes(const char *at, const char *end, const char *what, size_t n)
{
    for (; (size_t)(end - at) >= n; at++) {
        if (memcmp(at, what, n) == 0) return at;
    }
    return end;
}

static int add_document(const struct language_model *model, const char *bytes, size_t n_bytes,
                        struct eval_text *text)
{
    ingot_error error = {0};
    uint32_t **documents = realloc(text->documents, (text->n_documents + 1) * sizeof *documents);
    if (documents == NULL) return report_no_memory();
    text->documents = documents;
    size_t *counts = realloc(text->n_tokens, (text->n_documents + 1) * sizeof *counts);
    if (counts == NULL) return report_no_memory();
    text->n_tokens = counts;
    if (tokenizer_encode(model->tokenizer, bytes, n_bytes, false, false,
                         &documents[text->n_documents], &counts[text->n_documents],
                         &error) != INGOT_OK) {
        return report_error(model->path, &error);
    }
    text->n_all += counts[text->n_documents++];
    text->n_document_bytes += n_bytes;
    return EXITS_DONE;
}

int eval_text_read(const struct eval_values *v, const struct language_model *model,
                   struct eval_text *text)
{
    const size_t n_separator = v->separator ? strlen(v->separator) : 0;
    *text = (struct eval_text){0};
    int status = read_text(v->text, &text->bytes, &text->n_bytes);
    if (status != EXITS_DONE) return status;
    const char *at = text->bytes, *end = at + text->n_bytes;
    while (at < end && status == EXITS_DONE) {
        const char *stop = n_separator ? find_bytes(at, end, v->separator, n_separator) : end;
        if (stop > at) status = add_document(model, at, (size_t)(stop - at), text);
        at = stop < end ? stop + n_separator : end;
    }
    return status;
}

void eval_text_release(struct eval_text *text)
{
    for (uint32_t i = 0; i < text->n_documents; i++) ingot_release(NULL, text->documents[i]);
    free(text->n_tokens);
    free(text->documents);
    free(text->bytes);
}

/* ------------------------------------------------------------------ running */

struct heard {
    struct progress_bar *bar;
    uint64_t n_done;
    uint64_t n_all;
};

static void hear(void *context, uint64_t n_done)
{
    struct heard *heard = context;
    heard->n_done += n_done;
    progress_bar_report(heard->bar, "predicting", heard->n_done, heard->n_all);
}

/* Predictions there will be: for the bar alone. */
static uint64_t count_predictions(const struct eval_text *text, enum lm_protocol protocol)
{
    return protocol == LM_SECOND_HALVES ? text->n_all / 2 : text->n_all;
}

int eval_text_run(const struct eval_values *v, const struct language_model *model,
                  const struct language_model *baseline, const struct eval_text *text,
                  struct progress_bar *bar, uint32_t *n_window, struct lm_evaluation *result)
{
    ingot_error error = {0};
    struct lm_evaluator *evaluator = NULL;
    struct lm_eval_options options = {
        .protocol = v->protocol ? (enum lm_protocol)v->protocol->value : LM_WHOLE_WINDOWS,
        .n_window = v->n_window ? v->n_window : lm_n_context(model->lm),
        .bos = v->no_bos ? INGOT_NONE : tokenizer_bos(model->tokenizer),
    };
    if (v->n_window == 0 && baseline && lm_n_context(baseline->lm) < options.n_window) {
        options.n_window = lm_n_context(baseline->lm);
    }
    struct heard heard = {bar, 0, count_predictions(text, options.protocol)};
    options.progress = hear;
    options.progress_context = &heard;
    ingot_status status = lm_evaluator_open(model->lm, baseline ? baseline->lm : NULL, &options,
                                            NULL, &evaluator, &error);
    for (uint32_t i = 0; i < text->n_documents && status == INGOT_OK; i++) {
        status = lm_evaluator_add(evaluator, text->documents[i], text->n_tokens[i], &error);
    }
    if (status == INGOT_OK) status = lm_evaluator_result(evaluator, result, &error);
    lm_evaluator_close(evaluator);
    progress_bar_erase(bar);
    *n_window = options.n_window;
    return status == INGOT_OK ? EXITS_DONE : report_error(model->path, &error);
}

/* ------------------------------------------------------------------ results */

static json_t *mean_json(const struct lm_mean *mean, bool *failed)
{
    json_t *object = json_object();
    json_put(object, "mean", json_number(mean->mean), failed);
    json_put(object, "error", json_number(mean->error), failed);
    return object;
}

static json_t *kld_json(const struct lm_evaluation *r, bool *failed)
{
    json_t *object = mean_json(&r->kld, failed);
    json_t *quantiles = json_object();
    for (uint32_t i = 0; i < LM_N_QUANTILES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%g", lm_quantiles[i]);
        json_put(quantiles, name, json_number(r->kld_quantiles[i]), failed);
    }
    json_put(object, "quantiles", quantiles, failed);
    json_put(object, "largest", json_number(r->kld_largest), failed);
    return object;
}

/* As if the tokens that do not count were as hard as those that do. */
static double bits_per_byte(const struct eval_text *text, const struct lm_evaluation *r)
{
    return r->nll.mean * (double)text->n_all / log(2.0) / (double)text->n_document_bytes;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

json_t *eval_text_json(const struct eval_values *v, const struct eval_text *text, uint32_t n_window,
                       const struct lm_evaluation *r, bool *failed)
{
    json_t *object = json_object();
    const char *name = base_name(v->text);
    json_put_bytes(object, "text", name, strlen(name), failed);
    json_put(object, "text_bytes", json_count(text->n_bytes), failed);
    json_put(object, "protocol",
             json_string(v->protocol ? v->protocol->name : protocol_choices[0].name), failed);
    json_put(object, "window", json_count(n_window), failed);
    json_put(object, "n_tokens", json_count(text->n_all), failed);
    json_put(object, "n_predicted", json_count(r->nll.n), failed);
    json_put(object, "nats_per_token", mean_json(&r->nll, failed), failed);
    json_put(object, "perplexity", json_number(r->perplexity), failed);
    json_put(object, "perplexity_error", json_number(r->perplexity_error), failed);
    json_put(object, "bits_per_byte", json_number(bits_per_byte(text, r)), failed);
    if (!r->compared) return object;
    const char *baseline = base_name(v->baseline);
    json_put_bytes(object, "baseline", baseline, strlen(baseline), failed);
    json_put(object, "baseline_nats_per_token", mean_json(&r->baseline_nll, failed), failed);
    json_put(object, "baseline_perplexity", json_number(exp(r->baseline_nll.mean)), failed);
    json_put(object, "nats_over_baseline", mean_json(&r->nll_difference, failed), failed);
    json_put(object, "kld", kld_json(r, failed), failed);
    json_put(object, "same_top", mean_json(&r->same_top, failed), failed);
    return object;
}

void eval_text_print(const struct eval_text *text, const struct lm_evaluation *r, FILE *out)
{
    fprintf(out, "perplexity:   %.4f +- %.4f on %s tokens\n", r->perplexity, r->perplexity_error,
            text_count(r->nll.n).at);
    fprintf(out, "nats a token: %.4f +- %.4f\n", r->nll.mean, r->nll.error);
    fprintf(out, "bits a byte:  %.4f\n", bits_per_byte(text, r));
    if (!r->compared) return;
    fprintf(out, "baseline:     perplexity %.4f; this model has %+.5f +- %.5f nats a token more\n",
            exp(r->baseline_nll.mean), r->nll_difference.mean, r->nll_difference.error);
    fprintf(out, "divergence:   mean %.6f +- %.6f nats, largest %.4f\n", r->kld.mean, r->kld.error,
            r->kld_largest);
    fprintf(out, "  quantiles: ");
    for (uint32_t i = 0; i < LM_N_QUANTILES; i++) {
        fprintf(out, " %g%% %.6f%s", lm_quantiles[i] * 100, r->kld_quantiles[i],
                i + 1 < LM_N_QUANTILES ? "," : "\n");
    }
    fprintf(out, "same top:     %.3f %% +- %.3f\n", r->same_top.mean * 100,
            r->same_top.error * 100);
}

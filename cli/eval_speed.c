/* Timing: a prompt, then token by token. */
#include "cli/eval_speed.h"

#include <stdlib.h>

#include "cli/json.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "runtime/lm_eval.h"

struct run {
    double prefill, decode, first_token; /* seconds */
};

static ingot_status time_run(struct lm *lm, const uint32_t *prompt, const struct eval_speed *speed,
                             float *logits, struct run *run, ingot_error *error)
{
    const uint32_t n_vocab = lm_config(lm)->n_vocab;
    lm_rewind(lm, 0);
    const double begin = seconds_now();
    ingot_status status = lm_feed(lm, prompt, speed->n_prefill, error);
    run->prefill = seconds_now() - begin;
    if (status == INGOT_OK) status = lm_logits(lm, lm_n_last(lm) - 1, 1, logits, error);
    run->first_token = seconds_now() - begin;
    const double decode_begin = seconds_now();
    for (uint32_t i = 0; i < speed->n_decode && status == INGOT_OK; i++) {
        const uint32_t token = lm_most_likely(logits, n_vocab);
        status = lm_feed(lm, &token, 1, error);
        if (status == INGOT_OK) status = lm_logits(lm, 0, 1, logits, error);
    }
    run->decode = seconds_now() - decode_begin;
    return status;
}

static int compare_rates(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, uint32_t n)
{
    qsort(values, n, sizeof *values, compare_rates);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

int eval_speed_run(const struct language_model *model, const uint32_t *tokens, uint64_t n_tokens,
                   struct eval_speed *speed)
{
    ingot_error error = {0};
    int status = EXITS_DONE;
    const uint32_t n = speed->n_repeat;
    uint32_t *prompt = calloc(speed->n_prefill, sizeof *prompt);
    float *logits = calloc(lm_config(model->lm)->n_vocab, sizeof *logits);
    double *values = calloc((size_t)n * 3, sizeof *values);
    if (prompt == NULL || logits == NULL || values == NULL) {
        status = report_no_memory();
        goto done;
    }
    for (uint32_t i = 0; i < speed->n_prefill; i++) prompt[i] = tokens[i % n_tokens];
    for (uint32_t r = 0; r < n; r++) {
        struct run run;
        if (time_run(model->lm, prompt, speed, logits, &run, &error) != INGOT_OK) {
            status = report_error(model->path, &error);
            goto done;
        }
        values[r] = speed->n_prefill / run.prefill;
        values[n + r] = speed->n_decode / run.decode;
        values[2 * n + r] = run.first_token;
    }
    speed->prefill_rate = median(values, n);
    speed->decode_rate = median(values + n, n);
    speed->first_token_seconds = median(values + (size_t)2 * n, n);
done:
    free(values);
    free(logits);
    free(prompt);
    return status;
}

json_t *eval_speed_json(const struct eval_speed *speed, bool *failed)
{
    json_t *object = json_object();
    json_put(object, "n_prefill", json_count(speed->n_prefill), failed);
    json_put(object, "n_decode", json_count(speed->n_decode), failed);
    json_put(object, "n_repeat", json_count(speed->n_repeat), failed);
    json_put(object, "prefill_tokens_per_second", json_number(speed->prefill_rate), failed);
    json_put(object, "decode_tokens_per_second", json_number(speed->decode_rate), failed);
    json_put(object, "first_token_seconds", json_number(speed->first_token_seconds), failed);
    return object;
}

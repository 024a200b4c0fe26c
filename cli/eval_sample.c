/* A sample of what a model writes. */
#include "cli/eval_sample.h"

#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "format/alloc.h"
#include "runtime/lm_sample.h"

enum { SAMPLE_TOKENS = 120 };

static ingot_status go_on(const struct language_model *model, struct lm_sampler *sampler,
                          float *logits, struct byte_buffer *text, ingot_error *error)
{
    struct lm *lm = model->lm;
    ingot_status status = lm_logits(lm, lm_n_last(lm) - 1, 1, logits, error);
    for (uint32_t i = 0; i < SAMPLE_TOKENS && status == INGOT_OK; i++) {
        const uint32_t token = lm_sampler_next(sampler, logits);
        const char *bytes;
        size_t n_bytes;
        if (token == tokenizer_eos(model->tokenizer) || lm_n_past(lm) == lm_n_context(lm)) break;
        if (tokenizer_piece(model->tokenizer, token, &bytes, &n_bytes) == INGOT_OK) {
            buffer_append(text, bytes, n_bytes);
        }
        status = lm_feed(lm, &token, 1, error);
        if (status == INGOT_OK) status = lm_logits(lm, 0, 1, logits, error);
    }
    return status;
}

int eval_sample(const struct language_model *model, const char *prompt, struct byte_buffer *text)
{
    const struct lm_sampling sampling = {.temperature = 0.8, .top_k = 40, .top_p = 0.95};
    const uint32_t n_vocab = lm_config(model->lm)->n_vocab;
    struct lm_sampler *sampler = NULL;
    uint32_t *tokens = NULL;
    size_t n = 0;
    ingot_error error = {0};
    float *logits = calloc(n_vocab, sizeof *logits);
    if (logits == NULL) return report_no_memory();
    ingot_status status = tokenizer_encode(model->tokenizer, prompt, strlen(prompt), true, false,
                                           &tokens, &n, &error);
    if (status == INGOT_OK) status = lm_sampler_open(&sampling, n_vocab, NULL, &sampler, &error);
    lm_rewind(model->lm, 0);
    if (status == INGOT_OK && n > lm_n_context(model->lm)) n = lm_n_context(model->lm);
    if (status == INGOT_OK && n > 0) status = lm_feed(model->lm, tokens, (uint32_t)n, &error);
    if (status == INGOT_OK && n > 0) status = go_on(model, sampler, logits, text, &error);
    lm_sampler_close(sampler);
    ingot_release(NULL, tokens);
    free(logits);
    if (text->failed) return report_no_memory();
    return status == INGOT_OK ? EXITS_DONE : report_error(model->path, &error);
}

/* ingot eval: perplexity on a text, and divergence from a baseline. */
#ifndef CLI_EVAL_TEXT_H
#define CLI_EVAL_TEXT_H

#include "cli/language_model.h"
#include "cli/progress.h"
#include "runtime/lm_eval.h"

struct eval_values {
    struct lm_values model;
    const char *text;
    const char *tasks;
    const char *baseline;
    const char *separator;
    const char *sample; /* its prompt */
    const struct choice *protocol;
    uint32_t n_window;
    uint32_t n_prefill;
    uint32_t n_decode;
    uint32_t n_repeat;
    bool no_bos;
    bool no_speed;
    bool write_receipt;
    bool json;
    bool quiet;
};

extern const struct choice protocol_choices[];

struct eval_text {
    char *bytes;
    uint64_t n_bytes;
    uint32_t **documents; /* their tokens */
    size_t *n_tokens;
    uint32_t n_documents;
    uint64_t n_all;            /* tokens of all of them */
    uint64_t n_document_bytes; /* without separators */
};

/* Reads the text and makes tokens of it. The exit status; what failed was said. */
int eval_text_read(const struct eval_values *v, const struct language_model *model,
                   struct eval_text *text);
void eval_text_release(struct eval_text *text);

/* baseline may be NULL. Sets *n_window to the tokens of a window. */
int eval_text_run(const struct eval_values *v, const struct language_model *model,
                  const struct language_model *baseline, const struct eval_text *text,
                  struct progress_bar *bar, uint32_t *n_window, struct lm_evaluation *result);

/* What was found, without times: also what a receipt is told. */
json_t *eval_text_json(const struct eval_values *v, const struct eval_text *text, uint32_t n_window,
                       const struct lm_evaluation *result, bool *failed);
void eval_text_print(const struct eval_text *text, const struct lm_evaluation *result, FILE *out);

#endif

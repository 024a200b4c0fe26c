/* ingot eval: what a model is worth, alone and against a baseline. Owns the words of the verb. */
#include <stdlib.h>
#include <string.h>

#include "cli/choose_device.h"
#include "cli/eval_sample.h"
#include "cli/eval_speed.h"
#include "cli/eval_tasks.h"
#include "cli/eval_text.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/write_quality.h"

enum { PREFILL_TOKENS = 128, DECODE_TOKENS = 32 };

struct evaluation {
    const struct eval_values *values;
    struct language_model model;
    struct language_model baseline; /* lm NULL: there is none */
    struct eval_text text;
    struct eval_tasks tasks;
    uint32_t n_window;
    struct lm_evaluation quality;
    struct eval_speed speed;
    struct byte_buffer sample;
    struct progress_bar bar;
};

/* ------------------------------------------------------------------ the work */

/* Tokens of the text, or some that are spread over the vocabulary. */
static int measure_speed(struct evaluation *e)
{
    const struct eval_values *v = e->values;
    const uint32_t n_context = lm_n_context(e->model.lm);
    const uint32_t n_vocab = lm_config(e->model.lm)->n_vocab;
    uint32_t spread[PREFILL_TOKENS];
    const uint32_t *tokens = spread;
    uint64_t n = PREFILL_TOKENS;
    e->speed.n_prefill = v->n_prefill ? v->n_prefill : PREFILL_TOKENS;
    e->speed.n_decode = v->n_decode ? v->n_decode : DECODE_TOKENS;
    e->speed.n_repeat = v->n_repeat ? v->n_repeat : 3;
    if (v->n_prefill == 0 && e->speed.n_prefill > n_context / 2) e->speed.n_prefill = n_context / 2;
    if (v->n_decode == 0 && e->speed.n_decode > n_context / 4) e->speed.n_decode = n_context / 4;
    if (e->speed.n_prefill == 0 || e->speed.n_decode == 0 || e->speed.n_prefill > n_context - 1 ||
        e->speed.n_decode > n_context - e->speed.n_prefill) {
        return report_refusal(e->model.path, "a context of %lu tokens has no room to measure speed",
                              (unsigned long)n_context);
    }
    for (uint32_t i = 0; i < PREFILL_TOKENS; i++) spread[i] = (i * 2654435761U >> 8) % n_vocab;
    if (e->text.n_documents > 0 && e->text.n_tokens[0] > 0) {
        tokens = e->text.documents[0];
        n = e->text.n_tokens[0];
    }
    return eval_speed_run(&e->model, tokens, n, &e->speed);
}

static int evaluate(struct evaluation *e)
{
    const struct eval_values *v = e->values;
    const struct language_model *baseline = v->baseline ? &e->baseline : NULL;
    int status = EXITS_DONE;
    if (v->text) {
        status = eval_text_read(v, &e->model, &e->text);
        if (status == EXITS_DONE) {
            status =
                eval_text_run(v, &e->model, baseline, &e->text, &e->bar, &e->n_window, &e->quality);
        }
    }
    if (status == EXITS_DONE && v->tasks) {
        status = eval_tasks_run(v, &e->model, baseline, &e->bar, &e->tasks);
    }
    if (status == EXITS_DONE && v->sample) status = eval_sample(&e->model, v->sample, &e->sample);
    if (status == EXITS_DONE && !v->no_speed) status = measure_speed(e);
    return status;
}

/* ------------------------------------------------------------------ what is said */

/* All that has no times. */
static json_t *quality_json(const struct evaluation *e, bool *failed)
{
    const struct eval_values *v = e->values;
    json_t *quality =
        v->text ? eval_text_json(v, &e->text, e->n_window, &e->quality, failed) : json_object();
    if (v->tasks) json_put(quality, "tasks", eval_tasks_json(v, &e->tasks, failed), failed);
    if (v->sample) {
        json_t *sample = json_object();
        json_put_bytes(sample, "prompt", v->sample, strlen(v->sample), failed);
        json_put_bytes(sample, "text", (const char *)e->sample.data, (size_t)e->sample.n_bytes,
                       failed);
        json_put(quality, "sample", sample, failed);
    }
    return quality;
}

static int print_json(const struct evaluation *e)
{
    const struct eval_values *v = e->values;
    const struct lm_config *config = lm_config(e->model.lm);
    bool failed = false;
    json_t *root = json_object();
    json_put_bytes(root, "file", e->model.path, strlen(e->model.path), &failed);
    json_put(root, "architecture", json_string(config->architecture->name), &failed);
    json_put(root, "context", json_count(lm_n_context(e->model.lm)), &failed);
    if (v->text || v->tasks || v->sample) {
        json_put(root, "quality", quality_json(e, &failed), &failed);
    }
    if (v->tasks) json_put(root, "task_lines", eval_tasks_lines_json(&e->tasks, &failed), &failed);
    if (!v->no_speed) json_put(root, "speed", eval_speed_json(&e->speed, &failed), &failed);
    json_put(root, "memory", language_model_memory_json(&e->model, &failed), &failed);
    return json_print(root, failed, EXITS_DONE);
}

static void print_lines(const char *text, size_t n_bytes)
{
    for (size_t at = 0; at < n_bytes;) {
        const char *end = memchr(text + at, '\n', n_bytes - at);
        const size_t n = end ? (size_t)(end - text) - at : n_bytes - at;
        char *line = text_safe(text + at, n);
        printf("    %s\n", line ? line : "");
        free(line);
        at += n + 1;
    }
}

static int print_result(const struct evaluation *e)
{
    const struct eval_values *v = e->values;
    if (v->json) return print_json(e);
    if (v->text) eval_text_print(&e->text, &e->quality, stdout);
    if (v->tasks && !eval_tasks_print(&e->tasks, stdout)) return EXITS_SYSTEM;
    if (!v->no_speed) {
        printf("speed:        prefill %.1f tokens/s, decode %.1f tokens/s; first token after %s\n",
               e->speed.prefill_rate, e->speed.decode_rate,
               text_seconds(e->speed.first_token_seconds).at);
    }
    if (v->sample) {
        fputs("sample:\n", stdout);
        print_lines((const char *)e->sample.data, (size_t)e->sample.n_bytes);
    }
    printf("memory:       %s for the model, peak %s\n",
           text_bytes(lm_memory(e->model.lm)->total).at, text_bytes(peak_bytes()).at);
    return EXITS_DONE;
}

static int write_receipt(const struct evaluation *e)
{
    bool failed = false;
    json_t *quality = quality_json(e, &failed);
    const int status = failed
                           ? report_no_memory()
                           : write_quality(e->model.path, e->model.file, quality, e->values->quiet);
    json_decref(quality);
    return status;
}

/* ------------------------------------------------------------------ the verb */

static int check(const struct eval_values *v)
{
    if (v->text == NULL && (v->n_window || v->protocol || v->separator)) {
        return report_usage("eval", "--window, --protocol and --separator are for --text");
    }
    if (v->text == NULL && v->tasks == NULL && (v->baseline || v->no_bos)) {
        return report_usage("eval", "--baseline and --no-bos are for --text and --tasks");
    }
    if (v->text == NULL && v->tasks == NULL && v->sample == NULL && v->write_receipt) {
        return report_usage("eval", "--write-receipt is for --text, --tasks and --sample");
    }
    if (v->text && v->tasks && strcmp(v->text, "-") == 0 && strcmp(v->tasks, "-") == 0) {
        return report_usage("eval", "--text and --tasks cannot both be standard input");
    }
    if (v->text == NULL && v->tasks == NULL && v->sample == NULL && v->no_speed) {
        return report_usage("eval", "there is nothing to measure");
    }
    return EXITS_DONE;
}

static int run(const void *values, struct operands operands)
{
    const struct eval_values *v = values;
    const struct lm_defaults defaults = {INGOT_F32, INGOT_ACTIVATIONS_F32, !v->quiet && !v->json};
    struct lm_values baseline = v->model; /* as it is: adapters are those of FILE */
    baseline.adapters.n = 0;
    struct evaluation e = {.values = v, .bar = progress_bar_begin(v->quiet || v->json)};
    int status = check(v);
    if (status == EXITS_DONE) {
        status = language_model_open("eval", operands.at[0], &v->model, defaults, &e.model);
    }
    if (status == EXITS_DONE && v->baseline) {
        status = language_model_open("eval", v->baseline, &baseline, defaults, &e.baseline);
    }
    if (status == EXITS_DONE) status = evaluate(&e);
    progress_bar_erase(&e.bar);
    if (status == EXITS_DONE && v->write_receipt) status = write_receipt(&e);
    if (status == EXITS_DONE) status = print_result(&e);
    buffer_release(&e.sample);
    eval_tasks_release(&e.tasks);
    eval_text_release(&e.text);
    language_model_close(&e.baseline);
    language_model_close(&e.model);
    return status;
}

#define AT(member) .offset = offsetof(struct eval_values, member)
static const struct option options[] = {
    {"text", 't', OPTION_TEXT, AT(text), .value_name = "FILE",
     .help = "measure perplexity on this text; - is standard input"},
    {"tasks", 0, OPTION_TEXT, AT(tasks), .value_name = "FILE",
     .help = "put the model to the tasks of this file, one JSON object a line; - is standard "
             "input"},
    {"baseline", 'b', OPTION_TEXT, AT(baseline), .value_name = "FILE2",
     .help = "run this model in step on the same tokens and tasks, and measure how far the "
             "predictions of FILE are from its, and which tasks only one of them has right"},
    {"window", 'w', OPTION_COUNT, AT(n_window), .value_name = "N",
     .help = "tokens that are predicted on their own; the default is the context"},
    {"protocol", 0, OPTION_CHOICE, AT(protocol), .value_name = "NAME", .choices = protocol_choices,
     .help = "windows, the default: each window begins anew with the token of the beginning, and "
             "every token counts; second-halves: as llama-perplexity counts"},
    {"no-bos", 0, OPTION_FLAG, AT(no_bos),
     .help = "begin windows and tasks without the token of the beginning"},
    {"separator", 0, OPTION_TEXT, AT(separator), .value_name = "TEXT",
     .help = "what stands between texts of the file that have nothing to do with each other"},
    {"sample", 0, OPTION_TEXT, AT(sample), .value_name = "PROMPT",
     .help = "let the model go on with this, by chance of a fixed seed"},
    {"prefill", 0, OPTION_COUNT, AT(n_prefill), .value_name = "N",
     .help = "tokens of the prompt with which speed is measured; the default is 128"},
    {"decode", 0, OPTION_COUNT, AT(n_decode), .value_name = "N",
     .help = "tokens that are made after it; the default is 32"},
    {"repeat", 0, OPTION_COUNT, AT(n_repeat), .value_name = "N",
     .help = "measurements of speed, of which the median counts; the default is 3"},
    {"no-speed", 0, OPTION_FLAG, AT(no_speed), .help = "do not measure speed"},
    {"write-receipt", 0, OPTION_FLAG, AT(write_receipt),
     .help = "write what was found on text and tasks into the receipt of FILE, which is written "
             "anew and "
             "keeps its content id"},
    LM_OPTIONS(struct eval_values),
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the results as JSON"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "no progress bar"},
    {0},
};

const struct verb verb_eval = {
    .name = "eval",
    .summary = "measure how well a language model predicts text, and how fast it is",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Runs a language model of the llama family (llama, mistral, mixtral, qwen2, qwen3 and "
             "their forms with experts) from an .ingot file that has its configuration and "
             "tokenizer. With --text, its perplexity and the standard error of that; with "
             "--baseline, the divergence of its predictions from another model's, token by token. "
             "With --tasks, the share of tasks that it has right, with standard error; each line "
             "is one of {\"type\": \"choice\", \"context\": TEXT, \"choices\": [TEXT, ...], "
             "\"answer\": INDEX}, right when that choice is the likeliest after the context, by "
             "the sum of its logarithms and by the sum a byte; {\"type\": \"cloze\", "
             "\"context\": TEXT, \"answer\": TEXT}, right when each token of the answer is the "
             "most likely; and {\"type\": \"exact\", \"prompt\": TEXT, \"answer\": TEXT, "
             "\"max_tokens\": 16, \"stop\": TEXT}, right when the most likely tokens, up to so "
             "many or to where stop begins, are the answer but for white space around it. An "
             "\"id\" is shown; other keys are ignored.",
    .examples = "  ingot eval model.ingot --text held-out.txt\n"
                "  ingot eval small.ingot --baseline model.ingot --text held-out.txt --json\n"
                "  ingot eval small.ingot --baseline model.ingot --tasks tasks.jsonl\n"
                "  ingot eval model.ingot --prefill 512 --decode 128 --activations i8\n",
    .options = options,
    .values_bytes = sizeof(struct eval_values),
    .run = run,
};

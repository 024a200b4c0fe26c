/* ingot run: goes on with a text, token by token. Owns the words of the verb. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/amounts.h"
#include "cli/choose_device.h"
#include "cli/language_model.h"
#include "cli/progress.h"
#include "cli/read_text.h"
#include "cli/report.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "format/alloc.h"
#include "runtime/lm_sample.h"

enum { DEFAULT_TOKENS = 128, DEFAULT_TOP_K = 40 };
static const double default_temperature = 0.8;
static const double default_top_p = 0.95;

struct run_values {
    struct lm_values model;
    const char *prompt;
    const char *prompt_file;
    const char *temperature;
    const char *top_p;
    uint32_t top_k;
    uint32_t seed;
    uint32_t n_tokens;
    bool special;
    bool quiet;
};

struct generation {
    const struct run_values *values;
    struct language_model model;
    struct lm_sampling sampling;
    struct lm_sampler *sampler;
    uint32_t *prompt;
    size_t n_prompt;
    float *logits;
    bool to_terminal;
    uint32_t n_made;
    double prompt_seconds;
    double seconds; /* of the tokens after the first */
};

/* ------------------------------------------------------------------ the work */

static int read_prompt(struct generation *g)
{
    const struct run_values *v = g->values;
    ingot_error error = {0};
    char *bytes = NULL;
    uint64_t n_bytes = v->prompt ? strlen(v->prompt) : 0;
    if (v->prompt_file) {
        const int status = read_text(v->prompt_file, &bytes, &n_bytes);
        if (status != EXITS_DONE) return status;
    }
    const char *text = v->prompt ? v->prompt : bytes ? bytes : "";
    const ingot_status status = tokenizer_encode(g->model.tokenizer, text, n_bytes, true,
                                                 v->special, &g->prompt, &g->n_prompt, &error);
    free(bytes);
    if (status != INGOT_OK) return report_error(g->model.path, &error);
    if (g->n_prompt == 0) {
        return report_refusal(g->model.path, "an empty prompt, and a tokenizer without a token of "
                                             "the beginning: there is nothing to go on with");
    }
    if (g->n_prompt < lm_n_context(g->model.lm)) return EXITS_DONE;
    return report_refusal(g->model.path,
                          "the prompt has %zu tokens: the context of %lu has no room after it",
                          g->n_prompt, (unsigned long)lm_n_context(g->model.lm));
}

/* What would steer a terminal is left out on one. */
static void print_piece(const struct generation *g, uint32_t token)
{
    const char *bytes;
    size_t n_bytes;
    if (tokenizer_piece(g->model.tokenizer, token, &bytes, &n_bytes) != INGOT_OK) return;
    for (size_t i = 0; i < n_bytes; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        const bool steers = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        if (!g->to_terminal || !steers) putchar(c);
    }
    fflush(stdout);
}

static ingot_status generate(struct generation *g, ingot_error *error)
{
    struct lm *lm = g->model.lm;
    const uint32_t eos = tokenizer_eos(g->model.tokenizer);
    const uint32_t n_wanted = g->values->n_tokens ? g->values->n_tokens : DEFAULT_TOKENS;
    const double begin = seconds_now();
    double first = begin;
    ingot_status status = lm_feed(lm, g->prompt, (uint32_t)g->n_prompt, error);
    if (status == INGOT_OK) status = lm_logits(lm, lm_n_last(lm) - 1, 1, g->logits, error);
    while (status == INGOT_OK && g->n_made < n_wanted && !ferror(stdout)) {
        const uint32_t token = lm_sampler_next(g->sampler, g->logits);
        if (g->n_made == 0) first = seconds_now();
        if (token == eos) break;
        print_piece(g, token);
        g->n_made++;
        if (g->n_made == n_wanted || lm_n_past(lm) == lm_n_context(lm)) break;
        status = lm_feed(lm, &token, 1, error);
        if (status == INGOT_OK) status = lm_logits(lm, 0, 1, g->logits, error);
    }
    g->prompt_seconds = first - begin;
    g->seconds = seconds_now() - first;
    return status;
}

static int run_model(struct generation *g)
{
    ingot_error error = {0};
    const uint32_t n_vocab = lm_config(g->model.lm)->n_vocab;
    int status = read_prompt(g);
    if (status != EXITS_DONE) return status;
    g->logits = calloc(n_vocab, sizeof *g->logits);
    if (g->logits == NULL) return report_no_memory();
    if (lm_sampler_open(&g->sampling, n_vocab, NULL, &g->sampler, &error) != INGOT_OK) {
        return report_error(NULL, &error);
    }
    const ingot_status made = generate(g, &error);
    if (g->to_terminal) putchar('\n');
    if (made != INGOT_OK) return report_error(g->model.path, &error);
    if (g->values->quiet) return EXITS_DONE;
    fflush(stdout);
    fprintf(stderr, "%zu tokens of prompt in %s; %lu more", g->n_prompt,
            text_seconds(g->prompt_seconds).at, (unsigned long)g->n_made);
    if (g->n_made > 1) fprintf(stderr, ", %.1f a second", (g->n_made - 1) / g->seconds);
    fputc('\n', stderr);
    return EXITS_DONE;
}

/* ------------------------------------------------------------------ the verb */

static int read_sampling(const struct run_values *v, struct lm_sampling *sampling)
{
    *sampling = (struct lm_sampling){
        .temperature = default_temperature,
        .top_k = v->top_k ? v->top_k : DEFAULT_TOP_K,
        .top_p = default_top_p,
        .seed = v->seed,
    };
    if (v->temperature && strcmp(v->temperature, "0") == 0) {
        sampling->temperature = 0;
    } else if (v->temperature && !amount_number(v->temperature, &sampling->temperature)) {
        return report_usage("run", "--temperature takes a number from 0 on, not \"%s\"",
                            v->temperature);
    }
    if (v->top_p && (!amount_number(v->top_p, &sampling->top_p) || sampling->top_p > 1)) {
        return report_usage("run", "--top-p takes a number above 0 and at most 1, not \"%s\"",
                            v->top_p);
    }
    return EXITS_DONE;
}

static int run(const void *values, struct operands operands)
{
    const struct run_values *v = values;
    const struct lm_defaults defaults = {INGOT_F16, INGOT_ACTIVATIONS_F32, !v->quiet};
    struct generation g = {.values = v, .to_terminal = isatty(STDOUT_FILENO)};
    int status = read_sampling(v, &g.sampling);
    if (status == EXITS_DONE && v->prompt && v->prompt_file) {
        status = report_usage("run", "--prompt and --file exclude each other");
    }
    if (status == EXITS_DONE) {
        status = language_model_open("run", operands.at[0], &v->model, defaults, &g.model);
    }
    if (status == EXITS_DONE) status = run_model(&g);
    lm_sampler_close(g.sampler);
    free(g.logits);
    ingot_release(NULL, g.prompt);
    language_model_close(&g.model);
    return status;
}

#define AT(member) .offset = offsetof(struct run_values, member)
static const struct option options[] = {
    {"prompt", 'p', OPTION_TEXT, AT(prompt), .value_name = "TEXT",
     .help = "what to go on with; the default is the beginning of a text"},
    {"file", 'f', OPTION_TEXT, AT(prompt_file), .value_name = "FILE",
     .help = "the prompt is in this file; - is standard input"},
    {"tokens", 'n', OPTION_COUNT, AT(n_tokens), .value_name = "N",
     .help = "tokens to make; the default is 128, or fewer where the model ends the text"},
    {"temperature", 0, OPTION_TEXT, AT(temperature), .value_name = "T",
     .help = "how much chance decides: 0 takes the most likely token always; the default is 0.8"},
    {"top-k", 0, OPTION_COUNT, AT(top_k), .value_name = "K",
     .help = "only of the K most likely tokens; the default is 40"},
    {"top-p", 0, OPTION_TEXT, AT(top_p), .value_name = "P",
     .help = "only of the most likely tokens that have this probability together; the default is "
             "0.95"},
    {"seed", 0, OPTION_COUNT, AT(seed), .value_name = "N",
     .help = "another text for another seed; the same seed gives the same text"},
    {"special", 0, OPTION_FLAG, AT(special),
     .help = "texts of special tokens in the prompt are those tokens"},
    LM_OPTIONS(struct run_values),
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print nothing but the text"},
    {0},
};

const struct verb verb_run = {
    .name = "run",
    .summary = "go on with a text by a language model",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Runs a language model from an .ingot file that has its configuration and tokenizer, "
             "and writes what follows the prompt to standard output, token by token. How fast it "
             "was goes to standard error.",
    .examples = "  ingot run model.ingot -p 'Once upon a time'\n"
                "  ingot run model.ingot -p 'To be' -n 200 --temperature 0\n"
                "  ingot run model.ingot --adapter poems --seed 7 -f prompt.txt\n",
    .options = options,
    .values_bytes = sizeof(struct run_values),
    .run = run,
};

/* The ingot command: finds the verb, has its words parsed, runs it. Owns the list of verbs; knows
 * nothing of what they do. */
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/signals.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "format/ingot.h"

static const struct verb *const verbs[] = {
    &verb_convert, &verb_restore, &verb_extract, &verb_inspect, &verb_validate, &verb_compare,
    &verb_report,  &verb_devices, &verb_bench,   &verb_eval,    &verb_run,
};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static void print_help(FILE *out)
{
    fputs("usage: ingot VERB [options]\n\n"
          "Ingot keeps models compressed: converts them, checks them, gives them back\n"
          "byte for byte, and computes straight from them.\n\nVerbs:\n",
          out);
    for (size_t i = 0; i < N_VERBS; i++) {
        fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    }
    fputs("\n\"ingot VERB -h\" explains a verb; \"ingot --version\" tells the version.\n\n"
          "Examples:\n"
          "  ingot convert model/ -o model.ingot        a checkpoint folder, losslessly\n"
          "  ingot inspect model.ingot                  what is in it\n"
          "  ingot restore model.ingot -o again/        the same files, byte for byte\n"
          "  ingot convert model/ -o small.ingot --encode int4\n"
          "  ingot compare model/ small.ingot           what that cost\n",
          out);
}

static int run_verb(const struct verb *verb, int n_words, char *const *words)
{
    int status = EXITS_SYSTEM;
    void *values = calloc(1, verb->values_bytes);
    const char **operands = calloc((size_t)n_words + 1, sizeof *operands);
    if (!values || !operands) {
        status = report_no_memory();
        goto done;
    }
    uint32_t n_operands = 0;
    switch (options_parse(verb, n_words, words, values, operands, &n_operands)) {
    case PARSE_RUN: status = verb->run(values, (struct operands){operands, n_operands}); break;
    case PARSE_HELP:
        options_help(verb, stdout);
        status = EXITS_DONE;
        break;
    case PARSE_WRONG: status = EXITS_USAGE; break;
    }
done:
    free(operands);
    free(values);
    return status;
}

static int unknown_verb(const char *word)
{
    struct nearest nearest = {.word = word};
    for (size_t i = 0; i < N_VERBS; i++) nearest_offer(&nearest, verbs[i]->name);
    const char *kind = word[0] == '-' ? "option" : "verb";
    if (nearest.best) {
        return report_usage(NULL, "there is no %s \"%s\"; did you mean %s?", kind, word,
                            nearest.best);
    }
    return report_usage(NULL, "there is no %s \"%s\"", kind, word);
}

static int dispatch(int argc, char *const *argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXITS_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        print_help(stdout);
        return EXITS_DONE;
    }
    if (strcmp(word, "--version") == 0) {
        puts("ingot " INGOT_VERSION);
        return EXITS_DONE;
    }
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(word, verbs[i]->name) == 0) return run_verb(verbs[i], argc - 2, argv + 2);
    }
    return unknown_verb(word);
}

int main(int argc, char **argv)
{
    signals_prepare();
    return report_stdout(dispatch(argc, argv));
}

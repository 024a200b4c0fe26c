/* Parses a verb's words by its table of options. Owns the rules of the command line (long options
 * as
 * --name VALUE or --name=VALUE, letters as -o VALUE or -oVALUE, "--" ends options); knows no verb.
 */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/text.h"

struct parser {
    const struct verb *verb;
    char *const *words;
    int n_words;
    int at; /* the next word */
    unsigned char *values;
    uint64_t seen; /* bit i: options[i] was given */
    bool alone;
};

static const char *find_choices(const struct choice *choices, const char *word,
                                const struct choice **found)
{
    struct nearest nearest = {.word = word};
    for (const struct choice *c = choices; c->name; c++) {
        if (strcmp(c->name, word) == 0) {
            *found = c;
            return NULL;
        }
        nearest_offer(&nearest, c->name);
    }
    return nearest.best ? nearest.best : choices->name;
}

static bool set_flag(struct parser *p, const struct option *option, const char *word)
{
    (void)word;
    *(bool *)(void *)(p->values + option->offset) = true;
    return true;
}

static bool set_text(struct parser *p, const struct option *option, const char *word)
{
    if (word[0] == 0) {
        report_usage(p->verb->name, "--%s is given an empty %s", option->name, option->value_name);
        return false;
    }
    memcpy(p->values + option->offset, &word, sizeof word);
    return true;
}

static bool add_text(struct parser *p, const struct option *option, const char *word)
{
    struct texts *texts = (struct texts *)(void *)(p->values + option->offset);
    if (word[0] == 0 || texts->n == MAX_TEXTS) {
        report_usage(p->verb->name,
                     word[0] == 0 ? "--%s is given an empty %s" : "--%s is given too many %ss",
                     option->name, option->value_name);
        return false;
    }
    texts->at[texts->n++] = word;
    return true;
}

static bool set_count(struct parser *p, const struct option *option, const char *word)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long v = strtoull(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end != 0 || errno != 0 || v == 0 || v >= UINT32_MAX) {
        report_usage(p->verb->name, "--%s takes a whole number from 1 on, not \"%s\"", option->name,
                     word);
        return false;
    }
    const uint32_t count = (uint32_t)v;
    memcpy(p->values + option->offset, &count, sizeof count);
    return true;
}

static bool set_choice(struct parser *p, const struct option *option, const char *word)
{
    const struct choice *found = NULL;
    const char *hint = find_choices(option->choices, word, &found);
    if (hint) {
        report_usage(p->verb->name, "--%s cannot be \"%s\"; did you mean %s?", option->name, word,
                     hint);
        return false;
    }
    memcpy(p->values + option->offset, &found, sizeof found);
    return true;
}

static bool (*const setters[])(struct parser *, const struct option *, const char *) = {
    [OPTION_FLAG] = set_flag,   [OPTION_TEXT] = set_text,     [OPTION_TEXTS] = add_text,
    [OPTION_COUNT] = set_count, [OPTION_CHOICE] = set_choice,
};

/* `word` is the option's value, or NULL when none came with it. */
static bool take_option(struct parser *p, const struct option *option, const char *word)
{
    const uint64_t bit = (uint64_t)1 << (option - p->verb->options);
    const bool is_flag = option->kind == OPTION_FLAG;
    if (is_flag && word) {
        report_usage(p->verb->name, "--%s takes no value", option->name);
        return false;
    }
    if (!is_flag && !word) {
        if (p->at >= p->n_words) {
            report_usage(p->verb->name, "--%s needs a value: --%s %s", option->name, option->name,
                         option->value_name);
            return false;
        }
        word = p->words[p->at++];
    }
    const bool repeats = is_flag || option->kind == OPTION_TEXTS;
    if (!repeats && (p->seen & bit)) {
        report_usage(p->verb->name, "--%s is given twice", option->name);
        return false;
    }
    p->seen |= bit;
    p->alone = p->alone || option->alone;
    return setters[option->kind](p, option, word);
}

static bool take_long(struct parser *p, const char *word)
{
    const char *equals = strchr(word, '=');
    const size_t n = equals ? (size_t)(equals - word) : strlen(word);
    char *name = strndup(word, n);
    if (!name) {
        report_no_memory();
        return false;
    }
    struct nearest nearest = {.word = name};
    const struct option *option = p->verb->options;
    while (option->name && strcmp(option->name, name) != 0) {
        nearest_offer(&nearest, option->name);
        option++;
    }
    bool taken = false;
    if (option->name) {
        taken = take_option(p, option, equals ? equals + 1 : NULL);
    } else if (nearest.best) {
        report_usage(p->verb->name, "there is no option --%s; did you mean --%s?", name,
                     nearest.best);
    } else {
        report_usage(p->verb->name, "there is no option --%s", name);
    }
    free(name);
    return taken;
}

/* One or more letters: flags, the last of which may be an option whose value follows. */
static bool take_letters(struct parser *p, const char *letters)
{
    while (*letters) {
        const char letter = *letters++;
        const struct option *option = p->verb->options;
        while (option->name && option->letter != letter) option++;
        if (!option->name) {
            report_usage(p->verb->name, "there is no option -%c", letter);
            return false;
        }
        const bool is_flag = option->kind == OPTION_FLAG;
        const char *value = !is_flag && *letters ? letters : NULL;
        if (!take_option(p, option, value)) return false;
        if (!is_flag) return true;
    }
    return true;
}

static bool is_help(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

static bool check_whole(const struct parser *p, uint32_t n_operands)
{
    const struct verb *verb = p->verb;
    if (p->alone) return true;
    if (n_operands < verb->min_operands) {
        report_usage(verb->name, "%s is missing: ingot %s %s", verb->operands, verb->name,
                     verb->operands);
        return false;
    }
    if (n_operands > verb->max_operands) {
        report_usage(verb->name, "too many operands: it takes %s",
                     verb->max_operands > 0 ? verb->operands : "none");
        return false;
    }
    for (const struct option *o = verb->options; o->name; o++) {
        const uint64_t bit = (uint64_t)1 << (o - verb->options);
        if (!o->required || (p->seen & bit)) continue;
        report_usage(verb->name, "-%c %s is missing", o->letter, o->value_name);
        return false;
    }
    return true;
}

enum parse_result options_parse(const struct verb *verb, int n_words, char *const *words,
                                void *values, const char **operands, uint32_t *n_operands)
{
    struct parser p = {.verb = verb, .words = words, .n_words = n_words, .values = values};
    bool ended = false;
    uint32_t n = 0;
    while (p.at < n_words) {
        const char *word = words[p.at++];
        const bool is_operand = ended || word[0] != '-' || word[1] == 0;
        if (is_operand) {
            operands[n++] = word;
        } else if (strcmp(word, "--") == 0) {
            ended = true;
        } else if (is_help(word)) {
            return PARSE_HELP;
        } else if (!(word[1] == '-' ? take_long(&p, word + 2) : take_letters(&p, word + 1))) {
            return PARSE_WRONG;
        }
    }
    *n_operands = n;
    return check_whole(&p, n) ? PARSE_RUN : PARSE_WRONG;
}

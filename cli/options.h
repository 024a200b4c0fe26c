/* A verb, and the options that it takes: one table a verb, from which both the parser and the help
 * text work. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A word that stands for a number; tables end with a row without name. */
struct choice {
    const char *name;
    int value;
};

enum option_kind {
    OPTION_FLAG,  /* bool */
    OPTION_TEXT,  /* const char * */
    OPTION_TEXTS, /* struct texts: may be given again and again */
    OPTION_COUNT, /* uint32_t from 1 on */
    OPTION_CHOICE /* const struct choice * */
};

/* All values of an option that may be given more than once. */
enum { MAX_TEXTS = 64 };
struct texts {
    uint32_t n;
    const char *at[MAX_TEXTS];
};

/* Where nothing is given, the value stays zero. Tables end with a row without name. */
struct option {
    const char *name; /* without dashes */
    char letter;      /* short form, or 0 */
    enum option_kind kind;
    bool required;
    bool alone;    /* stands for a whole command: operands and required options are not asked for */
    size_t offset; /* of the value in the verb's structure of values */
    const char *value_name; /* in the help; kinds other than OPTION_FLAG */
    const struct choice *choices;
    const char *help;
};

/* The path operands of a command line. They belong to the caller of run. */
struct operands {
    const char *const *at;
    uint32_t n;
};

struct verb {
    const char *name;
    const char *summary;  /* one line */
    const char *operands; /* as in the usage line */
    uint32_t min_operands;
    uint32_t max_operands;
    const char *about;    /* a paragraph, wrapped by the help */
    const char *examples; /* lines, printed as they are */
    const struct option *options;
    size_t values_bytes; /* of the structure of values */
    /* Does the verb's work and returns the exit status. */
    int (*run)(const void *values, struct operands operands);
};

enum parse_result { PARSE_RUN, PARSE_HELP, PARSE_WRONG };

/* Parses the words after the verb. values points to values_bytes zero bytes, operands to room for
 * n_words pointers. PARSE_WRONG: a message was printed. */
enum parse_result options_parse(const struct verb *verb, int n_words, char *const *words,
                                void *values, const char **operands, uint32_t *n_operands);

void options_help(const struct verb *verb, FILE *out);
/* Prints text in lines of at most 80 columns, the second and later ones indented. `column` is
 * where the first begins. */
void print_wrapped(FILE *out, const char *text, int column, int indent);

#endif

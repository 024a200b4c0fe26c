/* Help texts, made from a verb's own tables. Knows no verb. */
#include <string.h>

#include "cli/options.h"

enum { LINE_COLUMNS = 80, OPTION_COLUMN = 26 };

void print_wrapped(FILE *out, const char *text, int column, int indent)
{
    bool at_start = true;
    while (*text) {
        const int n = (int)strcspn(text, " \n");
        if (!at_start && column + 1 + n > LINE_COLUMNS) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            at_start = true;
        }
        fprintf(out, "%s%.*s", at_start ? "" : " ", n, text);
        column += n + !at_start;
        at_start = false;
        text += n;
        text += strspn(text, " \n");
    }
    fputc('\n', out);
}

/* "  -o, --output DST" and padding up to the column of the texts. */
static void print_option_name(FILE *out, char letter, const char *name, const char *value_name)
{
    char short_form[8] = "    ";
    if (letter) snprintf(short_form, sizeof short_form, "-%c, ", letter);
    const int n = fprintf(out, "  %s--%s%s%s", short_form, name, value_name ? " " : "",
                          value_name ? value_name : "");
    if (n < OPTION_COLUMN) {
        fprintf(out, "%*s", OPTION_COLUMN - n, "");
    } else {
        fprintf(out, "\n%*s", OPTION_COLUMN, "");
    }
}

static void print_required(const struct verb *verb, FILE *out)
{
    for (const struct option *o = verb->options; o->name; o++) {
        if (o->required) fprintf(out, " -%c %s", o->letter, o->value_name);
    }
}

void options_help(const struct verb *verb, FILE *out)
{
    fprintf(out, "usage: ingot %s%s%s", verb->name, verb->operands[0] ? " " : "", verb->operands);
    print_required(verb, out);
    fputs(" [options]\n\n", out);
    print_wrapped(out, verb->about, 0, 0);
    fputs("\nOptions:\n", out);
    for (const struct option *o = verb->options; o->name; o++) {
        print_option_name(out, o->letter, o->name, o->value_name);
        print_wrapped(out, o->help, OPTION_COLUMN, OPTION_COLUMN);
    }
    print_option_name(out, 'h', "help", NULL);
    fputs("print this text\n\nExamples:\n", out);
    fputs(verb->examples, out);
    fputs("\nExit status: 0 done; 1 the input is invalid or falls short of what was asked;\n"
          "2 usage; 3 the system failed (disk, memory, device).\n",
          out);
}

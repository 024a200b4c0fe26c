/* What the command says when something is wrong, and the exit status that goes with it. Only what
 * signals.c says in a handler comes from elsewhere. */
#include "cli/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "format/rules.h"

/* What is not found is a path: names inside of models are looked up by the verbs themselves. */
int exit_status_of(ingot_status status)
{
    static const uint8_t exits[] = {
        [INGOT_OK] = EXITS_DONE,           [INGOT_END] = EXITS_DONE,
        [INGOT_INVALID] = EXITS_SHORT,     [INGOT_DAMAGED] = EXITS_SHORT,
        [INGOT_UNSUPPORTED] = EXITS_SHORT, [INGOT_NOT_FOUND] = EXITS_SYSTEM,
        [INGOT_EXISTS] = EXITS_SHORT,      [INGOT_NO_MEMORY] = EXITS_SYSTEM,
        [INGOT_IO] = EXITS_SYSTEM,         [INGOT_DEVICE] = EXITS_SYSTEM,
        [INGOT_REFUSED] = EXITS_SHORT,
    };
    return (size_t)status < sizeof exits ? exits[status] : EXITS_SYSTEM;
}

static void write_line(const char *file, const char *kind, const char *text, const char *tail)
{
    char *safe_file = file ? text_safe(file, strlen(file)) : NULL;
    char *safe_text = text_safe(text, strlen(text));
    fprintf(stderr, "ingot: %s%s%s%s%s\n", safe_file ? safe_file : "", safe_file ? ": " : "", kind,
            safe_text ? safe_text : "out of memory", tail);
    free(safe_text);
    free(safe_file);
}

static void write_formatted(const char *file, const char *kind, const char *tail,
                            const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0) text = NULL;
    write_line(file, kind, text ? text : "out of memory", tail);
    free(text);
}

char *error_text(const ingot_error *error)
{
    char text[512];
    char offset[40] = "";
    char rule[16] = "";
    if (error->offset != INGOT_NO_OFFSET) {
        snprintf(offset, sizeof offset, "%sat offset %llu", error->field[0] ? " " : "",
                 (unsigned long long)error->offset);
    }
    if (error->rule != 0) snprintf(rule, sizeof rule, " [R-%u]", (unsigned)error->rule);
    snprintf(text, sizeof text, "%s%s%s%s%s", error->field, offset,
             error->field[0] || offset[0] ? ": " : "",
             error->what[0] ? error->what : ingot_status_name(error->status), rule);
    return text_safe(text, strlen(text));
}

/* Failures of the system name the path themselves; a field may have cut it. */
static bool names_file(const ingot_error *error, const char *file)
{
    const size_t n_field = strlen(error->field);
    const size_t n_file = strlen(file);
    const bool cut = n_field + 1 == sizeof error->field && n_field < n_file;
    return strncmp(error->field, file, cut ? n_field : n_file) == 0;
}

int report_error(const char *file, const ingot_error *error)
{
    char *text = error_text(error);
    if (file && names_file(error, file)) file = NULL;
    const char *hint = error->rule == R_101 ? " (\"ingot convert\" makes .ingot files)" : "";
    write_line(file, "", text ? text : "out of memory", hint);
    free(text);
    return exit_status_of(error->status);
}

int report_refusal(const char *file, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_formatted(file, "", "", format, arguments);
    va_end(arguments);
    return EXITS_SHORT;
}

int report_usage(const char *verb, const char *format, ...)
{
    char tail[64];
    snprintf(tail, sizeof tail, " (\"ingot %s%s-h\" tells more)", verb ? verb : "",
             verb ? " " : "");
    va_list arguments;
    va_start(arguments, format);
    write_formatted(verb, "", tail, format, arguments);
    va_end(arguments);
    return EXITS_USAGE;
}

void report_model_notes(const char *file, const struct model *model)
{
    for (uint32_t i = 0; i < model_n_notes(model); i++) {
        report_note(file, "%s", model_note(model, i));
    }
}

void report_note(const char *file, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_formatted(file, "note: ", "", format, arguments);
    va_end(arguments);
}

int report_no_memory(void)
{
    fputs("ingot: out of memory\n", stderr);
    return EXITS_SYSTEM;
}

int report_stdout(int status)
{
    const bool flushed = fflush(stdout) == 0;
    if (flushed && !ferror(stdout)) return status;
    fputs("ingot: standard output: could not be written\n", stderr);
    return EXITS_SYSTEM;
}

/* What the command says when something is wrong, and the exit status that goes with it. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "convert/model.h"
#include "format/compiler.h"
#include "format/ingot.h"

enum exit_status {
    EXITS_DONE = 0,
    EXITS_SHORT = 1, /* the input is invalid or falls short of what was asked */
    EXITS_USAGE = 2,
    EXITS_SYSTEM = 3 /* disk, memory, device */
};

int exit_status_of(ingot_status status);

/* All print one line on stderr, made safe for a terminal, and return the exit status. `file` may be
 * NULL. */
/* ingot: FILE: FIELD at offset N: WHAT */
int report_error(const char *file, const ingot_error *error);
/* ingot: FILE: ... */
int report_refusal(const char *file, const char *format, ...) INGOT_PRINTF(2, 3);
/* ingot: VERB: ... ("ingot VERB -h" tells more) */
int report_usage(const char *verb, const char *format, ...) INGOT_PRINTF(2, 3);
int report_no_memory(void);
/* ingot: FILE: note: ... */
void report_note(const char *file, const char *format, ...) INGOT_PRINTF(2, 3);

/* What was decided or left out when a model was opened, as notes. */
void report_model_notes(const char *file, const struct model *model);

/* FIELD at offset N: WHAT, safe to print. The caller frees it; NULL: no memory. */
char *error_text(const ingot_error *error);

/* Flushes stdout. status, or EXITS_SYSTEM and a message when stdout did not take everything. */
int report_stdout(int status);

#endif

/* Reading a file, or a pipe, until its end. */
#include "cli/read_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

static int read_all(FILE *from, const char *path, char **bytes, uint64_t *n_bytes)
{
    size_t capacity = 1 << 16, n = 0;
    char *all = malloc(capacity);
    for (;;) {
        if (all == NULL) return report_no_memory();
        n += fread(all + n, 1, capacity - n - 1, from);
        if (n + 1 < capacity) break;
        capacity *= 2;
        char *more = realloc(all, capacity);
        if (more == NULL) free(all);
        all = more;
    }
    if (ferror(from)) {
        free(all);
        report_refusal(path, "could not be read: %s", strerror(errno));
        return EXITS_SYSTEM;
    }
    all[n] = '\0';
    *bytes = all;
    *n_bytes = n;
    return EXITS_DONE;
}

int read_text(const char *path, char **bytes, uint64_t *n_bytes)
{
    const bool is_stdin = strcmp(path, "-") == 0;
    FILE *from = is_stdin ? stdin : fopen(path, "rb");
    if (from == NULL) {
        report_refusal(path, "could not be opened: %s", strerror(errno));
        return EXITS_SYSTEM;
    }
    const int status = read_all(from, path, bytes, n_bytes);
    if (!is_stdin) fclose(from);
    return status;
}

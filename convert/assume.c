/* Assumptions: one row each. */
#include "convert/assume.h"

#include <stdio.h>
#include <string.h>

#include "convert/names.h"
#include "format/fail.h"

static void set_dialect(struct assumptions *a, int value)
{
    a->dialect = (enum dialect_assumed)value;
}

static int get_dialect(const struct assumptions *a)
{
    return (int)a->dialect;
}

/* A value of 0 is that of a key that was not given. */
static const struct assumption {
    const char *text;
    int value;
    void (*set)(struct assumptions *a, int value);
    int (*get)(const struct assumptions *a);
} known[] = {
    {"dialect=ggml", DIALECT_GGML, set_dialect, get_dialect},
    {"dialect=opaque", DIALECT_OPAQUE, set_dialect, get_dialect},
    {"dialect=plain", DIALECT_PLAIN, set_dialect, get_dialect},
};
enum { N_KNOWN = sizeof known / sizeof *known };

ingot_status assume_parse(const char *text, struct assumptions *assumptions, ingot_error *error)
{
    char list[128] = "";
    for (uint32_t i = 0; i < N_KNOWN; i++) {
        const size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", known[i].text);
        if (strcmp(known[i].text, text) != 0) continue;
        const int before = known[i].get(assumptions);
        if (before != 0 && before != known[i].value) {
            return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "assume",
                              "'%s' contradicts what was said before", text);
        }
        known[i].set(assumptions, known[i].value);
        return INGOT_OK;
    }
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "assume",
                      "'%s' is not known; there are: %s", name_shown(text, strlen(text)).text,
                      list);
}

/* The words of --assume. */
#include "cli/assume.h"

#include "cli/report.h"

int assume_read(const char *verb, const struct texts *words, struct assumptions *assumptions)
{
    *assumptions = (struct assumptions){0};
    for (uint32_t i = 0; i < words->n; i++) {
        ingot_error error = {0};
        if (assume_parse(words->at[i], assumptions, &error) == INGOT_OK) continue;
        return report_usage(verb, "--assume: %s", error.what);
    }
    return EXITS_DONE;
}

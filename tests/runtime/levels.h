/* The kernel levels that the runtime's tests force. */
#ifndef INGOT_TESTS_RUNTIME_LEVELS_H
#define INGOT_TESTS_RUNTIME_LEVELS_H

#include <stdio.h>

#include "runtime/cpu_level.h"

static const char *const level_names[] = {"plain", "avx2",         "avx512",
                                          "neon",  "neon-dotprod", "neon-i8mm"};
enum { N_LEVELS = sizeof level_names / sizeof *level_names };

/* NULL, and a note, when this CPU lacks the level. */
static inline const struct cpu_level *level_if_here(const char *name)
{
    const struct cpu_level *level = cpu_level_find(name);
    if (level == NULL) printf("note: not run: level %s, which this CPU lacks\n", name);
    return level;
}

#endif

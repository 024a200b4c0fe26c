/* Patterns for names, as a shell has them for files: `*` any bytes, also `.` and `/`; `?` one byte;
 * `[abc]`, `[a-z]`, `[!a-z]` one byte of those or of all others; a backslash takes the next byte as
 * it is. They go by bytes and do not depend on the locale. */
#ifndef INGOT_CONVERT_GLOB_H
#define INGOT_CONVERT_GLOB_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the whole name is what the pattern says. A '[' without its ']' stands for itself. */
bool glob_matches(const char *pattern, const char *name, uint64_t name_bytes);

#endif

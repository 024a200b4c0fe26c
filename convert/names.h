/* Lists of names in order of their bytes: to find one, and to see that none is there twice. Knows
 * nothing of what the names name. */
#ifndef INGOT_CONVERT_NAMES_H
#define INGOT_CONVERT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_ref {
    const char *text; /* not terminated, not owned */
    uint32_t n_bytes;
    uint32_t index; /* whose name it is */
};

/* Sorts by bytes, a prefix first, equal names by index. */
void names_sort(struct name_ref *names, uint64_t n_names);
/* The place in a sorted list of the first name that equals the one before it; 0 when all differ. */
uint64_t names_duplicate(const struct name_ref *names, uint64_t n_names);
/* Finds a name in a sorted list. */
bool names_find(const struct name_ref *names, uint64_t n_names, const char *text, size_t n_bytes,
                uint32_t *index);

/* A name as it may stand in a message: cut short when it is long, control characters as '?'. */
enum { NAME_SHOWN_BYTES = 80 };
struct shown_name {
    char text[NAME_SHOWN_BYTES];
};
struct shown_name name_shown(const char *text, uint64_t n_bytes);

#endif

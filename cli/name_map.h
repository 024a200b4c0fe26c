/* Which tensor of one model is which of another: a text file of pairs of names.
 *
 * A line holds a name of the first model and its name in the second, with blanks between. `*`
 * stands for any bytes, as few as will do; the k-th `*` of the second name for what the k-th of the
 * first took. A name with blanks or with # at its start stands in double quotes. A backslash takes
 * the next character as itself. A # where a name could begin starts a comment. The first line that
 * matches a name decides; a name that none matches stays as it is. */
#ifndef CLI_NAME_MAP_H
#define CLI_NAME_MAP_H

#include "convert/model.h"

struct name_map;

/* Reads a file. NULL: a message was printed, and *exits is the exit status. */
struct name_map *name_map_open(const char *path, int *exits);
void name_map_close(struct name_map *map); /* takes NULL */

/* Sets partners[i], for each tensor i of a, to the tensor of b that it is, or INGOT_NONE. No tensor
 * of b is the partner of two. Returns the exit status; a message was printed when two have the same
 * partner. Lines that match nothing are noted, unless quiet. */
int name_map_pair(struct name_map *map, const struct model *a, const struct model *b, bool quiet,
                  uint32_t *partners);

#endif

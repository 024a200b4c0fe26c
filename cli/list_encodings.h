/* The list of encodings that a conversion may be asked for. */
#ifndef CLI_LIST_ENCODINGS_H
#define CLI_LIST_ENCODINGS_H

#include <stdbool.h>

/* Prints the list on stdout and returns the exit status. */
int list_encodings(bool as_json);

#endif

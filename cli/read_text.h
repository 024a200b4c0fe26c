/* Whole files of text. */
#ifndef CLI_READ_TEXT_H
#define CLI_READ_TEXT_H

#include <stdint.h>

/* All bytes of a file, or of standard input for "-", and a zero after them. The caller frees them.
 * The exit status; what failed was said. */
int read_text(const char *path, char **bytes, uint64_t *n_bytes);

#endif

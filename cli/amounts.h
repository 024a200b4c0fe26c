/* Amounts as they are given on a command line. */
#ifndef CLI_AMOUNTS_H
#define CLI_AMOUNTS_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes: "4G", "1.5GiB", "800000"; K, M, G and T are powers of 1,000, with an i of 1,024. False for
 * anything else, and for what is less than one byte. */
bool amount_bytes(const char *text, uint64_t *n_bytes);
/* A decimal number above 0: "4.5". Locale and exponents do not count. */
bool amount_number(const char *text, double *number);

#endif

/* Text for people: quantities, shapes, and bytes from files made safe for a terminal. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Small texts are returned by value: printf("%s", text_bytes(n).at). */
struct text {
    char at[192];
};

struct text text_bytes(uint64_t n_bytes);                        /* "1.53 MB", decimal units */
struct text text_count(uint64_t n);                              /* "3,145,728" */
struct text text_shape(uint32_t rank, const uint64_t *dims);     /* "[512, 1024]"; rank <= 8 */
struct text text_seconds(double seconds);                        /* "12.3 us" */
struct text text_decibels(double sqnr_db, uint64_t n_different); /* "31.40", "exact" */

/* Bytes of the UTF-8 character that bytes[0, n_bytes) begins with, and its code point; 0 when it
 * begins with none (n_bytes > 0). */
size_t utf8_next(const char *bytes, size_t n_bytes, uint32_t *code);

/* The bytes as text that is safe to show: what is not UTF-8 or would steer a terminal is written as
 * \xNN. The caller frees it; NULL when there is no memory. */
char *text_safe(const char *bytes, size_t n_bytes);
/* How many columns a safe text takes, counting a character as one. */
size_t text_width(const char *text);

/* The candidate closest to a mistyped word. Begin with {.word = ...} and offer all candidates. */
struct nearest {
    const char *word;
    const char *best; /* NULL when none is close */
    size_t distance;
};
void nearest_offer(struct nearest *nearest, const char *candidate);

#endif

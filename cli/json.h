/* Results as JSON. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys keep the order in which they are put. Each takes `value` over, also on failure; the first
 * lack of memory is remembered in *failed. */
void json_put(json_t *object, const char *key, json_t *value, bool *failed);
void json_add(json_t *array, json_t *value, bool *failed);

/* Puts bytes as a string. Where they are not UTF-8, each wrong byte becomes U+FFFD and KEY_hex has
 * all bytes as hexadecimal digits. */
void json_put_bytes(json_t *object, const char *key, const char *bytes, size_t n_bytes,
                    bool *failed);
/* A number; a string where JSON has none for it ("nan", "inf", integers of 2^63 and more). */
json_t *json_number(double v);
json_t *json_count(uint64_t v);

/* Prints the object on stdout and releases it. Returns status, or the exit status of a failure. */
int json_print(json_t *object, bool failed, int status);

#endif

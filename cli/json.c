/* Results as JSON, through jansson. Owns how bytes and numbers that JSON does not have are written;
 * knows nothing of models. */
#include "cli/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/text.h"

void json_put(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(object, key, value) != 0) *failed = true;
}

void json_add(json_t *array, json_t *value, bool *failed)
{
    if (json_array_append_new(array, value) != 0) *failed = true;
}

static void put_hex(json_t *object, const char *key, const char *bytes, size_t n_bytes,
                    bool *failed)
{
    char hex_key[64];
    snprintf(hex_key, sizeof hex_key, "%s_hex", key);
    char *hex = malloc(n_bytes * 2 + 1);
    if (!hex) {
        *failed = true;
        return;
    }
    for (size_t i = 0; i < n_bytes; i++) snprintf(hex + 2 * i, 3, "%02x", (uint8_t)bytes[i]);
    json_put(object, hex_key, json_string(hex), failed);
    free(hex);
}

void json_put_bytes(json_t *object, const char *key, const char *bytes, size_t n_bytes,
                    bool *failed)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    char *text = n_bytes < SIZE_MAX / 3 ? malloc(n_bytes * 3 + 1) : NULL;
    if (!text) {
        *failed = true;
        return;
    }
    text[0] = 0;
    size_t end = 0;
    bool is_utf8 = true;
    for (size_t i = 0; i < n_bytes;) {
        uint32_t code = 0;
        const size_t n = utf8_next(bytes + i, n_bytes - i, &code);
        memcpy(text + end, n > 0 ? bytes + i : replacement, n > 0 ? n : 3);
        end += n > 0 ? n : 3;
        i += n > 0 ? n : 1;
        is_utf8 = is_utf8 && n > 0;
    }
    json_put(object, key, json_stringn(text, end), failed);
    free(text);
    if (!is_utf8) put_hex(object, key, bytes, n_bytes, failed);
}

json_t *json_number(double v)
{
    if (isnan(v)) return json_string("nan");
    if (isinf(v)) return json_string(v > 0 ? "inf" : "-inf");
    return json_real(v);
}

json_t *json_count(uint64_t v)
{
    if (v <= INT64_MAX) return json_integer((json_int_t)v);
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    return json_string(digits);
}

int json_print(json_t *object, bool failed, int status)
{
    if (failed || !object) {
        json_decref(object);
        return report_no_memory();
    }
    /* What stdout did not take is noticed once, in main. */
    json_dumpf(object, stdout, JSON_INDENT(2));
    fputc('\n', stdout);
    json_decref(object);
    return status;
}

/* Metadata in words and as JSON. Reads entries through format/metadata.h; knows no key. */
#include <stdlib.h>
#include <string.h>

#include "cli/describe.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"
#include "convert/metadata_scalar.h"

enum { SHOWN_TEXT_BYTES = 72, SHOWN_ELEMENT_BYTES = 24, SHOWN_ELEMENTS = 8 };

static ingot_status fail_memory(ingot_error *error)
{
    *error = (ingot_error){.status = INGOT_NO_MEMORY, .offset = INGOT_NO_OFFSET};
    return INGOT_NO_MEMORY;
}

/* ------------------------------------------------------------------ in words */

static void print_value(const struct metadata_value *value, size_t max_bytes, FILE *out);

/* max_bytes 0: all of it. */
static void print_array(const struct metadata_value *array, size_t max_bytes, FILE *out)
{
    struct cursor at = cursor_over(array->bytes.data, array->bytes.n_bytes);
    struct metadata_value element;
    uint64_t n = 0;
    fputc('[', out);
    while (metadata_element(&at, array->element_type, &element, NULL) == INGOT_OK) {
        if (n > 0) fputs(", ", out);
        if (max_bytes > 0 && n == SHOWN_ELEMENTS) {
            fprintf(out, "... %s more", text_count(array->count - n).at);
            break;
        }
        print_value(&element, max_bytes > 0 ? SHOWN_ELEMENT_BYTES : 0, out);
        n++;
    }
    fputc(']', out);
}

/* Cuts between characters. */
static size_t cut_length(const char *text, size_t n_bytes, size_t max_bytes)
{
    if (max_bytes == 0 || n_bytes <= max_bytes) return n_bytes;
    size_t n = max_bytes;
    while (n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80) n--;
    return n;
}

static void print_text(const struct metadata_value *value, size_t max_bytes, FILE *out)
{
    const size_t n_bytes = (size_t)value->bytes.n_bytes;
    const size_t n = cut_length((const char *)value->bytes.data, n_bytes, max_bytes);
    fputc('"', out);
    fwrite(value->bytes.data, 1, n, out);
    fputc('"', out);
    if (n < n_bytes) fprintf(out, "... (%s bytes)", text_count(n_bytes).at);
}

/* Arrays nest only so deep, which reading the entry proved. */
static void print_value(const struct metadata_value *value, size_t max_bytes, FILE *out)
{
    if (value->type == META_ARRAY) {
        print_array(value, max_bytes, out);
    } else if (value->type == META_STRING) {
        print_text(value, max_bytes, out);
    } else {
        fputs(metadata_scalar_text(value).at, out);
    }
}

static void add_row(struct table *table, const char *key, uint32_t key_bytes,
                    const struct metadata_value *value, bool whole)
{
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *memory = open_memstream(&text, &n_bytes);
    table_bytes(table, key, key_bytes);
    if (value->type == META_ARRAY) {
        table_cell(table, "array of %s %s", text_count(value->count).at,
                   metadata_type_name(value->element_type));
    } else {
        table_cell(table, "%s", metadata_type_name(value->type));
    }
    if (memory) {
        print_value(value, whole ? 0 : SHOWN_TEXT_BYTES, memory);
        if (fclose(memory) != 0) table->failed = true;
        table_bytes(table, text, n_bytes);
    }
    table->failed = table->failed || !memory;
    free(text);
}

ingot_status describe_metadata(struct span blob, bool whole, FILE *out, ingot_error *error)
{
    static const struct column columns[] = {{"metadata", false}, {"type", false}, {"", false}};
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    struct metadata_walk walk;
    ingot_status status = metadata_open(blob, &walk, error);
    while (status == INGOT_OK) {
        const char *key = NULL;
        uint32_t key_bytes = 0;
        struct metadata_value value;
        status = metadata_next(&walk, &key, &key_bytes, &value, error);
        if (status == INGOT_OK) add_row(&table, key, key_bytes, &value, whole);
    }
    if (status == INGOT_END) {
        status = table.failed || !table_print(&table, out, 0) ? fail_memory(error) : INGOT_OK;
    }
    table_release(&table);
    return status;
}

/* Line by line, as what is made safe has no line ends. */
static void print_lines(const struct metadata_value *value, FILE *out)
{
    const char *text = (const char *)value->bytes.data;
    size_t left = (size_t)value->bytes.n_bytes;
    for (;;) {
        const char *end = left > 0 ? memchr(text, '\n', left) : NULL;
        const size_t n = end ? (size_t)(end - text) : left;
        char *safe = text_safe(text, n);
        fprintf(out, "%s\n", safe ? safe : "(out of memory)");
        free(safe);
        if (!end) return;
        text = end + 1;
        left -= n + 1;
    }
}

void describe_value(const struct metadata_value *value, FILE *out)
{
    if (value->type == META_ARRAY) {
        struct cursor at = cursor_over(value->bytes.data, value->bytes.n_bytes);
        struct metadata_value element;
        while (metadata_element(&at, value->element_type, &element, NULL) == INGOT_OK) {
            describe_value(&element, out);
        }
    } else if (value->type == META_STRING) {
        print_lines(value, out);
    } else {
        fprintf(out, "%s\n", metadata_scalar_text(value).at);
    }
}

/* ------------------------------------------------------------------ as JSON */

static json_t *scalar_json(const struct metadata_value *value)
{
    switch (metadata_scalar_kind(value)) {
    case SCALAR_UNSIGNED: return json_count(metadata_unsigned(value));
    case SCALAR_SIGNED: return json_integer((json_int_t)metadata_signed(value));
    case SCALAR_FLOAT: return json_number(metadata_float(value));
    case SCALAR_BOOL: return json_boolean(metadata_unsigned(value));
    case SCALAR_NONE: break;
    }
    return json_null();
}

static void put_value(json_t *object, const struct metadata_value *value, bool whole, bool *failed);

/* An array of objects with "value" only where its elements are not scalars. */
static json_t *array_json(const struct metadata_value *array, bool whole, bool *failed)
{
    struct cursor at = cursor_over(array->bytes.data, array->bytes.n_bytes);
    struct metadata_value element;
    json_t *list = json_array();
    for (uint64_t n = 0; whole || n < SHOWN_ELEMENTS; n++) {
        json_t *one = NULL;
        if (metadata_element(&at, array->element_type, &element, NULL) != INGOT_OK) break;
        if (metadata_scalar_kind(&element) != SCALAR_NONE) {
            one = scalar_json(&element);
        } else {
            one = json_object();
            put_value(one, &element, whole, failed);
        }
        json_add(list, one, failed);
    }
    return list;
}

/* Puts "value" (and "value_hex"). */
static void put_value(json_t *object, const struct metadata_value *value, bool whole, bool *failed)
{
    if (value->type == META_STRING) {
        json_put_bytes(object, "value", (const char *)value->bytes.data,
                       (size_t)value->bytes.n_bytes, failed);
    } else if (value->type == META_ARRAY) {
        json_put(object, "element_type", json_string(metadata_type_name(value->element_type)),
                 failed);
        json_put(object, "count", json_count(value->count), failed);
        json_put(object, "cut", json_boolean(!whole && value->count > SHOWN_ELEMENTS), failed);
        json_put(object, "value", array_json(value, whole, failed), failed);
    } else {
        json_put(object, "value", scalar_json(value), failed);
    }
}

json_t *describe_entry_json(const char *key, uint32_t key_bytes, const struct metadata_value *value,
                            bool whole, bool *failed)
{
    json_t *one = json_object();
    json_put_bytes(one, "key", key, key_bytes, failed);
    json_put(one, "type", json_string(metadata_type_name(value->type)), failed);
    put_value(one, value, whole, failed);
    return one;
}

ingot_status describe_metadata_json(struct span blob, bool whole, json_t *array, bool *failed,
                                    ingot_error *error)
{
    struct metadata_walk walk;
    ingot_status status = metadata_open(blob, &walk, error);
    while (status == INGOT_OK) {
        const char *key = NULL;
        uint32_t key_bytes = 0;
        struct metadata_value value;
        status = metadata_next(&walk, &key, &key_bytes, &value, error);
        if (status == INGOT_END) return INGOT_OK;
        if (status != INGOT_OK) break;
        json_add(array, describe_entry_json(key, key_bytes, &value, whole, failed), failed);
    }
    return status;
}

/* Metadata in words and as JSON. Reads entries through format/metadata.h; knows no key. */
#include <stdlib.h>
#include <string.h>

#include "cli/describe.h"
#include "cli/json.h"
#include "cli/text.h"

/* ------------------------------------------------------------------ scalars */

enum scalar_kind { SCALAR_NONE, SCALAR_UNSIGNED, SCALAR_SIGNED, SCALAR_FLOAT, SCALAR_BOOL };

static const struct {
    enum scalar_kind kind;
    uint32_t n_bytes;
} scalars[] = {
    [META_U8] = {SCALAR_UNSIGNED, 1},  [META_I8] = {SCALAR_SIGNED, 1},
    [META_U16] = {SCALAR_UNSIGNED, 2}, [META_I16] = {SCALAR_SIGNED, 2},
    [META_U32] = {SCALAR_UNSIGNED, 4}, [META_I32] = {SCALAR_SIGNED, 4},
    [META_F32] = {SCALAR_FLOAT, 4},    [META_BOOL] = {SCALAR_BOOL, 1},
    [META_STRING] = {SCALAR_NONE, 0},  [META_ARRAY] = {SCALAR_NONE, 0},
    [META_U64] = {SCALAR_UNSIGNED, 8}, [META_I64] = {SCALAR_SIGNED, 8},
    [META_F64] = {SCALAR_FLOAT, 8},
};

static uint64_t unsigned_of(const struct metadata_value *value)
{
    uint8_t padded[8] = {0};
    memcpy(padded, value->bytes.data, scalars[value->type].n_bytes);
    return load_u64(padded);
}

static int64_t signed_of(const struct metadata_value *value)
{
    const uint64_t bits = unsigned_of(value);
    const uint64_t sign = (uint64_t)1 << (scalars[value->type].n_bytes * 8 - 1);
    return (int64_t)((bits ^ sign) - sign);
}

static double float_of(const struct metadata_value *value)
{
    const uint64_t bits = unsigned_of(value);
    if (value->type == META_F32) return (double)f32_from_bits((uint32_t)bits);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void print_scalar(const struct metadata_value *value, FILE *out)
{
    switch (scalars[value->type].kind) {
    case SCALAR_UNSIGNED: fprintf(out, "%llu", (unsigned long long)unsigned_of(value)); break;
    case SCALAR_SIGNED: fprintf(out, "%lld", (long long)signed_of(value)); break;
    case SCALAR_FLOAT:
        fprintf(out, "%.*g", value->type == META_F32 ? 9 : 17, float_of(value));
        break;
    case SCALAR_BOOL: fputs(value->bytes.data[0] ? "true" : "false", out); break;
    case SCALAR_NONE: break;
    }
}

static json_t *scalar_json(const struct metadata_value *value)
{
    switch (scalars[value->type].kind) {
    case SCALAR_UNSIGNED: return json_count(unsigned_of(value));
    case SCALAR_SIGNED: return json_integer((json_int_t)signed_of(value));
    case SCALAR_FLOAT: return json_number(float_of(value));
    case SCALAR_BOOL: return json_boolean(value->bytes.data[0]);
    case SCALAR_NONE: break;
    }
    return json_null();
}

/* ------------------------------------------------------------------ in words */

static void print_value(const struct metadata_value *value, FILE *out);

static void print_array(const struct metadata_value *array, FILE *out)
{
    struct cursor at = cursor_over(array->bytes.data, array->bytes.n_bytes);
    struct metadata_value element;
    const char *gap = "";
    fputc('[', out);
    while (metadata_element(&at, array->element_type, &element, NULL) == INGOT_OK) {
        fputs(gap, out);
        print_value(&element, out);
        gap = ", ";
    }
    fputc(']', out);
}

/* Arrays nest only so deep, which reading the entry proved. */
static void print_value(const struct metadata_value *value, FILE *out)
{
    if (value->type == META_ARRAY) {
        print_array(value, out);
    } else if (value->type == META_STRING) {
        fputc('"', out);
        fwrite(value->bytes.data, 1, (size_t)value->bytes.n_bytes, out);
        fputc('"', out);
    } else {
        print_scalar(value, out);
    }
}

/* Cuts between characters. */
static size_t cut_length(const char *text, size_t n_bytes, size_t max_bytes)
{
    if (max_bytes == 0 || n_bytes <= max_bytes) return n_bytes;
    size_t n = max_bytes;
    while (n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80) n--;
    return n;
}

static ingot_status print_entry(const char *key, uint32_t key_bytes,
                                const struct metadata_value *value, size_t max_bytes, FILE *out,
                                ingot_error *error)
{
    char *text = NULL;
    size_t n_bytes = 0;
    char *safe_key = NULL;
    char *safe_text = NULL;
    ingot_status status = INGOT_OK;
    FILE *memory = open_memstream(&text, &n_bytes);
    if (memory) {
        print_value(value, memory);
        fclose(memory);
    }
    const size_t n_shown = text ? cut_length(text, n_bytes, max_bytes) : 0;
    safe_key = text_safe(key, key_bytes);
    safe_text = text ? text_safe(text, n_shown) : NULL;
    if (!safe_key || !safe_text) {
        *error = (ingot_error){.status = INGOT_NO_MEMORY, .offset = INGOT_NO_OFFSET};
        status = INGOT_NO_MEMORY;
        goto done;
    }
    fprintf(out, "  %s (%s", safe_key, metadata_type_name(value->type));
    if (value->type == META_ARRAY) {
        fprintf(out, " of %s %s", text_count(value->count).at,
                metadata_type_name(value->element_type));
    }
    fprintf(out, "): %s", safe_text);
    if (n_shown < n_bytes) fprintf(out, "... (%s more)", text_bytes(n_bytes - n_shown).at);
    fputc('\n', out);
done:
    free(safe_text);
    free(safe_key);
    free(text);
    return status;
}

ingot_status describe_metadata(struct span blob, size_t max_bytes, FILE *out, ingot_error *error)
{
    struct metadata_walk walk;
    ingot_status status = metadata_open(blob, &walk, error);
    while (status == INGOT_OK) {
        const char *key = NULL;
        uint32_t key_bytes = 0;
        struct metadata_value value;
        status = metadata_next(&walk, &key, &key_bytes, &value, error);
        if (status == INGOT_END) return INGOT_OK;
        if (status == INGOT_OK) status = print_entry(key, key_bytes, &value, max_bytes, out, error);
    }
    return status;
}

/* ------------------------------------------------------------------ as JSON */

/* Puts "value" (and "value_hex"); an array's value is an array of such objects only where its
 * elements are not scalars. */
static void put_value(json_t *object, const struct metadata_value *value, bool *failed);

static json_t *array_json(const struct metadata_value *array, bool *failed)
{
    struct cursor at = cursor_over(array->bytes.data, array->bytes.n_bytes);
    struct metadata_value element;
    json_t *list = json_array();
    while (metadata_element(&at, array->element_type, &element, NULL) == INGOT_OK) {
        json_t *one = NULL;
        if (scalars[element.type].kind != SCALAR_NONE) {
            one = scalar_json(&element);
        } else {
            one = json_object();
            put_value(one, &element, failed);
        }
        json_add(list, one, failed);
    }
    return list;
}

static void put_value(json_t *object, const struct metadata_value *value, bool *failed)
{
    if (value->type == META_STRING) {
        json_put_bytes(object, "value", (const char *)value->bytes.data,
                       (size_t)value->bytes.n_bytes, failed);
    } else if (value->type == META_ARRAY) {
        json_put(object, "element_type", json_string(metadata_type_name(value->element_type)),
                 failed);
        json_put(object, "value", array_json(value, failed), failed);
    } else {
        json_put(object, "value", scalar_json(value), failed);
    }
}

ingot_status describe_metadata_json(struct span blob, json_t *array, bool *failed,
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
        json_t *one = json_object();
        json_put_bytes(one, "key", key, key_bytes, failed);
        json_put(one, "type", json_string(metadata_type_name(value.type)), failed);
        put_value(one, &value, failed);
        json_add(array, one, failed);
    }
    return status;
}

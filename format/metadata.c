/* The metadata blob, built and walked. */
#include "format/metadata.h"

#include "format/fail.h"
#include "format/rules.h"

static const struct {
    const char *name;
    uint8_t bytes; /* of a scalar; 0 for string and array */
} types[] = {
    [META_U8] = {"u8", 1},       [META_I8] = {"i8", 1},     [META_U16] = {"u16", 2},
    [META_I16] = {"i16", 2},     [META_U32] = {"u32", 4},   [META_I32] = {"i32", 4},
    [META_F32] = {"f32", 4},     [META_BOOL] = {"bool", 1}, [META_STRING] = {"string", 0},
    [META_ARRAY] = {"array", 0}, [META_U64] = {"u64", 8},   [META_I64] = {"i64", 8},
    [META_F64] = {"f64", 8},
};
enum { N_TYPES = sizeof types / sizeof *types };

const char *metadata_type_name(uint32_t type)
{
    return type < N_TYPES ? types[type].name : NULL;
}

uint32_t metadata_type_bytes(uint32_t type)
{
    return type < N_TYPES ? types[type].bytes : 0;
}

void metadata_begin(struct byte_buffer *out, uint64_t n_entries)
{
    buffer_u64(out, n_entries);
}

void metadata_put_string(struct byte_buffer *out, const char *key, uint32_t key_bytes,
                         const char *text, uint64_t text_bytes)
{
    buffer_u32(out, key_bytes);
    buffer_append(out, key, key_bytes);
    buffer_u32(out, META_STRING);
    buffer_u64(out, text_bytes);
    buffer_append(out, text, text_bytes);
}

/* Reads one value of a type; false when it is cut short, of an unknown type, or a bad bool. */
static bool read_value(struct cursor *at, uint32_t type, struct metadata_value *value)
{
    struct metadata_value v = {.type = type};
    if (type >= N_TYPES) return false;
    if (type == META_ARRAY) {
        v.element_type = cursor_u32(at);
        v.count = cursor_u64(at);
        v.bytes.n_bytes = cursor_u64(at);
    } else if (type == META_STRING) {
        v.bytes.n_bytes = cursor_u64(at);
    } else {
        v.bytes.n_bytes = types[type].bytes;
    }
    v.bytes.data = cursor_bytes(at, v.bytes.n_bytes);
    if (at->failed) return false;
    if (type == META_BOOL && v.bytes.data[0] > 1) return false;
    *value = v;
    return true;
}

/* Whether an array's elements fill its bytes exactly. */
static bool check_array(const struct metadata_value *array, uint32_t depth)
{
    if (depth > METADATA_MAX_NESTING || array->element_type >= N_TYPES) return false;
    const uint8_t scalar_bytes = types[array->element_type].bytes;
    uint64_t n_bytes;
    if (scalar_bytes && array->element_type != META_BOOL) {
        return mul_u64(array->count, scalar_bytes, &n_bytes) && n_bytes == array->bytes.n_bytes;
    }
    struct cursor at = cursor_over(array->bytes.data, array->bytes.n_bytes);
    for (uint64_t i = 0; i < array->count; i++) {
        struct metadata_value element;
        if (!read_value(&at, array->element_type, &element)) return false;
        if (element.type == META_ARRAY && !check_array(&element, depth + 1)) return false;
    }
    return cursor_left(&at) == 0;
}

ingot_status metadata_open(struct span blob, struct metadata_walk *walk, ingot_error *error)
{
    struct cursor at = cursor_over(blob.data, blob.n_bytes);
    const uint64_t n_entries = cursor_u64(&at);
    if (at.failed) return ingot_fail_rule(error, R_710, 0, "metadata", "shorter than its head");
    *walk = (struct metadata_walk){at, n_entries};
    return INGOT_OK;
}

ingot_status metadata_next(struct metadata_walk *walk, const char **key, uint32_t *key_bytes,
                           struct metadata_value *value, ingot_error *error)
{
    struct cursor at = walk->at;
    if (walk->left == 0) {
        if (cursor_left(&at) == 0) return INGOT_END;
        return ingot_fail_rule(error, R_710, at.offset, "metadata", "bytes after the last entry");
    }
    const uint32_t n = cursor_u32(&at);
    const char *text = (const char *)cursor_bytes(&at, n);
    const uint32_t type = cursor_u32(&at);
    struct metadata_value v;
    if (at.failed) {
        return ingot_fail_rule(error, R_710, walk->at.offset, "metadata.key", "cut short");
    }
    if (n > METADATA_MAX_KEY_BYTES) {
        return ingot_fail_rule(error, R_711, walk->at.offset, "metadata.key", "%u bytes long", n);
    }
    if (!read_value(&at, type, &v)) {
        return ingot_fail_rule(error, R_710, walk->at.offset, "metadata.value",
                               "cut short, or of unknown type %u", type);
    }
    if (type == META_ARRAY && !check_array(&v, 1)) {
        return ingot_fail_rule(error, R_712, walk->at.offset, "metadata.array",
                               "its elements do not fill its bytes, or it nests too deep");
    }
    *walk = (struct metadata_walk){at, walk->left - 1};
    *key = text;
    *key_bytes = n;
    *value = v;
    return INGOT_OK;
}

ingot_status metadata_element(struct cursor *at, uint32_t element_type,
                              struct metadata_value *value, ingot_error *error)
{
    if (cursor_left(at) == 0) return INGOT_END;
    if (!read_value(at, element_type, value)) {
        return ingot_fail_rule(error, R_712, at->offset, "metadata.array", "element cut short");
    }
    return INGOT_OK;
}

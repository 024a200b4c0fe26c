/* Metadata of GGUF files: proved where it lies, then copied to a metadata blob. */
#include <stdio.h>

#include "convert/gguf_cursor.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/metadata.h"

enum { ARRAY_HEAD_BYTES = 20, DEFAULT_FILE_ALIGNMENT = 32 };

/* ------------------------------------------------------------------ proving */

static ingot_status check_bools(const struct gguf_cursor *c, uint64_t n, const char *field)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t v = c->head.data[c->offset + i];
        if (v <= 1) continue;
        return ingot_fail(c->error, INGOT_INVALID, c->offset + i, field, "a bool that is %u", v);
    }
    return INGOT_OK;
}

static ingot_status check_scalars(struct gguf_cursor *c, uint32_t type, uint64_t count,
                                  const char *field, uint64_t *blob_bytes)
{
    uint64_t n_bytes;
    if (!mul_u64(count, metadata_type_bytes(type), &n_bytes)) n_bytes = UINT64_MAX;
    ingot_status status = gguf_need(c, n_bytes, field);
    if (status == INGOT_OK && type == META_BOOL) status = check_bools(c, n_bytes, field);
    if (status != INGOT_OK) return status;
    c->offset += n_bytes;
    *blob_bytes += n_bytes;
    return INGOT_OK;
}

static ingot_status check_string(struct gguf_cursor *c, const char *field, uint64_t *blob_bytes)
{
    struct span text;
    const ingot_status status = gguf_read_string(c, field, &text);
    if (status == INGOT_OK) *blob_bytes += 8 + text.n_bytes;
    return status;
}

static ingot_status check_type(const struct gguf_cursor *c, uint32_t type, const char *field)
{
    if (metadata_type_name(type) != NULL) return INGOT_OK;
    return ingot_fail(c->error, INGOT_INVALID, c->offset - 4, field, "unknown value type %u", type);
}

/* An array at a depth of nesting, which bounds the recursion. */
static ingot_status check_array(struct gguf_cursor *c, uint32_t depth, const char *field,
                                uint64_t *blob_bytes)
{
    const uint64_t at = c->offset;
    uint32_t type = 0;
    uint64_t count = 0;
    if (depth > METADATA_MAX_NESTING) {
        return ingot_fail(c->error, INGOT_UNSUPPORTED, at, field,
                          "arrays in arrays more than %d deep", METADATA_MAX_NESTING);
    }
    ingot_status status = gguf_read_u32(c, field, &type);
    if (status == INGOT_OK) status = check_type(c, type, field);
    if (status == INGOT_OK) status = gguf_read_length(c, field, &count);
    if (status != INGOT_OK) return status;
    *blob_bytes += ARRAY_HEAD_BYTES;
    if (metadata_type_bytes(type)) return check_scalars(c, type, count, field, blob_bytes);
    /* The least that each element takes: its length, or its own type and count. */
    const uint64_t least = c->encoding.length_bytes + (type == META_ARRAY ? 4u : 0u);
    if (count > (c->file_bytes - c->offset) / least) {
        return ingot_fail(c->error, INGOT_INVALID, at, field,
                          "%llu elements, for which the file has no room",
                          (unsigned long long)count);
    }
    for (uint64_t i = 0; i < count && status == INGOT_OK; i++) {
        status = type == META_STRING ? check_string(c, field, blob_bytes)
                                     : check_array(c, depth + 1, field, blob_bytes);
    }
    return status;
}

ingot_status gguf_check_entry(struct gguf_cursor *c, uint64_t *blob_bytes)
{
    const uint64_t at = c->offset;
    struct span key;
    uint32_t type = 0;
    char field[NAME_SHOWN_BYTES + 16];
    ingot_status status = gguf_read_string(c, "metadata.key", &key);
    if (status != INGOT_OK) return status;
    if (key.n_bytes == 0 || key.n_bytes > METADATA_MAX_KEY_BYTES) {
        return ingot_fail(c->error, INGOT_INVALID, at, "metadata.key",
                          key.n_bytes ? "%llu bytes long" : "empty",
                          (unsigned long long)key.n_bytes);
    }
    snprintf(field, sizeof field, "metadata.%s",
             name_shown((const char *)key.data, key.n_bytes).text);
    status = gguf_read_u32(c, field, &type);
    if (status == INGOT_OK) status = check_type(c, type, field);
    if (status != INGOT_OK) return status;
    *blob_bytes += 8 + key.n_bytes;
    if (type == META_ARRAY) return check_array(c, 1, field, blob_bytes);
    if (type == META_STRING) return check_string(c, field, blob_bytes);
    return check_scalars(c, type, 1, field, blob_bytes);
}

/* ------------------------------------------------------------------ copying */

static void copy_scalars(struct gguf_cursor *c, uint32_t type, uint64_t count,
                         struct byte_buffer *blob)
{
    const uint32_t bytes = metadata_type_bytes(type);
    const uint64_t at = blob->n_bytes;
    buffer_append(blob, gguf_take(c, count * bytes), count * bytes);
    if (c->encoding.big_endian && !blob->failed) {
        swap_elements(blob->data + at, count * bytes, bytes);
    }
}

static void copy_string(struct gguf_cursor *c, struct byte_buffer *blob)
{
    const uint64_t n_bytes = gguf_take_length(c);
    buffer_u64(blob, n_bytes);
    buffer_append(blob, gguf_take(c, n_bytes), n_bytes);
}

static void copy_array(struct gguf_cursor *c, struct byte_buffer *blob)
{
    const uint32_t type = gguf_take_u32(c);
    const uint64_t count = gguf_take_length(c);
    const uint64_t at = blob->n_bytes;
    buffer_u32(blob, type);
    buffer_u64(blob, count);
    buffer_u64(blob, 0);
    if (metadata_type_bytes(type)) copy_scalars(c, type, count, blob);
    for (uint64_t i = 0; type == META_STRING && i < count; i++) copy_string(c, blob);
    for (uint64_t i = 0; type == META_ARRAY && i < count; i++) copy_array(c, blob);
    if (!blob->failed) store_u64(blob->data + at + 12, blob->n_bytes - at - ARRAY_HEAD_BYTES);
}

void gguf_copy_entry(struct gguf_cursor *c, struct byte_buffer *blob)
{
    const uint64_t key_bytes = gguf_take_length(c);
    buffer_u32(blob, (uint32_t)key_bytes);
    buffer_append(blob, gguf_take(c, key_bytes), key_bytes);
    const uint32_t type = gguf_take_u32(c);
    buffer_u32(blob, type);
    if (type == META_ARRAY) {
        copy_array(c, blob);
    } else if (type == META_STRING) {
        copy_string(c, blob);
    } else {
        copy_scalars(c, type, 1, blob);
    }
}

/* ------------------------------------------------------------------ what the parser heeds */

/* A value of any integer type that is not negative. */
static bool whole_number(const struct metadata_value *value, uint64_t *v)
{
    static const bool is_signed[] = {
        [META_I8] = true, [META_I16] = true, [META_I32] = true, [META_I64] = true};
    uint8_t bytes[8] = {0};
    const uint64_t n = value->bytes.n_bytes;
    if (value->type > META_I64 || value->type == META_F32 || value->type == META_BOOL ||
        metadata_type_bytes(value->type) == 0) {
        return false;
    }
    if (is_signed[value->type] && (value->bytes.data[n - 1] & 0x80)) return false;
    memcpy(bytes, value->bytes.data, (size_t)n);
    *v = load_u64(bytes);
    return true;
}

static ingot_status heed_alignment(struct gguf *g, const struct metadata_value *value,
                                   uint64_t offset, ingot_error *error)
{
    uint64_t v = 0;
    const char *type = metadata_type_name(value->type);
    if (value->type != META_U32) {
        return ingot_fail(error, INGOT_INVALID, offset, "metadata.general.alignment",
                          "of type %s, not u32", type);
    }
    whole_number(value, &v);
    if (v == 0 || (v & (v - 1)) != 0) {
        return ingot_fail(error, INGOT_INVALID, offset, "metadata.general.alignment",
                          "%llu is not a power of two", (unsigned long long)v);
    }
    g->alignment = v;
    return INGOT_OK;
}

static ingot_status heed_whole(const struct metadata_value *value, const char *key, uint64_t offset,
                               uint64_t *v, ingot_error *error)
{
    if (whole_number(value, v)) return INGOT_OK;
    return ingot_fail(error, INGOT_INVALID, offset, key, "not a whole number");
}

static ingot_status heed_split_number(struct gguf *g, const struct metadata_value *value,
                                      uint64_t offset, ingot_error *error)
{
    return heed_whole(value, "metadata.split.no", offset, &g->split.number, error);
}

static ingot_status heed_split_count(struct gguf *g, const struct metadata_value *value,
                                     uint64_t offset, ingot_error *error)
{
    const ingot_status status =
        heed_whole(value, "metadata.split.count", offset, &g->split.count, error);
    g->split.found = g->split.count > 1;
    return status;
}

static ingot_status heed_split_tensors(struct gguf *g, const struct metadata_value *value,
                                       uint64_t offset, ingot_error *error)
{
    g->split.has_tensor_count = true;
    return heed_whole(value, "metadata.split.tensors.count", offset, &g->split.tensor_count, error);
}

static const struct {
    const char *key;
    bool split;
    ingot_status (*heed)(struct gguf *g, const struct metadata_value *value, uint64_t offset,
                         ingot_error *error);
} heeded[] = {
    {"general.alignment", false, heed_alignment},
    {"split.no", true, heed_split_number},
    {"split.count", true, heed_split_count},
    {"split.tensors.count", true, heed_split_tensors},
};
enum { N_HEEDED = sizeof heeded / sizeof *heeded };

static bool key_is(uint32_t i, const char *key, uint32_t key_bytes)
{
    return strlen(heeded[i].key) == key_bytes && memcmp(heeded[i].key, key, key_bytes) == 0;
}

bool gguf_is_split_key(const char *key, uint32_t key_bytes)
{
    for (uint32_t i = 0; i < N_HEEDED; i++) {
        if (heeded[i].split && key_is(i, key, key_bytes)) return true;
    }
    return false;
}

static ingot_status list_keys(struct gguf *g, struct span blob, struct name_ref *keys,
                              ingot_error *error)
{
    struct metadata_walk walk;
    ingot_status status = metadata_open(blob, &walk, error);
    for (uint32_t k = 0; k < g->n_entries && status == INGOT_OK; k++) {
        struct metadata_value value;
        keys[k].index = k;
        status = metadata_next(&walk, &keys[k].text, &keys[k].n_bytes, &value, error);
        for (uint32_t i = 0; i < N_HEEDED && status == INGOT_OK; i++) {
            if (!key_is(i, keys[k].text, keys[k].n_bytes)) continue;
            status = heeded[i].heed(g, &value, g->entry_offsets[k], error);
        }
    }
    return status;
}

/* A key may be there again with the value that it has: nothing is in doubt then. */
static ingot_status check_keys(struct gguf *g, const struct metadata_list *list,
                               const struct name_ref *keys, ingot_error *error)
{
    for (uint32_t i = 1; i < g->n_entries; i++) {
        const uint64_t *a = list->offsets + keys[i - 1].index;
        const uint64_t *b = list->offsets + keys[i].index;
        if (keys[i].n_bytes != keys[i - 1].n_bytes ||
            memcmp(keys[i].text, keys[i - 1].text, keys[i].n_bytes) != 0) {
            continue;
        }
        if (a[1] - a[0] == b[1] - b[0] &&
            memcmp(list->blob.data + *a, list->blob.data + *b, (size_t)(b[1] - b[0])) == 0) {
            g->n_repeated++;
            continue;
        }
        return ingot_fail(error, INGOT_INVALID, g->entry_offsets[keys[i].index], "metadata.key",
                          "'%s' is there twice, with different values",
                          name_shown(keys[i].text, keys[i].n_bytes).text);
    }
    return INGOT_OK;
}

ingot_status gguf_heed_metadata(struct gguf *g, ingot_error *error)
{
    const struct span blob = {g->metadata.data, g->metadata.n_bytes};
    struct metadata_list list = {0};
    ingot_status status = INGOT_OK;
    g->alignment = DEFAULT_FILE_ALIGNMENT;
    struct name_ref *keys = ingot_allocate_zeroed(g->allocator, g->n_entries, sizeof *keys);
    if (keys == NULL) return ingot_fail_memory(error, g->n_entries * sizeof *keys, "metadata");
    status = list_keys(g, blob, keys, error);
    if (status == INGOT_OK) status = metadata_list_open(blob, g->allocator, &list, error);
    if (status != INGOT_OK) goto done;
    names_sort(keys, g->n_entries);
    status = check_keys(g, &list, keys, error);
    metadata_list_close(&list);
done:
    ingot_release(g->allocator, keys);
    return status;
}

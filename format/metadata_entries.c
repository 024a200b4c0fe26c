/* The metadata of a file as values: read once, then found by number or by key. */
#include <assert.h>
#include <stdio.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/floats.h"
#include "format/intern.h"
#include "format/metadata.h"
#include "format/rules.h"

struct ingot_metadata {
    const ingot_allocator *allocator;
    uint8_t *bytes; /* the blob */
    uint64_t n_bytes;
    uint64_t n_entries;
    uint64_t *offsets; /* of each entry, in the blob */
};

/* ---- values ---- */

static uint64_t load_unsigned(const uint8_t *bytes, uint64_t n_bytes)
{
    uint64_t v = 0;
    for (uint64_t i = n_bytes; i-- > 0;) v = v << 8 | bytes[i];
    return v;
}

static void set_unsigned(struct span bytes, ingot_value *value)
{
    value->u = load_unsigned(bytes.data, bytes.n_bytes);
}

static void set_signed(struct span bytes, ingot_value *value)
{
    const uint32_t shift = (uint32_t)(64 - 8 * bytes.n_bytes);
    const uint64_t high = load_unsigned(bytes.data, bytes.n_bytes) << shift;
    /* Shifted down again with copies of the sign. */
    value->i = high >> 63 ? ~(int64_t)(~high >> shift) : (int64_t)(high >> shift);
}

static void set_f32(struct span bytes, ingot_value *value)
{
    value->f = (double)f32_from_bits(load_u32(bytes.data));
}

static void set_f64(struct span bytes, ingot_value *value)
{
    const uint64_t bits = load_u64(bytes.data);
    memcpy(&value->f, &bits, sizeof value->f);
}

static void set_text(struct span bytes, ingot_value *value)
{
    value->data = bytes.data;
    value->n_bytes = bytes.n_bytes;
}

static void (*const setters[])(struct span bytes, ingot_value *value) = {
    [META_U8] = set_unsigned, [META_I8] = set_signed,     [META_U16] = set_unsigned,
    [META_I16] = set_signed,  [META_U32] = set_unsigned,  [META_I32] = set_signed,
    [META_F32] = set_f32,     [META_BOOL] = set_unsigned, [META_STRING] = set_text,
    [META_ARRAY] = set_text,  [META_U64] = set_unsigned,  [META_I64] = set_signed,
    [META_F64] = set_f64,
};

static ingot_value value_of(const struct metadata_value *from)
{
    ingot_value value = {.type = (ingot_value_type)from->type,
                         .element_type = (ingot_value_type)from->element_type,
                         .n_elements = from->count};
    setters[from->type](from->bytes, &value);
    return value;
}

ingot_status ingot_value_next(const ingot_value *array, uint64_t *offset, ingot_value *element)
{
    struct cursor at = cursor_over(array->data, array->n_bytes);
    struct metadata_value v;
    if (*offset >= array->n_bytes) return INGOT_END;
    at.offset = *offset;
    const ingot_status status = metadata_element(&at, array->element_type, &v, NULL);
    if (status != INGOT_OK) return status;
    *offset = at.offset;
    *element = value_of(&v);
    return INGOT_OK;
}

/* ---- reading ---- */

/* Walks the blob to its end, and notes where each entry begins when there is room for it. */
static ingot_status walk_entries(struct ingot_metadata *m, struct intern *keys, ingot_error *error)
{
    struct metadata_walk walk;
    uint64_t n = 0;
    ingot_status status = metadata_open((struct span){m->bytes, m->n_bytes}, &walk, error);
    while (status == INGOT_OK) {
        const char *key;
        uint32_t key_bytes, number = 0;
        struct metadata_value value;
        bool found = false;
        const uint64_t offset = walk.at.offset;
        status = metadata_next(&walk, &key, &key_bytes, &value, error);
        if (status != INGOT_OK) break;
        if (m->offsets) m->offsets[n] = offset;
        n++;
        if (keys) status = intern(keys, key, key_bytes, &number, &found, error);
        if (found) {
            status = ingot_fail_rule(error, R_711, offset, "metadata.key", "%.*s stands twice",
                                     (int)min_u64(key_bytes, 80), key);
        }
    }
    m->n_entries = n;
    return status == INGOT_END ? INGOT_OK : status;
}

static ingot_status read_entries(struct ingot_metadata *m, const ingot_file *file, uint32_t blob,
                                 ingot_error *error)
{
    struct intern keys = {.allocator = m->allocator};
    ingot_blob info;
    ingot_file_blob(file, blob, &info);
    m->n_bytes = info.n_bytes;
    m->bytes = ingot_allocate(m->allocator, info.n_bytes);
    if (m->bytes == NULL) return ingot_fail_memory(error, info.n_bytes, "metadata");
    ingot_status status = ingot_file_read_blob(file, blob, 0, info.n_bytes, m->bytes, error);
    if (status == INGOT_OK) status = walk_entries(m, &keys, error);
    intern_release(&keys);
    if (status != INGOT_OK) return status;
    m->offsets = ingot_allocate_zeroed(m->allocator, m->n_entries, sizeof *m->offsets);
    if (m->offsets == NULL) return ingot_fail_memory(error, m->n_entries * 8, "metadata");
    return walk_entries(m, NULL, error);
}

ingot_status ingot_metadata_open(const ingot_file *file, ingot_metadata **metadata,
                                 ingot_error *error)
{
    struct ingot_metadata *m = ingot_allocate_zeroed(file->allocator, 1, sizeof *m);
    if (m == NULL) return ingot_fail_memory(error, sizeof *m, "metadata");
    m->allocator = file->allocator;
    const uint32_t blob = ingot_file_find_blob(file, INGOT_BLOB_METADATA, "", 0);
    const ingot_status status = blob == INGOT_NONE ? INGOT_OK : read_entries(m, file, blob, error);
    if (status != INGOT_OK) {
        ingot_metadata_close(m);
        return status;
    }
    *metadata = m;
    return INGOT_OK;
}

void ingot_metadata_close(ingot_metadata *metadata)
{
    if (metadata == NULL) return;
    ingot_release(metadata->allocator, metadata->offsets);
    ingot_release(metadata->allocator, metadata->bytes);
    ingot_release(metadata->allocator, metadata);
}

uint64_t ingot_metadata_n_entries(const ingot_metadata *metadata)
{
    return metadata->n_entries;
}

void ingot_metadata_entry(const ingot_metadata *metadata, uint64_t index, const char **key,
                          uint32_t *key_bytes, ingot_value *value)
{
    assert(index < metadata->n_entries);
    struct metadata_walk walk = {cursor_over(metadata->bytes, metadata->n_bytes), 1};
    struct metadata_value v;
    walk.at.offset = metadata->offsets[index];
    metadata_next(&walk, key, key_bytes, &v, NULL); /* it was proved when it was opened */
    *value = value_of(&v);
}

ingot_status ingot_metadata_find(const ingot_metadata *metadata, const char *key, size_t key_bytes,
                                 ingot_value *value)
{
    for (uint64_t i = 0; i < metadata->n_entries; i++) {
        struct cursor at = cursor_over(metadata->bytes, metadata->n_bytes);
        at.offset = metadata->offsets[i];
        const uint32_t n = cursor_u32(&at);
        const uint8_t *text = cursor_bytes(&at, n);
        if (n != key_bytes || (n > 0 && memcmp(text, key, n) != 0)) continue;
        const char *same_key;
        uint32_t same_bytes;
        ingot_metadata_entry(metadata, i, &same_key, &same_bytes, value);
        return INGOT_OK;
    }
    return INGOT_NOT_FOUND;
}

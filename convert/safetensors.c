/* Proves safetensors headers. Errors name the tensor, the key and the offset in the file. */
#include "convert/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

#include "format/json.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/metadata.h"

enum { MAX_NAME_BYTES = 65536, MAX_KEY_BYTES = 65535 };

/* In the order that the format's own writer sorts by. */
static const struct {
    const char *name;
    ingot_dtype dtype;
} dtype_names[] = {
    {"BOOL", INGOT_BOOL},
    {"F4", INGOT_F4_E2M1},
    {"F6_E2M3", INGOT_F6_E2M3},
    {"F6_E3M2", INGOT_F6_E3M2},
    {"U8", INGOT_U8},
    {"I8", INGOT_I8},
    {"F8_E5M2", INGOT_F8_E5M2},
    {"F8_E4M3", INGOT_F8_E4M3},
    {"F8_E8M0", INGOT_F8_E8M0},
    {"F8_E4M3FNUZ", INGOT_F8_E4M3FNUZ},
    {"F8_E5M2FNUZ", INGOT_F8_E5M2FNUZ},
    {"I16", INGOT_I16},
    {"U16", INGOT_U16},
    {"F16", INGOT_F16},
    {"BF16", INGOT_BF16},
    {"I32", INGOT_I32},
    {"U32", INGOT_U32},
    {"F32", INGOT_F32},
    {"C64", INGOT_C64},
    {"F64", INGOT_F64},
    {"I64", INGOT_I64},
    {"U64", INGOT_U64},
};
enum { N_DTYPES = sizeof dtype_names / sizeof *dtype_names };

uint8_t safetensors_dtype_order(ingot_dtype dtype)
{
    uint8_t i = 0;
    while (i < N_DTYPES && dtype_names[i].dtype != dtype) i++;
    return i;
}

const char *safetensors_dtype_name(ingot_dtype dtype)
{
    const uint8_t order = safetensors_dtype_order(dtype);
    return order < N_DTYPES ? dtype_names[order].name : NULL;
}

struct parser {
    struct json_pull pull;
    struct safetensors *st;
    uint64_t data_bytes;
    bool has_metadata;
    ingot_error *error;
};

/* The first failure of a tensor's entry: "NAME.key". */
static ingot_status fail_entry(const struct parser *p, const struct safetensors_entry *entry,
                               const char *key, ingot_status status, uint64_t offset,
                               const char *what)
{
    const char *name = (const char *)p->st->names.data + entry->name_offset;
    char field[96];
    snprintf(field, sizeof field, "%s%s%s", name_shown(name, entry->name_bytes).text,
             *key ? "." : "", key);
    return ingot_fail(p->error, status, offset, field, "%s", what);
}

/* ------------------------------------------------------------------ one entry */

static ingot_status read_dtype(struct parser *p, struct safetensors_entry *entry)
{
    struct json_event event;
    const ingot_status status = json_pull_next(&p->pull, &event, p->error);
    if (status != INGOT_OK) return status;
    if (event.kind != JSON_KIND_STRING) {
        return fail_entry(p, entry, "dtype", INGOT_INVALID, event.offset, "not a string");
    }
    for (uint32_t i = 0; i < N_DTYPES; i++) {
        if (!json_event_is(&event, dtype_names[i].name)) continue;
        entry->dtype = (uint8_t)dtype_names[i].dtype;
        return INGOT_OK;
    }
    char what[128];
    const struct shown_name shown = name_shown((const char *)event.text.data, event.text.n_bytes);
    snprintf(what, sizeof what, "unknown type '%s'", shown.text);
    return fail_entry(p, entry, "dtype", INGOT_UNSUPPORTED, event.offset, what);
}

/* Reads an array of at most `most` integers; too_many is the status for more. */
static ingot_status read_integers(struct parser *p, const struct safetensors_entry *entry,
                                  const char *key, uint32_t most, ingot_status too_many,
                                  uint64_t *numbers, uint32_t *n)
{
    struct json_event event;
    uint32_t found = 0;
    ingot_status status = json_pull_next(&p->pull, &event, p->error);
    if (status != INGOT_OK) return status;
    if (event.kind != JSON_KIND_ARRAY) {
        return fail_entry(p, entry, key, INGOT_INVALID, event.offset, "not an array");
    }
    for (;;) {
        status = json_pull_next(&p->pull, &event, p->error);
        if (status != INGOT_OK) return status;
        if (event.kind == JSON_KIND_ARRAY_END) break;
        if (found == most) {
            char what[64];
            snprintf(what, sizeof what, "more than %u numbers", most);
            return fail_entry(p, entry, key, too_many, event.offset, what);
        }
        if (!json_event_u64(&event, &numbers[found])) {
            return fail_entry(p, entry, key, INGOT_INVALID, event.offset,
                              "not an integer from 0 to 2^64 - 1");
        }
        found++;
    }
    *n = found;
    return INGOT_OK;
}

static ingot_status read_shape(struct parser *p, struct safetensors_entry *entry)
{
    uint32_t rank;
    const ingot_status status =
        read_integers(p, entry, "shape", INGOT_MAX_RANK, INGOT_UNSUPPORTED, entry->dims, &rank);
    if (status == INGOT_OK) entry->rank = (uint8_t)rank;
    return status;
}

static ingot_status read_offsets(struct parser *p, struct safetensors_entry *entry)
{
    uint64_t numbers[2];
    uint32_t n;
    const uint64_t offset = p->pull.first_offset + p->pull.at;
    const ingot_status status =
        read_integers(p, entry, "data_offsets", 2, INGOT_INVALID, numbers, &n);
    if (status != INGOT_OK) return status;
    if (n != 2) {
        return fail_entry(p, entry, "data_offsets", INGOT_INVALID, offset, "not two numbers");
    }
    entry->begin = numbers[0];
    entry->end = numbers[1];
    return INGOT_OK;
}

static const struct {
    const char *name;
    ingot_status (*read)(struct parser *p, struct safetensors_entry *entry);
} entry_keys[] = {{"dtype", read_dtype}, {"shape", read_shape}, {"data_offsets", read_offsets}};
enum { N_ENTRY_KEYS = sizeof entry_keys / sizeof *entry_keys };

/* Whether type, shape and offsets of an entry agree with each other and with the data. */
static ingot_status check_entry(const struct parser *p, const struct safetensors_entry *entry,
                                uint64_t offset)
{
    uint64_t n = 1;      /* elements */
    uint64_t n_cube = 1; /* the same with dimensions of 0 counted as 1: the format's limit */
    for (uint32_t i = 0; i < entry->rank; i++) {
        n = entry->dims[i] == 0 ? 0 : n;
        if (!mul_u64(n_cube, max_u64(entry->dims[i], 1), &n_cube) || n_cube >= 1ull << 57) {
            return fail_entry(p, entry, "shape", INGOT_INVALID, offset,
                              "the product of its dimensions is 2^57 or more");
        }
    }
    const uint64_t n_bits = n * n_cube * ingot_dtype_bits((ingot_dtype)entry->dtype);
    if (n_bits % 8 != 0) {
        return fail_entry(p, entry, "shape", INGOT_INVALID, offset,
                          "its bits do not fill whole bytes");
    }
    if (entry->begin > entry->end) {
        return fail_entry(p, entry, "data_offsets", INGOT_INVALID, offset, "ends before it begins");
    }
    if (entry->end > p->data_bytes) {
        return fail_entry(p, entry, "data_offsets", INGOT_INVALID, offset,
                          "ends after the end of the file");
    }
    if (entry->end - entry->begin != n_bits / 8) {
        return fail_entry(p, entry, "data_offsets", INGOT_INVALID, offset,
                          "not as many bytes as type and shape say");
    }
    return INGOT_OK;
}

static ingot_status read_entry_key(struct parser *p, struct safetensors_entry *entry,
                                   const struct json_event *key, bool seen[N_ENTRY_KEYS])
{
    for (uint32_t i = 0; i < N_ENTRY_KEYS; i++) {
        if (!json_event_is(key, entry_keys[i].name)) continue;
        if (seen[i]) {
            return fail_entry(p, entry, entry_keys[i].name, INGOT_INVALID, key->offset,
                              "it is there twice");
        }
        seen[i] = true;
        return entry_keys[i].read(p, entry);
    }
    const struct shown_name shown = name_shown((const char *)key->text.data, key->text.n_bytes);
    return fail_entry(p, entry, shown.text, INGOT_UNSUPPORTED, key->offset, "an unknown key");
}

static ingot_status add_name(struct parser *p, const struct json_event *key,
                             struct safetensors_entry *entry)
{
    struct byte_buffer *names = &p->st->names;
    if (key->text_bytes > MAX_NAME_BYTES) {
        return ingot_fail(p->error, INGOT_UNSUPPORTED, key->offset, "tensor name",
                          "%llu bytes long; %d are the most", (unsigned long long)key->text_bytes,
                          MAX_NAME_BYTES);
    }
    char *text = ingot_allocate(p->st->allocator, key->text_bytes);
    if (text == NULL) return ingot_fail_memory(p->error, key->text_bytes, "tensor name");
    json_event_text(key, text);
    entry->name_offset = names->n_bytes;
    entry->name_bytes = (uint32_t)key->text_bytes;
    buffer_append(names, text, key->text_bytes);
    buffer_u8(names, 0);
    ingot_release(p->st->allocator, text);
    return names->failed ? ingot_fail_memory(p->error, key->text_bytes, "tensor names") : INGOT_OK;
}

static ingot_status read_entry(struct parser *p, const struct json_event *name)
{
    struct safetensors_entry entry = {0};
    struct json_event event;
    bool seen[N_ENTRY_KEYS] = {false};
    ingot_status status = add_name(p, name, &entry);
    if (status == INGOT_OK) status = json_pull_next(&p->pull, &event, p->error);
    if (status != INGOT_OK) return status;
    const uint64_t offset = event.offset;
    if (event.kind != JSON_KIND_OBJECT) {
        return fail_entry(p, &entry, "", INGOT_INVALID, offset, "not an object");
    }
    for (;;) {
        status = json_pull_next(&p->pull, &event, p->error);
        if (status != INGOT_OK) return status;
        if (event.kind == JSON_KIND_OBJECT_END) break;
        status = read_entry_key(p, &entry, &event, seen);
        if (status != INGOT_OK) return status;
    }
    for (uint32_t i = 0; i < N_ENTRY_KEYS; i++) {
        if (seen[i]) continue;
        return fail_entry(p, &entry, entry_keys[i].name, INGOT_INVALID, offset, "it is missing");
    }
    status = check_entry(p, &entry, offset);
    if (status != INGOT_OK) return status;
    buffer_append(&p->st->entries, &entry, sizeof entry);
    p->st->n_entries++;
    if (p->st->entries.failed) return ingot_fail_memory(p->error, sizeof entry, "tensor list");
    return INGOT_OK;
}

/* ------------------------------------------------------------------ metadata */

static ingot_status add_metadata(struct parser *p, const struct json_event *key,
                                 const struct json_event *value)
{
    struct byte_buffer *out = &p->st->metadata;
    ingot_status status = INGOT_OK;
    const uint64_t n_bytes = key->text_bytes + value->text_bytes;
    if (key->text_bytes > MAX_KEY_BYTES) {
        return ingot_fail(p->error, INGOT_UNSUPPORTED, key->offset, "__metadata__",
                          "a key of %llu bytes; %d are the most",
                          (unsigned long long)key->text_bytes, MAX_KEY_BYTES);
    }
    char *text = ingot_allocate(p->st->allocator, n_bytes);
    if (text == NULL) return ingot_fail_memory(p->error, n_bytes, "__metadata__");
    json_event_text(key, text);
    json_event_text(value, text + key->text_bytes);
    metadata_put_string(out, text, (uint32_t)key->text_bytes, text + key->text_bytes,
                        value->text_bytes);
    if (out->failed) status = ingot_fail_memory(p->error, n_bytes, "__metadata__");
    ingot_release(p->st->allocator, text);
    return status;
}

/* Refuses a key that is there twice. */
static ingot_status check_metadata(struct parser *p, uint64_t n_keys, uint64_t offset)
{
    struct metadata_walk walk;
    struct metadata_value value;
    ingot_status status = INGOT_OK;
    struct name_ref *keys = ingot_allocate_zeroed(p->st->allocator, n_keys, sizeof *keys);
    if (keys == NULL) return ingot_fail_memory(p->error, n_keys * sizeof *keys, "__metadata__");
    const struct span blob = {p->st->metadata.data, p->st->metadata.n_bytes};
    status = metadata_open(blob, &walk, p->error);
    for (uint64_t i = 0; i < n_keys && status == INGOT_OK; i++) {
        keys[i].index = (uint32_t)i;
        status = metadata_next(&walk, &keys[i].text, &keys[i].n_bytes, &value, p->error);
    }
    if (status != INGOT_OK) goto done;
    names_sort(keys, n_keys);
    const uint64_t at = names_duplicate(keys, n_keys);
    if (at != 0) {
        status = ingot_fail(p->error, INGOT_INVALID, offset, "__metadata__",
                            "the key '%s' is there twice",
                            name_shown(keys[at].text, keys[at].n_bytes).text);
    }
done:
    ingot_release(p->st->allocator, keys);
    return status;
}

static ingot_status read_metadata(struct parser *p, const struct json_event *name)
{
    struct json_event key, value;
    uint64_t n_keys = 0;
    if (p->has_metadata) {
        return ingot_fail(p->error, INGOT_INVALID, name->offset, "__metadata__",
                          "it is there twice");
    }
    p->has_metadata = true;
    ingot_status status = json_pull_next(&p->pull, &value, p->error);
    if (status != INGOT_OK || value.kind == JSON_KIND_NULL) return status;
    if (value.kind != JSON_KIND_OBJECT) {
        return ingot_fail(p->error, INGOT_INVALID, value.offset, "__metadata__", "not an object");
    }
    /* As much as the text that is left: growing step by step would hold the half twice. */
    buffer_reserve(&p->st->metadata, p->pull.text.n_bytes - p->pull.at);
    for (;;) {
        status = json_pull_next(&p->pull, &key, p->error);
        if (status != INGOT_OK) return status;
        if (key.kind == JSON_KIND_OBJECT_END) break;
        status = json_pull_next(&p->pull, &value, p->error);
        if (status != INGOT_OK) return status;
        if (value.kind != JSON_KIND_STRING) {
            return ingot_fail(p->error, INGOT_INVALID, value.offset, "__metadata__",
                              "a value that is not a string");
        }
        status = add_metadata(p, &key, &value);
        if (status != INGOT_OK) return status;
        n_keys++;
    }
    store_u64(p->st->metadata.data, n_keys);
    return check_metadata(p, n_keys, name->offset);
}

/* ------------------------------------------------------------------ the whole header */

struct extent {
    uint64_t begin;
    uint64_t end;
    uint32_t index;
};

static int compare_extents(const void *left, const void *right)
{
    const struct extent *a = left;
    const struct extent *b = right;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* Orders the tensors by their bytes; refuses overlap and bytes after the last one. */
static ingot_status check_data(struct parser *p)
{
    struct safetensors *st = p->st;
    ingot_status status = INGOT_OK;
    uint64_t end = 0;
    struct extent *extents = ingot_allocate_zeroed(st->allocator, st->n_entries, sizeof *extents);
    st->by_data = ingot_allocate_zeroed(st->allocator, st->n_entries, sizeof *st->by_data);
    if (extents == NULL || st->by_data == NULL) {
        status = ingot_fail_memory(p->error, st->n_entries * sizeof *extents, "tensor order");
        goto done;
    }
    for (uint32_t i = 0; i < st->n_entries; i++) {
        const struct safetensors_entry *entry = safetensors_entry_at(st, i);
        if (entry->begin == entry->end) continue;
        extents[st->n_ordered++] = (struct extent){entry->begin, entry->end, i};
    }
    if (st->n_ordered > 1) qsort(extents, st->n_ordered, sizeof *extents, compare_extents);
    for (uint32_t i = 0; i < st->n_ordered; i++) {
        const struct safetensors_entry *entry = safetensors_entry_at(st, extents[i].index);
        st->by_data[i] = extents[i].index;
        if (entry->begin < end) {
            const uint32_t other = extents[i - 1].index;
            char what[128];
            snprintf(
                what, sizeof what, "overlaps the bytes of '%s'",
                name_shown(safetensors_name(st, other), safetensors_entry_at(st, other)->name_bytes)
                    .text);
            status = fail_entry(p, entry, "data_offsets", INGOT_INVALID,
                                p->pull.first_offset + p->pull.text.n_bytes + entry->begin, what);
            goto done;
        }
        end = entry->end;
    }
    if (end != p->data_bytes) {
        status = ingot_fail(
            p->error, INGOT_INVALID, p->pull.first_offset + p->pull.text.n_bytes + end, "data",
            "%llu bytes after the last tensor", (unsigned long long)(p->data_bytes - end));
    }
done:
    ingot_release(st->allocator, extents);
    return status;
}

static ingot_status check_names(struct parser *p)
{
    struct safetensors *st = p->st;
    ingot_status status = INGOT_OK;
    struct name_ref *names = ingot_allocate_zeroed(st->allocator, st->n_entries, sizeof *names);
    if (names == NULL) {
        return ingot_fail_memory(p->error, st->n_entries * sizeof *names, "tensor names");
    }
    for (uint32_t i = 0; i < st->n_entries; i++) {
        names[i] =
            (struct name_ref){safetensors_name(st, i), safetensors_entry_at(st, i)->name_bytes, i};
    }
    names_sort(names, st->n_entries);
    const uint64_t at = names_duplicate(names, st->n_entries);
    if (at != 0) {
        status = fail_entry(p, safetensors_entry_at(st, names[at].index), "", INGOT_INVALID,
                            p->pull.first_offset, "two tensors of this name");
    }
    ingot_release(st->allocator, names);
    return status;
}

static ingot_status read_header(struct parser *p)
{
    struct json_event event;
    ingot_status status = json_pull_next(&p->pull, &event, p->error);
    if (status != INGOT_OK) return status;
    for (;;) {
        status = json_pull_next(&p->pull, &event, p->error);
        if (status != INGOT_OK) return status;
        if (event.kind == JSON_KIND_OBJECT_END) break;
        const bool metadata = json_event_is(&event, "__metadata__");
        status = metadata ? read_metadata(p, &event) : read_entry(p, &event);
        if (status != INGOT_OK) return status;
    }
    status = json_pull_next(&p->pull, &event, p->error);
    return status == INGOT_END ? INGOT_OK : status;
}

ingot_status safetensors_parse(struct span header, uint64_t data_bytes,
                               const ingot_allocator *allocator, struct safetensors *out,
                               ingot_error *error)
{
    struct safetensors st = {.allocator = allocator,
                             .names = {.allocator = allocator},
                             .entries = {.allocator = allocator},
                             .metadata = {.allocator = allocator}};
    struct parser p = {.pull = json_pull_open(header, SAFETENSORS_LENGTH_BYTES, "header"),
                       .st = &st,
                       .data_bytes = data_bytes,
                       .error = error};
    ingot_status status = INGOT_OK;
    if (header.n_bytes == 0 || header.data[0] != '{') {
        return ingot_fail(error, INGOT_INVALID, SAFETENSORS_LENGTH_BYTES, "header",
                          "does not begin with '{'");
    }
    metadata_begin(&st.metadata, 0);
    if (st.metadata.failed) {
        status = ingot_fail_memory(error, 8, "__metadata__");
        goto done;
    }
    status = read_header(&p);
    if (status == INGOT_OK) status = check_names(&p);
    if (status == INGOT_OK) status = check_data(&p);
done:
    if (status != INGOT_OK) {
        safetensors_release(&st);
        return status;
    }
    *out = st;
    return INGOT_OK;
}

void safetensors_release(struct safetensors *st)
{
    ingot_release(st->allocator, st->by_data);
    buffer_release(&st->metadata);
    buffer_release(&st->entries);
    buffer_release(&st->names);
    *st = (struct safetensors){.allocator = st->allocator};
}

const struct safetensors_entry *safetensors_entry_at(const struct safetensors *st, uint32_t index)
{
    return (const struct safetensors_entry *)(const void *)st->entries.data + index;
}

const char *safetensors_name(const struct safetensors *st, uint32_t index)
{
    const struct safetensors_entry *entry = safetensors_entry_at(st, index);
    return (const char *)st->names.data + entry->name_offset;
}

/* Metadata as GGUF writes it. */
#include "format/source_metadata.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/metadata.h"
#include "format/rules.h"

/* The least an entry takes: key_bytes, type and a value of one byte. */
enum { MIN_ENTRY_BYTES = 9, ROOM_BYTES = 4096 };

static ingot_status find_entries(struct metadata_list *list, struct metadata_walk walk,
                                 ingot_error *error)
{
    for (uint64_t i = 0; i < list->n_entries; i++) {
        const char *key;
        uint32_t key_bytes;
        struct metadata_value value;
        list->offsets[i] = walk.at.offset;
        const ingot_status status = metadata_next(&walk, &key, &key_bytes, &value, error);
        if (status != INGOT_OK) return status;
    }
    list->offsets[list->n_entries] = walk.at.offset;
    if (cursor_left(&walk.at) == 0) return INGOT_OK;
    return ingot_fail_rule(error, R_710, walk.at.offset, "metadata", "bytes after the last entry");
}

ingot_status metadata_list_open(struct span blob, const ingot_allocator *allocator,
                                struct metadata_list *list, ingot_error *error)
{
    struct metadata_list l = {.allocator = allocator, .blob = blob};
    struct metadata_walk walk;
    ingot_status status = metadata_open(blob, &walk, error);
    if (status != INGOT_OK) return status;
    if (walk.left > cursor_left(&walk.at) / MIN_ENTRY_BYTES) {
        return ingot_fail_rule(error, R_710, 0, "metadata", "more entries than it has room for");
    }
    l.n_entries = walk.left;
    l.offsets = ingot_allocate_zeroed(allocator, l.n_entries + 1, sizeof *l.offsets);
    if (l.offsets == NULL) {
        return ingot_fail_memory(error, (l.n_entries + 1) * sizeof *l.offsets, "metadata");
    }
    status = find_entries(&l, walk, error);
    if (status != INGOT_OK) {
        metadata_list_close(&l);
        return status;
    }
    *list = l;
    return INGOT_OK;
}

void metadata_list_close(struct metadata_list *list)
{
    ingot_release(list->allocator, list->offsets);
    *list = (struct metadata_list){0};
}

/* ------------------------------------------------------------------ encoding */

/* Bytes on their way to the sink; the first failure is kept. */
struct encoder {
    struct gguf_encoding how;
    const struct byte_sink *sink;
    uint8_t room[ROOM_BYTES];
    uint32_t n_room;
    ingot_status status;
    ingot_error *error;
};

static void flush(struct encoder *e)
{
    if (e->status == INGOT_OK && e->n_room > 0) {
        e->status = e->sink->put(e->sink->context, e->room, e->n_room, e->error);
    }
    e->n_room = 0;
}

static void put_bytes(struct encoder *e, const uint8_t *bytes, uint64_t n_bytes)
{
    if (n_bytes > ROOM_BYTES - e->n_room) flush(e);
    if (n_bytes > ROOM_BYTES) {
        if (e->status == INGOT_OK) {
            e->status = e->sink->put(e->sink->context, bytes, n_bytes, e->error);
        }
    } else if (n_bytes > 0) {
        memcpy(e->room + e->n_room, bytes, (size_t)n_bytes);
        e->n_room += (uint32_t)n_bytes;
    }
}

/* A number of up to 8 bytes, given little-endian. */
static void put_number(struct encoder *e, const uint8_t *bytes, uint32_t n_bytes)
{
    uint8_t ordered[8];
    memcpy(ordered, bytes, n_bytes);
    if (e->how.big_endian) swap_elements(ordered, n_bytes, n_bytes);
    put_bytes(e, ordered, n_bytes);
}

static void put_u32(struct encoder *e, uint32_t v)
{
    uint8_t bytes[4];
    store_u32(bytes, v);
    put_number(e, bytes, sizeof bytes);
}

static void put_length(struct encoder *e, uint64_t v)
{
    uint8_t bytes[8];
    if (e->how.length_bytes == 4 && v > UINT32_MAX && e->status == INGOT_OK) {
        e->status = ingot_fail_rule(e->error, R_724, INGOT_NO_OFFSET, "source.segment.metadata",
                                    "a length of %llu does not fit 4 bytes", (unsigned long long)v);
    }
    store_u64(bytes, v);
    put_number(e, bytes, e->how.length_bytes);
}

static void put_value(struct encoder *e, const struct metadata_value *value);

/* Elements that lie in the blob as they do in the file are taken at once. */
static void put_elements(struct encoder *e, const struct metadata_value *array)
{
    const uint32_t scalar_bytes = metadata_type_bytes(array->element_type);
    const bool little_strings =
        array->element_type == META_STRING && e->how.length_bytes == 8 && !e->how.big_endian;
    if (scalar_bytes == 1 || (scalar_bytes && !e->how.big_endian) || little_strings) {
        put_bytes(e, array->bytes.data, array->bytes.n_bytes);
        return;
    }
    struct cursor at = cursor_over(array->bytes.data, array->bytes.n_bytes);
    while (e->status == INGOT_OK) {
        struct metadata_value element;
        const ingot_status status = metadata_element(&at, array->element_type, &element, e->error);
        if (status == INGOT_END) return;
        e->status = status;
        if (status == INGOT_OK) put_value(e, &element);
    }
}

/* Nests as deep as the blob, which was proved. */
static void put_value(struct encoder *e, const struct metadata_value *value)
{
    if (value->type == META_ARRAY) {
        put_u32(e, value->element_type);
        put_length(e, value->count);
        put_elements(e, value);
    } else if (value->type == META_STRING) {
        put_length(e, value->bytes.n_bytes);
        put_bytes(e, value->bytes.data, value->bytes.n_bytes);
    } else {
        put_number(e, value->bytes.data, (uint32_t)value->bytes.n_bytes);
    }
}

static ingot_status check_range(const struct metadata_list *list,
                                const struct metadata_range *range, ingot_error *error)
{
    const struct gguf_encoding how = range->encoding;
    if ((how.length_bytes != 4 && how.length_bytes != 8) || how.big_endian > 1) {
        return ingot_fail_rule(error, R_724, INGOT_NO_OFFSET, "source.segment.metadata",
                               "unknown encoding: lengths of %u bytes, order %u", how.length_bytes,
                               how.big_endian);
    }
    if (range->n_entries == 0 ||
        !range_within(range->first_entry, range->n_entries, list->n_entries)) {
        return ingot_fail_rule(error, R_724, INGOT_NO_OFFSET, "source.segment.metadata",
                               "entries %u and %u on, of %llu", range->first_entry,
                               range->n_entries, (unsigned long long)list->n_entries);
    }
    return INGOT_OK;
}

ingot_status metadata_list_encode(const struct metadata_list *list,
                                  const struct metadata_range *range, const struct byte_sink *sink,
                                  ingot_error *error)
{
    struct encoder e = {.how = range->encoding, .sink = sink, .error = error};
    const ingot_status status = check_range(list, range, error);
    if (status != INGOT_OK) return status;
    struct metadata_walk walk = {cursor_over(list->blob.data, list->blob.n_bytes),
                                 range->n_entries};
    walk.at.offset = list->offsets[range->first_entry];
    for (uint32_t i = 0; i < range->n_entries && e.status == INGOT_OK; i++) {
        const char *key;
        uint32_t key_bytes;
        struct metadata_value value;
        e.status = metadata_next(&walk, &key, &key_bytes, &value, error);
        if (e.status != INGOT_OK) break;
        put_length(&e, key_bytes);
        put_bytes(&e, (const uint8_t *)key, key_bytes);
        put_u32(&e, value.type);
        put_value(&e, &value);
    }
    flush(&e);
    return e.status;
}

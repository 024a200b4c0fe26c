/* The head of a GGUF file. Two passes: the first proves all fields where they lie and allocates
 * nothing; the second takes them. Facts: ggml's gguf.cpp and docs/gguf.md. */
#include "convert/gguf.h"

#include <stdio.h>
#include <stdlib.h>

#include "convert/gguf_cursor.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/metadata.h"

enum { NEWEST_VERSION = 3, MAX_NAME_BYTES = 65536 };

/* What the first pass finds. */
struct layout {
    uint64_t n_tensors;
    uint64_t n_entries;
    uint64_t entries_at;
    uint64_t tensors_at;
    uint64_t head_bytes;
    uint64_t blob_bytes;
    uint64_t names_bytes;
};

/* ------------------------------------------------------------------ proving */

/* Magic and version: there is no mark of the byte order, but a version below 65536 is one. */
static ingot_status check_start(struct gguf_cursor *c, uint32_t *version)
{
    ingot_status status = gguf_need(c, GGUF_MAGIC_BYTES, "magic");
    if (status != INGOT_OK) return status;
    if (memcmp(gguf_take(c, GGUF_MAGIC_BYTES), "GGUF", GGUF_MAGIC_BYTES) != 0) {
        return ingot_fail(c->error, INGOT_INVALID, 0, "magic", "not GGUF");
    }
    c->encoding = (struct gguf_encoding){8, 0};
    uint32_t v = 0;
    status = gguf_read_u32(c, "version", &v);
    if (status != INGOT_OK) return status;
    if (v != 0 && (v & 0xffff) == 0) {
        c->encoding.big_endian = 1;
        v = swap_u32(v);
    }
    if (v == 0 || v > NEWEST_VERSION) {
        return ingot_fail(c->error, v ? INGOT_UNSUPPORTED : INGOT_INVALID, GGUF_MAGIC_BYTES,
                          "version", "%u; known are 1 to %d", v, NEWEST_VERSION);
    }
    if (v == 1) c->encoding.length_bytes = 4;
    *version = v;
    return INGOT_OK;
}

/* A tensor's record; t may be NULL. */
static ingot_status read_tensor(struct gguf_cursor *c, struct gguf_tensor *t, struct span *name)
{
    struct gguf_tensor found = {.record = c->offset};
    ingot_status status = gguf_read_string(c, "tensor.name", name);
    if (status != INGOT_OK) return status;
    if (name->n_bytes > MAX_NAME_BYTES) {
        return ingot_fail(c->error, INGOT_UNSUPPORTED, found.record, "tensor.name",
                          "%llu bytes long; %d are the most", (unsigned long long)name->n_bytes,
                          MAX_NAME_BYTES);
    }
    const struct shown_name shown = name_shown((const char *)name->data, name->n_bytes);
    found.name_bytes = (uint32_t)name->n_bytes;
    status = gguf_read_u32(c, shown.text, &found.rank);
    if (status != INGOT_OK) return status;
    if (found.rank > INGOT_MAX_RANK) {
        return ingot_fail(c->error, INGOT_UNSUPPORTED, c->offset - 4, shown.text,
                          "%u dimensions; %d are the most", found.rank, INGOT_MAX_RANK);
    }
    uint64_t n = 1;
    for (uint32_t i = 0; i < found.rank && status == INGOT_OK; i++) {
        /* The innermost dimension comes first. */
        uint64_t *dim = &found.dims[found.rank - 1 - i];
        status = gguf_read_length(c, shown.text, dim);
        if (status == INGOT_OK && (!mul_u64(n, max_u64(*dim, 1), &n) || n >= UINT64_C(1) << 57)) {
            return ingot_fail(c->error, INGOT_INVALID, c->offset - c->encoding.length_bytes,
                              shown.text, "the product of its dimensions is 2^57 or more");
        }
    }
    if (status == INGOT_OK) status = gguf_need(c, 12, shown.text);
    if (status != INGOT_OK) return status;
    found.type_id = gguf_take_u32(c);
    found.offset = gguf_take_u64(c);
    if (t) *t = found;
    return INGOT_OK;
}

/* A count of things of which each takes at least `least` bytes. */
static ingot_status read_count(struct gguf_cursor *c, const char *field, uint32_t least,
                               uint64_t *count)
{
    const uint64_t at = c->offset;
    const ingot_status status = gguf_read_length(c, field, count);
    if (status != INGOT_OK) return status;
    if (*count > (c->file_bytes - c->offset) / least || *count >= INGOT_NONE) {
        return ingot_fail(c->error, INGOT_INVALID, at, field,
                          "%llu, for which the file has no room", (unsigned long long)*count);
    }
    return INGOT_OK;
}

static ingot_status check_head(struct gguf_cursor *c, struct layout *l)
{
    /* Of a record with an empty name or key: lengths, type, offset or a value of one byte. */
    const uint32_t least_tensor = c->encoding.length_bytes + 16u;
    const uint32_t least_entry = c->encoding.length_bytes + 5u;
    struct span name;
    ingot_status status = read_count(c, "n_tensors", least_tensor, &l->n_tensors);
    if (status == INGOT_OK) status = read_count(c, "n_kv", least_entry, &l->n_entries);
    l->entries_at = c->offset;
    l->blob_bytes = 8;
    for (uint64_t i = 0; i < l->n_entries && status == INGOT_OK; i++) {
        status = gguf_check_entry(c, &l->blob_bytes);
    }
    l->tensors_at = c->offset;
    for (uint64_t i = 0; i < l->n_tensors && status == INGOT_OK; i++) {
        status = read_tensor(c, NULL, &name);
        if (status == INGOT_OK) l->names_bytes += name.n_bytes + 1;
    }
    l->head_bytes = c->offset;
    return status;
}

/* ------------------------------------------------------------------ taking */

static ingot_status take_entries(struct gguf *g, struct gguf_cursor *c, const struct layout *l)
{
    g->entry_offsets =
        ingot_allocate_zeroed(g->allocator, l->n_entries + 1, sizeof *g->entry_offsets);
    buffer_reserve(&g->metadata, l->blob_bytes);
    if (g->entry_offsets == NULL || g->metadata.failed) {
        return ingot_fail_memory(c->error, l->blob_bytes, "metadata");
    }
    g->n_entries = (uint32_t)l->n_entries;
    c->offset = l->entries_at;
    metadata_begin(&g->metadata, l->n_entries);
    for (uint32_t i = 0; i < g->n_entries; i++) {
        g->entry_offsets[i] = c->offset;
        gguf_copy_entry(c, &g->metadata);
    }
    g->entry_offsets[g->n_entries] = c->offset;
    return gguf_heed_metadata(g, c->error);
}

static ingot_status take_tensors(struct gguf *g, struct gguf_cursor *c, const struct layout *l)
{
    ingot_status status = INGOT_OK;
    g->tensors = ingot_allocate_zeroed(g->allocator, l->n_tensors, sizeof *g->tensors);
    buffer_reserve(&g->names, l->names_bytes);
    if (g->tensors == NULL || g->names.failed) {
        return ingot_fail_memory(c->error, l->n_tensors * sizeof *g->tensors, "tensors");
    }
    c->offset = l->tensors_at;
    for (uint64_t i = 0; i < l->n_tensors && status == INGOT_OK; i++) {
        struct span name = {0};
        struct gguf_tensor *t = &g->tensors[i];
        status = read_tensor(c, t, &name);
        t->name_offset = g->names.n_bytes;
        buffer_append(&g->names, name.data, name.n_bytes);
        buffer_u8(&g->names, 0);
    }
    g->n_tensors = (uint32_t)l->n_tensors;
    return status;
}

static ingot_status check_names(const struct gguf *g, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    struct name_ref *names = ingot_allocate_zeroed(g->allocator, g->n_tensors, sizeof *names);
    if (names == NULL) {
        return ingot_fail_memory(error, g->n_tensors * sizeof *names, "tensor names");
    }
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        names[i] = (struct name_ref){gguf_name(g, i), g->tensors[i].name_bytes, i};
    }
    names_sort(names, g->n_tensors);
    const uint64_t at = names_duplicate(names, g->n_tensors);
    if (at != 0) {
        status = ingot_fail(error, INGOT_INVALID, g->tensors[names[at].index].record,
                            name_shown(names[at].text, names[at].n_bytes).text,
                            "two tensors of this name");
    }
    ingot_release(g->allocator, names);
    return status;
}

/* ------------------------------------------------------------------ the whole */

ingot_status gguf_parse(struct span head, uint64_t file_bytes,
                        const struct assumptions *assumptions, const ingot_allocator *allocator,
                        struct gguf *out, uint64_t *wanted, ingot_error *error)
{
    struct gguf_cursor c = {.head = head, .file_bytes = file_bytes, .error = error};
    struct layout l = {0};
    struct gguf g = {.allocator = allocator,
                     .metadata = {.allocator = allocator},
                     .names = {.allocator = allocator}};
    ingot_status status = check_start(&c, &g.version);
    if (status == INGOT_OK) status = check_head(&c, &l);
    if (status == INGOT_END) *wanted = c.wanted;
    if (status != INGOT_OK) return status;
    g.encoding = c.encoding;
    g.head_bytes = l.head_bytes;
    status = take_entries(&g, &c, &l);
    if (status == INGOT_OK) status = take_tensors(&g, &c, &l);
    if (status == INGOT_OK) status = check_names(&g, error);
    if (status == INGOT_OK) status = gguf_place_tensors(&g, file_bytes, assumptions, error);
    if (status != INGOT_OK) {
        gguf_release(&g);
        return status;
    }
    *out = g;
    return INGOT_OK;
}

void gguf_release(struct gguf *gguf)
{
    ingot_release(gguf->allocator, gguf->by_data);
    buffer_release(&gguf->names);
    ingot_release(gguf->allocator, gguf->tensors);
    ingot_release(gguf->allocator, gguf->entry_offsets);
    buffer_release(&gguf->metadata);
    *gguf = (struct gguf){.allocator = gguf->allocator};
}

const char *gguf_name(const struct gguf *gguf, uint32_t tensor)
{
    return (const char *)gguf->names.data + gguf->tensors[tensor].name_offset;
}

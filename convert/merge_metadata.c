/* Metadata of several files. */
#include "convert/merge_metadata.h"

#include "convert/model_kind.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/metadata.h"

/* An entry as it lies in its part. */
struct entry {
    struct span bytes;
    uint32_t part;
    uint32_t first;  /* the entry that its key has in the result: itself, or an earlier one */
    uint32_t number; /* of that one there */
    bool left_out;
};

struct merging {
    struct model *model;
    const struct metadata_part *parts;
    uint64_t n;
    struct entry *entries;
    struct name_ref *keys; /* sorted */
};

static struct span entry_bytes(const struct metadata_list *list, uint64_t i)
{
    return (struct span){list->blob.data + list->offsets[i],
                         list->offsets[i + 1] - list->offsets[i]};
}

static void list_entries(struct merging *m, uint32_t n_parts,
                         bool (*leaves_out)(const char *key, uint32_t n_bytes))
{
    uint32_t n = 0;
    for (uint32_t p = 0; p < n_parts; p++) {
        for (uint64_t i = 0; i < m->parts[p].list.n_entries; i++, n++) {
            const struct span bytes = entry_bytes(&m->parts[p].list, i);
            const uint32_t key_bytes = load_u32(bytes.data);
            const char *key = (const char *)bytes.data + 4;
            m->entries[n] = (struct entry){.bytes = bytes, .part = p, .first = n};
            m->entries[n].left_out = leaves_out && leaves_out(key, key_bytes);
            m->keys[n] = (struct name_ref){key, key_bytes, n};
        }
    }
}

/* Gives entries of one key to the first of them, and notes those that differ from it. */
static void settle(struct merging *m)
{
    for (uint64_t i = 1; i < m->n; i++) {
        const struct name_ref *before = &m->keys[i - 1];
        const struct name_ref *key = &m->keys[i];
        if (key->n_bytes != before->n_bytes || memcmp(key->text, before->text, key->n_bytes) != 0) {
            continue;
        }
        struct entry *entry = &m->entries[key->index];
        entry->first = m->entries[before->index].first;
        const struct entry *first = &m->entries[entry->first];
        if (entry->left_out ||
            (entry->bytes.n_bytes == first->bytes.n_bytes &&
             memcmp(entry->bytes.data, first->bytes.data, (size_t)entry->bytes.n_bytes) == 0)) {
            continue;
        }
        model_add_note(m->model,
                       "metadata key '%s': %s and %s have different values; the first file's is "
                       "kept",
                       name_shown(key->text, key->n_bytes).text, m->parts[first->part].file_name,
                       m->parts[entry->part].file_name);
    }
}

static void put_entries(struct merging *m, struct byte_buffer *out, uint32_t *numbers)
{
    const uint64_t at = out->n_bytes;
    uint32_t n_put = 0;
    metadata_begin(out, 0);
    for (uint32_t i = 0; i < m->n; i++) {
        struct entry *entry = &m->entries[i];
        if (entry->first == i && !entry->left_out) {
            entry->number = n_put++;
            buffer_append(out, entry->bytes.data, entry->bytes.n_bytes);
        }
        if (numbers) numbers[i] = entry->left_out ? INGOT_NONE : m->entries[entry->first].number;
    }
    if (!out->failed) store_u64(out->data + at, n_put);
}

ingot_status metadata_merge(struct model *model, const struct metadata_part *parts,
                            uint32_t n_parts, bool (*leaves_out)(const char *key, uint32_t n_bytes),
                            struct byte_buffer *out, uint32_t *numbers, ingot_error *error)
{
    struct merging m = {.model = model, .parts = parts};
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < n_parts; i++) m.n += parts[i].list.n_entries;
    if (m.n >= INGOT_NONE) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "metadata",
                          "too many entries");
    }
    m.entries = ingot_allocate_zeroed(model->allocator, m.n, sizeof *m.entries);
    m.keys = ingot_allocate_zeroed(model->allocator, m.n, sizeof *m.keys);
    if (m.entries == NULL || m.keys == NULL) {
        status = ingot_fail_memory(error, m.n * sizeof *m.entries, "metadata");
        goto done;
    }
    list_entries(&m, n_parts, leaves_out);
    names_sort(m.keys, m.n);
    settle(&m);
    put_entries(&m, out, numbers);
    if (out->failed || model->notes.failed) {
        status = ingot_fail_memory(error, out->n_bytes, "metadata");
    }
done:
    ingot_release(model->allocator, m.keys);
    ingot_release(model->allocator, m.entries);
    return status;
}

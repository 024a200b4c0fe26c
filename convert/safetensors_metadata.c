/* One metadata blob from the __metadata__ of several files. Knows nothing of tensors. */
#include "convert/input.h"
#include "convert/names.h"
#include "convert/safetensors_model.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/metadata.h"

/* A metadata entry and the file it is from, to see which keys several files have. */
struct metadata_entry {
    struct span value;
    uint32_t shard;
};

/* Takes from sorted keys the first of each, and notes those whose later values differ. */
static void settle_metadata(struct safetensors_model *m, const struct name_ref *keys, uint64_t n,
                            const struct metadata_entry *entries, bool *taken)
{
    for (uint64_t i = 0; i < n; i++) {
        const bool again = i > 0 && keys[i].n_bytes == keys[i - 1].n_bytes &&
                           memcmp(keys[i].text, keys[i - 1].text, keys[i].n_bytes) == 0;
        taken[keys[i].index] = !again;
        if (!again) continue;
        const struct metadata_entry *a = &entries[keys[i - 1].index];
        const struct metadata_entry *b = &entries[keys[i].index];
        if (a->value.n_bytes == b->value.n_bytes &&
            memcmp(a->value.data, b->value.data, (size_t)a->value.n_bytes) == 0) {
            continue;
        }
        model_add_note(&m->model,
                       "metadata key '%s': %s and %s have different values; the first file's is "
                       "kept",
                       name_shown(keys[i].text, keys[i].n_bytes).text,
                       input_name(m->shards[a->shard].input),
                       input_name(m->shards[b->shard].input));
    }
}

static ingot_status list_metadata(const struct safetensors_model *m, struct name_ref *keys,
                                  struct metadata_entry *entries, ingot_error *error)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        const struct byte_buffer *blob = &m->shards[i].header.metadata;
        struct metadata_walk walk;
        struct metadata_value value;
        ingot_status status = metadata_open((struct span){blob->data, blob->n_bytes}, &walk, error);
        while (status == INGOT_OK) {
            struct name_ref key = {.index = n};
            status = metadata_next(&walk, &key.text, &key.n_bytes, &value, error);
            if (status != INGOT_OK) break;
            entries[n] = (struct metadata_entry){value.bytes, i};
            keys[n++] = key;
        }
        if (status != INGOT_END) return status;
    }
    return INGOT_OK;
}

ingot_status safetensors_merge_metadata(struct safetensors_model *m, ingot_error *error)
{
    const ingot_allocator *allocator = m->model.allocator;
    ingot_status status = INGOT_OK;
    uint64_t n = 0;
    uint64_t n_taken = 0;
    if (m->n_shards == 1) {
        /* Keys of one file differ already. */
        struct byte_buffer *only = &m->shards[0].header.metadata;
        if (load_u64(only->data) == 0) return INGOT_OK;
        m->metadata = *only;
        *only = (struct byte_buffer){.allocator = only->allocator};
        return INGOT_OK;
    }
    for (uint32_t i = 0; i < m->n_shards; i++) n += load_u64(m->shards[i].header.metadata.data);
    struct name_ref *keys = ingot_allocate_zeroed(allocator, n, sizeof *keys);
    struct name_ref *sorted = ingot_allocate_zeroed(allocator, n, sizeof *sorted);
    struct metadata_entry *entries = ingot_allocate_zeroed(allocator, n, sizeof *entries);
    bool *taken = ingot_allocate_zeroed(allocator, n, sizeof *taken);
    if (keys == NULL || sorted == NULL || entries == NULL || taken == NULL) {
        status = ingot_fail_memory(error, n * sizeof *entries, "metadata");
        goto done;
    }
    status = list_metadata(m, keys, entries, error);
    if (status != INGOT_OK || n == 0) goto done;
    memcpy(sorted, keys, (size_t)n * sizeof *keys);
    names_sort(sorted, n);
    settle_metadata(m, sorted, n, entries, taken);
    metadata_begin(&m->metadata, 0);
    for (uint64_t i = 0; i < n; i++) {
        if (!taken[i]) continue;
        metadata_put_string(&m->metadata, keys[i].text, keys[i].n_bytes,
                            (const char *)entries[i].value.data, entries[i].value.n_bytes);
        n_taken++;
    }
    if (m->metadata.failed || m->model.notes.failed) {
        status = ingot_fail_memory(error, m->metadata.n_bytes, "metadata");
        goto done;
    }
    store_u64(m->metadata.data, n_taken);
done:
    ingot_release(allocator, taken);
    ingot_release(allocator, entries);
    ingot_release(allocator, sorted);
    ingot_release(allocator, keys);
    return status;
}

/* One metadata blob from the __metadata__ of several files. Knows nothing of tensors. */
#include "convert/merge_metadata.h"
#include "convert/safetensors_model.h"
#include "format/alloc.h"
#include "format/fail.h"

ingot_status safetensors_merge_metadata(struct model_files *m, ingot_error *error)
{
    const ingot_allocator *allocator = m->model.allocator;
    ingot_status status = INGOT_OK;
    uint32_t n_open = 0;
    uint64_t n_entries = 0;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        n_entries += load_u64(safetensors_shard_at(m, i)->header.metadata.data);
    }
    if (n_entries == 0) return INGOT_OK;
    if (m->n_shards == 1) {
        /* Keys of one file differ already. */
        struct byte_buffer *only = &safetensors_shard_at(m, 0)->header.metadata;
        m->metadata = *only;
        *only = (struct byte_buffer){.allocator = only->allocator};
        return INGOT_OK;
    }
    struct metadata_part *parts = ingot_allocate_zeroed(allocator, m->n_shards, sizeof *parts);
    if (parts == NULL) return ingot_fail_memory(error, m->n_shards * sizeof *parts, "metadata");
    while (n_open < m->n_shards && status == INGOT_OK) {
        const struct safetensors_shard *shard = safetensors_shard_at(m, n_open);
        const struct byte_buffer *blob = &shard->header.metadata;
        struct metadata_part *part = &parts[n_open];
        part->file_name = input_name(shard->base.input);
        status = metadata_list_open((struct span){blob->data, blob->n_bytes}, allocator,
                                    &part->list, error);
        n_open += status == INGOT_OK;
    }
    if (status == INGOT_OK) {
        status = metadata_merge(&m->model, parts, m->n_shards, NULL, &m->metadata, NULL, error);
    }
    while (n_open > 0) metadata_list_close(&parts[--n_open].list);
    ingot_release(allocator, parts);
    return status;
}

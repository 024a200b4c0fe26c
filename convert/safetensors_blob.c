/* The source blob of safetensors files: which of their bytes are tensors. */
#include "convert/safetensors_model.h"
#include "convert/source_reading.h"
#include "format/fail.h"

enum { SEGMENT_ROOM_BYTES = 64 };

ingot_status safetensors_read_shard(struct source_reading *r, const struct model_shard *base,
                                    struct model_hashes *hashes)
{
    const struct safetensors_shard *shard = (const struct safetensors_shard *)base;
    const struct safetensors *header = &shard->header;
    uint8_t hash[16];
    /* A header may be 100 MB: room for all of this file's segments at once, rather than growing to
     * it in steps that hold it twice. */
    buffer_reserve(r->out, shard->data_offset + (uint64_t)header->n_ordered * SEGMENT_ROOM_BYTES);
    ingot_status status = reading_literal(r, shard->data_offset, hash);
    if (status != INGOT_OK) return status;
    /* The segment ends with the header. */
    hash_of(r->out->data + r->out->n_bytes - shard->header_bytes, shard->header_bytes, hash);
    if (memcmp(hash, shard->header_hash, sizeof hash) != 0) {
        return ingot_fail(r->error, INGOT_REFUSED, SAFETENSORS_LENGTH_BYTES, input_name(r->input),
                          "the source changed while it was read: its header is another");
    }
    for (uint32_t i = 0; i < header->n_entries; i++) {
        const struct safetensors_entry *entry = safetensors_entry_at(header, i);
        if (entry->begin == entry->end) hash_of(NULL, 0, hashes->tensors[base->first_tensor + i]);
    }
    for (uint32_t i = 0; i < header->n_ordered && status == INGOT_OK; i++) {
        const uint32_t index = header->by_data[i];
        const struct safetensors_entry *entry = safetensors_entry_at(header, index);
        const uint32_t tensor = base->first_tensor + index;
        status = reading_gap(r, shard->data_offset + entry->begin - r->offset);
        if (status != INGOT_OK) break;
        status = reading_tensor(r, entry->end - entry->begin, tensor, 1, hashes->tensors[tensor]);
    }
    return status;
}

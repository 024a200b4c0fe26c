/* The source blob of safetensors files: which of their bytes are tensors. */
#include "convert/safetensors_model.h"
#include "convert/source_reading.h"
#include "format/fail.h"
#include "format/source.h"

enum { SEGMENT_ROOM_BYTES = 64 };

static ingot_status read_shard(struct source_reading *r, const struct safetensors_shard *shard,
                               struct model_hashes *hashes)
{
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
        hash_of(NULL, 0, hashes->tensors[shard->first_tensor + i]);
    }
    for (uint32_t i = 0; i < header->n_ordered && status == INGOT_OK; i++) {
        const uint32_t index = header->by_data[i];
        const struct safetensors_entry *entry = safetensors_entry_at(header, index);
        const uint32_t tensor = shard->first_tensor + index;
        status = reading_gap(r, shard->data_offset + entry->begin - r->offset);
        if (status != INGOT_OK) break;
        status = reading_tensor(r, entry->end - entry->begin, tensor, 1, hashes->tensors[tensor]);
    }
    return status;
}

ingot_status safetensors_source_blob(const struct safetensors_model *m,
                                     const uint32_t *attachment_blobs,
                                     const struct progress *progress, struct byte_buffer *out,
                                     struct model_hashes *hashes, ingot_error *error)
{
    struct source_reading r;
    ingot_status status = source_reading_open(m->model.allocator, progress,
                                              model_source_bytes(&m->model), out, &r, error);
    if (status != INGOT_OK) return status;
    source_begin(out, m->n_shards + m->n_attachments);
    for (uint32_t i = 0; i < m->n_shards && status == INGOT_OK; i++) {
        reading_begin_file(&r, m->shards[i].input);
        status = read_shard(&r, &m->shards[i], hashes);
        if (status == INGOT_OK) status = reading_end_file(&r);
    }
    for (uint32_t i = 0; i < m->n_attachments && status == INGOT_OK; i++) {
        status =
            reading_attachment(&r, m->attachments[i], attachment_blobs[i], hashes->attachments[i]);
    }
    source_reading_close(&r);
    return status;
}

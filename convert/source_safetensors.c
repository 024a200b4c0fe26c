/* Safetensors files as a model: which file holds a tensor, and where. How they are opened is
 * safetensors_open.c's affair. */
#include <string.h>

#include "convert/safetensors_model.h"
#include "format/alloc.h"
#include "format/fail.h"

static const struct safetensors_model *self(const struct model *model)
{
    return (const struct safetensors_model *)model;
}

/* ------------------------------------------------------------------ tensors */

const struct safetensors_shard *safetensors_shard_of(const struct safetensors_model *m,
                                                     uint32_t index)
{
    uint32_t low = 0;
    uint32_t high = m->n_shards;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (m->shards[middle].first_tensor <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &m->shards[low];
}

static uint32_t st_n_tensors(const struct model *model)
{
    return self(model)->n_tensors;
}

static void st_tensor(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    const struct safetensors_shard *shard = safetensors_shard_of(self(model), index);
    const uint32_t i = index - shard->first_tensor;
    const struct safetensors_entry *entry = safetensors_entry_at(&shard->header, i);
    const ingot_dtype dtype = (ingot_dtype)entry->dtype;
    struct model_tensor t = {
        .name = safetensors_name(&shard->header, i),
        .name_bytes = entry->name_bytes,
        .number = index,
        .dtype = dtype,
        .rank = entry->rank,
        .stored_bytes = entry->end - entry->begin,
        .encoding = ingot_dtype_name(dtype),
        .raw = true,
    };
    memcpy(t.dims, entry->dims, sizeof t.dims);
    model_layout(t.name, t.name_bytes, t.rank, &t.stack, &t.split);
    model_set_rows(&t);
    *tensor = t;
}

static ingot_status st_find(const struct model *model, const char *name, size_t name_bytes,
                            uint32_t *index)
{
    const struct safetensors_model *m = self(model);
    return names_find(m->by_name, m->n_tensors, name, name_bytes, index) ? INGOT_OK
                                                                         : INGOT_NOT_FOUND;
}

static ingot_status st_read_raw(const struct model *model, uint32_t index, uint64_t offset,
                                uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct safetensors_shard *shard = safetensors_shard_of(self(model), index);
    const struct safetensors_entry *entry =
        safetensors_entry_at(&shard->header, index - shard->first_tensor);
    if (!range_within(offset, n_bytes, entry->end - entry->begin)) {
        return ingot_fail(error, INGOT_INVALID, offset, "tensor", "bytes past its end are wanted");
    }
    return input_read(shard->input, shard->data_offset + entry->begin + offset, n_bytes, dst,
                      error);
}

/* ------------------------------------------------------------------ the rest of a model */

static const ingot_file *st_container(const struct model *model)
{
    (void)model;
    return NULL;
}

static struct span st_metadata(const struct model *model)
{
    const struct safetensors_model *m = self(model);
    return (struct span){m->metadata.data, m->metadata.n_bytes};
}

static uint32_t st_n_attachments(const struct model *model)
{
    return self(model)->n_attachments;
}

static void st_attachment(const struct model *model, uint32_t index,
                          struct model_attachment *attachment)
{
    const struct input *input = self(model)->attachments[index];
    *attachment = (struct model_attachment){input_name(input), input_bytes(input)};
}

static ingot_status st_read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                       uint64_t n_bytes, void *dst, ingot_error *error)
{
    return input_read(self(model)->attachments[index], offset, n_bytes, dst, error);
}

static ingot_status st_source_blob(const struct model *model, const uint32_t *attachment_blobs,
                                   const struct progress *progress, struct byte_buffer *out,
                                   struct model_hashes *hashes, ingot_error *error)
{
    return safetensors_source_blob(self(model), attachment_blobs, progress, out, hashes, error);
}

static uint64_t st_source_bytes(const struct model *model)
{
    const struct safetensors_model *m = self(model);
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < m->n_shards; i++) n_bytes += input_bytes(m->shards[i].input);
    for (uint32_t i = 0; i < m->n_attachments; i++) n_bytes += input_bytes(m->attachments[i]);
    return n_bytes;
}

static ingot_status st_unchanged(const struct model *model, ingot_error *error)
{
    const struct safetensors_model *m = self(model);
    ingot_status status = m->bundle ? bundle_unchanged(m->bundle, error) : INGOT_OK;
    for (uint32_t i = 0; i < m->n_shards && status == INGOT_OK; i++) {
        status = input_unchanged(m->shards[i].input, error);
    }
    for (uint32_t i = 0; i < m->n_attachments && status == INGOT_OK; i++) {
        status = input_unchanged(m->attachments[i], error);
    }
    return status;
}

static void st_close(struct model *model)
{
    struct safetensors_model *m = (struct safetensors_model *)model;
    const ingot_allocator *allocator = model->allocator;
    for (uint32_t i = 0; m->shards && i < m->n_shards; i++) {
        safetensors_release(&m->shards[i].header);
        input_close(m->shards[i].input);
    }
    for (uint32_t i = 0; m->attachments && i < m->n_attachments; i++) {
        input_close(m->attachments[i]);
    }
    bundle_close(m->bundle);
    buffer_release(&m->metadata);
    ingot_release(allocator, m->by_name);
    ingot_release(allocator, m->attachments);
    ingot_release(allocator, m->shards);
    ingot_release(allocator, m);
}

const struct model_kind safetensors_kind = {
    .format = "safetensors",
    .close = st_close,
    .container = st_container,
    .n_tensors = st_n_tensors,
    .tensor = st_tensor,
    .find = st_find,
    .decode_f32 = model_decode_raw,
    .read_raw = st_read_raw,
    .metadata = st_metadata,
    .n_attachments = st_n_attachments,
    .attachment = st_attachment,
    .read_attachment = st_read_attachment,
    .source_blob = st_source_blob,
    .unchanged = st_unchanged,
    .source_bytes = st_source_bytes,
};

/* Safetensors files as a model: which file holds a tensor, and where. How they are opened is
 * safetensors_open.c's affair. */
#include <string.h>

#include "convert/safetensors_model.h"
#include "format/fail.h"

struct safetensors_shard *safetensors_shard_at(const struct model_files *m, uint32_t index)
{
    return (struct safetensors_shard *)model_files_shard(m, index);
}

/* ------------------------------------------------------------------ tensors */

/* The file that holds a tensor. */
static const struct safetensors_shard *shard_of(const struct model *model, uint32_t tensor)
{
    return (const struct safetensors_shard *)model_files_shard_of((const struct model_files *)model,
                                                                  tensor);
}

static void tensor_of(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    const struct safetensors_shard *shard = shard_of(model, index);
    const uint32_t i = index - shard->base.first_tensor;
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

static ingot_status read_raw(const struct model *model, uint32_t index, uint64_t offset,
                             uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct safetensors_shard *shard = shard_of(model, index);
    const struct safetensors_entry *entry =
        safetensors_entry_at(&shard->header, index - shard->base.first_tensor);
    if (!range_within(offset, n_bytes, entry->end - entry->begin)) {
        return ingot_fail(error, INGOT_INVALID, offset, "tensor", "bytes past its end are wanted");
    }
    return input_read(shard->base.input, shard->data_offset + entry->begin + offset, n_bytes, dst,
                      error);
}

const struct model_kind safetensors_kind = {
    .format = "safetensors",
    .close = model_files_close,
    .tensor = tensor_of,
    .decode_f32 = model_decode_raw,
    .read_raw = read_raw,
    MODEL_FILES_CALLS,
};

/* ------------------------------------------------------------------ shards */

static uint32_t n_shard_tensors(const struct model_shard *shard)
{
    return ((const struct safetensors_shard *)shard)->header.n_entries;
}

static struct span tensor_name(const struct model_shard *shard, uint32_t index)
{
    const struct safetensors *header = &((const struct safetensors_shard *)shard)->header;
    return (struct span){(const uint8_t *)safetensors_name(header, index),
                         safetensors_entry_at(header, index)->name_bytes};
}

static bool place_of(const struct model_shard *base, uint32_t index, struct model_place *place)
{
    const struct safetensors_shard *shard = (const struct safetensors_shard *)base;
    const struct safetensors_entry *entry = safetensors_entry_at(&shard->header, index);
    place->offset = shard->data_offset + entry->begin;
    place->n_bytes = entry->end - entry->begin;
    return true;
}

static void release_shard(struct model_shard *shard, const ingot_allocator *allocator)
{
    (void)allocator;
    safetensors_release(&((struct safetensors_shard *)shard)->header);
}

const struct shard_kind safetensors_shard_kind = {
    .n_bytes = sizeof(struct safetensors_shard),
    .n_tensors = n_shard_tensors,
    .tensor_name = tensor_name,
    .place = place_of,
    .read = safetensors_read_shard,
    .release = release_shard,
};

/* GGUF files as a model: which file holds a tensor, and where. How they are opened is gguf_open.c's
 * affair. */
#include <string.h>

#include "convert/gguf_model.h"
#include "format/alloc.h"
#include "format/fail.h"

static const struct gguf_model *self(const struct model *model)
{
    return (const struct gguf_model *)model;
}

/* ------------------------------------------------------------------ tensors */

const struct gguf_shard *gguf_shard_of(const struct gguf_model *m, uint32_t index)
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

static uint32_t n_tensors(const struct model *model)
{
    return self(model)->n_tensors;
}

/* The values of blocks are f32. */
static void tensor_of(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    const struct gguf_model *m = self(model);
    const struct gguf_shard *shard = gguf_shard_of(m, index);
    const struct gguf_tensor *g = &shard->gguf.tensors[index - shard->first_tensor];
    const bool plain = g->type && g->type->dtype;
    struct model_tensor t = {
        .name = gguf_name(&shard->gguf, index - shard->first_tensor),
        .name_bytes = g->name_bytes,
        .number = index,
        .dtype = plain ? g->type->dtype : INGOT_F32,
        .rank = g->rank,
        .stored_bytes = g->n_bytes,
        .raw = plain,
    };
    memcpy(t.dims, g->dims, sizeof t.dims);
    model_layout(t.name, t.name_bytes, t.rank, &t.stack, &t.split);
    model_set_rows(&t);
    if (plain) {
        t.encoding = ingot_dtype_name(t.dtype);
    } else {
        t.encoding = (const char *)m->labels.data + m->label_offsets[index];
        t.foreign = (struct model_foreign){t.encoding, g->type ? g->type->block_weights : 0,
                                           g->type ? g->type->block_bytes : 0, g->n_bytes};
    }
    *tensor = t;
}

static ingot_status find(const struct model *model, const char *name, size_t name_bytes,
                         uint32_t *index)
{
    const struct gguf_model *m = self(model);
    return names_find(m->by_name, m->n_tensors, name, name_bytes, index) ? INGOT_OK
                                                                         : INGOT_NOT_FOUND;
}

/* The file's bytes of a tensor. */
static ingot_status read_stored(const struct model *model, uint32_t index, uint64_t offset,
                                uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct gguf_shard *shard = gguf_shard_of(self(model), index);
    const struct gguf_tensor *g = &shard->gguf.tensors[index - shard->first_tensor];
    if (!range_within(offset, n_bytes, g->n_bytes)) {
        return ingot_fail(error, INGOT_INVALID, offset, "tensor", "bytes past its end are wanted");
    }
    return input_read(shard->input, shard->gguf.data_offset + g->offset + offset, n_bytes, dst,
                      error);
}

/* Part of one big-endian element, in little-endian order. */
static ingot_status read_element(const struct model *model, uint32_t index, uint64_t element,
                                 uint32_t element_bytes, uint8_t bytes[8], ingot_error *error)
{
    const ingot_status status =
        read_stored(model, index, element * element_bytes, element_bytes, bytes, error);
    if (status == INGOT_OK) swap_elements(bytes, element_bytes, element_bytes);
    return status;
}

/* Elements are turned round whole: those that the range cuts are read on their own. */
static ingot_status read_swapped(const struct model *model, uint32_t index, uint32_t element_bytes,
                                 uint64_t offset, uint64_t n_bytes, uint8_t *dst,
                                 ingot_error *error)
{
    ingot_status status = INGOT_OK;
    uint8_t bytes[8];
    while (n_bytes > 0 && status == INGOT_OK) {
        const uint32_t within = (uint32_t)(offset % element_bytes);
        uint64_t n = n_bytes / element_bytes * element_bytes;
        if (within == 0 && n > 0) {
            status = read_stored(model, index, offset, n, dst, error);
            if (status == INGOT_OK) swap_elements(dst, n, element_bytes);
        } else {
            n = min_u64(element_bytes - within, n_bytes);
            status =
                read_element(model, index, offset / element_bytes, element_bytes, bytes, error);
            if (status == INGOT_OK) memcpy(dst, bytes + within, (size_t)n);
        }
        offset += n;
        dst += n;
        n_bytes -= n;
    }
    return status;
}

static ingot_status read_raw(const struct model *model, uint32_t index, uint64_t offset,
                             uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct gguf_shard *shard = gguf_shard_of(self(model), index);
    const struct gguf_tensor *g = &shard->gguf.tensors[index - shard->first_tensor];
    if (!range_within(offset, n_bytes, g->n_bytes)) {
        return ingot_fail(error, INGOT_INVALID, offset, "tensor", "bytes past its end are wanted");
    }
    if (!shard->gguf.encoding.big_endian) {
        return read_stored(model, index, offset, n_bytes, dst, error);
    }
    return read_swapped(model, index, g->type->block_bytes, offset, n_bytes, dst, error);
}

static ingot_status decode_f32(const struct model *model, uint32_t index, uint64_t first_row,
                               uint64_t n_rows, float *dst, ingot_error *error)
{
    struct model_tensor t;
    tensor_of(model, index, &t);
    if (t.foreign.name) return model_refuse_foreign(&t, error);
    return model_decode_raw(model, index, first_row, n_rows, dst, error);
}

/* ------------------------------------------------------------------ the rest of a model */

static const ingot_file *container(const struct model *model)
{
    (void)model;
    return NULL;
}

static struct span metadata(const struct model *model)
{
    const struct gguf_model *m = self(model);
    return (struct span){m->metadata.data, m->metadata.n_bytes};
}

static uint32_t n_attachments(const struct model *model)
{
    return self(model)->n_attachments;
}

static void attachment_of(const struct model *model, uint32_t index,
                          struct model_attachment *attachment)
{
    const struct input *input = self(model)->attachments[index];
    *attachment = (struct model_attachment){input_name(input), input_bytes(input)};
}

static ingot_status read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                    uint64_t n_bytes, void *dst, ingot_error *error)
{
    return input_read(self(model)->attachments[index], offset, n_bytes, dst, error);
}

static ingot_status source_blob(const struct model *model, const uint32_t *attachment_blobs,
                                const struct progress *progress, struct byte_buffer *out,
                                struct model_hashes *hashes, ingot_error *error)
{
    return gguf_source_blob(self(model), attachment_blobs, progress, out, hashes, error);
}

static uint64_t source_bytes(const struct model *model)
{
    const struct gguf_model *m = self(model);
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < m->n_shards; i++) n_bytes += input_bytes(m->shards[i].input);
    for (uint32_t i = 0; i < m->n_attachments; i++) n_bytes += input_bytes(m->attachments[i]);
    return n_bytes;
}

static ingot_status unchanged(const struct model *model, ingot_error *error)
{
    const struct gguf_model *m = self(model);
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < m->n_shards && status == INGOT_OK; i++) {
        status = input_unchanged(m->shards[i].input, error);
    }
    for (uint32_t i = 0; i < m->n_attachments && status == INGOT_OK; i++) {
        status = input_unchanged(m->attachments[i], error);
    }
    return status;
}

static void close_model(struct model *model)
{
    struct gguf_model *m = (struct gguf_model *)model;
    const ingot_allocator *allocator = model->allocator;
    for (uint32_t i = 0; m->shards && i < m->n_shards; i++) {
        ingot_release(allocator, m->shards[i].runs);
        gguf_release(&m->shards[i].gguf);
        ingot_release(allocator, m->shards[i].head);
        input_close(m->shards[i].input);
    }
    for (uint32_t i = 0; m->attachments && i < m->n_attachments; i++) {
        input_close(m->attachments[i]);
    }
    ingot_release(allocator, m->label_offsets);
    buffer_release(&m->labels);
    buffer_release(&m->metadata);
    ingot_release(allocator, m->by_name);
    ingot_release(allocator, m->attachments);
    ingot_release(allocator, m->shards);
    ingot_release(allocator, m);
}

const struct model_kind gguf_kind = {
    .format = "gguf",
    .close = close_model,
    .container = container,
    .n_tensors = n_tensors,
    .tensor = tensor_of,
    .find = find,
    .decode_f32 = decode_f32,
    .read_raw = read_raw,
    .read_foreign = read_stored,
    .metadata = metadata,
    .n_attachments = n_attachments,
    .attachment = attachment_of,
    .read_attachment = read_attachment,
    .source_blob = source_blob,
    .unchanged = unchanged,
    .source_bytes = source_bytes,
};

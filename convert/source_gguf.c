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

struct gguf_shard *gguf_shard_at(const struct gguf_model *m, uint32_t index)
{
    return (struct gguf_shard *)model_files_shard(&m->files, index);
}

const struct gguf_shard *gguf_shard_of(const struct gguf_model *m, uint32_t tensor)
{
    return (const struct gguf_shard *)model_files_shard_of(&m->files, tensor);
}

/* The values of blocks are f32. */
static void tensor_of(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    const struct gguf_model *m = self(model);
    const struct gguf_shard *shard = gguf_shard_of(m, index);
    const struct gguf_tensor *g = &shard->gguf.tensors[index - shard->base.first_tensor];
    const bool plain = g->type && g->type->dtype;
    struct model_tensor t = {
        .name = gguf_name(&shard->gguf, index - shard->base.first_tensor),
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

/* The file's bytes of a tensor. */
static ingot_status read_stored(const struct model *model, uint32_t index, uint64_t offset,
                                uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct gguf_shard *shard = gguf_shard_of(self(model), index);
    const struct gguf_tensor *g = &shard->gguf.tensors[index - shard->base.first_tensor];
    if (!range_within(offset, n_bytes, g->n_bytes)) {
        return ingot_fail(error, INGOT_INVALID, offset, "tensor", "bytes past its end are wanted");
    }
    return input_read(shard->base.input, shard->gguf.data_offset + g->offset + offset, n_bytes, dst,
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
    const struct gguf_tensor *g = &shard->gguf.tensors[index - shard->base.first_tensor];
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

/* ------------------------------------------------------------------ shards */

static uint32_t n_shard_tensors(const struct model_shard *shard)
{
    return ((const struct gguf_shard *)shard)->gguf.n_tensors;
}

static struct span tensor_name(const struct model_shard *shard, uint32_t index)
{
    const struct gguf *g = &((const struct gguf_shard *)shard)->gguf;
    return (struct span){(const uint8_t *)gguf_name(g, index), g->tensors[index].name_bytes};
}

static bool place_of(const struct model_shard *shard, uint32_t index, struct model_place *place)
{
    const struct gguf *g = &((const struct gguf_shard *)shard)->gguf;
    place->offset = g->data_offset + g->tensors[index].offset;
    place->n_bytes = g->tensors[index].n_bytes;
    return !g->encoding.big_endian;
}

static void release_shard(struct model_shard *shard, const ingot_allocator *allocator)
{
    struct gguf_shard *s = (struct gguf_shard *)shard;
    ingot_release(allocator, s->runs);
    gguf_release(&s->gguf);
    ingot_release(allocator, s->head);
}

const struct shard_kind gguf_shard_kind = {
    .n_bytes = sizeof(struct gguf_shard),
    .n_tensors = n_shard_tensors,
    .tensor_name = tensor_name,
    .place = place_of,
    .read = gguf_read_shard,
    .release = release_shard,
};

/* ------------------------------------------------------------------ the model */

static void close_model(struct model *model)
{
    struct gguf_model *m = (struct gguf_model *)model;
    ingot_release(model->allocator, m->label_offsets);
    buffer_release(&m->labels);
    model_files_close(model);
}

const struct model_kind gguf_kind = {
    .format = "gguf",
    .close = close_model,
    .tensor = tensor_of,
    .decode_f32 = decode_f32,
    .read_raw = read_raw,
    .read_foreign = read_stored,
    MODEL_FILES_CALLS,
};

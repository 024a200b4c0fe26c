/* Models that consist of files. */
#include "convert/model_files.h"

#include <string.h>

#include "convert/source_reading.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/source.h"

static const struct model_files *self(const struct model *model)
{
    return (const struct model_files *)model;
}

/* ------------------------------------------------------------------ opening and closing */

ingot_status model_files_new(const struct model_kind *kind, uint64_t model_bytes,
                             const struct shard_kind *shard_kind, uint32_t n_shards,
                             uint32_t n_attachments, const ingot_allocator *allocator,
                             struct model_files **files, ingot_error *error)
{
    struct model_files *m = ingot_allocate_zeroed(allocator, 1, model_bytes);
    if (m == NULL) return ingot_fail_memory(error, model_bytes, "model");
    m->model = (struct model){kind, allocator, 0, {.allocator = allocator}};
    m->metadata = (struct byte_buffer){.allocator = allocator};
    m->shard_kind = shard_kind;
    m->shards = ingot_allocate_zeroed(allocator, n_shards, shard_kind->n_bytes);
    m->attachments = ingot_allocate_zeroed(allocator, n_attachments, sizeof *m->attachments);
    if (m->shards == NULL || m->attachments == NULL) {
        model_files_close(&m->model);
        return ingot_fail_memory(error, n_shards * shard_kind->n_bytes, "model");
    }
    m->n_shards = n_shards;
    m->n_attachments = n_attachments;
    *files = m;
    return INGOT_OK;
}

void model_files_close(struct model *model)
{
    struct model_files *m = (struct model_files *)model;
    const ingot_allocator *allocator = model->allocator;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct model_shard *shard = model_files_shard(m, i);
        m->shard_kind->release(shard, allocator);
        input_close(shard->input);
    }
    for (uint32_t i = 0; i < m->n_attachments; i++) input_close(m->attachments[i]);
    bundle_close(m->bundle);
    buffer_release(&m->metadata);
    ingot_release(allocator, m->by_name);
    ingot_release(allocator, m->attachments);
    ingot_release(allocator, m->shards);
    ingot_release(allocator, m);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

ingot_status model_files_open_shard(struct model_files *m, uint32_t index, const char *path,
                                    ingot_error *error)
{
    const char *name = base_name(path);
    if (!safe_path(name, strlen(name))) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(name, strlen(name)).text,
                          "the name of this file is not a safe path");
    }
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(name, input_name(model_files_shard(m, i)->input)) != 0) continue;
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name,
                          "two sources have this name");
    }
    return input_open(path, name, m->model.allocator, &model_files_shard(m, index)->input, error);
}

ingot_status model_files_gather(struct model_files *m, ingot_error *error)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct model_shard *shard = model_files_shard(m, i);
        shard->first_tensor = (uint32_t)n;
        n += m->shard_kind->n_tensors(shard);
        if (n >= INGOT_NONE) {
            return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "tensors", "too many");
        }
    }
    m->by_name = ingot_allocate_zeroed(m->model.allocator, n, sizeof *m->by_name);
    if (m->by_name == NULL) return ingot_fail_memory(error, n * sizeof *m->by_name, "tensors");
    m->n_tensors = (uint32_t)n;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        const struct model_shard *shard = model_files_shard(m, i);
        const uint32_t n_here = m->shard_kind->n_tensors(shard);
        for (uint32_t k = 0; k < n_here; k++) {
            const struct span name = m->shard_kind->tensor_name(shard, k);
            m->by_name[shard->first_tensor + k] = (struct name_ref){
                (const char *)name.data, (uint32_t)name.n_bytes, shard->first_tensor + k};
        }
    }
    names_sort(m->by_name, n);
    const uint64_t at = names_duplicate(m->by_name, n);
    if (at == 0) return INGOT_OK;
    return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET,
                      name_shown(m->by_name[at].text, m->by_name[at].n_bytes).text,
                      "both %.100s and %.100s hold a tensor of this name",
                      input_name(model_files_shard_of(m, m->by_name[at - 1].index)->input),
                      input_name(model_files_shard_of(m, m->by_name[at].index)->input));
}

void model_files_note_empty(struct model_files *m, const struct file_set *set)
{
    const char *empty = set->empty;
    for (uint32_t i = 0; i < set->n_empty; i++, empty += strlen(empty) + 1) {
        model_add_note(&m->model, "the empty folder '%s' is left out", empty);
    }
}

/* ------------------------------------------------------------------ shards and tensors */

struct model_shard *model_files_shard(const struct model_files *m, uint32_t index)
{
    return (struct model_shard *)(void *)((uint8_t *)m->shards + index * m->shard_kind->n_bytes);
}

struct model_shard *model_files_shard_of(const struct model_files *m, uint32_t tensor)
{
    uint32_t low = 0;
    uint32_t high = m->n_shards;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (model_files_shard(m, middle)->first_tensor <= tensor) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return model_files_shard(m, low);
}

uint32_t model_files_n_tensors(const struct model *model)
{
    return self(model)->n_tensors;
}

ingot_status model_files_find(const struct model *model, const char *name, size_t name_bytes,
                              uint32_t *index)
{
    const struct model_files *m = self(model);
    return names_find(m->by_name, m->n_tensors, name, name_bytes, index) ? INGOT_OK
                                                                         : INGOT_NOT_FOUND;
}

/* ------------------------------------------------------------------ the rest of a model */

const ingot_file *model_files_container(const struct model *model)
{
    (void)model;
    return NULL;
}

struct span model_files_metadata(const struct model *model)
{
    const struct model_files *m = self(model);
    return (struct span){m->metadata.data, m->metadata.n_bytes};
}

uint32_t model_files_n_attachments(const struct model *model)
{
    return self(model)->n_attachments;
}

void model_files_attachment(const struct model *model, uint32_t index,
                            struct model_attachment *attachment)
{
    const struct input *input = self(model)->attachments[index];
    *attachment = (struct model_attachment){input_name(input), input_bytes(input)};
}

ingot_status model_files_read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                         uint64_t n_bytes, void *dst, ingot_error *error)
{
    return input_read(self(model)->attachments[index], offset, n_bytes, dst, error);
}

bool model_files_place(const struct model *model, uint32_t index, struct model_place *place)
{
    const struct model_files *m = self(model);
    const struct model_shard *shard = model_files_shard_of(m, index);
    place->input = shard->input;
    return m->shard_kind->place(shard, index - shard->first_tensor, place);
}

ingot_status model_files_source_blob(const struct model *model, const uint32_t *attachment_blobs,
                                     const struct progress *progress,
                                     struct source_passing *passing, struct byte_buffer *out,
                                     struct model_hashes *hashes, ingot_error *error)
{
    const struct model_files *m = self(model);
    struct source_reading r;
    ingot_status status = source_reading_open(model->allocator, progress,
                                              model_files_source_bytes(model), out, &r, error);
    if (status != INGOT_OK) return status;
    source_begin(out, m->n_shards + m->n_attachments);
    for (uint32_t i = 0; i < m->n_shards && status == INGOT_OK; i++) {
        const struct model_shard *shard = model_files_shard(m, i);
        reading_begin_file(&r, shard->input, source_passing_file(passing, shard->input));
        status = m->shard_kind->read(&r, shard, hashes);
        if (status == INGOT_OK) status = reading_end_file(&r);
    }
    for (uint32_t i = 0; i < m->n_attachments && status == INGOT_OK; i++) {
        status =
            reading_attachment(&r, m->attachments[i], attachment_blobs[i], hashes->attachments[i]);
    }
    source_reading_close(&r);
    return status;
}

uint64_t model_files_source_bytes(const struct model *model)
{
    const struct model_files *m = self(model);
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        n_bytes += input_bytes(model_files_shard(m, i)->input);
    }
    for (uint32_t i = 0; i < m->n_attachments; i++) n_bytes += input_bytes(m->attachments[i]);
    return n_bytes;
}

ingot_status model_files_unchanged(const struct model *model, ingot_error *error)
{
    const struct model_files *m = self(model);
    ingot_status status = m->bundle ? bundle_unchanged(m->bundle, error) : INGOT_OK;
    for (uint32_t i = 0; i < m->n_shards && status == INGOT_OK; i++) {
        status = input_unchanged(model_files_shard(m, i)->input, error);
    }
    for (uint32_t i = 0; i < m->n_attachments && status == INGOT_OK; i++) {
        status = input_unchanged(m->attachments[i], error);
    }
    return status;
}

/* Safetensors files as a model: which file holds a tensor, and where. The header's rules are
 * safetensors.c's, the folder's are folder.c's. */
#include "convert/source_safetensors.h"

#include <stdio.h>
#include <string.h>

#include "convert/folder.h"
#include "convert/hash.h"
#include "convert/input.h"
#include "convert/names.h"
#include "convert/raw_values.h"
#include "convert/safetensors_model.h"
#include "convert/shard_index.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/source.h"

static const struct safetensors_model *self(const struct model *model)
{
    return (const struct safetensors_model *)model;
}

/* ------------------------------------------------------------------ tensors */

static const struct safetensors_shard *shard_of(const struct safetensors_model *m, uint32_t index)
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
    const struct safetensors_shard *shard = shard_of(self(model), index);
    const uint32_t i = index - shard->first_tensor;
    const struct safetensors_entry *entry = safetensors_entry_at(&shard->header, i);
    const ingot_dtype dtype = (ingot_dtype)entry->dtype;
    struct model_tensor t = {
        .name = safetensors_name(&shard->header, i),
        .name_bytes = entry->name_bytes,
        .dtype = dtype,
        .rank = entry->rank,
        .n_rows = 1,
        .n_cols = 1,
        .stored_bytes = entry->end - entry->begin,
        .encoding = ingot_dtype_name(dtype),
        .raw = true,
    };
    memcpy(t.dims, entry->dims, sizeof t.dims);
    model_layout(t.name, t.name_bytes, t.rank, &t.stack, &t.split);
    for (uint32_t k = 0; k < t.rank; k++) {
        uint64_t *side = k < t.split ? &t.n_rows : &t.n_cols;
        *side *= t.dims[k];
    }
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
    const struct safetensors_shard *shard = shard_of(self(model), index);
    const struct safetensors_entry *entry =
        safetensors_entry_at(&shard->header, index - shard->first_tensor);
    if (!range_within(offset, n_bytes, entry->end - entry->begin)) {
        return ingot_fail(error, INGOT_INVALID, offset, "tensor", "bytes past its end are wanted");
    }
    return input_read(shard->input, shard->data_offset + entry->begin + offset, n_bytes, dst,
                      error);
}

static ingot_status st_decode_f32(const struct model *model, uint32_t index, uint64_t first_row,
                                  uint64_t n_rows, float *dst, ingot_error *error)
{
    uint8_t bytes[1 << 16];
    struct model_tensor t;
    st_tensor(model, index, &t);
    const uint32_t element_bytes = dtype_bytes(t.dtype);
    if (element_bytes == 0) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET,
                          name_shown(t.name, t.name_bytes).text, "%s has no values in f32 here",
                          ingot_dtype_name(t.dtype));
    }
    const uint64_t end = (first_row + n_rows) * t.n_cols;
    for (uint64_t at = first_row * t.n_cols; at < end;) {
        const uint64_t n = min_u64(sizeof bytes / element_bytes, end - at);
        ingot_status status =
            st_read_raw(model, index, at * element_bytes, n * element_bytes, bytes, error);
        if (status == INGOT_OK) status = raw_values_f32(t.dtype, bytes, n, dst, error);
        if (status != INGOT_OK) return status;
        dst += n;
        at += n;
    }
    return INGOT_OK;
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
    ingot_status status = INGOT_OK;
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
    buffer_release(&m->metadata);
    ingot_release(allocator, m->by_name);
    ingot_release(allocator, m->attachments);
    ingot_release(allocator, m->shards);
    ingot_release(allocator, m);
}

static const struct model_kind kind = {
    .format = "safetensors",
    .close = st_close,
    .container = st_container,
    .n_tensors = st_n_tensors,
    .tensor = st_tensor,
    .find = st_find,
    .decode_f32 = st_decode_f32,
    .read_raw = st_read_raw,
    .metadata = st_metadata,
    .n_attachments = st_n_attachments,
    .attachment = st_attachment,
    .read_attachment = st_read_attachment,
    .source_blob = st_source_blob,
    .unchanged = st_unchanged,
    .source_bytes = st_source_bytes,
};

/* ------------------------------------------------------------------ opening */

static ingot_status new_model(uint32_t n_shards, uint32_t n_attachments,
                              const ingot_allocator *allocator, struct safetensors_model **out,
                              ingot_error *error)
{
    struct safetensors_model *m = ingot_allocate_zeroed(allocator, 1, sizeof *m);
    if (m == NULL) return ingot_fail_memory(error, sizeof *m, "model");
    m->model = (struct model){&kind, allocator, 0, {.allocator = allocator}};
    m->metadata = (struct byte_buffer){.allocator = allocator};
    m->n_shards = n_shards;
    m->n_attachments = n_attachments;
    m->shards = ingot_allocate_zeroed(allocator, n_shards, sizeof *m->shards);
    m->attachments = ingot_allocate_zeroed(allocator, n_attachments, sizeof *m->attachments);
    if (m->shards == NULL || m->attachments == NULL) {
        model_close(&m->model);
        return ingot_fail_memory(error, n_shards * sizeof *m->shards, "model");
    }
    for (uint32_t i = 0; i < n_shards; i++) m->shards[i].header.allocator = allocator;
    *out = m;
    return INGOT_OK;
}

/* Reads and proves the header of one file. */
static ingot_status open_shard(struct safetensors_model *m, struct safetensors_shard *shard,
                               const char *path, const char *name, ingot_error *error)
{
    const ingot_allocator *allocator = m->model.allocator;
    uint8_t length[SAFETENSORS_LENGTH_BYTES];
    uint8_t *header = NULL;
    ingot_status status = input_open(path, name, allocator, &shard->input, error);
    if (status != INGOT_OK) return status;
    const uint64_t n_bytes = input_bytes(shard->input);
    if (n_bytes < sizeof length) {
        return ingot_fail(error, INGOT_INVALID, 0, name, "shorter than the length of a header");
    }
    status = input_read(shard->input, 0, sizeof length, length, error);
    if (status != INGOT_OK) return status;
    shard->header_bytes = load_u64(length);
    if (shard->header_bytes > SAFETENSORS_MAX_HEADER_BYTES ||
        shard->header_bytes > n_bytes - sizeof length) {
        return ingot_fail(error, INGOT_INVALID, 0, name, "header length %llu is past the %s",
                          (unsigned long long)shard->header_bytes,
                          shard->header_bytes > SAFETENSORS_MAX_HEADER_BYTES
                              ? "format's limit of 100000000"
                              : "end of the file");
    }
    shard->data_offset = sizeof length + shard->header_bytes;
    header = ingot_allocate(allocator, shard->header_bytes);
    if (header == NULL) return ingot_fail_memory(error, shard->header_bytes, "header");
    status = input_read(shard->input, sizeof length, shard->header_bytes, header, error);
    if (status == INGOT_OK) {
        hash_of(header, shard->header_bytes, shard->header_hash);
        status = safetensors_parse((struct span){header, shard->header_bytes},
                                   n_bytes - shard->data_offset, allocator, &shard->header, error);
        if (status != INGOT_OK) model_blame(error, name);
    }
    ingot_release(allocator, header);
    return status;
}

/* Numbers the tensors of all files and refuses a name that two of them have. */
static ingot_status gather_tensors(struct safetensors_model *m, ingot_error *error)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        m->shards[i].first_tensor = (uint32_t)n;
        n += m->shards[i].header.n_entries;
        if (n >= INGOT_NONE) {
            return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "tensors", "too many");
        }
    }
    m->by_name = ingot_allocate_zeroed(m->model.allocator, n, sizeof *m->by_name);
    if (m->by_name == NULL) return ingot_fail_memory(error, n * sizeof *m->by_name, "tensors");
    m->n_tensors = (uint32_t)n;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        const struct safetensors_shard *shard = &m->shards[i];
        for (uint32_t k = 0; k < shard->header.n_entries; k++) {
            m->by_name[shard->first_tensor + k] = (struct name_ref){
                safetensors_name(&shard->header, k),
                safetensors_entry_at(&shard->header, k)->name_bytes, shard->first_tensor + k};
        }
    }
    names_sort(m->by_name, n);
    const uint64_t at = names_duplicate(m->by_name, n);
    if (at == 0) return INGOT_OK;
    return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET,
                      name_shown(m->by_name[at].text, m->by_name[at].n_bytes).text,
                      "both %.100s and %.100s hold a tensor of this name",
                      input_name(shard_of(m, m->by_name[at - 1].index)->input),
                      input_name(shard_of(m, m->by_name[at].index)->input));
}

static ingot_status finish(struct safetensors_model *m, ingot_error *error)
{
    ingot_status status = gather_tensors(m, error);
    if (status == INGOT_OK) status = safetensors_merge_metadata(m, error);
    return status;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

ingot_status safetensors_open_files(const char *const *paths, uint32_t n_paths,
                                    const ingot_allocator *allocator, struct model **model,
                                    ingot_error *error)
{
    struct safetensors_model *m;
    ingot_status status = new_model(n_paths, 0, allocator, &m, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < n_paths && status == INGOT_OK; i++) {
        const char *name = base_name(paths[i]);
        if (!safe_path(name, strlen(name))) {
            status = ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                                name_shown(name, strlen(name)).text,
                                "the name of this file is not a safe path");
        }
        for (uint32_t k = 0; k < i && status == INGOT_OK; k++) {
            if (strcmp(name, base_name(paths[k])) == 0) {
                status = ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name,
                                    "two sources have this name");
            }
        }
        if (status == INGOT_OK) status = open_shard(m, &m->shards[i], paths[i], name, error);
    }
    if (status == INGOT_OK) status = finish(m, error);
    if (status != INGOT_OK) {
        model_close(&m->model);
        return status;
    }
    *model = &m->model;
    return INGOT_OK;
}

static bool is_shard(const struct name_ref *file)
{
    static const char suffix[] = ".safetensors";
    const size_t n = sizeof suffix - 1;
    return file->n_bytes > n && memchr(file->text, '/', file->n_bytes) == NULL &&
           memcmp(file->text + file->n_bytes - n, suffix, n) == 0;
}

/* Opens every file of a folder: shards whole, others noted for later. */
static ingot_status open_listed(struct safetensors_model *m, const char *path,
                                const struct folder *folder, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    uint32_t n_shards = 0;
    uint32_t n_attachments = 0;
    for (uint32_t i = 0; i < folder->n_files && status == INGOT_OK; i++) {
        const char *name = folder->files[i].text;
        const size_t n_bytes = strlen(path) + folder->files[i].n_bytes + 2;
        char *whole = ingot_allocate(m->model.allocator, n_bytes);
        if (whole == NULL) return ingot_fail_memory(error, n_bytes, "file name");
        snprintf(whole, n_bytes, "%s/%s", path, name);
        if (is_shard(&folder->files[i])) {
            status = open_shard(m, &m->shards[n_shards++], whole, name, error);
        } else {
            status = input_note(whole, name, m->model.allocator, &m->attachments[n_attachments++],
                                error);
        }
        ingot_release(m->model.allocator, whole);
    }
    return status;
}

/* What shard_index.c asks of a model. */
static bool shard_holds(const void *context, const char *shard, const char *tensor,
                        size_t tensor_bytes, bool *shard_exists)
{
    const struct safetensors_model *m = context;
    uint32_t index;
    *shard_exists = false;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        if (strcmp(input_name(m->shards[i].input), shard) == 0) *shard_exists = true;
    }
    return *shard_exists && names_find(m->by_name, m->n_tensors, tensor, tensor_bytes, &index) &&
           strcmp(input_name(shard_of(m, index)->input), shard) == 0;
}

static ingot_status check_index(const struct safetensors_model *m, ingot_error *error)
{
    for (uint32_t i = 0; i < m->n_attachments; i++) {
        const struct input *input = m->attachments[i];
        if (strcmp(input_name(input), SHARD_INDEX_NAME) != 0) continue;
        const uint64_t n_bytes = input_bytes(input);
        if (n_bytes > SHARD_INDEX_MAX_BYTES) {
            return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, SHARD_INDEX_NAME,
                              "%llu bytes long", (unsigned long long)n_bytes);
        }
        uint8_t *text = ingot_allocate(m->model.allocator, n_bytes);
        if (text == NULL) return ingot_fail_memory(error, n_bytes, SHARD_INDEX_NAME);
        ingot_status status = input_read(input, 0, n_bytes, text, error);
        if (status == INGOT_OK) {
            status = shard_index_check((struct span){text, n_bytes}, m->model.allocator,
                                       shard_holds, m, error);
        }
        ingot_release(m->model.allocator, text);
        return status;
    }
    return INGOT_OK;
}

ingot_status safetensors_open_folder(const char *const *paths, uint32_t n_paths,
                                     const ingot_allocator *allocator, struct model **model,
                                     ingot_error *error)
{
    struct folder folder;
    struct safetensors_model *m = NULL;
    uint32_t n_shards = 0;
    (void)n_paths;
    ingot_status status = folder_list(paths[0], allocator, &folder, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < folder.n_files; i++) n_shards += is_shard(&folder.files[i]);
    if (n_shards == 0) {
        status = ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, paths[0],
                            "the folder holds no .safetensors file");
        goto done;
    }
    status = new_model(n_shards, folder.n_files - n_shards, allocator, &m, error);
    if (status != INGOT_OK) goto done;
    status = open_listed(m, paths[0], &folder, error);
    if (status == INGOT_OK) status = finish(m, error);
    if (status == INGOT_OK) status = check_index(m, error);
    const char *empty = (const char *)folder.empty.data;
    for (uint32_t i = 0; i < folder.n_empty; i++, empty += strlen(empty) + 1) {
        model_add_note(&m->model, "the empty folder '%s' is left out", empty);
    }
    if (status == INGOT_OK && m->model.notes.failed) {
        status = ingot_fail_memory(error, m->model.notes.n_bytes, "notes");
    }
done:
    folder_release(&folder);
    if (status != INGOT_OK) {
        model_close(m ? &m->model : NULL);
        return status;
    }
    *model = &m->model;
    return INGOT_OK;
}

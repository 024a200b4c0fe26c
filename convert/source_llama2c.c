/* A checkpoint of llama2.c as a model: its arrays, those of layers cut into one tensor a layer,
 * under the names of GGUF, whose rows of q and k lie as these do. */
#include "convert/source_llama2c.h"

#include <stdio.h>
#include <string.h>

#include "convert/llama2c.h"
#include "convert/model_files.h"
#include "convert/source_reading.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/source.h"

/* The one shard. */
struct checkpoint {
    struct model_shard base;
    uint8_t head[LLAMA2C_HEAD_BYTES];
    uint32_t head_bytes;
    struct llama2c layout;
    uint32_t n_entries;
    struct entry *entries; /* by offset in the file */
    struct byte_buffer names;
};

struct entry {
    uint64_t offset;
    const struct llama2c_array *array;
    uint64_t name; /* in names */
    uint32_t name_bytes;
};

static const struct checkpoint *checkpoint_of(const struct model *model)
{
    return (const struct checkpoint *)model_files_shard((const struct model_files *)model, 0);
}

/* ------------------------------------------------------------------ tensors */

static void tensor_of(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    const struct checkpoint *c = checkpoint_of(model);
    const struct entry *entry = &c->entries[index];
    struct model_tensor t = {
        .name = (const char *)c->names.data + entry->name,
        .name_bytes = entry->name_bytes,
        .number = index,
        .dtype = INGOT_F32,
        .rank = entry->array->dims[1] ? 2 : 1,
        .dims = {entry->array->dims[0], entry->array->dims[1]},
        .stored_bytes = entry->array->n_bytes,
        .encoding = ingot_dtype_name(INGOT_F32),
        .raw = true,
    };
    model_layout(t.name, t.name_bytes, t.rank, &t.stack, &t.split);
    model_set_rows(&t);
    *tensor = t;
}

static ingot_status read_raw(const struct model *model, uint32_t index, uint64_t offset,
                             uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct checkpoint *c = checkpoint_of(model);
    const struct entry *entry = &c->entries[index];
    if (!range_within(offset, n_bytes, entry->array->n_bytes)) {
        return ingot_fail(error, INGOT_INVALID, offset, "tensor", "bytes past its end are wanted");
    }
    return input_read(c->base.input, entry->offset + offset, n_bytes, dst, error);
}

static const struct model_kind llama2c_kind = {
    .format = "llama2.c",
    .close = model_files_close,
    .tensor = tensor_of,
    .decode_f32 = model_decode_raw,
    .read_raw = read_raw,
    MODEL_FILES_CALLS,
};

/* ------------------------------------------------------------------ the shard */

static uint32_t n_shard_tensors(const struct model_shard *shard)
{
    return ((const struct checkpoint *)shard)->n_entries;
}

static struct span tensor_name(const struct model_shard *shard, uint32_t index)
{
    const struct checkpoint *c = (const struct checkpoint *)shard;
    return (struct span){c->names.data + c->entries[index].name, c->entries[index].name_bytes};
}

static bool place_of(const struct model_shard *shard, uint32_t index, struct model_place *place)
{
    const struct checkpoint *c = (const struct checkpoint *)shard;
    place->offset = c->entries[index].offset;
    place->n_bytes = c->entries[index].array->n_bytes;
    return true;
}

static void release_shard(struct model_shard *shard, const ingot_allocator *allocator)
{
    struct checkpoint *c = (struct checkpoint *)shard;
    ingot_release(allocator, c->entries);
    buffer_release(&c->names);
}

/* The head, whose layout was read before, begins the blob's first segment, which was just read. */
static ingot_status check_head(const struct source_reading *r, const struct checkpoint *c)
{
    const uint8_t *head = r->out->data + r->out->n_bytes - r->offset;
    const uint64_t n_bytes = min_u64(c->head_bytes, r->offset);
    if (!r->out->failed && memcmp(head, c->head, (size_t)n_bytes) != 0) {
        return ingot_fail(r->error, INGOT_REFUSED, 0, input_name(r->input),
                          "the source changed while it was read: its head is another");
    }
    return INGOT_OK;
}

static ingot_status read_shard(struct source_reading *r, const struct model_shard *shard,
                               struct model_hashes *hashes)
{
    const struct checkpoint *c = (const struct checkpoint *)shard;
    uint8_t hash[16];
    ingot_status status = reading_literal(r, c->entries[0].offset, hash);
    if (status == INGOT_OK) status = check_head(r, c);
    for (uint32_t i = 0; i < c->n_entries && status == INGOT_OK; i++) {
        status = reading_gap(r, c->entries[i].offset - r->offset);
        if (status != INGOT_OK) break;
        status = reading_tensor(r, c->entries[i].array->n_bytes, i, 1, hashes->tensors[i]);
    }
    if (status == INGOT_OK) status = reading_gap(r, input_bytes(r->input) - r->offset);
    return status;
}

static const struct shard_kind llama2c_shard_kind = {
    .n_bytes = sizeof(struct checkpoint),
    .n_tensors = n_shard_tensors,
    .tensor_name = tensor_name,
    .place = place_of,
    .read = read_shard,
    .release = release_shard,
};

/* ------------------------------------------------------------------ opening */

static void add_entries(struct checkpoint *c, const struct llama2c_array *array)
{
    const uint32_t n = array->of_layers ? c->layout.n_layers : 1;
    for (uint32_t i = 0; i < n; i++) {
        char name[64];
        const int n_bytes = array->of_layers
                                ? snprintf(name, sizeof name, "blk.%u.%s", (unsigned)i, array->name)
                                : snprintf(name, sizeof name, "%s", array->name);
        c->entries[c->n_entries++] = (struct entry){array->offset + i * array->n_bytes, array,
                                                    c->names.n_bytes, (uint32_t)n_bytes};
        buffer_append(&c->names, name, (uint32_t)n_bytes);
    }
}

static ingot_status read_head(struct checkpoint *c, ingot_error *error)
{
    const uint64_t file_bytes = input_bytes(c->base.input);
    c->head_bytes = (uint32_t)min_u64(file_bytes, sizeof c->head);
    ingot_status status = input_read(c->base.input, 0, c->head_bytes, c->head, error);
    if (status != INGOT_OK) return status;
    status = llama2c_read((struct span){c->head, c->head_bytes}, file_bytes, &c->layout, error);
    if (status != INGOT_OK) model_blame(error, input_name(c->base.input));
    return status;
}

/* What is left to do once the shard's head is read. */
static ingot_status finish(struct model_files *m, ingot_error *error)
{
    struct checkpoint *c = (struct checkpoint *)model_files_shard(m, 0);
    const uint32_t n = llama2c_n_tensors(&c->layout);
    c->names.allocator = m->model.allocator;
    c->entries = ingot_allocate_zeroed(m->model.allocator, n, sizeof *c->entries);
    if (c->entries == NULL) return ingot_fail_memory(error, n * sizeof *c->entries, "tensors");
    for (uint32_t i = 0; i < c->layout.n_arrays; i++) add_entries(c, &c->layout.arrays[i]);
    llama2c_put_metadata(&c->layout, &m->metadata);
    if (c->names.failed || m->metadata.failed || m->model.notes.failed) {
        return ingot_fail_memory(error, c->names.n_bytes, "tensors");
    }
    return model_files_gather(m, error);
}

/* The files that a model is looked for in: paths, or those of a folder. */
struct candidates {
    const char *const *paths;   /* NULL: */
    const struct file_set *set; /* those in the folder itself, not deeper down, that end in .bin */
    uint32_t n;
};

static const char *name_of(const struct candidates *in, uint32_t i)
{
    if (in->paths == NULL) return file_set_name(in->set, i);
    const char *slash = strrchr(in->paths[i], '/');
    return slash ? slash + 1 : in->paths[i];
}

static ingot_status open_input(const struct candidates *in, uint32_t i, input_open_function *open,
                               const ingot_allocator *allocator, struct input **input,
                               ingot_error *error)
{
    const char *name = name_of(in, i);
    if (in->paths == NULL) return file_set_open(in->set, i, open, input, error);
    if (!safe_path(name, strlen(name))) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(name, strlen(name)).text,
                          "the name of this file is not a safe path");
    }
    for (uint32_t k = 0; k < i; k++) {
        if (strcmp(name, name_of(in, k)) != 0) continue;
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name,
                          "two sources have this name");
    }
    return open(in->paths[i], name, allocator, input, error);
}

static bool may_be_checkpoint(const struct candidates *in, uint32_t i)
{
    const char *name = name_of(in, i);
    const size_t n_bytes = strlen(name);
    return in->paths ||
           (strchr(name, '/') == NULL && n_bytes > 4 && strcmp(name + n_bytes - 4, ".bin") == 0);
}

/* Opens the one checkpoint as the model's shard; *error tells why the first file is none. */
static ingot_status open_checkpoint(struct model_files *m, const struct candidates *in,
                                    uint32_t *index, ingot_error *error)
{
    struct checkpoint *c = (struct checkpoint *)model_files_shard(m, 0);
    ingot_error why = {0};
    *index = INGOT_NONE;
    for (uint32_t i = 0; i < in->n; i++) {
        struct checkpoint one = {.base = {NULL, 0}};
        ingot_error here = {0};
        if (!may_be_checkpoint(in, i)) continue;
        ingot_status status =
            open_input(in, i, input_open, m->model.allocator, &one.base.input, error);
        if (status != INGOT_OK) return status;
        status = read_head(&one, &here);
        if (status == INGOT_OK && *index == INGOT_NONE) {
            *c = one;
            *index = i;
            continue;
        }
        input_close(one.base.input);
        if (status == INGOT_OK) {
            return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name_of(in, i),
                              "a second checkpoint of llama2.c cannot be part of the model");
        }
        if (why.status == INGOT_OK || status == INGOT_IO) why = here;
    }
    if (*index != INGOT_NONE) return INGOT_OK;
    if (error) *error = why;
    return why.status;
}

static ingot_status open_model(const struct candidates *in, const ingot_allocator *allocator,
                               struct model **model, ingot_error *error)
{
    struct model_files *m;
    uint32_t checkpoint = INGOT_NONE, n_attachments = 0;
    ingot_status status = model_files_new(&llama2c_kind, sizeof *m, &llama2c_shard_kind, 1,
                                          in->n - 1, allocator, &m, error);
    if (status != INGOT_OK) return status;
    status = open_checkpoint(m, in, &checkpoint, error);
    for (uint32_t i = 0; i < in->n && status == INGOT_OK; i++) {
        if (i == checkpoint) continue;
        status = open_input(in, i, input_note, allocator, &m->attachments[n_attachments++], error);
    }
    if (in->set) model_files_note_empty(m, in->set);
    if (status == INGOT_OK) status = finish(m, error);
    if (status != INGOT_OK) {
        model_close(&m->model);
        return status;
    }
    *model = &m->model;
    return INGOT_OK;
}

ingot_status llama2c_open_files(const char *const *paths, uint32_t n_paths,
                                const ingot_allocator *allocator, struct model **model,
                                ingot_error *error)
{
    const struct candidates in = {paths, NULL, n_paths};
    return open_model(&in, allocator, model, error);
}

ingot_status llama2c_open_set(struct file_set *set, const struct assumptions *assumptions,
                              struct model **model, ingot_error *error)
{
    const struct candidates in = {NULL, set, set->n_files};
    (void)assumptions;
    return open_model(&in, set->allocator, model, error);
}

/* Opens safetensors files, alone or as the shards of a checkpoint in a folder or an archive. The
 * header's rules are safetensors.c's, those of folders and archives folder.c's and bundle.c's. */
#include "convert/source_safetensors.h"

#include <stdio.h>
#include <string.h>

#include "convert/hash.h"
#include "convert/safetensors_model.h"
#include "convert/shard_index.h"
#include "format/alloc.h"
#include "format/fail.h"

/* ------------------------------------------------------------------ a model and its shards */

static ingot_status new_model(uint32_t n_shards, uint32_t n_attachments,
                              const ingot_allocator *allocator, struct model_files **out,
                              ingot_error *error)
{
    struct model_files *m;
    const ingot_status status =
        model_files_new(&safetensors_kind, sizeof *m, &safetensors_shard_kind, n_shards,
                        n_attachments, allocator, &m, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < n_shards; i++) {
        safetensors_shard_at(m, i)->header.allocator = allocator;
    }
    *out = m;
    return INGOT_OK;
}

/* Reads and proves the header of one file, whose input is open. */
static ingot_status open_shard(struct model_files *m, struct safetensors_shard *shard,
                               ingot_error *error)
{
    const ingot_allocator *allocator = m->model.allocator;
    const char *name = input_name(shard->base.input);
    uint8_t length[SAFETENSORS_LENGTH_BYTES];
    uint8_t *header = NULL;
    const uint64_t n_bytes = input_bytes(shard->base.input);
    if (n_bytes < sizeof length) {
        return ingot_fail(error, INGOT_INVALID, 0, name, "shorter than the length of a header");
    }
    ingot_status status = input_read(shard->base.input, 0, sizeof length, length, error);
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
    status = input_read(shard->base.input, sizeof length, shard->header_bytes, header, error);
    if (status == INGOT_OK) {
        hash_of(header, shard->header_bytes, shard->header_hash);
        status = safetensors_parse((struct span){header, shard->header_bytes},
                                   n_bytes - shard->data_offset, allocator, &shard->header, error);
        if (status != INGOT_OK) model_blame(error, name);
    }
    ingot_release(allocator, header);
    return status;
}

static ingot_status finish(struct model_files *m, ingot_error *error)
{
    ingot_status status = model_files_gather(m, error);
    if (status == INGOT_OK) status = safetensors_merge_metadata(m, error);
    return status;
}

ingot_status safetensors_open_files(const char *const *paths, uint32_t n_paths,
                                    const ingot_allocator *allocator, struct model **model,
                                    ingot_error *error)
{
    struct model_files *m;
    ingot_status status = new_model(n_paths, 0, allocator, &m, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < n_paths && status == INGOT_OK; i++) {
        status = model_files_open_shard(m, i, paths[i], error);
        if (status == INGOT_OK) status = open_shard(m, safetensors_shard_at(m, i), error);
    }
    if (status == INGOT_OK) status = finish(m, error);
    if (status != INGOT_OK) {
        model_close(&m->model);
        return status;
    }
    *model = &m->model;
    return INGOT_OK;
}

/* ------------------------------------------------------------------ a folder or an archive */

/* The bytes of a name up to and with its last slash. */
static size_t folder_bytes(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? (size_t)(slash - name) + 1 : 0;
}

static bool is_safetensors(const char *name)
{
    static const char suffix[] = ".safetensors";
    const size_t n = sizeof suffix - 1;
    const size_t n_bytes = strlen(name + folder_bytes(name));
    return n_bytes > n && strcmp(name + strlen(name) - n, suffix) == 0;
}

/* The .safetensors files in the model's own folder are its shards; one deeper down is a file like
 * any other. */
static bool is_shard(const char *name, const char *root, size_t root_bytes)
{
    return is_safetensors(name) && folder_bytes(name) == root_bytes &&
           memcmp(name, root, root_bytes) == 0;
}

static uint32_t depth_of(const char *name)
{
    uint32_t depth = 0;
    while ((name = strchr(name, '/')) != NULL) {
        depth++;
        name++;
    }
    return depth;
}

/* The folder of a set that is the model's: its first root_bytes of the name *root. That of a folder
 * is the folder itself; an archive may hold folders around it, and then it is the outermost one
 * with .safetensors files. */
static ingot_status find_root(const struct file_set *set, const char **root, size_t *root_bytes,
                              ingot_error *error)
{
    const char *found = NULL;
    const char *rival = NULL;
    for (uint32_t i = 0; i < set->n_files; i++) {
        const char *name = file_set_name(set, i);
        if (!is_safetensors(name)) continue;
        if (set->bundle == NULL && depth_of(name) > 0) continue;
        if (found == NULL || depth_of(name) < depth_of(found)) {
            found = name;
            rival = NULL;
        } else if (depth_of(name) == depth_of(found) &&
                   !is_shard(name, found, folder_bytes(found))) {
            rival = name;
        }
    }
    if (found == NULL) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, set->path,
                          "the %s holds no .safetensors file", set->bundle ? "archive" : "folder");
    }
    if (rival) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, set->path,
                          "two folders in it hold .safetensors files: which is the model, that of "
                          "%.60s or of %.60s?",
                          found, rival);
    }
    *root = found;
    *root_bytes = folder_bytes(found);
    return INGOT_OK;
}

/* A stream is read in the order of its bytes: so that is the order of an archive's tensors. Those
 * without bytes come last. */
static ingot_status order_by_data(struct safetensors *st, ingot_error *error)
{
    struct byte_buffer ordered = {.allocator = st->allocator};
    for (uint32_t i = 0; i < st->n_ordered; i++) {
        buffer_append(&ordered, safetensors_entry_at(st, st->by_data[i]),
                      sizeof(struct safetensors_entry));
        st->by_data[i] = i;
    }
    for (uint32_t i = 0; i < st->n_entries; i++) {
        const struct safetensors_entry *entry = safetensors_entry_at(st, i);
        if (entry->begin == entry->end) buffer_append(&ordered, entry, sizeof *entry);
    }
    if (ordered.failed) {
        buffer_release(&ordered);
        return ingot_fail_memory(error, st->entries.n_bytes, "tensor order");
    }
    buffer_release(&st->entries);
    st->entries = ordered;
    return INGOT_OK;
}

/* Opens every file of a set: shards whole, others noted for later. */
static ingot_status open_listed(struct model_files *m, const struct file_set *set, const char *root,
                                size_t root_bytes, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    uint32_t n_shards = 0;
    uint32_t n_attachments = 0;
    for (uint32_t i = 0; i < set->n_files && status == INGOT_OK; i++) {
        if (!is_shard(file_set_name(set, i), root, root_bytes)) {
            status = file_set_open(set, i, input_note, &m->attachments[n_attachments++], error);
            continue;
        }
        struct safetensors_shard *shard = safetensors_shard_at(m, n_shards++);
        status = file_set_open(set, i, input_open, &shard->base.input, error);
        if (status == INGOT_OK) status = open_shard(m, shard, error);
        if (status == INGOT_OK && set->bundle) status = order_by_data(&shard->header, error);
    }
    return status;
}

/* ------------------------------------------------------------------ the index */

/* A model and the folder that its index lies in. */
struct indexed {
    const struct model_files *m;
    size_t root_bytes; /* of every shard's name */
};

/* What shard_index.c asks of a model. */
static bool shard_holds(const void *context, const char *shard, const char *tensor,
                        size_t tensor_bytes, bool *shard_exists)
{
    const struct indexed *in = context;
    const struct model_files *m = in->m;
    uint32_t index;
    *shard_exists = false;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        if (strcmp(input_name(model_files_shard(m, i)->input) + in->root_bytes, shard) == 0) {
            *shard_exists = true;
        }
    }
    return *shard_exists && names_find(m->by_name, m->n_tensors, tensor, tensor_bytes, &index) &&
           strcmp(input_name(model_files_shard_of(m, index)->input) + in->root_bytes, shard) == 0;
}

/* Some programs count the tensors' bytes, some the files': a total that is neither is told. */
static void check_total(struct model_files *m, const struct shard_index_total *total)
{
    uint64_t tensor_bytes = 0;
    uint64_t file_bytes = 0;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        const struct safetensors *header = &safetensors_shard_at(m, i)->header;
        for (uint32_t k = 0; k < header->n_entries; k++) {
            const struct safetensors_entry *entry = safetensors_entry_at(header, k);
            tensor_bytes += entry->end - entry->begin;
        }
        file_bytes += input_bytes(model_files_shard(m, i)->input);
    }
    if (!total->found || total->n_bytes == tensor_bytes || total->n_bytes == file_bytes) return;
    model_add_note(
        &m->model, "%s: total_size is %llu, but the tensors are %llu bytes; nothing depends on it",
        SHARD_INDEX_NAME, (unsigned long long)total->n_bytes, (unsigned long long)tensor_bytes);
}

static ingot_status check_index(struct model_files *m, size_t root_bytes, ingot_error *error)
{
    const struct input *input = NULL;
    const struct indexed indexed = {m, root_bytes};
    struct shard_index_total total;
    const char *root = input_name(model_files_shard(m, 0)->input);
    for (uint32_t i = 0; i < m->n_attachments; i++) {
        const char *name = input_name(m->attachments[i]);
        const bool here = strncmp(name, root, root_bytes) == 0;
        if (here && strcmp(name + root_bytes, SHARD_INDEX_NAME) == 0) input = m->attachments[i];
    }
    if (input == NULL) return INGOT_OK;
    const uint64_t n_bytes = input_bytes(input);
    if (n_bytes > SHARD_INDEX_MAX_BYTES) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, SHARD_INDEX_NAME,
                          "%llu bytes long", (unsigned long long)n_bytes);
    }
    uint8_t *text = ingot_allocate(m->model.allocator, n_bytes);
    if (text == NULL) return ingot_fail_memory(error, n_bytes, SHARD_INDEX_NAME);
    ingot_status status = input_read(input, 0, n_bytes, text, error);
    if (status == INGOT_OK) {
        status = shard_index_check((struct span){text, n_bytes}, m->model.allocator, shard_holds,
                                   &indexed, &total, error);
    }
    if (status == INGOT_OK) check_total(m, &total);
    ingot_release(m->model.allocator, text);
    return status;
}

/* ------------------------------------------------------------------ the whole */

ingot_status safetensors_open_set(struct file_set *set, const struct assumptions *assumptions,
                                  struct model **model, ingot_error *error)
{
    (void)assumptions;
    struct model_files *m = NULL;
    const char *root = "";
    size_t root_bytes = 0;
    uint32_t n_shards = 0;
    ingot_status status = find_root(set, &root, &root_bytes, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < set->n_files; i++) {
        n_shards += is_shard(file_set_name(set, i), root, root_bytes);
    }
    status = new_model(n_shards, set->n_files - n_shards, set->allocator, &m, error);
    if (status != INGOT_OK) return status;
    status = open_listed(m, set, root, root_bytes, error);
    if (status == INGOT_OK) status = finish(m, error);
    if (status == INGOT_OK) status = check_index(m, root_bytes, error);
    model_files_note_empty(m, set);
    if (status == INGOT_OK && m->model.notes.failed) {
        status = ingot_fail_memory(error, m->model.notes.n_bytes, "notes");
    }
    if (status != INGOT_OK) {
        model_close(&m->model);
        return status;
    }
    m->bundle = set->bundle;
    set->bundle = NULL;
    *model = &m->model;
    return INGOT_OK;
}

/* Opens GGUF files: one, the parts of a split one, or a folder of them. What a file's head says is
 * gguf.c's affair. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/gguf_model.h"
#include "convert/hash.h"
#include "convert/source_gguf.h"
#include "format/alloc.h"
#include "format/fail.h"

/* As much of a file is read at first, and twice as much again while that is too little. */
enum { FIRST_HEAD_BYTES = 1 << 16 };

/* ------------------------------------------------------------------ one file */

static ingot_status read_head(struct gguf_model *m, struct gguf_shard *shard, uint64_t n_bytes,
                              ingot_error *error)
{
    ingot_release(m->files.model.allocator, shard->head);
    shard->head = ingot_allocate(m->files.model.allocator, n_bytes);
    if (shard->head == NULL) return ingot_fail_memory(error, n_bytes, "head");
    return input_read(shard->base.input, 0, n_bytes, shard->head, error);
}

/* Reads and proves the head of a file, whose input is open. */
static ingot_status open_shard(struct gguf_model *m, struct gguf_shard *shard,
                               const struct assumptions *assumptions, ingot_error *error)
{
    const uint64_t file_bytes = input_bytes(shard->base.input);
    uint64_t n_head = min_u64(FIRST_HEAD_BYTES, file_bytes);
    uint64_t wanted = 0;
    ingot_status status = INGOT_END;
    while (status == INGOT_END) {
        status = read_head(m, shard, n_head, error);
        if (status != INGOT_OK) return status;
        status = gguf_parse((struct span){shard->head, n_head}, file_bytes, assumptions,
                            m->files.model.allocator, &shard->gguf, &wanted, error);
        if (status != INGOT_END) break;
        if (wanted > GGUF_MAX_HEAD_BYTES) {
            status = ingot_fail(error, INGOT_UNSUPPORTED, n_head, "head",
                                "more than %llu bytes of metadata and tensor list",
                                (unsigned long long)GGUF_MAX_HEAD_BYTES);
            break;
        }
        n_head = min_u64(max_u64(wanted, 2 * n_head), file_bytes);
    }
    if (status != INGOT_OK) {
        model_blame(error, input_name(shard->base.input));
        return status;
    }
    hash_of(shard->head, shard->gguf.head_bytes, shard->head_hash);
    return INGOT_OK;
}

/* ------------------------------------------------------------------ a model and its files */

static ingot_status new_model(uint32_t n_shards, uint32_t n_attachments,
                              const ingot_allocator *allocator, struct gguf_model **out,
                              ingot_error *error)
{
    struct model_files *files;
    const ingot_status status =
        model_files_new(&gguf_kind, sizeof(struct gguf_model), &gguf_shard_kind, n_shards,
                        n_attachments, allocator, &files, error);
    if (status != INGOT_OK) return status;
    struct gguf_model *m = (struct gguf_model *)files;
    m->labels = (struct byte_buffer){.allocator = allocator};
    for (uint32_t i = 0; i < n_shards; i++) gguf_shard_at(m, i)->gguf.allocator = allocator;
    *out = m;
    return INGOT_OK;
}

static int compare_parts(const void *left, const void *right)
{
    const struct gguf_shard *a = left;
    const struct gguf_shard *b = right;
    return (a->gguf.split.number > b->gguf.split.number) -
           (a->gguf.split.number < b->gguf.split.number);
}

/* Puts the files in the order of their parts; they are one set, and all of it. */
static ingot_status check_split(struct gguf_model *m, ingot_error *error)
{
    const struct gguf_split *split = &gguf_shard_at(m, 0)->gguf.split;
    if (m->files.n_shards == 1 && !split->found) return INGOT_OK;
    for (uint32_t i = 0; i < m->files.n_shards; i++) {
        const struct gguf_split *part = &gguf_shard_at(m, i)->gguf.split;
        const char *name = input_name(gguf_shard_at(m, i)->base.input);
        if (!part->found) {
            return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name,
                              "it is a whole model and no part of one; name the one that is meant");
        }
        if (part->count != m->files.n_shards || part->number >= part->count) {
            return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name,
                              "it is part %llu of %llu, but %u file%s given",
                              (unsigned long long)part->number + 1, (unsigned long long)part->count,
                              m->files.n_shards, m->files.n_shards == 1 ? " is" : "s are");
        }
    }
    qsort(m->files.shards, m->files.n_shards, sizeof(struct gguf_shard), compare_parts);
    for (uint32_t i = 0; i < m->files.n_shards; i++) {
        if (gguf_shard_at(m, i)->gguf.split.number == i) continue;
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          input_name(gguf_shard_at(m, i)->base.input),
                          "it says that it is part %llu, and another file says so too",
                          (unsigned long long)gguf_shard_at(m, i)->gguf.split.number + 1);
    }
    return INGOT_OK;
}

static ingot_status check_tensor_count(const struct gguf_model *m, ingot_error *error)
{
    for (uint32_t i = 0; i < m->files.n_shards; i++) {
        const struct gguf_split *split = &gguf_shard_at(m, i)->gguf.split;
        if (!split->has_tensor_count || split->tensor_count == m->files.n_tensors) continue;
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "split.tensors.count",
                          "%.100s says %llu, but all parts together hold %u",
                          input_name(gguf_shard_at(m, i)->base.input),
                          (unsigned long long)split->tensor_count, m->files.n_tensors);
    }
    return INGOT_OK;
}

/* The blocks of a big-endian file hold big-endian numbers: they are another type. */
static ingot_status label_types(struct gguf_model *m, ingot_error *error)
{
    m->label_offsets = ingot_allocate_zeroed(m->files.model.allocator, m->files.n_tensors,
                                             sizeof *m->label_offsets);
    if (m->label_offsets == NULL) {
        return ingot_fail_memory(error, m->files.n_tensors * sizeof *m->label_offsets, "types");
    }
    for (uint32_t i = 0; i < m->files.n_tensors; i++) {
        const struct gguf_shard *shard = gguf_shard_of(m, i);
        const struct gguf_tensor *t = &shard->gguf.tensors[i - shard->base.first_tensor];
        const char *order = shard->gguf.encoding.big_endian ? "ggml-be" : "ggml";
        char label[32];
        if (t->type && t->type->dtype) continue;
        if (t->type) {
            snprintf(label, sizeof label, "%s:%s", order, t->type->name);
        } else {
            snprintf(label, sizeof label, "%s:type-%u", order, t->type_id);
        }
        m->label_offsets[i] = m->labels.n_bytes;
        buffer_append(&m->labels, label, strlen(label) + 1);
    }
    return m->labels.failed ? ingot_fail_memory(error, m->labels.n_bytes, "types") : INGOT_OK;
}

static void add_notes(struct gguf_model *m, const struct gguf_shard *shard,
                      const struct assumptions *assumptions)
{
    const struct gguf *g = &shard->gguf;
    const char *name = input_name(shard->base.input);
    if (g->n_repeated) {
        model_add_note(&m->files.model,
                       "%.100s: %u metadata key%s there again with the same value, and kept once",
                       name, g->n_repeated, g->n_repeated == 1 ? " is" : "s are");
    }
    if (g->reordered) {
        model_add_note(&m->files.model,
                       "%.100s: the tensors' bytes lie in another order than the list", name);
    }
    if (g->gap_bytes) {
        model_add_note(&m->files.model, "%.100s: %llu bytes between tensors are no tensor's", name,
                       (unsigned long long)g->gap_bytes);
    }
    if (g->tail_bytes) {
        model_add_note(&m->files.model, "%.100s: %llu bytes after the last tensor are no tensor's",
                       name, (unsigned long long)g->tail_bytes);
    }
    if (g->n_opaque) {
        model_add_note(&m->files.model,
                       "%.100s: the bytes of %u tensor%s of unknown types are carried as they are, "
                       "as was assumed (dialect=opaque)",
                       name, g->n_opaque, g->n_opaque == 1 ? "" : "s");
    }
    if (g->n_reused && assumptions->dialect == DIALECT_GGML) {
        model_add_note(&m->files.model,
                       "%.100s: the types of %u tensor%s, which forks use otherwise, are ggml's, "
                       "as was assumed (dialect=ggml)",
                       name, g->n_reused, g->n_reused == 1 ? "" : "s");
    }
}

/* Once the files are open. */
static ingot_status finish(struct gguf_model *m, const struct assumptions *assumptions,
                           ingot_error *error)
{
    ingot_status status = check_split(m, error);
    if (status == INGOT_OK) status = model_files_gather(&m->files, error);
    if (status == INGOT_OK) status = check_tensor_count(m, error);
    if (status == INGOT_OK) status = label_types(m, error);
    if (status == INGOT_OK) status = gguf_merge_metadata(m, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < m->files.n_shards; i++) {
        struct gguf_shard *shard = gguf_shard_at(m, i);
        add_notes(m, shard, assumptions);
        ingot_release(m->files.model.allocator, shard->head);
        shard->head = NULL;
        buffer_release(&shard->gguf.metadata);
    }
    if (!m->files.model.notes.failed) return INGOT_OK;
    return ingot_fail_memory(error, m->files.model.notes.n_bytes, "notes");
}

/* ------------------------------------------------------------------ files by name */

static ingot_status open_named(struct gguf_model *m, uint32_t i, const char *path,
                               const struct assumptions *assumptions, ingot_error *error)
{
    const ingot_status status = model_files_open_shard(&m->files, i, path, error);
    return status == INGOT_OK ? open_shard(m, gguf_shard_at(m, i), assumptions, error) : status;
}

/* "<prefix>-00001-of-00003.gguf": the length of the prefix, and what stands behind it. */
static bool split_name(const char *path, size_t *prefix_bytes, uint32_t *number, uint32_t *count)
{
    static const char form[] = "-00001-of-00003.gguf";
    const size_t n = sizeof form - 1;
    const size_t n_bytes = strlen(path);
    if (n_bytes <= n) return false;
    const char *tail = path + n_bytes - n;
    uint32_t numbers[2] = {0, 0};
    for (size_t i = 0; i < n; i++) {
        const bool digit = form[i] >= '0' && form[i] <= '9';
        if (digit ? tail[i] < '0' || tail[i] > '9' : tail[i] != form[i]) return false;
        if (digit) {
            uint32_t *v = &numbers[i > 6];
            *v = *v * 10 + (uint32_t)(tail[i] - '0');
        }
    }
    *prefix_bytes = n_bytes - n;
    *number = numbers[0];
    *count = numbers[1];
    return true;
}

/* How many parts a path that is alone stands for: more than one when it is the first of a set. */
static uint32_t parts_of(const char *path, size_t *prefix_bytes)
{
    uint32_t number;
    uint32_t count;
    if (!split_name(path, prefix_bytes, &number, &count) || number != 1 || count < 1) return 1;
    return count;
}

/* Opens the parts beside the first one. */
static ingot_status open_beside(struct gguf_model *m, const char *first, size_t prefix_bytes,
                                const struct assumptions *assumptions, ingot_error *error)
{
    const size_t n_bytes = strlen(first) + 1;
    ingot_status status = INGOT_OK;
    char *path = ingot_allocate(m->files.model.allocator, n_bytes);
    if (path == NULL) return ingot_fail_memory(error, n_bytes, "file name");
    memcpy(path, first, prefix_bytes);
    for (uint32_t i = 0; i < m->files.n_shards && status == INGOT_OK; i++) {
        snprintf(path + prefix_bytes, n_bytes - prefix_bytes, "-%05u-of-%05u.gguf", i + 1,
                 m->files.n_shards);
        status = open_named(m, i, path, assumptions, error);
    }
    ingot_release(m->files.model.allocator, path);
    return status;
}

ingot_status gguf_open_files(const char *const *paths, uint32_t n_paths,
                             const struct assumptions *assumptions,
                             const ingot_allocator *allocator, struct model **model,
                             ingot_error *error)
{
    struct gguf_model *m;
    size_t prefix_bytes = 0;
    const uint32_t n_parts = n_paths == 1 ? parts_of(paths[0], &prefix_bytes) : 1;
    ingot_status status = new_model(n_paths == 1 ? n_parts : n_paths, 0, allocator, &m, error);
    if (status != INGOT_OK) return status;
    if (n_parts > 1) {
        status = open_beside(m, paths[0], prefix_bytes, assumptions, error);
    } else {
        for (uint32_t i = 0; i < n_paths && status == INGOT_OK; i++) {
            status = open_named(m, i, paths[i], assumptions, error);
        }
    }
    if (status == INGOT_OK) status = finish(m, assumptions, error);
    if (status != INGOT_OK) {
        model_close(&m->files.model);
        return status;
    }
    *model = &m->files.model;
    return INGOT_OK;
}

/* ------------------------------------------------------------------ a folder */

/* The .gguf files in the folder itself are the model; one deeper down is a file like any other. */
static bool is_shard(const char *name)
{
    static const char suffix[] = ".gguf";
    const size_t n = sizeof suffix - 1;
    const size_t n_bytes = strlen(name);
    return strchr(name, '/') == NULL && n_bytes > n && strcmp(name + n_bytes - n, suffix) == 0;
}

static ingot_status open_listed(struct gguf_model *m, const struct file_set *set,
                                const struct assumptions *assumptions, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    uint32_t n_shards = 0;
    uint32_t n_attachments = 0;
    for (uint32_t i = 0; i < set->n_files && status == INGOT_OK; i++) {
        if (!is_shard(file_set_name(set, i))) {
            status =
                file_set_open(set, i, input_note, &m->files.attachments[n_attachments++], error);
            continue;
        }
        struct gguf_shard *shard = gguf_shard_at(m, n_shards++);
        status = file_set_open(set, i, input_open, &shard->base.input, error);
        if (status == INGOT_OK) status = open_shard(m, shard, assumptions, error);
    }
    return status;
}

ingot_status gguf_open_set(struct file_set *set, const struct assumptions *assumptions,
                           struct model **model, ingot_error *error)
{
    struct gguf_model *m;
    uint32_t n_shards = 0;
    for (uint32_t i = 0; i < set->n_files; i++) n_shards += is_shard(file_set_name(set, i));
    if (n_shards == 0) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, set->path,
                          "the folder holds no .gguf file");
    }
    ingot_status status = new_model(n_shards, set->n_files - n_shards, set->allocator, &m, error);
    if (status != INGOT_OK) return status;
    status = open_listed(m, set, assumptions, error);
    model_files_note_empty(&m->files, set);
    if (status == INGOT_OK) status = finish(m, assumptions, error);
    if (status != INGOT_OK) {
        model_close(&m->files.model);
        return status;
    }
    *model = &m->files.model;
    return INGOT_OK;
}

/* A model that consists of files: those that hold its tensors, which are its shards, and those that
 * are attached. Numbers and finds the tensors of all of them and gives every call of a model that
 * does not depend on what a shard holds. For the formats that are such files. */
#ifndef INGOT_CONVERT_MODEL_FILES_H
#define INGOT_CONVERT_MODEL_FILES_H

#include "convert/file_set.h"
#include "convert/model_kind.h"
#include "convert/names.h"

struct source_reading;

/* The first member of every format's shard. */
struct model_shard {
    struct input *input;
    uint32_t first_tensor; /* number of its first tensor in the model */
};

/* What a format gives: one struct of functions a format. */
struct shard_kind {
    uint64_t n_bytes; /* of the format's struct for a shard */
    uint32_t (*n_tensors)(const struct model_shard *shard);
    /* The name of a tensor by its number in the shard; lives as long as the shard. */
    struct span (*tensor_name)(const struct model_shard *shard, uint32_t index);
    /* Where its bytes lie in the file; false when they are not those that are read as its own. */
    bool (*place)(const struct model_shard *shard, uint32_t index, struct model_place *place);
    /* Reads the shard from its first byte to its last, and gives the hashes of its tensors. */
    ingot_status (*read)(struct source_reading *reading, const struct model_shard *shard,
                         struct model_hashes *hashes);
    /* Of what the format's struct holds besides the model_shard. */
    void (*release)(struct model_shard *shard, const ingot_allocator *allocator);
};

/* The first member of a format's model, or all of it. */
struct model_files {
    struct model model;
    const struct shard_kind *shard_kind;
    uint32_t n_shards;
    uint32_t n_attachments;
    uint32_t n_tensors;
    void *shards; /* an array of the format's struct */
    struct input **attachments;
    struct name_ref *by_name; /* all tensors */
    struct byte_buffer metadata;
    struct bundle *bundle; /* of an archive, else NULL; owned */
};

/* A model of model_bytes with all shards and attachments still empty: who opens them writes their
 * inputs. On success it is to be closed. */
ingot_status model_files_new(const struct model_kind *kind, uint64_t model_bytes,
                             const struct shard_kind *shard_kind, uint32_t n_shards,
                             uint32_t n_attachments, const ingot_allocator *allocator,
                             struct model_files **files, ingot_error *error);
/* Opens the input of a shard. INGOT_REFUSED when the file's name is no safe path or that of a shard
 * before it. */
ingot_status model_files_open_shard(struct model_files *m, uint32_t index, const char *path,
                                    ingot_error *error);
/* Numbers the tensors of all shards, once these are open. INGOT_INVALID when two have a name. */
ingot_status model_files_gather(struct model_files *m, ingot_error *error);
/* Notes which empty folders are left out. */
void model_files_note_empty(struct model_files *m, const struct file_set *set);

/* The format's struct of a shard, by its number and by that of a tensor it holds. */
struct model_shard *model_files_shard(const struct model_files *m, uint32_t index);
struct model_shard *model_files_shard_of(const struct model_files *m, uint32_t tensor);

/* The functions of a model_kind that are the same in every format of files; close is to be the last
 * that a format's own close calls. */
void model_files_close(struct model *model);
const ingot_file *model_files_container(const struct model *model);
uint32_t model_files_n_tensors(const struct model *model);
ingot_status model_files_find(const struct model *model, const char *name, size_t name_bytes,
                              uint32_t *index);
struct span model_files_metadata(const struct model *model);
uint32_t model_files_n_attachments(const struct model *model);
void model_files_attachment(const struct model *model, uint32_t index,
                            struct model_attachment *attachment);
ingot_status model_files_read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                         uint64_t n_bytes, void *dst, ingot_error *error);
bool model_files_place(const struct model *model, uint32_t index, struct model_place *place);
ingot_status model_files_source_blob(const struct model *model, const uint32_t *attachment_blobs,
                                     const struct progress *progress,
                                     struct source_passing *passing, struct byte_buffer *out,
                                     struct model_hashes *hashes, ingot_error *error);
ingot_status model_files_unchanged(const struct model *model, ingot_error *error);
uint64_t model_files_source_bytes(const struct model *model);

/* Those of them that no format replaces, as rows of its model_kind. */
#define MODEL_FILES_CALLS                                                                   \
    .container = model_files_container, .n_tensors = model_files_n_tensors,                 \
    .find = model_files_find, .place = model_files_place, .metadata = model_files_metadata, \
    .n_attachments = model_files_n_attachments, .attachment = model_files_attachment,       \
    .read_attachment = model_files_read_attachment, .source_blob = model_files_source_blob, \
    .unchanged = model_files_unchanged, .source_bytes = model_files_source_bytes

#endif

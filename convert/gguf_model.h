/* The insides of a model of GGUF files, for the files that make it. */
#ifndef INGOT_CONVERT_GGUF_MODEL_H
#define INGOT_CONVERT_GGUF_MODEL_H

#include "convert/gguf.h"
#include "convert/input.h"
#include "convert/model_kind.h"
#include "convert/names.h"

/* Entries of a file's metadata that the model's metadata gives again, byte for byte. */
struct gguf_run {
    uint64_t begin; /* in the file */
    uint64_t end;
    struct metadata_range range; /* of the model's metadata */
};

/* One file. */
struct gguf_shard {
    struct input *input;
    uint8_t *head; /* its bytes, until the model is open; then NULL */
    uint8_t head_hash[16];
    struct gguf gguf; /* without metadata once the model is open */
    uint32_t first_tensor;
    uint32_t n_runs;
    struct gguf_run *runs;
};

struct gguf_model {
    struct model model;
    uint32_t n_shards;
    uint32_t n_attachments;
    uint32_t n_tensors;
    struct gguf_shard *shards;
    struct input **attachments;
    struct name_ref *by_name; /* all tensors */
    struct byte_buffer metadata;
    struct byte_buffer labels; /* of tensors of foreign types, each ends with a zero byte */
    uint64_t *label_offsets;   /* one a tensor; foreign ones only */
};

extern const struct model_kind gguf_kind;

/* The file that holds a tensor. */
const struct gguf_shard *gguf_shard_of(const struct gguf_model *m, uint32_t index);

/* The metadata of all files in one blob, and of each file the runs that it gives again. */
ingot_status gguf_merge_metadata(struct gguf_model *m, ingot_error *error);

/* As model_source_blob. */
ingot_status gguf_source_blob(const struct gguf_model *m, const uint32_t *attachment_blobs,
                              const struct progress *progress, struct byte_buffer *out,
                              struct model_hashes *hashes, ingot_error *error);

#endif

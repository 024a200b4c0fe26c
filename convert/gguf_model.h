/* The insides of a model of GGUF files, for the files that make it. */
#ifndef INGOT_CONVERT_GGUF_MODEL_H
#define INGOT_CONVERT_GGUF_MODEL_H

#include "convert/gguf.h"
#include "convert/model_files.h"

/* Entries of a file's metadata that the model's metadata gives again, byte for byte. */
struct gguf_run {
    uint64_t begin; /* in the file */
    uint64_t end;
    struct metadata_range range; /* of the model's metadata */
};

/* One file. */
struct gguf_shard {
    struct model_shard base;
    uint8_t *head; /* its bytes, until the model is open; then NULL */
    uint8_t head_hash[16];
    struct gguf gguf; /* without metadata once the model is open */
    uint32_t n_runs;
    struct gguf_run *runs;
};

struct gguf_model {
    struct model_files files;
    struct byte_buffer labels; /* of tensors of foreign types, each ends with a zero byte */
    uint64_t *label_offsets;   /* one a tensor; foreign ones only */
};

extern const struct model_kind gguf_kind;
extern const struct shard_kind gguf_shard_kind;

struct gguf_shard *gguf_shard_at(const struct gguf_model *m, uint32_t index);
/* The file that holds a tensor. */
const struct gguf_shard *gguf_shard_of(const struct gguf_model *m, uint32_t tensor);

/* The metadata of all files in one blob, and of each file the runs that it gives again. */
ingot_status gguf_merge_metadata(struct gguf_model *m, ingot_error *error);

/* As that of a shard_kind. */
ingot_status gguf_read_shard(struct source_reading *r, const struct model_shard *shard,
                             struct model_hashes *hashes);

#endif

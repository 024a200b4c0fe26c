/* The insides of a model of safetensors files, for the files that make it. */
#ifndef INGOT_CONVERT_SAFETENSORS_MODEL_H
#define INGOT_CONVERT_SAFETENSORS_MODEL_H

#include "convert/bundle.h"
#include "convert/input.h"
#include "convert/model_kind.h"
#include "convert/names.h"
#include "convert/safetensors.h"

/* One .safetensors file. */
struct safetensors_shard {
    struct input *input;
    struct safetensors header;
    uint64_t header_bytes;
    uint8_t header_hash[16]; /* of those bytes, as they were when they were proved */
    uint64_t data_offset;
    uint32_t first_tensor; /* number of its first tensor in the model */
};

struct safetensors_model {
    struct model model;
    uint32_t n_shards;
    uint32_t n_attachments;
    uint32_t n_tensors;
    struct safetensors_shard *shards;
    struct input **attachments;
    struct name_ref *by_name; /* all tensors */
    struct byte_buffer metadata;
    struct bundle *bundle; /* of an archive, else NULL */
};

extern const struct model_kind safetensors_kind;

/* The file that holds a tensor. */
const struct safetensors_shard *safetensors_shard_of(const struct safetensors_model *m,
                                                     uint32_t index);

/* The metadata of all files in one blob: entries in the order of files, each key once. Where two
 * files differ, the first is kept and a note says so. */
ingot_status safetensors_merge_metadata(struct safetensors_model *m, ingot_error *error);

/* As model_source_blob. */
ingot_status safetensors_source_blob(const struct safetensors_model *m,
                                     const uint32_t *attachment_blobs,
                                     const struct progress *progress, struct byte_buffer *out,
                                     struct model_hashes *hashes, ingot_error *error);

#endif

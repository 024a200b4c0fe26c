/* The insides of a model of safetensors files, for the files that make it. */
#ifndef INGOT_CONVERT_SAFETENSORS_MODEL_H
#define INGOT_CONVERT_SAFETENSORS_MODEL_H

#include "convert/model_files.h"
#include "convert/safetensors.h"

/* One .safetensors file. */
struct safetensors_shard {
    struct model_shard base;
    struct safetensors header;
    uint64_t header_bytes;
    uint8_t header_hash[16]; /* of those bytes, as they were when they were proved */
    uint64_t data_offset;
};

extern const struct model_kind safetensors_kind;
extern const struct shard_kind safetensors_shard_kind;

struct safetensors_shard *safetensors_shard_at(const struct model_files *m, uint32_t index);

/* The metadata of all files in one blob: entries in the order of files, each key once. Where two
 * files differ, the first is kept and a note says so. */
ingot_status safetensors_merge_metadata(struct model_files *m, ingot_error *error);

/* As that of a shard_kind. */
ingot_status safetensors_read_shard(struct source_reading *r, const struct model_shard *shard,
                                    struct model_hashes *hashes);

#endif

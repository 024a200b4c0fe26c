/* model.safetensors.index.json: which file of a sharded checkpoint holds which tensor. It comes
 * from outside and names files, so it is checked; nothing is opened because of it. Knows no
 * files. */
#ifndef INGOT_CONVERT_SHARD_INDEX_H
#define INGOT_CONVERT_SHARD_INDEX_H

#include "format/bytes.h"
#include "format/ingot.h"

#define SHARD_INDEX_NAME "model.safetensors.index.json"
enum { SHARD_INDEX_MAX_BYTES = 256 << 20 };

/* Tells whether a shard exists and holds the tensor. */
typedef bool shard_holds_function(const void *context, const char *shard, const char *tensor,
                                  size_t tensor_bytes, bool *shard_exists);

/* metadata.total_size, which is advisory: who writes the file may change tensors and forget it. */
struct shard_index_total {
    bool found; /* and an integer */
    uint64_t n_bytes;
};

/* Refuses a weight_map that names a file elsewhere, a file that is not there, or a tensor that is
 * not in the file it is said to be in. Files may hold tensors that the map does not name. */
ingot_status shard_index_check(struct span text, const ingot_allocator *allocator,
                               shard_holds_function *holds, const void *context,
                               struct shard_index_total *total, ingot_error *error);

#endif

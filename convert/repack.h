/* Exact repacking: a container's tensor as blocks of a ggml type that holds its values without
 * rounding anything again. Either the streams are those of the type, or integers and scales are set
 * down anew as the type has them. Knows no file format. */
#ifndef INGOT_CONVERT_REPACK_H
#define INGOT_CONVERT_REPACK_H

#include "convert/gguf_types.h"
#include "format/block_tensor.h"

struct repack {
    const ingot_file *file;
    uint32_t tensor;
    const struct gguf_type *type; /* NULL: no type holds the values */
    bool same_streams;
    bool zero_signs;            /* some values are -0 in the container and +0 in the blocks */
    struct block_tensor blocks; /* when same_streams */
    uint64_t n_bytes;           /* of all blocks, row after row */
    char why_not[128];          /* when there is no type */
};

/* Finds the type of fewest bytes. A tensor whose coding is not a type's is read for the proof. */
ingot_status repack_find(const ingot_file *file, uint32_t tensor, struct repack *out,
                         ingot_error *error);
/* Bytes of the blocks. */
ingot_status repack_read(const struct repack *repack, uint64_t offset, uint64_t n_bytes, void *dst,
                         ingot_error *error);

#endif

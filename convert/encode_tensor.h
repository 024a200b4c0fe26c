/* One tensor from a model to a writer in another encoding, with the error that it costs. Knows no
 * format. */
#ifndef INGOT_CONVERT_ENCODE_TENSOR_H
#define INGOT_CONVERT_ENCODE_TENSOR_H

#include "convert/convert.h"
#include "convert/encoding.h"
#include "format/pool.h"
#include "format/writer.h"

struct encoded_tensor {
    char label[96]; /* "int4-g32 + lowrank(r16, bf16)" */
    ingot_dtype dtype;
    uint64_t coded_bytes;
    bool weighted;             /* by importance */
    uint8_t source_hash[16];   /* of the logical bytes, or of the f32 values of one not held raw */
    struct tensor_error error; /* of what was written, as the reference decoder gives it */
};

/* Hears of rows that are done. */
struct row_progress {
    void *context;
    void (*report)(void *context, uint64_t done_rows, uint64_t n_rows);
};

/* Writes a tensor; progress may be NULL; the result does not depend on the pool. An encoding that
 * is by slabs takes memory for a few of them; one that is not takes 4 bytes a weight of the tensor
 * and twice the encoded tensor, from `memory`, which may be NULL. INGOT_REFUSED, naming tensor and
 * element, when the encoding cannot hold a value. */
ingot_status encode_tensor(const struct model *model, uint32_t index,
                           const struct encoding *encoding, ingot_writer *writer,
                           struct ingot_pool *pool, const ingot_allocator *memory,
                           const struct row_progress *progress, struct encoded_tensor *result,
                           ingot_error *error);

#endif

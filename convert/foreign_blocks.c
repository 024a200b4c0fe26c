/* Foreign tensors as blocks. */
#include "convert/foreign_blocks.h"

#include <assert.h>
#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"

const struct gguf_type *foreign_blocks_type(const struct model_tensor *tensor)
{
    static const char prefix[] = "ggml:";
    enum { N_PREFIX = sizeof prefix - 1 };
    const char *name = tensor->foreign.name;
    if (name == NULL || strncmp(name, prefix, N_PREFIX) != 0) return NULL;
    const struct gguf_type *type = gguf_type_named(name + N_PREFIX, strlen(name + N_PREFIX));
    if (type == NULL || block_layout_of(type->id) == NULL) return NULL;
    if (tensor->n_cols % type->block_weights != 0) return NULL;
    const uint64_t n_blocks = tensor->n_rows * (tensor->n_cols / type->block_weights);
    return n_blocks * type->block_bytes == tensor->foreign.n_bytes ? type : NULL;
}

/* Blocks are read about this many bytes at a time. */
enum { STEP_BYTES = 1 << 20 };

ingot_status foreign_blocks_decode(const struct model *model, uint32_t index, uint64_t first_row,
                                   uint64_t n_rows, float *dst, ingot_error *error)
{
    struct model_tensor t;
    model_tensor(model, index, &t);
    const struct gguf_type *type = foreign_blocks_type(&t);
    assert(type);
    const uint64_t row_bytes = t.n_cols / type->block_weights * type->block_bytes;
    const uint64_t step = min_u64(max_u64(1, STEP_BYTES / max_u64(1, row_bytes)), n_rows);
    uint8_t *blocks = ingot_allocate(NULL, step * row_bytes);
    ingot_status status = INGOT_OK;
    if (blocks == NULL) return ingot_fail_memory(error, step * row_bytes, "blocks");
    for (uint64_t row = 0; row < n_rows && status == INGOT_OK; row += step) {
        const uint64_t n = min_u64(step, n_rows - row);
        status = model_read_foreign(model, index, (first_row + row) * row_bytes, n * row_bytes,
                                    blocks, error);
        if (status == INGOT_OK) {
            status = blocks_decode(type->id, blocks, n, t.n_cols, dst + row * t.n_cols, error);
        }
    }
    ingot_release(NULL, blocks);
    return status;
}

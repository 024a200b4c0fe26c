/* Blocks out of files. */
#include "format/block_tensor.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"

ingot_status block_tensor_open(const ingot_file *file, uint32_t tensor, uint32_t type,
                               struct block_tensor *out, ingot_error *error)
{
    const struct tensor_layout at = ingot_file_layout(file, tensor);
    struct block_tensor t = {.file = file, .layout = block_layout_of(type)};
    struct file_term term;
    ingot_tensor described;
    uint32_t first_rescale, n_streams;
    ingot_file_tensor(file, tensor, &described);
    ingot_file_term(file, tensor, 0, &term);
    const bool fits = t.layout && described.n_terms == 1 && term.kind == TERM_DENSE &&
                      ingot_file_rescale(file, tensor, &first_rescale) == NULL &&
                      coding_streams(term.coding, at.shape, t.shapes, &n_streams) &&
                      block_streams_fit(t.layout, at.shape, t.shapes, n_streams);
    if (!fits) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "blocks",
                          "tensor %u does not have the streams of type %u", tensor, type);
    }
    t.first_stream = term.first_stream;
    t.n_rows = at.shape.n_matrices * at.shape.n_rows;
    t.n_blocks = at.shape.n_cols / t.layout->n_weights;
    *out = t;
    return INGOT_OK;
}

/* Some blocks that form n_rows rows of n_blocks: whole rows, or a part of one. */
struct run {
    uint64_t row;
    uint64_t first_block;
    uint64_t n_rows;
    uint64_t n_blocks;
};

static struct run next_run(const struct block_tensor *t, uint64_t first, uint64_t n)
{
    const uint64_t row = first / t->n_blocks, block = first % t->n_blocks;
    if (block == 0 && n >= t->n_blocks) return (struct run){row, 0, n / t->n_blocks, t->n_blocks};
    return (struct run){row, block, 1, min_u64(n, t->n_blocks - block)};
}

static ingot_status read_run(const struct block_tensor *t, const struct run *run, uint8_t *dst,
                             ingot_error *error)
{
    const ingot_allocator *allocator = t->file->allocator;
    const struct block_rows rows = {t->layout, t->shapes, run->n_rows, run->n_blocks};
    uint8_t *streams[BLOCK_MAX_STREAMS] = {0};
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < t->layout->n_streams && status == INGOT_OK; i++) {
        const uint64_t row_bytes = t->shapes[i].row_bits / 8;
        const uint64_t block_bytes = block_stream_bits(t->layout, i) / 8;
        const uint64_t n_bytes = (run->n_rows - 1) * row_bytes + run->n_blocks * block_bytes;
        streams[i] = ingot_allocate(allocator, n_bytes);
        if (streams[i] == NULL) {
            status = ingot_fail_memory(error, n_bytes, "streams of blocks");
            break;
        }
        status = ingot_file_read_stream(t->file, t->first_stream + i,
                                        run->row * row_bytes + run->first_block * block_bytes,
                                        n_bytes, streams[i], error);
    }
    if (status == INGOT_OK) {
        const uint64_t bad = blocks_together(&rows, (const uint8_t *const *)streams, dst);
        if (bad != UINT64_MAX) {
            const uint64_t weight =
                (run->row * t->n_blocks + run->first_block) * t->layout->n_weights + bad;
            status = ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "blocks",
                                "weight %llu has a code that type %u cannot hold",
                                (unsigned long long)weight, t->layout->type);
        }
    }
    for (uint32_t i = 0; i < t->layout->n_streams; i++) ingot_release(allocator, streams[i]);
    return status;
}

ingot_status block_tensor_read(const struct block_tensor *tensor, uint64_t first, uint64_t n,
                               uint8_t *dst, ingot_error *error)
{
    while (n > 0) {
        const struct run run = next_run(tensor, first, n);
        const uint64_t n_run = run.n_rows * run.n_blocks;
        const ingot_status status = read_run(tensor, &run, dst, error);
        if (status != INGOT_OK) return status;
        dst += n_run * tensor->layout->n_bytes;
        first += n_run;
        n -= n_run;
    }
    return INGOT_OK;
}

/* The layout of a checkpoint of llama2.c (github.com/karpathy/llama2.c: export.py, run.c): a head
 * of seven numbers, then arrays of f32 in a fixed order, those of all layers together. Reads no
 * file. */
#ifndef INGOT_CONVERT_LLAMA2C_H
#define INGOT_CONVERT_LLAMA2C_H

#include "format/buffer.h"
#include "format/bytes.h"

enum { LLAMA2C_HEAD_BYTES = 40 }; /* of a file, that llama2c_read looks at */

struct llama2c_array {
    const char *name; /* of a tensor, as GGUF has it; of a layer, what follows "blk.N." */
    bool of_layers;
    uint64_t dims[2]; /* rows; values of a row, or 0: a vector of dims[0] */
    uint64_t offset;  /* in the file */
    uint64_t n_bytes; /* of one tensor */
};

enum { LLAMA2C_MAX_ARRAYS = 12 };

struct llama2c {
    uint32_t n_hidden;
    uint32_t n_ffn;
    uint32_t n_layers;
    uint32_t n_heads;
    uint32_t n_kv_heads;
    uint32_t n_vocab;
    uint32_t n_context;
    bool tied;        /* the embedding is the output matrix */
    bool has_version; /* 1; else there is none, and tables of rotary positions */
    uint32_t n_arrays;
    struct llama2c_array arrays[LLAMA2C_MAX_ARRAYS]; /* by offset */
};

/* Reads a head, of a file of file_bytes, which the arrays must fill exactly. INGOT_INVALID, or
 * INGOT_UNSUPPORTED for version 2 (int8 groups) and what is no checkpoint of llama2.c at all. */
ingot_status llama2c_read(struct span head, uint64_t file_bytes, struct llama2c *checkpoint,
                          ingot_error *error);
uint32_t llama2c_n_tensors(const struct llama2c *checkpoint);
/* Appends the metadata blob [spec 8.1]: the checkpoint's numbers under the keys of GGUF. */
void llama2c_put_metadata(const struct llama2c *checkpoint, struct byte_buffer *out);

#endif

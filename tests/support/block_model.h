/* Containers of tensors of ggml's blocks, with a source blob that gives all the blocks as one file,
 * "blocks.bin". What cannot be done ends the program. */
#ifndef INGOT_TESTS_SUPPORT_BLOCK_MODEL_H
#define INGOT_TESTS_SUPPORT_BLOCK_MODEL_H

#include "convert/gguf_types.h"
#include "format/buffer.h"
#include "format/writer.h"

enum { BLOCK_TYPES_MAX = 32 };

/* A tensor, named as its type. */
struct block_part {
    const struct gguf_type *type;
    uint8_t *blocks;
    uint64_t n_rows;
    uint64_t n_cols;
    uint64_t n_bytes;
    uint64_t n_exceptions; /* told by block_model_write */
};

/* The types that have a layout, in ascending order of numbers, without blocks. Returns how many. */
uint32_t block_model_types(struct block_part parts[BLOCK_TYPES_MAX]);

/* Gives a part the blocks of fixtures/blocks, as two rows. The caller frees them. */
void block_model_fixture(struct block_part *part);

/* A file of fixtures/blocks: "blocks" or "values" of a type. The caller frees it. */
uint8_t *block_fixture_read(const struct gguf_type *type, const char *suffix, uint64_t *n_bytes);

/* Adds all tensors and the source blob. */
void block_model_write(ingot_writer *writer, struct block_part *parts, uint32_t n_parts);

/* Adds a tensor of two rows of four blocks of zeros, and a source blob whose one segment is it in
 * that form. */
void block_model_form(ingot_writer *writer, uint32_t type, const struct byte_buffer *form);

#endif

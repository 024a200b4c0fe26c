/* The form of chapter 8.2 in which a tensor's streams become ggml's blocks. */
#ifndef INGOT_SOURCE_BLOCKS_H
#define INGOT_SOURCE_BLOCKS_H

#include "format/source.h"

/* A form: its kind, the type, and the blocks whose bytes differ from what the streams give. */
void form_blocks_begin(struct byte_buffer *form, uint32_t type);
/* In ascending order of blocks, counted over the tensor's rows. */
void form_blocks_except(struct byte_buffer *form, uint64_t block, const uint8_t *bytes,
                        uint32_t n_bytes);

/* Gives the bytes of a tensor in a form of this kind to `put`, in order. */
ingot_status form_blocks_put(const ingot_file *file, uint32_t tensor, struct span form,
                             const struct byte_sink *sink, ingot_error *error);

#endif

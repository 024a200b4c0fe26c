/* Tensors of foreign blocks into a container, as streams where they can be proved. For
 * sink_ingot.c. */
#ifndef INGOT_CONVERT_HOLD_BLOCKS_H
#define INGOT_CONVERT_HOLD_BLOCKS_H

#include "convert/blocks.h"
#include "convert/sink.h"

/* What is remembered over the tensors of a conversion. Begins zeroed; release it. */
struct blocks_held {
    struct block_books_written books;
    struct byte_buffer *forms; /* one a tensor: the form of 8.2, empty where it is not held so */
    uint32_t n_forms;
    struct byte_buffer notes; /* which tensors are not, or not wholly, held so, and why; each ends
                                 with a zero byte */
};

ingot_status blocks_held_begin(struct blocks_held *held, ingot_writer *writer, uint32_t n_tensors,
                               ingot_error *error);
void blocks_held_release(struct blocks_held *held);

/* Holds a tensor for which foreign_blocks_type gives a type. Its bytes pass `hash` while they are
 * written. *done is false, and a note is added, when it could not be proved: nothing is written
 * then. *coded_bytes: of its streams. */
ingot_status hold_blocks(struct blocks_held *held, struct conversion *c, uint32_t index,
                         const struct writer_tensor *tensor, XXH3_state_t *hash, bool *done,
                         uint64_t *coded_bytes, ingot_error *error);

/* A source blob whose tensor segments get the forms of those tensors that are held as streams. */
ingot_status blocks_held_source(const struct blocks_held *held, struct byte_buffer *blob,
                                ingot_error *error);

#endif

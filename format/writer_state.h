/* The writer's state and the records it adds, for the files of the writer alone. */
#ifndef INGOT_WRITER_STATE_H
#define INGOT_WRITER_STATE_H

#include "format/index_writer.h"
#include "format/pool.h"
#include "format/writer.h"

struct ingot_writer {
    const ingot_allocator *allocator;
    struct chunk_writer chunks;
    struct index_tables tables;
    struct intern coding_numbers;
    struct intern codebooks; /* their streams */
    struct intern tensor_names;
    struct byte_buffer metadata; /* entries that were added */
    uint64_t n_metadata;
    struct intern metadata_keys;
    uint32_t stack; /* of tensors to come, where split is above 0 */
    uint32_t split;
    uint32_t n_threads;
    struct ingot_pool *pool; /* once something was encoded */
    uint64_t header_checksum;
    uint64_t max_bytes; /* 0: any */
    const char *ended;  /* why it can only be closed; NULL: it is in use */
};

/* Writes the metadata blob, if there are entries. */
ingot_status write_metadata(ingot_writer *writer, ingot_error *error);

/* INGOT_REFUSED when the writer can only be closed. */
ingot_status check_in_use(const ingot_writer *w, ingot_error *error);
/* Passes a status on. What failed while it wrote has left the file in pieces: that is the end. */
ingot_status end_if_failed(ingot_writer *w, ingot_status status);

/* Whether a tensor of that name, type and number of terms may be added; remembers the name. */
ingot_status check_tensor(ingot_writer *w, const struct writer_tensor *t, ingot_error *error);

/* Adds the records of a tensor whose streams are first_stream and on. */
ingot_status add_tensor(ingot_writer *w, const struct writer_tensor *t,
                        const struct term_stream *streams, uint32_t n_streams,
                        uint32_t first_stream, ingot_error *error);

/* Writes the streams of a tensor and adds its records. Streams that follow the rows are cut into
 * slabs, unless by_slabs is false: then they are pulled by ranges of bytes like the others. */
ingot_status write_tensor(ingot_writer *w, const struct writer_tensor *tensor,
                          const struct writer_source *source, bool by_slabs, ingot_error *error);

#endif

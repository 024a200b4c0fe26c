/* A writer_source over the logical bytes of a tensor held raw. */
#ifndef INGOT_RAW_H
#define INGOT_RAW_H

#include "format/writer.h"

struct raw_rows {
    const ingot_allocator *allocator;
    const struct byte_source *source;
    uint8_t bits;
    uint64_t n_cols;
    struct stream_shape shapes[CODING_MAX_PLANES];
};

/* The writer_source functions; context is a struct raw_rows. Filling by ranges is for types of 8
 * bits and more, whose one plane is the logical bytes. */
ingot_status raw_fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                      uint8_t *dst, ingot_error *error);
ingot_status raw_slab(void *context, uint64_t first_row, uint64_t n_rows, uint8_t *const *dst,
                      ingot_error *error);

#endif

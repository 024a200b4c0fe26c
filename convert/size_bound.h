/* How many bytes a container has at most, from the sizes of what it is to hold. */
#ifndef INGOT_CONVERT_SIZE_BOUND_H
#define INGOT_CONVERT_SIZE_BOUND_H

#include "convert/sink.h"

struct size_bound {
    const struct conversion *c;
    uint64_t n_bytes;
    bool blocks; /* foreign blocks, whose codebooks are counted */
};

/* Counts what every container has: metadata, receipt, encodings that are used. */
void bound_begin(struct size_bound *bound, const struct conversion *c);
/* A tensor's streams, records and place in the receipt. encoding NULL: it is kept. */
void bound_add(struct size_bound *bound, const struct model_tensor *tensor,
               const struct encoding *encoding, uint64_t coded_bytes, uint32_t n_streams);
void bound_add_blob(struct size_bound *bound, uint64_t name_bytes, uint64_t n_bytes);
/* Holds for containers that have no source blob. */
uint64_t bound_bytes(const struct size_bound *bound);

#endif

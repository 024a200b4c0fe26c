/* Packing one chunk: which filter, and how each of its planes is coded, by what is measured on the
 * bytes themselves. Knows nothing of files; a packer belongs to one thread at a time, and what it
 * gives depends on the bytes alone. */
#ifndef INGOT_PACKER_H
#define INGOT_PACKER_H

#include "format/filter.h"
#include "format/records.h"

struct packer;

ingot_status packer_create(ingot_compression compression, const ingot_allocator *allocator,
                           struct packer **packer, ingot_error *error);
/* Takes NULL. */
void packer_close(struct packer *packer);

/* How a chunk is to be stored. n_bytes is 0 when it is stored as it is. */
struct packing {
    uint8_t codec;
    uint8_t filter;
    uint64_t n_bytes;
};
/* The version of libzstd at work: other versions may give other bytes. */
const char *packer_library_version(void);
/* Room that packer_pack needs in dst. */
uint64_t packer_bound(uint64_t n_bytes);
/* Packs n_bytes > 0 of elements of element_bits bits (0: unknown) into dst. */
ingot_status packer_pack(struct packer *packer, uint8_t element_bits, const uint8_t *raw,
                         uint64_t n_bytes, uint8_t *dst, struct packing *packing,
                         ingot_error *error);

#endif

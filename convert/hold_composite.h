/* Composites into a container, as one tensor each, whose bytes are proved to come back. */
#ifndef INGOT_CONVERT_HOLD_COMPOSITE_H
#define INGOT_CONVERT_HOLD_COMPOSITE_H

#include "convert/composite.h"
#include "convert/sink.h"

/* Adds tensor `index` of the conversion, which is a composite; of `tensor`, terms and rescale are
 * ignored. hash: what the source blob's reading is to give for it. */
ingot_status hold_composite(struct conversion *c, uint32_t index,
                            const struct writer_tensor *tensor, ingot_writer *writer,
                            uint8_t hash[16], uint64_t *coded_bytes, ingot_error *error);

/* What its streams take. */
uint64_t composite_coded_bytes(const struct composite *composite);

#endif

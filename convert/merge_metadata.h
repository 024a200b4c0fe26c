/* One metadata blob from those of several files. Knows nothing of formats. */
#ifndef INGOT_CONVERT_MERGE_METADATA_H
#define INGOT_CONVERT_MERGE_METADATA_H

#include "convert/model.h"
#include "format/source_metadata.h"

struct metadata_part {
    const char *file_name; /* for notes */
    struct metadata_list list;
};

/* Appends to `out` the entries of all parts in their order, each key once; `leaves_out` (may be
 * NULL) says of a key that it does not belong there. Where parts differ, the first is kept and the
 * model gets a note. numbers (may be NULL) has room for the entries of all parts: the number in
 * `out` of the entry of that key, or INGOT_NONE. */
ingot_status metadata_merge(struct model *model, const struct metadata_part *parts,
                            uint32_t n_parts, bool (*leaves_out)(const char *key, uint32_t n_bytes),
                            struct byte_buffer *out, uint32_t *numbers, ingot_error *error);

#endif

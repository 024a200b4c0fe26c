/* Source blobs with other segments: what a format says of its files' tensors, in terms of what a
 * container holds. */
#ifndef INGOT_CONVERT_REWRITE_SOURCE_H
#define INGOT_CONVERT_REWRITE_SOURCE_H

#include "format/source.h"

struct segment_rewriter {
    void *context;
    /* Called for each segment of a tensor with the empty form: puts one segment instead and sets
     * *put, or leaves the segment as it is. */
    ingot_status (*rewrite)(void *context, uint32_t tensor, struct byte_buffer *out, bool *put,
                            ingot_error *error);
};

/* The blob is replaced, or on failure left as it was. */
ingot_status rewrite_source(const struct segment_rewriter *rewriter, struct byte_buffer *blob,
                            ingot_error *error);

#endif

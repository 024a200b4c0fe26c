/* Source blobs with other segments. */
#include "convert/rewrite_source.h"

#include "format/fail.h"

/* Copies the segments of a file to `out`. *copied: bytes of the blob that are copied or replaced so
 * far. */
static ingot_status copy_segments(const struct segment_rewriter *rewriter,
                                  const struct byte_buffer *blob, struct source_walk *walk,
                                  uint64_t *copied, struct byte_buffer *out, ingot_error *error)
{
    for (;;) {
        const uint64_t begin = walk->at.offset;
        struct source_segment s;
        ingot_status status = source_next_segment(walk, &s, error);
        if (status != INGOT_OK) return status == INGOT_END ? INGOT_OK : status;
        if (s.kind != SEGMENT_TENSOR || s.form_bytes != 0) continue;
        const uint64_t length = out->n_bytes;
        bool put = false;
        buffer_append(out, blob->data + *copied, begin - *copied);
        status = rewriter->rewrite(rewriter->context, s.index, out, &put, error);
        if (status != INGOT_OK) return status;
        if (put) {
            *copied = walk->at.offset;
        } else if (!out->failed) {
            out->n_bytes = length;
        }
    }
}

ingot_status rewrite_source(const struct segment_rewriter *rewriter, struct byte_buffer *blob,
                            ingot_error *error)
{
    struct byte_buffer out = {.allocator = blob->allocator};
    struct source_walk walk;
    struct source_file file;
    uint64_t copied = 0;
    ingot_status status = source_open((struct span){blob->data, blob->n_bytes}, &walk, error);
    while (status == INGOT_OK) {
        status = source_next_file(&walk, &file, error);
        if (status == INGOT_OK) {
            status = copy_segments(rewriter, blob, &walk, &copied, &out, error);
        }
    }
    if (status == INGOT_END) {
        buffer_append(&out, blob->data + copied, blob->n_bytes - copied);
        status = out.failed ? ingot_fail_memory(error, blob->n_bytes, "source") : INGOT_OK;
    }
    if (status == INGOT_OK) {
        const struct byte_buffer before = *blob;
        *blob = out;
        out = before;
    }
    buffer_release(&out);
    return status;
}

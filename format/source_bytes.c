/* The bytes of a source file, put together again from its segments. */
#include "format/xxh3.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"
#include "format/source_blocks.h"

enum { PIECE_BYTES = 1 << 20 };

struct rebuild {
    const ingot_file *file;
    const struct source_file *source;
    const struct byte_sink *sink;
    XXH3_state_t *hash;
    uint8_t *piece;
    uint64_t done_bytes;
    ingot_error *error;
};

static ingot_status put(struct rebuild *r, const void *bytes, uint64_t n_bytes)
{
    if (n_bytes > r->source->n_bytes - r->done_bytes) {
        return ingot_fail_rule(r->error, R_722, INGOT_NO_OFFSET, "source.file",
                               "its segments give more than its %llu bytes",
                               (unsigned long long)r->source->n_bytes);
    }
    r->done_bytes += n_bytes;
    if (n_bytes) XXH3_128bits_update(r->hash, bytes, (size_t)n_bytes);
    return r->sink->put(r->sink->context, bytes, n_bytes, r->error);
}

static ingot_status put_literal(struct rebuild *r, const struct source_segment *s)
{
    return put(r, s->literal.data, s->literal.n_bytes);
}

/* Reads n_total bytes in pieces through `read` and puts them. */
typedef ingot_status reader_function(const ingot_file *file, uint32_t index, uint64_t offset,
                                     uint64_t n_bytes, void *dst, ingot_error *error);

static ingot_status put_pieces(struct rebuild *r, reader_function *read, uint32_t index,
                               uint64_t n_total)
{
    ingot_status status = INGOT_OK;
    for (uint64_t done = 0; done < n_total && status == INGOT_OK; done += PIECE_BYTES) {
        const uint64_t n = min_u64(PIECE_BYTES, n_total - done);
        status = read(r->file, index, done, n, r->piece, r->error);
        if (status == INGOT_OK) status = put(r, r->piece, n);
    }
    return status;
}

static ingot_status put_piece(void *context, const void *bytes, uint64_t n_bytes,
                              ingot_error *error)
{
    (void)error;
    return put(context, bytes, n_bytes);
}

static ingot_status put_tensor(struct rebuild *r, const struct source_segment *s)
{
    ingot_tensor t;
    if (s->index >= ingot_file_n_tensors(r->file)) {
        return ingot_fail_rule(r->error, R_720, INGOT_NO_OFFSET, "source.segment.tensor", "%u",
                               s->index);
    }
    if (s->form_bytes != 0 && (uint8_t)s->form[0] == FORM_BLOCKS) {
        const struct byte_sink sink = {r, put_piece};
        const struct span form = {(const uint8_t *)s->form, s->form_bytes};
        return form_blocks_put(r->file, s->index, form, &sink, r->error);
    }
    if (s->form_bytes != 0) {
        return ingot_fail(r->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "source.segment.form",
                          "form %.*s is not known here", (int)min_u64(s->form_bytes, 60), s->form);
    }
    ingot_file_tensor(r->file, s->index, &t);
    if (!ingot_file_held_raw(r->file, s->index)) {
        return ingot_fail_rule(r->error, R_720, INGOT_NO_OFFSET, "source.segment.tensor",
                               "tensor %u is not held raw", s->index);
    }
    const uint64_t n = ingot_raw_bytes(t.dtype, t.n_matrices * t.n_rows * t.n_cols);
    return put_pieces(r, ingot_file_read_raw, s->index, n);
}

static ingot_status put_attachment(struct rebuild *r, const struct source_segment *s)
{
    ingot_blob blob = {0};
    if (s->index < ingot_file_n_blobs(r->file)) ingot_file_blob(r->file, s->index, &blob);
    if (blob.kind != INGOT_BLOB_ATTACHMENT) {
        return ingot_fail_rule(r->error, R_720, INGOT_NO_OFFSET, "source.segment.attachment", "%u",
                               s->index);
    }
    return put_pieces(r, ingot_file_read_blob, s->index, blob.n_bytes);
}

static ingot_status check_end(const struct rebuild *r)
{
    if (r->done_bytes != r->source->n_bytes) {
        return ingot_fail_rule(r->error, R_722, INGOT_NO_OFFSET, "source.file",
                               "its segments give %llu of its %llu bytes",
                               (unsigned long long)r->done_bytes,
                               (unsigned long long)r->source->n_bytes);
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(r->hash));
    if (memcmp(canonical.digest, r->source->hash, HASH_BYTES) != 0) {
        return ingot_fail_rule(r->error, R_723, INGOT_NO_OFFSET, "source.file",
                               "the bytes put together do not have the recorded hash");
    }
    return INGOT_OK;
}

ingot_status source_file_bytes(const ingot_file *file, struct source_walk *walk,
                               const struct source_file *source, const struct byte_sink *sink,
                               ingot_error *error)
{
    static ingot_status (*const kinds[])(struct rebuild *, const struct source_segment *) = {
        [SEGMENT_LITERAL] = put_literal,
        [SEGMENT_TENSOR] = put_tensor,
        [SEGMENT_ATTACHMENT] = put_attachment,
    };
    struct rebuild r = {file, source, sink, XXH3_createState(), NULL, 0, error};
    ingot_status status = INGOT_OK;
    r.piece = ingot_allocate(file->allocator, PIECE_BYTES);
    if (r.hash == NULL || r.piece == NULL) {
        status = ingot_fail_memory(error, PIECE_BYTES, "source file");
        goto done;
    }
    XXH3_128bits_reset(r.hash);
    while (status == INGOT_OK) {
        struct source_segment segment;
        status = source_next_segment(walk, &segment, error);
        if (status == INGOT_OK) status = kinds[segment.kind](&r, &segment);
    }
    if (status == INGOT_END) status = check_end(&r);
done:
    ingot_release(file->allocator, r.piece);
    XXH3_freeState(r.hash);
    return status;
}

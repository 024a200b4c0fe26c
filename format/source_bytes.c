/* The bytes of a source file, put together again from its segments. */
#include "format/xxh3.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/ordered.h"
#include "format/rules.h"
#include "format/source.h"

enum { PIECE_BYTES = 1 << 20 };

struct rebuild {
    const ingot_file *file;
    const struct source_file *source;
    const struct byte_sink *sink;
    struct ingot_pool *pool;
    XXH3_state_t *hash;
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

typedef ingot_status reader_function(const ingot_file *file, uint32_t index, uint64_t offset,
                                     uint64_t n_bytes, void *dst, ingot_error *error);

/* A piece on its way: read on any thread, put in order. */
struct piece {
    ingot_status status;
    ingot_error why;
    uint8_t *bytes;
};

struct pieces {
    struct rebuild *r;
    reader_function *read;
    uint32_t index;
    uint64_t n_total;
    uint64_t piece_bytes;
    struct piece *slots;
};

static uint64_t piece_bytes_at(const struct pieces *p, uint64_t i)
{
    return min_u64(p->piece_bytes, p->n_total - i * p->piece_bytes);
}

static void make_piece(void *context, uint64_t i, uint32_t slot)
{
    const struct pieces *p = context;
    struct piece *piece = &p->slots[slot];
    piece->status = p->read(p->r->file, p->index, i * p->piece_bytes, piece_bytes_at(p, i),
                            piece->bytes, &piece->why);
}

static ingot_status take_piece(void *context, uint64_t i, uint32_t slot)
{
    const struct pieces *p = context;
    const struct piece *piece = &p->slots[slot];
    if (piece->status == INGOT_OK) return put(p->r, piece->bytes, piece_bytes_at(p, i));
    if (p->r->error) *p->r->error = piece->why;
    return piece->status;
}

/* Reads n_total bytes in pieces of piece_bytes, which should be whole chunks, and puts them. */
static ingot_status put_pieces(struct rebuild *r, reader_function *read, uint32_t index,
                               uint64_t n_total, uint64_t piece_bytes)
{
    const ingot_allocator *allocator = r->file->allocator;
    struct pieces p = {r, read, index, n_total, min_u64(piece_bytes, n_total), NULL};
    ingot_status status = INGOT_OK;
    if (n_total == 0) return INGOT_OK;
    const uint64_t n_pieces = ceil_div(n_total, p.piece_bytes);
    const uint32_t n_slots =
        (uint32_t)min_u64(ordered_slots(r->pool, p.piece_bytes), max_u64(1, n_pieces / 2 * 2));
    const struct ordered_job job = {&p, n_pieces, n_slots, make_piece, take_piece};
    uint8_t *bytes = ingot_allocate(allocator, n_slots * p.piece_bytes);
    p.slots = ingot_allocate_zeroed(allocator, n_slots, sizeof *p.slots);
    if (bytes == NULL || p.slots == NULL) {
        status = ingot_fail_memory(r->error, n_slots * p.piece_bytes, "source file");
        goto done;
    }
    for (uint32_t i = 0; i < n_slots; i++) p.slots[i].bytes = bytes + i * p.piece_bytes;
    status = ordered_run(r->pool, &job);
done:
    ingot_release(allocator, p.slots);
    ingot_release(allocator, bytes);
    return status;
}

static ingot_status put_tensor(struct rebuild *r, const struct source_segment *s)
{
    ingot_tensor t;
    if (s->index >= ingot_file_n_tensors(r->file)) {
        return ingot_fail_rule(r->error, R_720, INGOT_NO_OFFSET, "source.segment.tensor", "%u",
                               s->index);
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
    return put_pieces(r, ingot_file_read_raw, s->index, n,
                      ingot_file_raw_step(r->file, s->index, PIECE_BYTES));
}

static ingot_status put_attachment(struct rebuild *r, const struct source_segment *s)
{
    ingot_blob blob = {0};
    if (s->index < ingot_file_n_blobs(r->file)) ingot_file_blob(r->file, s->index, &blob);
    if (blob.kind != INGOT_BLOB_ATTACHMENT) {
        return ingot_fail_rule(r->error, R_720, INGOT_NO_OFFSET, "source.segment.attachment", "%u",
                               s->index);
    }
    return put_pieces(r, ingot_file_read_blob, s->index, blob.n_bytes, PIECE_BYTES);
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
                               const struct source_file *source, struct ingot_pool *pool,
                               const struct byte_sink *sink, ingot_error *error)
{
    static ingot_status (*const kinds[])(struct rebuild *, const struct source_segment *) = {
        [SEGMENT_LITERAL] = put_literal,
        [SEGMENT_TENSOR] = put_tensor,
        [SEGMENT_ATTACHMENT] = put_attachment,
    };
    struct rebuild r = {file, source, sink, pool, XXH3_createState(), 0, error};
    ingot_status status = INGOT_OK;
    if (r.hash == NULL) return ingot_fail_memory(error, 0, "hash state");
    XXH3_128bits_reset(r.hash);
    while (status == INGOT_OK) {
        struct source_segment segment;
        status = source_next_segment(walk, &segment, error);
        if (status == INGOT_OK) status = kinds[segment.kind](&r, &segment);
    }
    if (status == INGOT_END) status = check_end(&r);
    XXH3_freeState(r.hash);
    return status;
}

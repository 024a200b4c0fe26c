/* The bytes of a source file, put together again from its segments. */
#include "format/xxh3.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/ordered.h"
#include "format/rules.h"
#include "format/source_blocks.h"
#include "format/source_packed.h"

enum { PIECE_BYTES = 1 << 20 };

struct source_rebuild {
    const ingot_file *file;
    XXH3_state_t *hash;
    uint8_t *metadata_bytes; /* the metadata and its entries, once a segment asked for them */
    struct metadata_list metadata;
    /* Of the file that is being put together: */
    const struct source_file *source;
    const struct byte_sink *sink;
    struct ingot_pool *pool;
    uint64_t done_bytes;
    ingot_error *error;
};

static ingot_status put(struct source_rebuild *r, const void *bytes, uint64_t n_bytes)
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

static ingot_status put_literal(struct source_rebuild *r, const struct source_segment *s)
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
    struct source_rebuild *r;
    reader_function *read;
    uint32_t index;
    uint64_t n_total;
    uint64_t piece_bytes;
    uint32_t swap_bytes; /* elements whose bytes go in the other order; 1: none */
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
    if (piece->status == INGOT_OK) swap_elements(piece->bytes, piece_bytes_at(p, i), p->swap_bytes);
}

static ingot_status take_piece(void *context, uint64_t i, uint32_t slot)
{
    const struct pieces *p = context;
    const struct piece *piece = &p->slots[slot];
    if (piece->status == INGOT_OK) return put(p->r, piece->bytes, piece_bytes_at(p, i));
    if (p->r->error) *p->r->error = piece->why;
    return piece->status;
}

/* Reads n_total bytes in pieces of piece_bytes, which should be whole chunks and are whole
 * elements, and puts them, the bytes of each element of swap_bytes in the other order. */
static ingot_status put_pieces(struct source_rebuild *r, reader_function *read, uint32_t index,
                               uint64_t n_total, uint64_t piece_bytes, uint32_t swap_bytes)
{
    const ingot_allocator *allocator = r->file->allocator;
    struct pieces p = {r, read, index, n_total, min_u64(piece_bytes, n_total), swap_bytes, NULL};
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

/* The logical bytes of a tensor held raw, or the bytes of an opaque one. */
static ingot_status put_plain(struct source_rebuild *r, const struct source_segment *s)
{
    struct file_term term;
    ingot_tensor t;
    ingot_file_tensor(r->file, s->index, &t);
    ingot_file_term(r->file, s->index, 0, &term);
    if (term.coding && term.coding->map == MAP_OPAQUE) {
        const uint64_t n = ingot_file_stream_bytes(r->file, term.first_stream);
        return put_pieces(r, ingot_file_read_stream, term.first_stream, n, PIECE_BYTES, 1);
    }
    if (!ingot_file_held_raw(r->file, s->index)) {
        return ingot_fail_rule(r->error, R_720, INGOT_NO_OFFSET, "source.segment.tensor",
                               "tensor %u is neither held raw nor opaque", s->index);
    }
    const uint64_t n = ingot_raw_bytes(t.dtype, t.n_matrices * t.n_rows * t.n_cols);
    return put_pieces(r, ingot_file_read_raw, s->index, n,
                      ingot_file_raw_step(r->file, s->index, PIECE_BYTES), 1);
}

static ingot_status put_swapped(struct source_rebuild *r, const struct source_segment *s)
{
    ingot_tensor t;
    ingot_file_tensor(r->file, s->index, &t);
    const uint32_t bits = ingot_dtype_bits(t.dtype);
    const bool swaps = ingot_file_held_raw(r->file, s->index) && bits >= 16 && t.dtype != INGOT_C64;
    if (!swaps || s->form_bytes != 1) {
        return ingot_fail_rule(r->error, R_725, INGOT_NO_OFFSET, "source.segment.form",
                               swaps ? "swapped, and %u bytes long"
                                     : "swapped, of tensor %u without elements of 16 bits or more",
                               swaps ? s->form_bytes : s->index);
    }
    const uint64_t n = ingot_raw_bytes(t.dtype, t.n_matrices * t.n_rows * t.n_cols);
    return put_pieces(r, ingot_file_read_raw, s->index, n,
                      ingot_file_raw_step(r->file, s->index, PIECE_BYTES), bits / 8);
}

static ingot_status put_piece(void *context, const void *bytes, uint64_t n_bytes,
                              ingot_error *error)
{
    (void)error;
    return put(context, bytes, n_bytes);
}

static ingot_status put_blocks(struct source_rebuild *r, const struct source_segment *s)
{
    const struct byte_sink sink = {r, put_piece};
    const struct span form = {(const uint8_t *)s->form, s->form_bytes};
    return form_blocks_put(r->file, s->index, form, &sink, r->error);
}

static ingot_status put_packed(struct source_rebuild *r, const struct source_segment *s)
{
    const struct byte_sink sink = {r, put_piece};
    const struct span form = {(const uint8_t *)s->form, s->form_bytes};
    return form_packed_put(r->file, s->index, form, &sink, r->error);
}

static ingot_status put_tensor(struct source_rebuild *r, const struct source_segment *s)
{
    static ingot_status (*const forms[])(struct source_rebuild *, const struct source_segment *) = {
        [FORM_SWAPPED] = put_swapped,
        [FORM_BLOCKS] = put_blocks,
        [FORM_PACKED] = put_packed,
    };
    if (s->index >= ingot_file_n_tensors(r->file)) {
        return ingot_fail_rule(r->error, R_720, INGOT_NO_OFFSET, "source.segment.tensor", "%u",
                               s->index);
    }
    if (s->form_bytes == 0) return put_plain(r, s);
    const uint8_t kind = (uint8_t)s->form[0];
    if (kind >= sizeof forms / sizeof *forms || forms[kind] == NULL) {
        return ingot_fail(r->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "source.segment.form",
                          "form %u is not known here", kind);
    }
    return forms[kind](r, s);
}

static ingot_status put_attachment(struct source_rebuild *r, const struct source_segment *s)
{
    ingot_blob blob = {0};
    if (s->index < ingot_file_n_blobs(r->file)) ingot_file_blob(r->file, s->index, &blob);
    if (blob.kind != INGOT_BLOB_ATTACHMENT) {
        return ingot_fail_rule(r->error, R_720, INGOT_NO_OFFSET, "source.segment.attachment", "%u",
                               s->index);
    }
    return put_pieces(r, ingot_file_read_blob, s->index, blob.n_bytes, PIECE_BYTES, 1);
}

/* Finds the entries of the file's metadata; a file without metadata has none. */
static ingot_status open_metadata(struct source_rebuild *r)
{
    static const uint8_t no_entries[8] = {0};
    const uint32_t index = ingot_file_find_blob(r->file, INGOT_BLOB_METADATA, "", 0);
    struct span bytes = {no_entries, sizeof no_entries};
    ingot_status status = INGOT_OK;
    if (index != INGOT_NONE) {
        ingot_blob blob;
        ingot_file_blob(r->file, index, &blob);
        r->metadata_bytes = ingot_allocate(r->file->allocator, blob.n_bytes);
        if (r->metadata_bytes == NULL) return ingot_fail_memory(r->error, blob.n_bytes, "metadata");
        bytes = (struct span){r->metadata_bytes, blob.n_bytes};
        status = ingot_file_read_blob(r->file, index, 0, blob.n_bytes, r->metadata_bytes, r->error);
    }
    if (status == INGOT_OK) {
        status = metadata_list_open(bytes, r->file->allocator, &r->metadata, r->error);
    }
    if (status == INGOT_OK) return INGOT_OK;
    ingot_release(r->file->allocator, r->metadata_bytes);
    r->metadata_bytes = NULL;
    return status;
}

static ingot_status put_encoded(void *context, const void *bytes, uint64_t n_bytes,
                                ingot_error *error)
{
    (void)error;
    return put(context, bytes, n_bytes);
}

static ingot_status put_metadata(struct source_rebuild *r, const struct source_segment *s)
{
    const struct byte_sink sink = {r, put_encoded};
    ingot_status status = r->metadata.offsets ? INGOT_OK : open_metadata(r);
    if (status == INGOT_OK) {
        status = metadata_list_encode(&r->metadata, &s->metadata, &sink, r->error);
    }
    return status;
}

static ingot_status check_end(const struct source_rebuild *r)
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

ingot_status source_rebuild_open(const ingot_file *file, struct ingot_pool *pool,
                                 struct source_rebuild **rebuild, ingot_error *error)
{
    struct source_rebuild *r = ingot_allocate_zeroed(file->allocator, 1, sizeof *r);
    if (r == NULL) return ingot_fail_memory(error, sizeof *r, "source file");
    r->file = file;
    r->pool = pool;
    r->hash = XXH3_createState();
    if (r->hash == NULL) {
        source_rebuild_close(r);
        return ingot_fail_memory(error, 0, "hash state");
    }
    *rebuild = r;
    return INGOT_OK;
}

void source_rebuild_close(struct source_rebuild *rebuild)
{
    if (rebuild == NULL) return;
    metadata_list_close(&rebuild->metadata);
    ingot_release(rebuild->file->allocator, rebuild->metadata_bytes);
    XXH3_freeState(rebuild->hash);
    ingot_release(rebuild->file->allocator, rebuild);
}

ingot_status source_file_bytes(struct source_rebuild *rebuild, struct source_walk *walk,
                               const struct source_file *source, const struct byte_sink *sink,
                               ingot_error *error)
{
    static ingot_status (*const kinds[])(struct source_rebuild *, const struct source_segment *) = {
        [SEGMENT_LITERAL] = put_literal,
        [SEGMENT_TENSOR] = put_tensor,
        [SEGMENT_ATTACHMENT] = put_attachment,
        [SEGMENT_METADATA] = put_metadata,
    };
    ingot_status status = INGOT_OK;
    rebuild->source = source;
    rebuild->sink = sink;
    rebuild->done_bytes = 0;
    rebuild->error = error;
    XXH3_128bits_reset(rebuild->hash);
    while (status == INGOT_OK) {
        struct source_segment segment;
        status = source_next_segment(walk, &segment, error);
        if (status == INGOT_OK) status = kinds[segment.kind](rebuild, &segment);
    }
    return status == INGOT_END ? check_end(rebuild) : status;
}

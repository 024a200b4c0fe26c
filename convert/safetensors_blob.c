/* The source blob of safetensors files: what it takes to write them again, besides the tensors.
 * Each file is read once, from its first byte to its last, and everything that the blob says of it
 * (its hash, the hashes of its tensors, its literal bytes) is of that reading. */
#include "convert/hash.h"
#include "convert/safetensors_model.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/source.h"

/* Bytes between tensors go into the blob, which is held in memory: so there is a limit. */
enum { MAX_GAP_BYTES = 64 << 20, SEGMENT_ROOM_BYTES = 64 };

/* One reading of one file. */
struct reading {
    const struct input *input;
    XXH3_state_t *file_hash;
    XXH3_state_t *part_hash;
    uint8_t *piece;          /* PIECE_BYTES */
    struct byte_buffer *out; /* the blob */
    uint64_t record;         /* where that of this file begins in it */
    uint32_t n_segments;
    uint64_t offset;
    uint64_t gap_bytes;
    const struct progress *progress;
    uint64_t done_bytes;
    uint64_t total_bytes;
    ingot_error *error;
};

/* Reads the next n_bytes: into the file's hash and a hash of their own, and, unless keep is NULL,
 * to the end of keep. */
static ingot_status read_part(struct reading *r, uint64_t n_bytes, struct byte_buffer *keep,
                              uint8_t hash[16])
{
    XXH3_128bits_reset(r->part_hash);
    while (n_bytes > 0) {
        const uint64_t n = min_u64(n_bytes, PIECE_BYTES);
        const ingot_status status = input_read(r->input, r->offset, n, r->piece, r->error);
        if (status != INGOT_OK) return status;
        XXH3_128bits_update(r->part_hash, r->piece, (size_t)n);
        XXH3_128bits_update(r->file_hash, r->piece, (size_t)n);
        if (keep) buffer_append(keep, r->piece, n);
        if (keep && keep->failed) return ingot_fail_memory(r->error, n_bytes, "source");
        r->offset += n;
        r->done_bytes += n;
        n_bytes -= n;
        if (r->progress) {
            r->progress->report(r->progress->context, "checking", r->done_bytes, r->total_bytes);
        }
    }
    hash_digest(r->part_hash, hash);
    return INGOT_OK;
}

/* Reads n_bytes that are no tensor's into a literal segment. */
static ingot_status read_literal(struct reading *r, uint64_t n_bytes, uint8_t hash[16])
{
    source_begin_literal(r->out, n_bytes);
    r->n_segments++;
    return read_part(r, n_bytes, r->out, hash);
}

static ingot_status read_gap(struct reading *r, uint64_t n_bytes)
{
    uint8_t hash[16];
    if (n_bytes == 0) return INGOT_OK;
    r->gap_bytes += n_bytes;
    if (r->gap_bytes > MAX_GAP_BYTES) {
        return ingot_fail(r->error, INGOT_REFUSED, r->offset, input_name(r->input),
                          "more than %d bytes between its tensors", MAX_GAP_BYTES);
    }
    return read_literal(r, n_bytes, hash);
}

static ingot_status read_shard(struct reading *r, const struct safetensors_shard *shard,
                               struct model_hashes *hashes)
{
    const struct safetensors *header = &shard->header;
    uint8_t hash[16];
    /* A header may be 100 MB: room for all of this file's segments at once, rather than growing to
     * it in steps that hold it twice. */
    buffer_reserve(r->out, shard->data_offset + (uint64_t)header->n_ordered * SEGMENT_ROOM_BYTES);
    ingot_status status = read_literal(r, shard->data_offset, hash);
    if (status != INGOT_OK) return status;
    /* The segment ends with the header. */
    hash_of(r->out->data + r->out->n_bytes - shard->header_bytes, shard->header_bytes, hash);
    if (memcmp(hash, shard->header_hash, sizeof hash) != 0) {
        return ingot_fail(r->error, INGOT_REFUSED, SAFETENSORS_LENGTH_BYTES, input_name(r->input),
                          "the source changed while it was read: its header is another");
    }
    for (uint32_t i = 0; i < header->n_entries; i++) {
        hash_of(NULL, 0, hashes->tensors[shard->first_tensor + i]);
    }
    for (uint32_t i = 0; i < header->n_ordered && status == INGOT_OK; i++) {
        const uint32_t index = header->by_data[i];
        const struct safetensors_entry *entry = safetensors_entry_at(header, index);
        const uint32_t tensor = shard->first_tensor + index;
        status = read_gap(r, shard->data_offset + entry->begin - r->offset);
        if (status != INGOT_OK) break;
        status = read_part(r, entry->end - entry->begin, NULL, hashes->tensors[tensor]);
        if (status != INGOT_OK) break;
        source_put_tensor(r->out, tensor, "", 0);
        r->n_segments++;
    }
    return status;
}

static struct source_file file_of(const struct input *input)
{
    return (struct source_file){
        .name = input_name(input),
        .name_bytes = (uint32_t)strlen(input_name(input)),
        .n_bytes = input_bytes(input),
    };
}

/* Puts the record of a file, before its segments. */
static void begin_file(struct reading *r, const struct input *input)
{
    const struct source_file file = file_of(input);
    r->input = input;
    r->offset = 0;
    r->gap_bytes = 0;
    r->n_segments = 0;
    r->record = r->out->n_bytes;
    XXH3_128bits_reset(r->file_hash);
    source_put_file(r->out, &file);
}

/* Completes the record with what the reading showed. */
static ingot_status end_file(struct reading *r)
{
    struct source_file file = file_of(r->input);
    file.n_segments = r->n_segments;
    hash_digest(r->file_hash, file.hash);
    source_patch_file(r->out, r->record, &file);
    return r->out->failed ? ingot_fail_memory(r->error, r->out->n_bytes, "source") : INGOT_OK;
}

static ingot_status read_files(struct reading *r, const struct safetensors_model *m,
                               const uint32_t *attachment_blobs, struct model_hashes *hashes)
{
    ingot_status status = INGOT_OK;
    source_begin(r->out, m->n_shards + m->n_attachments);
    for (uint32_t i = 0; i < m->n_shards && status == INGOT_OK; i++) {
        begin_file(r, m->shards[i].input);
        status = read_shard(r, &m->shards[i], hashes);
        if (status == INGOT_OK) status = end_file(r);
    }
    for (uint32_t i = 0; i < m->n_attachments && status == INGOT_OK; i++) {
        begin_file(r, m->attachments[i]);
        status = read_part(r, input_bytes(r->input), NULL, hashes->attachments[i]);
        if (status != INGOT_OK) break;
        source_put_attachment(r->out, attachment_blobs[i]);
        r->n_segments++;
        status = end_file(r);
    }
    return status;
}

ingot_status safetensors_source_blob(const struct safetensors_model *m,
                                     const uint32_t *attachment_blobs,
                                     const struct progress *progress, struct byte_buffer *out,
                                     struct model_hashes *hashes, ingot_error *error)
{
    const ingot_allocator *allocator = m->model.allocator;
    struct reading r = {.out = out, .progress = progress, .error = error};
    ingot_status status = INGOT_OK;
    r.file_hash = XXH3_createState();
    r.part_hash = XXH3_createState();
    r.piece = ingot_allocate(allocator, PIECE_BYTES);
    if (r.file_hash == NULL || r.part_hash == NULL || r.piece == NULL) {
        status = ingot_fail_memory(error, PIECE_BYTES, "source");
        goto done;
    }
    for (uint32_t i = 0; i < m->n_shards; i++) r.total_bytes += input_bytes(m->shards[i].input);
    for (uint32_t i = 0; i < m->n_attachments; i++) r.total_bytes += input_bytes(m->attachments[i]);
    status = read_files(&r, m, attachment_blobs, hashes);
done:
    ingot_release(allocator, r.piece);
    XXH3_freeState(r.part_hash);
    XXH3_freeState(r.file_hash);
    return status;
}

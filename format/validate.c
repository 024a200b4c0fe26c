/* The validator: chunks, hashes, padding between chunks, content id. Tensors and blobs have their
 * own files. Everything about the index was proved when the file was opened. */
#include "format/validate.h"

#include "format/xxh3.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/ordered.h"
#include "format/rules.h"

ingot_status violation(struct validation *v, ingot_status status, const ingot_error *error)
{
    if (status == INGOT_NO_MEMORY || status == INGOT_IO) return status;
    v->n_violations++;
    if (v->report->found) v->report->found(v->report->context, error);
    return INGOT_OK;
}

static void validation_progress(struct validation *v, uint64_t n_bytes)
{
    v->done_bytes += n_bytes;
    if (v->report->progress) {
        v->report->progress(v->report->context, v->done_bytes, v->total_bytes);
    }
}

static ingot_status check_zero(struct validation *v, uint64_t begin, uint64_t end)
{
    ingot_error error;
    for (uint64_t i = begin; i < end; i++) {
        if (v->file->bytes.data[i] == 0) continue;
        ingot_fail_rule(&error, R_313, i, "padding", "byte 0x%02x", v->file->bytes.data[i]);
        return violation(v, INGOT_INVALID, &error);
    }
    return INGOT_OK;
}

static ingot_status validate_gaps(struct validation *v)
{
    uint64_t end = HEADER_BYTES;
    ingot_status status = INGOT_OK;
    const uint32_t n = v->file->sections[SECTION_CHUNKS].n_records;
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        const struct chunk_record c = chunk_at(v->file, i);
        if (c.flags & CHUNK_REPEAT) continue;
        status = check_zero(v, end, c.offset);
        end = c.offset + c.stored_bytes;
    }
    if (status == INGOT_OK) status = check_zero(v, end, v->file->trailer.index_offset);
    return status;
}

/* A chunk on its way: checked and decoded on any thread, hashed in order. */
struct decoded_chunk {
    ingot_status status;
    ingot_error why;
    struct chunk_record chunk;
    const uint8_t *data; /* where it lies in the file, or `raw` */
    uint8_t *raw;
    struct chunk_scratch scratch;
};

struct stream_check {
    struct validation *v;
    uint32_t index;
    struct stream_record stream;
    struct decoded_chunk *slots;
    uint32_t n_slots;
    XXH3_state_t *state;
    bool whole;    /* no chunk was bad so far */
    bool followed; /* its bytes are a source file's next */
};

static void hash_raw(struct stream_check *s, const uint8_t *bytes, uint64_t n_bytes)
{
    XXH3_128bits_update(s->state, bytes, (size_t)n_bytes);
    if (s->followed) source_follow_put(s->v->follow, bytes, n_bytes);
}

/* The bytes of a plain chunk: read, so that what hashes them finds them in the cache, which takes
 * less than mapping their pages; or where they lie, in what is no file. */
static ingot_status plain_bytes(const struct stream_check *s, uint64_t k, struct decoded_chunk *d)
{
    const struct ingot_file *file = s->v->file;
    d->data = file_is_mapped(file) ? d->raw : file->bytes.data + d->chunk.offset;
    if (d->data != d->raw) return INGOT_OK;
    return stream_copy_chunk(file, &s->stream, k, stream_n_chunks(&s->stream), d->raw, &d->why);
}

static void decode_chunk(void *context, uint64_t k, uint32_t slot)
{
    const struct stream_check *s = context;
    const struct ingot_file *file = s->v->file;
    struct decoded_chunk *d = &s->slots[slot];
    d->chunk = chunk_at(file, (uint32_t)(s->stream.first_chunk + k * s->stream.chunk_step));
    if (chunk_is_plain(&d->chunk)) {
        d->status = plain_bytes(s, k, d);
        if (d->status != INGOT_OK) return;
        d->status =
            chunk_compare(&d->chunk, checksum_of(d->data, d->chunk.stored_bytes), "chunk", &d->why);
    } else {
        stream_read_ahead(file, &s->stream, k, stream_n_chunks(&s->stream), k > 0);
        file_map(file, d->chunk.offset, d->chunk.stored_bytes);
        d->data = d->raw;
        d->status = chunk_decode(file, &d->chunk, stream_chunk_raw_bytes(&s->stream, k), d->raw,
                                 &d->scratch, "chunk", &d->why);
    }
}

static ingot_status take_chunk(void *context, uint64_t k, uint32_t slot)
{
    struct stream_check *s = context;
    struct decoded_chunk *d = &s->slots[slot];
    const uint64_t n_bytes = stream_chunk_raw_bytes(&s->stream, k);
    ingot_status status = INGOT_OK;
    if (d->status == INGOT_OK) {
        hash_raw(s, d->data, n_bytes);
    } else {
        describe_stream(s->v->file, s->index, d->why.field, sizeof d->why.field);
        s->whole = false;
        status = violation(s->v, d->status, &d->why);
    }
    if (status == INGOT_OK) validation_progress(s->v, d->chunk.stored_bytes);
    return status;
}

/* All chunks of one stream, then its hash. A stream with a bad chunk has no hash to speak of. */
static ingot_status validate_stream(struct stream_check *s)
{
    const struct ingot_file *file = s->v->file;
    const struct ordered_job job = {s, stream_n_chunks(&s->stream), s->n_slots, decode_chunk,
                                    take_chunk};
    char field[sizeof((ingot_error *)0)->field];
    ingot_error error;
    XXH128_canonical_t canonical;
    s->whole = true;
    XXH3_128bits_reset(s->state);
    const ingot_status status = ordered_run(s->v->report->pool, &job);
    if (status != INGOT_OK) return status;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(s->state));
    if (!s->whole || memcmp(canonical.digest, s->stream.raw_hash, HASH_BYTES) == 0) return INGOT_OK;
    describe_stream(file, s->index, field, sizeof field);
    ingot_fail_rule(&error, R_322, record_offset(file, SECTION_STREAMS, s->index, 32), field,
                    "the raw bytes of stream %u have another hash", s->index);
    return violation(s->v, INGOT_INVALID, &error);
}

static uint64_t largest_chunk(const struct ingot_file *file)
{
    uint64_t largest = 1;
    for (uint32_t i = 0; i < file->sections[SECTION_STREAMS].n_records; i++) {
        const struct stream_record s = stream_at(file, i);
        largest = max_u64(largest, min_u64(s.chunk_bytes, s.n_bytes));
    }
    return largest;
}

static ingot_status validate_chunks(struct validation *v)
{
    const struct ingot_file *file = v->file;
    const uint64_t largest = largest_chunk(file);
    struct stream_check s = {.v = v, .n_slots = ordered_slots(v->report->pool, largest)};
    s.state = XXH3_createState();
    s.slots = ingot_allocate_zeroed(file->allocator, s.n_slots, sizeof *s.slots);
    ingot_status status = s.state && s.slots ? INGOT_OK : INGOT_NO_MEMORY;
    for (uint32_t i = 0; i < s.n_slots && status == INGOT_OK; i++) {
        s.slots[i].scratch.allocator = file->allocator;
        s.slots[i].raw = ingot_allocate(file->allocator, largest);
        if (s.slots[i].raw == NULL) status = INGOT_NO_MEMORY;
    }
    for (uint32_t i = 0; i < file->sections[SECTION_STREAMS].n_records && status == INGOT_OK; i++) {
        s.index = i;
        s.stream = stream_at(file, i);
        s.followed = source_follow_wants(v->follow, i);
        status = validate_stream(&s);
    }
    const ingot_status ended = source_follow_end(v->follow, NULL);
    if (status == INGOT_OK) status = ended;
    for (uint32_t i = 0; s.slots && i < s.n_slots; i++) {
        chunk_scratch_release(&s.slots[i].scratch);
        ingot_release(file->allocator, s.slots[i].raw);
    }
    ingot_release(file->allocator, s.slots);
    XXH3_freeState(s.state);
    return status;
}

static ingot_status validate_content_id(struct validation *v)
{
    uint8_t id[HASH_BYTES];
    ingot_error error;
    ingot_status status = content_id_of(v->file, id, &error);
    if (status != INGOT_OK) return status;
    if (memcmp(id, v->file->trailer.content_id, HASH_BYTES) == 0) return INGOT_OK;
    status = ingot_fail_rule(&error, R_740, v->file->bytes.n_bytes - TRAILER_BYTES + 48,
                             "trailer.content_id", "it is not that of the content");
    return violation(v, status, &error);
}

ingot_status ingot_file_validate(const ingot_file *file, const struct validate_report *report,
                                 uint64_t *n_violations, ingot_error *error)
{
    struct validation v = {file, report, NULL, 0, 0, 0};
    for (uint32_t i = 0; i < file->sections[SECTION_CHUNKS].n_records; i++) {
        v.total_bytes += chunk_at(file, i).stored_bytes;
    }
    ingot_status status = source_follow_open(file, &v.follow, error);
    if (status == INGOT_OK) status = validate_gaps(&v);
    if (status == INGOT_OK) status = validate_chunks(&v);
    /* What follows reads data that must be whole to be judged. */
    if (status == INGOT_OK && v.n_violations == 0) status = validate_tensors(&v);
    if (status == INGOT_OK && v.n_violations == 0) status = validate_blobs(&v);
    if (status == INGOT_OK) status = validate_content_id(&v);
    source_follow_close(v.follow);
    if (status != INGOT_OK) {
        return ingot_fail(error, status, INGOT_NO_OFFSET, "validation", "not finished: %s",
                          ingot_status_name(status));
    }
    *n_violations = v.n_violations;
    return INGOT_OK;
}

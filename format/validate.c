/* The validator: chunks, hashes, padding between chunks, content id. Tensors and blobs have their
 * own files. Everything about the index was proved when the file was opened. */
#include "format/validate.h"

#include "format/xxh3.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/rules.h"

ingot_status violation(struct validation *v, ingot_status status, const ingot_error *error)
{
    if (status == INGOT_NO_MEMORY || status == INGOT_IO) return status;
    v->n_violations++;
    if (v->report->found) v->report->found(v->report->context, error);
    return INGOT_OK;
}

void validation_progress(struct validation *v, uint64_t n_bytes)
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

/* All chunks of one stream, then its hash. A stream with a bad chunk has no hash to speak of. */
static ingot_status validate_stream(struct validation *v, uint32_t index, XXH3_state_t *state,
                                    uint8_t *raw, struct chunk_scratch *scratch)
{
    const struct stream_record s = stream_at(v->file, index);
    const uint64_t n = stream_n_chunks(&s);
    char field[sizeof((ingot_error *)0)->field];
    ingot_error error;
    ingot_status status = INGOT_OK;
    bool whole = true;
    XXH3_128bits_reset(state);
    for (uint64_t k = 0; k < n; k++) {
        const struct chunk_record c =
            chunk_at(v->file, (uint32_t)(s.first_chunk + k * s.chunk_step));
        const uint64_t raw_bytes = stream_chunk_raw_bytes(&s, k);
        const uint8_t *data = raw;
        file_prefetch(v->file, c.offset, c.stored_bytes);
        if (chunk_is_plain(&c)) {
            /* Where it lies is good enough. */
            data = v->file->bytes.data + c.offset;
            status = chunk_verify(v->file, &c, "chunk", &error);
        } else {
            status = chunk_decode(v->file, &c, raw_bytes, raw, scratch, "chunk", &error);
        }
        if (status != INGOT_OK) {
            describe_stream(v->file, index, error.field, sizeof error.field);
            whole = false;
            status = violation(v, status, &error);
            if (status != INGOT_OK) return status;
        } else {
            XXH3_128bits_update(state, data, (size_t)raw_bytes);
        }
        validation_progress(v, c.stored_bytes);
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    if (!whole || memcmp(canonical.digest, s.raw_hash, HASH_BYTES) == 0) return INGOT_OK;
    describe_stream(v->file, index, field, sizeof field);
    status = ingot_fail_rule(&error, R_322, record_offset(v->file, SECTION_STREAMS, index, 32),
                             field, "the raw bytes of stream %u have another hash", index);
    return violation(v, status, &error);
}

ingot_status validate_chunks(struct validation *v)
{
    const uint32_t n = v->file->sections[SECTION_STREAMS].n_records;
    uint64_t largest = 1;
    for (uint32_t i = 0; i < n; i++) {
        const struct stream_record s = stream_at(v->file, i);
        largest = max_u64(largest, min_u64(s.chunk_bytes, s.n_bytes));
    }
    struct chunk_scratch scratch = {.allocator = v->file->allocator};
    XXH3_state_t *state = XXH3_createState();
    uint8_t *raw = ingot_allocate(v->file->allocator, largest);
    ingot_status status = state && raw ? INGOT_OK : INGOT_NO_MEMORY;
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        status = validate_stream(v, i, state, raw, &scratch);
    }
    chunk_scratch_release(&scratch);
    ingot_release(v->file->allocator, raw);
    XXH3_freeState(state);
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
    struct validation v = {file, report, 0, 0, 0};
    for (uint32_t i = 0; i < file->sections[SECTION_CHUNKS].n_records; i++) {
        v.total_bytes += chunk_at(file, i).stored_bytes;
    }
    ingot_status status = validate_gaps(&v);
    if (status == INGOT_OK) status = validate_chunks(&v);
    /* What follows reads data that must be whole to be judged. */
    if (status == INGOT_OK && v.n_violations == 0) status = validate_tensors(&v);
    if (status == INGOT_OK && v.n_violations == 0) status = validate_blobs(&v);
    if (status == INGOT_OK) status = validate_content_id(&v);
    if (status != INGOT_OK) {
        return ingot_fail(error, status, INGOT_NO_OFFSET, "validation", "not finished: %s",
                          ingot_status_name(status));
    }
    *n_violations = v.n_violations;
    return INGOT_OK;
}

/* Source files on their way into a source blob. */
#include "convert/source_reading.h"

#include "convert/model_kind.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/source.h"

/* Bytes between tensors go into the blob, which is held in memory: so there is a limit. */
enum { MAX_GAP_BYTES = 64 << 20 };

ingot_status source_reading_open(const ingot_allocator *allocator, const struct progress *progress,
                                 uint64_t total_bytes, struct byte_buffer *out,
                                 struct source_reading *reading, ingot_error *error)
{
    struct source_reading r = {.allocator = allocator,
                               .out = out,
                               .error = error,
                               .progress = progress,
                               .total_bytes = total_bytes};
    r.file_hash = XXH3_createState();
    r.part_hash = XXH3_createState();
    r.piece = ingot_allocate(allocator, PIECE_BYTES);
    if (r.file_hash == NULL || r.part_hash == NULL || r.piece == NULL) {
        source_reading_close(&r);
        return ingot_fail_memory(error, PIECE_BYTES, "source");
    }
    *reading = r;
    return INGOT_OK;
}

void source_reading_close(struct source_reading *reading)
{
    ingot_release(reading->allocator, reading->piece);
    XXH3_freeState(reading->part_hash);
    XXH3_freeState(reading->file_hash);
    *reading = (struct source_reading){0};
}

static void advance(struct source_reading *r, uint64_t n_bytes)
{
    r->offset += n_bytes;
    r->done_bytes += n_bytes;
    if (r->progress) {
        r->progress->report(r->progress->context, "checking", r->done_bytes, r->total_bytes);
    }
}

/* A piece of the file, read at r->offset, to the hashes of the file that it belongs to. */
static void hash_piece(struct source_reading *r, uint64_t n_bytes, bool of_tensor)
{
    if (r->passed && r->offset >= r->passed->n_bytes) {
        passed_file_add(r->passed, r->piece, n_bytes, of_tensor);
    }
    if (r->passed && of_tensor) return;
    XXH3_128bits_update(r->file_hash, r->piece, (size_t)n_bytes);
}

/* Reads the next n_bytes: into the file's hash; swapped, into a hash of their own; and, when keep
 * is given, to its end. */
static ingot_status read_part(struct source_reading *r, uint64_t n_bytes, uint32_t element_bytes,
                              bool of_tensor, struct byte_buffer *keep, uint8_t hash[16])
{
    XXH3_128bits_reset(r->part_hash);
    while (n_bytes > 0) {
        const uint64_t n = min_u64(n_bytes, PIECE_BYTES);
        const ingot_status status = input_read(r->input, r->offset, n, r->piece, r->error);
        if (status != INGOT_OK) return status;
        hash_piece(r, n, of_tensor);
        swap_elements(r->piece, n, element_bytes);
        XXH3_128bits_update(r->part_hash, r->piece, (size_t)n);
        if (keep) buffer_append(keep, r->piece, n);
        if (keep && keep->failed) return ingot_fail_memory(r->error, n_bytes, "source");
        n_bytes -= n;
        advance(r, n);
    }
    hash_digest(r->part_hash, hash);
    return INGOT_OK;
}

ingot_status reading_literal(struct source_reading *r, uint64_t n_bytes, uint8_t hash[16])
{
    source_begin_literal(r->out, n_bytes);
    r->n_segments++;
    return read_part(r, n_bytes, 1, false, r->out, hash);
}

ingot_status reading_gap(struct source_reading *r, uint64_t n_bytes)
{
    uint8_t hash[16];
    if (n_bytes == 0) return INGOT_OK;
    r->gap_bytes += n_bytes;
    if (r->gap_bytes > MAX_GAP_BYTES) {
        return ingot_fail(r->error, INGOT_REFUSED, r->offset, input_name(r->input),
                          "more than %d bytes between its tensors", MAX_GAP_BYTES);
    }
    return reading_literal(r, n_bytes, hash);
}

ingot_status reading_tensor(struct source_reading *r, uint64_t n_bytes, uint32_t tensor,
                            uint32_t element_bytes, uint8_t hash[16])
{
    static const uint8_t swapped[] = {FORM_SWAPPED};
    ingot_status status = INGOT_OK;
    if (r->passed && n_bytes <= r->passed->n_bytes && r->offset <= r->passed->n_bytes - n_bytes) {
        advance(r, n_bytes);
    } else {
        status = read_part(r, n_bytes, element_bytes, true, NULL, hash);
    }
    if (status != INGOT_OK) return status;
    source_put_tensor(r->out, tensor, swapped, element_bytes > 1 ? sizeof swapped : 0);
    r->n_segments++;
    return INGOT_OK;
}

ingot_status reading_metadata(struct source_reading *r, uint64_t n_bytes,
                              const struct metadata_range *range)
{
    uint8_t hash[16];
    const ingot_status status = read_part(r, n_bytes, 1, false, NULL, hash);
    if (status != INGOT_OK) return status;
    source_put_metadata(r->out, range);
    r->n_segments++;
    return INGOT_OK;
}

void reading_hash(const struct source_reading *r, uint8_t hash[16])
{
    hash_digest(r->file_hash, hash);
}

static struct source_file file_of(const struct input *input)
{
    return (struct source_file){
        .name = input_name(input),
        .name_bytes = (uint32_t)strlen(input_name(input)),
        .n_bytes = input_bytes(input),
    };
}

void reading_begin_file(struct source_reading *r, const struct input *input,
                        struct passed_file *passed)
{
    const struct source_file file = file_of(input);
    r->input = input;
    r->passed = passed;
    r->offset = 0;
    r->gap_bytes = 0;
    r->n_segments = 0;
    r->record = r->out->n_bytes;
    XXH3_128bits_reset(r->file_hash);
    source_put_file(r->out, &file);
}

ingot_status reading_end_file(struct source_reading *r)
{
    struct source_file file = file_of(r->input);
    file.n_segments = r->n_segments;
    hash_digest(r->file_hash, file.hash);
    if (r->passed) {
        uint8_t between[16];
        hash_digest(r->passed->between, between);
        if (memcmp(between, file.hash, sizeof between) != 0) {
            return ingot_fail(r->error, INGOT_REFUSED, INGOT_NO_OFFSET, input_name(r->input),
                              "the source changed while it was read: what is no tensor's is other");
        }
        hash_digest(r->passed->whole, file.hash);
    }
    source_patch_file(r->out, r->record, &file);
    return r->out->failed ? ingot_fail_memory(r->error, r->out->n_bytes, "source") : INGOT_OK;
}

ingot_status reading_attachment(struct source_reading *r, const struct input *input, uint32_t blob,
                                uint8_t hash[16])
{
    reading_begin_file(r, input, NULL);
    const ingot_status status = read_part(r, input_bytes(input), 1, false, NULL, hash);
    if (status != INGOT_OK) return status;
    source_put_attachment(r->out, blob);
    r->n_segments++;
    return reading_end_file(r);
}

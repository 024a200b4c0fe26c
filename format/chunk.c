/* Chunks: checking and decoding what is stored, one row a codec; and what they belong to, in words.
 */
#include <stdio.h>
#include <zstd.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"

static const uint8_t *stored_data(const struct ingot_file *file, const struct chunk_record *chunk)
{
    return file->bytes.data + chunk->offset;
}

ingot_status chunk_compare(const struct chunk_record *chunk, uint64_t checksum, const char *field,
                           ingot_error *error)
{
    if (checksum == chunk->checksum) return INGOT_OK;
    return ingot_fail_rule(error, R_310, chunk->offset, field,
                           "damaged: %u bytes do not have their checksum", chunk->stored_bytes);
}

ingot_status chunk_verify(const struct ingot_file *file, const struct chunk_record *chunk,
                          const char *field, ingot_error *error)
{
    const uint64_t checksum = checksum_of(stored_data(file, chunk), chunk->stored_bytes);
    return chunk_compare(chunk, checksum, field, error);
}

enum { MAX_WINDOW_BYTES = 1 << 27 };

/* The window of a frame [RFC 8878, 3.1.1.1]: after the magic a descriptor byte, whose bit 5 says
 * that the frame is one segment, whose window is its content; else a byte of exponent and mantissa.
 */
static uint64_t zstd_window_bytes(const uint8_t *frame, uint64_t raw_bytes)
{
    const uint8_t descriptor = frame[4], window = frame[5];
    if (descriptor & 0x20) return raw_bytes;
    const uint64_t base = UINT64_C(1) << (10 + (window >> 3));
    return base + base / 8 * (window & 7);
}

/* Decodes one frame of RFC 8878: no skippable one, and none of the older formats that the library
 * may know. *n_stored is its length, *n_raw that of its content, which is not empty. */
static bool decode_frame(struct chunk_scratch *scratch, const uint8_t *stored,
                         uint64_t stored_bytes, uint8_t *dst, uint64_t capacity, uint64_t *n_stored,
                         uint64_t *n_raw)
{
    if (stored_bytes < 6 || load_u32(stored) != ZSTD_MAGICNUMBER) return false;
    const size_t n_frame = ZSTD_findFrameCompressedSize(stored, (size_t)stored_bytes);
    if (ZSTD_isError(n_frame) || ZSTD_getDictID_fromFrame(stored, n_frame) != 0) return false;
    if (zstd_window_bytes(stored, capacity) > MAX_WINDOW_BYTES) return false;
    const size_t n = ZSTD_decompressDCtx(scratch->decoder, dst, (size_t)capacity, stored, n_frame);
    *n_stored = n_frame;
    *n_raw = n;
    return !ZSTD_isError(n) && n > 0;
}

/* Frames one after another that give exactly n_bytes. */
static bool decode_zstd(struct chunk_scratch *scratch, const uint8_t *stored, uint64_t stored_bytes,
                        uint8_t *dst, uint64_t n_bytes)
{
    while (stored_bytes > 0) {
        uint64_t n_stored, n_raw;
        if (!decode_frame(scratch, stored, stored_bytes, dst, n_bytes, &n_stored, &n_raw)) {
            return false;
        }
        stored += n_stored;
        stored_bytes -= n_stored;
        dst += n_raw;
        n_bytes -= n_raw;
    }
    return n_bytes == 0;
}

static bool decode_stored(struct chunk_scratch *scratch, const uint8_t *stored,
                          uint64_t stored_bytes, uint8_t *dst, uint64_t n_bytes)
{
    (void)scratch;
    (void)stored_bytes; /* is n_bytes */
    memcpy(dst, stored, (size_t)n_bytes);
    return true;
}

void chunk_scratch_release(struct chunk_scratch *scratch)
{
    ZSTD_freeDCtx(scratch->decoder);
    ingot_release(scratch->allocator, scratch->filtered);
    *scratch = (struct chunk_scratch){.allocator = scratch->allocator};
}

static ingot_status make_room(struct chunk_scratch *scratch, const struct chunk_record *chunk,
                              uint64_t n_filtered, ingot_error *error)
{
    if (chunk->codec == CODEC_ZSTD && scratch->decoder == NULL) {
        scratch->decoder = ZSTD_createDCtx();
        if (scratch->decoder == NULL) return ingot_fail_memory(error, 0, "decompressor");
    }
    if (chunk->filter == FILTER_NONE || n_filtered <= scratch->capacity) return INGOT_OK;
    ingot_release(scratch->allocator, scratch->filtered);
    scratch->capacity = 0;
    scratch->filtered = ingot_allocate(scratch->allocator, n_filtered);
    if (scratch->filtered == NULL) return ingot_fail_memory(error, n_filtered, "filtered chunk");
    scratch->capacity = n_filtered;
    return INGOT_OK;
}

ingot_status chunk_decode(const struct ingot_file *file, const struct chunk_record *chunk,
                          uint64_t raw_bytes, uint8_t *dst, struct chunk_scratch *scratch,
                          const char *field, ingot_error *error)
{
    static bool (*const decoders[N_CODECS])(struct chunk_scratch *, const uint8_t *, uint64_t,
                                            uint8_t *, uint64_t) = {
        [CODEC_STORED] = decode_stored,
        [CODEC_ZSTD] = decode_zstd,
    };
    const uint64_t n_filtered = filter_output_bytes(chunk->filter, raw_bytes);
    const bool filtered = chunk->filter != FILTER_NONE;
    ingot_status status = chunk_verify(file, chunk, field, error);
    if (status == INGOT_OK) status = make_room(scratch, chunk, n_filtered, error);
    if (status != INGOT_OK) return status;
    uint8_t *decoded = filtered ? scratch->filtered : dst;
    if (!decoders[chunk->codec](scratch, stored_data(file, chunk), chunk->stored_bytes, decoded,
                                n_filtered)) {
        return ingot_fail_rule(error, R_311, chunk->offset, field,
                               "its frames do not decode to %llu bytes",
                               (unsigned long long)n_filtered);
    }
    if (filtered && !filter_decode(chunk->filter, filter_kernels_best(), decoded, raw_bytes, dst)) {
        return ingot_fail_rule(error, R_314, chunk->offset, field,
                               "bytes that filter %u never gives", chunk->filter);
    }
    return INGOT_OK;
}

/* ---- whose they are ---- */

static bool holds(uint32_t first, uint32_t n, uint32_t stream)
{
    return stream >= first && stream - first < n;
}

static bool is_of_tensor(const struct ingot_file *file, const struct tensor_record *t,
                         uint32_t stream)
{
    for (uint32_t k = 0; k < t->n_terms; k++) {
        struct term_record term;
        term_read(record_at(file, SECTION_TERMS, t->first_term + k), &term);
        if (holds(term.first_stream, term.n_streams, stream)) return true;
    }
    return holds(t->rescale_stream, rescale_n_streams(file, t), stream);
}

static bool describe_blob(const struct ingot_file *file, uint32_t stream, char *text,
                          size_t text_bytes)
{
    static const char *const kinds[] = {"blob", "metadata", "source", "receipt", "attachment"};
    for (uint32_t i = 0; i < file->sections[SECTION_BLOBS].n_records; i++) {
        struct blob_record b;
        blob_read(record_at(file, SECTION_BLOBS, i), &b);
        if (b.stream != stream) continue;
        snprintf(text, text_bytes, "%s%s%.*s", kinds[b.kind <= INGOT_BLOB_ATTACHMENT ? b.kind : 0],
                 b.name.n_bytes ? " " : "", (int)min_u64(b.name.n_bytes, 80),
                 string_at(file, b.name));
        return true;
    }
    return false;
}

void describe_stream(const struct ingot_file *file, uint32_t stream, char *text, size_t text_bytes)
{
    for (uint32_t i = 0; i < file->sections[SECTION_TENSORS].n_records; i++) {
        const struct tensor_record t = tensor_at(file, i);
        if (!is_of_tensor(file, &t, stream)) continue;
        snprintf(text, text_bytes, "tensor %.*s", (int)min_u64(t.name.n_bytes, 80),
                 string_at(file, t.name));
        return;
    }
    for (uint32_t i = 0; i < file->sections[SECTION_CODINGS].n_records; i++) {
        if (file->codings[i].codebook_stream != stream) continue;
        snprintf(text, text_bytes, "codebook of %s", file->codings[i].name);
        return;
    }
    if (!describe_blob(file, stream, text, text_bytes)) {
        snprintf(text, text_bytes, "stream %u", stream);
    }
}

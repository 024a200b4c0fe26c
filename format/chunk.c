/* Chunks: checking and decoding what is stored. One row a codec. */
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

ingot_status chunk_verify(const struct ingot_file *file, const struct chunk_record *chunk,
                          const char *field, ingot_error *error)
{
    if (checksum_of(stored_data(file, chunk), chunk->stored_bytes) != chunk->checksum) {
        return ingot_fail_rule(error, R_310, chunk->offset, field,
                               "damaged: %u bytes do not have their checksum", chunk->stored_bytes);
    }
    return INGOT_OK;
}

static bool decode_stored(const uint8_t *stored, uint64_t stored_bytes, uint8_t *dst,
                          uint64_t raw_bytes)
{
    (void)stored_bytes;
    memcpy(dst, stored, (size_t)raw_bytes);
    return true;
}

enum { MAX_WINDOW_BYTES = 1 << 27 };

/* The window of a frame [RFC 8878, 3.1.1.1]: after the magic a descriptor byte, whose bit 5 says
 * that the frame is one segment, without a window of its own; else a byte of exponent and mantissa.
 */
static uint64_t zstd_window_bytes(const uint8_t *frame, uint64_t raw_bytes)
{
    const uint8_t descriptor = frame[4], window = frame[5];
    if (descriptor & 0x20) return raw_bytes;
    const uint64_t base = UINT64_C(1) << (10 + (window >> 3));
    return base + base / 8 * (window & 7);
}

static bool decode_zstd(const uint8_t *stored, uint64_t stored_bytes, uint8_t *dst,
                        uint64_t raw_bytes)
{
    /* Exactly one frame of RFC 8878: no skippable one, and none of the older formats that the
     * library may know. */
    if (stored_bytes < 4 || load_u32(stored) != ZSTD_MAGICNUMBER) return false;
    if (ZSTD_findFrameCompressedSize(stored, (size_t)stored_bytes) != stored_bytes) return false;
    if (ZSTD_getDictID_fromFrame(stored, (size_t)stored_bytes) != 0) return false;
    if (zstd_window_bytes(stored, raw_bytes) > MAX_WINDOW_BYTES) return false;
    return ZSTD_decompress(dst, (size_t)raw_bytes, stored, (size_t)stored_bytes) == raw_bytes;
}

ingot_status chunk_decode(const struct ingot_file *file, const struct chunk_record *chunk,
                          uint64_t raw_bytes, uint8_t *dst, const char *field, ingot_error *error)
{
    static bool (*const decoders[N_CODECS])(const uint8_t *, uint64_t, uint8_t *, uint64_t) = {
        [CODEC_STORED] = decode_stored,
        [CODEC_ZSTD] = decode_zstd,
    };
    const ingot_status status = chunk_verify(file, chunk, field, error);
    if (status != INGOT_OK) return status;
    if (!decoders[chunk->codec](stored_data(file, chunk), chunk->stored_bytes, dst, raw_bytes)) {
        return ingot_fail_rule(error, R_311, chunk->offset, field,
                               "its frame does not decode to %llu bytes",
                               (unsigned long long)raw_bytes);
    }
    return INGOT_OK;
}

/* ---- streams ---- */

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

uint64_t ingot_file_stream_bytes(const ingot_file *file, uint32_t stream)
{
    return stream_at(file, stream).n_bytes;
}

/* The part of one chunk that a read wants: bytes [begin, begin + n_bytes) of its raw bytes. */
static ingot_status read_part(const struct ingot_file *file, const struct chunk_record *chunk,
                              uint64_t raw_bytes, uint64_t begin, uint64_t n_bytes, uint8_t *dst,
                              const char *field, ingot_error *error)
{
    file_prefetch(file, chunk->offset, chunk->stored_bytes);
    if (begin == 0 && n_bytes == raw_bytes) {
        return chunk_decode(file, chunk, raw_bytes, dst, field, error);
    }
    if (chunk->codec == CODEC_STORED) {
        const ingot_status status = chunk_verify(file, chunk, field, error);
        if (status == INGOT_OK) {
            memcpy(dst, stored_data(file, chunk) + begin, (size_t)n_bytes);
        }
        return status;
    }
    uint8_t *raw = ingot_allocate(file->allocator, raw_bytes);
    if (raw == NULL) return ingot_fail_memory(error, raw_bytes, "chunk");
    const ingot_status status = chunk_decode(file, chunk, raw_bytes, raw, field, error);
    if (status == INGOT_OK) memcpy(dst, raw + begin, (size_t)n_bytes);
    ingot_release(file->allocator, raw);
    return status;
}

ingot_status ingot_file_read_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                    uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct stream_record s = stream_at(file, stream);
    if (!range_within(offset, n_bytes, s.n_bytes)) {
        return ingot_fail(error, INGOT_INVALID, offset, "stream", "read past the end of stream %u",
                          stream);
    }
    uint8_t *out = dst;
    while (n_bytes > 0) {
        const uint64_t k = offset / s.chunk_bytes;
        const uint64_t begin = offset - k * s.chunk_bytes;
        const uint64_t raw_bytes = stream_chunk_raw_bytes(&s, k);
        const uint64_t n = min_u64(n_bytes, raw_bytes - begin);
        const struct chunk_record c = chunk_at(file, (uint32_t)(s.first_chunk + k * s.chunk_step));
        const ingot_status status = read_part(file, &c, raw_bytes, begin, n, out, "chunk", error);
        if (status != INGOT_OK) {
            if (error) describe_stream(file, stream, error->field, sizeof error->field);
            return status;
        }
        offset += n;
        n_bytes -= n;
        out += n;
    }
    return INGOT_OK;
}

ingot_status ingot_file_map_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                   uint64_t n_bytes, const uint8_t **data, ingot_error *error)
{
    const struct stream_record s = stream_at(file, stream);
    *data = NULL;
    if (n_bytes == 0 || !range_within(offset, n_bytes, s.n_bytes)) return INGOT_OK;
    const uint64_t first = offset / s.chunk_bytes;
    const uint64_t last = (offset + n_bytes - 1) / s.chunk_bytes;
    if (last > first && s.stride != s.chunk_bytes) return INGOT_OK;
    const struct chunk_record begin =
        chunk_at(file, (uint32_t)(s.first_chunk + first * s.chunk_step));
    if (begin.codec != CODEC_STORED) return INGOT_OK;
    for (uint64_t k = first; k <= last; k++) {
        const struct chunk_record c = chunk_at(file, (uint32_t)(s.first_chunk + k * s.chunk_step));
        file_prefetch(file, c.offset, c.stored_bytes);
        const ingot_status status = chunk_verify(file, &c, "chunk", error);
        if (status != INGOT_OK) {
            if (error) describe_stream(file, stream, error->field, sizeof error->field);
            return status;
        }
    }
    *data = stored_data(file, &begin) + (offset - first * s.chunk_bytes);
    return INGOT_OK;
}

/* The source blob, built and walked. */
#include "format/source.h"

#include "format/fail.h"
#include "format/records.h"
#include "format/rules.h"

enum { SOURCE_VERSION = 1, MAX_PATH_BYTES = 4096 };

void source_begin(struct byte_buffer *out, uint32_t n_files)
{
    buffer_u32(out, SOURCE_VERSION);
    buffer_u32(out, n_files);
}

void source_put_file(struct byte_buffer *out, const struct source_file *file)
{
    buffer_u32(out, file->name_bytes);
    buffer_append(out, file->name, file->name_bytes);
    buffer_u64(out, file->n_bytes);
    buffer_append(out, file->hash, HASH_BYTES);
    buffer_u32(out, file->n_segments);
}

void source_patch_file(struct byte_buffer *out, uint64_t record, const struct source_file *file)
{
    if (out->failed) return;
    uint8_t *p = out->data + record + 4 + file->name_bytes;
    store_u64(p, file->n_bytes);
    memcpy(p + 8, file->hash, HASH_BYTES);
    store_u32(p + 8 + HASH_BYTES, file->n_segments);
}

void source_begin_literal(struct byte_buffer *out, uint64_t n_bytes)
{
    buffer_u8(out, SEGMENT_LITERAL);
    buffer_u64(out, n_bytes);
}

void source_put_literal(struct byte_buffer *out, const void *bytes, uint64_t n_bytes)
{
    source_begin_literal(out, n_bytes);
    buffer_append(out, bytes, n_bytes);
}

void source_put_tensor(struct byte_buffer *out, uint32_t tensor, const void *form,
                       uint32_t form_bytes)
{
    buffer_u8(out, SEGMENT_TENSOR);
    buffer_u32(out, tensor);
    buffer_u32(out, form_bytes);
    buffer_append(out, form, form_bytes);
}

void source_put_metadata(struct byte_buffer *out, const struct metadata_range *range)
{
    buffer_u8(out, SEGMENT_METADATA);
    buffer_u32(out, range->first_entry);
    buffer_u32(out, range->n_entries);
    buffer_u8(out, range->encoding.length_bytes);
    buffer_u8(out, range->encoding.big_endian);
}

void source_put_attachment(struct byte_buffer *out, uint32_t blob)
{
    buffer_u8(out, SEGMENT_ATTACHMENT);
    buffer_u32(out, blob);
}

bool safe_path(const char *name, size_t name_bytes)
{
    size_t component_bytes = 0;
    if (name_bytes == 0 || name_bytes > MAX_PATH_BYTES) return false;
    for (size_t i = 0; i <= name_bytes; i++) {
        const unsigned char c = i < name_bytes ? (unsigned char)name[i] : '/';
        if (c < 32 || c == '\\' || c == ':') return false;
        if (c != '/') {
            component_bytes++;
            continue;
        }
        const char *component = name + i - component_bytes;
        if (component_bytes == 0) return false;
        if (component_bytes == 1 && component[0] == '.') return false;
        if (component_bytes == 2 && component[0] == '.' && component[1] == '.') return false;
        component_bytes = 0;
    }
    return true;
}

ingot_status source_open(struct span blob, struct source_walk *walk, ingot_error *error)
{
    struct cursor at = cursor_over(blob.data, blob.n_bytes);
    const uint32_t version = cursor_u32(&at);
    const uint32_t n_files = cursor_u32(&at);
    if (at.failed || version != SOURCE_VERSION) {
        return ingot_fail_rule(error, R_720, 0, "source",
                               at.failed ? "shorter than its head" : "unknown version");
    }
    *walk = (struct source_walk){at, n_files, 0};
    return INGOT_OK;
}

ingot_status source_next_file(struct source_walk *walk, struct source_file *file,
                              ingot_error *error)
{
    struct cursor at = walk->at;
    if (walk->files_left == 0) {
        if (cursor_left(&at) == 0) return INGOT_END;
        return ingot_fail_rule(error, R_720, at.offset, "source", "bytes after the last file");
    }
    struct source_file f = {0};
    f.name_bytes = cursor_u32(&at);
    f.name = (const char *)cursor_bytes(&at, f.name_bytes);
    f.n_bytes = cursor_u64(&at);
    const uint8_t *hash = cursor_bytes(&at, HASH_BYTES);
    f.n_segments = cursor_u32(&at);
    if (at.failed) {
        return ingot_fail_rule(error, R_720, walk->at.offset, "source.file", "cut short");
    }
    if (!safe_path(f.name, f.name_bytes)) {
        return ingot_fail_rule(error, R_721, walk->at.offset, "source.file.name",
                               "not a safe path");
    }
    memcpy(f.hash, hash, HASH_BYTES);
    *walk = (struct source_walk){at, walk->files_left - 1, f.n_segments};
    *file = f;
    return INGOT_OK;
}

static void read_literal(struct cursor *at, struct source_segment *s)
{
    s->literal.n_bytes = cursor_u64(at);
    s->literal.data = cursor_bytes(at, s->literal.n_bytes);
}

static void read_tensor(struct cursor *at, struct source_segment *s)
{
    s->index = cursor_u32(at);
    s->form_bytes = cursor_u32(at);
    s->form = (const char *)cursor_bytes(at, s->form_bytes);
}

static void read_attachment(struct cursor *at, struct source_segment *s)
{
    s->index = cursor_u32(at);
}

static void read_metadata(struct cursor *at, struct source_segment *s)
{
    s->metadata.first_entry = cursor_u32(at);
    s->metadata.n_entries = cursor_u32(at);
    s->metadata.encoding.length_bytes = cursor_u8(at);
    s->metadata.encoding.big_endian = cursor_u8(at);
}

ingot_status source_next_segment(struct source_walk *walk, struct source_segment *segment,
                                 ingot_error *error)
{
    static void (*const readers[])(struct cursor *, struct source_segment *) = {
        [SEGMENT_LITERAL] = read_literal,
        [SEGMENT_TENSOR] = read_tensor,
        [SEGMENT_ATTACHMENT] = read_attachment,
        [SEGMENT_METADATA] = read_metadata,
    };
    if (walk->segments_left == 0) return INGOT_END;
    struct cursor at = walk->at;
    struct source_segment s = {.kind = cursor_u8(&at)};
    if (at.failed || s.kind == 0 || s.kind >= sizeof readers / sizeof *readers) {
        return ingot_fail_rule(error, R_720, walk->at.offset, "source.segment.kind", "unknown");
    }
    readers[s.kind](&at, &s);
    if (at.failed) {
        return ingot_fail_rule(error, R_720, walk->at.offset, "source.segment", "cut short");
    }
    walk->at = at;
    walk->segments_left--;
    *segment = s;
    return INGOT_OK;
}

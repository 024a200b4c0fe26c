/* Proof of a file's frame: header, trailer, directory. Whatever it returns has its bounds proved.
 */
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"

static ingot_status prove_header(struct ingot_file *file, ingot_error *error)
{
    const uint8_t *p = file->bytes.data;
    struct header_record *h = &file->header;
    header_read(p, h);
    if (h->checksum != checksum_of(p, 56)) {
        return ingot_fail_rule(error, R_104, 56, "header.checksum", "the header is damaged");
    }
    if (h->major == 0) {
        return ingot_fail_rule(error, R_102, 8, "header.version",
                               "version %u.%u is that of a draft of the format, which no reader of "
                               "version %d reads: make the file anew from its source",
                               h->major, h->minor, VERSION_MAJOR);
    }
    if (h->major != VERSION_MAJOR) {
        return ingot_fail_rule(error, R_102, 8, "header.version",
                               "version %u.%u; this build reads version %d", h->major, h->minor,
                               VERSION_MAJOR);
    }
    if (h->flags & HEADER_MUST_FLAGS) {
        return ingot_fail_rule(error, R_103, 12, "header.flags", "unknown flags 0x%x", h->flags);
    }
    const uint32_t a = h->alignment;
    if (a < DEFAULT_ALIGNMENT || a > MAX_ALIGNMENT || (a & (a - 1)) != 0) {
        return ingot_fail_rule(error, R_105, 16, "header.alignment", "%u", a);
    }
    if (!h->reserved_zero) {
        return ingot_fail_rule(error, R_106, 20, "header.reserved", "not zero");
    }
    return INGOT_OK;
}

static ingot_status prove_trailer(struct ingot_file *file, ingot_error *error)
{
    const uint64_t n = file->bytes.n_bytes;
    const uint64_t at = n - TRAILER_BYTES;
    const uint8_t *p = file->bytes.data + at;
    struct trailer_record *t = &file->trailer;
    if (memcmp(p + 88, trailer_magic, sizeof trailer_magic) != 0) {
        return ingot_fail_rule(error, R_121, at + 88, "trailer.magic",
                               "no trailer at the end: the file is cut short or has bytes added");
    }
    trailer_read(p, t);
    if (t->checksum != checksum_of(p, 80)) {
        return ingot_fail_rule(error, R_124, at + 80, "trailer.checksum", "the trailer is damaged");
    }
    if (t->file_bytes != n) {
        return ingot_fail_rule(error, R_122, at + 16, "trailer.file_bytes",
                               "%llu, but the file has %llu bytes",
                               (unsigned long long)t->file_bytes, (unsigned long long)n);
    }
    if (t->header_checksum != file->header.checksum) {
        return ingot_fail_rule(error, R_123, at + 32, "trailer.header_checksum",
                               "the header belongs to another file");
    }
    if (t->index_offset % 8 != 0 || t->index_offset < HEADER_BYTES || t->index_offset > at ||
        t->index_bytes != at - t->index_offset) {
        return ingot_fail_rule(error, R_125, at, "trailer.index_offset",
                               "the index does not end where the trailer begins");
    }
    bool unused_zero = t->reserved_zero;
    for (uint32_t i = HASH_BYTES; i < CONTENT_ID_BYTES; i++) unused_zero &= t->content_id[i] == 0;
    if (t->content_algorithm != 1 || !unused_zero) {
        return ingot_fail_rule(error, R_126, at + 40, "trailer.content_algorithm", "%u",
                               t->content_algorithm);
    }
    const struct span index = {file->bytes.data + t->index_offset, t->index_bytes};
    if (t->index_checksum != checksum_of(index.data, index.n_bytes)) {
        return ingot_fail_rule(error, R_201, t->index_offset, "index", "the index is damaged");
    }
    return INGOT_OK;
}

/* Where the section before ended; bytes up to the next multiple of 8 must be zero. */
static ingot_status prove_place(const struct ingot_file *file, const struct section_record *s,
                                uint64_t end, uint64_t entry_offset, ingot_error *error)
{
    const uint8_t *index = file->bytes.data + file->trailer.index_offset;
    uint64_t begin;
    if (!round_up_u64(end, 8, &begin) || s->offset != begin ||
        !range_within(begin, s->n_bytes, file->trailer.index_bytes)) {
        return ingot_fail_rule(error, R_204, entry_offset + 8, "section.offset",
                               "section %u does not follow the one before it within the index",
                               s->kind);
    }
    for (uint64_t i = end; i < begin; i++) {
        if (index[i] != 0) {
            return ingot_fail_rule(error, R_204, file->trailer.index_offset + i, "section.padding",
                                   "not zero");
        }
    }
    uint64_t n_bytes;
    if (!mul_u64(s->n_records, s->record_bytes, &n_bytes) || n_bytes != s->n_bytes ||
        s->n_records >= UINT32_MAX) {
        return ingot_fail_rule(error, R_204, entry_offset + 24, "section.n_records",
                               "section %u does not hold whole records", s->kind);
    }
    return INGOT_OK;
}

static ingot_status prove_section(struct ingot_file *file, uint32_t i,
                                  const struct section_record *s, uint64_t entry_offset,
                                  ingot_error *error)
{
    if ((s->flags & ~(uint32_t)SECTION_FLAGS) != 0 || !s->reserved_zero) {
        return ingot_fail_rule(error, R_206, entry_offset + 4, "section.flags", "0x%x", s->flags);
    }
    if (i >= N_SECTIONS) {
        if (s->kind >= SECTION_STRINGS && s->kind <= N_SECTIONS) {
            return ingot_fail_rule(error, R_203, entry_offset, "section.kind",
                                   "section %u is there twice", s->kind);
        }
        if (s->kind < SECTION_FIRST_OTHER || (s->flags & SECTION_MUST)) {
            return ingot_fail_rule(error, R_205, entry_offset, "section.kind",
                                   "section %u is not known here and must be understood", s->kind);
        }
        return INGOT_OK;
    }
    if (s->kind != i + 1 || s->record_bytes != section_record_bytes[i + 1] ||
        !(s->flags & SECTION_MUST)) {
        return ingot_fail_rule(error, R_203, entry_offset, "section.kind",
                               "entry %u is section %u with records of %u bytes", i, s->kind,
                               s->record_bytes);
    }
    const uint64_t offset = file->trailer.index_offset + s->offset;
    file->sections[s->kind] =
        (struct section){file->bytes.data + offset, offset, (uint32_t)s->n_records, s->n_bytes};
    return INGOT_OK;
}

static ingot_status prove_directory(struct ingot_file *file, ingot_error *error)
{
    const uint64_t base = file->trailer.index_offset;
    struct cursor at = cursor_over(file->bytes.data + base, file->trailer.index_bytes);
    const uint32_t n_sections = cursor_u32(&at);
    const uint32_t reserved = cursor_u32(&at);
    if (at.failed || reserved != 0 || n_sections > cursor_left(&at) / SECTION_BYTES) {
        return ingot_fail_rule(error, R_202, base, "index.n_sections", "%u", n_sections);
    }
    if (n_sections < N_SECTIONS) {
        return ingot_fail_rule(error, R_203, base, "index.n_sections", "%u; %d are required",
                               n_sections, N_SECTIONS);
    }
    uint64_t end = DIRECTORY_BYTES + (uint64_t)n_sections * SECTION_BYTES;
    for (uint32_t i = 0; i < n_sections; i++) {
        struct section_record s;
        const uint64_t entry = base + at.offset;
        section_read(cursor_bytes(&at, SECTION_BYTES), &s);
        ingot_status status = prove_place(file, &s, end, entry, error);
        if (status == INGOT_OK) status = prove_section(file, i, &s, entry, error);
        if (status != INGOT_OK) return status;
        end = s.offset + s.n_bytes;
    }
    if (end != file->trailer.index_bytes) {
        return ingot_fail_rule(error, R_204, base + end, "index", "%llu bytes after the sections",
                               (unsigned long long)(file->trailer.index_bytes - end));
    }
    return INGOT_OK;
}

ingot_status prove_container(struct ingot_file *file, ingot_error *error)
{
    const uint64_t n = file->bytes.n_bytes;
    if (n >= sizeof header_magic && memcmp(file->bytes.data, header_magic, 8) != 0) {
        return ingot_fail_rule(error, R_101, 0, "header.magic", "this is not an Ingot file");
    }
    if (n < HEADER_BYTES + TRAILER_BYTES) {
        return ingot_fail_rule(error, R_121, n, "file", "%llu bytes; an Ingot file has at least %d",
                               (unsigned long long)n, HEADER_BYTES + TRAILER_BYTES);
    }
    ingot_status status = prove_header(file, error);
    if (status == INGOT_OK) status = prove_trailer(file, error);
    if (status == INGOT_OK) status = prove_directory(file, error);
    return status;
}

ingot_status prove_string(const struct ingot_file *file, struct string_ref s, uint64_t offset,
                          const char *field, ingot_error *error)
{
    if (!range_within(s.offset, s.n_bytes, file->sections[SECTION_STRINGS].n_bytes) ||
        (s.n_bytes == 0 && s.offset != 0)) {
        return ingot_fail_rule(error, R_210, offset, field, "offset %u, %u bytes", s.offset,
                               s.n_bytes);
    }
    if (s.n_bytes > MAX_STRING_BYTES) {
        return ingot_fail_rule(error, R_211, offset, field, "%u bytes", s.n_bytes);
    }
    return INGOT_OK;
}

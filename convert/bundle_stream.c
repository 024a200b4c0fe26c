/* Archives through libarchive. It is given bytes and asked for entries; it opens no files and
 * writes none. */
#include "convert/bundle_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "convert/archive_error.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

enum { BLOCK_BYTES = 1 << 16, TAR_BLOCK_BYTES = 512, MAX_FILTERS = 2 /* one, and the file */ };

struct bundle_stream {
    const ingot_allocator *allocator;
    const struct input *file;
    struct archive *archive;
    struct archive_entry *entry;
    /* libarchive changes names from UTF-8 to the locale's character set, and to another normal form
     * on the way. In the locale "C" it cannot, and gives the bytes. */
    locale_t plain;
    uint64_t position; /* of the next byte that libarchive is given */
    uint64_t data_end; /* tar: where the entry after this one, or the end mark, begins */
    bool is_tar;
    int number;       /* the errno that libarchive's last call left behind */
    bool read_failed; /* read_error is why */
    ingot_error read_error;
    uint8_t block[BLOCK_BYTES];
};

/* ------------------------------------------------------------------ bytes for libarchive */

static la_ssize_t give(struct archive *archive, void *context, const void **bytes)
{
    struct bundle_stream *s = context;
    const uint64_t n = min_u64(BLOCK_BYTES, input_bytes(s->file) - s->position);
    if (n > 0 && input_read(s->file, s->position, n, s->block, &s->read_error) != INGOT_OK) {
        s->read_failed = true;
        archive_set_error(archive, EIO, "cannot read");
        return ARCHIVE_FATAL;
    }
    s->position += n;
    *bytes = s->block;
    return (la_ssize_t)n;
}

static la_int64_t skip(struct archive *archive, void *context, la_int64_t n_bytes)
{
    struct bundle_stream *s = context;
    const uint64_t left = input_bytes(s->file) - s->position;
    (void)archive;
    if (n_bytes <= 0) return 0;
    const uint64_t n = min_u64((uint64_t)n_bytes, left);
    s->position += n;
    return (la_int64_t)n;
}

static la_int64_t seek(struct archive *archive, void *context, la_int64_t offset, int whence)
{
    struct bundle_stream *s = context;
    const la_int64_t total = (la_int64_t)input_bytes(s->file);
    const la_int64_t from = whence == SEEK_SET   ? 0
                            : whence == SEEK_CUR ? (la_int64_t)s->position
                                                 : total;
    if (offset < -from || offset > total - from) {
        archive_set_error(archive, EINVAL, "points outside of the archive");
        return ARCHIVE_FATAL;
    }
    s->position = (uint64_t)(from + offset);
    return from + offset;
}

/* ------------------------------------------------------------------ failures */

static ingot_status fail_archive(const struct bundle_stream *s, const char *name,
                                 ingot_error *error)
{
    if (s->read_failed) {
        if (error) *error = s->read_error;
        return s->read_error.status;
    }
    if (archive_lacks_memory(s->archive, s->number)) return ingot_fail_memory(error, 0, name);
    return ingot_fail(error, INGOT_INVALID, s->position, name, "%s",
                      archive_error_string(s->archive));
}

/* ------------------------------------------------------------------ opening and closing */

ingot_status bundle_stream_open(const struct input *file, const ingot_allocator *allocator,
                                struct bundle_stream **stream, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    struct bundle_stream *s = ingot_allocate_zeroed(allocator, 1, sizeof *s);
    if (s == NULL) return ingot_fail_memory(error, sizeof *s, "archive");
    s->allocator = allocator;
    s->file = file;
    s->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    s->archive = archive_read_new();
    /* The archive's own entry would be used without a look whether there was memory for it. */
    if (s->archive) s->entry = archive_entry_new2(s->archive);
    if (s->plain == (locale_t)0 || s->entry == NULL) {
        status = ingot_fail_memory(error, sizeof *s, "archive");
        goto done;
    }
    const bool ready = archive_read_support_format_zip_seekable(s->archive) == ARCHIVE_OK &&
                       archive_read_support_format_tar(s->archive) == ARCHIVE_OK &&
                       archive_read_support_filter_gzip(s->archive) == ARCHIVE_OK &&
                       archive_read_support_filter_zstd(s->archive) == ARCHIVE_OK &&
                       archive_read_set_seek_callback(s->archive, seek) == ARCHIVE_OK &&
                       archive_read_set_read_callback(s->archive, give) == ARCHIVE_OK &&
                       archive_read_set_skip_callback(s->archive, skip) == ARCHIVE_OK &&
                       archive_read_set_callback_data(s->archive, s) == ARCHIVE_OK;
    const int number_before = errno;
    errno = 0;
    const int result = ready ? archive_read_open1(s->archive) : ARCHIVE_FATAL;
    s->number = errno;
    errno = number_before;
    if (result != ARCHIVE_OK) status = fail_archive(s, input_name(file), error);
done:
    if (status != INGOT_OK) {
        bundle_stream_close(s);
        return status;
    }
    *stream = s;
    return INGOT_OK;
}

void bundle_stream_close(struct bundle_stream *stream)
{
    if (stream == NULL) return;
    archive_entry_free(stream->entry);
    if (stream->archive) (void)archive_read_free(stream->archive);
    if (stream->plain != (locale_t)0) freelocale(stream->plain);
    ingot_release(stream->allocator, stream);
}

/* ------------------------------------------------------------------ what an entry says */

static ingot_status take_name(const struct bundle_stream *s, const char *name, size_t n_bytes,
                              struct bundle_entry *entry, ingot_error *error)
{
    if (n_bytes >= sizeof entry->name) {
        return ingot_fail(error, INGOT_REFUSED, s->position, name_shown(name, n_bytes).text,
                          "a name of %zu bytes", n_bytes);
    }
    memcpy(entry->name, name, n_bytes);
    entry->name[n_bytes] = '\0';
    entry->name_bytes = (uint32_t)n_bytes;
    return INGOT_OK;
}

/* A zip says of a name whether it is UTF-8, and of such a one libarchive gives only what the locale
 * can hold. Then it is read here, from the file's header, which ends where the contents begin:
 *
 *   PK 03 04 | 22 bytes | u16 name_bytes | u16 extra_bytes | name | extra | contents
 */
static ingot_status take_zip_name(struct bundle_stream *s, struct bundle_entry *entry,
                                  ingot_error *error)
{
    enum { HEADER_BYTES = 30, NAME_BYTES_AT = 26, EXTRA_BYTES_AT = 28, MOST_BYTES = 1 << 16 };
    const uint64_t n = min_u64(entry->stream_bytes, MOST_BYTES);
    ingot_status status = INGOT_OK;
    uint8_t *bytes = ingot_allocate(s->allocator, n);
    if (bytes == NULL) return ingot_fail_memory(error, n, "name in the archive");
    status = input_read(s->file, entry->stream_bytes - n, n, bytes, error);
    if (status != INGOT_OK) goto done;
    for (uint64_t header_bytes = HEADER_BYTES; header_bytes <= n; header_bytes++) {
        const uint8_t *header = bytes + (n - header_bytes);
        const uint32_t name_bytes = load_u16(header + NAME_BYTES_AT);
        const uint32_t extra_bytes = load_u16(header + EXTRA_BYTES_AT);
        const bool fits = HEADER_BYTES + name_bytes + extra_bytes == header_bytes;
        if (load_u32(header) != 0x04034b50 || !fits) continue;
        status = take_name(s, (const char *)header + HEADER_BYTES, name_bytes, entry, error);
        goto done;
    }
    status = ingot_fail(error, INGOT_INVALID, entry->stream_bytes, input_name(s->file),
                        "no file's header ends here, as the directory says");
done:
    ingot_release(s->allocator, bytes);
    return status;
}

static ingot_status take_zip_facts(struct bundle_stream *s, struct archive_entry *e,
                                   struct bundle_entry *entry, ingot_error *error)
{
    /* Other methods may take as much memory as the archive asks for. */
    static const char *const methods[] = {"(uncompressed)", "(deflation)"};
    const char *format = archive_format_name(s->archive);
    const char *name = archive_entry_pathname(e);
    entry->obstacle = "compressed by a method other than deflate";
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strstr(format, methods[i])) entry->obstacle = NULL;
    }
    return name ? take_name(s, name, strlen(name), entry, error) : take_zip_name(s, entry, error);
}

static ingot_status take_tar_facts(struct bundle_stream *s, struct archive_entry *e,
                                   struct bundle_entry *entry, ingot_error *error)
{
    const char *name = archive_entry_pathname(e);
    uint64_t padded;
    if (name == NULL) {
        return ingot_fail(error, INGOT_REFUSED, s->position, input_name(s->file),
                          "an entry's name cannot be read");
    }
    const ingot_status status = take_name(s, name, strlen(name), entry, error);
    if (status != INGOT_OK) return status;
    if (archive_entry_sparse_count(e) > 0) entry->obstacle = "a sparse file";
    if (!round_up_u64(entry->n_bytes, TAR_BLOCK_BYTES, &padded) ||
        !add_u64(entry->stream_bytes, padded, &s->data_end)) {
        return ingot_fail(error, INGOT_INVALID, s->position, name, "too long");
    }
    if (archive_filter_count(s->archive) == 1) entry->data_offset = entry->stream_bytes;
    return INGOT_OK;
}

static ingot_status at_end(const struct bundle_stream *s, ingot_error *error)
{
    const uint64_t end = (uint64_t)archive_filter_bytes(s->archive, 0);
    if (!s->is_tar || end > s->data_end) return INGOT_END;
    return ingot_fail(error, INGOT_INVALID, s->position, input_name(s->file),
                      "the archive is cut short: its end mark is missing");
}

ingot_status bundle_stream_next(struct bundle_stream *stream, struct bundle_entry *entry,
                                ingot_error *error)
{
    struct bundle_stream *s = stream;
    struct archive_entry *e = s->entry;
    const locale_t before = uselocale(s->plain);
    const int number_before = errno;
    errno = 0;
    const int result = archive_read_next_header2(s->archive, e);
    s->number = errno;
    errno = number_before;
    (void)uselocale(before);
    if (archive_filter_count(s->archive) > MAX_FILTERS) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, input_name(s->file),
                          "it is compressed more than once");
    }
    if (result == ARCHIVE_EOF) return at_end(s, error);
    /* A warning is about the name's character set. */
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
        return fail_archive(s, input_name(s->file), error);
    }
    const bool is_zip =
        (archive_format(s->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP;
    s->is_tar = !is_zip;
    entry->type = archive_entry_filetype(e);
    entry->n_bytes = archive_entry_size(e) > 0 ? (uint64_t)archive_entry_size(e) : 0;
    entry->stream_bytes = (uint64_t)archive_filter_bytes(s->archive, 0);
    entry->data_offset = UINT64_MAX;
    entry->is_link = archive_entry_hardlink(e) != NULL;
    entry->obstacle = NULL;
    const ingot_status status =
        is_zip ? take_zip_facts(s, e, entry, error) : take_tar_facts(s, e, entry, error);
    if (!archive_entry_size_is_set(e)) entry->obstacle = "of a length that is not told";
    if (archive_entry_is_encrypted(e)) entry->obstacle = "encrypted";
    return status;
}

ingot_status bundle_stream_read(struct bundle_stream *stream, const char *name, void *dst,
                                uint64_t n_bytes, uint64_t *n_read, ingot_error *error)
{
    const int number_before = errno;
    errno = 0;
    const la_ssize_t n = archive_read_data(stream->archive, dst, (size_t)n_bytes);
    stream->number = errno;
    errno = number_before;
    if (n < 0) return fail_archive(stream, name, error);
    *n_read = (uint64_t)n;
    return INGOT_OK;
}

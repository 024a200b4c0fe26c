/* Archives through libarchive, into an output. One row a kind. */
#include "convert/bundle_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

#include "format/json.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/output.h"

struct kind;

struct bundle_writer {
    const ingot_allocator *allocator;
    struct output *output;
    struct archive *archive;
    struct archive_entry *entry;
    locale_t utf8; /* zip marks names as UTF-8 in such a locale; 0 where the system has none */
    const struct kind *kind;
    bool finished;
    bool abandoned;    /* what is still written goes nowhere */
    bool write_failed; /* write_error is why */
    ingot_error write_error;
};

/* ------------------------------------------------------------------ the kinds */

static int begin_tar(struct archive *a)
{
    /* GNU's form holds every name and length as it is. */
    return archive_write_set_format_gnutar(a);
}

static int begin_tar_gzip(struct archive *a)
{
    const int result = archive_write_add_filter_gzip(a);
    if (result != ARCHIVE_OK) return result;
    (void)begin_tar(a);
    return archive_write_set_options(a, "gzip:!timestamp,gzip:compression-level=6");
}

static int begin_tar_zstd(struct archive *a)
{
    const int result = archive_write_add_filter_zstd(a);
    if (result != ARCHIVE_OK) return result;
    (void)begin_tar(a);
    return archive_write_set_options(a, "zstd:compression-level=3");
}

static int begin_zip(struct archive *a)
{
    (void)archive_write_set_format_zip(a);
    return archive_write_set_options(a, "zip:compression=deflate,zip:compression-level=6");
}

static const struct kind {
    const char *suffix;
    int (*begin)(struct archive *a);
    bool fills; /* an entry that ends early is filled up with zeros to its length */
} kinds[] = {
    {".zip", begin_zip, false},         {".tar", begin_tar, true},
    {".tar.gz", begin_tar_gzip, true},  {".tgz", begin_tar_gzip, true},
    {".tar.zst", begin_tar_zstd, true},
};

static const struct kind *kind_of(const char *path)
{
    const size_t n_bytes = strlen(path);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t n = strlen(kinds[i].suffix);
        if (n_bytes > n && strcmp(path + n_bytes - n, kinds[i].suffix) == 0) return &kinds[i];
    }
    return NULL;
}

bool bundle_is_named(const char *path)
{
    return kind_of(path) != NULL;
}

/* ------------------------------------------------------------------ writing */

static la_ssize_t take(struct archive *archive, void *context, const void *bytes, size_t n_bytes)
{
    struct bundle_writer *w = context;
    if (w->abandoned && !w->kind->fills) return (la_ssize_t)n_bytes;
    if (!w->abandoned && !w->write_failed &&
        output_write(w->output, bytes, n_bytes, &w->write_error) == INGOT_OK) {
        return (la_ssize_t)n_bytes;
    }
    w->write_failed = true;
    archive_set_error(archive, EIO, "cannot write");
    return -1;
}

static ingot_status fail_archive(const struct bundle_writer *w, const char *name,
                                 ingot_error *error)
{
    if (w->write_failed) {
        if (error) *error = w->write_error;
        return w->write_error.status;
    }
    const char *why = archive_error_string(w->archive);
    if (archive_errno(w->archive) == ENOMEM) return ingot_fail_memory(error, 0, name);
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name, "the archive cannot hold it: %s",
                      why ? why : "for no reason given");
}

ingot_status bundle_create(const char *path, bool replace, const ingot_allocator *allocator,
                           struct bundle_writer **writer, ingot_error *error)
{
    struct bundle_writer *w = ingot_allocate_zeroed(allocator, 1, sizeof *w);
    if (w == NULL) return ingot_fail_memory(error, sizeof *w, "archive");
    w->allocator = allocator;
    w->kind = kind_of(path);
    w->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    ingot_status status = output_create(path, replace, allocator, &w->output, error);
    if (status != INGOT_OK) goto done;
    w->archive = archive_write_new();
    w->entry = archive_entry_new();
    if (w->archive == NULL || w->entry == NULL) {
        status = ingot_fail_memory(error, sizeof *w, "archive");
        goto done;
    }
    if (w->kind->begin(w->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(w->archive, 1) != ARCHIVE_OK ||
        archive_write_open(w->archive, w, NULL, take, NULL) != ARCHIVE_OK) {
        status = fail_archive(w, path, error);
    }
done:
    if (status != INGOT_OK) {
        bundle_writer_close(w);
        return status;
    }
    *writer = w;
    return INGOT_OK;
}

ingot_status bundle_begin_file(struct bundle_writer *writer, const char *name, uint32_t name_bytes,
                               uint64_t n_bytes, ingot_error *error)
{
    struct bundle_writer *w = writer;
    char *text = ingot_allocate(w->allocator, (uint64_t)name_bytes + 1);
    if (text == NULL) return ingot_fail_memory(error, name_bytes, "file name");
    memcpy(text, name, name_bytes);
    text[name_bytes] = '\0';
    (void)archive_entry_clear(w->entry);
    archive_entry_copy_pathname(w->entry, text);
    archive_entry_set_filetype(w->entry, S_IFREG);
    archive_entry_set_perm(w->entry, 0644);
    archive_entry_set_size(w->entry, (la_int64_t)n_bytes);
    const bool is_utf8 = w->utf8 != (locale_t)0 && utf8_valid(name, name_bytes);
    const locale_t before = is_utf8 ? uselocale(w->utf8) : (locale_t)0;
    const int result = archive_write_header(w->archive, w->entry);
    if (is_utf8) (void)uselocale(before);
    ingot_release(w->allocator, text);
    if (result == ARCHIVE_OK) return INGOT_OK;
    return fail_archive(w, name_shown(name, name_bytes).text, error);
}

ingot_status bundle_put(struct bundle_writer *writer, const void *bytes, uint64_t n_bytes,
                        ingot_error *error)
{
    const la_ssize_t n = archive_write_data(writer->archive, bytes, (size_t)n_bytes);
    if (n >= 0 && (uint64_t)n == n_bytes) return INGOT_OK;
    return fail_archive(writer, "file", error);
}

ingot_status bundle_finish(struct bundle_writer *writer, ingot_error *error)
{
    if (archive_write_close(writer->archive) != ARCHIVE_OK) {
        return fail_archive(writer, "archive", error);
    }
    writer->finished = true;
    return output_finish(writer->output, error);
}

void bundle_writer_close(struct bundle_writer *writer)
{
    if (writer == NULL) return;
    if (writer->archive) {
        /* What is unfinished is closed all the same, which gives back what libarchive holds. Where
         * that would go on to the entry's end, writes that fail keep it from it; elsewhere failing
         * ones would leave the compressor. */
        writer->abandoned = !writer->finished;
        (void)archive_write_close(writer->archive);
        (void)archive_write_free(writer->archive);
    }
    archive_entry_free(writer->entry);
    output_close(writer->output);
    if (writer->utf8 != (locale_t)0) freelocale(writer->utf8);
    ingot_release(writer->allocator, writer);
}

/* Archives made in tests, good ones and hostile ones. */
#ifndef INGOT_TESTS_CONVERT_ARCHIVES_H
#define INGOT_TESTS_CONVERT_ARCHIVES_H

#include "tests/convert/files.h"

#include <archive.h>
#include <archive_entry.h>

struct packed {
    const char *name;
    const void *bytes; /* NULL: zeros */
    size_t n_bytes;
    mode_t type;         /* 0: a regular file */
    const char *symlink; /* S_IFLNK */
    const char *hardlink;
};

/* How an archive is written. */
struct packing {
    const char *suffix;
    int (*format)(struct archive *archive);
    int (*filter)(struct archive *archive); /* NULL: none */
    const char *options;                    /* or NULL */
};

static const struct packing packings[] = {
    {".tar", archive_write_set_format_gnutar, NULL, NULL},
    {".tar", archive_write_set_format_pax, NULL, NULL},
    {".tar", archive_write_set_format_ustar, NULL, NULL},
    {".tar.gz", archive_write_set_format_gnutar, archive_write_add_filter_gzip, NULL},
    {".tgz", archive_write_set_format_pax, archive_write_add_filter_gzip, NULL},
    {".tar.zst", archive_write_set_format_gnutar, archive_write_add_filter_zstd, NULL},
    {".zip", archive_write_set_format_zip, NULL, "zip:compression=deflate"},
    {".zip", archive_write_set_format_zip, NULL, "zip:compression=store"},
};
enum {
    N_PACKINGS = sizeof packings / sizeof *packings,
    PACKING_GNUTAR = 0,
    PACKING_ZSTD = 5,
    PACKING_ZIP = 6
};

static inline void pack_data(struct archive *archive, const struct packed *p)
{
    static const uint8_t zeros[1 << 16];
    for (size_t done = 0; done < p->n_bytes;) {
        const size_t left = p->n_bytes - done;
        const size_t n = p->bytes || left < sizeof zeros ? left : sizeof zeros;
        const void *bytes = p->bytes ? (const uint8_t *)p->bytes + done : zeros;
        assert_int_equal(archive_write_data(archive, bytes, n), n);
        done += n;
    }
}

static inline void pack_one(struct archive *archive, const struct packed *p)
{
    struct archive_entry *entry = archive_entry_new();
    assert_non_null(entry);
    archive_entry_copy_pathname(entry, p->name);
    archive_entry_set_filetype(entry, p->type ? p->type : S_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, 1700000000, 0);
    archive_entry_set_size(entry, (la_int64_t)p->n_bytes);
    if (p->symlink) archive_entry_copy_symlink(entry, p->symlink);
    if (p->hardlink) archive_entry_copy_hardlink(entry, p->hardlink);
    /* A warning is about the name's character set; the bytes are written all the same. */
    assert_true(archive_write_header(archive, entry) >= ARCHIVE_WARN);
    pack_data(archive, p);
    archive_entry_free(entry);
}

static inline void pack(const char *path, const struct packing *packing, const struct packed *files,
                        size_t n_files)
{
    struct archive *archive = archive_write_new();
    assert_non_null(archive);
    if (packing->filter) assert_int_equal(packing->filter(archive), ARCHIVE_OK);
    assert_int_equal(packing->format(archive), ARCHIVE_OK);
    if (packing->options) {
        assert_int_equal(archive_write_set_options(archive, packing->options), ARCHIVE_OK);
    }
    assert_int_equal(archive_write_set_bytes_in_last_block(archive, 1), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
    for (size_t i = 0; i < n_files; i++) pack_one(archive, &files[i]);
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
}

/* A safetensors file in memory, of static storage: header and data. */
struct made_file {
    uint8_t bytes[1024];
    size_t n_bytes;
};

static inline struct made_file made_safetensors(const char *header, const void *data,
                                                size_t n_bytes)
{
    struct made_file file;
    const size_t header_bytes = strlen(header);
    assert_true(8 + header_bytes + n_bytes <= sizeof file.bytes);
    store_u64(file.bytes, header_bytes);
    memcpy(file.bytes + 8, header, header_bytes);
    if (n_bytes) memcpy(file.bytes + 8 + header_bytes, data, n_bytes);
    file.n_bytes = 8 + header_bytes + n_bytes;
    return file;
}

#endif

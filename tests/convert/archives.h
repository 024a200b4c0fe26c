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

/* A safetensors file in memory. */
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

static const char packed_index[] =
    "{\"metadata\":{\"total_size\":20},\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":"
    "\"m-2.safetensors\"}}";

/* The files of a checkpoint under a folder's name (which may be empty), in no good order. */
enum { N_FILES = 6 };
struct checkpoint {
    struct made_file one, two;
    char names[N_FILES][256];
    struct packed files[N_FILES];
};

static inline void make(struct checkpoint *c, const char *prefix)
{
    static const uint8_t data[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const char *const names[N_FILES] = {
        "config.json",     "m-2.safetensors", "sub/deep/notes.safetensors",
        "m-1.safetensors", "empty.txt",       "model.safetensors.index.json"};
    c->one = made_safetensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[0,6]}}",
                              data, 6);
    /* No order, a gap, and a tensor without bytes. */
    c->two = made_safetensors("{\"z\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                              "\"n\":{\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[0,0]},"
                              "\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[0,6]}}",
                              data, 12);
    const struct packed files[N_FILES] = {
        {.bytes = "{}\n", .n_bytes = 3},
        {.bytes = c->two.bytes, .n_bytes = c->two.n_bytes},
        {.bytes = "not a model", .n_bytes = 11},
        {.bytes = c->one.bytes, .n_bytes = c->one.n_bytes},
        {.bytes = "", .n_bytes = 0},
        {.bytes = packed_index, .n_bytes = sizeof packed_index - 1},
    };
    memcpy(c->files, files, sizeof files);
    for (size_t i = 0; i < N_FILES; i++) {
        snprintf(c->names[i], sizeof c->names[i], "%s%s", prefix, names[i]);
        c->files[i].name = c->names[i];
    }
}

static inline char *suffixed_path(void **state, const char *name, const char *suffix)
{
    char whole[64];
    snprintf(whole, sizeof whole, "%s%s", name, suffix);
    return scratch_path(state, whole);
}

#endif

/* An archive as libarchive walks it: entry after entry, forward only. Where it finds no memory for
 * a string of its own, libarchive 3.6 ends the process; all other lacks are INGOT_NO_MEMORY here.
 * Knows the archive formats and what of an entry they say; whether an entry is welcome is
 * bundle.c's affair. */
#ifndef INGOT_CONVERT_BUNDLE_STREAM_H
#define INGOT_CONVERT_BUNDLE_STREAM_H

#include <sys/types.h>

#include "convert/input.h"

struct bundle_stream;

enum { BUNDLE_ENTRY_NAME_BYTES = 4200 };

struct bundle_entry {
    char name[BUNDLE_ENTRY_NAME_BYTES]; /* as its bytes stand in the archive, and a zero byte */
    uint32_t name_bytes;
    mode_t type;           /* S_IFREG, S_IFDIR, ...; 0 when the archive does not say */
    uint64_t n_bytes;      /* of its contents */
    uint64_t stream_bytes; /* of the archive, decompressed, up to the contents */
    /* Where the contents lie in the archive's file; UINT64_MAX when they are compressed or checked
     * and so can only be had from the stream. */
    uint64_t data_offset;
    bool is_link;         /* a second name of an earlier entry */
    const char *obstacle; /* why its contents cannot be read, in words, or NULL */
};

/* `file` must outlive the stream. INGOT_INVALID when it is no archive of a known format. */
ingot_status bundle_stream_open(const struct input *file, const ingot_allocator *allocator,
                                struct bundle_stream **stream, ingot_error *error);
/* Takes NULL. */
void bundle_stream_close(struct bundle_stream *stream);
/* The next entry; what was not read of the one before is passed over. INGOT_END after the last,
 * where a tar must have its end mark. */
ingot_status bundle_stream_next(struct bundle_stream *stream, struct bundle_entry *entry,
                                ingot_error *error);
/* Reads on in the entry's contents: *n_read is 0 at their end, where the archive's own checksum of
 * them was found right. `name` is what errors call them. */
ingot_status bundle_stream_read(struct bundle_stream *stream, const char *name, void *dst,
                                uint64_t n_bytes, uint64_t *n_read, ingot_error *error);

#endif

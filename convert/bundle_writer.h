/* Files into an archive: .zip, .tar, .tar.gz, .tar.zst. The same files in the same order give the
 * same bytes: no times, owners or modes of anything get in. */
#ifndef INGOT_CONVERT_BUNDLE_WRITER_H
#define INGOT_CONVERT_BUNDLE_WRITER_H

#include "format/ingot.h"

struct bundle_writer;

/* Whether a name ends as an archive's does. */
bool bundle_is_named(const char *path);

/* The suffix of `path`, for which bundle_is_named holds, chooses the kind. It gets its name in
 * bundle_finish; with replace false an existing path is INGOT_EXISTS. */
ingot_status bundle_create(const char *path, bool replace, const ingot_allocator *allocator,
                           struct bundle_writer **writer, ingot_error *error);
/* Begins a file, of which exactly n_bytes bytes are to be put. `name` is a safe path. */
ingot_status bundle_begin_file(struct bundle_writer *writer, const char *name, uint32_t name_bytes,
                               uint64_t n_bytes, ingot_error *error);
ingot_status bundle_put(struct bundle_writer *writer, const void *bytes, uint64_t n_bytes,
                        ingot_error *error);
/* Afterwards the writer can only be closed. */
ingot_status bundle_finish(struct bundle_writer *writer, ingot_error *error);
/* Takes NULL. An unfinished archive leaves nothing behind. */
void bundle_writer_close(struct bundle_writer *writer);

#endif

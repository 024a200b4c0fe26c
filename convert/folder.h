/* The files of a folder: every one is listed or refused by name, none is passed over. Knows nothing
 * of what they hold. */
#ifndef INGOT_CONVERT_FOLDER_H
#define INGOT_CONVERT_FOLDER_H

#include "convert/names.h"
#include "format/buffer.h"
#include "format/ingot.h"

struct folder {
    const ingot_allocator *allocator;
    uint32_t n_files;
    struct name_ref *files;   /* relative names, safe paths, in order; each ends with a zero byte */
    uint32_t n_empty;         /* folders that hold nothing */
    struct byte_buffer texts; /* the names of files */
    struct byte_buffer empty; /* the names of empty folders, each ends with a zero byte */
};

/* Lists the regular files under `path`, at any depth. Symbolic links, devices, sockets and names
 * that are no safe path are refused. On success *out is to be released. */
ingot_status folder_list(const char *path, const ingot_allocator *allocator, struct folder *out,
                         ingot_error *error);
void folder_release(struct folder *folder);

#endif

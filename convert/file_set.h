/* The files of a checkpoint, wherever they lie: in a folder or in an archive. Knows nothing of what
 * they hold. */
#ifndef INGOT_CONVERT_FILE_SET_H
#define INGOT_CONVERT_FILE_SET_H

#include "convert/bundle.h"
#include "convert/folder.h"

struct file_set {
    const ingot_allocator *allocator;
    const char *path;      /* the caller's */
    struct folder folder;  /* empty for an archive */
    struct bundle *bundle; /* NULL for a folder */
    uint32_t n_files;
    uint32_t n_empty;  /* folders that hold nothing */
    const char *empty; /* their names, each ends with a zero byte */
};

/* A folder's files are in the order of their names, an archive's in that of the archive. On success
 * *out is to be released. */
ingot_status file_set_folder(const char *path, const ingot_allocator *allocator,
                             struct file_set *out, ingot_error *error);
ingot_status file_set_archive(const char *path, const ingot_allocator *allocator,
                              struct file_set *out, ingot_error *error);
void file_set_release(struct file_set *set);

const char *file_set_name(const struct file_set *set, uint32_t index);
/* Opens a file by its number: input_open for one of the few that are read throughout, input_note
 * for others. The bundle of an archive must outlive the input. */
typedef ingot_status input_open_function(const char *path, const char *name,
                                         const ingot_allocator *allocator, struct input **input,
                                         ingot_error *error);
ingot_status file_set_open(const struct file_set *set, uint32_t index, input_open_function *open,
                           struct input **input, ingot_error *error);

#endif

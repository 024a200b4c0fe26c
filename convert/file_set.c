/* Files of folders and archives. */
#include "convert/file_set.h"

#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"

ingot_status file_set_folder(const char *path, const ingot_allocator *allocator,
                             struct file_set *out, ingot_error *error)
{
    struct file_set set = {.allocator = allocator, .path = path};
    const ingot_status status = folder_list(path, allocator, &set.folder, error);
    if (status != INGOT_OK) return status;
    set.n_files = set.folder.n_files;
    set.n_empty = set.folder.n_empty;
    set.empty = (const char *)set.folder.empty.data;
    *out = set;
    return INGOT_OK;
}

ingot_status file_set_archive(const char *path, const ingot_allocator *allocator,
                              struct file_set *out, ingot_error *error)
{
    struct file_set set = {
        .allocator = allocator, .path = path, .folder = {.allocator = allocator}};
    const ingot_status status = bundle_open(path, allocator, &set.bundle, error);
    if (status != INGOT_OK) return status;
    set.n_files = bundle_n_files(set.bundle);
    set.n_empty = bundle_n_empty(set.bundle);
    set.empty = bundle_empty(set.bundle);
    *out = set;
    return INGOT_OK;
}

void file_set_release(struct file_set *set)
{
    bundle_close(set->bundle);
    set->bundle = NULL;
    folder_release(&set->folder);
}

const char *file_set_name(const struct file_set *set, uint32_t index)
{
    return set->bundle ? bundle_name(set->bundle, index) : set->folder.files[index].text;
}

ingot_status file_set_open(const struct file_set *set, uint32_t index, input_open_function *open,
                           struct input **input, ingot_error *error)
{
    if (set->bundle) return bundle_input(set->bundle, index, input, error);
    const char *name = file_set_name(set, index);
    const size_t n_bytes = strlen(set->path) + strlen(name) + 2;
    char *path = ingot_allocate(set->allocator, n_bytes);
    if (path == NULL) return ingot_fail_memory(error, n_bytes, "file name");
    snprintf(path, n_bytes, "%s/%s", set->path, name);
    const ingot_status status = open(path, name, set->allocator, input, error);
    ingot_release(set->allocator, path);
    return status;
}

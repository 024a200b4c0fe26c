/* Lists a folder's files. */
#include "convert/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/source.h"

enum { MAX_DEPTH = 64, MAX_PATH_BYTES = 8192, MAX_FILES = 1000000 };

/* Where the walk is: `path` holds the folder's own path, a slash and the relative name. */
struct walker {
    struct folder *folder;
    ingot_error *error;
    size_t root_bytes; /* of path, up to and with the slash */
    size_t path_bytes;
    char path[MAX_PATH_BYTES];
};

static ingot_status fail_here(const struct walker *w, ingot_status status, const char *what)
{
    const char *name = w->path_bytes > w->root_bytes ? w->path + w->root_bytes : w->path;
    return ingot_fail(w->error, status, INGOT_NO_OFFSET, name_shown(name, strlen(name)).text, "%s",
                      what);
}

static ingot_status fail_system(const struct walker *w)
{
    return fail_here(w, errno == ENOMEM ? INGOT_NO_MEMORY : INGOT_IO, strerror(errno));
}

static ingot_status add_file(struct walker *w)
{
    struct folder *folder = w->folder;
    const size_t n_bytes = w->path_bytes - w->root_bytes;
    if (folder->n_files == MAX_FILES) return fail_here(w, INGOT_UNSUPPORTED, "too many files");
    if (!safe_path(w->path + w->root_bytes, n_bytes)) {
        return fail_here(w, INGOT_REFUSED,
                         "the name of this file is not a safe path (backslash, colon or control "
                         "character)");
    }
    buffer_append(&folder->texts, w->path + w->root_bytes, n_bytes + 1);
    folder->n_files++;
    return folder->texts.failed ? ingot_fail_memory(w->error, n_bytes, "file names") : INGOT_OK;
}

static ingot_status add_empty(struct walker *w)
{
    struct byte_buffer *empty = &w->folder->empty;
    buffer_append(empty, w->path + w->root_bytes, w->path_bytes - w->root_bytes + 1);
    w->folder->n_empty++;
    return empty->failed ? ingot_fail_memory(w->error, w->path_bytes, "file names") : INGOT_OK;
}

static ingot_status walk(struct walker *w, uint32_t depth);

/* Takes the entry that w->path names. */
static ingot_status take(struct walker *w, uint32_t depth)
{
    static const struct {
        mode_t type;
        const char *what;
    } refused[] = {
        {S_IFLNK, "a symbolic link: copy what it points to into the folder, or leave it out"},
        {S_IFSOCK, "a socket"},
        {S_IFIFO, "a named pipe"},
        {S_IFBLK, "a device"},
        {S_IFCHR, "a device"},
    };
    struct stat found;
    if (lstat(w->path, &found) != 0) return fail_system(w);
    if (S_ISREG(found.st_mode)) return add_file(w);
    if (S_ISDIR(found.st_mode)) {
        if (depth == MAX_DEPTH) return fail_here(w, INGOT_UNSUPPORTED, "folders too deep");
        return walk(w, depth + 1);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if ((found.st_mode & S_IFMT) == refused[i].type) {
            return fail_here(w, INGOT_REFUSED, refused[i].what);
        }
    }
    return fail_here(w, INGOT_REFUSED, "neither a file nor a folder");
}

/* Takes every entry of the folder that w->path names. */
static ingot_status walk(struct walker *w, uint32_t depth)
{
    const size_t path_bytes = w->path_bytes;
    ingot_status status = INGOT_OK;
    bool empty = true;
    DIR *stream = opendir(w->path);
    if (stream == NULL) return fail_system(w);
    while (status == INGOT_OK) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            if (errno != 0) status = fail_system(w);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        empty = false;
        const bool at_root = path_bytes == w->root_bytes;
        const size_t n_bytes = strlen(entry->d_name);
        if (path_bytes + n_bytes + 2 > sizeof w->path) {
            status = fail_here(w, INGOT_UNSUPPORTED, "a path too long");
            break;
        }
        if (!at_root) w->path[w->path_bytes++] = '/';
        memcpy(w->path + w->path_bytes, entry->d_name, n_bytes + 1);
        w->path_bytes += n_bytes;
        status = take(w, depth);
        w->path_bytes = path_bytes;
        w->path[path_bytes] = '\0';
    }
    (void)closedir(stream);
    if (status == INGOT_OK && empty && path_bytes > w->root_bytes) status = add_empty(w);
    return status;
}

static ingot_status sort_files(struct folder *folder, ingot_error *error)
{
    const char *text = (const char *)folder->texts.data;
    folder->files =
        ingot_allocate_zeroed(folder->allocator, folder->n_files, sizeof *folder->files);
    if (folder->files == NULL) {
        return ingot_fail_memory(error, folder->n_files * sizeof *folder->files, "file names");
    }
    for (uint32_t i = 0; i < folder->n_files; i++) {
        const size_t n_bytes = strlen(text);
        folder->files[i] = (struct name_ref){text, (uint32_t)n_bytes, i};
        text += n_bytes + 1;
    }
    names_sort(folder->files, folder->n_files);
    return INGOT_OK;
}

ingot_status folder_list(const char *path, const ingot_allocator *allocator, struct folder *out,
                         ingot_error *error)
{
    struct folder folder = {.allocator = allocator,
                            .texts = {.allocator = allocator},
                            .empty = {.allocator = allocator}};
    ingot_status status = INGOT_OK;
    const size_t n_bytes = strlen(path);
    struct walker *w = ingot_allocate(allocator, sizeof *w);
    if (w == NULL) return ingot_fail_memory(error, sizeof *w, "folder walk");
    if (n_bytes == 0 || n_bytes + 2 > sizeof w->path) {
        status = ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "folder", "a path too long");
        goto done;
    }
    w->folder = &folder;
    w->error = error;
    memcpy(w->path, path, n_bytes + 1);
    w->path_bytes = n_bytes;
    if (path[n_bytes - 1] != '/') {
        w->path[w->path_bytes++] = '/';
        w->path[w->path_bytes] = '\0';
    }
    w->root_bytes = w->path_bytes;
    status = walk(w, 0);
    if (status == INGOT_OK) status = sort_files(&folder, error);
done:
    ingot_release(allocator, w);
    if (status != INGOT_OK) {
        folder_release(&folder);
        return status;
    }
    *out = folder;
    return INGOT_OK;
}

void folder_release(struct folder *folder)
{
    ingot_release(folder->allocator, folder->files);
    buffer_release(&folder->empty);
    buffer_release(&folder->texts);
    *folder = (struct folder){.allocator = folder->allocator};
}

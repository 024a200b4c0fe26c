/* The source files again, from a container's source blob. Knows no foreign format. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <dirent.h>

#include "convert/bundle_writer.h"
#include "convert/convert.h"
#include "convert/names.h"
#include "convert/source_blob.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/output.h"
#include "format/pool.h"
#include "format/reader.h"

struct restoring {
    const ingot_file *file;
    bool replace;
    struct ingot_pool *pool;
    const struct progress *progress;
    struct source_blob blob;
    struct output *output;
    struct bundle_writer *bundle;
    uint64_t done_bytes;
    ingot_error *error;
};

static ingot_status fail_system(const struct restoring *r, const char *path, const char *doing)
{
    return ingot_fail(r->error, INGOT_IO, INGOT_NO_OFFSET, path, "%s: %s", doing, strerror(errno));
}

/* ------------------------------------------------------------------ one file */

static void report(struct restoring *r, uint64_t n_bytes)
{
    r->done_bytes += n_bytes;
    if (r->progress == NULL) return;
    r->progress->report(r->progress->context, "restoring", r->done_bytes, r->blob.total_bytes);
}

static ingot_status put(void *context, const void *bytes, uint64_t n_bytes, ingot_error *error)
{
    struct restoring *r = context;
    const ingot_status status = output_write(r->output, bytes, n_bytes, error);
    if (status == INGOT_OK) report(r, n_bytes);
    return status;
}

/* Writes the next file of the walk to `path`; it gets that name when its hash was right. */
static ingot_status restore_file(struct restoring *r, const struct source_file *source,
                                 const char *path)
{
    const struct byte_sink sink = {r, put};
    ingot_status status = output_create(path, r->replace, NULL, &r->output, r->error);
    if (status != INGOT_OK) return status;
    status = source_file_bytes(r->blob.rebuild, &r->blob.walk, source, &sink, r->error);
    if (status == INGOT_OK) status = output_finish(r->output, r->error);
    output_close(r->output);
    r->output = NULL;
    return status;
}

/* ------------------------------------------------------------------ a folder */

/* Makes a folder, or takes one that is there. A symbolic link is not taken for one: what is
 * restored stays under the target. */
static ingot_status make_folder(const struct restoring *r, const char *path)
{
    struct stat found;
    if (mkdir(path, 0777) == 0) return INGOT_OK;
    if (errno != EEXIST) return fail_system(r, path, "cannot make the folder");
    if (lstat(path, &found) != 0) return fail_system(r, path, "cannot look at it");
    if (S_ISDIR(found.st_mode)) return INGOT_OK;
    return ingot_fail(r->error, INGOT_EXISTS, INGOT_NO_OFFSET, path,
                      "it exists and is not a folder");
}

/* Makes the folders between the target, whose name is the first root_bytes of path, and the file
 * that path names. */
static ingot_status make_parents(const struct restoring *r, char *path, size_t root_bytes)
{
    for (char *slash = strchr(path + root_bytes + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        const ingot_status status = make_folder(r, path);
        *slash = '/';
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

static ingot_status check_empty(const struct restoring *r, const char *path)
{
    DIR *folder = opendir(path);
    bool empty = true;
    if (folder == NULL) return fail_system(r, path, "cannot list the folder");
    for (const struct dirent *e = readdir(folder); e && empty; e = readdir(folder)) {
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    }
    (void)closedir(folder);
    if (empty) return INGOT_OK;
    return ingot_fail(r->error, INGOT_EXISTS, INGOT_NO_OFFSET, path, "the folder is not empty");
}

static ingot_status restore_folder(struct restoring *r, const char *target)
{
    struct stat found;
    ingot_status status = INGOT_OK;
    const size_t root_bytes = strlen(target);
    /* The target itself may be a symbolic link to a folder: its user named it. */
    if (stat(target, &found) != 0 || !S_ISDIR(found.st_mode)) status = make_folder(r, target);
    if (status == INGOT_OK && !r->replace) status = check_empty(r, target);
    while (status == INGOT_OK) {
        struct source_file source;
        status = source_next_file(&r->blob.walk, &source, r->error);
        if (status != INGOT_OK) break;
        const size_t n_bytes = root_bytes + source.name_bytes + 2;
        char *path = ingot_allocate(NULL, n_bytes);
        if (path == NULL) return ingot_fail_memory(r->error, n_bytes, "file name");
        snprintf(path, n_bytes, "%s/%.*s", target, (int)source.name_bytes, source.name);
        status = make_parents(r, path, root_bytes);
        if (status == INGOT_OK) status = restore_file(r, &source, path);
        ingot_release(NULL, path);
    }
    return status == INGOT_END ? INGOT_OK : status;
}

/* ------------------------------------------------------------------ an archive */

static ingot_status put_packed(void *context, const void *bytes, uint64_t n_bytes,
                               ingot_error *error)
{
    struct restoring *r = context;
    const ingot_status status = bundle_put(r->bundle, bytes, n_bytes, error);
    if (status == INGOT_OK) report(r, n_bytes);
    return status;
}

/* All files in the order of the source blob. The archive gets its name when every hash was right.
 */
static ingot_status restore_archive(struct restoring *r, const char *target)
{
    const struct byte_sink sink = {r, put_packed};
    ingot_status status = bundle_create(target, r->replace, NULL, &r->bundle, r->error);
    while (status == INGOT_OK) {
        struct source_file source;
        status = source_next_file(&r->blob.walk, &source, r->error);
        if (status != INGOT_OK) break;
        status =
            bundle_begin_file(r->bundle, source.name, source.name_bytes, source.n_bytes, r->error);
        if (status == INGOT_OK) {
            status = source_file_bytes(r->blob.rebuild, &r->blob.walk, &source, &sink, r->error);
        }
    }
    if (status == INGOT_END) status = bundle_finish(r->bundle, r->error);
    bundle_writer_close(r->bundle);
    return status;
}

/* ------------------------------------------------------------------ a single file */

static ingot_status restore_single(struct restoring *r, const char *target)
{
    struct source_file source;
    const ingot_status status = source_next_file(&r->blob.walk, &source, r->error);
    return status == INGOT_OK ? restore_file(r, &source, target) : status;
}

/* ------------------------------------------------------------------ the whole */

/* Says why there is no source blob: the first tensor that is not held raw. */
static ingot_status explain(const ingot_file *file, ingot_error *error)
{
    uint32_t n = 0;
    uint32_t first = INGOT_NONE;
    ingot_tensor t;
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        if (ingot_file_held_raw(file, i)) continue;
        if (n++ == 0) first = i;
    }
    if (first == INGOT_NONE) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "source",
                          "the file holds no record of its source files");
    }
    ingot_file_tensor(file, first, &t);
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "source",
                      "the source files cannot be restored: %u tensor%s re-encoded, the first "
                      "being '%s', held as %.60s",
                      n, n == 1 ? " was" : "s were", name_shown(t.name, t.name_bytes).text,
                      t.encoding);
}

static bool is_folder(const char *target)
{
    struct stat found;
    const size_t n_bytes = strlen(target);
    if (n_bytes > 0 && target[n_bytes - 1] == '/') return true;
    return stat(target, &found) == 0 && S_ISDIR(found.st_mode);
}

ingot_status restore_model(const ingot_file *file, const char *target, bool replace,
                           uint32_t n_threads, const struct progress *progress,
                           struct restore_result *result, ingot_error *error)
{
    struct restoring r = {.file = file, .replace = replace, .progress = progress, .error = error};
    if (ingot_file_find_blob(file, INGOT_BLOB_SOURCE, "", 0) == INGOT_NONE) {
        return explain(file, error);
    }
    ingot_status status = ingot_pool_create(n_threads, NULL, &r.pool, error);
    if (status == INGOT_OK) status = source_blob_open(file, r.pool, NULL, &r.blob, error);
    if (status != INGOT_OK) goto done;
    if (!is_folder(target) && bundle_is_named(target)) {
        status = restore_archive(&r, target);
    } else if (r.blob.n_files != 1 || is_folder(target)) {
        status = restore_folder(&r, target);
    } else {
        status = restore_single(&r, target);
    }
    if (status == INGOT_OK) *result = (struct restore_result){r.blob.n_files, r.done_bytes};
done:
    source_blob_close(&r.blob);
    ingot_pool_close(r.pool);
    return status;
}

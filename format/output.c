/* Finished bytes: a file under a temporary name, standard output, or memory. One row a kind. */
#include "format/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

enum { WRITEBACK_BYTES = 8 << 20 };

struct output_kind {
    ingot_status (*write)(struct output *output, const void *bytes, uint64_t n_bytes,
                          ingot_error *error);
    ingot_status (*finish)(struct output *output, ingot_error *error);
    void (*abandon)(struct output *output);
};

struct output {
    const struct output_kind *kind;
    const ingot_allocator *allocator;
    struct byte_buffer *memory;
    int descriptor;
    bool replace;
    bool finished;
    uint64_t offset;
    uint64_t given_to_disk; /* bytes before this offset are on their way */
    char *path;
    char *folder;
    char *temporary;
};

static ingot_status fail_system(const struct output *output, const char *doing, ingot_error *error)
{
    return ingot_fail(error, INGOT_IO, output->offset, output->path ? output->path : "output",
                      "%s: %s", doing, strerror(errno));
}

/* Has the disk begin with what was written, so that the sync at the end finds little left. */
static void start_writeback(struct output *output)
{
    const uint64_t n_bytes = output->offset - output->given_to_disk;
    if (n_bytes < WRITEBACK_BYTES || output->temporary == NULL) return;
    (void)sync_file_range(output->descriptor, (off_t)output->given_to_disk, (off_t)n_bytes,
                          SYNC_FILE_RANGE_WRITE);
    output->given_to_disk = output->offset;
}

static ingot_status descriptor_write(struct output *output, const void *bytes, uint64_t n_bytes,
                                     ingot_error *error)
{
    const uint8_t *p = bytes;
    while (n_bytes > 0) {
        const ssize_t n = write(output->descriptor, p, (size_t)min_u64(n_bytes, 1u << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_system(output, "cannot write", error);
        p += n;
        n_bytes -= (uint64_t)n;
        output->offset += (uint64_t)n;
    }
    start_writeback(output);
    return INGOT_OK;
}

/* The folder that a path is in; NULL when there is no memory. */
static char *folder_of(const char *path, const ingot_allocator *allocator)
{
    char *folder = ingot_allocate(allocator, strlen(path) + 2);
    if (folder == NULL) return NULL;
    strcpy(folder, path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        strcpy(folder, ".");
    } else {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    return folder;
}

/* Some file systems cannot sync a folder; the rename has happened all the same. */
static void sync_folder(const char *folder)
{
    const int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)fsync(descriptor);
    (void)close(descriptor);
}

static ingot_status file_finish(struct output *output, ingot_error *error)
{
    if (fsync(output->descriptor) != 0) return fail_system(output, "cannot sync", error);
    const int descriptor = output->descriptor;
    output->descriptor = -1;
    if (close(descriptor) != 0) return fail_system(output, "cannot close", error);
    if (output->replace) {
        if (rename(output->temporary, output->path) != 0) {
            return fail_system(output, "cannot rename", error);
        }
    } else {
        /* A link fails when the name has come to exist meanwhile; a rename would replace it. */
        if (link(output->temporary, output->path) != 0) {
            if (errno == EEXIST) {
                return ingot_fail(error, INGOT_EXISTS, INGOT_NO_OFFSET, output->path,
                                  "the target exists");
            }
            if (access(output->path, F_OK) == 0 || rename(output->temporary, output->path) != 0) {
                return fail_system(output, "cannot name the finished file", error);
            }
        } else {
            (void)unlink(output->temporary);
        }
    }
    output->finished = true;
    sync_folder(output->folder);
    return INGOT_OK;
}

static void file_abandon(struct output *output)
{
    if (output->descriptor >= 0) (void)close(output->descriptor);
    if (output->temporary && !output->finished) (void)unlink(output->temporary);
}

static ingot_status pipe_finish(struct output *output, ingot_error *error)
{
    (void)error;
    output->finished = true;
    return INGOT_OK;
}

static void pipe_abandon(struct output *output)
{
    (void)output;
}

static ingot_status memory_write(struct output *output, const void *bytes, uint64_t n_bytes,
                                 ingot_error *error)
{
    buffer_append(output->memory, bytes, n_bytes);
    if (output->memory->failed) return ingot_fail_memory(error, n_bytes, "output");
    output->offset += n_bytes;
    return INGOT_OK;
}

static const struct output_kind file_kind = {descriptor_write, file_finish, file_abandon};
static const struct output_kind pipe_kind = {descriptor_write, pipe_finish, pipe_abandon};
static const struct output_kind memory_kind = {memory_write, pipe_finish, pipe_abandon};

static struct output *new_output(const struct output_kind *kind, const ingot_allocator *allocator)
{
    struct output *output = ingot_allocate_zeroed(allocator, 1, sizeof *output);
    if (output == NULL) return NULL;
    output->kind = kind;
    output->allocator = allocator;
    output->descriptor = -1;
    return output;
}

/* Opens path.PID.N.tmp, the first that does not exist. */
static ingot_status open_temporary(struct output *output, ingot_error *error)
{
    const size_t n_bytes = strlen(output->path) + 48;
    output->temporary = ingot_allocate(output->allocator, n_bytes);
    if (output->temporary == NULL) return ingot_fail_memory(error, n_bytes, "temporary name");
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        snprintf(output->temporary, n_bytes, "%s.%ld.%u.tmp", output->path, (long)getpid(),
                 attempt);
        output->descriptor = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (output->descriptor >= 0) return INGOT_OK;
        if (errno != EEXIST) break;
    }
    const ingot_status status = fail_system(output, "cannot create a file beside it", error);
    ingot_release(output->allocator, output->temporary);
    output->temporary = NULL;
    return status;
}

ingot_status output_create(const char *path, bool replace, const ingot_allocator *allocator,
                           struct output **output, ingot_error *error)
{
    const bool is_pipe = strcmp(path, "-") == 0;
    struct output *o = new_output(is_pipe ? &pipe_kind : &file_kind, allocator);
    if (o == NULL) return ingot_fail_memory(error, sizeof *o, "output");
    ingot_status status = INGOT_OK;
    o->replace = replace;
    if (is_pipe) {
        o->descriptor = STDOUT_FILENO;
        goto done;
    }
    o->path = ingot_allocate(allocator, strlen(path) + 1);
    o->folder = folder_of(path, allocator);
    if (o->path == NULL || o->folder == NULL) {
        status = ingot_fail_memory(error, strlen(path) + 1, "output name");
        goto done;
    }
    strcpy(o->path, path);
    struct stat found;
    if (stat(path, &found) == 0) {
        if (!replace) {
            status = ingot_fail(error, INGOT_EXISTS, INGOT_NO_OFFSET, path, "the target exists");
            goto done;
        }
        if (!S_ISREG(found.st_mode)) {
            status = ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, path,
                                "the target is not a regular file");
            goto done;
        }
    }
    status = open_temporary(o, error);
done:
    if (status != INGOT_OK) {
        output_close(o);
        return status;
    }
    *output = o;
    return INGOT_OK;
}

ingot_status output_to_memory(struct byte_buffer *buffer, const ingot_allocator *allocator,
                              struct output **output, ingot_error *error)
{
    struct output *o = new_output(&memory_kind, allocator);
    if (o == NULL) return ingot_fail_memory(error, sizeof *o, "output");
    o->memory = buffer;
    *output = o;
    return INGOT_OK;
}

ingot_status output_write(struct output *output, const void *bytes, uint64_t n_bytes,
                          ingot_error *error)
{
    return output->kind->write(output, bytes, n_bytes, error);
}

ingot_status output_finish(struct output *output, ingot_error *error)
{
    return output->kind->finish(output, error);
}

void output_close(struct output *output)
{
    if (output == NULL) return;
    output->kind->abandon(output);
    ingot_release(output->allocator, output->temporary);
    ingot_release(output->allocator, output->folder);
    ingot_release(output->allocator, output->path);
    ingot_release(output->allocator, output);
}

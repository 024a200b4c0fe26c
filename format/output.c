/* Finished bytes: a file under a temporary name, standard output, or memory. One row a kind. */
#include "format/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

enum {
    NAME_BYTES = 255,  /* of a file's name, at most */
    ENDING_BYTES = 24, /* of ".PID.N.tmp", at most */
    WRITEBACK_BYTES = 8 << 20
};

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
    char *temporary;
};

/* Fills the error with the path, or its end where the whole is too long: that names the file. */
static ingot_status fail(const struct output *output, ingot_status status, uint64_t offset,
                         const char *what, int number, ingot_error *error)
{
    char name[sizeof error->field];
    const char *path = output->path ? output->path : "standard output";
    const size_t n_bytes = strlen(path);
    const size_t n_kept = sizeof name - sizeof "...";
    const bool cut = n_bytes >= sizeof name;
    snprintf(name, sizeof name, "%s%s", cut ? "..." : "", cut ? path + n_bytes - n_kept : path);
    return ingot_fail(error, status, offset, name, "%s%s%s", what, number ? ": " : "",
                      number ? strerror(number) : "");
}

static ingot_status fail_system(const struct output *output, const char *what, int number,
                                ingot_error *error)
{
    return fail(output, INGOT_IO, INGOT_NO_OFFSET, what, number, error);
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
        if (n < 0 && errno == EAGAIN) {
            /* A pipe that its other user made non-blocking. */
            (void)poll(&(struct pollfd){.fd = output->descriptor, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (n <= 0) {
            return fail(output, INGOT_IO, output->offset, "cannot write", n < 0 ? errno : EIO,
                        error);
        }
        p += n;
        n_bytes -= (uint64_t)n;
        output->offset += (uint64_t)n;
    }
    start_writeback(output);
    return INGOT_OK;
}

/* 0, or the number of the error. What cannot be synced at all counts as synced. */
static int sync_descriptor(int descriptor)
{
    while (fsync(descriptor) != 0) {
        if (errno == EINVAL || errno == EROFS || errno == ENOTSUP) return 0;
        if (errno != EINTR) return errno;
    }
    return 0;
}

/* Makes the name last. A folder that cannot be opened for this is left to the system. */
static int sync_folder(const struct output *output)
{
    char *slash = strrchr(output->path, '/');
    const char *folder = slash == NULL ? "." : slash == output->path ? "/" : output->path;
    if (slash) *slash = '\0';
    const int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash) *slash = '/';
    if (descriptor < 0) return 0;
    const int number = sync_descriptor(descriptor);
    (void)close(descriptor);
    return number;
}

/* Moves a file to a name that nothing has. 0, or the number of the error; EEXIST when there is
 * something of that name. */
static int move_to_new_name(const char *from, const char *to)
{
    struct stat found;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    /* Kernels, file systems and sandboxes that do not know this call say so in these three ways. */
    if (errno != EINVAL && errno != ENOSYS && errno != EPERM) return errno;
    if (link(from, to) == 0) {
        (void)unlink(from);
        return 0;
    }
    if (errno == EEXIST) return EEXIST;
    /* Files have one name only here. Between these two calls somebody else's file could still
     * appear and be replaced; nothing on such a file system prevents that. */
    if (lstat(to, &found) == 0) return EEXIST;
    return rename(from, to) == 0 ? 0 : errno;
}

static ingot_status give_name(struct output *output, ingot_error *error)
{
    int number = 0;
    if (output->replace) {
        if (rename(output->temporary, output->path) != 0) number = errno;
    } else {
        number = move_to_new_name(output->temporary, output->path);
    }
    if (number == EEXIST && !output->replace) {
        return fail(output, INGOT_EXISTS, INGOT_NO_OFFSET, "the target exists", 0, error);
    }
    if (number) return fail_system(output, "cannot give the finished file its name", number, error);
    output->finished = true;
    return INGOT_OK;
}

static ingot_status file_finish(struct output *output, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    int number = sync_descriptor(output->descriptor);
    if (number) return fail_system(output, "cannot sync", number, error);
    /* Some file systems do not rename a file that is open. The mark does not count as open, and
     * tells the temporary name as long as there is one. */
    const int mark = open(output->temporary, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    const int descriptor = output->descriptor;
    output->descriptor = -1;
    if (close(descriptor) != 0 && errno != EINTR) {
        status = fail_system(output, "cannot close", errno, error);
        goto done;
    }
    status = give_name(output, error);
    if (status != INGOT_OK) goto done;
    number = sync_folder(output);
    if (number) {
        status = fail_system(output, "it is whole, but its folder cannot be synced", number, error);
    }
done:
    if (mark >= 0) (void)close(mark);
    return status;
}

static void file_abandon(struct output *output)
{
    if (output->temporary && !output->finished) (void)unlink(output->temporary);
    if (output->descriptor >= 0) (void)close(output->descriptor);
}

/* Standard output may be a file, too. */
static ingot_status pipe_finish(struct output *output, ingot_error *error)
{
    const int number = sync_descriptor(output->descriptor);
    return number ? fail_system(output, "cannot sync", number, error) : INGOT_OK;
}

static ingot_status memory_write(struct output *output, const void *bytes, uint64_t n_bytes,
                                 ingot_error *error)
{
    buffer_append(output->memory, bytes, n_bytes);
    if (output->memory->failed) return ingot_fail_memory(error, n_bytes, "output");
    output->offset += n_bytes;
    return INGOT_OK;
}

static ingot_status memory_finish(struct output *output, ingot_error *error)
{
    (void)output;
    (void)error;
    return INGOT_OK;
}

static void nothing_to_abandon(struct output *output)
{
    (void)output;
}

static const struct output_kind file_kind = {descriptor_write, file_finish, file_abandon};
static const struct output_kind pipe_kind = {descriptor_write, pipe_finish, nothing_to_abandon};
static const struct output_kind memory_kind = {memory_write, memory_finish, nothing_to_abandon};

static struct output *new_output(const struct output_kind *kind, const ingot_allocator *allocator)
{
    struct output *output = ingot_allocate_zeroed(allocator, 1, sizeof *output);
    if (output == NULL) return NULL;
    output->kind = kind;
    output->allocator = allocator;
    output->descriptor = -1;
    return output;
}

/* How much of a path may stand before the ending of its temporary name, which has to fit as well:
 * all of it, unless its last part is about as long as a name may be. */
static size_t kept_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t n_bytes = strlen(name);
    if (n_bytes > NAME_BYTES - ENDING_BYTES) {
        n_bytes = NAME_BYTES - ENDING_BYTES;
        while (n_bytes > 0 && (name[n_bytes] & 0xc0) == 0x80) n_bytes--; /* whole UTF-8 */
    }
    return (size_t)(name - path) + n_bytes;
}

/* Opens PATH.PID.N.tmp, the first that does not exist. */
static ingot_status open_temporary(struct output *output, ingot_error *error)
{
    const size_t n_kept = kept_bytes(output->path);
    const size_t n_bytes = n_kept + ENDING_BYTES + 1;
    output->temporary = ingot_allocate(output->allocator, n_bytes);
    if (output->temporary == NULL) return ingot_fail_memory(error, n_bytes, "temporary name");
    memcpy(output->temporary, output->path, n_kept);
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        snprintf(output->temporary + n_kept, n_bytes - n_kept, ".%ld.%u.tmp", (long)getpid(),
                 attempt);
        output->descriptor = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (output->descriptor >= 0) return INGOT_OK;
        if (errno != EEXIST) break;
    }
    const ingot_status status =
        fail_system(output, "cannot create a file in its folder", errno, error);
    ingot_release(output->allocator, output->temporary);
    output->temporary = NULL;
    return status;
}

/* What is there under the target's name, if anything. A symbolic link is neither followed, which
 * could lead anywhere, nor replaced, which would lose it. */
static ingot_status check_target(const struct output *output, ingot_error *error)
{
    struct stat found;
    const char *what = NULL;
    if (output->path[0] == '\0') {
        return fail(output, INGOT_REFUSED, INGOT_NO_OFFSET, "the target has no name", 0, error);
    }
    if (lstat(output->path, &found) != 0) return INGOT_OK;
    if (S_ISDIR(found.st_mode)) {
        what = "the target is a folder";
    } else if (S_ISLNK(found.st_mode)) {
        what = "the target is a symbolic link: give the name it points to";
    } else if (!S_ISREG(found.st_mode)) {
        what = "the target is not a regular file";
    }
    if (what) return fail(output, INGOT_REFUSED, INGOT_NO_OFFSET, what, 0, error);
    if (output->replace) return INGOT_OK;
    return fail(output, INGOT_EXISTS, INGOT_NO_OFFSET, "the target exists", 0, error);
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
    if (o->path == NULL) {
        status = ingot_fail_memory(error, strlen(path) + 1, "output name");
        goto done;
    }
    strcpy(o->path, path);
    status = check_target(o, error);
    if (status == INGOT_OK) status = open_temporary(o, error);
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
    ingot_release(output->allocator, output->path);
    ingot_release(output->allocator, output);
}

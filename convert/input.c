/* Files that are read from. Knows the system's calls and nothing of formats. */
#include "convert/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

struct input {
    const ingot_allocator *allocator;
    char *path;
    char *name;
    int descriptor; /* -1: opened for each read */
    struct stat at_open;
    uint64_t n_bytes;
    struct byte_source bytes; /* of an input over somebody else's bytes; read is NULL in others */
};

static ingot_status fail_system(const char *name, const char *doing, ingot_error *error)
{
    const ingot_status status = errno == ENOENT ? INGOT_NOT_FOUND : INGOT_IO;
    return ingot_fail(error, status, INGOT_NO_OFFSET, name, "%s: %s", doing, strerror(errno));
}

/* Opens a regular file. O_NONBLOCK keeps a named pipe from holding us up before it is refused. */
static ingot_status open_regular(const char *path, const char *name, int flags, int *descriptor,
                                 struct stat *found, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    struct stat s;
    const int d = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (d < 0) return fail_system(name, "cannot open", error);
    if (fstat(d, &s) != 0) {
        status = fail_system(name, "cannot look at it", error);
    } else if (!S_ISREG(s.st_mode)) {
        status = ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name, "not a regular file");
    }
    if (status != INGOT_OK) {
        (void)close(d);
        return status;
    }
    *descriptor = d;
    *found = s;
    return INGOT_OK;
}

static char *copy_text(const char *text, const ingot_allocator *allocator)
{
    char *copy = ingot_allocate(allocator, strlen(text) + 1);
    if (copy) strcpy(copy, text);
    return copy;
}

static ingot_status new_input(const char *path, const char *name, int flags,
                              const ingot_allocator *allocator, struct input **input,
                              ingot_error *error)
{
    ingot_status status = INGOT_OK;
    struct input *in = ingot_allocate_zeroed(allocator, 1, sizeof *in);
    if (in == NULL) return ingot_fail_memory(error, sizeof *in, "input");
    in->allocator = allocator;
    in->descriptor = -1;
    in->path = copy_text(path, allocator);
    in->name = copy_text(name, allocator);
    if (in->path == NULL || in->name == NULL) {
        status = ingot_fail_memory(error, strlen(path) + strlen(name) + 2, "input name");
        goto done;
    }
    status = open_regular(path, name, flags, &in->descriptor, &in->at_open, error);
    in->n_bytes = (uint64_t)in->at_open.st_size;
done:
    if (status != INGOT_OK) {
        input_close(in);
        return status;
    }
    *input = in;
    return INGOT_OK;
}

ingot_status input_open(const char *path, const char *name, const ingot_allocator *allocator,
                        struct input **input, ingot_error *error)
{
    return new_input(path, name, 0, allocator, input, error);
}

ingot_status input_note(const char *path, const char *name, const ingot_allocator *allocator,
                        struct input **input, ingot_error *error)
{
    const ingot_status status = new_input(path, name, O_NOFOLLOW, allocator, input, error);
    if (status != INGOT_OK) return status;
    (void)close((*input)->descriptor);
    (*input)->descriptor = -1;
    return INGOT_OK;
}

ingot_status input_over(const struct byte_source *bytes, uint64_t n_bytes, const char *name,
                        const ingot_allocator *allocator, struct input **input, ingot_error *error)
{
    struct input *in = ingot_allocate_zeroed(allocator, 1, sizeof *in);
    if (in == NULL) return ingot_fail_memory(error, sizeof *in, "input");
    *in = (struct input){
        .allocator = allocator, .descriptor = -1, .n_bytes = n_bytes, .bytes = *bytes};
    in->name = copy_text(name, allocator);
    if (in->name == NULL) {
        input_close(in);
        return ingot_fail_memory(error, strlen(name) + 1, "input name");
    }
    *input = in;
    return INGOT_OK;
}

void input_close(struct input *input)
{
    if (input == NULL) return;
    if (input->descriptor >= 0) (void)close(input->descriptor);
    ingot_release(input->allocator, input->name);
    ingot_release(input->allocator, input->path);
    ingot_release(input->allocator, input);
}

const char *input_name(const struct input *input)
{
    return input->name;
}

uint64_t input_bytes(const struct input *input)
{
    return input->n_bytes;
}

static ingot_status check_same(const struct input *input, const struct stat *now,
                               ingot_error *error)
{
    const struct stat *then = &input->at_open;
    const char *what = NULL;
    if (now->st_dev != then->st_dev || now->st_ino != then->st_ino) {
        what = "it was replaced";
    } else if (now->st_size != then->st_size) {
        what = "its size changed";
    } else if (now->st_mtim.tv_sec != then->st_mtim.tv_sec ||
               now->st_mtim.tv_nsec != then->st_mtim.tv_nsec) {
        what = "it was written to";
    }
    if (what == NULL) return INGOT_OK;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, input->name,
                      "the source changed while it was read: %s", what);
}

static ingot_status read_from(const struct input *input, int descriptor, uint64_t offset,
                              uint64_t n_bytes, uint8_t *dst, ingot_error *error)
{
    while (n_bytes > 0) {
        const size_t part = (size_t)min_u64(n_bytes, 1u << 30);
        const ssize_t n = pread(descriptor, dst, part, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_system(input->name, "cannot read", error);
        if (n == 0) {
            return ingot_fail(error, INGOT_REFUSED, offset, input->name,
                              "the source changed while it was read: it ends here");
        }
        dst += n;
        offset += (uint64_t)n;
        n_bytes -= (uint64_t)n;
    }
    return INGOT_OK;
}

ingot_status input_read(const struct input *input, uint64_t offset, uint64_t n_bytes, void *dst,
                        ingot_error *error)
{
    struct stat now;
    int descriptor;
    if (!range_within(offset, n_bytes, input_bytes(input))) {
        return ingot_fail(error, INGOT_INVALID, offset, input->name,
                          "%llu bytes are wanted from here, past its end",
                          (unsigned long long)n_bytes);
    }
    if (input->bytes.read) {
        return input->bytes.read(input->bytes.context, offset, n_bytes, dst, error);
    }
    if (input->descriptor >= 0) {
        return read_from(input, input->descriptor, offset, n_bytes, dst, error);
    }
    ingot_status status =
        open_regular(input->path, input->name, O_NOFOLLOW, &descriptor, &now, error);
    if (status != INGOT_OK) return status;
    status = check_same(input, &now, error);
    if (status == INGOT_OK) status = read_from(input, descriptor, offset, n_bytes, dst, error);
    (void)close(descriptor);
    return status;
}

ingot_status input_unchanged(const struct input *input, ingot_error *error)
{
    struct stat now;
    if (input->bytes.read) return INGOT_OK;
    if (stat(input->path, &now) != 0) return fail_system(input->name, "cannot look at it", error);
    return check_same(input, &now, error);
}

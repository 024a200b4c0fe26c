/* A library that is loaded before all others (LD_PRELOAD) and makes chosen system calls of a
 * program fail, fall short, or wait. Calls are counted, from 1 on, when their file is in the folder
 * $INGOT_FAULT_FOLDER or below it; standard output counts when it goes to such a file.
 *
 * $INGOT_FAULTS is WHICH:WHAT,WHICH:WHAT... WHICH is the number of a call, or a name for each call
 * of that name. WHAT is an error that the call then fails with, without having done anything but
 * close, or one of
 *
 *     short    reads or writes 1 byte
 *     half     reads or writes half of the bytes
 *     stop     stops the process (SIGSTOP) before the call
 *
 * $INGOT_FAULT_LOG is a file that gets a line a call: NAME PATH. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

/* What is to happen to one call. */
struct fault {
    int number; /* of the error it fails with; 0: it is made */
    bool is_short;
    bool half;
};

static const struct {
    const char *name;
    int number;
} errors[] = {
    {"EACCES", EACCES}, {"EEXIST", EEXIST}, {"EINTR", EINTR},   {"EINVAL", EINVAL},
    {"EIO", EIO},       {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}, {"ENOSPC", ENOSPC},
    {"ENOSYS", ENOSYS}, {"EPERM", EPERM},
};

static void do_what(const char *what, size_t n_bytes, struct fault *fault)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (strncmp(what, errors[i].name, n_bytes) == 0 && errors[i].name[n_bytes] == '\0') {
            fault->number = errors[i].number;
            return;
        }
    }
    if (n_bytes == 5 && memcmp(what, "short", 5) == 0) fault->is_short = true;
    if (n_bytes == 4 && memcmp(what, "half", 4) == 0) fault->half = true;
    if (n_bytes == 4 && memcmp(what, "stop", 4) == 0) (void)raise(SIGSTOP);
}

static bool is_under_folder(const char *path)
{
    const char *folder = getenv("INGOT_FAULT_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static void log_call(const char *call, const char *path)
{
    char line[PATH_BYTES + 64];
    const char *log = getenv("INGOT_FAULT_LOG");
    if (log == NULL) return;
    const int n = snprintf(line, sizeof line, "%s %s\n", call, path);
    const int to = openat(AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (to < 0 || syscall(SYS_write, to, line, (size_t)n) != n) abort();
    (void)syscall(SYS_close, to);
}

/* Counts a call, and finds what is to happen to it. */
static struct fault count(const char *call, const char *path)
{
    static atomic_uint n_calls;
    struct fault fault = {0};
    char number[16];
    snprintf(number, sizeof number, "%u", atomic_fetch_add(&n_calls, 1) + 1);
    log_call(call, path);
    const char *at = getenv("INGOT_FAULTS");
    while (at && *at) {
        const size_t n_which = strcspn(at, ":");
        const char *what = at + n_which + (at[n_which] == ':');
        const size_t n_what = strcspn(what, ",");
        const bool numbered = strlen(number) == n_which && memcmp(at, number, n_which) == 0;
        const bool named = strlen(call) == n_which && memcmp(at, call, n_which) == 0;
        if (numbered || named) do_what(what, n_what, &fault);
        at = what + n_what + (what[n_what] == ',');
    }
    return fault;
}

static struct fault begin(const char *call, const char *path)
{
    if (path[0] == '/' && !is_under_folder(path)) return (struct fault){0};
    return count(call, path);
}

static struct fault begin_descriptor(const char *call, int descriptor)
{
    char link[64];
    char path[PATH_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return is_under_folder(path) ? count(call, path) : (struct fault){0};
}

static size_t cut(struct fault fault, size_t n_bytes)
{
    if (fault.is_short && n_bytes > 1) return 1;
    return fault.half && n_bytes > 1 ? n_bytes / 2 : n_bytes;
}

/* Ends a call that returned `result`, or was not made. */
static long end(struct fault fault, long result)
{
    if (fault.number == 0) return result;
    errno = fault.number;
    return -1;
}

/* ------------------------------------------------------------------ the calls */

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    const struct fault fault = begin("open", path);
    return (int)end(fault, fault.number ? -1 : openat(AT_FDCWD, path, flags, mode));
}

int close(int descriptor)
{
    /* Descriptors are closed even when that fails. */
    const struct fault fault = begin_descriptor("close", descriptor);
    return (int)end(fault, syscall(SYS_close, descriptor));
}

ssize_t pread(int descriptor, void *dst, size_t n_bytes, off_t offset)
{
    const struct fault fault = begin_descriptor("pread", descriptor);
    const struct iovec part = {dst, cut(fault, n_bytes)};
    return end(fault, fault.number ? -1 : preadv(descriptor, &part, 1, offset));
}

ssize_t read(int descriptor, void *dst, size_t n_bytes)
{
    const struct fault fault = begin_descriptor("read", descriptor);
    const struct iovec part = {dst, cut(fault, n_bytes)};
    return end(fault, fault.number ? -1 : readv(descriptor, &part, 1));
}

ssize_t write(int descriptor, const void *bytes, size_t n_bytes)
{
    const struct fault fault = begin_descriptor("write", descriptor);
    const struct iovec part = {(void *)(uintptr_t)bytes, cut(fault, n_bytes)};
    return end(fault, fault.number ? -1 : writev(descriptor, &part, 1));
}

void *mmap(void *at, size_t n_bytes, int protection, int flags, int descriptor, off_t offset)
{
    struct fault fault = {0};
    if (descriptor >= 0) fault = begin_descriptor("mmap", descriptor);
    if (fault.number == 0) {
        const long result = syscall(SYS_mmap, at, n_bytes, protection, flags, descriptor, offset);
        return (void *)end(fault, result);
    }
    (void)end(fault, -1);
    return MAP_FAILED;
}

int fsync(int descriptor)
{
    const struct fault fault = begin_descriptor("fsync", descriptor);
    return (int)end(fault, fault.number ? -1 : syscall(SYS_fsync, descriptor));
}

int stat(const char *path, struct stat *found)
{
    const struct fault fault = begin("stat", path);
    return (int)end(fault, fault.number ? -1 : fstatat(AT_FDCWD, path, found, 0));
}

int lstat(const char *path, struct stat *found)
{
    const struct fault fault = begin("lstat", path);
    return (int)end(fault, fault.number ? -1 : fstatat(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW));
}

int fstat(int descriptor, struct stat *found)
{
    const struct fault fault = begin_descriptor("fstat", descriptor);
    return (int)end(fault, fault.number ? -1 : fstatat(descriptor, "", found, AT_EMPTY_PATH));
}

int mkdir(const char *path, mode_t mode)
{
    const struct fault fault = begin("mkdir", path);
    return (int)end(fault, fault.number ? -1 : mkdirat(AT_FDCWD, path, mode));
}

int rename(const char *from, const char *to)
{
    const struct fault fault = begin("rename", from);
    return (int)end(fault, fault.number ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to));
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    const struct fault fault = begin("renameat2", from);
    return (int)end(
        fault, fault.number ? -1 : syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

int link(const char *from, const char *to)
{
    const struct fault fault = begin("link", from);
    return (int)end(fault, fault.number ? -1 : linkat(AT_FDCWD, from, AT_FDCWD, to, 0));
}

int unlink(const char *path)
{
    const struct fault fault = begin("unlink", path);
    return (int)end(fault, fault.number ? -1 : unlinkat(AT_FDCWD, path, 0));
}

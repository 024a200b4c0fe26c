/* Signals that end the command: what it has not finished writing is removed first. There is no list
 * of unfinished files here that could be wrong at the wrong moment: the kernel has one, the names
 * of the open descriptors. Handlers call only what is safe in them. */
#include "cli/signals.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/report.h"

enum { MAX_DESCRIPTORS = 16384, NUMBER_BYTES = 24 };

/* Writes n in decimal and a zero byte. Returns where that is. */
static char *put_number(char *at, long n)
{
    char digits[NUMBER_BYTES];
    int n_digits = 0;
    do {
        digits[n_digits++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    while (n_digits > 0) *at++ = digits[--n_digits];
    *at = '\0';
    return at;
}

/* Whether a path ends as the names of unfinished outputs of this process do: .PID.N.tmp */
static bool is_temporary(const char *path)
{
    char pid[NUMBER_BYTES + 2] = ".";
    strcpy(put_number(pid + 1, (long)getpid()), ".");
    const size_t n_pid = strlen(pid);
    for (const char *at = strstr(path, pid); at; at = strstr(at + 1, pid)) {
        const char *rest = at + n_pid;
        const size_t n_digits = strspn(rest, "0123456789");
        if (n_digits > 0 && strcmp(rest + n_digits, ".tmp") == 0) return true;
    }
    return false;
}

/* Sources are open for reading only; unfinished outputs are not (see format/output.h). */
static void remove_unfinished(void)
{
    static const char folder[] = "/proc/self/fd/";
    char link[sizeof folder + NUMBER_BYTES];
    char path[PATH_MAX + 1];
    memcpy(link, folder, sizeof folder);
    for (int descriptor = STDERR_FILENO + 1; descriptor < MAX_DESCRIPTORS; descriptor++) {
        const int flags = fcntl(descriptor, F_GETFL);
        if (flags < 0 || ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_PATH))) continue;
        put_number(link + sizeof folder - 1, descriptor);
        const ssize_t n = readlink(link, path, sizeof path - 1);
        if (n <= 0) continue;
        path[n] = '\0';
        if (is_temporary(path)) (void)unlink(path);
    }
}

/* Outputs are opened by the first thread alone, so that nothing new appears while it looks for
 * them. A library's own threads block no signals and may be asked in its place: they pass it on.
 * Afterwards the signal does what it always does: the caller sees what ended us. */
static void end(int number)
{
    const pid_t process = getpid();
    if (syscall(SYS_gettid) != process) {
        (void)syscall(SYS_tgkill, process, process, number);
        return;
    }
    remove_unfinished();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* ------------------------------------------------------------------ mapped files */

static uintptr_t hex_number(const char **at)
{
    static const char digits[] = "0123456789abcdef";
    uintptr_t n = 0;
    for (; **at && strchr(digits, **at); (*at)++) {
        n = n * 16 + (uintptr_t)(strchr(digits, **at) - digits);
    }
    return n;
}

/* Reads a line, cut to its space. false: there is none. */
static bool read_line(int descriptor, char *line, size_t space)
{
    size_t n = 0;
    char c = '\0';
    while (read(descriptor, &c, 1) == 1 && c != '\n') {
        if (n + 1 < space) line[n++] = c;
    }
    line[n] = '\0';
    return c == '\n';
}

static void say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

/* Says which file is mapped at `address`: lines are "BEGIN-END ... /PATH". */
static void say_mapped_file(uintptr_t address)
{
    char line[PATH_MAX + 128];
    const int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (maps >= 0 && read_line(maps, line, sizeof line)) {
        const char *at = line;
        const uintptr_t begin = hex_number(&at);
        if (*at) at++;
        const uintptr_t end_address = hex_number(&at);
        char *path = strchr(line, '/');
        if (address < begin || address >= end_address || path == NULL) continue;
        for (char *c = path; *c; c++) *c = (unsigned char)*c < 32 || *c == 127 ? '?' : *c;
        say(path);
        say(": ");
        break;
    }
}

/* A file became shorter while it was mapped, or its disk failed. */
static void end_unreadable(int number, siginfo_t *info, void *context)
{
    static atomic_flag taken = ATOMIC_FLAG_INIT;
    (void)number;
    (void)context;
    /* Several threads may meet the end of the file at once: one tells. */
    while (atomic_flag_test_and_set(&taken)) (void)pause();
    remove_unfinished();
    say("ingot: ");
    say_mapped_file((uintptr_t)info->si_addr);
    say("it can no longer be read: it became shorter, or its disk failed\n");
    _exit(EXITS_SYSTEM);
}

/* ------------------------------------------------------------------ */

void signals_prepare(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = end, .sa_flags = (int)SA_RESTART};
    struct sigaction before;
    (void)sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        /* What the caller has ignored, as nohup does, stays so. */
        const bool known = sigaction(ending[i], NULL, &before) == 0;
        if (known && before.sa_handler != SIG_IGN) (void)sigaction(ending[i], &action, NULL);
    }
    struct sigaction unreadable = {.sa_sigaction = end_unreadable, .sa_flags = (int)SA_SIGINFO};
    (void)sigfillset(&unreadable.sa_mask);
    (void)sigaction(SIGBUS, &unreadable, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
}

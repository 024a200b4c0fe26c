/* Runs the command in a process of its own. */
#include "tests/support/unit.h"

#include "tests/support/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORDS = 16, STATUS_NO_START = 126 };

/* Whatever the test's own caller has ignored, as shells do for what runs in the background. */
static void set_signals(int ignored)
{
    static const int numbers[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        (void)signal(numbers[i], numbers[i] == ignored ? SIG_IGN : SIG_DFL);
    }
}

/* In the new process. */
static void become(const struct command *command, int messages_to)
{
    char *words[MAX_WORDS + 2] = {(char *)(uintptr_t)command->ingot};
    const char *output = command->output ? command->output : "/dev/null";
    const int output_to = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    const int input_from = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (dup2(input_from, STDIN_FILENO) < 0 || dup2(output_to, STDOUT_FILENO) < 0 ||
        dup2(messages_to, STDERR_FILENO) < 0) {
        _exit(STATUS_NO_START);
    }
    for (size_t i = 0; command->words[i]; i++) words[i + 1] = (char *)(uintptr_t)command->words[i];
    for (size_t i = 0; command->environment && command->environment[i]; i++) {
        (void)putenv((char *)(uintptr_t)command->environment[i]);
    }
    set_signals(command->ignored);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)execv(command->ingot, words);
    _exit(STATUS_NO_START);
}

void command_start(const struct command *command, struct run *run)
{
    int ends[2];
    size_t n_words = 0;
    while (command->words[n_words]) n_words++;
    assert_true(n_words <= MAX_WORDS);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *run = (struct run){.messages_from = ends[0]};
    run->process = fork();
    assert_true(run->process >= 0);
    if (run->process == 0) become(command, ends[1]);
    (void)close(ends[1]);
}

static void take_messages(struct run *run)
{
    size_t n_bytes = 0;
    ssize_t n = 1;
    while (n > 0 && n_bytes + 1 < sizeof run->messages) {
        n = read(run->messages_from, run->messages + n_bytes, sizeof run->messages - 1 - n_bytes);
        if (n > 0) n_bytes += (size_t)n;
    }
    run->messages[n_bytes] = '\0';
    (void)close(run->messages_from);
}

void command_wait(struct run *run)
{
    int status;
    pid_t ended;
    do {
        ended = waitpid(run->process, &status, WUNTRACED);
    } while (ended < 0 && errno == EINTR);
    assert_int_equal(ended, run->process);
    if (WIFSTOPPED(status)) {
        run->state = RUN_STOPPED;
        return;
    }
    run->state = WIFEXITED(status) ? RUN_EXITED : RUN_KILLED;
    run->status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    take_messages(run);
    if (run->state == RUN_EXITED && run->status == STATUS_NO_START) fail_msg("cannot be started");
}

void command_signal(const struct run *run, int number)
{
    assert_int_equal(kill(run->process, number), 0);
}

void command_run(const struct command *command, struct run *run)
{
    command_start(command, run);
    command_wait(run);
}

/* The command, $INGOT, as a process that a test may stop, continue and kill. What cannot be done
 * fails the test. */
#ifndef INGOT_TESTS_SUPPORT_COMMAND_H
#define INGOT_TESTS_SUPPORT_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

/* Paths are absolute, or of the folder that the test is in. */
struct command {
    const char *ingot;              /* the program */
    const char *const *words;       /* after the program's name; ends with NULL */
    const char *const *environment; /* NAME=VALUE to add; ends with NULL */
    const char *output;             /* the file that standard output goes to; NULL: nowhere */
    int ignored;                    /* a signal that it is started to ignore, or 0 */
};

enum run_state { RUN_STOPPED, RUN_EXITED, RUN_KILLED };

struct run {
    pid_t process;
    int messages_from;
    enum run_state state; /* by the last command_wait */
    int status;           /* the exit status, or the signal's number */
    char messages[2048];  /* what it wrote on stderr, cut; filled when it has ended */
};

/* Starts the command. It ends with the test. */
void command_start(const struct command *command, struct run *run);
/* Waits until the process stops or ends. */
void command_wait(struct run *run);
/* Sends a signal to the process, which has not ended. */
void command_signal(const struct run *run, int number);
/* Runs the command to its end. */
void command_run(const struct command *command, struct run *run);

#endif

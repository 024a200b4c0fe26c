/* The command is killed: at random moments, before each of its system calls, and by
 * signals that ask it to end. Under a final name there is what was there, or the whole file. */
#include "tests/faults/scenes.h"

#include <time.h>

enum {
    N_KILLS = 200,
    N_BEFORE_NAMED = 150, /* of them, so many before the file had its name */
    N_WHILE_WRITING = 80, /* and so many while there was a temporary file */
    N_RESTORE_KILLS = 60,
    N_REQUESTS = 40, /* to end */
    MAX_ATTEMPTS = 2000,
    N_SHARDS = 8,
    SHARD_MATRICES = 32
};

static const struct scene convert[2] = {
    {.name = "convert", .words = {"convert", "big", "-o", "out/big.ingot", "-q"}},
    {.name = "convert --force",
     .words = {"convert", "big", "-o", "out/big.ingot", "-q", "--force"},
     .old_files = {"big.ingot"}},
};

static const struct scene restore[2] = {
    {.name = "restore", .words = {"restore", "big.ingot", "-o", "out/again", "-q"}},
    {.name = "restore --force",
     .words = {"restore", "big.ingot", "-o", "out/again", "-q", "--force"},
     .old_files = {"again/s1.safetensors", "again/s6.safetensors", "again/config.json"}},
};

/* ------------------------------------------------------------------ at random moments */

static double seconds_now(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void sleep_seconds(double seconds)
{
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) != 0) continue;
}

/* The scenes at full speed, without the shim. */
static void start_undisturbed(const struct faults *f, const struct scene *scene, struct run *run)
{
    const struct command command = {.ingot = f->ingot, .words = scene->words};
    scene_prepare(scene);
    command_start(&command, run);
}

/* Runs a scene to its end. Returns how long that took. */
static double run_whole(const struct faults *f, const struct scene *scene, struct tree *whole)
{
    struct run run;
    const double begin = seconds_now();
    start_undisturbed(f, scene, &run);
    command_wait(&run);
    const double seconds = seconds_now() - begin;
    if (run.state != RUN_EXITED || run.status != 0) fail_msg("%s: %s", scene->name, run.messages);
    *whole = tree_read("out");
    assert_int_equal(scene_judge(scene, whole, "undisturbed").n_whole, whole->n_files);
    return seconds;
}

struct tally {
    unsigned n_attempts;
    unsigned n_killed;
    unsigned n_before_named;  /* not every file had its name */
    unsigned n_while_writing; /* there was a temporary file */
};

/* Sends one run a signal after so many seconds. Returns whether it had ended by itself. */
static bool kill_once(const struct faults *f, const struct scene *scene, const struct tree *whole,
                      int number, double seconds, struct tally *tally)
{
    char when[64];
    struct run run;
    snprintf(when, sizeof when, "signal %d after %.6f s", number, seconds);
    start_undisturbed(f, scene, &run);
    sleep_seconds(seconds);
    command_signal(&run, number);
    command_wait(&run);
    const struct found found = scene_judge(scene, whole, when);
    if (number != SIGKILL && found.n_temporary) fail_msg("%s, %s: left a file", scene->name, when);
    tally->n_attempts++;
    if (run.state == RUN_EXITED) {
        if (run.status != 0) fail_msg("%s: %s", scene->name, run.messages);
        if (found.n_whole != whole->n_files || found.n_temporary)
            fail_msg("%s: %s", scene->name, when);
        return true;
    }
    assert_int_equal(run.status, number);
    tally->n_killed++;
    tally->n_before_named += found.n_whole < whole->n_files;
    tally->n_while_writing += found.n_temporary > 0;
    return false;
}

/* Kills until the tally holds at least as much as `wanted`. */
static void kill_often(const struct faults *f, const struct scene pair[2], int number,
                       const struct tally *wanted)
{
    struct tree whole;
    struct tally tally = {0};
    struct random random = {1};
    run_whole(f, &pair[0], &whole);
    tree_release(&whole);
    double seconds = run_whole(f, &pair[0], &whole);
    while (tally.n_killed < wanted->n_killed || tally.n_before_named < wanted->n_before_named ||
           tally.n_while_writing < wanted->n_while_writing) {
        const double part = (double)(random_bits(&random) >> 11) * 0x1p-53;
        const struct scene *scene = &pair[tally.n_attempts % 2];
        assert_true(tally.n_attempts < MAX_ATTEMPTS);
        /* The machine's speed changes: the moments follow it. */
        seconds *= kill_once(f, scene, &whole, number, seconds * part, &tally) ? 0.9 : 1.005;
    }
    print_message("%s: %u runs, %u killed: %u before all was named, %u while a file was written\n",
                  pair[0].name, tally.n_attempts, tally.n_killed, tally.n_before_named,
                  tally.n_while_writing);
    tree_release(&whole);
}

static void write_big_source(void)
{
    assert_int_equal(mkdir("big", 0777), 0);
    for (unsigned i = 0; i < N_SHARDS; i++) {
        char path[64];
        snprintf(path, sizeof path, "big/s%u.safetensors", i);
        write_source(path, 10 + i, SHARD_MATRICES);
    }
    file_write("big/config.json", "{}", 2);
}

static void test_convert_at_random(void **state)
{
    static const struct tally wanted = {
        .n_killed = N_KILLS, .n_before_named = N_BEFORE_NAMED, .n_while_writing = N_WHILE_WRITING};
    write_big_source();
    kill_often(*state, convert, SIGKILL, &wanted);
}

static void test_restore_at_random(void **state)
{
    static const struct tally wanted = {.n_killed = N_RESTORE_KILLS,
                                        .n_before_named = N_RESTORE_KILLS / 2,
                                        .n_while_writing = N_RESTORE_KILLS / 6};
    make_target(*state, "convert", "big", "big.ingot");
    kill_often(*state, restore, SIGKILL, &wanted);
}

/* With all its threads. */
static void test_requests_at_random(void **state)
{
    static const struct tally wanted = {.n_killed = N_REQUESTS};
    kill_often(*state, convert, SIGTERM, &wanted);
    kill_often(*state, restore, SIGINT, &wanted);
}

/* ------------------------------------------------------------------ at every call */

/* Whether a call may change what a killed run leaves. */
static bool is_of_target(const struct fault_call *call)
{
    return strncmp(call->path, "out", 3) == 0 || strstr(call->path, "/out");
}

static void test_kill_at_each_call(void **state)
{
    const struct faults *f = *state;
    for (size_t i = 0; i < N_SCENES; i++) {
        const struct scene *scene = &scenes[i];
        struct fault_log log;
        struct tree whole;
        scene_log(f, scene, &log, &whole);
        for (unsigned k = 1; k <= log.n_calls; k++) {
            char when[64];
            struct run run;
            if (!is_of_target(&log.calls[k - 1])) continue;
            snprintf(when, sizeof when, "killed at call %u, %s", k, log.calls[k - 1].name);
            scene_run_to(f, scene, k, &run);
            command_signal(&run, SIGKILL);
            command_wait(&run);
            assert_int_equal(run.state, RUN_KILLED);
            scene_judge(scene, &whole, when);
        }
        tree_release(&whole);
    }
}

/* Asked to end, the command ends by that signal and leaves no temporary file. */
static void test_signals(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    const struct faults *f = *state;
    for (size_t i = 0; i < N_SCENES; i++) {
        const struct scene *scene = &scenes[i];
        struct fault_log log;
        struct tree whole;
        scene_log(f, scene, &log, &whole);
        for (unsigned k = 1; k <= log.n_calls; k++) {
            const int number = signals[k % 4];
            char when[64];
            struct run run;
            if (!is_of_target(&log.calls[k - 1])) continue;
            snprintf(when, sizeof when, "signal %d at call %u, %s", number, k,
                     log.calls[k - 1].name);
            scene_run_to(f, scene, k, &run);
            command_signal(&run, number);
            command_signal(&run, SIGCONT);
            command_wait(&run);
            if (run.state != RUN_KILLED || run.status != number) {
                fail_msg("%s, %s: %d", scene->name, when, run.status);
            }
            const struct found found = scene_judge(scene, &whole, when);
            if (found.n_temporary) fail_msg("%s, %s: left a file", scene->name, when);
        }
        tree_release(&whole);
    }
}

/* What the caller has ignored stays so, as for nohup. */
static void test_ignored_signal(void **state)
{
    const struct faults *f = *state;
    struct scene scene = scenes[SCENE_CONVERT];
    struct fault_log log;
    struct tree whole;
    struct run run;
    scene.ignored = SIGHUP;
    scene_log(f, &scene, &log, &whole);
    scene_run_to(f, &scene, log.n_calls / 2, &run);
    command_signal(&run, SIGHUP);
    command_signal(&run, SIGCONT);
    command_wait(&run);
    assert_int_equal(run.state, RUN_EXITED);
    assert_int_equal(run.status, 0);
    assert_int_equal(scene_judge(&scene, &whole, "SIGHUP ignored").n_whole, 1);
    tree_release(&whole);
}

/* What a killed run left behind is no hindrance to the next. */
static void test_after_a_kill(void **state)
{
    const struct faults *f = *state;
    struct fault_log log;
    struct tree whole;
    struct run run;
    unsigned k = 1;
    scene_log(f, &scenes[SCENE_CONVERT], &log, &whole);
    while (k < log.n_calls && strcmp(log.calls[k - 1].name, "fsync") != 0) k++;
    scene_run_to(f, &scenes[SCENE_CONVERT], k, &run);
    command_signal(&run, SIGKILL);
    command_wait(&run);
    assert_int_equal(scene_judge(&scenes[SCENE_CONVERT], &whole, "killed").n_temporary, 1);
    scene_start(f, &scenes[SCENE_CONVERT], NULL, &run);
    command_wait(&run);
    assert_int_equal(run.state, RUN_EXITED);
    assert_int_equal(run.status, 0);
    const struct found found = scene_judge(&scenes[SCENE_CONVERT], &whole, "run again");
    assert_int_equal(found.n_whole, 1);
    assert_int_equal(found.n_temporary, 1);
    tree_release(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convert_at_random),
        cmocka_unit_test(test_restore_at_random),
        cmocka_unit_test(test_requests_at_random),
        cmocka_unit_test(test_kill_at_each_call),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_ignored_signal),
        cmocka_unit_test(test_after_a_kill),
    };
    return cmocka_run_group_tests(tests, faults_begin, faults_end);
}

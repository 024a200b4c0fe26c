/* Each system call of a run fails in each way it can, or reads and writes less than it was asked
 * to: the command ends well and leaves what it leaves undisturbed, or it says what failed and
 * leaves nothing. */
#include "tests/faults/scenes.h"

enum outcome { EITHER, DONE, FAILED };

/* How a call may fail, and what is to come of it. */
static const struct way {
    const char *call;
    const char *what;
    enum outcome outcome;
    bool of_temporary;   /* only of temporary files is the outcome certain */
    bool of_every_third; /* calls of this kind are many and begun again in one place */
} ways[] = {
    {"open", "EIO", EITHER, false, false},         {"open", "EMFILE", EITHER, false, false},
    {"stat", "EIO", EITHER, false, false},         {"lstat", "EACCES", EITHER, false, false},
    {"fstat", "EIO", EITHER, false, false},        {"read", "EIO", FAILED, false, false},
    {"read", "EINTR", DONE, false, true},          {"read", "short", DONE, false, true},
    {"pread", "EIO", FAILED, false, false},        {"pread", "EINTR", DONE, false, true},
    {"pread", "short", DONE, false, true},         {"mmap", "EIO", FAILED, false, false},
    {"mmap", "ENOMEM", FAILED, false, false},      {"write", "EIO", FAILED, false, false},
    {"write", "ENOSPC", FAILED, false, false},     {"write", "EINTR", DONE, false, true},
    {"write", "short", DONE, false, true},         {"write", "half", DONE, false, false},
    {"fsync", "EIO", FAILED, false, false},        {"fsync", "ENOSPC", FAILED, false, false},
    {"fsync", "EINTR", DONE, false, false},        {"close", "EIO", FAILED, true, false},
    {"close", "EINTR", DONE, false, true},         {"mkdir", "ENOSPC", FAILED, false, false},
    {"rename", "EIO", FAILED, false, false},       {"rename", "ENOSPC", FAILED, false, false},
    {"rename", "EINTR", FAILED, false, false},     {"renameat2", "EIO", FAILED, false, false},
    {"renameat2", "ENOSPC", FAILED, false, false}, {"renameat2", "EINVAL", DONE, false, false},
    {"renameat2", "ENOSYS", DONE, false, false},   {"renameat2", "EPERM", DONE, false, false},
    {"unlink", "EIO", EITHER, false, false},
};

/* A message names the source, a file of it, or the target. */
static bool names_file(const struct scene *scene, const char *messages)
{
    static const char *const parts[] = {"a.safetensors", "b.safetensors", "config.json",
                                        "sub/notes.txt"};
    bool named = strstr(messages, scene->words[1]) || strstr(messages, scene->words[3]);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        named = named || strstr(messages, parts[i]);
    }
    return named && strncmp(messages, "ingot: ", 7) == 0;
}

static bool is_target(const char *path)
{
    return strncmp(path, "out/", 4) == 0;
}

static void check_run(const struct scene *scene, const struct tree *whole, const struct run *run,
                      enum outcome outcome, const char *when)
{
    const struct found found = scene_judge(scene, whole, when);
    if (run->state != RUN_EXITED) fail_msg("%s, %s: signal %d", scene->name, when, run->status);
    if (run->status != 0 && run->status != 3) {
        fail_msg("%s, %s: exit status %d: %s", scene->name, when, run->status, run->messages);
    }
    if (found.n_temporary) fail_msg("%s, %s: a temporary file is left", scene->name, when);
    if (run->status == 0) {
        if (outcome == FAILED) fail_msg("%s, %s: went unnoticed", scene->name, when);
        if (found.n_whole != whole->n_files) fail_msg("%s, %s: files lack", scene->name, when);
    } else {
        if (outcome == DONE) fail_msg("%s, %s: %s", scene->name, when, run->messages);
        if (!names_file(scene, run->messages)) {
            fail_msg("%s, %s: the message names no file: %s", scene->name, when, run->messages);
        }
    }
}

static unsigned fail_call(const struct faults *f, const struct scene *scene,
                          const struct tree *whole, const struct fault_call *call, unsigned number)
{
    unsigned n_runs = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char faults[64];
        char when[320];
        struct run run;
        if (strcmp(call->name, ways[i].call) != 0) continue;
        if (ways[i].of_every_third && number % 3) continue;
        const bool certain = !ways[i].of_temporary || is_temporary_name(call->path);
        snprintf(faults, sizeof faults, "%u:%s", number, ways[i].what);
        snprintf(when, sizeof when, "%s (%s %s)", faults, call->name, call->path);
        scene_run(f, scene, faults, &run);
        check_run(scene, whole, &run, certain ? ways[i].outcome : EITHER, when);
        n_runs++;
    }
    return n_runs;
}

static void test_each_call(void **state)
{
    const struct faults *f = *state;
    for (size_t i = 0; i < N_SCENES; i++) {
        struct fault_log log;
        struct tree whole;
        unsigned n_runs = 0;
        scene_log(f, &scenes[i], &log, &whole);
        for (unsigned k = 0; k < log.n_calls; k++) {
            n_runs += fail_call(f, &scenes[i], &whole, &log.calls[k], k + 1);
        }
        print_message("%s: %u calls, %u runs\n", scenes[i].name, log.n_calls, n_runs);
        tree_release(&whole);
    }
}

/* Every call of a kind at once: a disk that takes a byte at a time, signals all the time, and
 * systems that know only the older ways to name a file. */
static void test_all_calls(void **state)
{
    static const struct {
        const char *faults;
        enum outcome outcome;
    } rows[] = {
        {"read:short,pread:half,write:half", DONE},
        {"renameat2:EINVAL,link:EPERM", DONE},
        {"renameat2:ENOSYS,link:ENOSYS", DONE},
        {"renameat2:EINVAL,link:EPERM,rename:EIO", EITHER},
        {"renameat2:EINVAL,link:EIO,rename:EACCES", EITHER},
        {"fsync:EINVAL", DONE},
        {"close:EINTR", DONE},
        {"write:ENOSPC", EITHER},
        {"pread:EIO", EITHER},
    };
    const struct faults *f = *state;
    for (size_t i = 0; i < N_SCENES; i++) {
        struct fault_log log;
        struct tree whole;
        scene_log(f, &scenes[i], &log, &whole);
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            struct run run;
            scene_run(f, &scenes[i], rows[k].faults, &run);
            check_run(&scenes[i], &whole, &run, rows[k].outcome, rows[k].faults);
        }
        tree_release(&whole);
    }
}

/* A file is synced before it gets its name, and its folder after that: what a power failure leaves
 * cannot be tried here. */
static void test_order(void **state)
{
    const struct faults *f = *state;
    for (size_t i = 0; i < N_SCENES; i++) {
        struct fault_log log;
        struct tree whole;
        unsigned n_named = 0;
        scene_log(f, &scenes[i], &log, &whole);
        for (unsigned k = 3; k < log.n_calls; k++) {
            const struct fault_call *calls = &log.calls[k];
            if (strncmp(calls->name, "rename", 6) != 0) continue;
            n_named++;
            /* fsync FILE, open FILE, close FILE, rename FILE; open FOLDER, fsync FOLDER */
            assert_string_equal(calls[-3].name, "fsync");
            assert_non_null(strstr(calls[-3].path, calls->path));
            assert_true(k + 2 < log.n_calls);
            assert_string_equal(calls[2].name, "fsync");
            assert_false(is_temporary_name(calls[2].path));
        }
        assert_int_equal(n_named, is_target(scenes[i].words[3]) ? whole.n_files : 0);
        tree_release(&whole);
    }
}

/* Where the kernel or the file system has no renameat2, a link gives the name: unlike a rename, it
 * cannot replace a file that appears at the last moment. */
static void test_link(void **state)
{
    const struct faults *f = *state;
    struct fault_log log;
    struct tree whole;
    struct run run;
    scene_log(f, &scenes[SCENE_CONVERT], &log, &whole);
    scene_run(f, &scenes[SCENE_CONVERT], "renameat2:EINVAL,rename:stop", &run);
    if (run.state == RUN_STOPPED) {
        command_signal(&run, SIGKILL);
        command_wait(&run);
    }
    check_run(&scenes[SCENE_CONVERT], &whole, &run, DONE, "renameat2:EINVAL");
    tree_release(&whole);
}

/* Another process makes the target while the command works. */
static void test_target_appears(void **state)
{
    static const char *const others[] = {NULL, "renameat2:EINVAL", "renameat2:EINVAL,link:EPERM"};
    static const char other[] = "somebody else's";
    const struct faults *f = *state;
    for (size_t i = 0; i < 3 * N_SCENES; i++) {
        const struct scene *scene = &scenes[i / 3];
        const char *target = scene->words[3];
        const bool folder = strcmp(target, "out/again") == 0;
        char setting[128];
        struct run run;
        size_t n_bytes;
        if (!is_target(target) || scene->old_files[0]) continue;
        scene_prepare(scene);
        snprintf(setting, sizeof setting, "INGOT_FAULTS=fsync:stop%s%s", others[i % 3] ? "," : "",
                 others[i % 3] ? others[i % 3] : "");
        scene_start(f, scene, setting, &run);
        command_wait(&run);
        assert_int_equal(run.state, RUN_STOPPED);
        if (folder) target = "out/again/a.safetensors";
        file_write(target, other, sizeof other);
        while (run.state == RUN_STOPPED) {
            command_signal(&run, SIGCONT);
            command_wait(&run);
        }
        assert_int_equal(run.state, RUN_EXITED);
        if (run.status != 1) fail_msg("%s: %d: %s", setting, run.status, run.messages);
        assert_non_null(strstr(run.messages, "exist"));
        assert_non_null(strstr(run.messages, target));
        char *bytes = (char *)file_read(target, &n_bytes);
        assert_int_equal(n_bytes, sizeof other);
        assert_memory_equal(bytes, other, sizeof other);
        free(bytes);
        struct tree now = tree_read("out");
        assert_int_equal(now.n_files, 1);
        tree_release(&now);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call),      cmocka_unit_test(test_all_calls),
        cmocka_unit_test(test_order),          cmocka_unit_test(test_link),
        cmocka_unit_test(test_target_appears),
    };
    return cmocka_run_group_tests(tests, faults_begin, faults_end);
}

/* What the tests of faults let the command do, in a folder of their own that they work in: the
 * sources, the command lines, and how to tell whether something torn was left. */
#ifndef INGOT_TESTS_FAULTS_SCENES_H
#define INGOT_TESTS_FAULTS_SCENES_H

#include "tests/convert/files.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>

#include "tests/support/command.h"
#include "tests/support/judge.h"
#include "tests/support/random.h"
#include "tests/support/tree.h"

enum { MAX_SCENE_WORDS = 8, MAX_OLD_FILES = 3, MAX_FAULT_CALLS = 512 };

/* One command line. Targets are in the folder out/, which begins empty but for the old files. */
struct scene {
    const char *name;
    const char *words[MAX_SCENE_WORDS];
    const char *output;                   /* under out/, when standard output is the target */
    const char *old_files[MAX_OLD_FILES]; /* under out/ */
    int ignored;                          /* a signal that the command is started to ignore, or 0 */
};

static const struct scene scenes[] = {
    {.name = "convert", .words = {"convert", "source", "-o", "out/model.ingot", "-q"}},
    {.name = "convert --force",
     .words = {"convert", "source", "-o", "out/model.ingot", "-q", "--force"},
     .old_files = {"model.ingot"}},
    {.name = "convert --encode",
     .words = {"convert", "one.safetensors", "-o", "out/one.ingot", "-q", "--encode", "int4"}},
    {.name = "convert to safetensors",
     .words = {"convert", "model.ingot", "-o", "out/model.safetensors", "-q"}},
    {.name = "convert to standard output",
     .words = {"convert", "one.safetensors", "-o", "-", "-q"},
     .output = "piped"},
    {.name = "convert a zip", .words = {"convert", "source.zip", "-o", "out/model.ingot", "-q"}},
    {.name = "convert a tar.gz",
     .words = {"convert", "source.tar.gz", "-o", "out/model.ingot", "-q"}},
    {.name = "restore", .words = {"restore", "model.ingot", "-o", "out/again", "-q"}},
    {.name = "restore --force",
     .words = {"restore", "model.ingot", "-o", "out/again", "-q", "--force"},
     .old_files = {"again/b.safetensors", "again/sub/notes.txt"}},
    {.name = "restore a file",
     .words = {"restore", "one.ingot", "-o", "out/one.safetensors", "-q"}},
    {.name = "restore a zip", .words = {"restore", "model.ingot", "-o", "out/source.zip", "-q"}},
    {.name = "restore a tar.zst",
     .words = {"restore", "model.ingot", "-o", "out/source.tar.zst", "-q"}},
    {.name = "extract", .words = {"extract", "model.ingot", "-o", "out/m.npy", "m1.0", "-q"}},
    {.name = "validate", .words = {"validate", "model.ingot", "--against", "source", "-q"}},
};
enum { N_SCENES = sizeof scenes / sizeof *scenes, SCENE_CONVERT = 0 };

/* One counted call of an undisturbed run. */
struct fault_call {
    char name[16];
    char path[240];
};

struct fault_log {
    unsigned n_calls;
    struct fault_call calls[MAX_FAULT_CALLS];
};

/* Where the tests work. */
struct faults {
    char ingot[PATH_MAX];
    char preload[PATH_MAX + 16];
    char folder[PATH_MAX + 32]; /* INGOT_FAULT_FOLDER=... */
    char home[PATH_MAX];
    char *scratch;
};

static const char old_text[] = "an older file";

/* ------------------------------------------------------------------ running */

/* Starts a scene's command, its calls counted and met by `faults` (NULL: by none). */
static inline void scene_start(const struct faults *f, const struct scene *scene,
                               const char *faults, struct run *run)
{
    char setting[256];
    char output[64];
    const char *const environment[] = {f->preload, f->folder, "OPENBLAS_NUM_THREADS=1",
                                       faults ? setting : NULL, NULL};
    const struct command command = {f->ingot, scene->words, environment,
                                    scene->output ? output : NULL, scene->ignored};
    snprintf(setting, sizeof setting, "%s", faults ? faults : "");
    snprintf(output, sizeof output, "out/%s", scene->output ? scene->output : "");
    command_start(&command, run);
}

/* Makes out/ as it is to be before the command runs. */
static inline void scene_prepare(const struct scene *scene)
{
    tree_remove("out");
    assert_int_equal(mkdir("out", 0777), 0);
    for (size_t i = 0; i < MAX_OLD_FILES && scene->old_files[i]; i++) {
        char path[64];
        snprintf(path, sizeof path, "out/%s", scene->old_files[i]);
        for (char *slash = strchr(path + 4, '/'); slash; slash = strchr(slash + 1, '/')) {
            *slash = '\0';
            assert_true(mkdir(path, 0777) == 0 || errno == EEXIST);
            *slash = '/';
        }
        file_write(path, old_text, sizeof old_text);
    }
}

/* Runs a scene to its end, with faults "WHICH:WHAT,..." (NULL: none). */
static inline void scene_run(const struct faults *f, const struct scene *scene, const char *faults,
                             struct run *run)
{
    char setting[256];
    snprintf(setting, sizeof setting, "INGOT_FAULTS=%s", faults ? faults : "");
    scene_prepare(scene);
    scene_start(f, scene, setting, run);
    command_wait(run);
}

/* Runs a scene until it stops before call `number` of its log. */
static inline void scene_run_to(const struct faults *f, const struct scene *scene, unsigned number,
                                struct run *run)
{
    char setting[64];
    snprintf(setting, sizeof setting, "INGOT_FAULTS=%u:stop", number);
    scene_prepare(scene);
    scene_start(f, scene, setting, run);
    command_wait(run);
    if (run->state != RUN_STOPPED)
        fail_msg("%s: no call %u: %s", scene->name, number, run->messages);
}

/* Lists the calls of an undisturbed run, and what that leaves in out/. */
static inline void scene_log(const struct faults *f, const struct scene *scene,
                             struct fault_log *log, struct tree *whole)
{
    struct run run;
    scene_prepare(scene);
    (void)remove("log");
    scene_start(f, scene, "INGOT_FAULT_LOG=log", &run);
    command_wait(&run);
    if (run.state != RUN_EXITED || run.status != 0) fail_msg("%s: %s", scene->name, run.messages);
    *whole = tree_read("out");
    *log = (struct fault_log){0};
    FILE *lines = fopen("log", "r");
    assert_non_null(lines);
    struct fault_call call;
    while (fscanf(lines, "%15s %239[^\n]", call.name, call.path) == 2) {
        assert_true(log->n_calls < MAX_FAULT_CALLS);
        log->calls[log->n_calls++] = call;
    }
    (void)fclose(lines);
    assert_true(log->n_calls > 0);
}

/* ------------------------------------------------------------------ judging */

static inline bool is_temporary_name(const char *path)
{
    const size_t n_bytes = strlen(path);
    return n_bytes > 4 && strcmp(path + n_bytes - 4, ".tmp") == 0;
}

static inline bool is_old_file(const struct scene *scene, const struct tree_file *file)
{
    for (size_t i = 0; i < MAX_OLD_FILES && scene->old_files[i]; i++) {
        if (strcmp(scene->old_files[i], file->path) == 0) {
            return file->n_bytes == sizeof old_text &&
                   memcmp(file->bytes, old_text, sizeof old_text) == 0;
        }
    }
    return false;
}

/* What out/ holds. */
struct found {
    unsigned n_whole;
    unsigned n_old;
    unsigned n_temporary;
};

/* Fails the test when something under a final name is neither whole nor what it was; of standard
 * output, when what came out is not whole and still passes for a container. `when` says when this
 * is. */
static inline struct found scene_judge(const struct scene *scene, const struct tree *whole,
                                       const char *when)
{
    struct found found = {0};
    struct tree now = tree_read("out");
    for (size_t i = 0; i < now.n_files; i++) {
        const struct tree_file *file = &now.files[i];
        const struct tree_file *wanted = tree_find(whole, file->path);
        if (wanted && tree_file_same(file, wanted)) {
            found.n_whole++;
        } else if (is_old_file(scene, file)) {
            found.n_old++;
        } else if (is_temporary_name(file->path)) {
            found.n_temporary++;
        } else if (scene->output && strcmp(file->path, scene->output) == 0) {
            struct judgement judged;
            judge(file->bytes, file->n_bytes, &judged);
            if (judged.opened) fail_msg("%s, %s: half a file opens", scene->name, when);
        } else {
            fail_msg("%s, %s: torn: %s of %zu bytes", scene->name, when, file->path, file->n_bytes);
        }
    }
    for (size_t i = 0; i < MAX_OLD_FILES && scene->old_files[i]; i++) {
        if (tree_find(&now, scene->old_files[i]) == NULL) {
            fail_msg("%s, %s: %s is gone", scene->name, when, scene->old_files[i]);
        }
    }
    tree_release(&now);
    return found;
}

/* ------------------------------------------------------------------ the folder */

/* A file of n_matrices f32 matrices and a bf16 vector, of the same bytes each time. */
static inline void write_source(const char *path, unsigned seed, unsigned n_matrices)
{
    enum { MATRIX_BYTES = 64 * 96 * 4, VECTOR_BYTES = 128 };
    struct random random = {seed};
    const size_t n_bytes = (size_t)n_matrices * MATRIX_BYTES + VECTOR_BYTES;
    char *header = NULL;
    size_t header_bytes;
    FILE *text = open_memstream(&header, &header_bytes);
    uint8_t *data = malloc(n_bytes);
    assert_non_null(text);
    assert_non_null(data);
    fputc('{', text);
    for (unsigned i = 0; i < n_matrices; i++) {
        fprintf(text, "\"m%u.%u\":{\"dtype\":\"F32\",\"shape\":[64,96],\"data_offsets\":[%u,%u]},",
                seed, i, i * MATRIX_BYTES, (i + 1) * MATRIX_BYTES);
    }
    fprintf(text, "\"v%u\":{\"dtype\":\"BF16\",\"shape\":[64],\"data_offsets\":[%zu,%zu]}}", seed,
            n_bytes - VECTOR_BYTES, n_bytes);
    assert_int_equal(fclose(text), 0);
    for (size_t i = 0; i < n_bytes; i += 4) {
        /* Floats of one sign and few exponents, which int4 and zstd both can take. */
        store_u32(data + i, 0x3c000000u + (uint32_t)(random_bits(&random) & 0xffffff));
    }
    safetensors_write(path, header, data, n_bytes);
    free(data);
    free(header);
}

static inline void make_target(const struct faults *f, const char *verb, const char *source,
                               const char *target)
{
    const char *const words[] = {verb, source, "-o", target, "-q", NULL};
    const struct command command = {.ingot = f->ingot, .words = words};
    struct run run;
    command_run(&command, &run);
    if (run.state != RUN_EXITED || run.status != 0) fail_msg("%s: %s", target, run.messages);
}

/* A fixture's copy here. */
static inline void copy_fixture(const struct faults *f, const char *fixture, const char *target)
{
    char path[PATH_MAX + 64];
    size_t n_bytes;
    snprintf(path, sizeof path, "%s/fixtures/%s", f->home, fixture);
    uint8_t *bytes = file_read(path, &n_bytes);
    file_write(target, bytes, n_bytes);
    free(bytes);
}

/* The sources: source/ of two shards and two other files, the same as containers and archives, and
 * single files, one of them of a dialect. */
static inline void write_sources(const struct faults *f)
{
    static const char config[] = "{\"architectures\": [\"none\"]}\n";
    static const char notes[] = "what this model is good for\n";
    assert_int_equal(mkdir("source", 0777), 0);
    assert_int_equal(mkdir("source/sub", 0777), 0);
    write_source("source/a.safetensors", 1, 1);
    write_source("source/b.safetensors", 2, 1);
    file_write("source/config.json", config, sizeof config - 1);
    file_write("source/sub/notes.txt", notes, sizeof notes - 1);
    write_source("one.safetensors", 3, 1);
    copy_fixture(f, "dialects/bitsandbytes.safetensors", "nf4.safetensors");
    make_target(f, "convert", "nf4.safetensors", "nf4.ingot");
    make_target(f, "convert", "source", "model.ingot");
    make_target(f, "convert", "one.safetensors", "one.ingot");
    make_target(f, "restore", "model.ingot", "source.zip");
    make_target(f, "restore", "model.ingot", "source.tar.gz");
}

static inline void make_absolute(const char *path, char absolute[PATH_MAX])
{
    if (realpath(path, absolute) == NULL) fail_msg("there is no %s", path);
}

/* cmocka's set-up and tear-down of a group: makes the folder, goes into it, writes the sources. */
static inline int faults_begin(void **state)
{
    /* In memory where that can be: each of very many runs syncs what it writes. */
    static char in_memory[] = "/dev/shm/ingot-faults-XXXXXX";
    static char on_disk[] = "/tmp/ingot-faults-XXXXXX";
    struct faults *f = calloc(1, sizeof *f);
    const char *ingot = getenv("INGOT");
    const char *build = getenv("BUILD");
    char path[PATH_MAX];
    char absolute[PATH_MAX];
    assert_non_null(f);
    make_absolute(ingot ? ingot : "build/ingot", f->ingot);
    make_absolute(".", f->home);
    snprintf(path, sizeof path, "%s/tests/faults/shim.so", build ? build : "build/release");
    make_absolute(path, absolute);
    snprintf(f->preload, sizeof f->preload, "LD_PRELOAD=%s", absolute);
    f->scratch = mkdtemp(access("/dev/shm", W_OK) == 0 ? in_memory : on_disk);
    if (f->scratch == NULL || chdir(f->scratch) != 0) return -1;
    snprintf(f->folder, sizeof f->folder, "INGOT_FAULT_FOLDER=%s", f->scratch);
    write_sources(f);
    *state = f;
    return 0;
}

static inline int faults_end(void **state)
{
    struct faults *f = *state;
    if (chdir(f->home) != 0) return -1;
    tree_remove(f->scratch);
    free(f);
    return 0;
}

#endif

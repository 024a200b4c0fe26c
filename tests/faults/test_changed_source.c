/* The source changes while it is read: before each call of a run that reads or writes, in each of
 * its files, in each way. What comes of that is wholly the old model or wholly the new, or it is
 * refused and nothing is left. */
#include "tests/faults/scenes.h"

#include <fcntl.h>

enum { MAX_FILES = 2 };

static const struct changing_scene {
    struct scene scene;
    const char *files[MAX_FILES]; /* that it reads, and that change */
    bool only_time;               /* a file's identity, length and time alone tell of a change */
} changing[] = {
    {{.name = "convert", .words = {"convert", "source", "-o", "out/model.ingot", "-q"}},
     .files = {"source/b.safetensors", "source/config.json"}},
    {{.name = "convert --encode",
      .words = {"convert", "one.safetensors", "-o", "out/one.ingot", "-q", "--encode", "int4"}},
     .files = {"one.safetensors"},
     .only_time = true},
    {{.name = "convert to safetensors",
      .words = {"convert", "one.safetensors", "-o", "out/other.safetensors", "-q"}},
     .files = {"one.safetensors"},
     .only_time = true},
    {{.name = "convert a container",
      .words = {"convert", "one.ingot", "-o", "out/one.ingot", "-q"}},
     .files = {"one.ingot"}},
    {{.name = "convert a tar.gz",
      .words = {"convert", "source.tar.gz", "-o", "out/model.ingot", "-q"}},
     .files = {"source.tar.gz"}},
    {{.name = "convert a zip", .words = {"convert", "source.zip", "-o", "out/model.ingot", "-q"}},
     .files = {"source.zip"}},
    {{.name = "extract", .words = {"extract", "one.safetensors", "-o", "out/m.npy", "m3.0", "-q"}},
     .files = {"one.safetensors"},
     .only_time = true},
    {{.name = "restore", .words = {"restore", "one.ingot", "-o", "out/one.safetensors", "-q"}},
     .files = {"one.ingot"}},
};
enum { N_CHANGING = sizeof changing / sizeof *changing };

/* ------------------------------------------------------------------ changes */

static void cut(const char *path, const struct tree_file *file)
{
    assert_int_equal(truncate(path, (off_t)(file->n_bytes / 2)), 0);
}

static void append(const char *path, const struct tree_file *file)
{
    (void)file;
    FILE *to = fopen(path, "ab");
    assert_non_null(to);
    assert_int_equal(fputc(' ', to), ' ');
    assert_int_equal(fclose(to), 0);
}

/* Two places far apart, so that what is read in between is neither the old nor the new. */
static void flip(const char *path, const struct tree_file *file)
{
    const size_t places[] = {file->n_bytes / 3, file->n_bytes - file->n_bytes / 6};
    FILE *to = fopen(path, "r+b");
    assert_non_null(to);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fseek(to, (long)places[i], SEEK_SET), 0);
        assert_int_not_equal(fputc(file->bytes[places[i]] ^ 1, to), EOF);
    }
    assert_int_equal(fclose(to), 0);
}

/* The times of all files: long ago, since a change within one tick of the clock would not show. */
static void set_time(const char *path)
{
    const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void flip_quietly(const char *path, const struct tree_file *file)
{
    flip(path, file);
    set_time(path);
}

static void replace(const char *path, const struct tree_file *file)
{
    file_write("new", file->bytes, file->n_bytes);
    flip_quietly("new", file);
    assert_int_equal(rename("new", path), 0);
}

static void lose(const char *path, const struct tree_file *file)
{
    (void)file;
    assert_int_equal(unlink(path), 0);
}

static const struct change {
    const char *name;
    void (*make)(const char *path, const struct tree_file *file);
    bool only_bytes; /* tell of it */
} changes[] = {
    {"cut", cut, false},          {"appended to", append, false},
    {"flipped", flip, false},     {"flipped quietly", flip_quietly, true},
    {"replaced", replace, false}, {"removed", lose, false},
};

/* ------------------------------------------------------------------ */

/* One change of one file of a scene. */
struct trial {
    const struct scene *scene;
    const struct change *change;
    const char *path;
    const struct tree_file *file; /* as it was */
    const struct tree *old_whole; /* what the command makes of it */
    struct tree new_whole;        /* and what of the changed file; empty when that is refused */
    unsigned n_old, n_new, n_refused;
};

static void put_back(const struct trial *t)
{
    file_write(t->path, t->file->bytes, t->file->n_bytes);
    set_time(t->path);
}

static void learn_new_whole(const struct faults *f, struct trial *t)
{
    struct run run;
    t->change->make(t->path, t->file);
    scene_run(f, t->scene, NULL, &run);
    assert_int_equal(run.state, RUN_EXITED);
    t->new_whole = tree_read("out");
    assert_int_equal(t->new_whole.n_files, run.status == 0);
    put_back(t);
}

static bool is_whole(const struct tree *whole, const struct tree *now)
{
    return whole->n_files == 1 && now->n_files == 1 &&
           strcmp(whole->files[0].path, now->files[0].path) == 0 &&
           tree_file_same(&whole->files[0], &now->files[0]);
}

/* Nothing is left, and a message names the source or the file. */
static bool is_refused(const struct trial *t, const struct run *run, const struct tree *now)
{
    const char *slash = strrchr(t->path, '/');
    const char *name = slash ? slash + 1 : t->path;
    const bool named = strstr(run->messages, name) || strstr(run->messages, t->scene->words[1]);
    return run->state == RUN_EXITED && (run->status == 1 || run->status == 3) &&
           now->n_files == 0 && named && strncmp(run->messages, "ingot: ", 7) == 0;
}

static void change_at(const struct faults *f, struct trial *t, unsigned number)
{
    struct run run;
    scene_run_to(f, t->scene, number, &run);
    t->change->make(t->path, t->file);
    command_signal(&run, SIGCONT);
    command_wait(&run);
    struct tree now = tree_read("out");
    const bool done = run.state == RUN_EXITED && run.status == 0;
    if (done && is_whole(t->old_whole, &now)) {
        t->n_old++;
    } else if (done && is_whole(&t->new_whole, &now)) {
        t->n_new++;
    } else if (is_refused(t, &run, &now)) {
        t->n_refused++;
    } else {
        fail_msg("%s: %s %s before call %u: status %d, %zu files, %s", t->scene->name, t->path,
                 t->change->name, number, run.status, now.n_files, run.messages);
    }
    tree_release(&now);
    put_back(t);
}

/* Whether the source may be read next: a mapped one is read between writes. */
static bool is_moment(const struct fault_log *log, unsigned index)
{
    bool mapped = false;
    for (unsigned k = 0; k < log->n_calls; k++) {
        mapped = mapped || strcmp(log->calls[k].name, "mmap") == 0;
    }
    const char *name = log->calls[index].name;
    return strcmp(name, "pread") == 0 || strcmp(name, "mmap") == 0 || strcmp(name, "fsync") == 0 ||
           (mapped && strcmp(name, "write") == 0);
}

static void change_file(const struct faults *f, const struct changing_scene *reader,
                        const char *path)
{
    struct fault_log log;
    struct tree before = tree_read(".");
    struct tree whole;
    set_time(path);
    scene_log(f, &reader->scene, &log, &whole);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct trial t = {.scene = &reader->scene,
                          .change = &changes[i],
                          .path = path,
                          .file = tree_find(&before, path),
                          .old_whole = &whole};
        assert_non_null(t.file);
        if (reader->only_time && changes[i].only_bytes) continue;
        learn_new_whole(f, &t);
        for (unsigned k = 0; k < log.n_calls; k++) {
            if (is_moment(&log, k)) change_at(f, &t, k + 1);
        }
        print_message("%s: %s %s: %u times refused, %u the new, %u the old\n", t.scene->name, path,
                      changes[i].name, t.n_refused, t.n_new, t.n_old);
        tree_release(&t.new_whole);
    }
    tree_release(&whole);
    tree_release(&before);
}

static void test_changed_source(void **state)
{
    for (size_t i = 0; i < N_CHANGING; i++) {
        for (size_t k = 0; k < MAX_FILES && changing[i].files[k]; k++) {
            change_file(*state, &changing[i], changing[i].files[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changed_source)};
    return cmocka_run_group_tests(tests, faults_begin, faults_end);
}

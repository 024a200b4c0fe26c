/* Reads and removes folders. */
#include "tests/support/unit.h"

#include "tests/support/tree.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096 };

static void add_file(struct tree *tree, const char *path, const char *name, size_t n_bytes)
{
    struct tree_file file = {strdup(name), malloc(n_bytes + 1), n_bytes};
    FILE *from = fopen(path, "rb");
    tree->files = realloc(tree->files, (tree->n_files + 1) * sizeof *tree->files);
    assert_non_null(tree->files);
    assert_non_null(file.path);
    assert_non_null(file.bytes);
    if (from == NULL) fail_msg("cannot open %s", path);
    assert_int_equal(fread(file.bytes, 1, n_bytes, from), n_bytes);
    (void)fclose(from);
    tree->files[tree->n_files++] = file;
}

static void add_folder(struct tree *tree, const char *folder, const char *under)
{
    DIR *stream = opendir(folder);
    if (stream == NULL) fail_msg("cannot open %s", folder);
    for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        char path[PATH_BYTES];
        char name[PATH_BYTES];
        struct stat found;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        snprintf(name, sizeof name, "%s%s%s", under, *under ? "/" : "", entry->d_name);
        assert_int_equal(stat(path, &found), 0);
        if (S_ISDIR(found.st_mode)) {
            add_folder(tree, path, name);
        } else {
            add_file(tree, path, name, (size_t)found.st_size);
        }
    }
    (void)closedir(stream);
}

struct tree tree_read(const char *folder)
{
    struct tree tree = {0};
    add_folder(&tree, folder, "");
    return tree;
}

void tree_release(struct tree *tree)
{
    for (size_t i = 0; i < tree->n_files; i++) {
        free(tree->files[i].bytes);
        free(tree->files[i].path);
    }
    free(tree->files);
    *tree = (struct tree){0};
}

const struct tree_file *tree_find(const struct tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->n_files; i++) {
        if (strcmp(tree->files[i].path, path) == 0) return &tree->files[i];
    }
    return NULL;
}

bool tree_file_same(const struct tree_file *a, const struct tree_file *b)
{
    return a->n_bytes == b->n_bytes && memcmp(a->bytes, b->bytes, a->n_bytes) == 0;
}

static int remove_entry(const char *path, const struct stat *found, int type, struct FTW *walk)
{
    (void)found;
    (void)type;
    (void)walk;
    return remove(path);
}

void tree_remove(const char *folder)
{
    struct stat found;
    if (lstat(folder, &found) == 0) {
        assert_int_equal(nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    }
}

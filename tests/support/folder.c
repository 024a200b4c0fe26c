/* Temporary folders. */
#include "tests/support/unit.h"

#include "tests/support/folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int folder_make(void **state)
{
    struct folder *f = malloc(sizeof *f);
    const char *parent = getenv("TMPDIR");
    if (f == NULL) return -1;
    snprintf(f->path, sizeof f->path, "%.40s/ingot-XXXXXX", parent ? parent : "/tmp");
    *state = f;
    return mkdtemp(f->path) ? 0 : -1;
}

const char *folder_path(const struct folder *folder, const char *name)
{
    enum { LONGEST = 512 };
    static char path[4][LONGEST];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], LONGEST, "%s/%s", folder->path, name);
    return path[next];
}

int folder_entries(const struct folder *folder)
{
    DIR *entries = opendir(folder->path);
    int n = 0;
    assert_non_null(entries);
    while (readdir(entries)) n++;
    closedir(entries);
    return n - 2; /* itself and its parent */
}

int folder_remove(void **state)
{
    struct folder *f = *state;
    DIR *entries = opendir(f->path);
    if (entries == NULL) return -1;
    for (struct dirent *e = readdir(entries); e; e = readdir(entries)) {
        unlink(folder_path(f, e->d_name));
    }
    closedir(entries);
    const int status = rmdir(f->path);
    free(f);
    return status;
}

/* A folder with all that is in it, in memory: to compare what was with what is. What cannot be read
 * fails the test. */
#ifndef INGOT_TESTS_SUPPORT_TREE_H
#define INGOT_TESTS_SUPPORT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_file {
    char *path; /* under the folder */
    uint8_t *bytes;
    size_t n_bytes;
};

struct tree {
    size_t n_files;
    struct tree_file *files;
};

/* Reads every file under a folder. Release it with tree_release. */
struct tree tree_read(const char *folder);
void tree_release(struct tree *tree);

/* NULL: there is no such file. */
const struct tree_file *tree_find(const struct tree *tree, const char *path);
bool tree_file_same(const struct tree_file *a, const struct tree_file *b);

/* Removes a folder and all that is in it, if it is there. */
void tree_remove(const char *folder);

#endif

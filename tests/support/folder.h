/* A folder of its own for a test, which is removed after it with the files in it. */
#ifndef INGOT_TESTS_SUPPORT_FOLDER_H
#define INGOT_TESTS_SUPPORT_FOLDER_H

struct folder {
    char path[64];
};

/* Setup and teardown of a cmocka test: *state is a struct folder. */
int folder_make(void **state);
int folder_remove(void **state);

/* The path of a name in the folder; good until the fourth call after. */
const char *folder_path(const struct folder *folder, const char *name);

/* How many entries the folder has. */
int folder_entries(const struct folder *folder);

#endif

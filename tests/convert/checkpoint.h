/* A small checkpoint folder for the converter's tests. */
#ifndef INGOT_TESTS_CONVERT_CHECKPOINT_H
#define INGOT_TESTS_CONVERT_CHECKPOINT_H

#include "tests/convert/files.h"

static inline bool same_folders(const char *a, const char *b)
{
    char command[512];
    snprintf(command, sizeof command, "diff -r '%s' '%s'", a, b);
    return system(command) == 0;
}

static inline void make_folder(const char *root, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s%s", root, *name ? "/" : "", name);
    assert_int_equal(mkdir(path, 0777), 0);
}

static inline void put(const char *root, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    file_write(path, text, strlen(text));
}

/* A checkpoint folder: two shards with an index, and files beside and below. */
static inline char *make_checkpoint(void **state, const char *name)
{
    static const uint8_t data[6] = {1, 2, 3, 4, 5, 6};
    char path[256];
    char *root = scratch_path(state, name);
    make_folder(root, "");
    make_folder(root, "sub");
    make_folder(root, "sub/deep");
    snprintf(path, sizeof path, "%s/m-2.safetensors", root);
    safetensors_write(path,
                      "{\"__metadata__\":{\"format\":\"pt\",\"two\":\"2\",\"both\":\"x\"},"
                      "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
                      data, 4);
    snprintf(path, sizeof path, "%s/m-1.safetensors", root);
    safetensors_write(path,
                      "{\"__metadata__\":{\"both\":\"y\",\"format\":\"pt\"},"
                      "\"a\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[0,6]}}",
                      data, 6);
    put(root, "model.safetensors.index.json",
        "{\"metadata\":{\"total_size\":10},\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":"
        "\"m-2.safetensors\"}}");
    put(root, "config.json", "{}\n");
    put(root, ".hidden", "");
    put(root, "sub/deep/notes.safetensors", "not a model");
    return root;
}

#endif

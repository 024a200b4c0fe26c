/* Files for the converter's tests: a folder that goes away, files with given bytes, and small
 * safetensors files written by hand. Everything fails the test when it cannot be done. */
#ifndef INGOT_TESTS_CONVERT_FILES_H
#define INGOT_TESTS_CONVERT_FILES_H

#include "tests/support/unit.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/bytes.h"
#include "format/ingot.h"

/* Asserts that a call went well, and shows why when it did not. */
#define assert_ok(call, error)                                                            \
    do {                                                                                  \
        const ingot_status status_ = (call);                                              \
        if (status_ != INGOT_OK) {                                                        \
            fail_msg("%s: %s: %s: %s", #call, ingot_status_name(status_), (error)->field, \
                     (error)->what);                                                      \
        }                                                                                 \
    } while (0)

struct scratch {
    char folder[64];
};

static inline int scratch_remove(const char *path, const struct stat *s, int type, struct FTW *walk)
{
    (void)s;
    (void)type;
    (void)walk;
    return remove(path);
}

/* cmocka's set-up and tear-down: *state becomes a struct scratch. */
static inline int scratch_begin(void **state)
{
    struct scratch *s = calloc(1, sizeof *s);
    if (s == NULL) return -1;
    strcpy(s->folder, "/tmp/ingot-test-XXXXXX");
    *state = s;
    return mkdtemp(s->folder) ? 0 : -1;
}

static inline int scratch_end(void **state)
{
    struct scratch *s = *state;
    const int failed = nftw(s->folder, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(s);
    return failed;
}

/* A path in the scratch folder; the caller frees it. */
static inline char *scratch_path(void **state, const char *name)
{
    const struct scratch *s = *state;
    char *path = malloc(strlen(s->folder) + strlen(name) + 2);
    assert_non_null(path);
    sprintf(path, "%s/%s", s->folder, name);
    return path;
}

static inline void file_write(const char *path, const void *bytes, size_t n_bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    if (n_bytes) assert_int_equal(fwrite(bytes, 1, n_bytes, file), n_bytes);
    assert_int_equal(fclose(file), 0);
}

/* The whole file; the caller frees it. */
static inline uint8_t *file_read(const char *path, size_t *n_bytes)
{
    struct stat found;
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("cannot open %s", path);
    assert_int_equal(fstat(fileno(file), &found), 0);
    uint8_t *bytes = malloc((size_t)found.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)found.st_size, file), found.st_size);
    fclose(file);
    *n_bytes = (size_t)found.st_size;
    return bytes;
}

static inline void assert_same_file(const char *a, const char *b)
{
    size_t a_bytes, b_bytes;
    uint8_t *in_a = file_read(a, &a_bytes);
    uint8_t *in_b = file_read(b, &b_bytes);
    if (a_bytes != b_bytes || memcmp(in_a, in_b, a_bytes) != 0)
        fail_msg("%s differs from %s", a, b);
    free(in_b);
    free(in_a);
}

static inline bool exists(const char *path)
{
    struct stat found;
    return lstat(path, &found) == 0;
}

/* A safetensors file: the length of the header, the header, the data. */
static inline void safetensors_write(const char *path, const char *header, const void *data,
                                     size_t n_bytes)
{
    const size_t header_bytes = strlen(header);
    uint8_t *bytes = malloc(8 + header_bytes + n_bytes);
    assert_non_null(bytes);
    store_u64(bytes, header_bytes);
    memcpy(bytes + 8, header, header_bytes);
    if (n_bytes) memcpy(bytes + 8 + header_bytes, data, n_bytes);
    file_write(path, bytes, 8 + header_bytes + n_bytes);
    free(bytes);
}

#endif

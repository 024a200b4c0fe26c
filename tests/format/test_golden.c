/* The golden files would be made again as they are, byte for byte, open, are valid, and hold the
 * values that were recorded with them. That they are the files of version 1.0 is
 * tests/check_golden.sh's affair. Run in the top folder. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "format/reader.h"
#include "tests/support/golden.h"
#include "tests/support/judge.h"
#include "tests/support/value_hashes.h"

static void read_fixture(const char *name, const char *suffix, struct byte_buffer *bytes)
{
    char path[256];
    uint8_t part[4096];
    snprintf(path, sizeof path, "fixtures/golden/%s.%s", name, suffix);
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("%s is missing", path);
    for (size_t n = fread(part, 1, sizeof part, file); n > 0;
         n = fread(part, 1, sizeof part, file)) {
        buffer_append(bytes, part, n);
    }
    fclose(file);
}

static void assert_same(const struct byte_buffer *a, const struct byte_buffer *b, const char *what)
{
    if (a->n_bytes == b->n_bytes && memcmp(a->data, b->data, a->n_bytes) == 0) return;
    fail_msg("%s is not what it was", what);
}

static void test_bytes(void **state)
{
    (void)state;
    const bool same_zstd = strcmp(ZSTD_versionString(), GOLDEN_ZSTD) == 0;
    for (const struct golden *g = golden_files; g->name; g++) {
        struct byte_buffer made = {0}, kept = {0};
        if (g->compressed && !same_zstd) continue;
        g->make(&made);
        read_fixture(g->name, "ingot", &kept);
        assert_same(&made, &kept, g->name);
        buffer_release(&made);
        buffer_release(&kept);
    }
}

static void test_values(void **state)
{
    (void)state;
    for (const struct golden *g = golden_files; g->name; g++) {
        struct byte_buffer bytes = {0}, hashes = {0}, kept = {0};
        ingot_file *file;
        ingot_error error;
        read_fixture(g->name, "ingot", &bytes);
        read_fixture(g->name, "hashes", &kept);
        judge_good(bytes.data, bytes.n_bytes);
        assert_int_equal(ingot_file_open_memory(bytes.data, bytes.n_bytes, NULL, &file, &error),
                         INGOT_OK);
        value_hashes(file, &hashes);
        assert_same(&hashes, &kept, g->name);
        ingot_file_close(file);
        buffer_release(&bytes);
        buffer_release(&hashes);
        buffer_release(&kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

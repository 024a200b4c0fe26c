/* Files on disk: opening them, and writing them under a temporary name. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/output.h"
#include "format/reader.h"
#include "tests/support/folder.h"
#include "tests/support/judge.h"

static const uint64_t dims[2] = {2, 3};
static const uint16_t base_bits[6] = {0x3c00, 0x4000, 0xc200, 0x0001, 0x7c00, 0x8000};

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void check_text(const char *path, const char *text)
{
    char found[64] = {0};
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t n = fread(found, 1, sizeof found - 1, file);
    fclose(file);
    assert_int_equal(n, strlen(text));
    assert_string_equal(found, text);
}

/* Writes a file of one f16 tensor. */
static void write_base(const char *path, const uint16_t bits[6])
{
    ingot_writer *writer = NULL;
    ingot_error error;
    assert_int_equal(ingot_writer_create(path, false, INGOT_COMPRESS_NONE, NULL, &writer, &error),
                     INGOT_OK);
    assert_int_equal(ingot_writer_add(writer, "w", INGOT_F16, 2, dims, bits, &error), INGOT_OK);
    assert_int_equal(ingot_writer_finish(writer, &error), INGOT_OK);
    assert_int_equal(ingot_writer_finish(writer, &error), INGOT_REFUSED);
    assert_int_equal(ingot_writer_attach(writer, "late", "text", 4, &error), INGOT_REFUSED);
    ingot_writer_close(writer);
}

/* ---- opening ---- */

static void test_open(void **state)
{
    const struct folder *f = *state;
    ingot_file *file = NULL;
    ingot_error error;
    uint16_t found[6];
    struct judgement j;
    write_base(folder_path(f, "a.ingot"), base_bits);
    assert_int_equal(folder_entries(f), 1);
    assert_int_equal(ingot_file_open(folder_path(f, "a.ingot"), NULL, &file, &error), INGOT_OK);
    assert_int_equal(ingot_file_read_raw(file, 0, 0, sizeof found, found, &error), INGOT_OK);
    assert_memory_equal(found, base_bits, sizeof found);
    judge_file(file, &j);
    assert_int_equal(j.n_found, 0);
    struct stat info;
    assert_int_equal(stat(folder_path(f, "a.ingot"), &info), 0);
    assert_int_equal(ingot_file_bytes(file), info.st_size);
    ingot_file_close(file);
    ingot_file_close(NULL);
}

static void test_what_cannot_be_opened(void **state)
{
    const struct folder *f = *state;
    ingot_file *file = NULL;
    ingot_error error;
    assert_int_equal(ingot_file_open(folder_path(f, "missing"), NULL, &file, &error), INGOT_IO);
    assert_int_equal(ingot_file_open(f->path, NULL, &file, &error), INGOT_IO);
    /* A pipe that nobody writes to is not waited for. */
    assert_int_equal(mkfifo(folder_path(f, "pipe"), 0600), 0);
    (void)alarm(60);
    assert_int_equal(ingot_file_open(folder_path(f, "pipe"), NULL, &file, &error), INGOT_IO);
    (void)alarm(0);
    write_text(folder_path(f, "empty"), "");
    assert_int_equal(ingot_file_open(folder_path(f, "empty"), NULL, &file, &error), INGOT_INVALID);
    assert_int_equal(error.rule, 121);
    write_text(folder_path(f, "text"), "not an Ingot file");
    assert_int_equal(ingot_file_open(folder_path(f, "text"), NULL, &file, &error), INGOT_INVALID);
    assert_int_equal(error.rule, 101);
    assert_null(file);
}

/* ---- output ---- */

static void test_output_exists(void **state)
{
    const struct folder *f = *state;
    const char *path = folder_path(f, "target");
    struct output *output = NULL;
    ingot_error error;
    write_text(path, "old");
    assert_int_equal(output_create(path, false, NULL, &output, &error), INGOT_EXISTS);
    assert_null(output);
    assert_int_equal(folder_entries(f), 1);
    assert_int_equal(output_create(path, true, NULL, &output, &error), INGOT_OK);
    assert_int_equal(output_write(output, "new text", 8, &error), INGOT_OK);
    check_text(path, "old");
    assert_int_equal(output_finish(output, &error), INGOT_OK);
    output_close(output);
    check_text(path, "new text");
    assert_int_equal(folder_entries(f), 1);
}

/* A target that appears while the file is written is not replaced. */
static void test_output_appears(void **state)
{
    const struct folder *f = *state;
    const char *path = folder_path(f, "target");
    struct output *output = NULL;
    ingot_error error;
    assert_int_equal(output_create(path, false, NULL, &output, &error), INGOT_OK);
    assert_int_equal(output_write(output, "mine", 4, &error), INGOT_OK);
    write_text(path, "theirs");
    assert_int_equal(output_finish(output, &error), INGOT_EXISTS);
    output_close(output);
    check_text(path, "theirs");
    assert_int_equal(folder_entries(f), 1);
}

static void test_no_target(void **state)
{
    (void)state;
    struct output *output = NULL;
    ingot_writer *writer = NULL;
    ingot_error error;
    assert_int_equal(output_create("", true, NULL, &output, &error), INGOT_REFUSED);
    assert_int_equal(ingot_writer_create("a", true, (ingot_compression)9, NULL, &writer, &error),
                     INGOT_UNSUPPORTED);
    assert_null(output);
    assert_null(writer);
}

static void test_output_given_up(void **state)
{
    const struct folder *f = *state;
    struct output *output = NULL;
    ingot_writer *writer = NULL;
    ingot_error error;
    assert_int_equal(output_create(folder_path(f, "target"), false, NULL, &output, &error),
                     INGOT_OK);
    assert_int_equal(output_write(output, "half", 4, &error), INGOT_OK);
    assert_int_equal(folder_entries(f), 1);
    output_close(output);
    assert_int_equal(folder_entries(f), 0);
    output_close(NULL);
    assert_int_equal(ingot_writer_create(folder_path(f, "a.ingot"), true, INGOT_COMPRESS_FAST, NULL,
                                         &writer, &error),
                     INGOT_OK);
    assert_int_equal(ingot_writer_add(writer, "w", INGOT_F16, 2, dims, base_bits, &error),
                     INGOT_OK);
    ingot_writer_close(writer);
    ingot_writer_close(NULL);
    assert_int_equal(folder_entries(f), 0);
}

static void test_output_to_odd_targets(void **state)
{
    const struct folder *f = *state;
    struct output *output = NULL;
    ingot_error error;
    assert_int_equal(mkdir(folder_path(f, "folder"), 0777), 0);
    assert_int_equal(output_create(folder_path(f, "folder"), true, NULL, &output, &error),
                     INGOT_REFUSED);
    assert_int_equal(output_create(folder_path(f, "no/where"), true, NULL, &output, &error),
                     INGOT_IO);
    assert_null(output);
    assert_int_equal(rmdir(folder_path(f, "folder")), 0);
    /* Two outputs to one target have two temporary names. */
    struct output *first = NULL;
    assert_int_equal(output_create(folder_path(f, "target"), false, NULL, &first, &error),
                     INGOT_OK);
    assert_int_equal(output_create(folder_path(f, "target"), false, NULL, &output, &error),
                     INGOT_OK);
    assert_int_equal(folder_entries(f), 2);
    assert_int_equal(output_finish(first, &error), INGOT_OK);
    assert_int_equal(output_finish(output, &error), INGOT_EXISTS);
    output_close(first);
    output_close(output);
    assert_int_equal(folder_entries(f), 1);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_open),
        IN_FOLDER(test_what_cannot_be_opened),
        IN_FOLDER(test_output_exists),
        IN_FOLDER(test_output_appears),
        cmocka_unit_test(test_no_target),
        IN_FOLDER(test_output_given_up),
        IN_FOLDER(test_output_to_odd_targets),
    };
#undef IN_FOLDER
    return cmocka_run_group_tests(tests, NULL, NULL);
}

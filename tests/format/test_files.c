/* Files on disk: opening them, writing them under a temporary name, and files that refer to other
 * files. */
#include "tests/support/unit.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/reader.h"
#include "tests/support/judge.h"
#include "tests/support/stream_source.h"

static const uint64_t dims[2] = {2, 3};
static const uint16_t base_bits[6] = {0x3c00, 0x4000, 0xc200, 0x0001, 0x7c00, 0x8000};
static const uint16_t patch_bits[6] = {0, 0x8000, 1, 0x3c00, 0, 0x8000};

/* A folder of its own for each test. */
struct folder {
    char path[64];
};

static int make_folder(void **state)
{
    struct folder *f = malloc(sizeof *f);
    const char *parent = getenv("TMPDIR");
    snprintf(f->path, sizeof f->path, "%.40s/ingot-XXXXXX", parent ? parent : "/tmp");
    *state = f;
    return mkdtemp(f->path) ? 0 : -1;
}

static const char *in(const struct folder *f, const char *name)
{
    static char path[4][160];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", f->path, name);
    return path[next];
}

/* How many entries a folder has. */
static int n_entries(const struct folder *f)
{
    DIR *folder = opendir(f->path);
    int n = 0;
    assert_non_null(folder);
    while (readdir(folder)) n++;
    closedir(folder);
    return n - 2;
}

static int remove_folder(void **state)
{
    struct folder *f = *state;
    DIR *folder = opendir(f->path);
    for (struct dirent *e = readdir(folder); e; e = readdir(folder)) unlink(in(f, e->d_name));
    closedir(folder);
    const int status = rmdir(f->path);
    free(f);
    return status;
}

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
    write_base(in(f, "a.ingot"), base_bits);
    assert_int_equal(n_entries(f), 1);
    assert_int_equal(ingot_file_open(in(f, "a.ingot"), NULL, &file, &error), INGOT_OK);
    assert_int_equal(ingot_file_read_raw(file, 0, 0, sizeof found, found, &error), INGOT_OK);
    assert_memory_equal(found, base_bits, sizeof found);
    judge_file(file, &j);
    assert_int_equal(j.n_found, 0);
    struct stat info;
    assert_int_equal(stat(in(f, "a.ingot"), &info), 0);
    assert_int_equal(ingot_file_bytes(file), info.st_size);
    ingot_file_close(file);
    ingot_file_close(NULL);
}

static void test_what_cannot_be_opened(void **state)
{
    const struct folder *f = *state;
    ingot_file *file = NULL;
    ingot_error error;
    assert_int_equal(ingot_file_open(in(f, "missing"), NULL, &file, &error), INGOT_IO);
    assert_int_equal(ingot_file_open(f->path, NULL, &file, &error), INGOT_IO);
    write_text(in(f, "empty"), "");
    assert_int_equal(ingot_file_open(in(f, "empty"), NULL, &file, &error), INGOT_INVALID);
    assert_int_equal(error.rule, 121);
    write_text(in(f, "text"), "not an Ingot file");
    assert_int_equal(ingot_file_open(in(f, "text"), NULL, &file, &error), INGOT_INVALID);
    assert_int_equal(error.rule, 101);
    assert_null(file);
}

/* ---- output ---- */

static void test_output_exists(void **state)
{
    const struct folder *f = *state;
    const char *path = in(f, "target");
    struct output *output = NULL;
    ingot_error error;
    write_text(path, "old");
    assert_int_equal(output_create(path, false, NULL, &output, &error), INGOT_EXISTS);
    assert_null(output);
    assert_int_equal(n_entries(f), 1);
    assert_int_equal(output_create(path, true, NULL, &output, &error), INGOT_OK);
    assert_int_equal(output_write(output, "new text", 8, &error), INGOT_OK);
    check_text(path, "old");
    assert_int_equal(output_finish(output, &error), INGOT_OK);
    output_close(output);
    check_text(path, "new text");
    assert_int_equal(n_entries(f), 1);
}

/* A target that appears while the file is written is not replaced. */
static void test_output_appears(void **state)
{
    const struct folder *f = *state;
    const char *path = in(f, "target");
    struct output *output = NULL;
    ingot_error error;
    assert_int_equal(output_create(path, false, NULL, &output, &error), INGOT_OK);
    assert_int_equal(output_write(output, "mine", 4, &error), INGOT_OK);
    write_text(path, "theirs");
    assert_int_equal(output_finish(output, &error), INGOT_EXISTS);
    output_close(output);
    check_text(path, "theirs");
    assert_int_equal(n_entries(f), 1);
}

static void test_output_given_up(void **state)
{
    const struct folder *f = *state;
    struct output *output = NULL;
    ingot_writer *writer = NULL;
    ingot_error error;
    assert_int_equal(output_create(in(f, "target"), false, NULL, &output, &error), INGOT_OK);
    assert_int_equal(output_write(output, "half", 4, &error), INGOT_OK);
    assert_int_equal(n_entries(f), 1);
    output_close(output);
    assert_int_equal(n_entries(f), 0);
    output_close(NULL);
    assert_int_equal(
        ingot_writer_create(in(f, "a.ingot"), true, INGOT_COMPRESS_FAST, NULL, &writer, &error),
        INGOT_OK);
    assert_int_equal(ingot_writer_add(writer, "w", INGOT_F16, 2, dims, base_bits, &error),
                     INGOT_OK);
    ingot_writer_close(writer);
    ingot_writer_close(NULL);
    assert_int_equal(n_entries(f), 0);
}

static void test_output_to_odd_targets(void **state)
{
    const struct folder *f = *state;
    struct output *output = NULL;
    ingot_error error;
    assert_int_equal(mkdir(in(f, "folder"), 0777), 0);
    assert_int_equal(output_create(in(f, "folder"), true, NULL, &output, &error), INGOT_REFUSED);
    assert_int_equal(output_create(in(f, "no/where"), true, NULL, &output, &error), INGOT_IO);
    assert_null(output);
    assert_int_equal(rmdir(in(f, "folder")), 0);
    /* Two outputs to one target have two temporary names. */
    struct output *first = NULL;
    assert_int_equal(output_create(in(f, "target"), false, NULL, &first, &error), INGOT_OK);
    assert_int_equal(output_create(in(f, "target"), false, NULL, &output, &error), INGOT_OK);
    assert_int_equal(n_entries(f), 2);
    assert_int_equal(output_finish(first, &error), INGOT_OK);
    assert_int_equal(output_finish(output, &error), INGOT_EXISTS);
    output_close(first);
    output_close(output);
    assert_int_equal(n_entries(f), 1);
}

/* ---- files that refer to files ---- */

/* A patch of "w" in a base: a ref alone, and a ref and an xor. */
static void write_overlay(struct written *w, const uint8_t content_id[16], const char *name)
{
    const struct ingot_coding coding = raw_coding(INGOT_F16);
    const struct writer_term ref = {.kind = TERM_REF, .target = "w", .target_bytes = 1};
    const struct writer_term terms[2] = {
        ref, {.kind = TERM_DENSE, .combine = COMBINE_XOR, .coding = &coding}};
    struct writer_tensor tensor = {.name = "w",
                                   .name_bytes = 1,
                                   .dtype = INGOT_F16,
                                   .rank = 2,
                                   .dims = {2, 3},
                                   .split = 1,
                                   .n_terms = 2,
                                   .terms = terms};
    static struct term_stream streams[TENSOR_MAX_STREAMS];
    const uint8_t *const data[] = {(const uint8_t *)patch_bits};
    struct stream_source source = {streams, 0, data};
    const struct writer_source pull = stream_source(&source);
    uint32_t number = INGOT_NONE;
    ingot_error error;
    written_begin(w, INGOT_COMPRESS_NONE);
    assert_int_equal(ingot_writer_base(w->writer, content_id, name, &number, &error), INGOT_OK);
    assert_int_equal(number, 0);
    assert_int_equal(writer_streams(&tensor, streams, &source.n_streams, &error), INGOT_OK);
    assert_int_equal(ingot_writer_tensor(w->writer, &tensor, &pull, &error), INGOT_OK);
    tensor.name = "same";
    tensor.name_bytes = 4;
    tensor.n_terms = 1;
    source.n_streams = 0;
    assert_int_equal(ingot_writer_tensor(w->writer, &tensor, &pull, &error), INGOT_OK);
    assert_int_equal(ingot_writer_alias(w->writer, "other", 5, 0, &error), INGOT_OK);
    written_end(w);
}

static void check_overlay(const ingot_file *file)
{
    uint16_t found[6];
    float values[6];
    ingot_error error;
    for (uint32_t i = 0; i < 3; i++) {
        assert_false(ingot_file_held_raw(file, i));
        assert_true(ingot_file_has_raw(file, i));
        assert_int_equal(ingot_file_read_raw(file, i, 0, sizeof found, found, &error), INGOT_OK);
        for (uint32_t k = 0; k < 6; k++) {
            assert_int_equal(found[k], base_bits[k] ^ (i == 1 ? 0 : patch_bits[k]));
        }
    }
    /* 2 becomes -2; -3 gets another last bit; a subnormal becomes a number; -0 becomes 0. */
    assert_int_equal(ingot_file_decode_f32(file, 0, 0, 2, values, &error), INGOT_OK);
    static const float patched[6] = {1.0f, -2.0f, -3.001953125f, 1.0009765625f, INFINITY, 0.0f};
    assert_memory_equal(values, patched, sizeof patched);
    assert_int_equal(ingot_file_decode_f32(file, 1, 1, 1, values, &error), INGOT_OK);
    assert_true(values[0] == 0x1p-24f);
}

static void test_base_beside(void **state)
{
    const struct folder *f = *state;
    struct written w;
    ingot_file *base = NULL, *file = NULL;
    ingot_error error;
    write_base(in(f, "base.ingot"), base_bits);
    assert_int_equal(ingot_file_open(in(f, "base.ingot"), NULL, &base, &error), INGOT_OK);
    write_overlay(&w, ingot_file_content_id(base), "base.ingot");
    judge_good(w.bytes.data, w.bytes.n_bytes);
    FILE *out = fopen(in(f, "overlay.ingot"), "wb");
    assert_int_equal(fwrite(w.bytes.data, 1, w.bytes.n_bytes, out), w.bytes.n_bytes);
    fclose(out);
    assert_int_equal(ingot_file_open(in(f, "overlay.ingot"), NULL, &file, &error), INGOT_OK);
    check_overlay(file);
    ingot_file_close(file);
    /* Over a base that is open. */
    const ingot_file *bases[1] = {base};
    assert_int_equal(
        ingot_file_open_over(w.bytes.data, w.bytes.n_bytes, bases, 1, NULL, &file, &error),
        INGOT_OK);
    check_overlay(file);
    ingot_file_close(file);
    ingot_file_close(base);
    written_release(&w);
}

/* Without its base, or with another file of that name, a file opens but has no such values. */
static void test_base_missing(void **state)
{
    const struct folder *f = *state;
    struct written w;
    ingot_file *file = NULL;
    ingot_error error;
    float values[6];
    uint16_t bits[6];
    static const uint8_t id[16] = {1, 2, 3};
    write_base(in(f, "base.ingot"), base_bits);
    write_overlay(&w, id, "base.ingot");
    FILE *out = fopen(in(f, "overlay.ingot"), "wb");
    assert_int_equal(fwrite(w.bytes.data, 1, w.bytes.n_bytes, out), w.bytes.n_bytes);
    fclose(out);
    assert_int_equal(ingot_file_open(in(f, "overlay.ingot"), NULL, &file, &error), INGOT_OK);
    assert_int_equal(ingot_file_decode_f32(file, 0, 0, 2, values, &error), INGOT_NOT_FOUND);
    assert_int_equal(ingot_file_read_raw(file, 0, 0, 12, bits, &error), INGOT_NOT_FOUND);
    assert_false(ingot_file_has_raw(file, 0));
    ingot_file_close(file);
    written_release(&w);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_open),
        IN_FOLDER(test_what_cannot_be_opened),
        IN_FOLDER(test_output_exists),
        IN_FOLDER(test_output_appears),
        IN_FOLDER(test_output_given_up),
        IN_FOLDER(test_output_to_odd_targets),
        IN_FOLDER(test_base_beside),
        IN_FOLDER(test_base_missing),
    };
#undef IN_FOLDER
    return cmocka_run_group_tests(tests, NULL, NULL);
}

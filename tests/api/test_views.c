/* Stored bytes as they lie, and checking them on demand: views, verification, bases, messages. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/reader.h"
#include "tests/support/folder.h"
#include "tests/support/specimen.h"
#include "tests/support/stream_source.h"

static ingot_file *open_bytes(const struct byte_buffer *bytes, const ingot_allocator *allocator)
{
    ingot_file *file = NULL;
    ingot_error error = {.what = ""};
    const ingot_status status =
        ingot_file_open_memory(bytes->data, bytes->n_bytes, allocator, &file, &error);
    if (status != INGOT_OK) fail_msg("%s: %s", error.field, error.what);
    return file;
}

/* ---- views ---- */

enum { VIEW_BYTES = 3 << 20 };
static const uint64_t view_dims[2] = {VIEW_BYTES / 256, 64};
static const uint64_t few[2] = {4, 32};

static void write_views(struct written *w, ingot_compression compression, const void *data)
{
    static const uint64_t none[2] = {0, 4};
    written_begin(w, compression);
    assert_int_equal(ingot_writer_add(w->writer, "f32", INGOT_F32, 2, view_dims, data, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_writer_add(w->writer, "u8", INGOT_U8, 2, few, data, NULL), INGOT_OK);
    assert_int_equal(ingot_writer_add(w->writer, "f4", INGOT_F4_E2M1, 2, few, data, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_writer_add(w->writer, "none", INGOT_F32, 2, none, data, NULL), INGOT_OK);
    assert_int_equal(
        ingot_writer_add_encoded(w->writer, "int8", INGOT_F32, 2, few, data, "int8", NULL),
        INGOT_OK);
    written_end(w);
}

static void check_view_refused(const ingot_file *file, uint32_t tensor, const char *why)
{
    const void *data = NULL;
    ingot_error error = {.what = ""};
    assert_int_equal(ingot_file_view_raw(file, tensor, &data, &error), INGOT_REFUSED);
    assert_null(data);
    if (!strstr(error.what, why)) fail_msg("\"%s\" does not say %s", error.what, why);
}

static void test_views(void **state)
{
    (void)state;
    struct written w;
    const void *data = NULL;
    float *zeros = calloc(1, VIEW_BYTES), *values = malloc(VIEW_BYTES);
    assert_true(zeros && values);
    for (uint32_t i = 0; i < VIEW_BYTES / 4; i++) values[i] = (float)i;
    write_views(&w, INGOT_COMPRESS_NONE, values);
    ingot_file *file = open_bytes(&w.bytes, NULL);
    assert_int_equal(ingot_file_view_raw(file, 0, &data, NULL), INGOT_OK);
    assert_memory_equal(data, values, VIEW_BYTES);
    assert_true((const uint8_t *)data > w.bytes.data);
    assert_true((const uint8_t *)data + VIEW_BYTES <= w.bytes.data + w.bytes.n_bytes);
    assert_int_equal(ingot_file_view_raw(file, 1, &data, NULL), INGOT_OK);
    assert_memory_equal(data, values, 4 * 32);
    assert_int_equal(ingot_file_view_raw(file, 3, &data, NULL), INGOT_OK);
    data = NULL;
    check_view_refused(file, 2, "narrower");
    check_view_refused(file, 4, "not held raw");
    ingot_file_close(file);
    written_release(&w);

    write_views(&w, INGOT_COMPRESS_FAST, zeros);
    file = open_bytes(&w.bytes, NULL);
    check_view_refused(file, 0, "compressed");
    ingot_file_close(file);
    written_release(&w);
    free(values);
    free(zeros);
}

/* ---- verification ---- */

struct heard {
    uint32_t n_warnings;
    char last[512];
};

static void hear(void *context, ingot_log_level level, const char *message)
{
    struct heard *heard = context;
    if (level != INGOT_LOG_WARNING) return;
    heard->n_warnings++;
    snprintf(heard->last, sizeof heard->last, "%s", message);
}

/* Any byte of a tensor's data is missed by its verification and no other's. */
static void test_verification(void **state)
{
    (void)state;
    struct written w;
    struct heard heard = {0};
    const ingot_allocator allocator = {.context = &heard, .log = hear};
    float *values = malloc(VIEW_BYTES);
    assert_non_null(values);
    for (uint32_t i = 0; i < VIEW_BYTES / 4; i++) values[i] = (float)(i * 7919 % 4093);
    write_views(&w, INGOT_COMPRESS_NONE, values);
    ingot_file *file = open_bytes(&w.bytes, &allocator);
    for (uint32_t t = 0; t < ingot_file_n_tensors(file); t++) {
        assert_int_equal(ingot_file_verify(file, t, NULL), INGOT_OK);
    }
    assert_int_equal(ingot_file_verify_all(file, NULL), INGOT_OK);
    assert_int_equal(heard.n_warnings, 0);
    for (uint64_t at = 64; at < VIEW_BYTES; at += VIEW_BYTES / 5) {
        ingot_error error = {.status = INGOT_OK};
        w.bytes.data[at] ^= 4;
        assert_int_equal(ingot_file_verify(file, 0, &error), INGOT_DAMAGED);
        assert_string_equal(error.field, "tensor f32");
        assert_true(error.offset <= at && at - error.offset <= 1 << 20);
        for (uint32_t t = 1; t < ingot_file_n_tensors(file); t++) {
            assert_int_equal(ingot_file_verify(file, t, NULL), INGOT_OK);
        }
        heard.n_warnings = 0;
        error = (ingot_error){.status = INGOT_OK};
        assert_int_equal(ingot_file_verify_all(file, &error), INGOT_DAMAGED);
        assert_int_equal(error.status, INGOT_DAMAGED);
        assert_int_equal(error.rule, 310);
        assert_string_equal(error.field, "tensor f32");
        assert_true(heard.n_warnings >= 1);
        assert_non_null(strstr(heard.last, "R-"));
        w.bytes.data[at] ^= 4;
    }
    ingot_file_close(file);
    written_release(&w);
    free(values);
}

/* Every stream of every form of tensor belongs to what is verified. */
static void test_verified_streams(void **state)
{
    (void)state;
    struct draft d;
    specimen_begin(&d);
    draft_seal(&d);
    ingot_file *file = open_bytes(&d.file, NULL);
    const uint64_t end = d.file.n_bytes - 96 - load_u64(d.file.data + d.file.n_bytes - 88);
    uint32_t n_blamed = 0, n_named = 0;
    for (uint64_t at = 64; at < end; at++) {
        bool blamed = false, named = false;
        d.file.data[at] ^= 1;
        for (uint32_t t = 0; t < N_SPECIMEN_TENSORS; t++) {
            ingot_error error = {.field = ""};
            if (t == TENSOR_REF) continue; /* its base is not at hand */
            blamed |= ingot_file_verify(file, t, &error) == INGOT_DAMAGED;
            named |= strncmp(error.field, "tensor ", 7) == 0;
        }
        /* As many as the validator lays to a tensor or a codebook. */
        ingot_error error = {.field = ""};
        if (ingot_file_verify_all(file, &error) == INGOT_DAMAGED) {
            const bool of_tensor = (strncmp(error.field, "tensor ", 7) == 0 &&
                                    strcmp(error.field, "tensor ref") != 0) ||
                                   strncmp(error.field, "codebook ", 9) == 0;
            if (blamed != of_tensor) fail_msg("byte %d: %s", (int)at, error.field);
        }
        n_blamed += blamed;
        n_named += named;
        d.file.data[at] ^= 1;
    }
    assert_true(n_blamed > 500);
    assert_int_equal(n_named, n_blamed);
    assert_int_not_equal(ingot_file_verify(file, TENSOR_REF, NULL), INGOT_OK);
    ingot_file_close(file);
    draft_release(&d);
}

/* ---- bases ---- */

/* A file of "w", and one whose "w" is that of the first. */
static void write_pair(struct written *base, struct written *overlay, const float *values)
{
    static const struct writer_term term = {.kind = TERM_REF, .target = "w", .target_bytes = 1};
    const struct writer_tensor tensor = {.name = "w",
                                         .name_bytes = 1,
                                         .dtype = INGOT_F32,
                                         .rank = 2,
                                         .dims = {4, 32},
                                         .split = 1,
                                         .n_terms = 1,
                                         .terms = &term};
    const struct writer_source nothing = {NULL, NULL, NULL, false};
    struct writer_term named = term;
    struct writer_tensor referring = tensor;
    written_begin(base, INGOT_COMPRESS_NONE);
    assert_int_equal(ingot_writer_add(base->writer, "w", INGOT_F32, 2, few, values, NULL),
                     INGOT_OK);
    written_end(base);
    written_begin(overlay, INGOT_COMPRESS_NONE);
    ingot_file *file = open_bytes(&base->bytes, NULL);
    assert_int_equal(ingot_writer_base(overlay->writer, ingot_file_content_id(file), "base.ingot",
                                       10, &named.file, NULL),
                     INGOT_OK);
    ingot_file_close(file);
    referring.terms = &named;
    assert_int_equal(ingot_writer_tensor(overlay->writer, &referring, &nothing, NULL), INGOT_OK);
    written_end(overlay);
}

/* A tensor that refers to another is viewed and verified where that lies. */
static void test_bases(void **state)
{
    (void)state;
    struct written base, overlay;
    float values[4 * 32];
    const void *data = NULL;
    ingot_error error = {.field = ""};
    for (uint32_t i = 0; i < 4 * 32; i++) values[i] = (float)i;
    write_pair(&base, &overlay, values);
    ingot_file *below = open_bytes(&base.bytes, NULL), *file = NULL;
    const ingot_file *const bases[1] = {below};
    assert_int_equal(ingot_file_open_over(overlay.bytes.data, overlay.bytes.n_bytes, bases, 1, NULL,
                                          &file, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_file_view_raw(file, 0, &data, NULL), INGOT_OK);
    assert_memory_equal(data, values, sizeof values);
    assert_true((const uint8_t *)data > base.bytes.data);
    assert_true((const uint8_t *)data < base.bytes.data + base.bytes.n_bytes);
    assert_int_equal(ingot_file_verify(file, 0, NULL), INGOT_OK);
    base.bytes.data[(const uint8_t *)data - base.bytes.data] ^= 1;
    assert_int_equal(ingot_file_verify(file, 0, &error), INGOT_DAMAGED);
    assert_string_equal(error.field, "tensor w");
    ingot_file_close(file);
    ingot_file_close(below);
    file = open_bytes(&overlay.bytes, NULL);
    assert_int_equal(ingot_file_view_raw(file, 0, &data, NULL), INGOT_NOT_FOUND);
    assert_int_equal(ingot_file_verify(file, 0, NULL), INGOT_NOT_FOUND);
    ingot_file_close(file);
    written_release(&overlay);
    written_release(&base);
}

static void write_bytes(const char *path, const struct byte_buffer *bytes)
{
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes->data, 1, bytes->n_bytes, stream), bytes->n_bytes);
    assert_int_equal(fclose(stream), 0);
}

/* A base that is missing, or is another file, is no failure: the log hears of it. */
static void test_missing_bases(void **state)
{
    static const float values[4 * 32] = {1};
    struct heard heard = {0};
    const ingot_allocator allocator = {.context = &heard, .log = hear};
    const char *path = folder_path(*state, "overlay.ingot");
    const char *base_path = folder_path(*state, "base.ingot");
    struct written base, overlay;
    ingot_file *file = NULL;
    write_pair(&base, &overlay, values);
    write_bytes(path, &overlay.bytes);
    assert_int_equal(ingot_file_open(path, &allocator, &file, NULL), INGOT_OK);
    assert_int_equal(heard.n_warnings, 1);
    assert_non_null(strstr(heard.last, "base.ingot"));
    ingot_file_close(file);
    write_bytes(base_path, &overlay.bytes);
    assert_int_equal(ingot_file_open(path, &allocator, &file, NULL), INGOT_OK);
    assert_non_null(strstr(heard.last, "another file"));
    ingot_file_close(file);
    write_bytes(base_path, &base.bytes);
    heard.n_warnings = 0;
    assert_int_equal(ingot_file_open(path, &allocator, &file, NULL), INGOT_OK);
    assert_int_equal(heard.n_warnings, 0);
    assert_int_equal(ingot_file_verify(file, 0, NULL), INGOT_OK);
    ingot_file_close(file);
    written_release(&overlay);
    written_release(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_verification),
        cmocka_unit_test(test_verified_streams),
        cmocka_unit_test(test_bases),
        cmocka_unit_test_setup_teardown(test_missing_bases, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Files that refer to other files: refs, patches by xor, sums over a ref, chains, and bases that
 * are missing or another file. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/reader.h"
#include "tests/support/failing_memory.h"
#include "tests/support/folder.h"
#include "tests/support/judge.h"
#include "tests/support/stream_source.h"

static const uint64_t dims[2] = {2, 3};
static const uint16_t base_bits[6] = {0x3c00, 0x4000, 0xc200, 0x0001, 0x7c00, 0x8000};
static const uint16_t patch_bits[6] = {0, 0x8000, 1, 0x3c00, 0, 0x8000};

/* A file of tensors "w" (f16) and "n" (f6_e3m2). */
static void write_base(struct written *w)
{
    static const uint8_t narrow[5] = {0x41, 0x20, 0x0c, 0x3f, 0x05};
    ingot_error error;
    written_begin(w, INGOT_COMPRESS_NONE);
    assert_int_equal(ingot_writer_add(w->writer, "w", INGOT_F16, 2, dims, base_bits, &error),
                     INGOT_OK);
    assert_int_equal(ingot_writer_add(w->writer, "n", INGOT_F6_E3M2, 2, dims, narrow, &error),
                     INGOT_OK);
    written_end(w);
}

static ingot_file *open_bytes(const struct written *w, const ingot_file *base)
{
    ingot_file *file = NULL;
    ingot_error error;
    const ingot_file *bases[1] = {base};
    assert_int_equal(ingot_file_open_over(w->bytes.data, w->bytes.n_bytes, bases, base ? 1 : 0,
                                          NULL, &file, &error),
                     INGOT_OK);
    return file;
}

/* How a tensor of an overlay is made of one of the base. */
struct overlay_tensor {
    const char *name;
    const char *target;
    ingot_dtype dtype;
    uint64_t n_rows, n_cols;
    uint8_t combine;  /* of the second term; COMBINE_FIRST: there is none */
    const void *data; /* of the second term: raw codes of that dtype in one plane or two */
    const void *second_plane;
};

static void add_overlay_tensor(struct written *w, const struct overlay_tensor *o)
{
    static struct term_stream streams[TENSOR_MAX_STREAMS];
    const struct ingot_coding coding = raw_coding(o->dtype);
    const struct writer_term terms[2] = {
        {.kind = TERM_REF, .target = o->target, .target_bytes = (uint32_t)strlen(o->target)},
        {.kind = TERM_DENSE, .combine = o->combine, .coding = &coding}};
    const struct writer_tensor tensor = {.name = o->name,
                                         .name_bytes = (uint32_t)strlen(o->name),
                                         .dtype = o->dtype,
                                         .rank = 2,
                                         .dims = {o->n_rows, o->n_cols},
                                         .split = 1,
                                         .n_terms = o->combine == COMBINE_FIRST ? 1 : 2,
                                         .terms = terms};
    const uint8_t *const data[2] = {o->data, o->second_plane};
    struct stream_source source = {streams, 0, data};
    const struct writer_source pull = stream_source(&source);
    ingot_error error;
    assert_int_equal(writer_streams(&tensor, streams, &source.n_streams, &error), INGOT_OK);
    assert_int_equal(ingot_writer_tensor(w->writer, &tensor, &pull, &error), INGOT_OK);
}

/* A file over the base of that content id. */
static void write_overlay(struct written *w, const uint8_t content_id[16], const char *name,
                          const struct overlay_tensor *tensors, uint32_t n)
{
    uint32_t number = INGOT_NONE, again = INGOT_NONE;
    const uint32_t name_bytes = (uint32_t)strlen(name);
    ingot_error error;
    written_begin(w, INGOT_COMPRESS_NONE);
    assert_int_equal(ingot_writer_base(w->writer, content_id, name, name_bytes, &number, &error),
                     INGOT_OK);
    assert_int_equal(number, 0);
    /* The same base is named once. */
    assert_int_equal(ingot_writer_base(w->writer, content_id, name, name_bytes, &again, &error),
                     INGOT_OK);
    assert_int_equal(again, 0);
    for (uint32_t i = 0; i < n; i++) add_overlay_tensor(w, &tensors[i]);
    written_end(w);
    judge_good(w->bytes.data, w->bytes.n_bytes);
}

static void save(const struct written *w, const char *path)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(w->bytes.data, 1, w->bytes.n_bytes, file), w->bytes.n_bytes);
    assert_int_equal(fclose(file), 0);
}

/* ---- values ---- */

static const uint8_t narrow_patch[3] = {0x21, 0x43, 0x05}; /* 4 bits each */
static const uint8_t narrow_high[2] = {0x1b, 0x02};        /* 2 bits each */
static const struct overlay_tensor overlay[] = {
    {"xor", "w", INGOT_F16, 2, 3, COMBINE_XOR, patch_bits, NULL},
    {"same", "w", INGOT_F16, 2, 3, COMBINE_FIRST, NULL, NULL},
    {"add", "w", INGOT_F16, 2, 3, COMBINE_ADD, patch_bits, NULL},
    {"set", "w", INGOT_F16, 2, 3, COMBINE_SET, patch_bits, NULL},
    {"narrow", "n", INGOT_F6_E3M2, 2, 3, COMBINE_XOR, narrow_patch, narrow_high},
};
enum { N_OVERLAY = sizeof overlay / sizeof *overlay };

static void check_bits(const ingot_file *file, uint32_t index, const uint16_t *patch)
{
    uint16_t found[6];
    ingot_error error;
    assert_false(ingot_file_held_raw(file, index));
    assert_true(ingot_file_has_raw(file, index));
    assert_int_equal(ingot_file_read_raw(file, index, 0, sizeof found, found, &error), INGOT_OK);
    for (uint32_t k = 0; k < 6; k++) {
        assert_int_equal(found[k], base_bits[k] ^ (patch ? patch[k] : 0));
    }
    assert_int_equal(ingot_file_read_raw(file, index, 3, 5, found, &error), INGOT_OK);
    const uint8_t *bytes = (const uint8_t *)found;
    assert_int_equal(bytes[1], (base_bits[2] ^ (patch ? patch[2] : 0)) & 0xff);
}

static void check_values(const ingot_file *file, uint32_t index, const float expected[6])
{
    float found[6];
    ingot_error error;
    assert_int_equal(ingot_file_decode_f32(file, index, 0, 2, found, &error), INGOT_OK);
    assert_memory_equal(found, expected, sizeof found);
    assert_int_equal(ingot_file_decode_f32(file, index, 1, 1, found, &error), INGOT_OK);
    assert_memory_equal(found, expected + 3, 3 * sizeof *found);
}

/* The narrow tensor: 6-bit codes of the base with those of the patch. */
static void check_narrow(const ingot_file *file, const ingot_file *base, uint32_t index)
{
    static const uint8_t patch[6] = {0x31, 0x22, 0x13, 0x04, 0x25, 0x00};
    uint8_t a[5], b[5];
    float values[6], plain[6];
    ingot_error error;
    assert_int_equal(ingot_file_read_raw(base, 1, 0, 5, a, &error), INGOT_OK);
    assert_int_equal(ingot_file_read_raw(file, index, 0, 5, b, &error), INGOT_OK);
    assert_int_equal(ingot_file_decode_f32(file, index, 0, 2, values, &error), INGOT_OK);
    assert_int_equal(ingot_file_decode_f32(base, 1, 0, 2, plain, &error), INGOT_OK);
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t x = 0, y = 0;
        for (uint32_t k = 0; k < 6; k++) {
            x |= (uint32_t)(a[(6 * i + k) / 8] >> (6 * i + k) % 8 & 1) << k;
            y |= (uint32_t)(b[(6 * i + k) / 8] >> (6 * i + k) % 8 & 1) << k;
        }
        assert_int_equal(y, x ^ patch[i]);
        /* Only the last code is not patched. */
        assert_int_equal(values[i] == plain[i], i == 5);
    }
}

static void check_overlay(const ingot_file *file, const ingot_file *base)
{
    /* 2 becomes -2; -3 gets another last bit; a subnormal becomes a number; -0 becomes 0. */
    static const float patched[6] = {1.0f, -2.0f, -3.001953125f, 1.0009765625f, INFINITY, 0.0f};
    static const float same[6] = {1.0f, 2.0f, -3.0f, 0x1p-24f, INFINITY, -0.0f};
    static const float added[6] = {1.0f, 2.0f, -3.0f, 1.0f, INFINITY, -0.0f};
    static const float set[6] = {0.0f, -0.0f, 0x1p-24f, 1.0f, 0.0f, -0.0f};
    float sum[6];
    memcpy(sum, added, sizeof sum);
    sum[2] = -3.0f + 0x1p-24f;
    sum[3] = 0x1p-24f + 1.0f;
    check_bits(file, 0, patch_bits);
    check_bits(file, 1, NULL);
    assert_false(ingot_file_has_raw(file, 2));
    check_values(file, 0, patched);
    check_values(file, 1, same);
    check_values(file, 2, sum);
    check_values(file, 3, set);
    check_narrow(file, base, 4);
}

static void test_base_beside(void **state)
{
    const struct folder *f = *state;
    struct written base_bytes, w;
    ingot_file *file = NULL;
    ingot_error error;
    write_base(&base_bytes);
    save(&base_bytes, folder_path(f, "base.ingot"));
    ingot_file *base = open_bytes(&base_bytes, NULL);
    write_overlay(&w, ingot_file_content_id(base), "base.ingot", overlay, N_OVERLAY);
    save(&w, folder_path(f, "overlay.ingot"));
    assert_int_equal(ingot_file_open(folder_path(f, "overlay.ingot"), NULL, &file, &error),
                     INGOT_OK);
    check_overlay(file, base);
    ingot_file_close(file);
    /* Over a base that is open. */
    file = open_bytes(&w, base);
    check_overlay(file, base);
    ingot_file_close(file);
    ingot_file_close(base);
    written_release(&w);
    written_release(&base_bytes);
}

/* Without its base, or with another file of that name, a file opens but has no such values. */
static void test_base_missing(void **state)
{
    const struct folder *f = *state;
    static const uint8_t other_id[16] = {1, 2, 3};
    struct written base_bytes, w;
    ingot_file *file = NULL;
    ingot_error error;
    float values[6];
    uint16_t bits[6];
    write_base(&base_bytes);
    save(&base_bytes, folder_path(f, "base.ingot"));
    write_overlay(&w, other_id, "base.ingot", overlay, N_OVERLAY);
    save(&w, folder_path(f, "overlay.ingot"));
    assert_int_equal(ingot_file_open(folder_path(f, "overlay.ingot"), NULL, &file, &error),
                     INGOT_OK);
    assert_int_equal(ingot_file_decode_f32(file, 0, 0, 2, values, &error), INGOT_NOT_FOUND);
    assert_non_null(strstr(error.what, "base.ingot"));
    assert_int_equal(ingot_file_read_raw(file, 0, 0, 12, bits, &error), INGOT_NOT_FOUND);
    assert_false(ingot_file_has_raw(file, 0));
    ingot_file_close(file);
    written_release(&w);
    written_release(&base_bytes);
}

/* The validator finds n violations, all of one rule. */
static void check_found(const ingot_file *file, uint32_t rule, uint64_t n)
{
    static struct judgement j;
    judge_file(file, &j);
    assert_int_equal(j.status, INGOT_OK);
    assert_int_equal(j.n_found, n);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(j.found[i].rule, rule);
}

/* A target that is not there, or of another type or shape. */
static void test_other_targets(void **state)
{
    (void)state;
    static const struct overlay_tensor wrong[] = {
        {"missing", "v", INGOT_F16, 2, 3, COMBINE_FIRST, NULL, NULL},
        {"prefix", "", INGOT_F16, 2, 3, COMBINE_FIRST, NULL, NULL},
        {"type", "w", INGOT_BF16, 2, 3, COMBINE_FIRST, NULL, NULL},
        {"shape", "w", INGOT_F16, 3, 2, COMBINE_FIRST, NULL, NULL},
        {"flat", "w", INGOT_F16, 1, 6, COMBINE_FIRST, NULL, NULL},
    };
    struct written base_bytes, w;
    write_base(&base_bytes);
    ingot_file *base = open_bytes(&base_bytes, NULL);
    write_overlay(&w, ingot_file_content_id(base), "base.ingot", wrong, 5);
    ingot_file *file = open_bytes(&w, base);
    for (uint32_t i = 0; i < 5; i++) {
        float values[6];
        ingot_error error;
        assert_int_equal(ingot_file_decode_f32(file, i, 0, 1, values, &error), INGOT_INVALID);
        assert_int_equal(error.rule, 530);
    }
    check_found(file, 530, 5);
    ingot_file_close(file);
    ingot_file_close(base);
    written_release(&w);
    written_release(&base_bytes);
}

/* A patch by xor of a tensor that has values but no exact bits. */
static void test_patch_of_coded(void **state)
{
    (void)state;
    static struct term_stream streams[TENSOR_MAX_STREAMS];
    const struct ingot_coding coding = {
        .map = MAP_UINT, .bits = 16, .codebook_stream = INGOT_NONE, .name = "u16"};
    const struct writer_term term = {.kind = TERM_DENSE, .coding = &coding};
    const struct writer_tensor tensor = {.name = "w",
                                         .name_bytes = 1,
                                         .dtype = INGOT_F16,
                                         .rank = 2,
                                         .dims = {2, 3},
                                         .split = 1,
                                         .n_terms = 1,
                                         .terms = &term};
    const uint8_t *const data[1] = {(const uint8_t *)base_bits};
    struct stream_source source = {streams, 0, data};
    const struct writer_source pull = stream_source(&source);
    struct written base_bytes, w;
    uint16_t bits[6];
    ingot_error error;
    written_begin(&base_bytes, INGOT_COMPRESS_NONE);
    assert_int_equal(writer_streams(&tensor, streams, &source.n_streams, &error), INGOT_OK);
    assert_int_equal(ingot_writer_tensor(base_bytes.writer, &tensor, &pull, &error), INGOT_OK);
    written_end(&base_bytes);
    ingot_file *base = open_bytes(&base_bytes, NULL);
    write_overlay(&w, ingot_file_content_id(base), "base.ingot", overlay, 2);
    ingot_file *file = open_bytes(&w, base);
    assert_int_equal(ingot_file_read_raw(file, 0, 0, 12, bits, &error), INGOT_REFUSED);
    assert_false(ingot_file_has_raw(file, 0));
    assert_false(ingot_file_has_raw(file, 1));
    check_found(file, 502, 1); /* a lone ref may have values only */
    ingot_file_close(file);
    ingot_file_close(base);
    written_release(&w);
    written_release(&base_bytes);
}

/* ---- chains ---- */

/* Files 0 to n - 1, each but the first a lone ref to the one before. */
static void save_chain(const struct folder *f, uint32_t n)
{
    static const struct overlay_tensor link = {"w", "w",           INGOT_F16, 2,
                                               3,   COMBINE_FIRST, NULL,      NULL};
    struct written w;
    char name[32];
    write_base(&w);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%u.ingot", i);
        save(&w, folder_path(f, name));
        ingot_file *file = open_bytes(&w, NULL);
        uint8_t id[16];
        memcpy(id, ingot_file_content_id(file), sizeof id);
        ingot_file_close(file);
        written_release(&w);
        write_overlay(&w, id, name, &link, 1);
    }
    written_release(&w);
}

static void test_chain(void **state)
{
    const struct folder *f = *state;
    ingot_file *file = NULL;
    ingot_error error;
    float values[6];
    save_chain(f, 9);
    assert_int_equal(ingot_file_open(folder_path(f, "7.ingot"), NULL, &file, &error), INGOT_OK);
    assert_int_equal(ingot_file_decode_f32(file, 0, 0, 2, values, &error), INGOT_OK);
    assert_true(values[1] == 2.0f);
    check_bits(file, 0, NULL);
    ingot_file_close(file);
    /* Nine files are one too many. */
    assert_int_equal(ingot_file_open(folder_path(f, "8.ingot"), NULL, &file, &error), INGOT_OK);
    assert_int_equal(ingot_file_decode_f32(file, 0, 0, 2, values, &error), INGOT_NOT_FOUND);
    ingot_file_close(file);
}

/* Memory that runs out while a chain is opened or read. */
static ingot_status read_chain(void *context, const ingot_allocator *allocator, ingot_error *error)
{
    ingot_file *file = NULL;
    float values[6];
    ingot_status status = ingot_file_open(context, allocator, &file, error);
    if (status == INGOT_OK) status = ingot_file_decode_f32(file, 0, 0, 2, values, error);
    ingot_file_close(file);
    return status;
}

static void test_chain_without_memory(void **state)
{
    const struct folder *f = *state;
    char path[160];
    save_chain(f, 3);
    snprintf(path, sizeof path, "%s", folder_path(f, "2.ingot"));
    assert_true(fail_every_allocation(read_chain, path) > 20);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_base_beside),
        IN_FOLDER(test_base_missing),
        cmocka_unit_test(test_other_targets),
        cmocka_unit_test(test_patch_of_coded),
        IN_FOLDER(test_chain),
        IN_FOLDER(test_chain_without_memory),
    };
#undef IN_FOLDER
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tensors of ggml's blocks in a container: written as streams, given back as bytes and as values.
 */
#include "tests/convert/conversions.h"

#include <math.h>

#include "convert/blocks.h"
#include "convert/hash.h"
#include "format/block_tensor.h"
#include "tests/support/block_model.h"
#include "tests/support/random.h"

enum { TQ1_0 = 34 };

struct model_of_blocks {
    struct block_part parts[BLOCK_TYPES_MAX];
    uint32_t n;
};

/* Random blocks; those of digits are made canonical, but for two that are not. */
static void fill(struct block_part *part, struct random *random)
{
    for (uint64_t i = 0; i < part->n_bytes; i++) part->blocks[i] = (uint8_t)random_bits(random);
    if (part->type->id != TQ1_0) return;
    for (uint64_t i = 0; i < part->n_bytes; i++) {
        const uint32_t at = (uint32_t)(i % 54);
        if (at >= 52) continue;
        const uint32_t number = at < 48 ? part->blocks[i] % 243u : part->blocks[i] % 81u * 3;
        part->blocks[i] = (uint8_t)((number * 256 + 242) / 243);
    }
    part->blocks[54 * 17] = 1; /* between the bytes that digits give, 0 and 2 */
    part->blocks[54 * 20 + 51] = 255;
}

/* A container of one tensor of each type, 8 rows of 2560 weights, and its source blob. */
static void write_model(const char *path, struct model_of_blocks *m)
{
    struct random random = {7};
    ingot_writer *writer;
    ingot_error error = {0};
    assert_ok(ingot_writer_create(path, true, INGOT_COMPRESS_FAST, NULL, &writer, &error), &error);
    m->n = block_model_types(m->parts);
    for (uint32_t i = 0; i < m->n; i++) {
        struct block_part *part = &m->parts[i];
        part->n_rows = 8;
        part->n_cols = 2560;
        part->n_bytes = 8 * 2560 / part->type->block_weights * part->type->block_bytes;
        part->blocks = malloc(part->n_bytes);
        assert_non_null(part->blocks);
        fill(part, &random);
    }
    block_model_write(writer, m->parts, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        assert_int_equal(m->parts[i].n_exceptions, m->parts[i].type->id == TQ1_0 ? 2 : 0);
    }
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
}

static void release_model(struct model_of_blocks *m)
{
    for (uint32_t i = 0; i < m->n; i++) free(m->parts[i].blocks);
}

/* The file is valid, which proves its source blob, and is restored to the bytes. */
static void test_restored(void **state)
{
    char *path = scratch_path(state, "blocks.ingot");
    char *back = scratch_path(state, "blocks.bin");
    struct model_of_blocks m = {0};
    struct restore_result result;
    ingot_error error = {0};
    size_t n_bytes;
    write_model(path, &m);
    ingot_file *file = open_valid(path);
    assert_ok(restore_model(file, back, true, 0, NULL, &result, &error), &error);
    uint8_t *bytes = file_read(back, &n_bytes);
    size_t at = 0;
    for (uint32_t i = 0; i < m.n; i++) {
        assert_true(m.parts[i].n_bytes <= n_bytes - at);
        assert_memory_equal(bytes + at, m.parts[i].blocks, m.parts[i].n_bytes);
        at += m.parts[i].n_bytes;
    }
    assert_int_equal(at, n_bytes);
    free(bytes);
    ingot_file_close(file);
    release_model(&m);
    free(back);
    free(path);
}

/* Values of the container are those of the blocks. */
static void test_decoded(void **state)
{
    char *path = scratch_path(state, "blocks.ingot");
    struct model_of_blocks m = {0};
    ingot_error error = {0};
    write_model(path, &m);
    ingot_file *file = open_valid(path);
    for (uint32_t i = 0; i < m.n; i++) {
        const struct block_part *h = &m.parts[i];
        const uint64_t n = h->n_rows * h->n_cols;
        float *expected = malloc(n * sizeof *expected), *found = malloc(n * sizeof *found);
        assert_true(expected && found);
        assert_ok(blocks_decode(h->type->id, h->blocks, h->n_rows, h->n_cols, expected, &error),
                  &error);
        assert_ok(ingot_file_decode_f32(file, i, 0, h->n_rows, found, &error), &error);
        for (uint64_t k = 0; k < n; k++) {
            if (isnan(expected[k]) && isnan(found[k])) continue;
            assert_int_equal(f32_bits(found[k]), f32_bits(expected[k]));
        }
        free(found);
        free(expected);
    }
    ingot_file_close(file);
    release_model(&m);
    free(path);
}

/* Any run of blocks can be had alone. */
static void test_runs(void **state)
{
    char *path = scratch_path(state, "blocks.ingot");
    struct model_of_blocks m = {0};
    struct random random = {3};
    ingot_error error = {0};
    write_model(path, &m);
    ingot_file *file = open_valid(path);
    for (uint32_t i = 0; i < m.n; i++) {
        const struct block_part *h = &m.parts[i];
        const uint64_t n_blocks = h->n_bytes / h->type->block_bytes;
        struct block_tensor t;
        if (h->n_exceptions) continue;
        assert_ok(block_tensor_open(file, i, h->type->id, &t, &error), &error);
        assert_int_equal(block_tensor_open(file, i, h->type->id == 3 ? 2 : 3, &t, NULL),
                         INGOT_REFUSED);
        assert_ok(block_tensor_open(file, i, h->type->id, &t, &error), &error);
        for (uint32_t trial = 0; trial < 20; trial++) {
            const uint64_t first = random_below(&random, n_blocks);
            const uint64_t n = 1 + random_below(&random, n_blocks - first);
            uint8_t *blocks = malloc(n * h->type->block_bytes);
            assert_non_null(blocks);
            assert_ok(block_tensor_read(&t, first, n, blocks, &error), &error);
            assert_memory_equal(blocks, h->blocks + first * h->type->block_bytes,
                                n * h->type->block_bytes);
            free(blocks);
        }
    }
    ingot_file_close(file);
    release_model(&m);
    free(path);
}

/* Too many exceptions, or rows that end within a block, are told and are no failure. */
static void test_not_proved(void **state)
{
    static uint8_t blocks[54 * 64];
    const struct span span = {blocks, sizeof blocks};
    struct block_import import = {
        .type = TQ1_0, .stack = {1, 4, 256 * 16}, .bytes = memory_bytes(&span)};
    ingot_error error = {0};
    (void)state;
    memset(blocks, 1, sizeof blocks);
    assert_ok(block_import_prove(&import, &error), &error);
    assert_non_null(strstr(import.why_not, "not canonical"));
    buffer_release(&import.form);
    import =
        (struct block_import){.type = TQ1_0, .stack = {1, 4, 255}, .bytes = memory_bytes(&span)};
    assert_ok(block_import_prove(&import, &error), &error);
    assert_non_null(strstr(import.why_not, "whole blocks"));
    buffer_release(&import.form);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restored, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_decoded, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_runs, scratch_begin, scratch_end),
        cmocka_unit_test(test_not_proved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

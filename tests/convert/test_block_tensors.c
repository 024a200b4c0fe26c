/* Tensors of ggml's blocks in a container: written as streams, given back as bytes and as values.
 */
#include "tests/convert/conversions.h"

#include <math.h>

#include "convert/blocks.h"
#include "convert/gguf_types.h"
#include "convert/hash.h"
#include "convert/source_blob.h"
#include "format/block_tensor.h"
#include "tests/support/random.h"

enum { TQ1_0 = 34, MAX_BLOCK_TYPES = 32 };

/* The blocks of a type, and where they came from. */
struct held {
    const struct gguf_type *type;
    uint8_t *blocks;
    uint64_t n_rows;
    uint64_t n_cols;
    uint64_t n_bytes;
    uint64_t n_exceptions;
};

struct model_of_blocks {
    struct held held[MAX_BLOCK_TYPES];
    uint32_t n;
    struct byte_buffer source; /* the blob */
    struct byte_buffer bytes;  /* all blocks */
};

static ingot_status read_held(void *context, uint64_t offset, uint64_t n_bytes, void *dst,
                              ingot_error *error)
{
    const struct held *h = context;
    (void)error;
    assert_true(range_within(offset, n_bytes, h->n_bytes));
    memcpy(dst, h->blocks + offset, n_bytes);
    return INGOT_OK;
}

static struct block_import import_of(struct held *h)
{
    return (struct block_import){
        .type = h->type->id,
        .stack = {1, h->n_rows, h->n_cols},
        .bytes = {h, read_held},
    };
}

/* Random blocks; those of digits are made canonical, but for one that is not. */
static void fill(struct held *h, struct random *random)
{
    for (uint64_t i = 0; i < h->n_bytes; i++) h->blocks[i] = (uint8_t)random_bits(random);
    if (h->type->id != TQ1_0) return;
    for (uint64_t i = 0; i < h->n_bytes; i++) {
        const uint32_t at = (uint32_t)(i % 54);
        if (at >= 52) continue;
        const uint32_t number = at < 48 ? h->blocks[i] % 243u : h->blocks[i] % 81u * 3;
        h->blocks[i] = (uint8_t)((number * 256 + 242) / 243);
    }
    h->blocks[54 * 17] = 1; /* between the bytes that digits give, 0 and 2 */
    h->blocks[54 * 20 + 51] = 255;
    h->n_exceptions = 2;
}

static void put_segment(struct byte_buffer *source, uint32_t tensor, struct span form)
{
    buffer_u8(source, SEGMENT_TENSOR);
    buffer_u32(source, tensor);
    buffer_u32(source, (uint32_t)form.n_bytes);
    buffer_append(source, form.data, form.n_bytes);
}

static void add_tensor(struct model_of_blocks *m, struct held *h, struct block_books_written *books)
{
    struct block_import import = import_of(h);
    ingot_error error = {0};
    const struct writer_tensor tensor = {.name = h->type->name,
                                         .name_bytes = (uint32_t)strlen(h->type->name),
                                         .dtype = INGOT_F32,
                                         .rank = 2,
                                         .dims = {h->n_rows, h->n_cols},
                                         .split = 1};
    assert_ok(block_import_prove(&import, &error), &error);
    assert_string_equal(import.why_not, "");
    assert_int_equal(import.n_exceptions, h->n_exceptions);
    assert_ok(block_import_write(&import, &tensor, books, &error), &error);
    put_segment(&m->source, m->n - 1, (struct span){import.form.data, import.form.n_bytes});
    buffer_append(&m->bytes, h->blocks, h->n_bytes);
    buffer_release(&import.form);
}

/* A container of one tensor of each type, 8 rows of 2 x 1280 weights, and its source blob. */
static void write_model(const char *path, struct model_of_blocks *m)
{
    struct random random = {7};
    struct block_books_written books = {0};
    ingot_error error = {0};
    assert_ok(ingot_writer_create(path, true, INGOT_COMPRESS_FAST, NULL, &books.writer, &error),
              &error);
    const struct source_file file = {.name = "blocks.bin", .name_bytes = 10};
    source_begin(&m->source, 1);
    const uint64_t record = m->source.n_bytes;
    source_put_file(&m->source, &file);
    for (uint32_t id = 0; id < 64; id++) {
        if (block_layout_of(id) == NULL) continue;
        struct held *h = &m->held[m->n++];
        *h = (struct held){.type = gguf_type_of(id), .n_rows = 8, .n_cols = 2560};
        h->n_bytes = h->n_rows * h->n_cols / h->type->block_weights * h->type->block_bytes;
        h->blocks = malloc(h->n_bytes);
        assert_non_null(h->blocks);
        fill(h, &random);
        add_tensor(m, h, &books);
    }
    struct source_file known = file;
    known.n_bytes = m->bytes.n_bytes;
    known.n_segments = m->n;
    hash_of(m->bytes.data, m->bytes.n_bytes, known.hash);
    source_patch_file(&m->source, record, &known);
    const struct span blob = {m->source.data, m->source.n_bytes};
    const struct byte_source source = memory_bytes(&blob);
    assert_ok(ingot_writer_blob(books.writer, INGOT_BLOB_SOURCE, NULL, NULL, blob.n_bytes, &source,
                                NULL, &error),
              &error);
    assert_ok(ingot_writer_finish(books.writer, &error), &error);
    ingot_writer_close(books.writer);
}

static void release_model(struct model_of_blocks *m)
{
    for (uint32_t i = 0; i < m->n; i++) free(m->held[i].blocks);
    buffer_release(&m->bytes);
    buffer_release(&m->source);
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
    assert_ok(restore_model(file, back, true, NULL, &result, &error), &error);
    uint8_t *bytes = file_read(back, &n_bytes);
    assert_int_equal(n_bytes, m.bytes.n_bytes);
    assert_memory_equal(bytes, m.bytes.data, n_bytes);
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
        const struct held *h = &m.held[i];
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
        const struct held *h = &m.held[i];
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
    uint8_t blocks[54 * 16];
    struct held h = {gguf_type_of(TQ1_0), blocks, 1, 256 * 16, sizeof blocks, 0};
    ingot_error error = {0};
    (void)state;
    memset(blocks, 1, sizeof blocks);
    struct block_import import = import_of(&h);
    assert_ok(block_import_prove(&import, &error), &error);
    assert_non_null(strstr(import.why_not, "not canonical"));
    buffer_release(&import.form);
    h.n_cols = 255;
    import = import_of(&h);
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

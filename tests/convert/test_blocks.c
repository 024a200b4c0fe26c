/* ggml's block types: apart and together, and their values, against fixtures that hold what ggml's
 * own decoders gave. */
#include "tests/convert/files.h"

#include <math.h>

#include "convert/blocks.h"
#include "tests/support/block_model.h"
#include "tests/support/random.h"

enum { TQ1_0 = 34 };

/* The streams of n_rows rows of n_blocks blocks, between guards. */
struct pieces {
    struct block_coding coding;
    struct stream_shape shapes[CODING_MAX_STREAMS];
    struct block_rows rows;
    uint8_t *guarded[BLOCK_MAX_STREAMS];
    uint8_t *streams[BLOCK_MAX_STREAMS];
};
enum { GUARD_BYTES = 16 };

static ingot_status any_stream(void *context, enum block_book book, uint32_t *stream,
                               ingot_error *error)
{
    (void)context;
    (void)error;
    *stream = book;
    return INGOT_OK;
}

static void pieces_make(struct pieces *p, uint32_t type, uint64_t n_rows, uint64_t n_blocks)
{
    const struct block_books books = {NULL, any_stream};
    const struct block_layout *layout = block_layout_of(type);
    const struct stack_shape stack = {1, n_rows, n_blocks * layout->n_weights};
    uint32_t n_streams;
    assert_int_equal(block_coding_make(type, &books, &p->coding, NULL), INGOT_OK);
    assert_true(coding_streams(&p->coding.coding, stack, p->shapes, &n_streams));
    assert_true(block_streams_fit(layout, stack, p->shapes, n_streams));
    p->rows = (struct block_rows){layout, p->shapes, n_rows, n_blocks};
    for (uint32_t i = 0; i < n_streams; i++) {
        p->guarded[i] = calloc(1, p->shapes[i].n_bytes + 2 * GUARD_BYTES);
        assert_non_null(p->guarded[i]);
        p->streams[i] = p->guarded[i] + GUARD_BYTES;
    }
}

/* Guards, and bits that hold no code, are zero. */
static void assert_zero_around(const struct pieces *p)
{
    static const uint8_t zeros[GUARD_BYTES];
    for (uint32_t i = 0; i < p->rows.layout->n_streams; i++) {
        const struct stream_shape *s = &p->shapes[i];
        assert_memory_equal(p->guarded[i], zeros, GUARD_BYTES);
        assert_memory_equal(p->streams[i] + s->n_bytes, zeros, GUARD_BYTES);
        for (uint64_t r = 0; r < s->n_rows; r++) {
            const uint64_t begin = (r * s->row_bits + s->n_cols * s->bits) / 8;
            for (uint64_t k = begin; k < (r + 1) * s->row_bits / 8; k++) {
                assert_int_equal(p->streams[i][k], 0);
            }
        }
    }
}

static void pieces_free(struct pieces *p)
{
    for (uint32_t i = 0; i < p->rows.layout->n_streams; i++) free(p->guarded[i]);
}

/* A block is as many bits as its streams, and every type of GGUF that is blocks has a layout but
 * for the two that are not for files. */
static void test_table(void **state)
{
    uint32_t n = 0;
    (void)state;
    for (uint32_t id = 0; id < 64; id++) {
        const struct gguf_type *type = gguf_type_of(id);
        const struct block_layout *layout = block_layout_of(id);
        uint32_t bits = 0;
        if (layout == NULL) {
            assert_true(type == NULL || type->dtype != 0 || id == 9 || id == 15);
            continue;
        }
        n++;
        assert_int_equal(layout->n_weights, type->block_weights);
        assert_int_equal(layout->n_bytes, type->block_bytes);
        for (uint32_t i = 0; i < layout->n_streams; i++) {
            assert_int_equal(block_stream_bits(layout, i) % 8, 0);
            bits += block_stream_bits(layout, i);
        }
        /* 52 bytes of digits become 512 bits. */
        assert_int_equal(bits, 8u * layout->n_bytes + (id == TQ1_0 ? 512 - 8 * 52 : 0));
    }
    assert_int_equal(n, 25);
}

/* Any bytes come back, but for digits that are not canonical: those bytes stand for codes that come
 * back. */
static void test_any_bytes(void **state)
{
    struct random random = {1};
    struct block_part parts[BLOCK_TYPES_MAX];
    const uint32_t n_types = block_model_types(parts);
    (void)state;
    for (uint32_t trial = 0; trial < 40 * n_types; trial++) {
        const uint32_t type = parts[trial % n_types].type->id;
        const uint64_t n_rows = 1 + random_below(&random, 5);
        struct pieces first, second;
        pieces_make(&first, type, n_rows, random_below(&random, 10));
        pieces_make(&second, type, n_rows, first.rows.n_blocks);
        const size_t n_bytes = n_rows * first.rows.n_blocks * first.rows.layout->n_bytes;
        uint8_t *blocks = malloc(n_bytes + 1), *again = malloc(n_bytes + 1);
        assert_true(blocks && again);
        for (size_t i = 0; i < n_bytes; i++) blocks[i] = (uint8_t)random_bits(&random);
        again[n_bytes] = 0x5a;
        blocks_apart(&first.rows, blocks, first.streams);
        assert_zero_around(&first);
        assert_true(blocks_together(&first.rows, (const uint8_t *const *)first.streams, again) ==
                    UINT64_MAX);
        assert_int_equal(again[n_bytes], 0x5a);
        if (type != TQ1_0) assert_memory_equal(again, blocks, n_bytes);
        blocks_apart(&second.rows, again, second.streams);
        for (uint32_t i = 0; i < first.rows.layout->n_streams; i++) {
            assert_memory_equal(second.streams[i], first.streams[i], first.shapes[i].n_bytes);
        }
        free(again);
        free(blocks);
        pieces_free(&second);
        pieces_free(&first);
    }
}

/* A code that no digit can say is found, wherever it is. */
static void test_no_digit(void **state)
{
    uint8_t block[54];
    (void)state;
    for (uint32_t weight = 0; weight < 256; weight++) {
        struct pieces p;
        pieces_make(&p, TQ1_0, 2, 1);
        p.streams[0][64 + weight / 4] = (uint8_t)(3u << 2 * (weight % 4));
        uint8_t both[2 * sizeof block];
        assert_true(blocks_together(&p.rows, (const uint8_t *const *)p.streams, both) ==
                    256 + weight);
        pieces_free(&p);
    }
}

static void test_values(void **state)
{
    struct block_part parts[BLOCK_TYPES_MAX];
    const uint32_t n_types = block_model_types(parts);
    (void)state;
    for (uint32_t i = 0; i < n_types; i++) {
        const struct gguf_type *type = parts[i].type;
        uint64_t n_bytes, n_value_bytes;
        uint8_t *blocks = block_fixture_read(type, "blocks", &n_bytes);
        uint8_t *expected = block_fixture_read(type, "values", &n_value_bytes);
        const uint64_t n_blocks = n_bytes / type->block_bytes;
        const uint64_t n = n_blocks * type->block_weights;
        assert_int_equal(n_bytes, n_blocks * type->block_bytes);
        assert_int_equal(n_value_bytes, n * 4);
        assert_true(n_blocks >= 10);
        float *values = malloc(n * sizeof *values);
        assert_non_null(values);
        assert_int_equal(blocks_decode(type->id, blocks, 2, n / 2, values, NULL), INGOT_OK);
        for (uint64_t k = 0; k < n; k++) {
            const uint32_t found = isnan(values[k]) ? 0x7fc00000u : f32_bits(values[k]);
            if (found == load_u32(expected + 4 * k)) continue;
            fail_msg("%s: value %llu of block %llu is %g, not %g", type->name,
                     (unsigned long long)(k % type->block_weights),
                     (unsigned long long)(k / type->block_weights), (double)values[k],
                     (double)load_f32(expected + 4 * k));
        }
        free(values);
        free(expected);
        free(blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_no_digit),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

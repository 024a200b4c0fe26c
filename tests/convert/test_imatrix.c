/* Importance files: what is read, what is refused, and that conversions use it. */
#include "tests/convert/trips.h"

#include <math.h>

#include "convert/imatrix.h"
#include "format/alloc.h"
#include "format/buffer.h"
#include "format/bytes.h"
#include "tests/support/gguf_maker.h"

static void put_entry(struct byte_buffer *b, const char *name, uint32_t n_calls, uint32_t n,
                      const float *values)
{
    buffer_u32(b, (uint32_t)strlen(name));
    buffer_append(b, name, strlen(name));
    buffer_u32(b, n_calls);
    buffer_u32(b, n);
    buffer_append(b, values, n * sizeof *values);
}

static struct byte_buffer example(void)
{
    static const float four[] = {1.0f, 3.0f, 0.0f, 4.0f};
    static const float none[] = {0.0f, 0.0f};
    static const float bad[] = {1.0f, -1.0f, 1.0f, 1.0f};
    struct byte_buffer b = {0};
    buffer_u32(&b, 4);
    put_entry(&b, "w", 10, 4, four);
    put_entry(&b, "blk.3.ffn_down.weight", 10, 4, four);
    put_entry(&b, "unseen", 0, 2, none);
    put_entry(&b, "bad", 1, 4, bad);
    assert_false(b.failed);
    return b;
}

static ingot_status parse(const struct byte_buffer *b, uint64_t n_bytes, struct imatrix **m,
                          ingot_error *error)
{
    /* In an allocation of exactly that size, for the sanitizer to see. */
    uint8_t *exact = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(exact);
    memcpy(exact, b->data, n_bytes);
    const ingot_status status = imatrix_parse((struct span){exact, n_bytes}, m, error);
    if (status != INGOT_OK) {
        free(exact);
        return status;
    }
    imatrix_close(*m);
    free(exact);
    return imatrix_parse((struct span){b->data, n_bytes}, m, error);
}

static void test_weights(void **state)
{
    (void)state;
    struct byte_buffer b = example();
    struct imatrix *m;
    ingot_error error = {0};
    float *w;
    assert_ok(parse(&b, b.n_bytes, &m, &error), &error);
    assert_int_equal(imatrix_n_entries(m), 4);
    assert_ok(imatrix_weights(m, "w", 1, 1, 4, &w, &error), &error);
    /* The mean is 2, and a hundredth of it the floor. */
    assert_true(fabsf(w[0] - 0.51f / 1.01f) < 1e-6f && fabsf(w[1] - 1.51f / 1.01f) < 1e-6f);
    assert_true(fabsf(w[2] - 0.01f / 1.01f) < 1e-7f && fabsf(w[3] - 2.01f / 1.01f) < 1e-6f);
    ingot_release(NULL, w);
    /* The same for two matrices, and one each for two. */
    assert_ok(imatrix_weights(m, "w", 1, 2, 4, &w, &error), &error);
    assert_true(w[4] == w[0] && w[7] == w[3]);
    ingot_release(NULL, w);
    assert_ok(imatrix_weights(m, "w", 1, 2, 2, &w, &error), &error);
    assert_true(fabsf(w[2] - 0.01f / 1.01f) < 1e-7f && fabsf(w[0] - 0.51f / 1.01f) < 1e-6f);
    ingot_release(NULL, w);
    assert_ok(imatrix_weights(m, "unseen", 6, 1, 2, &w, &error), &error);
    assert_true(w[0] == 1.0f && w[1] == 1.0f);
    ingot_release(NULL, w);
    const char *name = "model.layers.3.mlp.down_proj.weight";
    assert_ok(imatrix_weights(m, name, (uint32_t)strlen(name), 1, 4, &w, &error), &error);
    assert_non_null(w);
    ingot_release(NULL, w);
    assert_ok(imatrix_weights(m, "v", 1, 1, 4, &w, &error), &error);
    assert_null(w);
    assert_int_equal(imatrix_weights(m, "w", 1, 1, 5, &w, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "4 values for 5 columns"));
    assert_int_equal(imatrix_weights(m, "bad", 3, 1, 4, &w, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "value 1 "));
    imatrix_close(m);
    buffer_release(&b);
}

static void test_damaged(void **state)
{
    (void)state;
    struct byte_buffer b = example();
    struct imatrix *m;
    for (uint64_t n = 0; n < b.n_bytes; n++) {
        ingot_error error = {0};
        assert_int_equal(parse(&b, n, &m, &error), INGOT_INVALID);
    }
    /* Counts that lie: of entries, of a name's bytes, of values. */
    static const uint64_t places[] = {0, 4, 13};
    static const uint32_t lies[] = {0xffffffffu, 0x7fffffffu, 0x40000000u, 5};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (size_t k = 0; k < sizeof lies / sizeof *lies; k++) {
            const uint32_t was = load_u32(b.data + places[i]);
            store_u32(b.data + places[i], lies[k]);
            assert_int_not_equal(parse(&b, b.n_bytes, &m, NULL), INGOT_OK);
            store_u32(b.data + places[i], was);
        }
    }
    memcpy(b.data, "GGUF", 4);
    assert_int_not_equal(parse(&b, b.n_bytes, &m, NULL), INGOT_OK);
    buffer_release(&b);
}

/* The GGUF form: the entry of a matrix and that of a stack of two. */
static void make_gguf_form(struct gguf_maker *m, uint32_t type, bool big_endian)
{
    static const float sums[] = {1.0f, 3.0f, 0.0f, 4.0f, 5.0f, 7.0f, 0.0f, 4.0f};
    const uint64_t ne[] = {4, 2};
    const uint64_t one[] = {1};
    make_gguf(m, 3, big_endian, 3, 0);
    make_tensor(m, "w.in_sum2", 1, ne, type, 0);
    make_tensor(m, "w.counts", 1, one, 0, 32);
    make_tensor(m, "experts.in_sum2", 2, ne, type, 64);
    make_aligned(m, 32);
    buffer_append(&m->bytes, sums, 16);
    make_aligned(m, 32);
    make_number(m, 0x45000000, 4);
    make_aligned(m, 32);
    buffer_append(&m->bytes, sums, sizeof sums);
}

static void test_gguf_form(void **state)
{
    (void)state;
    struct gguf_maker g = {0};
    struct imatrix *m;
    ingot_error error = {0};
    float *w;
    make_gguf_form(&g, 0, false);
    assert_ok(parse(&g.bytes, g.bytes.n_bytes, &m, &error), &error);
    assert_int_equal(imatrix_n_entries(m), 2);
    assert_ok(imatrix_weights(m, "w", 1, 1, 4, &w, &error), &error);
    assert_true(fabsf(w[0] - 0.51f / 1.01f) < 1e-6f && fabsf(w[2] - 0.01f / 1.01f) < 1e-7f);
    ingot_release(NULL, w);
    assert_ok(imatrix_weights(m, "experts", 7, 2, 4, &w, &error), &error);
    assert_true(fabsf(w[1] - 1.51f / 1.01f) < 1e-6f);
    assert_true(fabsf(w[5] - 1.76f / 1.01f) < 1e-6f); /* 7 of a mean of 4 */
    ingot_release(NULL, w);
    imatrix_close(m);
    for (uint64_t n = 0; n < g.bytes.n_bytes; n++) {
        assert_int_equal(parse(&g.bytes, n, &m, NULL), INGOT_INVALID);
    }
    make_end(&g);
    make_gguf_form(&g, 26, false); /* i32 */
    assert_int_equal(parse(&g.bytes, g.bytes.n_bytes, &m, &error), INGOT_INVALID);
    assert_non_null(strstr(error.what, "not a list of f32"));
    make_end(&g);
    make_gguf_form(&g, 0, true);
    assert_int_equal(parse(&g.bytes, g.bytes.n_bytes, &m, &error), INGOT_UNSUPPORTED);
    make_end(&g);
    make_gguf(&g, 3, false, 0, 0);
    assert_int_equal(parse(&g.bytes, g.bytes.n_bytes, &m, &error), INGOT_INVALID);
    assert_non_null(strstr(error.what, ".in_sum2"));
    make_end(&g);
}

/* Columns of importance lose less, and the receipt says what was weighed. */
static void test_conversion(void **state)
{
    enum { ROWS = 32, COLS = 256 };
    float importance[COLS];
    double noise[2][2] = {{0}};
    float *w = random_values(1, ROWS * COLS);
    char *source = scratch_path(state, "w.safetensors");
    char *target = scratch_path(state, "w.ingot");
    char *path = scratch_path(state, "w.dat");
    struct byte_buffer b = {0};
    for (int c = 0; c < COLS; c++) importance[c] = c % 4 == 0 ? 20.0f : 1.0f;
    buffer_u32(&b, 1);
    put_entry(&b, "w", 1, COLS, importance);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b.data, 1, b.n_bytes, file), b.n_bytes);
    assert_int_equal(fclose(file), 0);
    write_matrix(source, ROWS, COLS, w);
    for (int weighted = 0; weighted < 2; weighted++) {
        const struct convert_options options = {
            .encode = "int4", .imatrix = weighted ? path : NULL, .replace = true};
        struct convert_result result;
        struct model *model;
        ingot_error error = {0};
        float values[ROWS * COLS];
        const char *paths = source;
        assert_ok(model_open(&paths, 1, NULL, &model, &error), &error);
        assert_ok(convert_model(model, target, &options, &result, &error), &error);
        assert_int_equal(result.n_unweighted, 0);
        model_close(model);
        ingot_file *opened = open_valid(target);
        assert_ok(ingot_file_decode_f32(opened, 0, 0, ROWS, values, &error), &error);
        ingot_file_close(opened);
        for (int i = 0; i < ROWS * COLS; i++) {
            const double d = (double)values[i] - (double)w[i];
            noise[weighted][i % COLS % 4 == 0] += d * d;
        }
    }
    assert_true(noise[1][1] < 0.8 * noise[0][1]);
    assert_true(20 * noise[1][1] + noise[1][0] < 0.9 * (20 * noise[0][1] + noise[0][0]));
    buffer_release(&b);
    free(path);
    free(target);
    free(source);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_gguf_form),
        cmocka_unit_test(test_conversion),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

/* What goes into a file comes out of it: raw tensors of every type and shape, odd names, many
 * tensors, long rows; equal bytes once; every way of compressing; the same bytes twice. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/reader.h"
#include "tests/support/formula.h"
#include "tests/support/judge.h"
#include "tests/support/random.h"
#include "tests/support/stream_source.h"

static const ingot_dtype dtypes[] = {
    INGOT_F64,         INGOT_F32,         INGOT_F16,     INGOT_BF16,    INGOT_F8_E5M2,
    INGOT_F8_E4M3,     INGOT_F6_E3M2,     INGOT_F6_E2M3, INGOT_F4_E2M1, INGOT_F8_E8M0,
    INGOT_F8_E4M3FNUZ, INGOT_F8_E5M2FNUZ, INGOT_I8,      INGOT_I16,     INGOT_I32,
    INGOT_I64,         INGOT_U8,          INGOT_U16,     INGOT_U32,     INGOT_U64,
    INGOT_BOOL,        INGOT_C64,
};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

/* The table of [5.3]. */
static void test_dtypes(void **state)
{
    (void)state;
    static const struct {
        int id;
        const char *name;
        uint32_t bits;
    } rows[] = {
        {1, "f64", 64},    {2, "f32", 32},     {3, "f16", 16},         {4, "bf16", 16},
        {5, "f8_e5m2", 8}, {6, "f8_e4m3", 8},  {7, "f6_e3m2", 6},      {8, "f6_e2m3", 6},
        {9, "f4_e2m1", 4}, {10, "f8_e8m0", 8}, {11, "f8_e4m3fnuz", 8}, {12, "f8_e5m2fnuz", 8},
        {16, "i8", 8},     {17, "i16", 16},    {18, "i32", 32},        {19, "i64", 64},
        {20, "u8", 8},     {21, "u16", 16},    {22, "u32", 32},        {23, "u64", 64},
        {24, "bool", 8},   {25, "c64", 64},
    };
    size_t i = 0;
    for (int id = 0; id < 300; id++) {
        if (i < sizeof rows / sizeof *rows && rows[i].id == id) {
            assert_string_equal(ingot_dtype_name((ingot_dtype)id), rows[i].name);
            assert_int_equal(ingot_dtype_bits((ingot_dtype)id), rows[i].bits);
            i++;
        } else {
            assert_null(ingot_dtype_name((ingot_dtype)id));
            assert_int_equal(ingot_dtype_bits((ingot_dtype)id), 0);
        }
    }
    assert_int_equal(ingot_raw_bytes(INGOT_F6_E3M2, 5), 4);
    assert_int_equal(ingot_raw_bytes(INGOT_F4_E2M1, 3), 2);
    assert_int_equal(ingot_raw_bytes(INGOT_C64, 3), 24);
    assert_int_equal(ingot_raw_bytes(INGOT_F64, 0), 0);
}

/* n_bytes random bytes, to be freed; those past the last element's bits are zero. */
static uint8_t *random_elements(struct random *random, ingot_dtype dtype, uint64_t n)
{
    const uint64_t n_bytes = ingot_raw_bytes(dtype, n);
    const uint64_t n_bits = n * ingot_dtype_bits(dtype);
    uint8_t *data = malloc(n_bytes + 1);
    for (uint64_t i = 0; i < n_bytes; i++) data[i] = (uint8_t)random_bits(random);
    if (n_bits % 8) data[n_bytes - 1] = (uint8_t)(data[n_bytes - 1] & ((1u << n_bits % 8) - 1));
    return data;
}

static void add(struct written *w, const char *name, ingot_dtype dtype, uint32_t rank,
                const uint64_t *dims, const void *data)
{
    ingot_error error;
    const ingot_status status = ingot_writer_add(w->writer, name, dtype, rank, dims, data, &error);
    if (status != INGOT_OK) fail_msg("%s: %s: %s", name, error.field, error.what);
}

static ingot_file *open_written(struct written *w)
{
    ingot_file *file = NULL;
    ingot_error error;
    written_end(w);
    judge_good(w->bytes.data, w->bytes.n_bytes);
    assert_int_equal(ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, NULL, &file, &error),
                     INGOT_OK);
    return file;
}

/* The whole tensor and some ranges of its bytes are those of `data`. */
static void check_raw(const ingot_file *file, uint32_t index, const uint8_t *data, uint64_t n_bytes,
                      struct random *random)
{
    uint8_t *found = malloc(n_bytes + 1);
    ingot_error error;
    assert_true(ingot_file_held_raw(file, index));
    assert_int_equal(ingot_file_read_raw(file, index, 0, n_bytes, found, &error), INGOT_OK);
    if (n_bytes) assert_memory_equal(found, data, n_bytes);
    for (int i = 0; i < 3 && n_bytes; i++) {
        const uint64_t offset = random_below(random, n_bytes);
        const uint64_t n = 1 + random_below(random, n_bytes - offset);
        assert_int_equal(ingot_file_read_raw(file, index, offset, n, found, &error), INGOT_OK);
        assert_memory_equal(found, data + offset, n);
    }
    assert_int_equal(ingot_file_read_raw(file, index, n_bytes, 1, found, &error), INGOT_INVALID);
    free(found);
}

/* Decoding a raw tensor gives the f32 values of its elements, rounded at most. */
static float element_value(ingot_dtype dtype, const uint8_t *data, uint64_t i)
{
    const uint32_t bits = ingot_dtype_bits(dtype);
    uint64_t code = 0;
    for (uint32_t b = 0; b < bits; b++) {
        const uint64_t bit = i * bits + b;
        code |= (uint64_t)(data[bit / 8] >> (bit % 8) & 1) << b;
    }
    if (dtype <= INGOT_F8_E5M2FNUZ) return (float)formula_float(dtype, code);
    const bool negative = dtype <= INGOT_I64 && (code >> (bits - 1) & 1);
    const uint64_t whole = bits == 64 ? 0 : UINT64_C(1) << bits;
    return formula_integer(negative ? whole - code : code, negative);
}

static void check_values(const ingot_file *file, uint32_t index, const uint8_t *data)
{
    ingot_tensor t;
    ingot_error error;
    ingot_file_tensor(file, index, &t);
    const uint64_t n_rows = t.n_matrices * t.n_rows;
    float *values = malloc(n_rows * t.n_cols * sizeof *values + 1);
    const ingot_status status = ingot_file_decode_f32(file, index, 0, n_rows, values, &error);
    if (t.dtype == INGOT_C64 && n_rows * t.n_cols > 0) {
        assert_int_equal(status, INGOT_UNSUPPORTED);
    } else {
        assert_int_equal(status, INGOT_OK);
        for (uint64_t i = 0; i < n_rows * t.n_cols; i++) {
            assert_true(same_f32(values[i], element_value(t.dtype, data, i)));
        }
    }
    free(values);
}

/* Every type in every rank, with a dimension of 0 now and then. */
static void test_types_and_ranks(void **state)
{
    (void)state;
    struct random random = {1};
    struct written w;
    uint8_t *data[N_DTYPES * 10];
    uint64_t n_elements[N_DTYPES * 10];
    char name[32];
    uint32_t n = 0;
    written_begin(&w, INGOT_COMPRESS_FAST);
    for (uint32_t i = 0; i < N_DTYPES; i++) {
        for (uint32_t rank = 0; rank <= 8; rank++, n++) {
            uint64_t dims[8] = {0};
            n_elements[n] = 1;
            for (uint32_t k = 0; k < rank; k++) {
                dims[k] = random_one_in(&random, 12) ? 0 : 1 + random_below(&random, k < 2 ? 9 : 3);
                n_elements[n] *= dims[k];
            }
            data[n] = random_elements(&random, dtypes[i], n_elements[n]);
            snprintf(name, sizeof name, "%u.%u", i, rank);
            add(&w, name, dtypes[i], rank, dims, data[n]);
        }
    }
    ingot_file *file = open_written(&w);
    assert_int_equal(ingot_file_n_tensors(file), n);
    for (uint32_t i = 0; i < n; i++) {
        ingot_tensor t;
        ingot_file_tensor(file, i, &t);
        assert_int_equal(t.dtype, dtypes[i / 9]);
        assert_int_equal(t.rank, i % 9);
        assert_int_equal(t.n_matrices * t.n_rows * t.n_cols, n_elements[i]);
        check_raw(file, i, data[i], ingot_raw_bytes(t.dtype, n_elements[i]), &random);
        check_values(file, i, data[i]);
        free(data[i]);
    }
    ingot_file_close(file);
    written_release(&w);
}

/* ---- names ---- */

static void test_odd_names(void **state)
{
    (void)state;
    static char long_name[65536];
    static const struct {
        const char *bytes;
        uint32_t n_bytes;
    } names[] = {
        {"", 0},
        {"a", 1},
        {"a\0b", 3},
        {"a\0", 2},
        {"\0", 1},
        {"\xff\xfe", 2},
        {"a/b\\c:\n", 7},
        {"ab", 2},
        {"\x80", 1},
        {"\x7f", 1},
        {"\xc3\xa9t\xc3\xa9", 5},
        {"aa", 2},
        {long_name, sizeof long_name},
        {"a b", 3},
    };
    enum { N_NAMES = sizeof names / sizeof *names };
    struct written w;
    ingot_error error;
    memset(long_name, 'x', sizeof long_name);
    written_begin(&w, INGOT_COMPRESS_NONE);
    for (uint32_t i = 0; i < N_NAMES; i++) {
        const uint8_t data[1] = {(uint8_t)i};
        const struct span span = {data, 1};
        const struct byte_source source = memory_bytes(&span);
        const struct writer_tensor tensor = {
            .name = names[i].bytes, .name_bytes = names[i].n_bytes, .dtype = INGOT_U8};
        assert_int_equal(ingot_writer_raw(w.writer, &tensor, &source, &error), INGOT_OK);
    }
    ingot_file *file = open_written(&w);
    for (uint32_t i = 0; i < N_NAMES; i++) {
        uint32_t index = INGOT_NONE;
        uint8_t value = 0xee;
        ingot_tensor t;
        assert_int_equal(ingot_file_find(file, names[i].bytes, names[i].n_bytes, &index), INGOT_OK);
        assert_int_equal(index, i);
        ingot_file_tensor(file, index, &t);
        assert_int_equal(t.name_bytes, names[i].n_bytes);
        assert_memory_equal(t.name, names[i].bytes, names[i].n_bytes);
        assert_int_equal(ingot_file_read_raw(file, index, 0, 1, &value, &error), INGOT_OK);
        assert_int_equal(value, i);
    }
    uint32_t index = 77;
    assert_int_equal(ingot_file_find(file, "abc", 3, &index), INGOT_NOT_FOUND);
    assert_int_equal(ingot_file_find(file, "a\0c", 3, &index), INGOT_NOT_FOUND);
    assert_int_equal(ingot_file_find(file, long_name, sizeof long_name - 1, &index),
                     INGOT_NOT_FOUND);
    assert_int_equal(index, 77);
    ingot_file_close(file);
    written_release(&w);
}

/* What the writer does not take. */
static void test_refused_tensors(void **state)
{
    (void)state;
    static char long_name[65538];
    static const uint8_t data[64];
    const uint64_t dims[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const uint64_t huge[2] = {UINT64_C(1) << 40, UINT64_C(1) << 40};
    memset(long_name, 'x', sizeof long_name - 1);
    const struct {
        const char *name;
        ingot_dtype dtype;
        uint32_t rank;
        const uint64_t *dims;
        uint32_t rule;
    } rows[] = {
        {"there", INGOT_U8, 0, dims, 606},       {long_name, INGOT_U8, 0, dims, 211},
        {"nine", INGOT_U8, 9, dims, 602},        {"large", INGOT_U8, 2, huge, 603},
        {"type", (ingot_dtype)13, 1, dims, 601},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct written w;
        ingot_error error;
        written_begin(&w, INGOT_COMPRESS_NONE);
        add(&w, "there", INGOT_U8, 1, dims, data);
        assert_int_equal(ingot_writer_add(w.writer, rows[i].name, rows[i].dtype, rows[i].rank,
                                          rows[i].dims, data, &error),
                         INGOT_INVALID);
        assert_int_equal(error.rule, rows[i].rule);
        written_release(&w);
    }
}

static void test_aliases(void **state)
{
    (void)state;
    const uint64_t dims[2] = {2, 2};
    struct written w;
    ingot_error error;
    ingot_tensor t;
    uint8_t found[4];
    written_begin(&w, INGOT_COMPRESS_NONE);
    assert_int_equal(ingot_writer_alias(w.writer, "none", 4, 0, &error), INGOT_INVALID);
    assert_int_equal(error.rule, 605);
    add(&w, "first", INGOT_U8, 2, dims, "abcd");
    assert_int_equal(ingot_writer_alias(w.writer, "second", 6, 0, &error), INGOT_OK);
    assert_int_equal(ingot_writer_alias(w.writer, "third", 5, 1, &error), INGOT_OK);
    assert_int_equal(ingot_writer_alias(w.writer, "fourth", 6, 3, &error), INGOT_INVALID);
    ingot_file *file = open_written(&w);
    assert_int_equal(ingot_file_n_tensors(file), 3);
    for (uint32_t i = 0; i < 3; i++) {
        ingot_file_tensor(file, i, &t);
        assert_int_equal(t.alias_of, i == 0 ? INGOT_NONE : 0);
        assert_int_equal(t.coded_bytes, 4);
        assert_int_equal(ingot_file_read_raw(file, i, 0, 4, found, &error), INGOT_OK);
        assert_memory_equal(found, "abcd", 4);
    }
    ingot_file_close(file);
    written_release(&w);
}

/* ---- many, long, equal ---- */

static void test_many_tensors(void **state)
{
    (void)state;
    enum { N = 2000 };
    struct written w;
    char name[32];
    written_begin(&w, INGOT_COMPRESS_NONE);
    for (uint32_t i = 0; i < N; i++) {
        const uint64_t dims[2] = {1, 3};
        const uint32_t values[3] = {i, i * i, ~i};
        /* Not in the order of names. */
        snprintf(name, sizeof name, "layers.%u.w", i * 7919 % N);
        add(&w, name, INGOT_U32, 2, dims, values);
    }
    ingot_file *file = open_written(&w);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t index = INGOT_NONE, values[3] = {0};
        ingot_error error;
        snprintf(name, sizeof name, "layers.%u.w", i * 7919 % N);
        assert_int_equal(ingot_file_find(file, name, strlen(name), &index), INGOT_OK);
        assert_int_equal(index, i);
        assert_int_equal(ingot_file_read_raw(file, index, 0, 12, values, &error), INGOT_OK);
        assert_int_equal(values[0], i);
        assert_int_equal(values[2], ~i);
    }
    ingot_file_close(file);
    written_release(&w);
}

/* Rows longer than a slab, and rows that do not divide one. */
static void check_long_rows(ingot_compression compression, uint64_t n_rows, uint64_t n_cols,
                            ingot_dtype dtype)
{
    struct random random = {n_cols};
    const uint64_t dims[2] = {n_rows, n_cols};
    const uint64_t n_bytes = ingot_raw_bytes(dtype, n_rows * n_cols);
    uint8_t *data = random_elements(&random, dtype, n_rows * n_cols);
    struct written w;
    /* Half of it can be compressed. */
    memset(data, 0, n_bytes / 2);
    written_begin(&w, compression);
    add(&w, "long", dtype, 2, dims, data);
    ingot_file *file = open_written(&w);
    check_raw(file, 0, data, n_bytes, &random);
    float *row = malloc(n_cols * sizeof *row);
    ingot_error error;
    assert_int_equal(ingot_file_decode_f32(file, 0, n_rows, 1, row, &error), INGOT_INVALID);
    assert_int_equal(ingot_file_decode_f32(file, 0, n_rows - 1, 1, row, &error), INGOT_OK);
    for (uint64_t i = 0; i < n_cols; i += 997) {
        assert_true(same_f32(row[i], element_value(dtype, data, (n_rows - 1) * n_cols + i)));
    }
    free(row);
    ingot_file_close(file);
    written_release(&w);
    free(data);
}

static void test_long_rows(void **state)
{
    (void)state;
    check_long_rows(INGOT_COMPRESS_NONE, 2, 1300017, INGOT_U8);
    check_long_rows(INGOT_COMPRESS_FAST, 2, 1300017, INGOT_U8);
    check_long_rows(INGOT_COMPRESS_NONE, 1, 300001, INGOT_F32);
    check_long_rows(INGOT_COMPRESS_FAST, 1500, 999, INGOT_BF16);
    check_long_rows(INGOT_COMPRESS_NONE, 3, 1000003, INGOT_F6_E3M2);
    check_long_rows(INGOT_COMPRESS_FAST, 1, 2300001, INGOT_F4_E2M1);
}

/* The size of a file with two tensors of 100,000 random bytes, equal or not. */
static uint64_t size_of_two(bool equal, ingot_compression compression)
{
    struct random random = {3};
    const uint64_t dims[2] = {100, 1000};
    uint8_t *data = random_elements(&random, INGOT_U8, 100000);
    struct written w;
    written_begin(&w, compression);
    add(&w, "a", INGOT_U8, 2, dims, data);
    if (!equal) data[99999] ^= 1;
    add(&w, "b", INGOT_U8, 2, dims, data);
    ingot_file *file = open_written(&w);
    check_raw(file, 1, data, 100000, &random);
    const uint64_t n_bytes = w.bytes.n_bytes;
    ingot_file_close(file);
    written_release(&w);
    free(data);
    return n_bytes;
}

static void test_equal_once(void **state)
{
    (void)state;
    const uint64_t once = size_of_two(true, INGOT_COMPRESS_NONE);
    const uint64_t twice = size_of_two(false, INGOT_COMPRESS_NONE);
    assert_in_range(once, 100000, 102000);
    assert_in_range(twice, once + 99000, once + 101000);
    assert_in_range(size_of_two(true, INGOT_COMPRESS_FAST), 100000, 102000);
}

/* ---- compression and determinism ---- */

static void write_mixed(struct written *w, ingot_compression compression)
{
    struct random random = {4};
    const uint64_t dims[3] = {4, 50, 64};
    written_begin(w, compression);
    for (uint32_t i = 0; i < 6; i++) {
        char name[16];
        uint8_t *data = random_elements(&random, INGOT_F16, 4 * 50 * 64);
        /* Some tensors can be compressed and some cannot. */
        for (uint32_t k = 0; k < 25600 && i % 2; k++) data[k] = (uint8_t)(data[k] & 0x11);
        snprintf(name, sizeof name, "mixed.%u", i);
        add(w, name, INGOT_F16, 3, dims, data);
        free(data);
    }
    ingot_error error;
    assert_int_equal(ingot_writer_attach(w->writer, "a.txt", "text", 4, &error), INGOT_OK);
    written_end(w);
}

static void test_compression(void **state)
{
    (void)state;
    struct written none, fast, max;
    ingot_file *a = NULL, *b = NULL;
    ingot_error error;
    write_mixed(&none, INGOT_COMPRESS_NONE);
    write_mixed(&fast, INGOT_COMPRESS_FAST);
    write_mixed(&max, INGOT_COMPRESS_MAX);
    judge_good(fast.bytes.data, fast.bytes.n_bytes);
    judge_good(max.bytes.data, max.bytes.n_bytes);
    assert_true(fast.bytes.n_bytes < none.bytes.n_bytes * 3 / 4);
    assert_true(max.bytes.n_bytes <= fast.bytes.n_bytes);
    assert_int_equal(ingot_file_open_memory(none.bytes.data, none.bytes.n_bytes, NULL, &a, &error),
                     INGOT_OK);
    assert_int_equal(ingot_file_open_memory(max.bytes.data, max.bytes.n_bytes, NULL, &b, &error),
                     INGOT_OK);
    /* The content id says what a file holds, not how. */
    assert_memory_equal(ingot_file_content_id(a), ingot_file_content_id(b), 32);
    for (uint32_t i = 0; i < ingot_file_n_tensors(a); i++) {
        static uint8_t x[25600], y[25600];
        assert_int_equal(ingot_file_read_raw(a, i, 0, sizeof x, x, &error), INGOT_OK);
        assert_int_equal(ingot_file_read_raw(b, i, 0, sizeof y, y, &error), INGOT_OK);
        assert_memory_equal(x, y, sizeof x);
    }
    ingot_file_close(a);
    ingot_file_close(b);
    written_release(&none);
    written_release(&fast);
    written_release(&max);
}

static void test_same_bytes_twice(void **state)
{
    (void)state;
    static const ingot_compression modes[] = {INGOT_COMPRESS_NONE, INGOT_COMPRESS_FAST,
                                              INGOT_COMPRESS_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct written a, b;
        write_mixed(&a, modes[i]);
        write_mixed(&b, modes[i]);
        assert_int_equal(a.bytes.n_bytes, b.bytes.n_bytes);
        assert_memory_equal(a.bytes.data, b.bytes.data, a.bytes.n_bytes);
        written_release(&a);
        written_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),      cmocka_unit_test(test_types_and_ranks),
        cmocka_unit_test(test_odd_names),   cmocka_unit_test(test_refused_tensors),
        cmocka_unit_test(test_aliases),     cmocka_unit_test(test_many_tensors),
        cmocka_unit_test(test_long_rows),   cmocka_unit_test(test_equal_once),
        cmocka_unit_test(test_compression), cmocka_unit_test(test_same_bytes_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

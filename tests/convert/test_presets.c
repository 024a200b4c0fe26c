/* The presets one by one: known values, and bounds of their errors. */
#include "tests/convert/trips.h"

#include <float.h>
#include <math.h>

#include "format/floats.h"

/* ------------------------------------------------------------------ int4 */

/* Eight rows of 35: a whole group of 32 and a short one of 3. */
static void test_int4_known(void **state)
{
    float w[8 * 35] = {0};
    for (int i = 0; i < 32; i++) w[i] = (float)(i % 16 - 8); /* -8 to 7: scale 1 */
    w[32] = 16.0f;                                           /* the largest is positive: scale -2 */
    w[33] = -14.0f;
    w[34] = 3.0f;         /* -1.5 steps: to even, -2 */
    w[35 + 0] = 8.0f;     /* scale -1: the codes of 8 and -8 are 0 and the last */
    w[35 + 1] = -8.0f;    /* 8 steps, clamped to 7: -7 */
    w[35 + 2] = 0.5f;     /* ties to even: 0 */
    w[35 + 3] = 1.5f;     /* 2 */
    w[35 + 4] = -2.5f;    /* -2 */
    w[70 + 1] = 0x1p-24f; /* scale -2^-27 rounds to 0 in f16: all zeros */
    struct trip t = trip_of(state, "int4-absmax", 8, 35, w);
    for (int i = 0; i < 32; i++) assert_true(t.values[i] == w[i]);
    assert_true(t.values[32] == 16.0f && t.values[33] == -14.0f && t.values[34] == 4.0f);
    assert_true(t.values[35] == 8.0f && t.values[36] == -7.0f && t.values[37] == 0.0f);
    assert_true(t.values[38] == 2.0f && t.values[39] == -2.0f);
    for (int i = 70; i < 8 * 35; i++) assert_true(t.values[i] == 0.0f);

    struct file_term term;
    ingot_file_term(t.file, 0, 0, &term);
    assert_int_equal(term.n_streams, 2);
    uint8_t codes[256];
    uint8_t scales[32];
    const uint64_t code_bytes = ingot_file_stream_bytes(t.file, term.first_stream);
    assert_int_equal(code_bytes, 8 * 35 / 2); /* flat: 20 bits of padding would be too many */
    assert_int_equal(ingot_file_read_stream(t.file, term.first_stream, 0, code_bytes, codes, NULL),
                     INGOT_OK);
    assert_int_equal(ingot_file_read_stream(t.file, term.first_stream + 1, 0, 32, scales, NULL),
                     INGOT_OK);
    assert_int_equal(codes[0], 0x10);  /* -8 is code 0, -7 code 1 */
    assert_int_equal(codes[16], 0xf0); /* 16 is code 0, -14 code 15 */
    assert_int_equal(load_u16(scales), 0x3c00);
    assert_int_equal(load_u16(scales + 2), 0xc000);
    assert_int_equal(load_u16(scales + 4), 0xbc00);
    for (int i = 3; i < 16; i++) assert_int_equal(load_u16(scales + 2 * i), 0);
    trip_end(&t);
}

/* Each weight is within half a step, but for what the clamp to +7 costs the largest of the other
 * sign: one step; and half a step of the scale's rounding. */
static void test_int4_bound(void **state)
{
    const uint64_t n_rows = 67, n_cols = 150;
    float *w = random_values(4, n_rows * n_cols);
    struct trip t = trip_of(state, "int4-absmax", n_rows, n_cols, w);
    for (uint64_t i = 0; i < t.n; i++) {
        const uint64_t first = i - i % n_cols % 32;
        const uint64_t end = min_u64(first + 32, i - i % n_cols + n_cols);
        float largest = 0;
        for (uint64_t k = first; k < end; k++) largest = fmaxf(largest, fabsf(w[k]));
        assert_true(fabsf(t.values[i] - w[i]) <= largest / 8 * 1.002f);
    }
    trip_end(&t);
    free(w);
}

static void test_int4_scale_range(void **state)
{
    float w[16 * 32];
    ingot_error error = {0};
    for (int i = 0; i < 16 * 32; i++) w[i] = 1.0f;
    w[100] = 524000.0f; /* 65500 * 8: the largest scale is 65504 */
    struct trip t = trip_of(state, "int4-absmax", 16, 32, w);
    assert_true(fabsf(t.values[100] - w[100]) < 300.0f);
    trip_end(&t);
    w[100] = 525000.0f;
    assert_int_equal(try_matrix(state, "int4-absmax", 16, 32, w, &error), INGOT_REFUSED);
    assert_string_equal(error.field, "w");
    assert_non_null(strstr(error.what, "element 100 "));
    /* Subnormal scales: steps as coarse as they are, but nothing out of range. */
    for (int i = 0; i < 16 * 32; i++) w[i] = (float)(i % 37 - 18) * 0x1p-25f;
    t = trip_of(state, "int4-absmax", 16, 32, w);
    for (uint64_t i = 0; i < t.n; i++) assert_true(fabsf(t.values[i] - w[i]) <= 0x1p-20f);
    trip_end(&t);
}

/* ------------------------------------------------------------------ int8 */

static void test_int8(void **state)
{
    float w[4 * 65] = {0};
    w[0] = 127.0f; /* scale 1 */
    w[1] = -127.0f;
    w[2] = 2.5f;       /* to even: 2 */
    w[3] = -3.5f;      /* -4 */
    w[65] = 0x1p-149f; /* scale 0 */
    w[130] = FLT_MAX;
    w[131] = -1.0f;
    w[195] = 190 * 0x1p-149f; /* the scale rounds to 2^-149 */
    struct trip t = trip_of(state, "int8-absmax", 4, 65, w);
    assert_true(t.values[0] == 127.0f && t.values[1] == -127.0f);
    assert_true(t.values[2] == 2.0f && t.values[3] == -4.0f);
    assert_true(t.values[65] == 0.0f);
    assert_true(fabsf(t.values[130] - FLT_MAX) <= FLT_MAX * 1e-6f && t.values[131] == 0.0f);
    assert_true(t.values[195] == 127 * 0x1p-149f);
    trip_end(&t);

    float *r = random_values(5, 40 * 100);
    t = trip_of(state, "int8-absmax", 40, 100, r);
    for (uint64_t i = 0; i < t.n; i++) {
        float largest = 0;
        for (uint64_t k = 0; k < 100; k++) largest = fmaxf(largest, fabsf(r[i / 100 * 100 + k]));
        assert_true(fabsf(t.values[i] - r[i]) <= largest / 127 * 0.5001f);
    }
    trip_end(&t);
    free(r);
}

/* ------------------------------------------------------------------ casts */

static void test_casts(void **state)
{
    static const float w[] = {0.0f,    -0.0f,     1.0f,      1.0f + 0x1p-11f, 1.0f + 3 * 0x1p-11f,
                              65504.f, 65519.0f,  0x1p-24f,  0x1p-26f,        INFINITY,
                              NAN,     -INFINITY, 0x1p-140f, -3.0f,           1e30f};
    struct trip t = trip_of(state, "f16", 1, 14, w);
    assert_int_equal(t.result.n_encoded, 1);
    assert_false(t.result.restorable);
    assert_true(ingot_file_held_raw(t.file, 0));
    for (uint64_t i = 0; i < t.n; i++) {
        const uint32_t expected = f32_bits(f32_from_f16(f16_from_f32(w[i])));
        assert_int_equal(f32_bits(t.values[i]), expected);
    }
    trip_end(&t);
    t = trip_of(state, "bf16", 1, 15, w);
    ingot_tensor described;
    ingot_file_tensor(t.file, 0, &described);
    assert_int_equal(described.dtype, INGOT_BF16);
    for (uint64_t i = 0; i < t.n; i++) {
        const uint32_t expected = f32_bits(f32_from_bf16(bf16_from_f32(w[i])));
        assert_int_equal(f32_bits(t.values[i]), expected);
    }
    trip_end(&t);
    /* Already in that type: nothing changes, and the source can be had again. */
    t = trip_of(state, "f32", 1, 15, w);
    assert_int_equal(t.result.n_encoded, 0);
    assert_true(t.result.restorable);
    trip_end(&t);
}

static void test_cast_overflow(void **state)
{
    static const float w[] = {1.0f, INFINITY, 65520.0f};
    static const float b[] = {1.0f, FLT_MAX};
    ingot_error error = {0};
    assert_int_equal(try_matrix(state, "f16", 1, 3, w, &error), INGOT_REFUSED);
    assert_string_equal(error.field, "w");
    assert_non_null(strstr(error.what, "element 2 "));
    assert_int_equal(try_matrix(state, "bf16", 1, 2, b, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "element 1 "));
}

static void test_f64(void **state)
{
    static const double w[] = {1.0, 1e-60, 1e300};
    struct convert_result result;
    ingot_error error = {0};
    char *source = scratch_path(state, "d.safetensors");
    char *target = scratch_path(state, "d.ingot");
    safetensors_write(source, "{\"d\":{\"dtype\":\"F64\",\"shape\":[3],\"data_offsets\":[0,24]}}",
                      w, 24);
    assert_ok(convert_path(source, target, NULL, &result, &error), &error);
    assert_int_equal(convert_path(source, target, "f32", &result, &error), INGOT_REFUSED);
    assert_non_null(strstr(error.what, "element 2 "));
    safetensors_write(source, "{\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]}}",
                      w, 16);
    assert_ok(convert_path(source, target, "f32", &result, &error), &error);
    free(target);
    free(source);
}

/* ------------------------------------------------------------------ sparse and low-rank */

static void test_sparse(void **state)
{
    const uint64_t n_rows = 33, n_cols = 41;
    float *w = random_values(6, n_rows * n_cols);
    w[77] = NAN;
    w[78] = -INFINITY;
    struct trip t = trip_of(state, "sparse50", n_rows, n_cols, w);
    uint64_t n_zero = 0;
    float least_kept = INFINITY, largest_lost = 0;
    for (uint64_t i = 0; i < t.n; i++) {
        if (isnan(w[i])) {
            assert_true(isnan(t.values[i]));
        } else if (t.values[i] == 0.0f) {
            n_zero++;
            largest_lost = fmaxf(largest_lost, fabsf(w[i]));
        } else {
            assert_true(t.values[i] == w[i]);
            least_kept = fminf(least_kept, fabsf(w[i]));
        }
    }
    assert_int_equal(n_zero, t.n / 2);
    assert_true(largest_lost <= least_kept);
    trip_end(&t);
    free(w);
}

static void test_sparse_ties(void **state)
{
    float w[20 * 20];
    for (int i = 0; i < 400; i++) w[i] = i % 2 ? 1.0f : -1.0f;
    w[399] = 2.0f;
    w[0] = 0.5f;
    struct trip t = trip_of(state, "sparse50", 20, 20, w);
    /* 200 are kept: the 2, and the first 199 of those of magnitude 1. */
    for (int i = 0; i < 400; i++) {
        const bool kept = i == 399 || (i >= 1 && i <= 199);
        assert_true(t.values[i] == (kept ? w[i] : 0.0f));
    }
    trip_end(&t);
}

static void test_lowrank_exact(void **state)
{
    /* A matrix of rank 3 is held as well as bf16 holds its factors. */
    const uint64_t n_rows = 40, n_cols = 70;
    float *a = random_values(7, 3 * n_cols);
    float *b = random_values(8, 3 * n_rows);
    float *w = calloc(n_rows * n_cols, sizeof *w);
    assert_non_null(w);
    double signal = 0;
    for (uint64_t i = 0; i < n_rows * n_cols; i++) {
        for (uint64_t k = 0; k < 3; k++) {
            w[i] += b[i / n_cols * 3 + k] * a[k * n_cols + i % n_cols];
        }
        signal += (double)w[i] * (double)w[i];
    }
    struct trip t = trip_of(state, "lowrank16", n_rows, n_cols, w);
    assert_true(noise_of(w, t.values, t.n) < 1e-4 * signal);
    trip_end(&t);
    free(w);
    free(b);
    free(a);
}

static void test_lowrank_small(void **state)
{
    /* Fewer rows than the rank; zeros; the smallest and the largest numbers. */
    static const float scales[] = {0.0f, 1.0f, 0x1p-140f, 0x1p120f};
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        float *w = random_values(9, 5 * 100);
        for (int i = 0; i < 500; i++) w[i] *= scales[k];
        struct trip t = trip_of(state, "lowrank16", 5, 100, w);
        for (uint64_t i = 0; i < t.n; i++) {
            assert_true(fabsf(t.values[i] - w[i]) <= 0.2f * scales[k] + 0x1p-141f);
        }
        trip_end(&t);
        free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int4_known),
        cmocka_unit_test(test_int4_bound),
        cmocka_unit_test(test_int4_scale_range),
        cmocka_unit_test(test_int8),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_cast_overflow),
        cmocka_unit_test(test_f64),
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_sparse_ties),
        cmocka_unit_test(test_lowrank_exact),
        cmocka_unit_test(test_lowrank_small),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

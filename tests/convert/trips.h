/* Matrices through an encoding and back, for the tests of presets. */
#ifndef INGOT_TESTS_CONVERT_TRIPS_H
#define INGOT_TESTS_CONVERT_TRIPS_H

#include "tests/convert/conversions.h"
#include "tests/support/random.h"

/* One matrix through an encoding and back. */
struct trip {
    ingot_file *file;
    struct convert_result result;
    float *values; /* decoded */
    uint64_t n;
};

static inline struct trip trip_of(void **state, const char *encode, uint64_t n_rows,
                                  uint64_t n_cols, const float *values)
{
    struct trip t = {.n = n_rows * n_cols};
    ingot_error error = {0};
    char *source = scratch_path(state, "w.safetensors");
    char *target = scratch_path(state, "w.ingot");
    write_matrix(source, n_rows, n_cols, values);
    assert_ok(convert_path(source, target, encode, &t.result, &error), &error);
    t.file = open_valid(target);
    t.values = calloc(t.n, sizeof *t.values);
    assert_non_null(t.values);
    assert_ok(ingot_file_decode_f32(t.file, 0, 0, n_rows, t.values, &error), &error);
    free(target);
    free(source);
    return t;
}

static inline void trip_end(struct trip *t)
{
    free(t->values);
    ingot_file_close(t->file);
}

static inline ingot_status try_matrix(void **state, const char *encode, uint64_t n_rows,
                                      uint64_t n_cols, const float *values, ingot_error *error)
{
    struct convert_result result;
    char *source = scratch_path(state, "w.safetensors");
    char *target = scratch_path(state, "refused.ingot");
    write_matrix(source, n_rows, n_cols, values);
    const ingot_status status = convert_path(source, target, encode, &result, error);
    if (status != INGOT_OK) assert_false(exists(target));
    free(target);
    free(source);
    return status;
}

/* Numbers near a normal distribution. */
static inline float *random_values(uint64_t seed, uint64_t n)
{
    struct random random = {seed};
    float *values = calloc(n, sizeof *values);
    assert_non_null(values);
    for (uint64_t i = 0; i < n; i++) {
        for (int k = 0; k < 6; k++) {
            values[i] += (float)(int64_t)random_below(&random, 65536) / 32768.0f - 1.0f;
        }
    }
    return values;
}

static inline double noise_of(const float *a, const float *b, uint64_t n)
{
    double noise = 0;
    for (uint64_t i = 0; i < n; i++) {
        noise += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    }
    return noise;
}

#endif

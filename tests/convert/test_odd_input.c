/* Every preset with every odd input, from file to file: what is encoded is a valid container whose
 * values are finite, near to the source's and the same in a product; what is not is refused by name
 * and place, and nothing is left. */
#include "tests/convert/trips.h"

#include <float.h>
#include <math.h>

#include "convert/presets.h"

enum fill { ZEROS, NORMAL, CONSTANT, TINY, HALF_TINY, ZERO_GROUPS, OFFSET_NORMAL, N_FILLS };

struct odd {
    const char *name;
    uint32_t rank;
    uint64_t dims[4];
    enum fill fill;
    bool wide;      /* an f64 source */
    double special; /* when not 0: the value of element AT */
    bool stack;     /* the name makes it one matrix an expert */
};

enum { AT = 213, SEED = 31 };

static const struct odd odds[] = {
    {"a scalar", 0, {1}, .fill = NORMAL},
    {"a vector", 1, {300}, .fill = NORMAL},
    {"one weight", 2, {1, 1}, .fill = NORMAL},
    {"no rows", 2, {0, 64}, .fill = ZEROS},
    {"no columns", 2, {64, 0}, .fill = ZEROS},
    {"no experts", 3, {0, 4, 64}, .fill = ZEROS, .stack = true},
    {"rows of one weight", 2, {300, 1}, .fill = NORMAL},
    {"rows of 3", 2, {100, 3}, .fill = NORMAL},
    {"rows of 31", 2, {9, 31}, .fill = NORMAL},
    {"rows of 65", 2, {4, 65}, .fill = NORMAL},
    {"rows of 257", 2, {2, 257}, .fill = NORMAL},
    {"one row", 2, {1, 300}, .fill = NORMAL},
    {"experts", 3, {3, 20, 33}, .fill = NORMAL, .stack = true},
    {"experts of one row", 3, {5, 1, 70}, .fill = NORMAL, .stack = true},
    {"experts of rows of 3", 3, {9, 10, 3}, .fill = NORMAL, .stack = true},
    {"a kernel", 3, {3, 20, 33}, .fill = NORMAL},
    {"a kernel of two dimensions", 4, {2, 3, 7, 9}, .fill = NORMAL},
    {"zeros", 2, {2, 300}, .fill = ZEROS},
    {"zero groups", 2, {2, 300}, .fill = ZERO_GROUPS},
    {"equal weights", 2, {2, 300}, .fill = CONSTANT},
    {"subnormals", 2, {2, 300}, .fill = TINY},
    {"what is subnormal in f16", 2, {2, 300}, .fill = HALF_TINY},
    {"far from zero", 2, {2, 300}, .fill = OFFSET_NORMAL},
    {"an outlier", 2, {2, 300}, .fill = NORMAL, .special = 5000},
    {"an outlier of few columns", 2, {100, 3}, .fill = NORMAL, .special = -5000},
    {"past f16", 2, {2, 300}, .fill = NORMAL, .special = 1e6},
    {"past an f16 scale", 2, {2, 300}, .fill = NORMAL, .special = -1e9},
    {"the largest", 2, {2, 300}, .fill = NORMAL, .special = (double)FLT_MAX},
    {"past f32", 2, {2, 300}, .fill = NORMAL, .special = 1e300, .wide = true},
    {"no number", 2, {2, 300}, .fill = NORMAL, .special = (double)NAN},
    {"infinity", 2, {2, 300}, .fill = NORMAL, .special = (double)INFINITY},
    {"infinity below", 2, {2, 300}, .fill = NORMAL, .special = -(double)INFINITY},
    {"no number in an expert",
     3,
     {4, 2, 70},
     .fill = NORMAL,
     .special = (double)NAN,
     .stack = true},
    {"no number in f64", 2, {2, 300}, .fill = NORMAL, .special = (double)NAN, .wide = true},
};
enum { N_ODDS = sizeof odds / sizeof *odds, MOST = 2048 };

struct odd_input {
    const struct odd *odd;
    uint64_t n;
    float values[MOST]; /* what the source holds, as f32 */
    float largest;      /* of the finite ones */
};

static float value_of(enum fill fill, uint64_t at, float normal)
{
    const float values[N_FILLS] = {
        [NORMAL] = normal,
        [CONSTANT] = 0.25f,
        [TINY] = 0x1p-130f * normal,
        [HALF_TINY] = 0x1p-24f * normal,
        [ZERO_GROUPS] = at % 64 < 32 ? 0.0f : normal,
        [OFFSET_NORMAL] = 5.0f + 0.01f * normal,
    };
    return values[fill];
}

static const char *name_of(const struct odd *odd)
{
    return odd->stack ? "experts.w" : "w";
}

/* Writes the source, one tensor. */
static void make_input(const struct odd *odd, const char *path, struct odd_input *input)
{
    static uint8_t bytes[MOST * 8];
    char shape[96] = "", header[192];
    *input = (struct odd_input){.odd = odd, .n = 1};
    for (uint32_t i = 0; i < odd->rank; i++) {
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%u", i ? "," : "",
                 (unsigned)odd->dims[i]);
        input->n *= odd->dims[i];
    }
    assert_true(input->n <= MOST);
    float *normal = random_values(SEED, input->n + 1);
    for (uint64_t i = 0; i < input->n; i++) {
        const bool special = odd->special != 0 && i == AT;
        const float plain = value_of(odd->fill, i, normal[i]);
        const double wide = special ? odd->special : (double)plain;
        const float narrow = (float)wide;
        input->values[i] = narrow;
        if (isfinite(narrow)) input->largest = fmaxf(input->largest, fabsf(narrow));
        if (odd->wide) memcpy(bytes + 8 * i, &wide, 8);
        if (!odd->wide) store_f32(bytes + 4 * i, narrow);
    }
    free(normal);
    const uint64_t n_bytes = input->n * (odd->wide ? 8 : 4);
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[0,%u]}}", name_of(odd),
             odd->wide ? "F64" : "F32", shape, (unsigned)n_bytes);
    safetensors_write(path, header, bytes, n_bytes);
}

/* ------------------------------------------------------------------ what was encoded */

static void check_values(const char *preset, const struct odd_input *input, const float *decoded)
{
    for (uint64_t i = 0; i < input->n; i++) {
        const float w = input->values[i];
        if (!isfinite(w)) {
            const bool same = isnan(w) ? isnan(decoded[i]) : decoded[i] == w;
            if (!same) fail_msg("%s: %g became %g", preset, (double)w, (double)decoded[i]);
        } else if (!(fabsf(decoded[i] - w) <= input->largest * 1.0001f + 0x1p-20f)) {
            fail_msg("%s, %s: element %u is %g, and was %g", preset, input->odd->name, (unsigned)i,
                     (double)decoded[i], (double)w);
        }
    }
}

/* One matrix of the stack against the decoded rows. */
static void check_matrix(const char *preset, const struct odd_input *input, ingot_matrix *matrix,
                         const float *decoded, uint64_t n_rows, uint64_t n_cols)
{
    enum { N_X = 2, MAX_ROWS = 300, MAX_COLS = 700 };
    float x[N_X * MAX_COLS], y[N_X * MAX_ROWS];
    ingot_error error = {0};
    /* Of weights that cancel out in the sum. */
    const double terms = strchr(preset, '+') ? (double)input->largest : 0;
    assert_true(n_rows <= MAX_ROWS && n_cols <= MAX_COLS);
    for (uint64_t i = 0; i < N_X * n_cols; i++) x[i] = (float)((int)(i * 7 % 33) - 16) / 512;
    assert_ok(ingot_matmul(matrix, INGOT_F32, x, N_X, y, &error), &error);
    for (uint64_t k = 0; k < N_X * n_rows; k++) {
        const float *row = decoded + k % n_rows * n_cols, *of_x = x + k / n_rows * n_cols;
        double sum = 0, magnitude = 0;
        for (uint64_t c = 0; c < n_cols; c++) {
            sum += (double)row[c] * (double)of_x[c];
            magnitude += (fabs((double)row[c]) + terms) * fabs((double)of_x[c]);
        }
        /* As ingot.h promises, with two terms and the rank of a product; below the least f32
         * nothing can be told apart. */
        const double k_sum = (double)n_cols + 2 + 17;
        const double bound = k_sum * (0x1p-23 * magnitude + 0x1p-140);
        if (fabs((double)y[k] - sum) <= bound || (!isfinite(sum) && !isfinite(y[k]))) continue;
        fail_msg("%s, %s: y[%u] is %g, not %g +- %g", preset, input->odd->name, (unsigned)k,
                 (double)y[k], sum, bound);
    }
}

static void check_products(const char *preset, const struct odd_input *input,
                           const ingot_file *file, const float *decoded)
{
    ingot_tensor t;
    ingot_file_tensor(file, 0, &t);
    if (input->n == 0 || t.rank < 2) return;
    for (int plain = 0; plain < 2; plain++) {
        ingot_device *device = NULL;
        ingot_error error = {0};
        assert_ok(
            ingot_device_open(INGOT_DEVICE_CPU, 1, plain ? "plain" : NULL, NULL, &device, &error),
            &error);
        for (uint64_t m = 0; m < t.n_matrices; m++) {
            ingot_matrix *matrix = NULL;
            if (ingot_matrix_open(device, file, 0, m, &matrix, &error) != INGOT_OK) {
                fail_msg("%s, %s: %s: %s", preset, input->odd->name, error.field, error.what);
            }
            check_matrix(preset, input, matrix, decoded + m * t.n_rows * t.n_cols, t.n_rows,
                         t.n_cols);
            ingot_matrix_close(matrix);
        }
        ingot_device_close(device);
    }
}

static void check_encoded(const char *preset, const struct odd_input *input, const char *target,
                          const struct convert_result *result)
{
    static float decoded[MOST], one[MOST];
    ingot_error error = {0};
    ingot_tensor t;
    ingot_file *file = open_valid(target);
    ingot_file_tensor(file, 0, &t);
    const uint64_t n_rows = t.n_matrices * t.n_rows;
    assert_int_equal(t.rank, input->odd->rank);
    assert_int_equal(n_rows * t.n_cols, input->n);
    if (input->odd->stack) assert_int_equal(t.n_matrices, input->odd->dims[0]);
    assert_ok(ingot_file_decode_f32(file, 0, 0, n_rows, decoded, &error), &error);
    if (result->n_encoded == 0 && !input->odd->wide) {
        assert_memory_equal(decoded, input->values, input->n * sizeof(float));
    }
    check_values(preset, input, decoded);
    /* A row alone is that row. */
    for (uint64_t r = 0; r < n_rows; r++) {
        assert_ok(ingot_file_decode_f32(file, 0, r, 1, one, &error), &error);
        assert_memory_equal(one, decoded + r * t.n_cols, t.n_cols * sizeof(float));
    }
    check_products(preset, input, file, decoded);
    ingot_file_close(file);
}

/* ------------------------------------------------------------------ what was refused */

/* Only a special value is a reason, and it is the one that is named. */
static void check_refused(const char *preset, const struct odd_input *input, const char *target,
                          ingot_status status, const ingot_error *error)
{
    char place[32];
    snprintf(place, sizeof place, "element %d ", AT);
    if (status == INGOT_REFUSED && input->odd->special != 0 &&
        strcmp(error->field, name_of(input->odd)) == 0 && strstr(error->what, place) &&
        !exists(target)) {
        return;
    }
    fail_msg("%s, %s: %s: %s: %s", preset, input->odd->name, ingot_status_name(status),
             error->field, error->what);
}

static void run(void **state, bool residual)
{
    char *source = scratch_path(state, "odd.safetensors");
    char *target = scratch_path(state, "odd.ingot");
    uint32_t n_encoded = 0, n_refused = 0;
    for (size_t k = 0; k < N_ODDS; k++) {
        static struct odd_input input;
        const struct preset *preset;
        make_input(&odds[k], source, &input);
        for (uint32_t i = 0; (preset = preset_at(i)) != NULL; i++) {
            struct convert_result result;
            ingot_error error = {0};
            char name[64];
            snprintf(name, sizeof name, "%s%s", preset_name(preset), residual ? "+int4" : "");
            const ingot_status status = convert_path(source, target, name, &result, &error);
            if (status == INGOT_OK) {
                check_encoded(name, &input, target, &result);
                n_encoded += result.n_encoded;
                assert_int_equal(remove(target), 0);
            } else {
                check_refused(name, &input, target, status, &error);
                n_refused++;
            }
        }
    }
    assert_true(n_encoded > 800 && n_refused > 100);
    free(target);
    free(source);
}

static void test_alone(void **state)
{
    run(state, false);
}

/* What a first term leaves is odd input, too. */
static void test_with_residual(void **state)
{
    run(state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_with_residual),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}

/* Panels: which codings have the form, and the ways to take x that round it, within what they may
 * be off. The f32 way is compared with the reference where all levels are, in test_matmul.c. */
#include "tests/support/unit.h"

#include "runtime/cpu_matrix.h"
#include "tests/runtime/codings.h"
#include "tests/runtime/levels.h"
#include "tests/runtime/made.h"

static const struct ingot_backend *const backend = &ingot_backend_cpu;

enum { BLOCK = 32 /* columns of x that share a scale */ };

/* ------------------------------------------------------------------ what has the form */

/* By their codes or their groups. */
static const char *const without_panels[] = {
    "int8, groups of 8",
    "int8, groups of 24",
    "int8, groups of 5",
    "everything",
    "uint11",
    "int16",
    "int32",
    "f8_e8m0",
    "100 vectors of 8 less f16 in groups of 8",
};

static bool has_panels(const char *name)
{
    for (size_t i = 0; i < sizeof without_panels / sizeof *without_panels; i++) {
        if (strcmp(name, without_panels[i]) == 0) return false;
    }
    return true;
}

static struct panels *make(const struct resident_dense *dense)
{
    struct ingot_pool *pool = NULL;
    struct panels *panels = NULL;
    ingot_error error = {.what = ""};
    assert_int_equal(ingot_pool_create(2, NULL, &pool, NULL), INGOT_OK);
    if (panels_make(dense, pool, NULL, &panels, &error) != INGOT_OK) fail_msg("%s", error.what);
    ingot_pool_close(pool);
    return panels;
}

static void codings_find_their_form(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        struct made m = {.random = {i}};
        struct resident_dense dense;
        made_dense(&m, &coding_cases[i].coding, 20, 2080, &dense);
        struct panels *panels = make(&dense);
        if ((panels != NULL) != has_panels(coding_cases[i].name)) {
            fail_msg("%s: panels were%s made", coding_cases[i].name, panels ? "" : " not");
        }
        panels_release(panels, NULL);
        made_release(&m);
    }
}

static void short_rows_have_no_panels(void **state)
{
    (void)state;
    static const struct ingot_coding int8 = {INT(8)};
    static const uint64_t n_cols[] = {1, 100, 255, 256};
    for (uint32_t i = 0; i < 4; i++) {
        struct made m = {.random = {i}};
        struct resident_dense dense;
        made_dense(&m, &int8, 3, n_cols[i], &dense);
        struct panels *panels = make(&dense);
        assert_int_equal(panels != NULL, n_cols[i] >= 256);
        panels_release(panels, NULL);
        made_release(&m);
    }
}

/* Resident bytes are those of the codes and tables, but for what fills up a panel or a block. */
static void panels_take_the_bytes_of_their_codes(void **state)
{
    (void)state;
    static const struct {
        struct ingot_coding coding;
        double bits; /* a weight, in a file */
    } rows[] = {
        {{UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)},
          .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}},
         4.5},
        {{UINT(6), .slots[SLOT_SCALE] = {TABLE(table_s8, 1, 16)}}, 6 + 0.5 + 16.0 / 256},
        {{UINT(4), .slots[SLOT_SCALE] = {TABLE(table_u6, 1, 32)},
          .slots[SLOT_BIAS] = {TABLE(table_u6, 1, 32)}},
         4 + 12.0 / 32 + 32.0 / 256},
        {{FLOAT(4, INGOT_F4_E2M1), .slots[SLOT_SCALE] = {TABLE(table_e4m3, 1, 16)}}, 4.5},
        {{INT(8), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 0)}}, 8},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct made m = {.random = {i}};
        struct resident_dense dense;
        made_dense(&m, &rows[i].coding, 64, 4096, &dense);
        struct panels *panels = make(&dense);
        const double bits = (double)panels->n_bytes * 8 / (64 * 4096);
        if (bits > rows[i].bits * 1.05 + 0.3) { /* the parameters and tables of values */
            fail_msg("row %u: %.3f bits a weight, %.3f in a file", i, bits, rows[i].bits);
        }
        panels_release(panels, NULL);
        made_release(&m);
    }
}

/* ------------------------------------------------------------------ values as integers */

/* Panels of 16 values and n_cols columns. */
static struct panels *make_book(struct made *m, const float *values, uint64_t n_cols)
{
    static const struct ingot_coding coding = {BOOK(4, 16),
                                               .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}};
    struct resident_dense dense;
    *m = (struct made){.random = {1}};
    made_dense(m, &coding, 16, n_cols, &dense);
    dense.codebook = values;
    return make(&dense);
}

static void values_are_near_their_words(void **state)
{
    (void)state;
    static const float nf4[16] = {-1.0f,        -0.69619280f, -0.52507305f, -0.39491749f,
                                  -0.28444138f, -0.18477343f, -0.09105004f, 0.0f,
                                  0.07958030f,  0.16093020f,  0.24611230f,  0.33791524f,
                                  0.44070983f,  0.56261700f,  0.72295684f,  1.0f};
    static const uint64_t n_cols[] = {1024, 4096, 14336};
    for (uint32_t i = 0; i < 3; i++) {
        struct made m;
        struct panels *p = make_book(&m, nf4, n_cols[i]);
        assert_true(p != NULL && p->words.present);
        for (uint32_t k = 0; k < 16; k++) {
            const double v = (double)p->words.values[k] * p->words.unit * p->words.factor;
            assert_true(fabs(v - nf4[k]) <= fabs((double)nf4[k]) * 1024 * 0x3p-26);
        }
        panels_release(p, NULL);
        made_release(&m);
    }
}

/* A value far below the largest is no multiple of a unit that makes the largest 16 bits. */
static void values_far_apart_have_no_words(void **state)
{
    (void)state;
    static const float values[16] = {1.0f,     0.7f,     0.5f,    0.3f,     -0.2f,   -0.6f,
                                     1.3e-5f,  2.9e-5f,  3.1e-6f, -7.7e-5f, 5.3e-5f, 4.1e-4f,
                                     -8.3e-6f, 6.03e-5f, 9.1e-5f, -2.71e-5f};
    static const float too_large[16] = {1.0f, INFINITY};
    static const float no_number[16] = {NAN, 1.0f};
    static const float *const books[] = {values, too_large, no_number};
    for (uint32_t i = 0; i < 3; i++) {
        struct made m;
        struct panels *p = make_book(&m, books[i], 4096);
        assert_true(p != NULL && !p->words.present);
        panels_release(p, NULL);
        made_release(&m);
    }
}

/* ------------------------------------------------------------------ x rounded */

struct subject {
    const char *name;
    struct made m;
    const struct resident_dense *dense;
    double *w;
    float *x;
    float *y;
    uint64_t n;
};

/* Nearly normal, of deviation about 1. */
static float normal(struct made *m)
{
    float sum = 0;
    for (int i = 0; i < 6; i++) sum += made_unit(m);
    return sum * 0.7f;
}

static void subject_open(struct subject *s, uint32_t i, uint64_t n)
{
    const uint64_t n_rows = 37, n_cols = 2080;
    *s = (struct subject){.name = coding_cases[i].name, .m = {.random = {i * 10 + n}}, .n = n};
    s->m.matrix.n_rows = n_rows;
    s->m.matrix.n_cols = n_cols;
    s->m.matrix.n_parts = 1;
    struct resident_dense *dense = &s->m.matrix.parts[0].dense;
    made_dense(&s->m, &coding_cases[i].coding, n_rows, n_cols, dense);
    s->dense = dense;
    s->w = reference_dense(dense, 1.0);
    s->x = malloc((size_t)(n * n_cols) * sizeof *s->x);
    s->y = malloc((size_t)(n * n_rows) * sizeof *s->y);
    assert_non_null(s->x);
    assert_non_null(s->y);
    for (uint64_t k = 0; k < n * n_cols; k++) s->x[k] = normal(&s->m);
}

static void subject_close(struct subject *s)
{
    free(s->y);
    free(s->x);
    free(s->w);
    made_release(&s->m);
}

static bool has_panels_here(const char *level_name)
{
    const struct cpu_level *level = cpu_level_find(level_name);
    return level != NULL && level->panels != NULL;
}

static void multiply(struct subject *s, const char *level, ingot_activations activations)
{
    const struct backend_options options = {.n_threads = 2, .cpu_level = level};
    void *device = NULL, *uploaded = NULL;
    uint64_t n_bytes;
    struct kept_parts kept = {1, 1};
    s->m.matrix.activations = activations;
    assert_int_equal(backend->open(0, &options, NULL, &device, NULL), INGOT_OK);
    assert_int_equal(backend->matrix_upload(device, &s->m.matrix, &uploaded, &n_bytes, &kept, NULL),
                     INGOT_OK);
    assert_int_equal(kept.parts | kept.b, 0);
    assert_int_equal(backend->matmul(device, uploaded, s->x, s->n, s->y, NULL), INGOT_OK);
    backend->matrix_release(device, uploaded);
    backend->close(device);
}

/* Of the size that sums of such products have where they do not lean to one side: some codings here
 * have no negative weights. */
static double relative_error(const struct subject *s)
{
    const uint64_t n_rows = s->dense->n_rows, n_cols = s->dense->n_cols;
    double difference = 0, size = 0;
    for (uint64_t i = 0; i < s->n * n_rows; i++) {
        const double *w = s->w + i % n_rows * n_cols;
        const float *x = s->x + i / n_rows * n_cols;
        double exact = 0;
        for (uint64_t c = 0; c < n_cols; c++) {
            exact += w[c] * (double)x[c];
            size += w[c] * (double)x[c] * w[c] * (double)x[c];
        }
        difference += ((double)s->y[i] - exact) * ((double)s->y[i] - exact);
    }
    return sqrt(difference / size);
}

static void round_x(const char *level)
{
    static const uint64_t n_x[] = {1, 2, 3, 7, 19};
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        if (!has_panels(coding_cases[i].name)) continue;
        for (uint32_t k = 0; k < 5; k++) {
            struct subject s;
            subject_open(&s, i, n_x[k]);
            for (int a = INGOT_ACTIVATIONS_BF16; a <= INGOT_ACTIVATIONS_I8; a++) {
                multiply(&s, level, (ingot_activations)a);
                const double error = relative_error(&s);
                if (error < 0.01) continue;
                fail_msg("%s: %s, n = %u, activations %d: off by %.3g", level, s.name,
                         (unsigned)n_x[k], a, error);
            }
            subject_close(&s);
        }
    }
}

static void at_each_level(void (*check)(const char *level))
{
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (has_panels_here(level_names[i])) check(level_names[i]);
    }
}

static void rounded_x_stays_within_a_percent(void **state)
{
    (void)state;
    at_each_level(round_x);
}

/* Half a step of each block's integers, times the weights there; and roundings of f32. */
static double byte_bound(const double *w, const float *x, uint64_t n_cols)
{
    double bound = 0;
    for (uint64_t b = 0; b < n_cols; b += BLOCK) {
        double most = 0, weights = 0;
        for (uint64_t c = b; c < b + BLOCK && c < n_cols; c++) {
            most = fmax(most, fabs((double)x[c]));
            weights += fabs(w[c]);
        }
        bound += most * weights * (0.501 / 127 + 1e-5);
    }
    return bound;
}

/* An outlier is in the way of its block alone. */
static void put_outliers(const char *level)
{
    static const char *const names[] = {"int4, groups of 32", "int8, row scales",
                                        "uint4 less two levels", "f4_e2m1 of two levels",
                                        "uint3 in groups of 16"};
    static const uint64_t n_x[] = {1, 9};
    for (uint32_t i = 0; i < N_CODING_CASES * 2; i++) {
        bool wanted = false;
        for (uint32_t k = 0; k < 5; k++) {
            wanted = wanted || strcmp(names[k], coding_cases[i / 2].name) == 0;
        }
        if (!wanted) continue;
        struct subject s;
        subject_open(&s, i / 2, n_x[i % 2]);
        for (uint64_t j = 0; j < s.n; j++) s.x[j * s.dense->n_cols + 100 * j + 7] = 1e6f;
        multiply(&s, level, INGOT_ACTIVATIONS_I8);
        for (uint64_t k = 0; k < s.n * s.dense->n_rows; k++) {
            const double *w = s.w + k % s.dense->n_rows * s.dense->n_cols;
            const float *x = s.x + k / s.dense->n_rows * s.dense->n_cols;
            double exact = 0;
            for (uint64_t c = 0; c < s.dense->n_cols; c++) exact += w[c] * (double)x[c];
            const double bound = byte_bound(w, x, s.dense->n_cols) * (1 + 1e-3);
            if (fabs((double)s.y[k] - exact) <= bound) continue;
            fail_msg("%s: %s: y[%u] is %g, not %g +- %g", level, s.name, (unsigned)k,
                     (double)s.y[k], exact, bound);
        }
        subject_close(&s);
    }
}

static void outliers_harm_their_block_alone(void **state)
{
    (void)state;
    at_each_level(put_outliers);
}

/* Tiny and huge x lose nothing by products of bf16, which take subnormals for zeros. */
static void vary_x(const char *level)
{
    static const float sizes[] = {0x1p-120f, 0x1p-90f, 0x1p90f};
    for (uint32_t i = 0; i < 3; i++) {
        struct subject s;
        subject_open(&s, 12, 1);
        assert_string_equal(s.name, "int4, groups of 32");
        for (uint64_t c = 0; c < s.dense->n_cols; c++) s.x[c] *= sizes[i];
        multiply(&s, level, INGOT_ACTIVATIONS_F32);
        assert_true(relative_error(&s) < 1e-5);
        subject_close(&s);
    }
}

static void x_of_any_size_meets_the_bound(void **state)
{
    (void)state;
    at_each_level(vary_x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codings_find_their_form),
        cmocka_unit_test(short_rows_have_no_panels),
        cmocka_unit_test(panels_take_the_bytes_of_their_codes),
        cmocka_unit_test(values_are_near_their_words),
        cmocka_unit_test(values_far_apart_have_no_words),
        cmocka_unit_test(rounded_x_stays_within_a_percent),
        cmocka_unit_test(outliers_harm_their_block_alone),
        cmocka_unit_test(x_of_any_size_meets_the_bound),
    };
    return cmocka_run_group_tests_name("panels", tests, NULL, NULL);
}

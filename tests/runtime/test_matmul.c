/* The CPU backend against a reference in double, within the bound of ingot.h: every coding at every
 * kernel level, odd shapes, sums of parts, and any number of threads with the same bits. */
#include "tests/support/unit.h"

#include "tests/runtime/codings.h"
#include "tests/runtime/levels.h"
#include "tests/runtime/products.h"
#include "tests/runtime/scarce.h"

static const struct ingot_backend *const backend = &ingot_backend_cpu;

static void *open_device(const char *level, uint32_t n_threads)
{
    const struct backend_options options = {.n_threads = n_threads, .cpu_level = level};
    void *device = NULL;
    assert_int_equal(backend->open(0, &options, NULL, &device, NULL), INGOT_OK);
    return device;
}

/* y of n vectors on the heap; asks for exactly the floats that there are. */
static float *multiply(void *device, const struct resident_matrix *matrix, const float *x,
                       uint64_t n)
{
    void *uploaded = NULL;
    uint64_t resident_bytes = 0;
    struct kept_parts kept;
    ingot_error error = {.what = ""};
    const ingot_status status =
        backend->matrix_upload(device, matrix, &uploaded, &resident_bytes, &kept, &error);
    if (status != INGOT_OK) fail_msg("%s", error.what);
    assert_true(resident_bytes > 0);
    float *y = malloc((size_t)(n * matrix->n_rows) * sizeof *y);
    assert_non_null(y);
    for (uint64_t i = 0; i < n * matrix->n_rows; i++) y[i] = NAN;
    assert_int_equal(backend->matmul(device, uploaded, x, n, y, NULL), INGOT_OK);
    backend->matrix_release(device, uploaded);
    return y;
}

/* Multiplies by a matrix at every level, and releases it. */
static void check_matrix(const char *name, struct made *m, uint64_t n)
{
    float *x = made_x(m, n);
    struct reference reference = reference_make(&m->matrix);
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (cpu_level_find(level_names[i]) == NULL) continue;
        void *device = open_device(level_names[i], 1);
        float *y = multiply(device, &m->matrix, x, n);
        check_bound(name, level_names[i], &m->matrix, &reference, x, n, y, 1.0);
        free(y);
        backend->close(device);
    }
    reference_release(&reference);
    free(x);
    made_release(m);
}

static void start(struct made *m, uint64_t seed, uint64_t n_rows, uint64_t n_cols)
{
    *m = (struct made){.random = {seed}};
    m->matrix.n_rows = n_rows;
    m->matrix.n_cols = n_cols;
}

static void add_dense(struct made *m, const struct ingot_coding *coding)
{
    struct resident_part *part = &m->matrix.parts[m->matrix.n_parts++];
    part->kind = RESIDENT_DENSE;
    made_dense(m, coding, m->matrix.n_rows, m->matrix.n_cols, &part->dense);
}

static void add_sparse(struct made *m, const struct ingot_coding *coding, uint32_t kept)
{
    struct resident_part *part = &m->matrix.parts[m->matrix.n_parts++];
    part->kind = RESIDENT_SPARSE;
    made_sparse(m, coding, m->matrix.n_rows, m->matrix.n_cols, kept, &part->sparse);
}

static void add_lowrank(struct made *m, const struct ingot_coding *coding, uint32_t rank)
{
    struct resident_part *part = &m->matrix.parts[m->matrix.n_parts++];
    part->kind = RESIDENT_LOWRANK;
    part->lowrank.multiplier = -0.75f;
    made_dense(m, coding, rank, m->matrix.n_cols, &part->lowrank.a);
    made_dense(m, coding, m->matrix.n_rows, rank, &part->lowrank.b);
}

struct shape {
    uint64_t n_rows, n_cols, n;
};

/* One weight; less than a vector; tasks and tiles that are not full; more than one block of
 * columns; more x than one pass takes. */
static const struct shape shapes[] = {
    {1, 1, 1},
    {1, 7, 2},
    {3, 8, 3},
    {5, 33, 1},
    {2, 31, 4},
    {37, 65, 5},
    {35, 96, 1},
    {70, 257, 2},
    {9, 1100, 1},
    {6, 2051, 4},
    {33, 40, 131},
    /* Panels that are full and not, one after another and at once. */
    {20, 1056, 3},
    {16, 1024, 5},
    {161, 1120, 9},
    {33, 2080, 16},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static const struct ingot_coding f32 = {FLOAT(32, INGOT_F32)};
static const struct ingot_coding f16 = {FLOAT(16, INGOT_F16)};
static const struct ingot_coding bf16 = {FLOAT(16, INGOT_BF16)};
static const struct ingot_coding f64 = {FLOAT(64, INGOT_F64)};
static const struct ingot_coding int8_constant = {INT(8), .slots[SLOT_SCALE] = {CONSTANT(0.037f)}};
static const struct ingot_coding uint3 = {UINT(3), .slots[SLOT_ZERO] = {CONSTANT(3)}};
static const struct ingot_coding int8_rows = {INT(8),
                                              .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 0)}};
static const struct ingot_coding book_groups = {BOOK(4, 16),
                                                .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}};
static const struct ingot_coding int4_groups = {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)},
                                                .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}};

static void every_coding_meets_the_bound(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_LEVELS; i++) level_if_here(level_names[i]);
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        for (uint32_t k = 0; k < N_SHAPES; k++) {
            struct made m;
            start(&m, i * 100 + k, shapes[k].n_rows, shapes[k].n_cols);
            add_dense(&m, &coding_cases[i].coding);
            check_matrix(coding_cases[i].name, &m, shapes[k].n);
        }
    }
}

static void sparse_parts_meet_the_bound(void **state)
{
    (void)state;
    static const struct ingot_coding *const codings[] = {
        &f32, &f16, &bf16, &int8_constant, &int8_rows, &uint3, &int4_groups};
    static const uint32_t kept[] = {0, 1, 4, 8};
    for (uint32_t i = 0; i < 4 * sizeof codings / sizeof *codings; i++) {
        for (uint32_t k = 0; k < N_SHAPES; k++) {
            struct made m;
            start(&m, i * 100 + k, shapes[k].n_rows, shapes[k].n_cols);
            add_sparse(&m, codings[i / 4], kept[i % 4]);
            check_matrix("sparse", &m, shapes[k].n);
        }
    }
}

static void lowrank_parts_meet_the_bound(void **state)
{
    (void)state;
    static const struct ingot_coding *const codings[] = {&f32, &f16, &int8_rows};
    static const uint32_t ranks[] = {1, 8, 37};
    for (uint32_t i = 0; i < 9; i++) {
        for (uint32_t k = 0; k < N_SHAPES; k++) {
            struct made m;
            start(&m, i * 100 + k, shapes[k].n_rows, shapes[k].n_cols);
            add_lowrank(&m, codings[i / 3], ranks[i % 3]);
            check_matrix("low-rank", &m, shapes[k].n);
        }
    }
}

static void fill_all_parts(struct made *m)
{
    add_dense(m, &int4_groups);
    add_sparse(m, &f16, 1);
    add_lowrank(m, &bf16, 16);
    add_dense(m, &uint3);
    add_sparse(m, &int8_rows, 5);
    add_lowrank(m, &int8_rows, 3);
}

static void sums_of_parts_meet_the_bound(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < N_SHAPES; k++) {
        struct made m;
        start(&m, k, shapes[k].n_rows, shapes[k].n_cols);
        fill_all_parts(&m);
        check_matrix("sum", &m, shapes[k].n);
    }
}

static void long_rows_meet_the_bound(void **state)
{
    (void)state;
    static const struct ingot_coding *const codings[] = {&f32, &int4_groups, &int8_rows,
                                                         &book_groups};
    for (uint32_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        struct made m;
        start(&m, i, 2, 100003);
        add_dense(&m, codings[i]);
        check_matrix("long rows", &m, 1);
    }
}

static void check_x(const char *name, const struct made *m, const float *x, uint64_t n)
{
    struct reference reference = reference_make(&m->matrix);
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (cpu_level_find(level_names[i]) == NULL) continue;
        void *device = open_device(level_names[i], 2);
        float *y = multiply(device, &m->matrix, x, n);
        check_bound(name, level_names[i], &m->matrix, &reference, x, n, y, 1.0);
        free(y);
        backend->close(device);
    }
    reference_release(&reference);
}

/* Multiplies by x of which every 32nd is the largest by far, at weights of 0: all of y is from what
 * is small. */
static void check_wide(struct made *m, uint64_t n, float ratio, float step)
{
    float *x = made_x(m, n);
    for (uint64_t c = 0; c < n * m->matrix.n_cols; c++) {
        x[c] *= c % 32 == 0 ? ratio : powf(step, (float)(c % 32));
    }
    check_x("wide x", m, x, n);
    free(x);
    made_release(m);
}

static void check_wide_dense(const struct ingot_coding *coding, uint64_t n, const float *shape)
{
    struct made m;
    start(&m, n, 37, 2080);
    add_dense(&m, coding);
    const struct resident_plane *plane = &m.matrix.parts[0].dense.planes[0];
    for (uint64_t at = 0; at < 37 * plane->row_bytes; at += 4u * plane->bits) {
        *(uint8_t *)(uintptr_t)(plane->data + at) = plane->bits == 4 ? 0x88 : 0;
    }
    float *codebook = (float *)(uintptr_t)m.matrix.parts[0].dense.codebook;
    if (codebook != NULL) codebook[8] = 0.0f;
    check_wide(&m, n, shape[0], shape[1]);
}

/* Sets kept values to 0, but those at columns that are `rest` by `each` if `others`; else those. */
static void clear_kept(const struct resident_sparse *sparse, uint64_t each, uint64_t rest,
                       bool others)
{
    const uint64_t n_bytes = sparse->values.planes[0].bits / 8;
    const uint64_t row_bits = sparse->mask.row_bytes * 8;
    uint8_t *at = (uint8_t *)(uintptr_t)sparse->values.planes[0].data;
    for (uint64_t i = 0; i < 37 * row_bits; i++) {
        if (!(sparse->mask.data[i / 8] >> i % 8 & 1)) continue;
        if ((i % row_bits % each == rest) != others) memset(at, 0, n_bytes);
        at += n_bytes;
    }
}

static void check_wide_sparse(const struct ingot_coding *coding, uint64_t n, const float *shape)
{
    struct made m;
    start(&m, n, 37, 2080);
    add_sparse(&m, coding, 4);
    clear_kept(&m.matrix.parts[0].sparse, 32, 0, false);
    check_wide(&m, n, shape[0], shape[1]);
}

/* All of y is from a few columns, where x is small. */
static void check_few_small(const struct ingot_coding *coding, float ratio)
{
    struct made m;
    start(&m, 7, 37, 2080);
    add_sparse(&m, coding, 4);
    clear_kept(&m.matrix.parts[0].sparse, 300, 5, true);
    float *x = made_x(&m, 1);
    for (uint64_t c = 5; c < 2080; c += 300) x[c] *= ratio;
    check_x("few small columns", &m, x, 1);
    free(x);
    made_release(&m);
}

static void wide_x_meets_the_bound(void **state)
{
    (void)state;
    static const struct ingot_coding e4m3 = {FLOAT(8, INGOT_F8_E4M3)};
    static const struct ingot_coding *const codings[] = {&int4_groups, &int8_rows, &book_groups,
                                                         &e4m3};
    enum { N_CODINGS = sizeof codings / sizeof *codings };
    /* Of the largest x to the others, and from each column to the next. */
    static const float shapes_of_x[][2] = {
        {1, 1},       {0x1p10f, 1},   {0x1p30f, 1},       {0x1p60f, 1}, {1, 0.5f},
        {1, 0.0625f}, {0x1p-120f, 1}, {0x1p120f, 0.125f}, {0, 0},       {0x1p125f, 0x1p-8f}};
    for (uint32_t i = 0; i < N_CODINGS * sizeof shapes_of_x / sizeof *shapes_of_x; i++) {
        const float *shape = shapes_of_x[i / N_CODINGS];
        check_wide_dense(codings[i % N_CODINGS], 1, shape);
        check_wide_dense(codings[i % N_CODINGS], 3, shape);
        check_wide_sparse(i % N_CODINGS ? &int8_rows : &bf16, 1, shape);
        check_wide_sparse(i % N_CODINGS ? &int8_rows : &bf16, 3, shape);
    }
}

/* 8-bit floats: of three blocks of columns one has codes of all kinds, one none of those whose
 * exponent is the least, and one zeros besides. */
static void add_floats(struct made *m, const struct ingot_coding *coding)
{
    add_dense(m, coding);
    const struct resident_dense *dense = &m->matrix.parts[0].dense;
    for (uint64_t i = 0; i < dense->n_rows * dense->n_cols; i++) {
        const uint64_t row = i / dense->n_cols, col = i % dense->n_cols;
        if (col / 32 % 3 == 0) continue;
        uint32_t code;
        do code = made_code(m, coding);
        while ((code & 0x78) == 0);
        if (col / 32 % 3 == 2 && made_random(m) % 4 == 0) code = 0;
        made_put(dense, row, col, code);
    }
}

static void floats_of_8_bits_meet_the_bound(void **state)
{
    (void)state;
    static const struct ingot_coding codings[] = {
        {FLOAT(8, INGOT_F8_E4M3), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 0)}},
        {FLOAT(8, INGOT_F8_E4M3), .slots[SLOT_SCALE] = {TABLE(table_e8m0, 1, 32)}},
        {FLOAT(8, INGOT_F8_E5M2), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 16)},
         .slots[SLOT_BIAS] = {TABLE(table_f32, 1, 64)}},
        {FLOAT(8, INGOT_F8_E5M2), .slots[SLOT_SCALE] = {CONSTANT(0x1p-20f)}},
        {FLOAT(8, INGOT_F8_E5M2FNUZ), .slots[SLOT_SCALE] = {TABLE(table_f32, 16, 128)}},
    };
    for (uint32_t i = 0; i < 5 * 4; i++) {
        struct made m;
        start(&m, i, 37, 1120);
        add_floats(&m, &codings[i % 5]);
        check_matrix("floats of 8 bits", &m, 1 + i / 5);
    }
}

/* An infinity, a NaN and the finite ones, among weights and in x, give what IEEE 754 says. */
static void no_numbers_stay_in_their_rows(void **state)
{
    (void)state;
    static const struct ingot_coding e5m2 = {FLOAT(8, INGOT_F8_E5M2)};
    for (uint32_t i = 0; i < 2 * N_LEVELS; i++) {
        if (cpu_level_find(level_names[i / 2]) == NULL) continue;
        struct made m;
        start(&m, 1, 20, 1056);
        add_floats(&m, &e5m2);
        const struct resident_dense *dense = &m.matrix.parts[0].dense;
        const bool in_x = i % 2 != 0;
        float *x = made_x(&m, 1);
        for (uint64_t r = 0; r < 20; r++) made_put(dense, r, 70, r == 3 ? 0xbc : 0x3c); /* -1, 1 */
        x[70] = in_x ? INFINITY : 1.0f;
        x[71] = 1e20f;
        made_put(dense, 5, 40, 0x7c); /* infinity */
        made_put(dense, 6, 41, 0x7f); /* no number */
        x[40] = 2.0f;
        void *device = open_device(level_names[i / 2], 1);
        float *y = multiply(device, &m.matrix, x, 1);
        for (uint64_t r = 0; r < 20; r++) {
            if (r == 6)
                assert_true(isnan(y[r]));
            else if (in_x || r == 5)
                assert_true(isinf(y[r]) && (y[r] < 0) == (in_x && r == 3));
            else
                assert_true(isfinite(y[r]));
        }
        free(y);
        free(x);
        backend->close(device);
        made_release(&m);
    }
}

/* The power of two that brings the largest sum of |w x| near the largest float, and x not past it.
 */
static float to_the_brink(const struct resident_matrix *matrix, const struct reference *reference,
                          const float *x)
{
    struct exact *wide = calloc((size_t)matrix->n_cols, sizeof *wide);
    struct exact *exact = calloc((size_t)matrix->n_rows, sizeof *exact);
    assert_non_null(wide);
    assert_non_null(exact);
    double most = 4;
    for (uint64_t c = 0; c < matrix->n_cols; c++) {
        wide[c] = (struct exact){(double)x[c], fabs((double)x[c])};
    }
    exact_multiply(reference, matrix, wide, exact);
    for (uint64_t r = 0; r < matrix->n_rows; r++) most = fmax(most, exact[r].magnitude);
    free(exact);
    free(wide);
    return (float)ldexp(1, 126 - ilogb(most));
}

/* What is infinite on the way, such as codes times x, must not be where the sum is not. */
static void huge_x_meets_the_bound(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        struct made m;
        start(&m, i, 21, 1120);
        add_dense(&m, &coding_cases[i].coding);
        float *x = made_x(&m, 1);
        struct reference reference = reference_make(&m.matrix);
        const float brink = to_the_brink(&m.matrix, &reference, x);
        for (uint32_t c = 0; c < 1120; c++) x[c] *= brink;
        for (uint32_t k = 0; k < N_LEVELS; k++) {
            if (cpu_level_find(level_names[k]) == NULL) continue;
            void *device = open_device(level_names[k], 2);
            float *y = multiply(device, &m.matrix, x, 1);
            check_bound(coding_cases[i].name, level_names[k], &m.matrix, &reference, x, 1, y, 1.0);
            free(y);
            backend->close(device);
        }
        reference_release(&reference);
        free(x);
        made_release(&m);
    }
}

static void small_columns_count(void **state)
{
    (void)state;
    static const float ratios[] = {0x1p-10f, 0x1p-20f, 0x1p-40f, 0x1p-90f, 0x1p-120f, 0};
    for (uint32_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        check_few_small(&int8_rows, ratios[i]);
        check_few_small(&bf16, ratios[i]);
    }
}

/* Kept bf16 that products of bf16 would take for zeros, and some that they would not. */
static void small_kept_values_are_no_zeros(void **state)
{
    (void)state;
    struct made m;
    start(&m, 5, 70, 1100);
    add_sparse(&m, &bf16, 4);
    const struct resident_sparse *sparse = &m.matrix.parts[0].sparse;
    uint8_t *values = (uint8_t *)(uintptr_t)sparse->values.planes[0].data;
    for (uint64_t i = 0; i < sparse->row_offsets[64]; i++) store_u16(values + 2 * i, 0x0101);
    check_matrix("small kept values", &m, 1);
}

/* A weight of 0 is no error, whatever x is. */
static void zeros_stay_zero(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (cpu_level_find(level_names[i]) == NULL) continue;
        struct made m;
        start(&m, 1, 9, 100);
        add_dense(&m, &int4_groups);
        struct resident_plane *plane = &m.matrix.parts[0].dense.planes[0];
        memset((void *)(uintptr_t)plane->data, 0x88, (size_t)(9 * plane->row_bytes));
        float *x = made_x(&m, 3);
        void *device = open_device(level_names[i], 2);
        float *y = multiply(device, &m.matrix, x, 3);
        for (uint32_t k = 0; k < 27; k++) assert_true(y[k] == 0.0f);
        free(y);
        free(x);
        backend->close(device);
        made_release(&m);
    }
}

/* Empty matrices have nothing to sum: no rows, or zeros. */
static void empty_matrices_multiply(void **state)
{
    (void)state;
    static const struct shape empty[] = {{0, 5, 2}, {5, 0, 2}, {0, 0, 1}};
    for (uint32_t i = 0; i < 3; i++) {
        struct made m;
        start(&m, i, empty[i].n_rows, empty[i].n_cols);
        add_dense(&m, &int8_rows);
        check_matrix("empty", &m, empty[i].n);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    static const uint32_t thread_counts[] = {1, 2, 3, 7};
    static const uint64_t n_vectors[] = {1, 2, 5, 140};
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (cpu_level_find(level_names[i]) == NULL) continue;
        for (uint32_t k = 0; k < 4; k++) {
            const uint64_t n = n_vectors[k];
            struct made m;
            start(&m, k, 203, 1153);
            fill_all_parts(&m);
            float *x = made_x(&m, n);
            float *first = NULL;
            for (uint32_t t = 0; t < 4; t++) {
                void *device = open_device(level_names[i], thread_counts[t]);
                float *y = multiply(device, &m.matrix, x, n);
                if (first != NULL) assert_memory_equal(y, first, n * 203 * sizeof *y);
                if (first != NULL) free(y);
                if (first == NULL) first = y;
                backend->close(device);
            }
            free(first);
            free(x);
            made_release(&m);
        }
    }
}

static void expect_refusal(const struct resident_matrix *matrix, ingot_status expected,
                           const char *word)
{
    void *device = open_device(NULL, 1);
    void *uploaded = NULL;
    uint64_t resident_bytes = 77;
    struct kept_parts kept;
    ingot_error error = {.what = ""};
    const ingot_status status =
        backend->matrix_upload(device, matrix, &uploaded, &resident_bytes, &kept, &error);
    assert_int_equal(status, expected);
    if (strstr(error.what, word) == NULL) fail_msg("\"%s\" does not say %s", error.what, word);
    assert_null(uploaded);
    assert_int_equal(resident_bytes, 77);
    backend->close(device);
}

static void what_cannot_be_multiplied_is_refused(void **state)
{
    (void)state;
    struct made m;
    start(&m, 1, 3, 8);
    m.matrix.n_parts = 1;
    m.matrix.parts[0].dense = (struct resident_dense){.coding = &f64, .n_rows = 3, .n_cols = 8};
    expect_refusal(&m.matrix, INGOT_UNSUPPORTED, "32 bits");

    static const struct ingot_coding nf4 = {.map = MAP_CODEBOOK, .bits = 4, .n_entries = 16};
    m.matrix.parts[0].dense.coding = &nf4;
    expect_refusal(&m.matrix, INGOT_UNSUPPORTED, "codebook");

    static const struct ingot_coding opaque = {.map = MAP_OPAQUE, .bits = 8};
    m.matrix.parts[0].dense.coding = &opaque;
    expect_refusal(&m.matrix, INGOT_UNSUPPORTED, "map");
}

static void a_level_that_is_not_there_is_refused(void **state)
{
    (void)state;
    const struct backend_options options = {.n_threads = 1, .cpu_level = "avx9"};
    void *device = NULL;
    ingot_error error = {.what = ""};
    assert_int_equal(backend->open(0, &options, NULL, &device, &error), INGOT_DEVICE);
    assert_non_null(strstr(error.what, "avx9"));
    assert_null(device);
}

static ingot_status open_and_upload(const struct resident_matrix *matrix,
                                    const ingot_allocator *allocator)
{
    const struct backend_options options = {.n_threads = 2};
    void *device = NULL, *uploaded = NULL;
    uint64_t resident_bytes;
    struct kept_parts kept;
    ingot_status status = backend->open(0, &options, allocator, &device, NULL);
    if (status == INGOT_OK) {
        status = backend->matrix_upload(device, matrix, &uploaded, &resident_bytes, &kept, NULL);
        backend->matrix_release(device, uploaded);
    }
    backend->close(device);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct made m;
    start(&m, 1, 10, 64);
    fill_all_parts(&m);
    ingot_status status = INGOT_NO_MEMORY;
    for (int n = 0; status != INGOT_OK; n++) {
        assert_true(n < 100);
        struct scarce scarce = {n, 0};
        const ingot_allocator allocator = scarce_allocator(&scarce);
        status = open_and_upload(&m.matrix, &allocator);
        if (status != INGOT_OK) assert_int_equal(status, INGOT_NO_MEMORY);
        assert_int_equal(scarce.n_held, 0);
    }
    made_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_coding_meets_the_bound),
        cmocka_unit_test(sparse_parts_meet_the_bound),
        cmocka_unit_test(lowrank_parts_meet_the_bound),
        cmocka_unit_test(sums_of_parts_meet_the_bound),
        cmocka_unit_test(long_rows_meet_the_bound),
        cmocka_unit_test(wide_x_meets_the_bound),
        cmocka_unit_test(small_columns_count),
        cmocka_unit_test(small_kept_values_are_no_zeros),
        cmocka_unit_test(floats_of_8_bits_meet_the_bound),
        cmocka_unit_test(no_numbers_stay_in_their_rows),
        cmocka_unit_test(huge_x_meets_the_bound),
        cmocka_unit_test(zeros_stay_zero),
        cmocka_unit_test(empty_matrices_multiply),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(what_cannot_be_multiplied_is_refused),
        cmocka_unit_test(a_level_that_is_not_there_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("cpu matmul", tests, NULL, NULL);
}

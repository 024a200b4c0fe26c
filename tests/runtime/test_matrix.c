/* From a file to a product: matrices of every form that the file can hold and the CPU can multiply
 * by, against the decoder's rows. */
#include "tests/support/unit.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/bytes.h"
#include "format/floats.h"
#include "format/term.h"
#include "format/writer.h"
#include "tests/runtime/codings.h"
#include "tests/runtime/scarce.h"
#include "tests/support/random.h"

/* ------------------------------------------------------------------ making tensors */

enum { MAX_STREAMS = 32 };

/* The streams of one tensor in memory. */
struct streams {
    struct random random;
    struct term_stream list[TENSOR_MAX_STREAMS];
    uint32_t n;
    uint8_t *data[MAX_STREAMS];
};

/* A code whose value is finite and of moderate size. */
static uint64_t random_code(struct random *random, const struct ingot_coding *coding)
{
    const uint64_t bits = random_bits(random) >> (64 - coding->bits);
    const float v = 0.25f + (float)random_below(random, 1000) / 1000.0f;
    if (coding->map != MAP_FLOAT) return bits;
    if (coding->format == INGOT_F32) return f32_bits(v);
    if (coding->format == INGOT_F16) return f16_from_f32(v);
    if (coding->format == INGOT_BF16) return bf16_from_f32(v);
    if (coding->format == INGOT_F8_E8M0) return 120 + bits % 16;
    return bits & 0x3f;
}

static void put_bits(uint8_t *data, uint64_t first_bit, uint32_t n_bits, uint64_t bits)
{
    for (uint32_t k = 0; k < n_bits; k++) {
        const uint64_t bit = first_bit + k;
        data[bit / 8] |= (uint8_t)((bits >> k & 1) << bit % 8);
    }
}

/* Fills the planes of a coding's codes, and its tables, from stream *at on. */
static void fill_coding(struct streams *s, const struct ingot_coding *coding,
                        struct stack_shape codes, struct stack_shape stack, uint32_t *at)
{
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n_planes = plane_widths(coding->bits, widths);
    const struct stream_shape *shapes[CODING_MAX_PLANES];
    for (uint32_t i = 0; i < n_planes; i++) shapes[i] = &s->list[*at + i].shape;
    for (uint64_t r = 0; r < codes.n_matrices * codes.n_rows; r++) {
        for (uint64_t c = 0; c < codes.n_cols; c++) {
            uint64_t code = random_code(&s->random, coding);
            for (uint32_t i = 0; i < n_planes; i++) {
                const uint64_t bit = r * shapes[i]->row_bits + c * widths[i];
                put_bits(s->data[*at + i], bit, widths[i], code);
                code >>= widths[i];
            }
        }
    }
    *at += n_planes;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        struct stack_shape grid;
        if (!coding->slots[i].has_table) continue;
        assert_true(slot_grid(&coding->slots[i], stack, &grid));
        fill_coding(s, coding->slots[i].table, grid, grid, at);
    }
}

/* Whether a sparse term made here holds a position. */
static bool is_kept(uint64_t row, uint64_t col)
{
    return row % 5 != 2 && (row * 7 + col * col) % 3 == 0;
}

static uint64_t count_kept(struct stack_shape stack)
{
    uint64_t n = 0;
    for (uint64_t r = 0; r < stack.n_matrices * stack.n_rows; r++) {
        for (uint64_t c = 0; c < stack.n_cols; c++) n += is_kept(r, c);
    }
    return n;
}

static void fill_sparse(struct streams *s, const struct writer_term *term, struct stack_shape stack,
                        uint32_t *at)
{
    uint64_t n_kept = 0;
    for (uint64_t r = 0; r < stack.n_matrices * stack.n_rows; r++) {
        for (uint64_t c = 0; c < stack.n_cols; c++) {
            if (!is_kept(r, c)) continue;
            put_bits(s->data[*at], r * s->list[*at].shape.row_bits + c, 1, 1);
            n_kept++;
        }
        put_bits(s->data[*at + 1], (r + 1) * 32, 32, n_kept);
    }
    *at += 2;
    fill_coding(s, term->coding, (struct stack_shape){1, 1, n_kept}, stack, at);
}

static void fill_streams(struct streams *s, const struct writer_tensor *tensor)
{
    struct stack_shape stack;
    uint32_t at = 0;
    assert_true(stack_of(tensor->rank, tensor->dims, tensor->stack, tensor->split, &stack));
    assert_int_equal(writer_streams(tensor, s->list, &s->n, NULL), INGOT_OK);
    assert_true(s->n <= MAX_STREAMS);
    for (uint32_t i = 0; i < s->n; i++) {
        s->data[i] = calloc(1, (size_t)s->list[i].shape.n_bytes + 1);
        assert_non_null(s->data[i]);
    }
    for (uint32_t i = 0; i < tensor->n_terms; i++) {
        const struct writer_term *term = &tensor->terms[i];
        const struct stack_shape a = {stack.n_matrices, term->rank, stack.n_cols};
        const struct stack_shape b = {stack.n_matrices, stack.n_rows, term->rank};
        if (term->kind == TERM_DENSE) fill_coding(s, term->coding, stack, stack, &at);
        if (term->kind == TERM_SPARSE) fill_sparse(s, term, stack, &at);
        if (term->kind == TERM_LOWRANK) fill_coding(s, term->coding, a, a, &at);
        if (term->kind == TERM_LOWRANK) fill_coding(s, term->coding_b, b, b, &at);
    }
    if (tensor->rescale != NULL) {
        const struct stack_shape factors = {stack.n_matrices, stack.n_rows, 1};
        fill_coding(s, tensor->rescale, factors, factors, &at);
    }
    assert_int_equal(at, s->n);
}

static ingot_status fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                         uint8_t *dst, ingot_error *error)
{
    (void)error;
    const struct streams *s = context;
    memcpy(dst, s->data[stream] + offset, (size_t)n_bytes);
    return INGOT_OK;
}

static ingot_status fill_rows(void *context, uint64_t first_row, uint64_t n_rows,
                              uint8_t *const *dst, ingot_error *error)
{
    (void)error;
    const struct streams *s = context;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct stream_shape *shape = &s->list[i].shape;
        if (dst[i] == NULL) continue;
        const uint64_t begin = first_row / shape->tensor_rows * shape->row_bits / 8;
        const uint64_t n_own = ceil_div(first_row + n_rows, shape->tensor_rows);
        const uint64_t end = min_u64(ceil_div(n_own * shape->row_bits, 8), shape->n_bytes);
        memcpy(dst[i], s->data[i] + begin, (size_t)(end - begin));
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the tensors */

#define SUBTABLE(table_coding, g, rows, cols)                                        \
    .has_table = true, .group = (g), .table = &(table_coding), .group_rows = (rows), \
    .group_cols = (cols)

static const struct ingot_coding f32 = {FLOAT(32, INGOT_F32)};
static const struct ingot_coding bf16 = {FLOAT(16, INGOT_BF16)};
static const struct ingot_coding table_nested = {UINT(6),
                                                 .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 2)}};
static const struct ingot_coding int4 = {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)},
                                         .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 16)}};
static const struct ingot_coding int8_rows = {INT(8),
                                              .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 0)}};
static const struct ingot_coding int8_blocks = {INT(8),
                                                .slots[SLOT_SCALE] = {TABLE(table_f32, 4, 16)}};
static const struct ingot_coding int8_tensor = {
    INT(8), .slots[SLOT_SCALE] = {SUBTABLE(table_f16, GROUP_TENSOR, 0, 0)}};
static const struct ingot_coding int8_runs = {
    INT(8), .slots[SLOT_SCALE] = {SUBTABLE(table_f32, GROUP_RUN, 0, 64)}};
static const struct ingot_coding int8_odd_runs = {
    INT(8), .slots[SLOT_SCALE] = {SUBTABLE(table_f32, GROUP_RUN, 0, 48)}};
static const struct ingot_coding uint3 = {UINT(3), .slots[SLOT_ZERO] = {CONSTANT(3)},
                                          .slots[SLOT_BIAS] = {TABLE(table_f16, 1, 8)}};
static const struct ingot_coding uint3_plain = {UINT(3), .slots[SLOT_ZERO] = {CONSTANT(3)}};
static const struct ingot_coding mxfp4 = {FLOAT(4, INGOT_F4_E2M1),
                                          .slots[SLOT_SCALE] = {TABLE(table_e8m0, 1, 32)}};
static const struct ingot_coding nested = {
    UINT(4), .slots[SLOT_SCALE] = {TABLE(table_nested, 1, 16)},
    .slots[SLOT_BIAS] = {TABLE(table_nested, 1, 16), .inverse_table = true}};

#define DENSE(c)                                                     \
    {                                                                \
        .kind = TERM_DENSE, .combine = COMBINE_FIRST, .coding = &(c) \
    }
#define SPARSE(c, how)                                                             \
    {                                                                              \
        .kind = TERM_SPARSE, .combine = (how), .mask = MASK_BITMAP, .coding = &(c) \
    }
#define LOWRANK(ca, cb, r, off)                                                           \
    {                                                                                     \
        .kind = TERM_LOWRANK, .combine = COMBINE_ADD, .coding = &(ca), .coding_b = &(cb), \
        .multiplier = -1.5f, .rank = (r), .optional = (off), .name = "adapter"            \
    }

struct tensor_case {
    const char *name;
    uint64_t dims[3]; /* stack, rows, columns */
    uint32_t n_terms;
    struct writer_term terms[4];
    const struct ingot_coding *rescale;
};

static const struct tensor_case tensor_cases[] = {
    {"raw", {2, 37, 65}, 1, {DENSE(bf16)}, NULL},
    {"one weight", {1, 1, 1}, 1, {DENSE(f32)}, NULL},
    {"int4", {3, 10, 48}, 1, {DENSE(int4)}, NULL},
    {"int4 in flat planes", {3, 7, 9}, 1, {DENSE(int4)}, NULL},
    {"rows", {2, 12, 50}, 1, {DENSE(int8_rows)}, NULL},
    {"blocks", {2, 10, 40}, 1, {DENSE(int8_blocks)}, NULL},
    {"one scale for the stack", {2, 5, 16}, 1, {DENSE(int8_tensor)}, NULL},
    {"runs in rows", {2, 5, 128}, 1, {DENSE(int8_runs)}, NULL},
    {"runs over rows", {2, 5, 32}, 1, {DENSE(int8_runs)}, NULL},
    {"runs across rows", {1, 5, 32}, 1, {DENSE(int8_odd_runs)}, NULL},
    {"three bits", {3, 11, 64}, 1, {DENSE(uint3)}, NULL},
    {"three bits in flat planes", {3, 11, 21}, 1, {DENSE(uint3)}, NULL},
    {"mxfp4", {2, 6, 96}, 1, {DENSE(mxfp4)}, NULL},
    {"nested tables", {3, 6, 80}, 1, {DENSE(nested)}, NULL},
    {"sparse", {2, 20, 64}, 1, {SPARSE(bf16, COMBINE_FIRST)}, NULL},
    {"sparse, flat mask", {3, 20, 21}, 1, {SPARSE(f32, COMBINE_FIRST)}, NULL},
    {"sparse, three bits", {3, 13, 45}, 1, {SPARSE(uint3_plain, COMBINE_FIRST)}, NULL},
    {"sparse with scales", {1, 6, 32}, 1, {SPARSE(int4, COMBINE_FIRST)}, NULL},
    {"sum",
     {2, 9, 70},
     4,
     {DENSE(int4), SPARSE(bf16, COMBINE_ADD), LOWRANK(bf16, int8_rows, 5, false),
      LOWRANK(f32, f32, 3, true)},
     NULL},
    {"replaced", {1, 6, 32}, 2, {DENSE(bf16), SPARSE(bf16, COMBINE_SET)}, NULL},
    {"rescaled", {1, 6, 32}, 1, {DENSE(int4)}, &f32},
};
enum { N_TENSORS = sizeof tensor_cases / sizeof *tensor_cases };

/* ------------------------------------------------------------------ the file */

struct fixture {
    char path[64];
    uint8_t *bytes;
    size_t n_bytes;
    ingot_file *file;
};

static void write_case(ingot_writer *writer, const struct tensor_case *c, uint64_t seed)
{
    struct streams *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->random.state = seed;
    struct writer_term terms[4];
    memcpy(terms, c->terms, sizeof terms);
    for (uint32_t i = 0; i < c->n_terms; i++) {
        const struct stack_shape stack = {c->dims[0], c->dims[1], c->dims[2]};
        if (terms[i].kind == TERM_SPARSE) terms[i].n_kept = count_kept(stack);
    }
    const struct writer_tensor tensor = {
        .name = c->name,
        .name_bytes = (uint32_t)strlen(c->name),
        .dtype = c->n_terms == 1 && c->terms[0].coding == &bf16 ? INGOT_BF16 : INGOT_F32,
        .rank = 3,
        .dims = {c->dims[0], c->dims[1], c->dims[2]},
        .stack = 1,
        .split = 2,
        .n_terms = c->n_terms,
        .terms = terms,
        .rescale = c->rescale,
    };
    fill_streams(s, &tensor);
    const struct writer_source source = {s, fill, fill_rows, false};
    ingot_error error = {.what = ""};
    const ingot_status status = ingot_writer_tensor(writer, &tensor, &source, &error);
    if (status != INGOT_OK) fail_msg("%s: %s: %s", c->name, error.field, error.what);
    for (uint32_t i = 0; i < s->n; i++) free(s->data[i]);
    free(s);
}

static int make_file(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->path, sizeof f->path, "/tmp/ingot-matrix-XXXXXX");
    const int descriptor = mkstemp(f->path);
    assert_true(descriptor >= 0);
    close(descriptor);
    ingot_writer *writer = NULL;
    assert_int_equal(ingot_writer_create(f->path, true, INGOT_COMPRESS_FAST, NULL, &writer, NULL),
                     INGOT_OK);
    for (uint32_t i = 0; i < N_TENSORS; i++) write_case(writer, &tensor_cases[i], i);
    ingot_error error = {.what = ""};
    if (ingot_writer_finish(writer, &error) != INGOT_OK) {
        fail_msg("rule %u, %s: %s", error.rule, error.field, error.what);
    }
    ingot_writer_close(writer);

    FILE *stream = fopen(f->path, "rb");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, 0, SEEK_END), 0);
    f->n_bytes = (size_t)ftell(stream);
    rewind(stream);
    f->bytes = malloc(f->n_bytes);
    assert_non_null(f->bytes);
    assert_int_equal(fread(f->bytes, 1, f->n_bytes, stream), f->n_bytes);
    fclose(stream);
    *state = f;
    if (ingot_file_open_memory(f->bytes, f->n_bytes, NULL, &f->file, &error) != INGOT_OK) {
        fail_msg("rule %u, %s: %s", error.rule, error.field, error.what);
    }
    return 0;
}

static int remove_file(void **state)
{
    struct fixture *f = *state;
    ingot_file_close(f->file);
    remove(f->path);
    free(f->bytes);
    free(f);
    return 0;
}

/* ------------------------------------------------------------------ the tests */

static ingot_device *open_cpu(const ingot_allocator *allocator)
{
    ingot_device *device = NULL;
    assert_int_equal(ingot_device_open(INGOT_DEVICE_CPU, 2, NULL, allocator, &device, NULL),
                     INGOT_OK);
    return device;
}

/* y = W x against the rows that the decoder gives. In a sum the decoder rounds each weight once
 * more a term, and the terms may cancel. */
static void check_product(const struct tensor_case *c, const ingot_file *file, uint32_t tensor,
                          uint64_t matrix_index, const float *x, const float *y)
{
    const uint64_t n_rows = c->dims[1], n_cols = c->dims[2];
    float *w = malloc((size_t)(n_rows * n_cols) * sizeof *w);
    assert_non_null(w);
    assert_int_equal(ingot_file_decode_f32(file, tensor, matrix_index * n_rows, n_rows, w, NULL),
                     INGOT_OK);
    for (uint64_t r = 0; r < n_rows; r++) {
        double sum = 0, magnitude = 0;
        for (uint64_t k = 0; k < n_cols; k++) {
            const double wk = (double)w[r * n_cols + k], xk = (double)x[k];
            sum += wk * xk;
            magnitude += (fabs(wk) + (c->n_terms > 1 ? 50.0 : 0.0)) * fabs(xk);
        }
        const double bound = 2 * (double)n_cols * 0x1p-24 * magnitude;
        if (fabs((double)y[r] - sum) <= bound) continue;
        fail_msg("%s, matrix %llu: y[%llu] is %.9g, not %.9g +- %.3g", c->name,
                 (unsigned long long)matrix_index, (unsigned long long)r, (double)y[r], sum, bound);
    }
    free(w);
}

static void matrices_multiply_as_they_decode(void **state)
{
    const struct fixture *f = *state;
    ingot_device *device = open_cpu(NULL);
    struct random random = {1};
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        const struct tensor_case *c = &tensor_cases[i];
        float x[128], y[64];
        for (uint32_t k = 0; k < 128; k++) x[k] = (float)random_below(&random, 2001) / 1000 - 1;
        for (uint64_t m = 0; m < c->dims[0]; m++) {
            ingot_matrix *matrix = NULL;
            ingot_error error = {.what = ""};
            const ingot_status status = ingot_matrix_open(device, f->file, i, m, &matrix, &error);
            if (status != INGOT_OK) fail_msg("%s: %s", c->name, error.what);
            assert_int_equal(ingot_matrix_rows(matrix), c->dims[1]);
            assert_int_equal(ingot_matrix_cols(matrix), c->dims[2]);
            assert_true(ingot_matrix_resident_bytes(matrix) > 0);
            assert_int_equal(ingot_matmul(matrix, INGOT_F32, x, 1, y, &error), INGOT_OK);
            check_product(c, f->file, i, m, x, y);
            assert_int_equal(ingot_matmul(matrix, INGOT_F32, x, 0, NULL, NULL), INGOT_OK);
            ingot_matrix_close(matrix);
        }
    }
    ingot_matrix_close(NULL);
    ingot_device_close(device);
}

/* ---- many threads, one model ---- */

enum { N_SHARING = 4, SHARED_ROUNDS = 20 };

struct sharer {
    pthread_t thread;
    ingot_matrix *matrix;
    float x[2 * 128];
    float alone[2 * 64];
    float together[2 * 64];
    bool differs;
};

static void *share(void *argument)
{
    struct sharer *s = argument;
    for (uint32_t i = 0; i < SHARED_ROUNDS; i++) {
        const ingot_status status = ingot_matmul(s->matrix, INGOT_F32, s->x, 2, s->together, NULL);
        const size_t n_bytes = 2 * ingot_matrix_rows(s->matrix) * sizeof(float);
        s->differs |= status != INGOT_OK || memcmp(s->together, s->alone, n_bytes) != 0;
    }
    return NULL;
}

static void threads_share_a_model(void **state)
{
    const struct fixture *f = *state;
    ingot_device *device = open_cpu(NULL);
    static struct sharer sharers[N_SHARING];
    struct random random = {5};
    for (uint32_t i = 0; i < N_SHARING; i++) {
        struct sharer *s = &sharers[i];
        for (uint32_t k = 0; k < 2 * 128; k++) s->x[k] = (float)random_below(&random, 100) - 50;
        s->matrix = sharers[0].matrix; /* two matrices, each for two threads */
        if (i % 2 == 0 && ingot_matrix_open(device, f->file, i, 0, &s->matrix, NULL) != INGOT_OK) {
            fail_msg("matrix %u was not opened", i);
        }
        if (i == 3) s->matrix = sharers[2].matrix;
        assert_int_equal(ingot_matmul(s->matrix, INGOT_F32, s->x, 2, s->alone, NULL), INGOT_OK);
    }
    for (uint32_t i = 0; i < N_SHARING; i++) {
        assert_int_equal(pthread_create(&sharers[i].thread, NULL, share, &sharers[i]), 0);
    }
    for (uint32_t i = 0; i < N_SHARING; i++) {
        pthread_join(sharers[i].thread, NULL);
        assert_false(sharers[i].differs);
    }
    ingot_matrix_close(sharers[0].matrix);
    ingot_matrix_close(sharers[2].matrix);
    ingot_device_close(device);
}

/* Optional terms are off, until they are asked for by name. */
static void adapters_are_on_by_name(void **state)
{
    const struct fixture *f = *state;
    static const char *const names[] = {"another", "adapter"};
    ingot_device *device = open_cpu(NULL);
    uint32_t sum = 0;
    float x[128], y[3][64];
    assert_int_equal(ingot_file_find(f->file, "sum", 3, &sum), INGOT_OK);
    for (uint32_t k = 0; k < 128; k++) x[k] = 1.0f + (float)k / 64;
    for (uint32_t i = 0; i < 3; i++) {
        const ingot_matrix_options options = {.adapters = names, .n_adapters = i};
        ingot_matrix *matrix = NULL;
        assert_int_equal(ingot_matrix_open_with(device, f->file, sum, 1, &options, &matrix, NULL),
                         INGOT_OK);
        assert_int_equal(ingot_matmul(matrix, INGOT_F32, x, 1, y[i], NULL), INGOT_OK);
        ingot_matrix_close(matrix);
    }
    assert_memory_equal(y[0], y[1], 9 * sizeof(float));
    assert_memory_not_equal(y[0], y[2], 9 * sizeof(float));
    ingot_device_close(device);
}

/* A matrix is read with all checks: no byte of its data may change unseen. */
static void damage_is_found(void **state)
{
    const struct fixture *f = *state;
    uint8_t *copy = malloc(f->n_bytes);
    assert_non_null(copy);
    ingot_device *device = open_cpu(NULL);
    uint32_t n_found = 0;
    for (size_t at = 64; at < 4096; at += 61) {
        memcpy(copy, f->bytes, f->n_bytes);
        copy[at] ^= 0x10;
        ingot_file *file = NULL;
        if (ingot_file_open_memory(copy, f->n_bytes, NULL, &file, NULL) != INGOT_OK) continue;
        for (uint64_t m = 0; m < 2; m++) {
            ingot_matrix *matrix = NULL;
            const ingot_status status = ingot_matrix_open(device, file, 0, m, &matrix, NULL);
            assert_true(status == INGOT_OK || status == INGOT_DAMAGED);
            n_found += status == INGOT_DAMAGED;
            ingot_matrix_close(matrix);
        }
        ingot_file_close(file);
    }
    assert_true(n_found > 0);
    ingot_device_close(device);
    free(copy);
}

static void every_allocation_may_fail(void **state)
{
    const struct fixture *f = *state;
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        ingot_status status = INGOT_NO_MEMORY;
        for (int n = 0; status != INGOT_OK; n++) {
            assert_true(n < 1000);
            struct scarce scarce = {n, 0};
            const ingot_allocator allocator = scarce_allocator(&scarce);
            ingot_device *device = NULL;
            ingot_matrix *matrix = NULL;
            status = ingot_device_open(INGOT_DEVICE_CPU, 1, NULL, &allocator, &device, NULL);
            if (status == INGOT_OK) {
                status = ingot_matrix_open(device, f->file, i, 0, &matrix, NULL);
            }
            if (status != INGOT_OK) assert_int_equal(status, INGOT_NO_MEMORY);
            ingot_matrix_close(matrix);
            ingot_device_close(device);
            assert_int_equal(scarce.n_held, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_multiply_as_they_decode), cmocka_unit_test(threads_share_a_model),
        cmocka_unit_test(adapters_are_on_by_name),          cmocka_unit_test(damage_is_found),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("matrix", tests, make_file, remove_file);
}

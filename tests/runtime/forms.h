/* From files to products on any backend, over everything that the format can hold: the golden
 * files, the specimen, overlays, and tensors made up at random, against the reference decoder. */
#ifndef INGOT_TESTS_RUNTIME_FORMS_H
#define INGOT_TESTS_RUNTIME_FORMS_H

#include "tests/support/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/reader.h"
#include "runtime/cpu_level.h"
#include "runtime/resident.h"
#include "runtime/resident_rows.h"
#include "tests/support/golden.h"
#include "tests/support/judge.h"
#include "tests/support/made_tensor.h"
#include "tests/support/specimen.h"
#include "tests/support/stream_source.h"

enum { N_X = 3 };

/* Where products are made. */
struct forms_device {
    const char *name;
    const struct ingot_backend *backend;
    void *opened;
};

/* Up to the first without a name. */
enum { MAX_FORMS_DEVICES = 8 };
static struct forms_device forms_devices[MAX_FORMS_DEVICES];

struct tally {
    uint64_t n_sums;    /* that are finite and not zero */
    uint64_t n_refused; /* matrices */
};

/* One matrix of a file with its values and, for the bound, what its terms add up to in size. */
struct subject {
    const ingot_file *file;
    uint32_t tensor;
    uint64_t index;
    struct resident_matrix matrix;
    struct store store;
    double *values;
    double *sizes;
    double n_roundings;
};

static double *zeros(uint64_t n)
{
    double *made = calloc((size_t)n + 1, sizeof *made);
    assert_non_null(made);
    return made;
}

/* |multiplier| * |B| * |A|: low-rank terms may cancel within. */
static void add_lowrank_sizes(struct subject *s, const struct resident_part *part)
{
    const struct resident_lowrank *lowrank = &part->lowrank;
    const uint64_t n_cols = s->matrix.n_cols;
    float *a = malloc((size_t)n_cols * sizeof *a + 64);
    for (uint64_t k = 0; k < lowrank->a.n_rows; k++) {
        cpu_plain_kernel.decode(&lowrank->a, k, 0, n_cols, a);
        for (uint64_t r = 0; r < s->matrix.n_rows; r++) {
            float b;
            cpu_plain_kernel.decode(&lowrank->b, r, k, 1, &b);
            const float factor = part->row_factors != NULL ? part->row_factors[r] : 1.0f;
            const double scale = fabs((double)lowrank->multiplier * (double)b * (double)factor);
            for (uint64_t c = 0; c < n_cols; c++) {
                s->sizes[r * n_cols + c] += scale * fabs((double)a[c]);
            }
        }
    }
    s->n_roundings += 2.0 * (double)lowrank->a.n_rows;
    free(a);
}

static void add_sizes(struct subject *s, uint32_t i)
{
    const struct resident_part *part = &s->matrix.parts[i];
    const uint64_t n_cols = s->matrix.n_cols;
    struct resident_rows rows;
    float *row = malloc((size_t)n_cols * sizeof *row + 64);
    assert_int_equal(resident_rows_begin(part, 1, n_cols, &s->store, &rows, NULL), INGOT_OK);
    for (uint64_t r = 0; r < s->matrix.n_rows && part->kind != RESIDENT_LOWRANK; r++) {
        resident_row(&rows, r, row);
        for (uint64_t c = 0; c < n_cols; c++) s->sizes[r * n_cols + c] += fabs((double)row[c]);
    }
    free(row);
    if (part->kind == RESIDENT_LOWRANK) add_lowrank_sizes(s, part);
    s->n_roundings += 4;
}

/* False when it is refused because it replaces values that are not finite. */
static bool subject_open(struct subject *s, const ingot_file *file, uint32_t tensor,
                         uint64_t matrix)
{
    const struct resident_options options = {.adapters = NULL};
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    const uint64_t n = stack.n_rows * stack.n_cols;
    ingot_error error = {.what = ""};
    s->file = file;
    s->tensor = tensor;
    s->index = matrix;
    ingot_status status =
        resident_load(file, tensor, matrix, &options, &s->store, &s->matrix, &error);
    if (status == INGOT_UNSUPPORTED && strstr(error.what, "not finite") != NULL) return false;
    if (status != INGOT_OK) fail_msg("R-%u: %s: %s", error.rule, error.field, error.what);
    float *decoded = malloc((size_t)n * sizeof *decoded + 64);
    assert_non_null(decoded);
    status =
        ingot_file_decode_f32(file, tensor, matrix * stack.n_rows, stack.n_rows, decoded, &error);
    if (status != INGOT_OK) fail_msg("R-%u: %s: %s", error.rule, error.field, error.what);
    s->values = zeros(n);
    s->sizes = zeros(n);
    for (uint64_t i = 0; i < n; i++) s->values[i] = (double)decoded[i];
    free(decoded);
    s->n_roundings = (double)stack.n_cols;
    for (uint32_t i = 0; i < s->matrix.n_parts; i++) add_sizes(s, i);
    return true;
}

static void subject_close(struct subject *s)
{
    free(s->sizes);
    free(s->values);
    store_release(&s->store);
}

/* Sums that are near the ends of f32's range are not looked at: their partial sums may leave it. */
static void check_sum(const struct subject *s, const char *level, uint64_t row, const float *x,
                      float y, struct tally *tally)
{
    const struct resident_part *part = &s->matrix.parts[0];
    double sum = 0, size = 0;
    for (uint64_t c = 0; c < s->matrix.n_cols; c++) {
        const uint64_t i = row * s->matrix.n_cols + c;
        sum += s->values[i] * (double)x[c];
        size += s->sizes[i] * fabs((double)x[c]);
    }
    if (!isfinite(size) || size > 1e30) {
        const bool alone = s->matrix.n_parts == 1 && part->kind == RESIDENT_DENSE;
        const bool as_it_is = part->row_factors == NULL && part->column_factors == NULL;
        if (alone && as_it_is && isnan(sum) && isfinite(y))
            fail_msg("%s: row %u is finite", level, (unsigned)row);
        return;
    }
    const double bound = 2 * s->n_roundings * (0x1p-24 * size + 0x1p-140);
    if (fabs((double)y - sum) > bound) {
        fail_msg("%s: y[%u] is %.9g, not %.9g +- %.3g", level, (unsigned)row, (double)y, sum,
                 bound);
    }
    tally->n_sums += sum != 0;
}

/* N_X rows of products, which are the caller's. */
static float *multiply(const struct resident_matrix *matrix, const struct forms_device *device,
                       const float *x)
{
    const struct ingot_backend *backend = device->backend;
    void *uploaded = NULL;
    uint64_t n_bytes;
    struct kept_parts kept;
    ingot_error error = {.what = ""};
    float *y = malloc((size_t)(N_X * matrix->n_rows) * sizeof *y + 64);
    if (backend->matrix_upload(device->opened, matrix, &uploaded, &n_bytes, &kept, &error) !=
            INGOT_OK ||
        backend->matmul(device->opened, uploaded, x, N_X, y, &error) != INGOT_OK) {
        fail_msg("%s: %s", device->name, error.what);
    }
    backend->matrix_release(device->opened, uploaded);
    return y;
}

/* The same bits when the backend reads the codes itself. */
static void check_unread(const struct subject *s, const struct forms_device *device, const float *x,
                         const float *expected)
{
    const struct resident_options options = {.leaves_unread = true};
    struct store store = {.allocator = NULL};
    struct resident_matrix *matrix = calloc(1, sizeof *matrix);
    assert_non_null(matrix);
    assert_int_equal(resident_load(s->file, s->tensor, s->index, &options, &store, matrix, NULL),
                     INGOT_OK);
    float *y = multiply(matrix, device, x);
    for (uint64_t i = 0; i < N_X * s->matrix.n_rows; i++) {
        if (y[i] != expected[i] && !(isnan(y[i]) && isnan(expected[i]))) {
            fail_msg("%s: y[%u] is %.9g of unread codes, else %.9g", device->name, (unsigned)i,
                     (double)y[i], (double)expected[i]);
        }
    }
    free(y);
    free(matrix);
    store_release(&store);
}

static void check_device(const struct subject *s, const struct forms_device *device, const float *x,
                         struct tally *tally)
{
    float *y = multiply(&s->matrix, device, x);
    for (uint64_t i = 0; i < N_X * s->matrix.n_rows; i++) {
        const float *of_row = x + i / s->matrix.n_rows * s->matrix.n_cols;
        check_sum(s, device->name, i % s->matrix.n_rows, of_row, y[i], tally);
    }
    if (device->backend->takes_unread) check_unread(s, device, x, y);
    free(y);
}

static void check_matrix(const ingot_file *file, uint32_t tensor, uint64_t matrix,
                         struct random *random, struct tally *tally)
{
    struct subject *s = calloc(1, sizeof *s);
    assert_non_null(s);
    if (!subject_open(s, file, tensor, matrix)) {
        tally->n_refused++;
        subject_close(s);
        free(s);
        return;
    }
    float *x = malloc((size_t)(N_X * s->matrix.n_cols) * sizeof *x + 64);
    for (uint64_t i = 0; i < N_X * s->matrix.n_cols; i++) {
        x[i] = (float)random_below(random, 2001) / 1000 - 1;
    }
    for (uint32_t i = 0; i < MAX_FORMS_DEVICES && forms_devices[i].name != NULL; i++) {
        check_device(s, &forms_devices[i], x, tally);
    }
    free(x);
    subject_close(s);
    free(s);
}

/* What stays refused, and why. */
static bool is_refused(const ingot_file *file, uint32_t tensor, const char **why)
{
    ingot_tensor facts;
    struct file_term term;
    ingot_file_tensor(file, tensor, &facts);
    ingot_file_term(file, tensor, 0, &term);
    *why = "complex values";
    if (facts.dtype == INGOT_C64) return true;
    *why = "an opaque coding";
    return term.coding != NULL && term.coding->map == MAP_OPAQUE;
}

static void check_refusal(const ingot_file *file, uint32_t tensor, const char *why)
{
    struct store store = {.allocator = NULL};
    const struct resident_options options = {.adapters = NULL};
    static struct resident_matrix matrix;
    ingot_error error = {.what = ""};
    assert_int_equal(resident_load(file, tensor, 0, &options, &store, &matrix, &error),
                     INGOT_UNSUPPORTED);
    if (strstr(error.what, why) == NULL) fail_msg("\"%s\" does not say %s", error.what, why);
    store_release(&store);
}

static void check_file(const ingot_file *file, struct random *random, struct tally *tally)
{
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        const char *why;
        if (is_refused(file, i, &why)) {
            check_refusal(file, i, why);
            tally->n_refused++;
            continue;
        }
        const uint64_t n_matrices = ingot_file_layout(file, i).shape.n_matrices;
        for (uint64_t m = 0; m < n_matrices; m++) check_matrix(file, i, m, random, tally);
    }
}

static void check_bytes(const uint8_t *data, uint64_t n_bytes, struct random *random,
                        struct tally *tally)
{
    ingot_file *file = NULL;
    ingot_error error = {.what = ""};
    if (ingot_file_open_memory(data, n_bytes, NULL, &file, &error) != INGOT_OK) {
        fail_msg("R-%u: %s: %s", error.rule, error.field, error.what);
    }
    check_file(file, random, tally);
    ingot_file_close(file);
}

/* Those of which every reference leads somewhere. */
static inline void golden_files_multiply(void **state)
{
    (void)state;
    struct random random = {1};
    struct tally tally = {0};
    for (const struct golden *g = golden_files; g->name != NULL; g++) {
        struct byte_buffer bytes = {0};
        g->make(&bytes);
        if (strcmp(g->name, "every-feature") != 0) {
            check_bytes(bytes.data, bytes.n_bytes, &random, &tally);
        }
        buffer_release(&bytes);
    }
    assert_true(tally.n_sums > 100);
}

static inline void the_specimen_multiplies(void **state)
{
    (void)state;
    struct random random = {2};
    struct tally tally = {0};
    struct draft d;
    ingot_file *file = NULL;
    specimen_begin(&d);
    draft_seal(&d);
    assert_int_equal(ingot_file_open_memory(d.file.data, d.file.n_bytes, NULL, &file, NULL),
                     INGOT_OK);
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        const char *why;
        const uint64_t n_matrices = ingot_file_layout(file, i).shape.n_matrices;
        if (i == TENSOR_REF || is_refused(file, i, &why)) continue;
        for (uint64_t m = 0; m < n_matrices; m++) check_matrix(file, i, m, &random, &tally);
    }
    assert_true(tally.n_sums > 100);
    ingot_file_close(file);
    draft_release(&d);
}

static inline void multiply_random_tensors(uint32_t n)
{
    struct random random = {3};
    struct tally tally = {0};
    for (uint32_t i = 0; i < n; i++) {
        static struct made_tensor m;
        struct written w;
        made_tensor_make(&m, &random);
        written_begin(&w, INGOT_COMPRESS_NONE);
        made_tensor_write(&m, w.writer);
        written_end(&w);
        check_bytes(w.bytes.data, w.bytes.n_bytes, &random, &tally);
        written_release(&w);
        made_release(&m.made);
    }
    print_message("%llu sums compared, %llu matrices refused\n", (unsigned long long)tally.n_sums,
                  (unsigned long long)tally.n_refused);
    assert_true(tally.n_sums > 3 * n);
    assert_true(tally.n_refused < n / 7);
}

#endif

/* A product B * A of two thin matrices, the best of its rank in the sense of squares: a truncated
 * singular value decomposition, by randomized subspace iteration (Halko, Martinsson, Tropp 2011).
 * The random matrix has a generator and seed of its own and BLAS runs on one thread, so that the
 * bytes depend on the values alone. Needs the whole tensor. */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>

#include "convert/encode.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/floats.h"

/* Columns beyond the rank, and times that the subspace is multiplied by the matrix and back: they
 * bring the result close to the exact decomposition where singular values fall off slowly. */
enum { N_EXTRA = 8, N_ITERATIONS = 4 };

static uint32_t rank_of(const struct preset *preset, struct stack_shape stack)
{
    return (uint32_t)min_u64(preset->rank, min_u64(stack.n_rows, stack.n_cols));
}

void plan_lowrank(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                  struct term_plan *plan)
{
    (void)dtype;
    *plan = (struct term_plan){.preset = preset,
                               .stack = stack,
                               .coding = raw_coding(INGOT_BF16),
                               .coding_b = raw_coding(INGOT_BF16)};
    plan->term = (struct writer_term){.kind = TERM_LOWRANK,
                                      .coding = &plan->coding,
                                      .coding_b = &plan->coding_b,
                                      .multiplier = 1.0f,
                                      .rank = rank_of(preset, stack)};
}

/* splitmix64 by Sebastiano Vigna, public domain: as numbers in [-1, 1). */
static float next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (float)(z >> 40) * 0x1p-23f - 1.0f;
}

/* One matrix and the room to decompose it. Matrices are column by column: the n_rows x n_cols
 * values, which come row by row, are seen as their transpose. */
struct svd {
    const ingot_allocator *memory; /* of the matrix */
    lapack_int n_rows;
    lapack_int n_cols;
    lapack_int n_basis; /* rank and extra columns */
    lapack_int rank;
    float *matrix;     /* n_cols x n_rows: the transpose, scaled to magnitudes near 1 */
    float *range;      /* n_rows x n_basis: a basis of the columns' space */
    float *projection; /* n_cols x n_basis: transpose * range */
    float *left;       /* n_cols x n_basis */
    float *right;      /* n_basis x n_basis */
    float *singular;   /* n_basis */
    float *reflectors; /* n_basis */
    /* LAPACK's own room: asked for and given here, since LAPACKE prints when it finds none. */
    lapack_int n_work;
    float *work;
    lapack_int *integers; /* 8 * n_basis */
};

/* How much room LAPACK wants for all that svd_run asks of it: the most of its answers. */
static lapack_int work_wanted(const struct svd *s)
{
    const lapack_int n = s->n_rows > s->n_cols ? s->n_rows : s->n_cols;
    float wanted[3] = {0};
    float none = 0;
    lapack_int integer = 0;
    (void)LAPACKE_sgeqrf_work(LAPACK_COL_MAJOR, n, s->n_basis, &none, n, &none, &wanted[0], -1);
    (void)LAPACKE_sorgqr_work(LAPACK_COL_MAJOR, n, s->n_basis, s->n_basis, &none, n, &none,
                              &wanted[1], -1);
    (void)LAPACKE_sgesdd_work(LAPACK_COL_MAJOR, 'S', s->n_cols, s->n_basis, &none, s->n_cols, &none,
                              &none, s->n_cols, &none, s->n_basis, &wanted[2], -1, &integer);
    const float most = fmaxf(fmaxf(wanted[0], wanted[1]), wanted[2]);
    /* A float may have rounded the number down. */
    return (lapack_int)(most * 1.0000005f) + 1;
}

static ingot_status svd_allocate(struct svd *s, ingot_error *error)
{
    const uint64_t rows = (uint64_t)s->n_rows;
    const uint64_t cols = (uint64_t)s->n_cols;
    const uint64_t basis = (uint64_t)s->n_basis;
    s->matrix = ingot_allocate(s->memory, rows * cols * sizeof(float));
    s->range = ingot_allocate(NULL, rows * basis * sizeof(float));
    s->projection = ingot_allocate(NULL, cols * basis * sizeof(float));
    s->left = ingot_allocate(NULL, cols * basis * sizeof(float));
    s->right = ingot_allocate(NULL, basis * basis * sizeof(float));
    s->singular = ingot_allocate(NULL, basis * sizeof(float));
    s->reflectors = ingot_allocate(NULL, basis * sizeof(float));
    s->n_work = work_wanted(s);
    s->work = ingot_allocate(NULL, (uint64_t)s->n_work * sizeof(float));
    s->integers = ingot_allocate(NULL, 8 * basis * sizeof *s->integers);
    if (s->matrix && s->range && s->projection && s->left && s->right && s->singular &&
        s->reflectors && s->work && s->integers) {
        return INGOT_OK;
    }
    return ingot_fail_memory(error, rows * cols * sizeof(float), "decomposition");
}

static void svd_release(struct svd *s)
{
    ingot_release(NULL, s->integers);
    ingot_release(NULL, s->work);
    ingot_release(NULL, s->reflectors);
    ingot_release(NULL, s->singular);
    ingot_release(NULL, s->right);
    ingot_release(NULL, s->left);
    ingot_release(NULL, s->projection);
    ingot_release(NULL, s->range);
    ingot_release(s->memory, s->matrix);
}

/* Replaces the columns of an n x n_basis matrix by an orthonormal basis of their space. */
static lapack_int orthonormalize(const struct svd *s, lapack_int n, float *columns)
{
    const lapack_int info = LAPACKE_sgeqrf_work(LAPACK_COL_MAJOR, n, s->n_basis, columns, n,
                                                s->reflectors, s->work, s->n_work);
    if (info != 0) return info;
    return LAPACKE_sorgqr_work(LAPACK_COL_MAJOR, n, s->n_basis, s->n_basis, columns, n,
                               s->reflectors, s->work, s->n_work);
}

/* range = matrix^T * from: the matrix times n_cols x n_basis columns. */
static void times_matrix(const struct svd *s, const float *from)
{
    cblas_sgemm(CblasColMajor, CblasTrans, CblasNoTrans, s->n_rows, s->n_basis, s->n_cols, 1.0f,
                s->matrix, s->n_cols, from, s->n_cols, 0.0f, s->range, s->n_rows);
}

/* projection = matrix * range */
static void times_transpose(const struct svd *s)
{
    cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, s->n_cols, s->n_basis, s->n_rows, 1.0f,
                s->matrix, s->n_cols, s->range, s->n_rows, 0.0f, s->projection, s->n_cols);
}

/* Decomposes the matrix: range * right^T * diag(singular) * left^T is near to it. */
static ingot_status svd_run(const struct svd *s, ingot_error *error)
{
    uint64_t state = 1;
    lapack_int info = 0;
    const uint64_t n_random = (uint64_t)s->n_cols * (uint64_t)s->n_basis;
    for (uint64_t i = 0; i < n_random; i++) s->projection[i] = next_random(&state);
    for (uint32_t i = 0; i < N_ITERATIONS && info == 0; i++) {
        times_matrix(s, s->projection);
        info = orthonormalize(s, s->n_rows, s->range);
        if (info != 0) break;
        times_transpose(s);
        if (i + 1 < N_ITERATIONS) info = orthonormalize(s, s->n_cols, s->projection);
    }
    if (info == 0) {
        info = LAPACKE_sgesdd_work(LAPACK_COL_MAJOR, 'S', s->n_cols, s->n_basis, s->projection,
                                   s->n_cols, s->singular, s->left, s->n_cols, s->right, s->n_basis,
                                   s->work, s->n_work, s->integers);
    }
    if (info == 0) return INGOT_OK;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "decomposition",
                      "the singular values did not converge (%d)", (int)info);
}

/* Stores A (rank x n_cols) and B (n_rows x rank), both row by row, in bf16, the root of each
 * singular value going to either side. `unscale` undoes the scaling of the matrix. */
static void store_factors(const struct svd *s, float unscale, uint8_t *a, uint8_t *b)
{
    for (lapack_int k = 0; k < s->rank; k++) {
        const float root = sqrtf(s->singular[k]) * sqrtf(unscale);
        for (lapack_int c = 0; c < s->n_cols; c++, a += 2) {
            store_u16(a, bf16_from_f32(s->left[(size_t)k * (size_t)s->n_cols + (size_t)c] * root));
        }
    }
    for (lapack_int r = 0; r < s->n_rows; r++) {
        for (lapack_int k = 0; k < s->rank; k++, b += 2) {
            float sum = 0.0f;
            for (lapack_int j = 0; j < s->n_basis; j++) {
                sum += s->range[(size_t)j * (size_t)s->n_rows + (size_t)r] *
                       s->right[(size_t)j * (size_t)s->n_basis + (size_t)k];
            }
            store_u16(b, bf16_from_f32(sum * sqrtf(s->singular[k]) * sqrtf(unscale)));
        }
    }
}

/* A power of two near the largest magnitude, so that squares of the scaled values neither overflow
 * nor vanish; 0 for a matrix of zeros. It has an inverse in f32. */
static float scale_of(const float *values, uint64_t n)
{
    float largest = 0.0f;
    int exponent;
    for (uint64_t i = 0; i < n; i++) {
        const float size = fabsf(values[i]);
        largest = size > largest ? size : largest;
    }
    if (largest == 0.0f) return 0.0f;
    (void)frexpf(largest, &exponent);
    return ldexpf(1.0f, exponent > 126 ? 126 : exponent < -126 ? -126 : exponent);
}

static ingot_status encode_matrices(const struct encode_input *input, struct svd *s,
                                    uint8_t *const *streams, ingot_error *error)
{
    const uint64_t n = input->shape.n_rows * input->shape.n_cols;
    uint8_t *a = streams[0];
    uint8_t *b = streams[1];
    for (uint64_t m = 0; m < input->shape.n_matrices; m++) {
        const float *values = input->values + m * n;
        const float scale = scale_of(values, n);
        if (scale > 0.0f) {
            const float inverse = 1.0f / scale;
            for (uint64_t i = 0; i < n; i++) s->matrix[i] = values[i] * inverse;
            const ingot_status status = svd_run(s, error);
            if (status != INGOT_OK) return status;
            store_factors(s, scale, a, b);
        }
        a += 2 * (size_t)s->rank * (size_t)s->n_cols;
        b += 2 * (size_t)s->rank * (size_t)s->n_rows;
    }
    return INGOT_OK;
}

ingot_status encode_lowrank(const struct encode_input *input, uint8_t *const *streams,
                            ingot_error *error)
{
    const struct stack_shape shape = input->shape;
    const uint32_t rank = input->plan->term.rank;
    struct svd s = {.memory = input->memory};
    ingot_status status = encode_check_finite(input, error);
    if (status != INGOT_OK || rank == 0) return status;
    if (shape.n_rows > INT32_MAX || shape.n_cols > INT32_MAX) {
        return encode_refuse(input, 0, "takes no matrix of so many rows or columns", error);
    }
    s.n_rows = (lapack_int)shape.n_rows;
    s.n_cols = (lapack_int)shape.n_cols;
    s.rank = (lapack_int)rank;
    s.n_basis = (lapack_int)min_u64(rank + N_EXTRA, min_u64(shape.n_rows, shape.n_cols));
    const int n_threads = openblas_get_num_threads();
    openblas_set_num_threads(1);
    status = svd_allocate(&s, error);
    if (status == INGOT_OK) status = encode_matrices(input, &s, streams, error);
    openblas_set_num_threads(n_threads);
    svd_release(&s);
    return status;
}

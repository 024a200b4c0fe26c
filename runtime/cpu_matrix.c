/* Matrices on the CPU as sums of parts. Owns the cut into slices, which depends on the shape alone,
 * so results do not depend on the number of threads, and into tasks of whole slices. Leaves every
 * code, mask and instruction set to others. */
#include "runtime/cpu_matrix.h"

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "runtime/cpu_sparse.h"

enum {
    SLICE_ROWS = 32, /* with few rows of x, a multiple of PANEL_ROWS; else TASK_MAX_ROWS */
    FEW_X = 4,
    BATCH = 128 /* rows of x of one pass: each weight is decoded once a pass */
};

struct part_kind;

/* One summand, ready to be used. */
struct cpu_part {
    const struct part_kind *kind;
    struct resident_part resident;
    uint64_t n_rows; /* of the matrix */
    uint64_t n_cols;
    struct cpu_dense dense;   /* or B of lowrank */
    struct cpu_dense dense_a; /* A of lowrank */
    struct cpu_sparse sparse;
};

struct cpu_matrix {
    uint64_t n_rows;
    uint64_t n_cols;
    enum panel_mode mode;
    uint32_t n_parts;
    struct cpu_part parts[];
};

/* What a part needs for one pass over up to BATCH rows of x; memory of the device's scratch. */
struct pass {
    struct cpu_device *device;
    const struct cpu_part *part;
    enum panel_mode mode;
    const float *x;
    uint64_t x_stride;
    uint64_t n_x;
    float *own_x;  /* the part's columns, times their factors; NULL: x as it is */
    void *ready;   /* x for the dense coding or the kept values */
    void *ready_a; /* x for A of a low-rank part, whose dense coding takes `inner` */
    float *inner;  /* multiplier * A x */
};

/* What each kind of part does. `needs` lays out scratch, `begin` runs before the
 * tasks of a pass, `add` in each of them. */
struct part_kind {
    ingot_status (*make)(const struct cpu_device *device, struct cpu_part *part,
                         uint64_t *resident_bytes, ingot_error *error);
    void (*begin)(struct pass *pass);
    void (*add)(const struct pass *pass, const struct slice *slice);
    bool (*keeps)(const struct cpu_part *part); /* pointers of the resident form, B left out */
};

/* ------------------------------------------------------------------ tasks over rows */

static uint64_t slice_rows(uint64_t n_x)
{
    return n_x <= FEW_X ? SLICE_ROWS : TASK_MAX_ROWS;
}

/* Slice i of a product of n_rows rows. */
static struct slice product_slice(const struct cpu_device *device, uint64_t n_rows, uint64_t n_x,
                                  uint64_t i)
{
    const uint64_t first = i * slice_rows(n_x);
    return (struct slice){
        .level = device->level,
        .first_row = first,
        .n_rows = (uint32_t)min_u64(slice_rows(n_x), n_rows - first),
        .n_x = n_x,
    };
}

/* Slices of a task. With few rows of x, reading is all that counts, and it flows while slices
 * follow each other: each task takes a part of what is left, so that the last ones are short. */
struct task {
    uint64_t first;
    uint64_t n;
};

static struct task next_task(struct task before, uint64_t n_slices, uint64_t n_x,
                             uint64_t n_threads)
{
    const uint64_t first = before.first + before.n, n_left = n_slices - first;
    return (struct task){first,
                         n_x <= FEW_X ? ceil_div(n_left, 2 * n_threads) : min_u64(1, n_left)};
}

static void clear_slice(const struct slice *s)
{
    for (uint64_t j = 0; j < s->n_x; j++) {
        for (uint32_t i = 0; i < s->n_rows; i++) s->y[j * s->y_stride + i] = 0.0f;
    }
}

/* ------------------------------------------------------------------ dense */

static ingot_status dense_make(const struct cpu_device *device, struct cpu_part *part,
                               uint64_t *resident_bytes, ingot_error *error)
{
    return cpu_dense_make(device->level, &part->resident.dense, device->pool, device->allocator,
                          &part->dense, resident_bytes, error);
}

static void dense_begin(struct pass *pass)
{
    cpu_dense_x_prepare(&pass->part->dense, pass->device->level, pass->device->pool, pass->mode,
                        pass->x, pass->x_stride, pass->n_x, pass->ready);
}

static void dense_add(const struct pass *pass, const struct slice *slice)
{
    cpu_dense_add(&pass->part->dense, pass->mode, pass->ready, slice);
}

static bool dense_keeps(const struct cpu_part *part)
{
    return part->dense.panels == NULL;
}

/* ------------------------------------------------------------------ sparse */

static ingot_status sparse_make(const struct cpu_device *device, struct cpu_part *part,
                                uint64_t *resident_bytes, ingot_error *error)
{
    return cpu_sparse_make(device->level, &part->resident.sparse, part->n_rows, part->n_cols,
                           device->pool, device->allocator, &part->sparse, resident_bytes, error);
}

static void sparse_begin(struct pass *pass)
{
    cpu_sparse_x_prepare(&pass->part->sparse, pass->device->pool, pass->x, pass->x_stride,
                         pass->n_x, pass->ready);
}

static void sparse_add(const struct pass *pass, const struct slice *slice)
{
    cpu_sparse_add(&pass->part->sparse, pass->ready, slice);
}

static bool keeps_all(const struct cpu_part *part)
{
    (void)part;
    return true;
}

/* ------------------------------------------------------------------ low-rank */

static ingot_status lowrank_make(const struct cpu_device *device, struct cpu_part *part,
                                 uint64_t *resident_bytes, ingot_error *error)
{
    const struct resident_lowrank *lowrank = &part->resident.lowrank;
    const ingot_status status =
        cpu_dense_make(device->level, &lowrank->a, device->pool, device->allocator, &part->dense_a,
                       resident_bytes, error);
    if (status != INGOT_OK) return status;
    return cpu_dense_make(device->level, &lowrank->b, device->pool, device->allocator, &part->dense,
                          resident_bytes, error);
}

static void inner_task(void *context, uint64_t i)
{
    const struct pass *pass = context;
    const struct resident_lowrank *lowrank = &pass->part->resident.lowrank;
    struct slice s = product_slice(pass->device, lowrank->a.n_rows, pass->n_x, i);
    s.x = pass->x;
    s.x_stride = pass->x_stride;
    s.y = pass->inner + s.first_row;
    s.y_stride = lowrank->a.n_rows;
    clear_slice(&s);
    cpu_dense_add(&pass->part->dense_a, PANEL_MODE_F32, pass->ready_a, &s);
    for (uint64_t j = 0; j < s.n_x; j++) {
        float *inner = s.y + j * s.y_stride;
        for (uint32_t r = 0; r < s.n_rows; r++) inner[r] *= lowrank->multiplier;
    }
}

/* Low-rank parts are small: their factors are always multiplied by x as it is. */
static void lowrank_begin(struct pass *pass)
{
    const struct cpu_device *device = pass->device;
    const uint64_t rank = pass->part->resident.lowrank.a.n_rows;
    cpu_dense_x_prepare(&pass->part->dense_a, device->level, device->pool, PANEL_MODE_F32, pass->x,
                        pass->x_stride, pass->n_x, pass->ready_a);
    ingot_pool_run(device->pool, ceil_div(rank, slice_rows(pass->n_x)), inner_task, pass);
    cpu_dense_x_prepare(&pass->part->dense, device->level, device->pool, PANEL_MODE_F32,
                        pass->inner, rank, pass->n_x, pass->ready);
}

static void lowrank_add(const struct pass *pass, const struct slice *slice)
{
    struct slice s = *slice;
    s.x = pass->inner;
    s.x_stride = pass->part->resident.lowrank.a.n_rows;
    cpu_dense_add(&pass->part->dense, PANEL_MODE_F32, pass->ready, &s);
}

static bool a_keeps(const struct cpu_part *part)
{
    return part->dense_a.panels == NULL;
}

static const struct part_kind part_kinds[N_RESIDENT_KINDS] = {
    [RESIDENT_DENSE] = {dense_make, dense_begin, dense_add, dense_keeps},
    [RESIDENT_SPARSE] = {sparse_make, sparse_begin, sparse_add, keeps_all},
    [RESIDENT_LOWRANK] = {lowrank_make, lowrank_begin, lowrank_add, a_keeps},
};

/* ------------------------------------------------------------------ the rows and columns of a part
 */

/* How many columns of its own a part takes; 0: x as it is. */
static uint64_t n_own_cols(const struct cpu_part *part)
{
    if (part->resident.dense.columns != NULL) return part->resident.dense.n_cols;
    return part->resident.column_factors != NULL ? part->n_cols : 0;
}

static void take_own_x(struct pass *pass, uint64_t n_own)
{
    const uint32_t *columns = pass->part->resident.dense.columns;
    const float *factors = pass->part->resident.column_factors;
    for (uint64_t j = 0; j < pass->n_x; j++) {
        const float *x = pass->x + j * pass->x_stride;
        float *own = pass->own_x + j * n_own;
        for (uint64_t i = 0; i < n_own; i++) {
            const uint64_t c = columns != NULL ? columns[i] : i;
            own[i] = factors != NULL ? x[c] * factors[c] : x[c];
        }
    }
    pass->x = pass->own_x;
    pass->x_stride = n_own;
}

/* The first of n ascending numbers that is at least `limit`. */
static uint64_t lower_bound(const uint32_t *numbers, uint64_t n, uint64_t limit)
{
    uint64_t low = 0;
    while (n > 0) {
        const uint64_t half = n / 2;
        if (numbers[low + half] < limit) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

/* Adds a part to a slice: its rows, if it has only some, times its factors. */
static void add_part(const struct pass *pass, const struct slice *slice)
{
    const struct cpu_part *part = pass->part;
    const uint32_t *rows = part->resident.dense.rows;
    const float *factors = part->resident.row_factors;
    struct slice s = *slice;
    s.x = pass->x;
    s.x_stride = pass->x_stride;
    if (rows == NULL && factors == NULL) {
        part->kind->add(pass, &s);
        return;
    }
    float sums[TASK_MAX_ROWS * BATCH];
    if (rows != NULL) {
        const uint64_t n = part->resident.dense.n_rows;
        s.first_row = lower_bound(rows, n, slice->first_row);
        s.n_rows = (uint32_t)(lower_bound(rows, n, slice->first_row + slice->n_rows) - s.first_row);
    }
    s.y = sums;
    s.y_stride = TASK_MAX_ROWS;
    clear_slice(&s);
    part->kind->add(pass, &s);
    for (uint64_t j = 0; j < s.n_x; j++) {
        for (uint32_t i = 0; i < s.n_rows; i++) {
            const uint64_t row = rows != NULL ? rows[s.first_row + i] : s.first_row + i;
            const float sum = sums[j * TASK_MAX_ROWS + i];
            slice->y[j * slice->y_stride + (row - slice->first_row)] +=
                factors != NULL ? factors[row] * sum : sum;
        }
    }
}

/* ------------------------------------------------------------------ the matrix */

/* By ingot_activations. */
static const enum panel_mode modes[] = {
    [INGOT_ACTIVATIONS_F32] = PANEL_MODE_F32,
    [INGOT_ACTIVATIONS_BF16] = PANEL_MODE_BF16,
    [INGOT_ACTIVATIONS_I8] = PANEL_MODE_I8,
};

ingot_status cpu_matrix_upload(void *device_pointer, const struct resident_matrix *resident,
                               void **uploaded, uint64_t *resident_bytes, struct kept_parts *kept,
                               ingot_error *error)
{
    struct cpu_device *device = device_pointer;
    uint64_t n_bytes = sizeof(struct cpu_matrix) + resident->n_parts * sizeof(struct cpu_part);
    struct kept_parts made = {0, 0};
    struct cpu_matrix *matrix = ingot_allocate_zeroed(device->allocator, 1, n_bytes);
    if (matrix == NULL) return ingot_fail_memory(error, n_bytes, "matrix");
    matrix->n_rows = resident->n_rows;
    matrix->n_cols = resident->n_cols;
    matrix->mode = modes[resident->activations];
    matrix->n_parts = resident->n_parts;
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < resident->n_parts && status == INGOT_OK; i++) {
        struct cpu_part *part = &matrix->parts[i];
        part->resident = resident->parts[i];
        part->n_rows = resident->n_rows;
        part->n_cols = resident->n_cols;
        part->kind = &part_kinds[part->resident.kind];
        status = part->kind->make(device, part, &n_bytes, error);
        if (status != INGOT_OK) break;
        made.parts |= (uint64_t)part->kind->keeps(part) << i;
        made.b |= (uint64_t)dense_keeps(part) << i;
    }
    if (status != INGOT_OK) {
        cpu_matrix_release(device, matrix);
        return status;
    }
    *uploaded = matrix;
    *resident_bytes = n_bytes;
    *kept = made;
    return INGOT_OK;
}

void cpu_matrix_release(void *device_pointer, void *uploaded)
{
    const struct cpu_device *device = device_pointer;
    struct cpu_matrix *matrix = uploaded;
    if (matrix == NULL) return;
    for (uint32_t i = matrix->n_parts; i-- > 0;) {
        cpu_sparse_release(&matrix->parts[i].sparse, device->allocator);
        cpu_dense_release(&matrix->parts[i].dense_a, device->allocator);
        cpu_dense_release(&matrix->parts[i].dense, device->allocator);
    }
    ingot_release(device->allocator, matrix);
}

/* ------------------------------------------------------------------ products */

/* Memory of the scratch, laid out before there is any: `base` may be NULL then. */
struct layout {
    uint8_t *base;
    uint64_t n_bytes;
};

static void *lay(struct layout *layout, uint64_t n_bytes)
{
    uint8_t *at = layout->base != NULL ? layout->base + layout->n_bytes : NULL;
    layout->n_bytes += ceil_div(n_bytes, 64) * 64;
    return n_bytes > 0 ? at : NULL;
}

static void lay_pass(struct pass *pass, struct layout *layout)
{
    const struct cpu_part *part = pass->part;
    const struct cpu_level *level = pass->device->level;
    const bool is_lowrank = part->resident.kind == RESIDENT_LOWRANK;
    const enum panel_mode mode = is_lowrank ? PANEL_MODE_F32 : pass->mode;
    pass->own_x = lay(layout, n_own_cols(part) * pass->n_x * sizeof(float));
    pass->ready = lay(layout, part->resident.kind == RESIDENT_SPARSE
                                  ? cpu_sparse_x_bytes(&part->sparse, pass->n_x)
                                  : cpu_dense_x_bytes(&part->dense, level, mode, pass->n_x));
    if (!is_lowrank) return;
    pass->ready_a = lay(layout, cpu_dense_x_bytes(&part->dense_a, level, mode, pass->n_x));
    pass->inner = lay(layout, part->resident.lowrank.a.n_rows * pass->n_x * sizeof(float));
}

struct product {
    struct cpu_device *device;
    const struct cpu_matrix *matrix;
    uint64_t n_x;
    float *y;
    struct pass passes[RESIDENT_MAX_PARTS];
};

/* Lays out the passes of a product of n_x rows of x from x on. */
static void lay_product(struct product *product, const float *x, struct layout *layout)
{
    const struct cpu_matrix *matrix = product->matrix;
    for (uint32_t k = 0; k < matrix->n_parts; k++) {
        product->passes[k] = (struct pass){.device = product->device,
                                           .part = &matrix->parts[k],
                                           .mode = matrix->mode,
                                           .x = x,
                                           .x_stride = matrix->n_cols,
                                           .n_x = product->n_x};
        lay_pass(&product->passes[k], layout);
    }
}

static void multiply_slice(const struct product *product, uint64_t i)
{
    const uint64_t n_rows = product->matrix->n_rows;
    struct slice s = product_slice(product->device, n_rows, product->n_x, i);
    s.y = product->y + s.first_row;
    s.y_stride = n_rows;
    clear_slice(&s);
    for (uint32_t k = 0; k < product->matrix->n_parts; k++) {
        add_part(&product->passes[k], &s);
    }
}

static uint64_t n_slices(const struct product *product)
{
    return ceil_div(product->matrix->n_rows, slice_rows(product->n_x));
}

static struct task task_after(const struct product *product, struct task before)
{
    const uint64_t n_threads = ingot_pool_n_threads(product->device->pool);
    return next_task(before, n_slices(product), product->n_x, n_threads);
}

static void product_task(void *context, uint64_t i)
{
    const struct product *product = context;
    struct task task = task_after(product, (struct task){0, 0});
    for (; i > 0; i--) task = task_after(product, task);
    for (uint64_t k = 0; k < task.n; k++) multiply_slice(product, task.first + k);
}

static ingot_status multiply_batch(struct product *product, const float *x, ingot_error *error)
{
    struct cpu_device *device = product->device;
    struct layout layout = {NULL, 0};
    lay_product(product, x, &layout);
    if (!cpu_device_scratch(device, layout.n_bytes)) {
        return ingot_fail_memory(error, layout.n_bytes, "x made ready");
    }
    layout = (struct layout){device->scratch_aligned, 0};
    lay_product(product, x, &layout);
    const struct cpu_matrix *matrix = product->matrix;
    for (uint32_t k = 0; k < matrix->n_parts; k++) {
        struct pass *pass = &product->passes[k];
        if (pass->own_x != NULL) take_own_x(pass, n_own_cols(pass->part));
        pass->part->kind->begin(pass);
    }
    uint64_t n_tasks = 0;
    for (struct task task = {0, 0}; task.first + task.n < n_slices(product); n_tasks++) {
        task = task_after(product, task);
    }
    ingot_pool_run(device->pool, n_tasks, product_task, product);
    return INGOT_OK;
}

ingot_status cpu_matmul(void *device_pointer, void *uploaded, const float *x, uint64_t n, float *y,
                        ingot_error *error)
{
    struct cpu_device *device = device_pointer;
    const struct cpu_matrix *matrix = uploaded;
    ingot_status status = INGOT_OK;
    for (uint64_t first = 0; first < n && status == INGOT_OK; first += BATCH) {
        struct product product = {
            .device = device,
            .matrix = matrix,
            .n_x = min_u64(BATCH, n - first),
            .y = y + first * matrix->n_rows,
        };
        status = multiply_batch(&product, x + first * matrix->n_cols, error);
    }
    return status;
}

/* Matrices on the CPU as sums of parts. Owns the cut into tasks and column blocks, which depends on
 * the shape alone, so results do not depend on the number of threads. Leaves every code, mask and
 * instruction set to the level. */
#include "runtime/cpu_matrix.h"

#include <assert.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "runtime/bitmap.h"

enum {
    TASK_ROWS = 32, /* rows of one task, a multiple of CPU_ROWS */
    BATCH = 128,    /* rows of x of one pass: each weight is decoded once a pass */
    DOT_BATCH = 2   /* up to so many, multiplying from the codes beats decoding them first */
};

struct part_kind;

/* One summand, ready to be used. */
struct cpu_part {
    const struct part_kind *kind;
    const struct resident_part *resident;
    uint64_t n_rows; /* of the matrix */
    uint64_t n_cols;
    const struct cpu_kernel *kernel;   /* dense, the values of sparse, B of lowrank */
    const struct cpu_kernel *kernel_a; /* lowrank */
    float *inner;                      /* lowrank: multiplier * A x for each row of x in a pass */
    float *own_x; /* the columns that the part takes, times its factors; NULL: all as they are */
    uint64_t n_own_x; /* floats of one row of it */
};

struct cpu_matrix {
    struct resident_matrix resident;
    struct cpu_part parts[RESIDENT_MAX_PARTS];
};

/* Rows [first_row, first_row + n_rows) of a product, n_rows <= TASK_ROWS: y[j * y_stride + i] is
 * row first_row + i of row j of the result. */
struct slice {
    const struct cpu_level *level;
    uint64_t first_row;
    uint32_t n_rows;
    const float *x;
    uint64_t x_stride;
    uint64_t n_x;
    float *y;
    uint64_t y_stride;
};

/* Some decoded rows and columns of a part: n_rows <= CPU_ROWS, n_cols <= CPU_COLS. */
struct block {
    uint64_t first_row;
    uint32_t n_rows;
    uint64_t first_col;
    uint64_t n_cols;
    float w[CPU_ROWS * CPU_STRIDE];
};

/* What each kind of part does. `prepare` refuses what cannot be done and chooses kernels; `begin`
 * (may be NULL) runs before the tasks of a pass, `add` in each of them. */
struct part_kind {
    ingot_status (*prepare)(struct cpu_device *device, struct cpu_part *part,
                            uint64_t *resident_bytes, ingot_error *error);
    void (*begin)(struct cpu_device *device, struct cpu_part *part, const float *x,
                  uint64_t x_stride, uint64_t n_x);
    void (*add)(const struct cpu_part *part, const struct slice *slice);
};

/* ------------------------------------------------------------------ blocks */

/* Adds w x to y for a block of decoded rows. */
static void add_block(const struct slice *s, const struct block *block)
{
    const struct cpu_product product = {
        .w = block->w,
        .w_stride = CPU_STRIDE,
        .n_rows = block->n_rows,
        .x = s->x + block->first_col,
        .x_stride = s->x_stride,
        .n_x = s->n_x,
        .n_cols = block->n_cols,
        .y = s->y + (block->first_row - s->first_row),
        .y_stride = s->y_stride,
    };
    s->level->multiply(&product);
}

/* Goes through a slice block by block: all rows of some columns, so that those of x stay in the
 * cache, before the next columns. */
static void add_blocks(const struct slice *s, uint64_t n_cols,
                       void (*decode)(void *context, struct block *block), void *context)
{
    struct block block;
    for (uint64_t col = 0; col < n_cols; col += CPU_COLS) {
        block.first_col = col;
        block.n_cols = min_u64(CPU_COLS, n_cols - col);
        for (uint32_t row = 0; row < s->n_rows; row += CPU_ROWS) {
            block.first_row = s->first_row + row;
            block.n_rows = (uint32_t)min_u64(CPU_ROWS, s->n_rows - row);
            decode(context, &block);
            add_block(s, &block);
        }
    }
}

/* ------------------------------------------------------------------ dense */

struct dense_source {
    const struct resident_dense *dense;
    const struct cpu_kernel *kernel;
};

static void dense_decode(void *context, struct block *block)
{
    const struct dense_source *source = context;
    for (uint32_t i = 0; i < block->n_rows; i++) {
        source->kernel->decode(source->dense, block->first_row + i, block->first_col, block->n_cols,
                               block->w + i * CPU_STRIDE);
    }
}

static void add_dots(const struct resident_dense *dense, const struct cpu_kernel *kernel,
                     const struct slice *s)
{
    for (uint32_t i = 0; i < s->n_rows; i += CPU_ROWS) {
        const uint64_t row = s->first_row + i;
        const uint32_t n_rows = (uint32_t)min_u64(CPU_ROWS, s->n_rows - i);
        for (uint64_t j = 0; j < s->n_x; j++) {
            kernel->dot(dense, row, n_rows, s->x + j * s->x_stride, s->y + j * s->y_stride + i);
        }
    }
}

static void add_product(const struct resident_dense *dense, const struct cpu_kernel *kernel,
                        const struct slice *s)
{
    struct dense_source source = {dense, kernel};
    if (kernel->dot != NULL && s->n_x <= DOT_BATCH) {
        add_dots(dense, kernel, s);
    } else {
        add_blocks(s, dense->n_cols, dense_decode, &source);
    }
}

static uint64_t planes_bytes(const struct resident_plane *planes, uint32_t n, uint64_t n_rows)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < n; i++) n_bytes += n_rows * planes[i].row_bytes;
    return n_bytes;
}

static uint64_t dense_bytes(const struct resident_dense *dense)
{
    const struct ingot_coding *coding = dense->coding;
    uint64_t n_bytes = planes_bytes(dense->planes, dense->n_planes, dense->n_rows) +
                       planes_bytes(dense->signs, dense->n_sign_planes, dense->n_rows);
    if (dense->codebook != NULL) {
        n_bytes += sizeof(float) * coding->n_entries * max_u64(coding->vector_length, 1);
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct resident_table *table = &dense->tables[i];
        if (!coding->slots[i].has_table) continue;
        n_bytes += table->nested != NULL
                       ? dense_bytes(table->nested)
                       : table->n_rows * table->n_cols * ingot_dtype_bits(table->format) / 8;
    }
    return n_bytes;
}

static ingot_status choose_kernel(const struct cpu_device *device,
                                  const struct resident_dense *dense,
                                  const struct cpu_kernel **kernel, uint64_t *resident_bytes,
                                  ingot_error *error)
{
    const char *why;
    if (!cpu_plain_supports(dense, &why)) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "matrix",
                          "the CPU backend cannot multiply by this coding: %s", why);
    }
    *kernel = cpu_level_kernel(device->level, dense);
    *resident_bytes += dense_bytes(dense);
    return INGOT_OK;
}

static ingot_status dense_prepare(struct cpu_device *device, struct cpu_part *part,
                                  uint64_t *resident_bytes, ingot_error *error)
{
    return choose_kernel(device, &part->resident->dense, &part->kernel, resident_bytes, error);
}

static void dense_add(const struct cpu_part *part, const struct slice *slice)
{
    add_product(&part->resident->dense, part->kernel, slice);
}

/* ------------------------------------------------------------------ sparse */

static ingot_status sparse_prepare(struct cpu_device *device, struct cpu_part *part,
                                   uint64_t *resident_bytes, ingot_error *error)
{
    const struct resident_sparse *sparse = &part->resident->sparse;
    assert(sparse->values.n_rows == 1);
    *resident_bytes += sparse->columns != NULL
                           ? sparse->row_offsets[part->n_rows] * sizeof *sparse->columns
                           : sparse->mask.row_bytes * part->n_rows;
    *resident_bytes += (part->n_rows + 1) * sizeof *sparse->row_offsets;
    return choose_kernel(device, &sparse->values, &part->kernel, resident_bytes, error);
}

struct sparse_source {
    const struct cpu_part *part;
    const struct cpu_level *level;
    uint64_t first_row;
    uint64_t next_kept[TASK_ROWS]; /* the first kept value not yet unpacked, by row of the slice */
    float packed[CPU_COLS + 4 * CPU_VECTOR];
    uint32_t cols[CPU_COLS];
};

/* Values of one row without tables, where a mask says. Returns how many. */
static uint64_t expand_masked(struct sparse_source *source, const uint8_t *mask, uint64_t next,
                              uint64_t n_cols, float *dst)
{
    const struct resident_sparse *sparse = &source->part->resident->sparse;
    const uint64_t n_kept = bitmap_ones(mask, n_cols);
    const uint64_t lead = next % CPU_VECTOR; /* decoders begin at whole groups */
    if (n_kept > 0) {
        source->part->kernel->decode(&sparse->values, 0, next - lead, lead + n_kept,
                                     source->packed);
    }
    source->level->expand(mask, n_cols, source->packed + lead, dst);
    return n_kept;
}

/* Columns [first_col, first_col + n_cols) of the kept values of a row, from `next` on. */
static uint64_t listed_cols(const struct resident_sparse *sparse, uint64_t row, uint64_t next,
                            uint64_t first_col, uint64_t n_cols, uint32_t *cols)
{
    uint64_t n = 0;
    if (sparse->columns != NULL) {
        const uint64_t end = sparse->row_offsets[row + 1];
        for (; next + n < end && sparse->columns[next + n] < first_col + n_cols; n++) {
            cols[n] = sparse->columns[next + n];
        }
        return n;
    }
    const uint8_t *mask = sparse->mask.data + row * sparse->mask.row_bytes;
    for (uint64_t c = first_col; c < first_col + n_cols; c++) {
        if (mask[c / 8] >> c % 8 & 1) cols[n++] = (uint32_t)c;
    }
    return n;
}

/* Values of one row at columns that are counted one by one. Returns how many. */
static uint64_t expand_listed(struct sparse_source *source, uint64_t row, uint64_t next,
                              uint64_t first_col, uint64_t n_cols, float *dst)
{
    const struct resident_sparse *sparse = &source->part->resident->sparse;
    const uint64_t n = listed_cols(sparse, row, next, first_col, n_cols, source->cols);
    memset(dst, 0, (size_t)n_cols * sizeof *dst);
    cpu_plain_decode_kept(&sparse->values, next, row, source->cols, n, source->packed);
    for (uint64_t i = 0; i < n; i++) dst[source->cols[i] - first_col] = source->packed[i];
    return n;
}

static bool has_tables(const struct ingot_coding *coding)
{
    bool any = false;
    for (uint32_t i = 0; i < N_SLOTS; i++) any = any || coding->slots[i].has_table;
    return any;
}

static void sparse_decode(void *context, struct block *block)
{
    struct sparse_source *source = context;
    const struct resident_sparse *sparse = &source->part->resident->sparse;
    const bool masked = sparse->columns == NULL && !has_tables(sparse->values.coding);
    for (uint32_t i = 0; i < block->n_rows; i++) {
        const uint64_t row = block->first_row + i;
        uint64_t *next = &source->next_kept[row - source->first_row];
        float *dst = block->w + i * CPU_STRIDE;
        if (masked) {
            const uint8_t *mask =
                sparse->mask.data + row * sparse->mask.row_bytes + block->first_col / 8;
            *next += expand_masked(source, mask, *next, block->n_cols, dst);
        } else {
            *next += expand_listed(source, row, *next, block->first_col, block->n_cols, dst);
        }
    }
}

static void sparse_add(const struct cpu_part *part, const struct slice *s)
{
    struct sparse_source source = {.part = part, .level = s->level, .first_row = s->first_row};
    for (uint32_t i = 0; i < s->n_rows; i++) {
        source.next_kept[i] = part->resident->sparse.row_offsets[s->first_row + i];
    }
    add_blocks(s, part->n_cols, sparse_decode, &source);
}

/* ------------------------------------------------------------------ tasks over rows */

static uint64_t n_row_tasks(uint64_t n_rows)
{
    return ceil_div(n_rows, TASK_ROWS);
}

/* Task i of a product of n_rows rows. */
static struct slice task_slice(const struct cpu_device *device, uint64_t n_rows, uint64_t i)
{
    return (struct slice){
        .level = device->level,
        .first_row = i * TASK_ROWS,
        .n_rows = (uint32_t)min_u64(TASK_ROWS, n_rows - i * TASK_ROWS),
    };
}

static void clear_slice(const struct slice *s)
{
    for (uint64_t j = 0; j < s->n_x; j++) {
        for (uint32_t i = 0; i < s->n_rows; i++) s->y[j * s->y_stride + i] = 0.0f;
    }
}

/* ------------------------------------------------------------------ low-rank */

struct inner_job {
    struct cpu_device *device;
    struct cpu_part *part;
    const float *x;
    uint64_t x_stride;
    uint64_t n_x;
};

static void inner_task(void *context, uint64_t i)
{
    const struct inner_job *job = context;
    const struct resident_lowrank *lowrank = &job->part->resident->lowrank;
    struct slice s = task_slice(job->device, lowrank->a.n_rows, i);
    s.x = job->x;
    s.x_stride = job->x_stride;
    s.n_x = job->n_x;
    s.y = job->part->inner + s.first_row;
    s.y_stride = lowrank->a.n_rows;
    clear_slice(&s);
    add_product(&lowrank->a, job->part->kernel_a, &s);
    for (uint64_t j = 0; j < s.n_x; j++) {
        float *inner = s.y + j * s.y_stride;
        for (uint32_t r = 0; r < s.n_rows; r++) inner[r] *= lowrank->multiplier;
    }
}

static ingot_status lowrank_prepare(struct cpu_device *device, struct cpu_part *part,
                                    uint64_t *resident_bytes, ingot_error *error)
{
    const struct resident_lowrank *lowrank = &part->resident->lowrank;
    ingot_status status =
        choose_kernel(device, &lowrank->a, &part->kernel_a, resident_bytes, error);
    if (status != INGOT_OK) return status;
    status = choose_kernel(device, &lowrank->b, &part->kernel, resident_bytes, error);
    if (status != INGOT_OK) return status;
    const uint64_t inner_bytes = lowrank->a.n_rows * BATCH * sizeof *part->inner;
    part->inner = ingot_allocate(device->allocator, inner_bytes);
    if (part->inner == NULL) return ingot_fail_memory(error, inner_bytes, "low-rank product");
    *resident_bytes += inner_bytes;
    return INGOT_OK;
}

static void lowrank_begin(struct cpu_device *device, struct cpu_part *part, const float *x,
                          uint64_t x_stride, uint64_t n_x)
{
    struct inner_job job = {device, part, x, x_stride, n_x};
    ingot_pool_run(device->pool, n_row_tasks(part->resident->lowrank.a.n_rows), inner_task, &job);
}

static void lowrank_add(const struct cpu_part *part, const struct slice *slice)
{
    struct slice s = *slice;
    s.x = part->inner;
    s.x_stride = part->resident->lowrank.a.n_rows;
    add_product(&part->resident->lowrank.b, part->kernel, &s);
}

/* ------------------------------------------------------------------ the rows and columns of a part
 */

/* Which column of x is column i of the part's, and its factor. */
static float own_column(const struct cpu_part *part, uint64_t i, const float *x)
{
    const uint32_t *columns = part->resident->dense.columns;
    const float *factors = part->resident->column_factors;
    const uint64_t c = columns != NULL ? columns[i] : i;
    return factors != NULL ? x[c] * factors[c] : x[c];
}

static void take_own_x(struct cpu_part *part, const float *x, uint64_t x_stride, uint64_t n_x)
{
    for (uint64_t j = 0; j < n_x; j++) {
        float *own = part->own_x + j * part->n_own_x;
        for (uint64_t i = 0; i < part->n_own_x; i++) own[i] = own_column(part, i, x + j * x_stride);
    }
}

static ingot_status prepare_own_x(struct cpu_device *device, struct cpu_part *part,
                                  uint64_t *resident_bytes, ingot_error *error)
{
    const struct resident_dense *dense = &part->resident->dense;
    if (part->resident->column_factors == NULL && dense->columns == NULL) return INGOT_OK;
    part->n_own_x = dense->columns != NULL ? dense->n_cols : part->n_cols;
    const uint64_t n_bytes = part->n_own_x * BATCH * sizeof *part->own_x;
    part->own_x = ingot_allocate(device->allocator, n_bytes);
    if (part->own_x == NULL) return ingot_fail_memory(error, n_bytes, "columns of x");
    *resident_bytes += n_bytes;
    return INGOT_OK;
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
static void add_part(const struct cpu_part *part, const struct slice *slice)
{
    const uint32_t *rows = part->resident->dense.rows;
    const float *factors = part->resident->row_factors;
    struct slice s = *slice;
    if (part->own_x != NULL) {
        s.x = part->own_x;
        s.x_stride = part->n_own_x;
    }
    if (rows == NULL && factors == NULL) {
        part->kind->add(part, &s);
        return;
    }
    float sums[TASK_ROWS * BATCH];
    if (rows != NULL) {
        const uint64_t n = part->resident->dense.n_rows;
        s.first_row = lower_bound(rows, n, slice->first_row);
        s.n_rows = (uint32_t)(lower_bound(rows, n, slice->first_row + slice->n_rows) - s.first_row);
    }
    s.y = sums;
    s.y_stride = TASK_ROWS;
    clear_slice(&s);
    part->kind->add(part, &s);
    for (uint64_t j = 0; j < s.n_x; j++) {
        for (uint32_t i = 0; i < s.n_rows; i++) {
            const uint64_t row = rows != NULL ? rows[s.first_row + i] : s.first_row + i;
            const float sum = sums[j * TASK_ROWS + i];
            slice->y[j * slice->y_stride + (row - slice->first_row)] +=
                factors != NULL ? factors[row] * sum : sum;
        }
    }
}

/* ------------------------------------------------------------------ the matrix */

static const struct part_kind part_kinds[N_RESIDENT_KINDS] = {
    [RESIDENT_DENSE] = {dense_prepare, NULL, dense_add},
    [RESIDENT_SPARSE] = {sparse_prepare, NULL, sparse_add},
    [RESIDENT_LOWRANK] = {lowrank_prepare, lowrank_begin, lowrank_add},
};

ingot_status cpu_matrix_upload(void *device_pointer, const struct resident_matrix *resident,
                               void **uploaded, uint64_t *resident_bytes, ingot_error *error)
{
    struct cpu_device *device = device_pointer;
    struct cpu_matrix *matrix = ingot_allocate_zeroed(device->allocator, 1, sizeof *matrix);
    if (matrix == NULL) return ingot_fail_memory(error, sizeof *matrix, "matrix");
    matrix->resident = *resident;
    uint64_t n_bytes = sizeof *matrix;
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < resident->n_parts && status == INGOT_OK; i++) {
        struct cpu_part *part = &matrix->parts[i];
        part->resident = &matrix->resident.parts[i];
        part->n_rows = resident->n_rows;
        part->n_cols = resident->n_cols;
        part->kind = &part_kinds[part->resident->kind];
        status = part->kind->prepare(device, part, &n_bytes, error);
        if (status == INGOT_OK) status = prepare_own_x(device, part, &n_bytes, error);
    }
    if (status != INGOT_OK) {
        cpu_matrix_release(device, matrix);
        return status;
    }
    *uploaded = matrix;
    *resident_bytes = n_bytes;
    return INGOT_OK;
}

void cpu_matrix_release(void *device_pointer, void *uploaded)
{
    const struct cpu_device *device = device_pointer;
    struct cpu_matrix *matrix = uploaded;
    if (matrix == NULL) return;
    for (uint32_t i = RESIDENT_MAX_PARTS; i-- > 0;) {
        ingot_release(device->allocator, matrix->parts[i].own_x);
        ingot_release(device->allocator, matrix->parts[i].inner);
    }
    ingot_release(device->allocator, matrix);
}

struct product_job {
    struct cpu_device *device;
    const struct cpu_matrix *matrix;
    const float *x;
    uint64_t n_x;
    float *y;
};

static void product_task(void *context, uint64_t i)
{
    const struct product_job *job = context;
    const struct cpu_matrix *matrix = job->matrix;
    struct slice s = task_slice(job->device, matrix->resident.n_rows, i);
    s.x = job->x;
    s.x_stride = matrix->resident.n_cols;
    s.n_x = job->n_x;
    s.y = job->y + s.first_row;
    s.y_stride = matrix->resident.n_rows;
    clear_slice(&s);
    for (uint32_t k = 0; k < matrix->resident.n_parts; k++) add_part(&matrix->parts[k], &s);
}

ingot_status cpu_matmul(void *device_pointer, void *uploaded, const float *x, uint64_t n, float *y,
                        ingot_error *error)
{
    (void)error; /* nothing here can fail */
    struct cpu_device *device = device_pointer;
    struct cpu_matrix *matrix = uploaded;
    const uint64_t n_rows = matrix->resident.n_rows;
    const uint64_t n_cols = matrix->resident.n_cols;
    for (uint64_t first = 0; first < n; first += BATCH) {
        const uint64_t n_x = min_u64(BATCH, n - first);
        const float *x_pass = x + first * n_cols;
        for (uint32_t k = 0; k < matrix->resident.n_parts; k++) {
            struct cpu_part *part = &matrix->parts[k];
            const float *part_x = part->own_x != NULL ? part->own_x : x_pass;
            const uint64_t stride = part->own_x != NULL ? part->n_own_x : n_cols;
            if (part->own_x != NULL) take_own_x(part, x_pass, n_cols, n_x);
            if (part->kind->begin) part->kind->begin(device, part, part_x, stride, n_x);
        }
        struct product_job job = {device, matrix, x_pass, n_x, y + first * n_rows};
        ingot_pool_run(device->pool, n_row_tasks(n_rows), product_task, &job);
    }
    return INGOT_OK;
}

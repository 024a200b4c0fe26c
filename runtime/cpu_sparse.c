/* Products with kept values: rows are spread out and multiplied as dense ones. */
#include "runtime/cpu_sparse.h"

#include <assert.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "runtime/bitmap.h"

/* Up to so many rows of x, spreading in registers beats doing it once in memory. */
enum { DOT_BATCH = 4 };

/* ------------------------------------------------------------------ the kernel */

static void make_part(void *context, uint64_t part)
{
    struct cpu_sparse *sparse = context;
    const uint64_t part_bytes = sparse->kernel->part_bytes(sparse->n_cols);
    sparse->kernel->make_part(&sparse->kept, part, (uint8_t *)sparse->own + part * part_bytes);
}

/* What the kernel holds beside the values. */
static ingot_status make_own(struct cpu_sparse *sparse, struct ingot_pool *pool,
                             const ingot_allocator *allocator, uint64_t *resident_bytes,
                             ingot_error *error)
{
    if (sparse->kernel->part_bytes == NULL) return INGOT_OK;
    const uint64_t n_parts = ceil_div(sparse->kept.n_rows, KEPT_PART_ROWS);
    const uint64_t n_bytes = n_parts * sparse->kernel->part_bytes(sparse->n_cols);
    sparse->own = ingot_allocate(allocator, n_bytes);
    if (sparse->own == NULL) return ingot_fail_memory(error, n_bytes, "kept values");
    ingot_pool_run(pool, n_parts, make_part, sparse);
    sparse->kept.own = sparse->own;
    *resident_bytes += n_bytes;
    return INGOT_OK;
}

/* The scales of rows at hand. */
static ingot_status make_scales(struct cpu_sparse *sparse, const ingot_allocator *allocator,
                                uint64_t *resident_bytes, ingot_error *error)
{
    const struct resident_dense *values = &sparse->resident->values;
    const uint64_t n_rows = sparse->kept.n_rows;
    if (!values->coding->slots[SLOT_SCALE].has_table) return INGOT_OK;
    sparse->scales = ingot_allocate_zeroed(allocator, n_rows, sizeof *sparse->scales);
    if (sparse->scales == NULL) return ingot_fail_memory(error, n_rows * sizeof(float), "scales");
    for (uint64_t r = 0; r < n_rows; r++) {
        sparse->scales[r] = cpu_plain_entry(&values->tables[SLOT_SCALE], r, 0);
    }
    *resident_bytes += n_rows * sizeof *sparse->scales;
    return INGOT_OK;
}

static bool has_tables(const struct ingot_coding *coding)
{
    bool any = false;
    for (uint32_t i = 0; i < N_SLOTS; i++) any = any || coding->slots[i].has_table;
    return any;
}

/* Tables are in the matrix's coordinates: they are applied to values that are spread out. */
static ingot_status make_bare(const struct cpu_level *level, const ingot_allocator *allocator,
                              struct cpu_sparse *sparse, uint64_t *resident_bytes,
                              ingot_error *error)
{
    const struct resident_dense *values = &sparse->resident->values;
    if (sparse->resident->columns != NULL || !has_tables(values->coding)) return INGOT_OK;
    struct bare_values *bare = ingot_allocate_zeroed(allocator, 1, sizeof *bare);
    if (bare == NULL) return ingot_fail_memory(error, sizeof *bare, "kept values");
    bare->coding = *values->coding;
    memset(bare->coding.slots, 0, sizeof bare->coding.slots);
    bare->values = *values;
    bare->values.coding = &bare->coding;
    sparse->bare = bare;
    sparse->values.kernel = cpu_level_kernel(level, &bare->values);
    *resident_bytes += sizeof *bare;
    return INGOT_OK;
}

static const struct cpu_sparse_kernel *kernel_for(const struct cpu_level *level,
                                                  const struct ingot_coding *coding)
{
    for (uint32_t i = 0; level->sparse != NULL && i < *level->n_sparse; i++) {
        if (level->sparse[i].fits(coding)) return &level->sparse[i];
    }
    return NULL;
}

uint64_t cpu_sparse_forecast(const struct cpu_level *level, const struct ingot_coding *coding,
                             uint64_t n_rows, uint64_t n_cols)
{
    const struct cpu_sparse_kernel *kernel = kernel_for(level, coding);
    const bool tables = has_tables(coding);
    uint64_t n_bytes = tables ? sizeof(struct bare_values) : 0;
    if (kernel != NULL && tables) n_bytes += n_rows * sizeof(float);
    if (kernel != NULL && kernel->part_bytes != NULL) {
        n_bytes += ceil_div(n_rows, KEPT_PART_ROWS) * kernel->part_bytes(n_cols);
    }
    return n_bytes;
}

ingot_status cpu_sparse_make(const struct cpu_level *level, const struct resident_sparse *resident,
                             uint64_t n_rows, uint64_t n_cols, struct ingot_pool *pool,
                             const ingot_allocator *allocator, struct cpu_sparse *sparse,
                             uint64_t *resident_bytes, ingot_error *error)
{
    assert(resident->values.n_rows == 1);
    sparse->resident = resident;
    sparse->n_cols = n_cols;
    if (resident->columns == NULL) sparse->kernel = kernel_for(level, resident->values.coding);
    *resident_bytes += resident->columns != NULL
                           ? resident->row_offsets[n_rows] * sizeof *resident->columns
                           : resident->mask.row_bytes * n_rows;
    *resident_bytes += (n_rows + 1) * sizeof *resident->row_offsets;
    ingot_status status =
        cpu_dense_choose(level, &resident->values, &sparse->values, resident_bytes, error);
    if (status == INGOT_OK) status = make_bare(level, allocator, sparse, resident_bytes, error);
    if (status != INGOT_OK || sparse->kernel == NULL) return status;
    sparse->kept = (struct cpu_kept){.mask = resident->mask.data,
                                     .mask_row_bytes = resident->mask.row_bytes,
                                     .values = resident->values.planes[0].data,
                                     .row_offsets = resident->row_offsets,
                                     .n_rows = n_rows,
                                     .n_cols = n_cols};
    status = make_own(sparse, pool, allocator, resident_bytes, error);
    return status == INGOT_OK ? make_scales(sparse, allocator, resident_bytes, error) : status;
}

void cpu_sparse_release(struct cpu_sparse *sparse, const ingot_allocator *allocator)
{
    ingot_release(allocator, sparse->scales);
    ingot_release(allocator, sparse->own);
    ingot_release(allocator, sparse->bare);
}

/* Bytes of a row of x made ready. */
static uint64_t ready_bytes(const struct cpu_sparse *sparse)
{
    const struct cpu_sparse_kernel *kernel = sparse->kernel;
    return kernel != NULL && kernel->x_bytes != NULL ? kernel->x_bytes(sparse->n_cols) : 0;
}

uint64_t cpu_sparse_x_bytes(const struct cpu_sparse *sparse, uint64_t n_x)
{
    return n_x <= DOT_BATCH ? n_x * ready_bytes(sparse) : 0;
}

struct x_job {
    const struct cpu_sparse *sparse;
    const float *x;
    uint64_t x_stride;
    uint8_t *ready;
};

static void prepare_row(void *context, uint64_t j)
{
    const struct x_job *job = context;
    job->sparse->kernel->x_prepare(job->sparse->n_cols, job->x + j * job->x_stride,
                                   job->ready + j * ready_bytes(job->sparse));
}

void cpu_sparse_x_prepare(const struct cpu_sparse *sparse, struct ingot_pool *pool, const float *x,
                          uint64_t x_stride, uint64_t n_x, void *ready)
{
    if (cpu_sparse_x_bytes(sparse, n_x) == 0) return;
    struct x_job job = {sparse, x, x_stride, ready};
    ingot_pool_run(pool, n_x, prepare_row, &job);
}

static void add_dots(const struct cpu_sparse *sparse, const uint8_t *ready, const struct slice *s)
{
    const struct coding_slot *slot = &sparse->resident->values.coding->slots[SLOT_SCALE];
    const float scale = slot->has_constant ? slot->constant : 1.0f;
    float sums[TASK_MAX_ROWS];
    for (uint64_t j = 0; j < s->n_x; j++) {
        sparse->kernel->dot(&sparse->kept, s->first_row, s->n_rows, s->x + j * s->x_stride,
                            ready + j * ready_bytes(sparse), sums);
        for (uint32_t i = 0; i < s->n_rows; i++) {
            const float of_row = sparse->scales != NULL ? sparse->scales[s->first_row + i] : scale;
            s->y[j * s->y_stride + i] += of_row * sums[i];
        }
    }
}

/* ------------------------------------------------------------------ spreading out in memory */

struct sparse_source {
    const struct cpu_sparse *part;
    const struct cpu_level *level;
    uint64_t first_row;
    uint64_t
        next_kept[TASK_MAX_ROWS]; /* the first kept value not yet unpacked, by row of the slice */
    float packed[CPU_COLS + 4 * CPU_VECTOR];
};

static void clear_others(const uint8_t *mask, uint64_t n_cols, float *v)
{
    for (uint64_t c = 0; c < n_cols; c++) { /* without a branch that nothing foretells */
        const uint32_t held = (uint32_t)mask[c / 8] >> c % 8 & 1u;
        v[c] = f32_from_bits(f32_bits(v[c]) & (0u - held));
    }
}

/* Values of one row from column first_col on where a mask says. Returns how many. */
static uint64_t expand_masked(struct sparse_source *source, uint64_t row, uint64_t next,
                              uint64_t first_col, uint64_t n_cols, float *dst)
{
    const struct cpu_sparse *part = source->part;
    const struct resident_sparse *sparse = part->resident;
    const uint8_t *mask = sparse->mask.data + row * sparse->mask.row_bytes + first_col / 8;
    const uint64_t n_kept = bitmap_ones(mask, n_cols);
    const uint64_t lead = next % CPU_VECTOR; /* decoders begin at whole groups */
    if (n_kept > 0) {
        part->values.kernel->decode(part->bare != NULL ? &part->bare->values : &sparse->values, 0,
                                    next - lead, lead + n_kept, source->packed);
    }
    source->level->expand(mask, n_cols, source->packed + lead, dst);
    if (part->bare != NULL && n_kept > 0) {
        cpu_plain_apply_slots(&sparse->values, row, first_col, n_cols, dst);
        clear_others(mask, n_cols, dst);
    }
    return n_kept;
}

/* Values of one row at columns of a list. Returns how many. */
static uint64_t expand_listed(struct sparse_source *source, uint64_t row, uint64_t next,
                              uint64_t first_col, uint64_t n_cols, float *dst)
{
    const struct resident_sparse *sparse = source->part->resident;
    const uint32_t *cols = sparse->columns + next;
    const uint64_t n_left = sparse->row_offsets[row + 1] - next;
    uint64_t n = 0;
    while (n < n_left && cols[n] < first_col + n_cols) n++;
    memset(dst, 0, (size_t)n_cols * sizeof *dst);
    cpu_plain_decode_kept(&sparse->values, next, row, cols, n, source->packed);
    for (uint64_t i = 0; i < n; i++) dst[cols[i] - first_col] = source->packed[i];
    return n;
}

static void sparse_decode(void *context, struct block *block)
{
    struct sparse_source *source = context;
    for (uint32_t i = 0; i < block->n_rows; i++) {
        const uint64_t row = block->first_row + i;
        uint64_t *next = &source->next_kept[row - source->first_row];
        float *dst = block->w + i * CPU_STRIDE;
        const bool is_list = source->part->resident->columns != NULL;
        *next += (is_list ? expand_listed : expand_masked)(source, row, *next, block->first_col,
                                                           block->n_cols, dst);
    }
}

void cpu_sparse_add(const struct cpu_sparse *sparse, const void *ready, const struct slice *s)
{
    if (sparse->kernel != NULL && s->n_x <= DOT_BATCH) {
        add_dots(sparse, ready, s);
        return;
    }
    struct sparse_source source = {.part = sparse, .level = s->level, .first_row = s->first_row};
    for (uint32_t i = 0; i < s->n_rows; i++) {
        source.next_kept[i] = sparse->resident->row_offsets[s->first_row + i];
    }
    slice_add_blocks(s, sparse->n_cols, sparse_decode, &source);
}

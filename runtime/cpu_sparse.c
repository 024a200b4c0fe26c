/* Products with kept values: rows are spread out and multiplied as dense ones. */
#include "runtime/cpu_sparse.h"

#include <assert.h>

#include "format/bytes.h"
#include "runtime/bitmap.h"

ingot_status cpu_sparse_make(const struct cpu_level *level, const struct resident_sparse *resident,
                             uint64_t n_rows, uint64_t n_cols, struct cpu_sparse *sparse,
                             uint64_t *resident_bytes, ingot_error *error)
{
    assert(resident->values.n_rows == 1);
    sparse->resident = resident;
    sparse->n_cols = n_cols;
    const struct ingot_coding *coding = resident->values.coding;
    for (uint32_t i = 0; level->sparse != NULL && i < *level->n_sparse; i++) {
        if (sparse->kernel != NULL || resident->columns != NULL) break;
        if (level->sparse[i].fits(coding)) sparse->kernel = &level->sparse[i];
    }
    const struct coding_slot *scale = &coding->slots[SLOT_SCALE];
    sparse->scale = scale->has_constant ? scale->constant : 1.0f;
    *resident_bytes += resident->columns != NULL
                           ? resident->row_offsets[n_rows] * sizeof *resident->columns
                           : resident->mask.row_bytes * n_rows;
    *resident_bytes += (n_rows + 1) * sizeof *resident->row_offsets;
    return cpu_dense_choose(level, &resident->values, &sparse->values, resident_bytes, error);
}

struct sparse_source {
    const struct cpu_sparse *part;
    const struct cpu_level *level;
    uint64_t first_row;
    uint64_t
        next_kept[TASK_MAX_ROWS]; /* the first kept value not yet unpacked, by row of the slice */
    float packed[CPU_COLS + 4 * CPU_VECTOR];
    uint32_t cols[CPU_COLS];
};

/* Values of one row without tables, where a mask says. Returns how many. */
static uint64_t expand_masked(struct sparse_source *source, const uint8_t *mask, uint64_t next,
                              uint64_t n_cols, float *dst)
{
    const struct resident_sparse *sparse = source->part->resident;
    const uint64_t n_kept = bitmap_ones(mask, n_cols);
    const uint64_t lead = next % CPU_VECTOR; /* decoders begin at whole groups */
    if (n_kept > 0) {
        source->part->values.kernel->decode(&sparse->values, 0, next - lead, lead + n_kept,
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
    const struct resident_sparse *sparse = source->part->resident;
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
    const struct resident_sparse *sparse = source->part->resident;
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

static void add_dots(const struct cpu_sparse *sparse, const struct slice *s)
{
    const struct resident_sparse *resident = sparse->resident;
    struct cpu_kept_row rows[TASK_MAX_ROWS];
    float sums[TASK_MAX_ROWS];
    for (uint32_t i = 0; i < s->n_rows; i++) {
        const uint64_t row = s->first_row + i;
        rows[i] =
            (struct cpu_kept_row){resident->mask.data + row * resident->mask.row_bytes,
                                  resident->values.planes[0].data, resident->row_offsets[row]};
    }
    for (uint64_t j = 0; j < s->n_x; j++) {
        sparse->kernel->dot(rows, s->n_rows, sparse->n_cols, s->x + j * s->x_stride, sums);
        for (uint32_t i = 0; i < s->n_rows; i++) {
            s->y[j * s->y_stride + i] += sparse->scale * sums[i];
        }
    }
}

/* Up to so many rows of x, spreading in registers beats doing it once in memory. */
enum { DOT_BATCH = 4 };

void cpu_sparse_add(const struct cpu_sparse *sparse, const struct slice *s)
{
    if (sparse->kernel != NULL && s->n_x <= DOT_BATCH) {
        add_dots(sparse, s);
        return;
    }
    struct sparse_source source = {.part = sparse, .level = s->level, .first_row = s->first_row};
    for (uint32_t i = 0; i < s->n_rows; i++) {
        source.next_kept[i] = sparse->resident->row_offsets[s->first_row + i];
    }
    slice_add_blocks(s, sparse->n_cols, sparse_decode, &source);
}

/* Rows through the kernels, LANES groups at a time. Knows how groups are laid out and how entries
 * of flat tables are rounded; what is searched is the encoders' affair. */
#include "convert/grid.h"

#include <math.h>

#include "convert/encode.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/floats.h"

static struct levels unsigned_levels(const struct grid *grid, const struct codebook *codebook)
{
    (void)codebook;
    const int32_t high = grid->narrow ? grid->zero : (1 << grid->bits) - 1 - grid->zero;
    return levels_uniform(-grid->zero, high, grid->zero);
}

static struct levels signed_levels(const struct grid *grid, const struct codebook *codebook)
{
    const int32_t half = 1 << (grid->bits - 1);
    (void)codebook;
    return levels_uniform(grid->narrow ? 1 - half : -half, half - 1, 0);
}

static struct levels float_levels(const struct grid *grid, const struct codebook *codebook)
{
    (void)codebook;
    return levels_float(grid->format);
}

static struct levels book_levels(const struct grid *grid, const struct codebook *codebook)
{
    (void)grid;
    return levels_codebook(codebook->entries, codebook->n_entries);
}

struct levels grid_levels(const struct grid *grid, const struct codebook *codebook)
{
    static struct levels (*const levels[])(const struct grid *, const struct codebook *) = {
        [MAP_UINT] = unsigned_levels,
        [MAP_INT] = signed_levels,
        [MAP_FLOAT] = float_levels,
        [MAP_CODEBOOK] = book_levels,
    };
    return levels[grid->map](grid, codebook);
}

/* Room for a batch. */
static ingot_status open_lanes(struct grid_work *w)
{
    const uint64_t n = w->group_cols * LANES;
    w->weights = ingot_allocate(NULL, n * sizeof(float));
    w->importance = ingot_allocate(NULL, n * sizeof(float));
    w->spare = ingot_allocate(NULL, w->group_cols * sizeof(float));
    if (w->weights && w->importance && w->spare) return INGOT_OK;
    return ingot_fail_memory(w->error, n * 8, "groups");
}

static void close_lanes(struct grid_work *w)
{
    ingot_release(NULL, w->spare);
    ingot_release(NULL, w->importance);
    ingot_release(NULL, w->weights);
}

ingot_status grid_open(struct grid_work *w, const struct encode_input *input, ingot_error *error)
{
    const struct grid *grid = &input->plan->preset->grid;
    const struct stack_shape s = input->shape;
    const uint64_t n_rows = grid->run ? s.n_matrices : s.n_matrices * s.n_rows;
    const uint64_t n_cols = grid->run ? s.n_rows * s.n_cols : s.n_cols;
    *w = (struct grid_work){
        .input = input,
        .grid = grid,
        .fit = {fit_kernels_find(NULL), grid_levels(grid, input->plan->codebook), grid->effort,
                grid->positive, grid->scale == INGOT_F16 || grid->scale == INGOT_BF16},
        .n_rows = n_rows,
        .n_cols = n_cols,
        .group_cols = grid->group_cols ? min_u64(grid->group_cols, n_cols) : n_cols,
        .error = error,
    };
    if (n_rows * n_cols == 0) return INGOT_OK;
    w->row_groups = ceil_div(n_cols, w->group_cols);
    w->n_groups = n_rows * w->row_groups;
    w->codes = ingot_allocate(input->memory, n_rows * n_cols);
    if (w->codes == NULL) return ingot_fail_memory(error, n_rows * n_cols, "codes");
    return open_lanes(w);
}

void grid_close(struct grid_work *w)
{
    close_lanes(w);
    ingot_release(w->input->memory, w->codes);
}

struct grid_result {
    ingot_status status;
    ingot_error why;
};

struct grid_ranges {
    const struct grid_work *work;
    uint64_t n_items, n_step;
    grid_range *run;
    void *context;
    struct grid_result *results;
};

static void run_range(void *context, uint64_t i)
{
    const struct grid_ranges *ranges = context;
    const uint64_t first = i * ranges->n_step;
    struct grid_result *result = &ranges->results[i];
    struct grid_work own = *ranges->work;
    own.error = &result->why;
    result->status = open_lanes(&own);
    if (result->status == INGOT_OK) {
        result->status = ranges->run(ranges->context, &own, first,
                                     min_u64(ranges->n_step, ranges->n_items - first));
    }
    close_lanes(&own);
}

ingot_status grid_run(const struct grid_work *w, uint64_t n_items, uint64_t n_step, grid_range *run,
                      void *context)
{
    struct grid_ranges ranges = {w, n_items, n_step, run, context, NULL};
    const uint64_t n = ceil_div(n_items, n_step);
    ingot_status status = INGOT_OK;
    if (n <= 1 || w->input->pool == NULL) return n ? run(context, w, 0, n_items) : INGOT_OK;
    ranges.results = ingot_allocate_zeroed(NULL, n, sizeof *ranges.results);
    if (ranges.results == NULL) {
        return ingot_fail_memory(w->error, n * sizeof *ranges.results, "ranges");
    }
    ingot_pool_run(w->input->pool, n, run_range, &ranges);
    for (uint64_t i = 0; i < n && status == INGOT_OK; i++) {
        status = ranges.results[i].status;
        if (status != INGOT_OK && w->error) *w->error = ranges.results[i].why;
    }
    ingot_release(NULL, ranges.results);
    return status;
}

/* The importance of the weights of lane k, from where its group begins. Columns of runs go on in
 * the next row. */
static const float *importance_of(const struct grid_work *w, const struct grid_batch *b, uint32_t k,
                                  uint64_t i)
{
    const struct encode_input *input = w->input;
    const struct stack_shape stack = input->plan->stack;
    const uint64_t n_cols = input->shape.n_cols;
    const uint64_t row = input->first_row + (b->begins[k] + i) / n_cols;
    return input->importance + row / stack.n_rows * n_cols + (b->begins[k] + i) % n_cols;
}

static void load_importance(const struct grid_work *w, struct grid_batch *b, bool uneven)
{
    const float *sources[LANES];
    const bool given = w->input->importance != NULL;
    if (given && !uneven && !w->grid->run) {
        for (uint32_t k = 0; k < LANES; k++) sources[k] = importance_of(w, b, k, 0);
        w->fit.kernels->load(sources, b->lanes.n, w->importance);
    } else {
        for (uint32_t k = 0; k < LANES; k++) {
            for (uint32_t i = 0; i < b->lanes.n; i++) {
                const float own = i >= b->sizes[k] ? 0.0f : given ? *importance_of(w, b, k, i) : 1;
                w->importance[(size_t)i * LANES + k] = own;
            }
        }
    }
    b->lanes.importance = w->importance;
}

/* A shorter group is filled up with weights of no importance. */
void grid_load_batch(const struct grid_work *w, struct grid_batch *b)
{
    const float *sources[LANES];
    bool uneven = false;
    b->lanes = (struct lanes){.weights = w->weights};
    for (uint32_t k = 0; k < LANES; k++) {
        if (b->sizes[k] > b->lanes.n) b->lanes.n = b->sizes[k];
    }
    for (uint32_t k = 0; k < LANES; k++) {
        sources[k] = w->input->values + b->begins[k];
        uneven = uneven || b->sizes[k] < b->lanes.n;
        if (b->sizes[k] == w->group_cols && w->input->importance == NULL) {
            b->lanes.whole |= 1u << k;
        }
    }
    if (uneven || w->input->importance) load_importance(w, b, uneven);
    if (!uneven) {
        w->fit.kernels->load(sources, b->lanes.n, w->weights);
        return;
    }
    for (uint32_t k = 0; k < LANES; k++) {
        for (uint32_t i = 0; i < b->lanes.n; i++) {
            w->weights[(size_t)i * LANES + k] = i < b->sizes[k] ? sources[k][i] : 0.0f;
        }
    }
}

struct grid_batch grid_place(const struct grid_work *w, uint64_t first)
{
    struct grid_batch b = {.lanes = {0}};
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t group = min_u64(first + k, w->n_groups - 1);
        const uint64_t col = group % w->row_groups * w->group_cols;
        b.groups[k] = group;
        b.sizes[k] = (uint32_t)min_u64(w->group_cols, w->n_cols - col);
        b.begins[k] = group / w->row_groups * w->n_cols + col;
    }
    return b;
}

struct grid_batch grid_load(const struct grid_work *w, uint64_t first)
{
    struct grid_batch b = grid_place(w, first);
    grid_load_batch(w, &b);
    return b;
}

static float outermost(const struct grid_work *w)
{
    return fmaxf(-w->fit.levels.low, w->fit.levels.high);
}

ingot_status grid_encode(const struct grid_work *w, const struct grid_batch *b,
                         const float scale[LANES], const float bias[LANES])
{
    struct group_rows rows;
    float *decoded = w->input->decoded;
    for (uint32_t k = 0; k < LANES; k++) {
        const float reach = fabsf(scale[k]) * outermost(w) + fabsf(bias[k]);
        if (!isfinite(reach)) return grid_refuse(w, b, k);
        rows.n[k] = b->sizes[k];
        rows.weights[k] = w->input->values + b->begins[k];
        rows.codes[k] = w->codes + b->begins[k];
        rows.values[k] = decoded ? decoded + b->begins[k] : w->spare;
    }
    w->fit.kernels->encode(&w->fit.levels, &rows, scale, bias);
    return INGOT_OK;
}

bool grid_put_entry(ingot_dtype format, float *entry, uint8_t *table, uint64_t at)
{
    if (!isfinite(*entry)) return false;
    if (format == INGOT_F32) {
        /* -0 would be another way to say 0. */
        *entry = *entry == 0.0f ? 0.0f : *entry;
        store_f32(table + 4 * at, *entry);
        return true;
    }
    const bool half = format == INGOT_F16;
    const uint16_t bits = half ? f16_from_f32(*entry) : bf16_from_f32(*entry);
    *entry = half ? f32_from_f16(bits) : f32_from_bf16(bits);
    if (!isfinite(*entry)) return false;
    *entry = *entry == 0.0f ? 0.0f : *entry;
    store_u16(table + 2 * at, *entry == 0.0f ? 0 : bits);
    return true;
}

float grid_scale_in_range(const struct grid_work *w, float scale)
{
    return isinf(scale * outermost(w)) && isfinite(scale) ? nextafterf(scale, 0.0f) : scale;
}

ingot_status grid_refuse(const struct grid_work *w, const struct grid_batch *b, uint32_t lane)
{
    uint64_t largest = b->begins[lane];
    const float *values = w->input->values;
    for (uint64_t i = largest; i < b->begins[lane] + b->sizes[lane]; i++) {
        if (fabsf(values[i]) > fabsf(values[largest])) largest = i;
    }
    return encode_refuse(w->input, largest,
                         w->grid->scale == INGOT_F16 ? "has f16 scales, which cannot reach it"
                                                     : "has scales that cannot reach it",
                         w->error);
}

/* Scalar codes in groups of a row that share a scale, and maybe a bias: LANES groups at a time are
 * laid side by side and fitted, their tables rounded to what is stored, and the codes found with
 * the stored tables. */
#include <math.h>

#include "convert/encode.h"
#include "convert/planes.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/floats.h"

static struct levels levels_of(const struct grid *grid)
{
    const int32_t half = 1 << (grid->bits - 1);
    switch ((enum coding_map)grid->map) {
    case MAP_FLOAT: return levels_float(grid->format);
    case MAP_CODEBOOK: return levels_codebook(grid->codebook->entries, grid->codebook->n_entries);
    case MAP_INT: return levels_uniform(grid->narrow ? 1 - half : -half, half - 1, 0);
    default: return levels_uniform(-grid->zero, 2 * half - 1 - grid->zero, grid->zero);
    }
}

static struct coding_slot block_table(const struct ingot_coding *table, uint32_t group_cols)
{
    return (struct coding_slot){.has_table = true,
                                .group = GROUP_BLOCK,
                                .group_rows = 1,
                                .group_cols = group_cols,
                                .table = table};
}

void plan_grid(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
               struct term_plan *plan)
{
    const struct grid *grid = &preset->grid;
    (void)dtype;
    *plan = (struct term_plan){.preset = preset,
                               .stack = stack,
                               .scale_table = raw_coding(grid->scale),
                               .codebook = grid->codebook};
    plan->coding =
        (struct ingot_coding){.map = grid->map, .bits = grid->bits, .codebook_stream = INGOT_NONE};
    if (grid->map == MAP_FLOAT) plan->coding.format = (uint8_t)grid->format;
    if (grid->map == MAP_CODEBOOK) {
        plan->coding.format = INGOT_F32;
        plan->coding.n_entries = grid->codebook->n_entries;
    }
    memcpy(plan->coding.name, preset->name, strlen(preset->name) + 1);
    if (grid->zero) {
        plan->coding.slots[SLOT_ZERO] =
            (struct coding_slot){.has_constant = true, .constant = (float)grid->zero};
    }
    plan->coding.slots[SLOT_SCALE] = block_table(&plan->scale_table, grid->group_cols);
    if (grid->affine) {
        plan->coding.slots[SLOT_BIAS] = block_table(&plan->scale_table, grid->group_cols);
    }
    plan->term = (struct writer_term){.kind = TERM_DENSE, .coding = &plan->coding};
}

/* ------------------------------------------------------------------ batches of groups */

/* The rows to encode, and room for a batch. */
struct work {
    const struct encode_input *input;
    struct fit fit;
    uint64_t n_cols;
    uint64_t group_cols; /* of a whole group */
    uint64_t row_groups;
    uint64_t n_groups;
    uint8_t *codes; /* of all rows, a byte each */
    uint8_t *scales;
    uint8_t *biases;
    float *weights; /* of a batch, and so on */
    float *importance;
    uint8_t *lane_codes;
    float *lane_values;
    float *spare; /* for values that nobody asked for */
    ingot_error *error;
};

struct batch {
    uint64_t first; /* group */
    uint32_t n;     /* groups */
    uint32_t sizes[LANES];
    uint64_t begins[LANES]; /* element of the values */
    struct lanes lanes;
};

/* Lanes past the last group repeat it. */
static struct batch begin_batch(const struct work *w, uint64_t first)
{
    struct batch b = {.first = first, .n = (uint32_t)min_u64(LANES, w->n_groups - first)};
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t group = first + (k < b.n ? k : b.n - 1);
        const uint64_t col = group % w->row_groups * w->group_cols;
        b.sizes[k] = (uint32_t)min_u64(w->group_cols, w->n_cols - col);
        b.begins[k] = group / w->row_groups * w->n_cols + col;
        if (b.sizes[k] > b.lanes.n) b.lanes.n = b.sizes[k];
    }
    b.lanes.weights = w->weights;
    return b;
}

static void load_batch(const struct work *w, struct batch *b)
{
    const float *sources[LANES];
    bool uneven = false;
    for (uint32_t k = 0; k < LANES; k++) {
        sources[k] = w->input->values + b->begins[k];
        uneven = uneven || b->sizes[k] < b->lanes.n;
    }
    if (!uneven) {
        w->fit.kernels->load(sources, b->lanes.n, w->weights);
        return;
    }
    for (uint32_t k = 0; k < LANES; k++) {
        for (uint32_t i = 0; i < b->lanes.n; i++) {
            const size_t at = (size_t)i * LANES + k;
            const bool there = i < b->sizes[k];
            w->weights[at] = there ? sources[k][i] : 0.0f;
            w->importance[at] = there ? 1.0f : 0.0f;
        }
    }
    b->lanes.importance = w->importance;
}

static void store_batch(const struct work *w, const struct batch *b)
{
    uint8_t *targets[LANES];
    float *values[LANES];
    float *decoded = w->input->decoded;
    uint32_t n = b->lanes.n;
    for (uint32_t k = 0; k < LANES; k++) {
        targets[k] = w->codes + b->begins[k];
        values[k] = decoded ? decoded + b->begins[k] : w->spare;
        if (b->sizes[k] < n) n = b->sizes[k];
    }
    w->fit.kernels->store(w->lane_codes, w->lane_values, n, targets, values);
    for (uint32_t k = 0; k < LANES; k++) {
        for (uint32_t i = n; i < b->sizes[k]; i++) {
            targets[k][i] = w->lane_codes[(size_t)i * LANES + k];
            values[k][i] = w->lane_values[(size_t)i * LANES + k];
        }
    }
}

/* ------------------------------------------------------------------ tables */

/* One entry of a table, rounded; *entry becomes what is stored. False when it would be infinite. */
static bool store_entry(ingot_dtype format, float *entry, uint8_t *table, uint64_t at)
{
    uint64_t bad;
    /* -0 would be another way to say 0. */
    if (*entry == 0.0f) *entry = 0.0f;
    if (!isfinite(*entry)) return false;
    if (format == INGOT_F32) {
        store_f32(table + 4 * at, *entry);
        return true;
    }
    uint8_t *place = table + 2 * at;
    if (!cast_values(format, entry, 1, place, &bad)) return false;
    *entry = format == INGOT_F16 ? f32_from_f16(load_u16(place)) : f32_from_bf16(load_u16(place));
    if (*entry == 0.0f) {
        *entry = 0.0f;
        store_u16(place, 0);
    }
    return true;
}

/* The least step towards 0 that keeps every value finite. */
static float within_range(const struct fit *fit, float scale)
{
    const float outermost = fmaxf(-fit->levels.low, fit->levels.high);
    return isinf(scale * outermost) && isfinite(scale) ? nextafterf(scale, 0.0f) : scale;
}

static ingot_status refuse_entry(const struct work *w, const struct batch *b, uint32_t k)
{
    uint64_t largest = b->begins[k];
    const float *values = w->input->values;
    for (uint64_t i = largest; i < b->begins[k] + b->sizes[k]; i++) {
        if (fabsf(values[i]) > fabsf(values[largest])) largest = i;
    }
    return encode_refuse(w->input, largest,
                         w->input->plan->preset->grid.scale == INGOT_F16
                             ? "has f16 scales, which cannot reach it"
                             : "has scales that cannot reach it",
                         w->error);
}

static ingot_status encode_batch(const struct work *w, uint64_t first)
{
    const struct grid *grid = &w->input->plan->preset->grid;
    struct batch b = begin_batch(w, first);
    float scale[LANES];
    float bias[LANES];
    for (uint32_t k = 0; k < LANES; k++) bias[k] = -0.0f;
    load_batch(w, &b);
    if (grid->affine) {
        fit_affine(&w->fit, &b.lanes, scale, bias);
    } else {
        fit_scales(&w->fit, &b.lanes, scale);
    }
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t at = first + (k < b.n ? k : b.n - 1);
        scale[k] = within_range(&w->fit, scale[k]);
        const bool held = store_entry(grid->scale, &scale[k], w->scales, at) &&
                          (!grid->affine || store_entry(grid->scale, &bias[k], w->biases, at));
        if (!held) return refuse_entry(w, &b, k);
    }
    w->fit.kernels->encode(&b.lanes, &w->fit.levels, scale, bias, w->lane_codes, w->lane_values);
    store_batch(w, &b);
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the whole */

static ingot_status make_room(struct work *w)
{
    const uint64_t n = w->input->shape.n_matrices * w->input->shape.n_rows * w->n_cols;
    const uint64_t n_lanes = w->group_cols * LANES;
    w->codes = ingot_allocate(NULL, n);
    w->weights = ingot_allocate(NULL, n_lanes * sizeof(float));
    w->importance = ingot_allocate(NULL, n_lanes * sizeof(float));
    w->lane_codes = ingot_allocate(NULL, n_lanes);
    w->lane_values = ingot_allocate(NULL, n_lanes * sizeof(float));
    w->spare = ingot_allocate(NULL, w->group_cols * sizeof(float));
    if (w->codes && w->weights && w->importance && w->lane_codes && w->lane_values && w->spare) {
        return INGOT_OK;
    }
    return ingot_fail_memory(w->error, n + n_lanes * 13, "groups");
}

static void release_room(struct work *w)
{
    ingot_release(NULL, w->spare);
    ingot_release(NULL, w->lane_values);
    ingot_release(NULL, w->lane_codes);
    ingot_release(NULL, w->importance);
    ingot_release(NULL, w->weights);
    ingot_release(NULL, w->codes);
}

ingot_status encode_grid(const struct encode_input *input, uint8_t *const *streams,
                         ingot_error *error)
{
    const struct grid *grid = &input->plan->preset->grid;
    const uint64_t n_cols = input->shape.n_cols;
    const uint64_t n_rows = input->shape.n_matrices * input->shape.n_rows;
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n_planes = plane_widths(grid->bits, widths);
    ingot_status status = encode_check_finite(input, error);
    if (status != INGOT_OK || n_cols == 0 || n_rows == 0) return status;
    struct work w = {
        .input = input,
        .fit = {fit_kernels_find(NULL), levels_of(grid), grid->effort},
        .n_cols = n_cols,
        .group_cols = grid->group_cols ? min_u64(grid->group_cols, n_cols) : n_cols,
        .scales = streams[n_planes],
        .biases = grid->affine ? streams[n_planes + 1] : NULL,
        .error = error,
    };
    w.row_groups = ceil_div(n_cols, w.group_cols);
    w.n_groups = n_rows * w.row_groups;
    status = make_room(&w);
    for (uint64_t g = 0; g < w.n_groups && status == INGOT_OK; g += LANES) {
        status = encode_batch(&w, g);
    }
    if (status == INGOT_OK) planes_put(grid->bits, input->shape, w.codes, streams);
    release_room(&w);
    return status;
}

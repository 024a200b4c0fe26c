/* Tables of few values: a group's scale, and its bias, is a rung of a ladder times what its
 * super-group has. First every group is fitted as if its tables were exact; then each super-group's
 * factor is the one that fits these scales best; last, each group takes the rungs near to its own
 * that have the least error of the weights themselves. */
#include <math.h>
#include <string.h>

#include "convert/encode.h"
#include "convert/ladder.h"
#include "convert/planes.h"
#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

/* Both tables of a super-group are made alike. */
struct nested_table {
    const struct entry_form *form;
    struct ladder ladder;
    float shift;             /* added to every rung times its factor */
    float *wanted;           /* of each group, before the shift */
    float *factors;          /* of each super-group, as stored */
    uint8_t *codes;          /* of each group */
    uint8_t *const *streams; /* the planes of the codes, then the factors */
};

struct nested_work {
    const struct grid_work *grid;
    uint64_t super_groups; /* groups of a whole super-group */
    uint64_t row_supers;
    uint64_t n_supers;
    bool powers; /* groups are settled where they can be, with these levels */
    struct levels power_levels;
    struct nested_table scale;
    struct nested_table bias;
    float *importance; /* of each group: the sum of its weights' */
    float *mean;       /* of each group's weights */
    uint8_t *settled;  /* of each group: 1 where no other rung has less error */
};

static uint64_t super_of(const struct nested_work *w, uint64_t group)
{
    const uint64_t row_groups = w->grid->row_groups;
    if (w->super_groups == 0) return 0;
    return group / row_groups * w->row_supers + group % row_groups / w->super_groups;
}

/* ------------------------------------------------------------------ what groups want */

/* Where a bias above 0 cannot be said, those groups are fitted without one. */
static void fit_without_bias(const struct nested_work *w, const struct lanes *lanes,
                             float scale[LANES], float bias[LANES])
{
    float other[LANES];
    bool any = false;
    for (uint32_t k = 0; k < LANES; k++) any = any || bias[k] > 0.0f;
    if (!any || w->bias.form->high > 0) return;
    struct fit fit = w->grid->fit;
    fit.positive = true;
    fit_scales(&fit, lanes, other);
    for (uint32_t k = 0; k < LANES; k++) {
        if (bias[k] <= 0.0f) continue;
        scale[k] = other[k];
        bias[k] = 0.0f;
    }
}

static void want(const struct nested_work *w, uint64_t first)
{
    const struct grid_work *grid = w->grid;
    if (w->powers) {
        const struct grid_batch place = grid_place(grid, first);
        if (grid_find_powers(grid, &w->power_levels, &place, w->scale.wanted, w->settled)) return;
    }
    const struct grid_batch b = grid_load(grid, first);
    struct survey survey;
    float scale[LANES];
    float bias[LANES] = {0};
    grid->fit.kernels->survey(&b.lanes, &survey);
    if (grid->grid->affine) {
        fit_affine_surveyed(&grid->fit, &b.lanes, &survey, scale, bias);
        fit_without_bias(w, &b.lanes, scale, bias);
    } else {
        fit_scales_surveyed(&grid->fit, &b.lanes, &survey, scale);
    }
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t group = b.groups[k];
        if (w->settled[group]) continue;
        w->scale.wanted[group] = scale[k];
        w->importance[group] = survey.total[k];
        if (!grid->grid->affine) continue;
        w->bias.wanted[group] = bias[k];
        w->mean[group] = survey.total[k] > 0.0f ? survey.sum[k] / survey.total[k] : 0.0f;
    }
}

/* ------------------------------------------------------------------ what super-groups have */

static uint8_t *factor_stream(const struct nested_table *table)
{
    uint8_t widths[CODING_MAX_PLANES];
    return table->streams[plane_widths(table->form->bits, widths)];
}

/* The factors of super-groups [first, first + LANES): fitted like weights, the wanted entries being
 * the weights. False, with *bad a super-group, when one cannot be stored. */
static bool fit_factors(const struct nested_work *w, const struct nested_table *table,
                        uint64_t first, uint64_t *bad)
{
    const struct grid_work *grid = w->grid;
    float weights[MAX_SUPER_GROUPS * LANES] = {0};
    float importance[MAX_SUPER_GROUPS * LANES] = {0};
    float factors[LANES];
    const struct lanes lanes = {(uint32_t)w->super_groups, weights, importance, 0};
    const struct fit fit = {
        .kernels = grid->fit.kernels,
        .levels = levels_uniform(table->form->low, table->form->high, 0),
        .effort = grid->fit.effort,
        .positive = table->form->low == 0,
    };
    const uint64_t n = min_u64(LANES, w->n_supers - first);
    for (uint64_t k = 0; k < n; k++) {
        const uint64_t row = (first + k) / w->row_supers;
        const uint64_t col = (first + k) % w->row_supers * w->super_groups;
        const uint64_t begin = row * grid->row_groups + col;
        const uint64_t n_groups = min_u64(w->super_groups, grid->row_groups - col);
        for (uint64_t i = 0; i < n_groups; i++) {
            weights[i * LANES + k] = table->wanted[begin + i];
            importance[i * LANES + k] = w->importance[begin + i];
        }
    }
    fit_scales(&fit, &lanes, factors);
    uint8_t *stream = factor_stream(table);
    for (uint64_t k = 0; k < n; k++) {
        if (!grid_put_entry(grid->grid->scale, &factors[k], stream, first + k)) {
            *bad = first + k;
            return false;
        }
        table->factors[first + k] = factors[k];
    }
    return true;
}

/* ------------------------------------------------------------------ what groups get */

/* What is nearest to 0 when the factor is 0. */
static uint32_t nearest_rung(const struct nested_table *table, float wanted, float factor)
{
    return ladder_nearest(&table->ladder, factor == 0.0f ? 0.0f : wanted / factor);
}

/* Candidate c of the rungs around one: itself, its neighbours, and the next on one side. */
static uint32_t near_rung(const struct nested_table *table, uint32_t rung, bool upward, uint32_t c)
{
    const int32_t moves[CANDIDATES] = {0, -1, 1, upward ? 2 : -2};
    const int32_t to = (int32_t)rung + moves[c];
    const int32_t last = (int32_t)table->ladder.n - 1;
    return (uint32_t)(to < 0 ? 0 : to > last ? last : to);
}

/* The rungs of one batch's groups. */
struct choice {
    float scale_factor[LANES], bias_factor[LANES];
    uint32_t scale_rung[LANES], bias_rung[LANES];
    bool settled[LANES];
};

/* What decoding gives: each step rounds. */
static float entry_value(const struct nested_table *table, uint32_t rung, float factor)
{
    const float entry = table->ladder.rungs[rung] * factor;
    return table->shift == 0.0f ? entry : entry + table->shift;
}

/* Tries candidates of both rungs, and keeps the best of each lane. */
static void try_rungs(const struct nested_work *w, const struct lanes *lanes,
                      uint32_t scale_rung[CANDIDATES][LANES], uint32_t bias_rung[CANDIDATES][LANES],
                      struct choice *choice)
{
    const struct grid_work *grid = w->grid;
    float scale[CANDIDATES][LANES];
    float bias[CANDIDATES][LANES];
    float error[CANDIDATES][LANES];
    for (uint32_t c = 0; c < CANDIDATES; c++) {
        for (uint32_t k = 0; k < LANES; k++) {
            scale[c][k] = entry_value(&w->scale, scale_rung[c][k], choice->scale_factor[k]);
            bias[c][k] = grid->grid->affine
                             ? entry_value(&w->bias, bias_rung[c][k], choice->bias_factor[k])
                             : 0.0f;
        }
    }
    grid->fit.kernels->error(lanes, &grid->fit.levels, scale, bias, error);
    for (uint32_t k = 0; k < LANES; k++) {
        uint32_t best = 0;
        if (choice->settled[k]) continue;
        for (uint32_t c = 1; c < CANDIDATES; c++) {
            if (error[c][k] < error[best][k]) best = c;
        }
        choice->scale_rung[k] = scale_rung[best][k];
        choice->bias_rung[k] = bias_rung[best][k];
    }
}

/* Scales around the best so far, each with the bias that keeps the weights' mean in place. */
static void improve_scale(const struct nested_work *w, const struct grid_batch *b,
                          struct choice *choice)
{
    uint32_t scales[CANDIDATES][LANES];
    uint32_t biases[CANDIDATES][LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t group = b->groups[k];
        const float wanted = w->scale.wanted[group];
        const float factor = choice->scale_factor[k];
        for (uint32_t c = 0; c < CANDIDATES; c++) {
            const uint32_t own = choice->scale_rung[k];
            const bool upward = wanted / factor > w->scale.ladder.rungs[own];
            scales[c][k] = near_rung(&w->scale, own, upward, c);
            biases[c][k] = 0;
            if (!w->grid->grid->affine) continue;
            const float scale = entry_value(&w->scale, scales[c][k], factor);
            const float ratio = wanted == 0.0f ? 1.0f : scale / wanted;
            const float bias = w->mean[group] - ratio * (w->mean[group] - w->bias.wanted[group]);
            biases[c][k] = nearest_rung(&w->bias, bias, choice->bias_factor[k]);
        }
    }
    try_rungs(w, &b->lanes, scales, biases, choice);
}

static void improve_bias(const struct nested_work *w, const struct grid_batch *b,
                         struct choice *choice)
{
    uint32_t scales[CANDIDATES][LANES];
    uint32_t biases[CANDIDATES][LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        for (uint32_t c = 0; c < CANDIDATES; c++) {
            scales[c][k] = choice->scale_rung[k];
            biases[c][k] = near_rung(&w->bias, choice->bias_rung[k], true, c);
        }
    }
    try_rungs(w, &b->lanes, scales, biases, choice);
}

/* Rungs of a super-group's factor are so close that the nearest is hardly worse than the best, but
 * for a bias that has to follow. */
static enum effort least_effort(const struct grid *grid)
{
    const bool close = grid->super == SUPER_COLS && (!grid->affine || grid->bits < 4);
    return close ? EFFORT_SEARCH : EFFORT_FAST;
}

static bool improves(const struct nested_work *w, uint64_t first)
{
    const struct grid_work *grid = w->grid;
    const uint64_t n = min_u64(LANES, grid->n_groups - first);
    return grid->fit.effort >= least_effort(grid->grid) &&
           !(w->powers && memchr(w->settled + first, 0, n) == NULL);
}

static ingot_status give(const struct nested_work *w, uint64_t first)
{
    const struct grid_work *grid = w->grid;
    const bool affine = grid->grid->affine;
    const bool better = improves(w, first);
    const struct grid_batch b = better ? grid_load(grid, first) : grid_place(grid, first);
    struct choice choice = {0};
    float scale[LANES];
    float bias[LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t group = b.groups[k];
        const uint64_t super = super_of(w, group);
        choice.settled[k] = w->settled[group];
        choice.scale_factor[k] = w->scale.factors[super];
        choice.scale_rung[k] =
            nearest_rung(&w->scale, w->scale.wanted[group], choice.scale_factor[k]);
        if (!affine) continue;
        choice.bias_factor[k] = w->bias.factors[super];
        choice.bias_rung[k] = nearest_rung(&w->bias, w->bias.wanted[group], choice.bias_factor[k]);
    }
    if (better) improve_scale(w, &b, &choice);
    if (grid->fit.effort == EFFORT_SEARCH && affine) improve_bias(w, &b, &choice);
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t group = b.groups[k];
        scale[k] = entry_value(&w->scale, choice.scale_rung[k], choice.scale_factor[k]);
        bias[k] = -0.0f;
        w->scale.codes[group] = w->scale.ladder.codes[choice.scale_rung[k]];
        if (!affine) continue;
        bias[k] = entry_value(&w->bias, choice.bias_rung[k], choice.bias_factor[k]);
        w->bias.codes[group] = w->bias.ladder.codes[choice.bias_rung[k]];
    }
    return grid_encode(grid, &b, scale, bias);
}

/* ------------------------------------------------------------------ the whole */

static bool open_table(struct nested_table *table, uint64_t n_groups, uint64_t n_supers,
                       const ingot_allocator *memory)
{
    if (table->form->map) ladder_open(&table->ladder, table->form);
    table->wanted = ingot_allocate(memory, n_groups * sizeof(float));
    table->factors = ingot_allocate_zeroed(memory, n_supers, sizeof(float));
    table->codes = ingot_allocate(memory, n_groups);
    return table->wanted && table->factors && table->codes;
}

static void close_table(struct nested_table *table, const ingot_allocator *memory)
{
    ingot_release(memory, table->codes);
    ingot_release(memory, table->factors);
    ingot_release(memory, table->wanted);
}

/* Names the largest weight of the group of a super-group that asks for the largest entry. */
static ingot_status refuse_super(const struct nested_work *w, const struct nested_table *table,
                                 uint64_t super)
{
    const struct grid_work *grid = w->grid;
    const uint64_t col = super % w->row_supers * w->super_groups;
    const uint64_t begin = super / w->row_supers * grid->row_groups + col;
    const uint64_t n = min_u64(w->super_groups, grid->row_groups - col);
    uint64_t worst = begin;
    for (uint64_t g = begin; g < begin + n; g++) {
        if (!(fabsf(table->wanted[g]) <= fabsf(table->wanted[worst]))) worst = g;
    }
    const struct grid_batch b = grid_load(grid, worst);
    return grid_refuse(grid, &b, 0);
}

static ingot_status column_factors(struct nested_work *w)
{
    const bool affine = w->grid->grid->affine;
    uint64_t bad;
    for (uint64_t s = 0; s < w->n_supers; s += LANES) {
        if (!fit_factors(w, &w->scale, s, &bad)) return refuse_super(w, &w->scale, bad);
        if (affine && !fit_factors(w, &w->bias, s, &bad)) return refuse_super(w, &w->bias, bad);
    }
    return INGOT_OK;
}

/* Entries are rungs as they are: those past the highest round to it, up to half of the last step.
 */
static ingot_status no_factors(struct nested_work *w)
{
    const struct ladder *ladder = &w->scale.ladder;
    const float last = ladder->rungs[ladder->n - 1];
    const float most = last + (last - ladder->rungs[ladder->n - 2]) / 2;
    w->scale.factors[0] = 1.0f;
    for (uint64_t g = 0; g < w->grid->n_groups; g++) {
        if (fabsf(w->scale.wanted[g]) <= most) continue;
        const struct grid_batch b = grid_load(w->grid, g);
        return grid_refuse(w->grid, &b, 0);
    }
    return INGOT_OK;
}

/* The factor that makes the largest scale the highest rung. */
static ingot_status tensor_factor(struct nested_work *w)
{
    float largest = 0.0f;
    for (uint64_t g = 0; g < w->grid->n_groups; g++) {
        largest = fmaxf(largest, fabsf(w->scale.wanted[g]));
    }
    w->scale.factors[0] = largest / w->scale.ladder.rungs[w->scale.ladder.n - 1];
    store_f32(factor_stream(&w->scale), w->scale.factors[0]);
    return INGOT_OK;
}

/* bitsandbytes: the mean of all entries is taken off, and of each run the largest rest is 1. */
static ingot_status run_factors(struct nested_work *w)
{
    struct nested_table *table = &w->scale;
    const uint64_t n_groups = w->grid->n_groups;
    double sum = 0;
    for (uint64_t g = 0; g < n_groups; g++) sum += (double)table->wanted[g];
    table->shift = (float)(sum / (double)n_groups);
    w->grid->input->plan->scale_table.slots[SLOT_BIAS].constant = table->shift;
    for (uint64_t g = 0; g < n_groups; g++) {
        const uint64_t super = super_of(w, g);
        table->wanted[g] -= table->shift;
        table->factors[super] = fmaxf(table->factors[super], fabsf(table->wanted[g]));
    }
    for (uint64_t s = 0; s < w->n_supers; s++) {
        store_f32(factor_stream(table) + 4 * s, table->factors[s]);
    }
    return INGOT_OK;
}

static ingot_status (*const find_factors[])(struct nested_work *w) = {
    [SUPER_NONE] = no_factors,
    [SUPER_COLS] = column_factors,
    [SUPER_TENSOR] = tensor_factor,
    [SUPER_RUN] = run_factors,
};

/* Groups in ranges, for the threads. */
enum { RANGE_GROUPS = 512 * LANES };

static ingot_status want_range(void *context, const struct grid_work *grid, uint64_t first,
                               uint64_t n)
{
    struct nested_work own = *(const struct nested_work *)context;
    own.grid = grid;
    for (uint64_t g = first; g < first + n; g += LANES) want(&own, g);
    return INGOT_OK;
}

static ingot_status give_range(void *context, const struct grid_work *grid, uint64_t first,
                               uint64_t n)
{
    struct nested_work own = *(const struct nested_work *)context;
    ingot_status status = INGOT_OK;
    own.grid = grid;
    for (uint64_t g = first; g < first + n && status == INGOT_OK; g += LANES) {
        status = give(&own, g);
    }
    return status;
}

static ingot_status encode_tables(struct nested_work *w)
{
    const struct grid_work *grid = w->grid;
    const bool affine = grid->grid->affine;
    ingot_status status = grid_run(grid, grid->n_groups, RANGE_GROUPS, want_range, w);
    if (status == INGOT_OK) status = find_factors[grid->grid->super](w);
    if (status == INGOT_OK) {
        status = grid_run(grid, grid->n_groups, RANGE_GROUPS, give_range, w);
    }
    if (status != INGOT_OK) return status;
    const struct stack_shape table = {1, grid->n_rows, grid->row_groups};
    planes_put(w->scale.form->bits, table, w->scale.codes, w->scale.streams);
    if (affine) planes_put(w->bias.form->bits, table, w->bias.codes, w->bias.streams);
    return INGOT_OK;
}

/* Entries that share a factor; 0: all of the tensor. */
static uint64_t super_groups(const struct grid *g)
{
    if (g->super == SUPER_COLS) return g->super_cols / g->group_cols;
    return g->super == SUPER_RUN ? g->super_cols : 0;
}

ingot_status encode_nested(const struct grid_work *grid, uint8_t *const *streams)
{
    const struct grid *g = grid->grid;
    const ingot_allocator *memory = grid->input->memory;
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n_scale = plane_widths(g->scale_entry.bits, widths) + (g->super != SUPER_NONE);
    if (grid->n_groups == 0) return INGOT_OK;
    struct nested_work w = {
        .grid = grid,
        .super_groups = super_groups(g),
        .scale = {.form = &g->scale_entry, .streams = streams},
        .bias = {.form = &g->bias_entry, .streams = streams + n_scale},
    };
    w.powers = grid_has_powers(grid, &w.power_levels);
    w.row_supers = w.super_groups ? ceil_div(grid->row_groups, w.super_groups) : 0;
    w.n_supers = w.super_groups ? grid->n_rows * w.row_supers : 1;
    w.importance = ingot_allocate(memory, grid->n_groups * sizeof(float));
    w.mean = ingot_allocate(memory, grid->n_groups * sizeof(float));
    w.settled = ingot_allocate_zeroed(memory, grid->n_groups, 1);
    const bool room = open_table(&w.scale, grid->n_groups, w.n_supers, memory) &&
                      open_table(&w.bias, grid->n_groups, w.n_supers, memory) && w.importance &&
                      w.mean && w.settled;
    const ingot_status status =
        room ? encode_tables(&w)
             : ingot_fail_memory(grid->error, grid->n_groups * sizeof(float), "tables");
    ingot_release(memory, w.settled);
    ingot_release(memory, w.mean);
    ingot_release(memory, w.importance);
    close_table(&w.bias, memory);
    close_table(&w.scale, memory);
    return status;
}

/* Nested tables: a group's scale, and its bias, is an integer times what its super-group has. First
 * every group is fitted as if its tables were exact; then each super-group's factor is the one that
 * fits these scales best; last, each group takes the integers near to its own with the least error
 * of the weights themselves. */
#include <math.h>

#include "convert/encode.h"
#include "convert/planes.h"
#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

/* Both tables of a super-group are made alike. */
struct nested_table {
    const struct entry_form *form;
    float *wanted;           /* of each group */
    float *factors;          /* of each super-group, as stored */
    uint8_t *codes;          /* of each group */
    uint8_t *const *streams; /* the planes of the codes, then the factors */
};

struct nested_work {
    const struct grid_work *grid;
    uint64_t n_rows;
    uint64_t super_groups; /* groups of a whole super-group */
    uint64_t row_supers;
    uint64_t n_supers;
    struct nested_table scale;
    struct nested_table bias;
    float *importance; /* of each group: the sum of its weights' */
    float *mean;       /* of each group's weights */
};

static uint64_t super_of(const struct nested_work *w, uint64_t group)
{
    const uint64_t row_groups = w->grid->row_groups;
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
    const struct grid_batch b = grid_load(grid, first);
    struct survey survey;
    float scale[LANES];
    float bias[LANES] = {0};
    grid->fit.kernels->survey(&b.lanes, &survey);
    if (grid->grid->affine) {
        fit_affine(&grid->fit, &b.lanes, scale, bias);
        fit_without_bias(w, &b.lanes, scale, bias);
    } else {
        fit_scales(&grid->fit, &b.lanes, scale);
    }
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t group = b.groups[k];
        w->scale.wanted[group] = scale[k];
        w->importance[group] = survey.total[k];
        if (!grid->grid->affine) continue;
        w->bias.wanted[group] = bias[k];
        w->mean[group] = survey.total[k] > 0.0f ? survey.sum[k] / survey.total[k] : 0.0f;
    }
}

/* ------------------------------------------------------------------ what super-groups have */

enum { MAX_SUPER_GROUPS = 64 };

/* The factors of super-groups [first, first + LANES): fitted like weights, the wanted entries being
 * the weights. False, with *bad a super-group, when one cannot be stored. */
static bool fit_factors(const struct nested_work *w, const struct nested_table *table,
                        uint64_t first, uint64_t *bad)
{
    const struct grid_work *grid = w->grid;
    float weights[MAX_SUPER_GROUPS * LANES] = {0};
    float importance[MAX_SUPER_GROUPS * LANES] = {0};
    float factors[LANES];
    const struct lanes lanes = {(uint32_t)w->super_groups, weights, importance};
    const struct fit fit = {
        .kernels = grid->fit.kernels,
        .levels = levels_uniform(table->form->low, table->form->high, table->form->zero),
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
    uint8_t widths[CODING_MAX_PLANES];
    uint8_t *stream = table->streams[plane_widths(table->form->bits, widths)];
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

static float clamp(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

static float nearest_level(const struct nested_table *table, float wanted, float factor)
{
    if (factor == 0.0f) return 0.0f;
    return clamp(rintf(wanted / factor), (float)table->form->low, (float)table->form->high);
}

/* Candidate c of the levels around one: itself, its neighbours, and the next on the side where what
 * is wanted lies. */
static float near_level(const struct nested_table *table, float level, float wanted_level,
                        uint32_t c)
{
    const float beyond = wanted_level > level ? 2.0f : -2.0f;
    const float moves[CANDIDATES] = {0.0f, -1.0f, 1.0f, beyond};
    return clamp(level + moves[c], (float)table->form->low, (float)table->form->high);
}

/* The levels of one batch's groups. */
struct choice {
    float scale_factor[LANES], bias_factor[LANES];
    float scale_level[LANES], bias_level[LANES];
};

/* Tries candidates of both levels, and keeps the best of each lane. */
static void try_levels(const struct nested_work *w, const struct lanes *lanes,
                       float scale_level[CANDIDATES][LANES], float bias_level[CANDIDATES][LANES],
                       struct choice *choice)
{
    const struct grid_work *grid = w->grid;
    float scale[CANDIDATES][LANES];
    float bias[CANDIDATES][LANES];
    float error[CANDIDATES][LANES];
    for (uint32_t c = 0; c < CANDIDATES; c++) {
        for (uint32_t k = 0; k < LANES; k++) {
            scale[c][k] = scale_level[c][k] * choice->scale_factor[k];
            bias[c][k] = bias_level[c][k] * choice->bias_factor[k];
        }
    }
    grid->fit.kernels->error(lanes, &grid->fit.levels, scale, bias, error);
    for (uint32_t k = 0; k < LANES; k++) {
        uint32_t best = 0;
        for (uint32_t c = 1; c < CANDIDATES; c++) {
            if (error[c][k] < error[best][k]) best = c;
        }
        choice->scale_level[k] = scale_level[best][k];
        choice->bias_level[k] = bias_level[best][k];
    }
}

/* Scales around the best so far, each with the bias that keeps the weights' mean in place. */
static void improve_scale(const struct nested_work *w, const struct grid_batch *b,
                          struct choice *choice)
{
    float scales[CANDIDATES][LANES];
    float biases[CANDIDATES][LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t group = b->groups[k];
        const float wanted = w->scale.wanted[group];
        const float factor = choice->scale_factor[k];
        for (uint32_t c = 0; c < CANDIDATES; c++) {
            const float wanted_level = factor == 0.0f ? 0.0f : wanted / factor;
            const float level = near_level(&w->scale, choice->scale_level[k], wanted_level, c);
            scales[c][k] = level;
            biases[c][k] = 0.0f;
            if (!w->grid->grid->affine) continue;
            const float ratio = wanted == 0.0f ? 1.0f : level * factor / wanted;
            const float bias = w->mean[group] - ratio * (w->mean[group] - w->bias.wanted[group]);
            biases[c][k] = nearest_level(&w->bias, bias, choice->bias_factor[k]);
        }
    }
    try_levels(w, &b->lanes, scales, biases, choice);
}

static void improve_bias(const struct nested_work *w, const struct grid_batch *b,
                         struct choice *choice)
{
    float scales[CANDIDATES][LANES];
    float biases[CANDIDATES][LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        for (uint32_t c = 0; c < CANDIDATES; c++) {
            scales[c][k] = choice->scale_level[k];
            biases[c][k] = near_level(&w->bias, choice->bias_level[k],
                                      choice->bias_level[k] + (c % 2 ? 1.0f : -1.0f), c);
        }
    }
    try_levels(w, &b->lanes, scales, biases, choice);
}

static uint8_t code_of(const struct entry_form *form, float level)
{
    const int32_t signed_level = form->inverse ? -(int32_t)level : (int32_t)level;
    return (uint8_t)(signed_level + form->zero);
}

static void give(const struct nested_work *w, uint64_t first)
{
    const struct grid_work *grid = w->grid;
    const bool affine = grid->grid->affine;
    const struct grid_batch b = grid_load(grid, first);
    struct choice choice = {0};
    float scale[LANES];
    float bias[LANES];
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t group = b.groups[k];
        const uint64_t super = super_of(w, group);
        choice.scale_factor[k] = w->scale.factors[super];
        choice.scale_level[k] =
            nearest_level(&w->scale, w->scale.wanted[group], choice.scale_factor[k]);
        if (!affine) continue;
        choice.bias_factor[k] = w->bias.factors[super];
        choice.bias_level[k] =
            nearest_level(&w->bias, w->bias.wanted[group], choice.bias_factor[k]);
    }
    if (grid->fit.effort != EFFORT_ABSMAX) improve_scale(w, &b, &choice);
    if (grid->fit.effort == EFFORT_SEARCH && affine) improve_bias(w, &b, &choice);
    for (uint32_t k = 0; k < LANES; k++) {
        scale[k] = choice.scale_level[k] * choice.scale_factor[k];
        bias[k] = affine ? choice.bias_level[k] * choice.bias_factor[k] : -0.0f;
        w->scale.codes[b.groups[k]] = code_of(w->scale.form, choice.scale_level[k]);
        if (affine) w->bias.codes[b.groups[k]] = code_of(w->bias.form, choice.bias_level[k]);
    }
    grid_encode(grid, &b, scale, bias);
}

/* ------------------------------------------------------------------ the whole */

static bool open_table(struct nested_table *table, uint64_t n_groups, uint64_t n_supers)
{
    table->wanted = ingot_allocate(NULL, n_groups * sizeof(float));
    table->factors = ingot_allocate(NULL, n_supers * sizeof(float));
    table->codes = ingot_allocate(NULL, n_groups);
    return table->wanted && table->factors && table->codes;
}

static void close_table(struct nested_table *table)
{
    ingot_release(NULL, table->codes);
    ingot_release(NULL, table->factors);
    ingot_release(NULL, table->wanted);
}

static ingot_status encode_tables(const struct nested_work *w)
{
    const struct grid_work *grid = w->grid;
    const bool affine = grid->grid->affine;
    uint64_t bad;
    for (uint64_t g = 0; g < grid->n_groups; g += LANES) want(w, g);
    for (uint64_t s = 0; s < w->n_supers; s += LANES) {
        if (fit_factors(w, &w->scale, s, &bad) && (!affine || fit_factors(w, &w->bias, s, &bad))) {
            continue;
        }
        const uint64_t group =
            bad / w->row_supers * grid->row_groups + bad % w->row_supers * w->super_groups;
        const struct grid_batch b = grid_load(grid, group);
        return grid_refuse(grid, &b, 0);
    }
    for (uint64_t g = 0; g < grid->n_groups; g += LANES) give(w, g);
    const struct stack_shape table = {1, w->n_rows, grid->row_groups};
    planes_put(w->scale.form->bits, table, w->scale.codes, w->scale.streams);
    if (affine) planes_put(w->bias.form->bits, table, w->bias.codes, w->bias.streams);
    return INGOT_OK;
}

ingot_status encode_nested(const struct grid_work *grid, uint8_t *const *streams)
{
    const struct grid *g = grid->grid;
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n_scale = plane_widths(g->scale_entry.bits, widths) + 1;
    if (grid->n_groups == 0) return INGOT_OK;
    struct nested_work w = {
        .grid = grid,
        .n_rows = grid->input->shape.n_matrices * grid->input->shape.n_rows,
        .super_groups = g->super_cols / g->group_cols,
        .scale = {.form = &g->scale_entry, .streams = streams},
        .bias = {.form = &g->bias_entry, .streams = streams + n_scale},
    };
    w.row_supers = ceil_div(grid->row_groups, w.super_groups);
    w.n_supers = w.n_rows * w.row_supers;
    w.importance = ingot_allocate(NULL, grid->n_groups * sizeof(float));
    w.mean = ingot_allocate(NULL, grid->n_groups * sizeof(float));
    const bool room = open_table(&w.scale, grid->n_groups, w.n_supers) &&
                      open_table(&w.bias, grid->n_groups, w.n_supers) && w.importance && w.mean;
    const ingot_status status =
        room ? encode_tables(&w)
             : ingot_fail_memory(grid->error, grid->n_groups * sizeof(float), "tables");
    ingot_release(NULL, w.mean);
    ingot_release(NULL, w.importance);
    close_table(&w.bias);
    close_table(&w.scale);
    return status;
}

/* Hulls, and steps along them. */
#include "convert/budget.h"

#include <stdlib.h>

/* From one point of a group's hull to the next. */
struct step {
    uint32_t group;
    uint32_t number; /* within the group */
    uint32_t option; /* where it leads */
    uint64_t n_bytes;
    double slope; /* error saved a byte */
};

/* The options of a lower convex hull, smallest first: their numbers. */
static uint32_t hull_of(const struct budget_group *group, uint32_t hull[BUDGET_MAX_OPTIONS])
{
    const struct budget_option *o = group->options;
    uint32_t n = 1, smallest = 0;
    for (uint32_t i = 1; i < group->n_options; i++) {
        const bool less = o[i].n_bytes < o[smallest].n_bytes;
        const bool same = o[i].n_bytes == o[smallest].n_bytes;
        if (less || (same && o[i].error < o[smallest].error)) smallest = i;
    }
    hull[0] = smallest;
    for (;;) {
        const struct budget_option *at = &o[hull[n - 1]];
        uint32_t best = UINT32_MAX;
        double best_slope = 0;
        for (uint32_t i = 0; i < group->n_options; i++) {
            if (o[i].n_bytes <= at->n_bytes || !(o[i].error < at->error)) continue;
            const double slope = (at->error - o[i].error) / (double)(o[i].n_bytes - at->n_bytes);
            if (best != UINT32_MAX && slope < best_slope) continue;
            if (best != UINT32_MAX && slope <= best_slope && o[i].n_bytes <= o[best].n_bytes) {
                continue;
            }
            best = i;
            best_slope = slope;
        }
        if (best == UINT32_MAX) return n;
        hull[n++] = best;
    }
}

/* Steepest first; of equal ones the earlier group's, and within a group in their order. */
static int compare_steps(const void *left, const void *right)
{
    const struct step *a = left, *b = right;
    if (a->slope > b->slope || a->slope < b->slope) return a->slope > b->slope ? -1 : 1;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static uint32_t list_steps(struct budget_group *groups, uint32_t n_groups, struct step *steps,
                           uint64_t *least)
{
    uint32_t n = 0;
    *least = 0;
    for (uint32_t g = 0; g < n_groups; g++) {
        const struct budget_option *o = groups[g].options;
        uint32_t hull[BUDGET_MAX_OPTIONS];
        const uint32_t n_hull = hull_of(&groups[g], hull);
        groups[g].chosen = hull[0];
        *least += o[hull[0]].n_bytes;
        for (uint32_t k = 1; k < n_hull; k++) {
            const uint64_t n_bytes = o[hull[k]].n_bytes - o[hull[k - 1]].n_bytes;
            const double saved = o[hull[k - 1]].error - o[hull[k]].error;
            steps[n++] = (struct step){g, k, hull[k], n_bytes, saved / (double)n_bytes};
        }
    }
    return n;
}

bool budget_choose(struct budget_group *groups, uint32_t n_groups, uint64_t max_bytes,
                   uint64_t *least)
{
    struct step *steps = calloc((size_t)n_groups * BUDGET_MAX_OPTIONS + 1, sizeof *steps);
    uint32_t *taken = calloc((size_t)n_groups + 1, sizeof *taken);
    bool fits = false;
    *least = 0;
    if (steps == NULL || taken == NULL) goto done;
    const uint32_t n_steps = list_steps(groups, n_groups, steps, least);
    if (*least > max_bytes) goto done;
    uint64_t left = max_bytes - *least;
    if (n_steps > 1) qsort(steps, n_steps, sizeof *steps, compare_steps);
    for (uint32_t i = 0; i < n_steps; i++) {
        const struct step *s = &steps[i];
        /* A group whose step was too much takes none after it. */
        if (s->n_bytes > left || taken[s->group] + 1 != s->number) continue;
        left -= s->n_bytes;
        taken[s->group] = s->number;
        groups[s->group].chosen = s->option;
    }
    fits = true;
done:
    free(taken);
    free(steps);
    return fits;
}
